"""The inbox of what review visits recommend: raise, cut, stop, check, urgent help. It stands there until somebody acts.

A step that does what was recommended settles it; anything else takes a written note.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DESK_ROLES, Caller, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.cases import CaseFile
from server.models.found_figures import FoundFigure
from server.models.households import Household
from server.models.visits import Visit

RECOMMENDATION_TEXTS = {
    "raise": ("增发", "Raise"),
    "cut": ("减发", "Cut"),
    "stop": ("停发", "Stop"),
    "check": ("进一步核查", "Check further"),
    "urgent": ("急需救助", "Urgent help"),
}
# The recommendations that a step settles. An urgent need outlasts a stop.
_SETTLED_BY = {
    "stopped": ("raise", "cut", "stop", "check"),
    "amount_changed": ("raise", "cut"),
}
_LONGEST_WAITING_FIRST = Keyset(FoundFigure.drafted_at, FoundFigure.id)


class RecommendationLine(ResponseBody):
    """`figure_id` is declined, or adopted with a note, at the case's found figures. `step`: the act that settles it."""

    figure_id: UUID
    recommendation: str
    zh: str
    en: str
    step: str | None
    visit_id: UUID
    visited_at: datetime
    waiting_since: datetime
    case_id: UUID
    application_number: str
    household_id: UUID
    head_name: str
    area_code: str
    amount_fen: int | None
    paid_from: date | None


async def list_recommendations(
    session: AsyncSession, caller: Caller, *, area: str | None, cursor: str | None, limit: int
) -> Page[RecommendationLine]:
    """List the recommendations that nobody has acted on in the caller's areas, the longest waiting first. One query."""
    require_role(caller, DESK_ROLES)
    rows = (
        select(FoundFigure, CaseFile, Household, Visit)
        .join(CaseFile, CaseFile.id == FoundFigure.case_id)
        .join(Household, Household.id == FoundFigure.household_id)
        .join(Visit, Visit.id == FoundFigure.visit_id)
        .where(
            FoundFigure.in_scope(caller),
            FoundFigure.figure == "recommendation",
            FoundFigure.state == "current",
            FoundFigure.verdict.is_(None),
            FoundFigure.value.in_(RECOMMENDATION_TEXTS),
        )
    )
    if area is not None:
        rows = rows.where(FoundFigure.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _LONGEST_WAITING_FIRST, cursor, limit)
    return Page(items=[_line(*row) for row in page], next_cursor=next_cursor)


def _line(figure: FoundFigure, case: CaseFile, household: Household, visit: Visit) -> RecommendationLine:
    assert figure.value is not None
    zh, en = RECOMMENDATION_TEXTS[figure.value]
    steps = {"stop": "stopped", "raise": "amount_changed", "cut": "amount_changed"}
    return RecommendationLine(
        figure_id=figure.id,
        recommendation=figure.value,
        zh=zh,
        en=en,
        step=steps.get(figure.value),
        visit_id=visit.id,
        visited_at=visit.started_at or visit.received_at,
        waiting_since=figure.drafted_at,
        case_id=case.id,
        application_number=case.number,
        household_id=household.id,
        head_name=household.head_name,
        area_code=figure.area_code,
        amount_fen=case.amount_fen,
        paid_from=case.paid_from,
    )


async def settle_recommendations(
    session: AsyncSession, caller: Caller, case: CaseFile, step: str, now: datetime
) -> None:
    """Settle the open recommendations that a step of the case follows."""
    if step not in _SETTLED_BY or caller.is_resident:
        return
    figures = await session.scalars(
        select(FoundFigure).where(
            FoundFigure.case_id == case.id,
            FoundFigure.figure == "recommendation",
            FoundFigure.state == "current",
            FoundFigure.verdict.is_(None),
            FoundFigure.value.in_(_SETTLED_BY[step]),
        )
    )
    for figure in figures:
        figure.verdict, figure.decided_by, figure.decided_at = "adopted", caller.id, now
