"""What the desk reads of rosters: lists, a roster with its sums, its lines and findings, payments of any month."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import convert
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.core.access import Caller, readable, require_found, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.households import Household
from server.models.people import Staff
from server.models.rosters import (
    DEAD_LINE_STATES,
    ROSTER_READERS,
    ROSTER_ROLES,
    SENT_LINE_STATES,
    BankAnswer,
    LateReturn,
    Roster,
    RosterFinding,
    RosterLine,
    RosterPart,
)
from server.policy.resolver import load_policy_values
from server.policy.schemas import BankForm
from server.rosters.actions import PEOPLE, POSSIBLE_IN, ActName
from server.rosters.bank_answers import RefusedRow
from server.rosters.finding_kinds import FINDING_KINDS, describe_finding
from server.rosters.sending import list_bank_forms, load_sent_lines

_NEWEST_FIRST = Keyset(Roster.month, Roster.id, descending=True)
_BY_POSITION = Keyset(RosterLine.position, RosterLine.id)
_BY_FINDING = Keyset(RosterFinding.code, RosterFinding.id)
_LATEST_PAID = Keyset(RosterLine.month, RosterLine.id, descending=True)
RosterState = Literal["drafting", "drafted", "prepared", "frozen", "sent", "settled", "cancelled"]
LineState = Literal["drafted", "left_out", "frozen", "sent", "paid", "returned", "cancelled"]


class RosterSummary(ResponseBody):
    """`homes`, `people` and `total_fen` count the lines that pay; they are fixed once the roster is frozen."""

    id: UUID
    number: str
    kind: str
    program: str
    program_zh: str
    program_en: str
    fund: str
    area_code: str
    area_name: str
    month: date
    state: RosterState
    homes: int
    people: int
    total_fen: int
    open_findings: int
    made_at: datetime
    sent_at: datetime | None


class RosterTotal(ResponseBody):
    """The lines of a town, or of a class of homes. The parts add up to the whole, by construction."""

    code: str
    name: str
    homes: int
    people: int
    due_fen: int
    arrears_fen: int
    recovery_fen: int
    total_fen: int


class StateTotal(ResponseBody):
    state: str
    homes: int
    total_fen: int


class BankAnswerLine(ResponseBody):
    id: UUID
    filename: str
    read_by_name: str
    read_at: datetime
    paid: int
    returned: int
    repeated: int
    refused: list[RefusedRow]


class BankFormLine(ResponseBody):
    code: str
    zh: str
    en: str


class LateReturnLine(ResponseBody):
    """`reference` names the line. `may_decide`: the caller may confirm or decline it."""

    id: UUID
    reference: str
    total_fen: int
    returned_on: date
    reason: str
    proposed_by_name: str
    proposed_at: datetime
    outcome: str | None
    answer: str
    decided_by_name: str | None
    may_decide: bool


class RosterDetail(RosterSummary):
    """A roster with its sums. `acts`: the steps that the caller may take now; `files`: how many the bank gets."""

    source_id: UUID | None
    reason: str
    due_fen: int
    arrears_fen: int
    recovery_fen: int
    towns: list[RosterTotal]
    classes: list[RosterTotal]
    states: list[StateTotal]
    prepared_by_name: str | None
    prepared_at: datetime | None
    checked_by_name: str | None
    checked_at: datetime | None
    sent_by_name: str | None
    lines_hash: str | None
    people_needed: int
    acts: list[ActName]
    bank_forms: list[BankFormLine]
    files: int
    answers: list[BankAnswerLine]
    late_returns: list[LateReturnLine]
    corrections: list[UUID]


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


async def list_rosters(
    session: AsyncSession,
    caller: Caller,
    *,
    state: RosterState | None,
    program: str | None,
    month: date | None,
    area: str | None,
    cursor: str | None,
    limit: int,
) -> Page[RosterSummary]:
    """List rosters of the caller's areas, the latest month first. Two queries for any page."""
    require_role(caller, ROSTER_READERS)
    rows = readable(Roster, caller).add_columns(Area.name).join(Area, Area.code == Roster.area_code)
    for column, value in ((Roster.state, state), (Roster.program, program)):
        if value is not None:
            rows = rows.where(column == value)
    if month is not None:
        rows = rows.where(Roster.month == month.replace(day=1))
    if area:
        rows = rows.where(Roster.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    sums = await _sum_rosters(session, [roster.id for roster, _ in page])
    waiting = await _count_findings(session, [roster.id for roster, _ in page])
    return Page(
        items=[
            RosterSummary(**_summary(roster, name, sums.get(roster.id, (0, 0, 0)), waiting.get(roster.id, 0)))
            for roster, name in page
        ],
        next_cursor=next_cursor,
    )


async def _sum_rosters(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, tuple[int, int, int]]:
    rows = await session.execute(
        select(RosterLine.roster_id, func.count(), func.sum(RosterLine.people), func.sum(RosterLine.total_fen))
        .where(RosterLine.roster_id.in_(ids), RosterLine.state.not_in(DEAD_LINE_STATES))
        .group_by(RosterLine.roster_id)
    )
    return {roster_id: (homes, int(people), int(fen)) for roster_id, homes, people, fen in rows}


async def _count_findings(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, int]:
    rows = await session.execute(
        select(RosterFinding.roster_id, func.count())
        .where(RosterFinding.roster_id.in_(ids), RosterFinding.verdict.is_(None), RosterFinding.gone_at.is_(None))
        .group_by(RosterFinding.roster_id)
    )
    return dict(rows.all())


def _summary(roster: Roster, area_name: str, sums: tuple[int, int, int], waiting: int) -> dict[str, Any]:
    copied = (
        "id",
        "number",
        "kind",
        "program",
        "program_zh",
        "program_en",
        "fund",
        "area_code",
        "month",
        "state",
        "made_at",
        "sent_at",
    )
    homes, people, total_fen = sums
    return {name: getattr(roster, name) for name in copied} | {
        "area_name": area_name,
        "homes": homes,
        "people": people,
        "total_fen": total_fen,
        "open_findings": waiting,
    }


async def show_roster(session: AsyncSession, caller: Caller, roster_id: UUID) -> RosterDetail:
    require_role(caller, ROSTER_READERS)
    preparer, checker, sender = aliased(Staff), aliased(Staff), aliased(Staff)
    row = (
        await session.execute(
            readable(Roster, caller)
            .add_columns(Area.name, preparer.name, checker.name, sender.name)
            .join(Area, Area.code == Roster.area_code)
            .outerjoin(preparer, preparer.id == Roster.prepared_by)
            .outerjoin(checker, checker.id == Roster.checked_by)
            .outerjoin(sender, sender.id == Roster.sent_by)
            .where(Roster.id == roster_id)
        )
    ).one_or_none()
    roster, area_name, prepared_by, checked_by, sent_by = require_found(row)
    sums = (await _sum_rosters(session, [roster.id])).get(roster.id, (0, 0, 0))
    waiting = (await _count_findings(session, [roster.id])).get(roster.id, 0)
    towns = await _sum_by(session, roster, func.left(RosterLine.area_code, 9))
    settings = await load_policy_values(session, roster.area_code, roster.month, [PEOPLE])
    return RosterDetail(
        **_summary(roster, area_name, sums, waiting),
        source_id=roster.source_id,
        reason=roster.reason,
        due_fen=sum(town.due_fen for town in towns),
        arrears_fen=sum(town.arrears_fen for town in towns),
        recovery_fen=sum(town.recovery_fen for town in towns),
        towns=await _name_areas(session, towns),
        classes=await _sum_by(session, roster, func.coalesce(RosterLine.class_, "")),
        states=await _sum_states(session, roster),
        prepared_by_name=prepared_by,
        prepared_at=roster.prepared_at,
        checked_by_name=checked_by,
        checked_at=roster.checked_at,
        sent_by_name=sent_by,
        lines_hash=roster.lines_hash,
        people_needed=int(settings[PEOPLE]),
        acts=_list_acts(roster, caller),
        bank_forms=[
            BankFormLine(code=form.code, zh=form.zh, en=form.en) for form in await list_bank_forms(session, roster)
        ],
        files=await _count_files(session, roster),
        answers=await _list_answers(session, roster),
        late_returns=await _list_late_returns(session, caller, roster),
        corrections=list(await session.scalars(select(Roster.id).where(Roster.source_id == roster.id))),
    )


def _list_acts(roster: Roster, caller: Caller) -> list[ActName]:
    """Return the steps of the state; who has prepared does not check."""
    if not caller.covers(roster.area_code, ROSTER_ROLES):
        return []
    return [
        act
        for act, states in POSSIBLE_IN.items()
        if roster.state in states and not (act == "check" and caller.acts_as(roster.prepared_by))
    ]


async def _count_files(session: AsyncSession, roster: Roster) -> int:
    """Count the bank's files of a sent roster: each holds as many lines as the bank takes."""
    if roster.file_form is None:
        return 0
    most = convert(roster.file_form, BankForm).most_lines
    return -(-len(await load_sent_lines(session, roster)) // most)


async def _sum_by(session: AsyncSession, roster: Roster, part: Any) -> list[RosterTotal]:
    rows = await session.execute(
        select(
            part.label("code"),
            func.count(),
            func.sum(RosterLine.people),
            func.sum(RosterLine.due_fen),
            func.sum(RosterLine.arrears_fen),
            func.sum(RosterLine.recovery_fen),
            func.sum(RosterLine.total_fen),
        )
        .where(RosterLine.roster_id == roster.id, RosterLine.state.not_in(DEAD_LINE_STATES))
        .group_by("code")
        .order_by("code")
    )
    return [
        RosterTotal(
            code=code,
            name=code,
            homes=homes,
            people=int(people),
            due_fen=int(due),
            arrears_fen=int(arrears),
            recovery_fen=int(recovery),
            total_fen=int(total),
        )
        for code, homes, people, due, arrears, recovery, total in rows
    ]


async def _name_areas(session: AsyncSession, totals: list[RosterTotal]) -> list[RosterTotal]:
    rows = await session.execute(select(Area.code, Area.name).where(Area.code.in_([total.code for total in totals])))
    names: dict[str, str] = dict(rows.all())
    for total in totals:
        total.name = names.get(total.code, total.code)
    return totals


async def _sum_states(session: AsyncSession, roster: Roster) -> list[StateTotal]:
    rows = await session.execute(
        select(RosterLine.state, func.count(), func.sum(RosterLine.total_fen))
        .where(RosterLine.roster_id == roster.id)
        .group_by(RosterLine.state)
        .order_by(RosterLine.state)
    )
    return [StateTotal(state=state, homes=homes, total_fen=int(fen)) for state, homes, fen in rows]


async def _list_answers(session: AsyncSession, roster: Roster) -> list[BankAnswerLine]:
    rows = await session.execute(
        select(BankAnswer, Staff.name)
        .join(Staff, Staff.id == BankAnswer.read_by)
        .where(BankAnswer.roster_id == roster.id)
        .order_by(BankAnswer.read_at)
    )
    return [
        BankAnswerLine(
            id=answer.id,
            filename=answer.filename,
            read_by_name=name,
            read_at=answer.read_at,
            paid=answer.paid,
            returned=answer.returned,
            repeated=answer.repeated,
            refused=[RefusedRow(**row) for row in answer.refused],
        )
        for answer, name in rows
    ]


async def _list_late_returns(session: AsyncSession, caller: Caller, roster: Roster) -> list[LateReturnLine]:
    proposer, decider = aliased(Staff), aliased(Staff)
    rows = await session.execute(
        select(LateReturn, RosterLine.reference, RosterLine.total_fen, proposer.name, decider.name)
        .join(RosterLine, RosterLine.id == LateReturn.line_id)
        .join(proposer, proposer.id == LateReturn.proposed_by)
        .outerjoin(decider, decider.id == LateReturn.decided_by)
        .where(LateReturn.roster_id == roster.id)
        .order_by(LateReturn.proposed_at, LateReturn.id)
    )
    may_act = caller.covers(roster.area_code, ROSTER_ROLES)
    return [
        LateReturnLine(
            id=report.id,
            reference=reference,
            total_fen=total_fen,
            returned_on=report.returned_on,
            reason=report.reason,
            proposed_by_name=proposed_by,
            proposed_at=report.proposed_at,
            outcome=report.outcome,
            answer=report.answer,
            decided_by_name=decided_by,
            may_decide=may_act and report.outcome is None and not caller.acts_as(report.proposed_by),
        )
        for report, reference, total_fen, proposed_by, decided_by in rows
    ]


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
    parts: dict[UUID, list[PartLine]] = {}
    for part in await session.scalars(
        select(RosterPart)
        .where(RosterPart.line_id.in_([line.id for line, *_ in page]))
        .order_by(RosterPart.month, RosterPart.kind)
    ):
        parts.setdefault(part.line_id, []).append(
            PartLine(month=part.month, kind=part.kind, amount_fen=part.amount_fen, cause=part.cause, reason=part.reason)
        )
    copied = (
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
    return [
        RosterLineView(
            **{name: getattr(line, name) for name in copied},
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
