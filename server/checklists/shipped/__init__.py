"""The checklists that ship with the product: one for each kind of visit, complete enough for daily work.

They are written in Python so that questions are easy to compare and a shared question is defined once. An id means
the same question in every checklist, so that a spot check can be compared with the first visit field by field.
"""

from functools import cache

from server.checklists.shipped import care, complaint, housing, intake, neighbour, records, review, spot_check
from server.checklists.template import Template


def load_shipped() -> list[Template]:
    """Return all seven in the order of docs/domain.md#visit-kinds; each passes `check_template`."""
    return list(_shipped())


def load_shipped_records() -> list[Template]:
    """Return those of the work beside the visits, in the order in which a phone offers them."""
    return list(_shipped_records())


@cache
def _shipped() -> tuple[Template, ...]:
    modules = (intake, review, neighbour, complaint, spot_check, care, housing)
    return tuple(module.template() for module in modules)


@cache
def _shipped_records() -> tuple[Template, ...]:
    return records.publicity(), records.meeting(), records.posting(), records.handout(), records.application()
