"""The inbox of what review visits recommend: raise, cut, stop, check, urgent help. It stands there until somebody acts.

A step that does what was recommended settles it; anything else takes a written note.
"""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DESK_ROLES, Caller, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.benefits import PaymentProposal
from server.models.cases import CaseFile
from server.models.found_figures import FoundFigure
from server.models.households import Household
from server.models.people import Staff
from server.models.visits import Visit

Recommendation = Literal["raise", "cut", "stop", "check", "urgent"]
RECOMMENDATION_TEXTS: dict[str, tuple[str, str]] = {
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
    """`figure_id` is declined, or adopted with a note, at the case's found figures. `step`: the act that settles it.

    `proposed_step`: what an officer has proposed for the case, waiting for another to decide.
    """

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
    proposed_step: str | None
    proposed_by_name: str | None


class RecommendationCount(ResponseBody):
    recommendation: str
    zh: str
    en: str
    count: int


class RecommendationCounts(ResponseBody):
    """What nobody has acted on, by recommendation, and since when the oldest waits."""

    total: int
    waiting_since: datetime | None
    kinds: list[RecommendationCount]


async def list_recommendations(
    session: AsyncSession,
    caller: Caller,
    *,
    recommendation: str | None,
    area: str | None,
    cursor: str | None,
    limit: int,
) -> Page[RecommendationLine]:
    """List the recommendations that nobody has acted on in the caller's areas, the longest waiting first. One query."""
    require_role(caller, DESK_ROLES)
    rows = (
        select(FoundFigure, CaseFile, Household, Visit, PaymentProposal.step, Staff.name)
        .join(CaseFile, CaseFile.id == FoundFigure.case_id)
        .join(Household, Household.id == FoundFigure.household_id)
        .join(Visit, Visit.id == FoundFigure.visit_id)
        .outerjoin(
            PaymentProposal, (PaymentProposal.case_id == FoundFigure.case_id) & PaymentProposal.outcome.is_(None)
        )
        .outerjoin(Staff, Staff.id == PaymentProposal.proposed_by)
        .where(*_is_open(caller, area))
    )
    if recommendation is not None:
        rows = rows.where(FoundFigure.value == recommendation)
    page, next_cursor = await fetch_page(session, rows, _LONGEST_WAITING_FIRST, cursor, limit)
    return Page(items=[_line(*row) for row in page], next_cursor=next_cursor)


def _is_open(caller: Caller, area: str | None) -> list[ColumnElement[bool]]:
    return [
        FoundFigure.in_scope(caller),
        FoundFigure.figure == "recommendation",
        FoundFigure.state == "current",
        FoundFigure.verdict.is_(None),
        FoundFigure.value.in_(RECOMMENDATION_TEXTS),
        *([FoundFigure.area_code.startswith(area, autoescape=True)] if area is not None else []),
    ]


async def count_recommendations(session: AsyncSession, caller: Caller, *, area: str | None) -> RecommendationCounts:
    """Count what nobody has acted on in the caller's areas. One query."""
    require_role(caller, DESK_ROLES)
    rows = await session.execute(
        select(FoundFigure.value, func.count(), func.min(FoundFigure.drafted_at))
        .where(*_is_open(caller, area))
        .group_by(FoundFigure.value)
    )
    counts = {value: (count, since) for value, count, since in rows if value is not None}
    return RecommendationCounts(
        total=sum(count for count, _ in counts.values()),
        waiting_since=min((since for _, since in counts.values()), default=None),
        kinds=[
            RecommendationCount(recommendation=code, zh=zh, en=en, count=counts[code][0] if code in counts else 0)
            for code, (zh, en) in RECOMMENDATION_TEXTS.items()
        ],
    )


def _line(
    figure: FoundFigure,
    case: CaseFile,
    household: Household,
    visit: Visit,
    proposed_step: str | None,
    proposer: str | None,
) -> RecommendationLine:
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
        proposed_step=proposed_step,
        proposed_by_name=proposer,
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
