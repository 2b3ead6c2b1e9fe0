"""The checklists that come with the product, one for each kind of visit, complete enough to work with.

They are written in Python so that a reviewer reads question beside question and a shared question is written
once: the same question id asks the same thing in every checklist, which is what lets a spot check be compared
with the first visit field by field.
"""

from functools import cache

from server.checklists.shipped import care, complaint, intake, neighbour, review, spot_check
from server.checklists.template import Template


def load_shipped() -> list[Template]:
    """All six, in the order of docs/domain.md#visit-kinds; each passes `check_template`."""
    return list(_shipped())


@cache
def _shipped() -> tuple[Template, ...]:
    rooms = (intake, review, neighbour, complaint, spot_check, care)
    return tuple(room.template() for room in rooms)
