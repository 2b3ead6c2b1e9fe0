"""Checks: each function reads one visit's context and yields the facts of what does not fit.

A check decides nothing and does not know its severity: the table in `registry.py` does.
Facts are JSON and hold no names: figures with their unit, codes, and ids of other visits and people.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

Facts = dict[str, Any]
# The photo that a finding is about, if any, and the finding's facts.
DetectedFindings = Iterator[tuple[UUID | None, Facts]]
