"""The doubts themselves: each function looks at one visit and yields the facts of what does not fit.

None of them decides anything or knows its own severity: that is for the table in server/review/rules.py.
Facts are JSON and hold no names: figures with their unit, codes, and ids of other visits and people.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

Facts = dict[str, Any]
# The photo that a doubt is about, where it is about one, and its facts.
DetectedFindings = Iterator[tuple[UUID | None, Facts]]
