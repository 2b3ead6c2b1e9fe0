"""What the desk reads of the lines of rosters: those of a roster, its findings, payments of any month."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, readable, require_found, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.households import Household
from server.models.people import Staff
from server.models.rosters import ROSTER_READERS, SENT_LINE_STATES, Roster, RosterFinding, RosterLine, RosterPart
from server.rosters.finding_kinds import FINDING_KINDS, describe_finding

_BY_POSITION = Keyset(RosterLine.position, RosterLine.id)
_BY_FINDING = Keyset(RosterFinding.code, RosterFinding.id)
_LATEST_PAID = Keyset(RosterLine.month, RosterLine.id, descending=True)
LineState = Literal["drafted", "left_out", "frozen", "sent", "paid", "returned", "cancelled"]
# What a line shows as it stands in its row.
_COPIED = (
    "id",
    "roster_id",
    "reference",
    "position",
    "month",
    "program",
    "household_id",
    "household_number",
    "case_id",
    "area_code",
    "state",
    "head_name",
    "payee_name",
    "beneficiaries",
    "people",
    "bank_name",
    "account_mask",
    "due_fen",
    "arrears_fen",
    "recovery_fen",
    "total_fen",
    "answered_at",
    "return_reason",
    "stance",
)


class PartLine(ResponseBody):
    month: date
    kind: str
    amount_fen: int
    cause: str
    reason: str


class RosterLineView(ResponseBody):
    """A line with its three identities: head, holder of the account, beneficiaries. The account is masked."""

    id: UUID
    roster_id: UUID
    reference: str
    position: int
    month: date
    program: str
    program_zh: str
    program_en: str
    household_id: UUID
    household_number: str
    case_id: UUID
    area_code: str
    area_name: str
    state: LineState
    head_name: str
    payee_name: str | None
    beneficiaries: list[str]
    people: int
    bank_name: str | None
    account_mask: str | None
    due_fen: int
    arrears_fen: int
    recovery_fen: int
    total_fen: int
    parts: list[PartLine]
    application_number: str
    ground_kind: str | None
    ground_reason: str | None
    ground_decided_on: date | None
    answered_at: datetime | None
    return_reason: str | None
    stance: str | None
    findings: int


class RosterFindingLine(ResponseBody):
    """`is_certain`: nobody may pay in spite of it. `zh` and `en` say what was found."""

    id: UUID
    household_id: UUID | None
    household_number: str | None
    head_name: str | None
    code: str
    zh: str
    en: str
    is_certain: bool
    total_fen: int | None
    verdict: str | None
    reason: str
    judged_by_name: str | None
    judged_at: datetime | None


async def list_roster_lines(
    session: AsyncSession, caller: Caller, roster_id: UUID, *, state: LineState | None, cursor: str | None, limit: int
) -> Page[RosterLineView]:
    """List the lines of a roster in its order. Three queries for any page."""
    roster = require_found(await session.scalar(readable(Roster, caller).where(Roster.id == roster_id)))
    rows = _select_lines(caller).where(RosterLine.roster_id == roster.id)
    if state is not None:
        rows = rows.where(RosterLine.state == state)
    page, next_cursor = await fetch_page(session, rows, _BY_POSITION, cursor, limit)
    return Page(items=await _view_lines(session, page), next_cursor=next_cursor)


async def list_payments(
    session: AsyncSession,
    caller: Caller,
    *,
    month: date | None,
    household: UUID | None,
    program: str | None,
    area: str | None,
    cursor: str | None,
    limit: int,
) -> Page[RosterLineView]:
    """List who received how much on which ground, as it was when it was paid, whatever changed since."""
    require_role(caller, ROSTER_READERS)
    rows = _select_lines(caller).where(RosterLine.state.in_(SENT_LINE_STATES))
    if month is not None:
        rows = rows.where(RosterLine.month == month.replace(day=1))
    if household is not None:
        rows = rows.where(RosterLine.of_home(household))
    if program is not None:
        rows = rows.where(RosterLine.program == program)
    if area:
        rows = rows.where(RosterLine.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _LATEST_PAID, cursor, limit)
    return Page(items=await _view_lines(session, page), next_cursor=next_cursor)


def _select_lines(caller: Caller) -> Any:
    waiting = (
        select(func.count())
        .where(
            RosterFinding.roster_id == RosterLine.roster_id,
            RosterFinding.household_id == RosterLine.household_id,
            RosterFinding.verdict.is_(None),
            RosterFinding.gone_at.is_(None),
        )
        .scalar_subquery()
    )
    return (
        select(RosterLine, Area.name, Roster.program_zh, Roster.program_en, waiting)
        .join(Area, Area.code == RosterLine.area_code)
        .join(Roster, Roster.id == RosterLine.roster_id)
        .where(RosterLine.in_scope(caller))
    )


async def _view_lines(session: AsyncSession, page: Sequence[Any]) -> list[RosterLineView]:
    parts = await _load_part_lines(session, [line.id for line, *_ in page])
    return [
        RosterLineView(
            **{name: getattr(line, name) for name in _COPIED},
            area_name=area_name,
            program_zh=program_zh,
            program_en=program_en,
            parts=parts.get(line.id, []),
            application_number=line.ground["applicationNumber"],
            ground_kind=line.ground.get("kind"),
            ground_reason=line.ground.get("reason"),
            ground_decided_on=date.fromisoformat(line.ground["decidedOn"]) if "decidedOn" in line.ground else None,
            findings=findings,
        )
        for line, area_name, program_zh, program_en, findings in page
    ]


async def _load_part_lines(session: AsyncSession, line_ids: Sequence[UUID]) -> dict[UUID, list[PartLine]]:
    parts: dict[UUID, list[PartLine]] = {}
    for part in await session.scalars(
        select(RosterPart).where(RosterPart.line_id.in_(line_ids)).order_by(RosterPart.month, RosterPart.kind)
    ):
        parts.setdefault(part.line_id, []).append(
            PartLine(month=part.month, kind=part.kind, amount_fen=part.amount_fen, cause=part.cause, reason=part.reason)
        )
    return parts


async def list_findings(
    session: AsyncSession,
    caller: Caller,
    roster_id: UUID,
    *,
    judged: bool | None,
    code: str | None,
    cursor: str | None,
    limit: int,
) -> Page[RosterFindingLine]:
    """List the findings of a roster by code; those that are no longer so are left out. One query."""
    roster = require_found(await session.scalar(readable(Roster, caller).where(Roster.id == roster_id)))
    rows = (
        select(RosterFinding, Household.number, Household.head_name, Staff.name, RosterLine.total_fen)
        .outerjoin(Household, Household.id == RosterFinding.household_id)
        .outerjoin(Staff, Staff.id == RosterFinding.judged_by)
        .outerjoin(
            RosterLine,
            (RosterLine.roster_id == RosterFinding.roster_id) & (RosterLine.household_id == RosterFinding.household_id),
        )
        .where(RosterFinding.roster_id == roster.id, RosterFinding.gone_at.is_(None))
    )
    if judged is not None:
        rows = rows.where(RosterFinding.verdict.is_not(None) if judged else RosterFinding.verdict.is_(None))
    if code is not None:
        rows = rows.where(RosterFinding.code == code)
    page, next_cursor = await fetch_page(session, rows, _BY_FINDING, cursor, limit)
    return Page(items=[_view_finding(*row) for row in page], next_cursor=next_cursor)


def _view_finding(
    finding: RosterFinding, number: str | None, head: str | None, judged_by: str | None, total_fen: int | None
) -> RosterFindingLine:
    zh, en = describe_finding(finding.code, finding.facts)
    return RosterFindingLine(
        id=finding.id,
        household_id=finding.household_id,
        household_number=number,
        head_name=head,
        code=finding.code,
        zh=zh,
        en=en,
        is_certain=FINDING_KINDS[finding.code].is_certain,
        total_fen=total_fen,
        verdict=finding.verdict,
        reason=finding.reason,
        judged_by_name=judged_by,
        judged_at=finding.judged_at,
    )
