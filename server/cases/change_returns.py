"""Monthly returns of changes (动态管理月报), from villages to towns to the county, each by its day of the next month.

A return is drafted from what happened: decisions about payments, and what residents reported. The sender adds what no
line says; the office above sends it back with a reason or closes it. Nobody is paid by a return.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, convert, to_builtins
from msgspec.structs import replace
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.benefits.changes import month_after
from server.core.access import DESK_ROLES, Caller, Role, in_areas, require_found, require_role
from server.core.clock import CHINA
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.benefits import BenefitChange, ChangeReport
from server.models.cases import CaseFile
from server.models.change_returns import CHANGE_RETURN_READERS, ChangeReturn
from server.models.households import Household
from server.models.people import Staff
from server.policy.resolver import load_policy_values

VILLAGE_DAY, TOWN_DAY = "change_return.village_day", "change_return.town_day"
_TOWN_DIGITS = 9
_VILLAGE_DIGITS = 12
_COUNTY_DIGITS = 6
_BY_CODE = Keyset(Area.code)
_REPORTED = "report_"
_EARLIEST = date(2000, 1, 1)
_SENDERS = {_VILLAGE_DIGITS: {Role.CASEWORKER, Role.TOWN_OFFICER}, _TOWN_DIGITS: {Role.TOWN_OFFICER}}
_RECEIVERS = {_VILLAGE_DIGITS: {Role.TOWN_OFFICER, Role.COUNTY_OFFICER}, _TOWN_DIGITS: {Role.COUNTY_OFFICER}}
ChangeReturnState = Literal["draft", "sent", "returned", "closed"]
ChangeReturnLevel = Literal["village", "town"]
_DIGITS: dict[ChangeReturnLevel, int] = {"village": _VILLAGE_DIGITS, "town": _TOWN_DIGITS}


class ChangeReturnLine(ResponseBody):
    """Something that happened. `kind`: granted, raised, cut, stopped, or `report_` and the kind a resident reported."""

    kind: str
    household_id: UUID
    household_number: str
    head_name: str
    area_code: str
    on: date
    people: int | None
    from_month: date | None
    before_fen: int | None
    amount_fen: int | None
    reason: str


class ChangeReturnSummary(ResponseBody):
    """A return of an area and a month. `is_late`: it was sent after its day, or is not sent and the day has passed."""

    area_code: str
    area_name: str
    month: date
    state: ChangeReturnState
    due_on: date
    is_late: bool
    changes: int
    sent_by_name: str | None
    sent_at: datetime | None
    answer: str


class ChangeReturnDetail(ChangeReturnSummary):
    """`lines` are as they were sent, those of a draft as they are now. `may_send`, `may_decide`: the caller."""

    note: str
    lines: list[ChangeReturnLine]
    may_send: bool
    may_decide: bool


class SendChangeReturn(RequestBody):
    note: Annotated[str, Meta(max_length=4000)] = ""


class DecideChangeReturn(RequestBody):
    """Sending one back needs a reason."""

    outcome: Literal["returned", "closed"]
    reason: Annotated[str, Meta(max_length=1000)] = ""


async def list_change_returns(
    session: AsyncSession,
    caller: Caller,
    *,
    month: date,
    level: ChangeReturnLevel,
    area: str | None,
    late: bool,
    cursor: str | None,
    limit: int,
    today: date,
) -> Page[ChangeReturnSummary]:
    """List the returns that the towns or villages of the caller's areas owe for a month, sent or not."""
    require_role(caller, CHANGE_RETURN_READERS)
    first = _first_of(month, today)
    due_on = await _due_on(session, area or _own_area(caller), _DIGITS[level], first)
    rows = _select_returns(caller, level, first)
    if area:
        rows = rows.where(Area.code.startswith(area, autoescape=True))
    if late:
        is_late = ChangeReturn.first_sent_at >= _end_of(due_on)
        rows = rows.where(or_(is_late, ChangeReturn.id.is_(None)) if today > due_on else is_late)
    page, next_cursor = await fetch_page(session, rows, _BY_CODE, cursor, limit)
    drafted = [of_area.code for of_area, sent, _ in page if sent is None]
    counts = await _count_changes(session, drafted, first)
    return Page(
        items=[
            ChangeReturnSummary(**_describe(of_area, first, due_on, today, sent, name, counts.get(of_area.code, 0)))
            for of_area, sent, name in page
        ],
        next_cursor=next_cursor,
    )


def _first_of(month: date, today: date) -> date:
    """Return the first day of the month. Raise `request.invalid` for one of another age, or after the next."""
    if not _EARLIEST <= month.replace(day=1) <= month_after(today):
        raise Problem("request.invalid", faults=[Fault("/month", "field.invalid", month.isoformat())])
    return month.replace(day=1)


def _select_returns(caller: Caller, level: ChangeReturnLevel, month: date) -> Any:
    """Select the areas of a level that owe a return for the month, with the return if there is one and its sender."""
    return (
        select(Area, ChangeReturn, Staff.name)
        .outerjoin(ChangeReturn, (ChangeReturn.area_code == Area.code) & (ChangeReturn.month == month))
        .outerjoin(Staff, Staff.id == ChangeReturn.sent_by)
        .where(
            func.char_length(Area.code) == _DIGITS[level],
            or_(Area.valid_until.is_(None), Area.valid_until > month),
            _is_read_by(caller),
        )
    )


def _own_area(caller: Caller) -> str:
    return min(caller.prefixes(CHANGE_RETURN_READERS), key=len, default="")


async def _due_on(session: AsyncSession, area_code: str, digits: int, month: date) -> date:
    """Return the day of the next month by which it is sent."""
    key = VILLAGE_DAY if digits == _VILLAGE_DIGITS else TOWN_DAY
    settings = await load_policy_values(session, area_code, month, [key])
    return month_after(month).replace(day=int(settings[key]))


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), tzinfo=CHINA)


def _describe(
    area: Area, month: date, due_on: date, today: date, sent: ChangeReturn | None, sender: str | None, changes: int
) -> dict[str, Any]:
    sent_on = day_of(sent.first_sent_at) if sent else today
    return {
        "area_code": area.code,
        "area_name": area.name,
        "month": month,
        "state": sent.state if sent else "draft",
        "due_on": due_on,
        "is_late": sent_on > due_on,
        "changes": len(sent.lines) if sent else changes,
        "sent_by_name": sender,
        "sent_at": sent.sent_at if sent else None,
        "answer": sent.answer if sent else "",
    }


async def _count_changes(session: AsyncSession, area_codes: Sequence[str], month: date) -> dict[str, int]:
    """Count what happened in each area so far. Areas are of one level, so none lies in another."""
    if not area_codes:
        return {}
    digits = len(area_codes[0])
    counts: dict[str, int] = {}
    for rows in (
        select(func.left(BenefitChange.area_code, digits).label("code"), func.count())
        .where(BenefitChange.decided_on >= month, BenefitChange.decided_on < month_after(month))
        .group_by("code"),
        select(func.left(CaseFile.area_code, digits).label("code"), func.count())
        .join(ChangeReport, ChangeReport.case_id == CaseFile.id)
        .where(ChangeReport.reported_at >= _start_of(month), ChangeReport.reported_at < _start_of(month_after(month)))
        .group_by("code"),
    ):
        for code, number in await session.execute(rows):
            counts[code] = counts.get(code, 0) + number
    return counts


def _start_of(month: date) -> datetime:
    return datetime.combine(month, datetime.min.time(), tzinfo=CHINA)


async def show_change_return(
    session: AsyncSession, caller: Caller, area_code: str, month: date, today: date
) -> ChangeReturnDetail:
    """Return a return with its lines. Raises `thing.not_found` outside the caller's areas."""
    require_role(caller, CHANGE_RETURN_READERS)
    first = _first_of(month, today)
    area = await _find_area(session, caller, area_code)
    sender = aliased(Staff)
    row = (
        await session.execute(
            select(ChangeReturn, sender.name)
            .join(sender, sender.id == ChangeReturn.sent_by)
            .where(ChangeReturn.area_code == area_code, ChangeReturn.month == first)
        )
    ).one_or_none()
    sent, name = row or (None, None)
    is_open = sent is None or sent.state == "returned"
    lines = await draft_lines(session, area_code, first) if sent is None else sent.lines
    due_on = await _due_on(session, area_code, len(area_code), first)
    return ChangeReturnDetail(
        **_describe(area, first, due_on, today, sent, name, len(lines)),
        note=sent.note if sent else "",
        lines=await _hide_reports(session, caller, area_code, convert(lines, list[ChangeReturnLine])),
        may_send=is_open and caller.covers(area_code, _SENDERS[len(area_code)]),
        may_decide=sent is not None
        and sent.state == "sent"
        and not caller.acts_as(sent.sent_by)
        and caller.covers(area_code, _RECEIVERS[len(area_code)]),
    )


async def _find_area(session: AsyncSession, caller: Caller, area_code: str) -> Area:
    area: Area = require_found(
        await session.scalar(
            select(Area).where(
                Area.code == area_code,
                func.char_length(Area.code).in_(list(_SENDERS)),
                _is_read_by(caller),
            )
        )
    )
    return area


def _is_read_by(caller: Caller) -> ColumnElement[bool]:
    """Match the areas whose returns the caller reads: offices those of their areas, caseworkers only of villages."""
    of_village = func.char_length(Area.code) == _VILLAGE_DIGITS
    return or_(in_areas(Area.code, caller, DESK_ROLES), of_village & in_areas(Area.code, caller, {Role.CASEWORKER}))


async def _hide_reports(
    session: AsyncSession, caller: Caller, area_code: str, lines: list[ChangeReturnLine]
) -> list[ChangeReturnLine]:
    """Leave out what residents wrote of themselves where the caller is no office and can't open the home."""
    if caller.covers(area_code, DESK_ROLES):
        return lines
    reported = {line.household_id for line in lines if line.kind.startswith(_REPORTED)}
    mine = select(Household.id).where(Household.id.in_(reported), Household.in_scope(caller))
    hidden = reported - set(await session.scalars(mine))
    return [
        replace(line, reason="") if line.kind.startswith(_REPORTED) and line.household_id in hidden else line
        for line in lines
    ]


async def draft_lines(session: AsyncSession, area_code: str, month: date) -> list[dict[str, Any]]:
    """Return what happened in an area in a month, in the order it did."""
    decided = await session.execute(
        select(BenefitChange, Household.number, Household.head_name)
        .join(Household, Household.id == BenefitChange.household_id)
        .where(
            BenefitChange.area_code.startswith(area_code, autoescape=True),
            BenefitChange.decided_on >= month,
            BenefitChange.decided_on < month_after(month),
        )
        .order_by(BenefitChange.id)
    )
    lines = [
        ChangeReturnLine(
            kind=change.kind, household_id=change.household_id, household_number=number, head_name=head,
            area_code=change.area_code, on=change.decided_on, people=change.people, from_month=change.month,
            before_fen=change.before_fen, amount_fen=change.amount_fen, reason=change.ground_zh or change.reason,
        )
        for change, number, head in decided
    ]  # fmt: skip
    reported = await session.execute(
        select(ChangeReport, CaseFile.area_code, Household.id, Household.number, Household.head_name)
        .join(CaseFile, CaseFile.id == ChangeReport.case_id)
        .join(Household, Household.id == CaseFile.household_id)
        .where(
            CaseFile.area_code.startswith(area_code, autoescape=True),
            ChangeReport.reported_at >= _start_of(month),
            ChangeReport.reported_at < _start_of(month_after(month)),
        )
        .order_by(ChangeReport.id)
    )
    lines += [
        ChangeReturnLine(
            kind=f"{_REPORTED}{report.kind}", household_id=household_id, household_number=number, head_name=head,
            area_code=code, on=report.happened_on or day_of(report.reported_at), people=None, from_month=None,
            before_fen=None, amount_fen=None, reason=report.text,
        )
        for report, code, household_id, number, head in reported
    ]  # fmt: skip
    return [to_builtins(line) for line in lines]


async def send_change_return(
    session: AsyncSession, caller: Caller, area_code: str, month: date, body: SendChangeReturn, now: datetime
) -> ChangeReturnDetail:
    """Send the return as it stands, or again after it came back. The same again changes nothing.

    Raises `auth.forbidden`, and `change_return.not_now` once it is sent, or before its month has ended.
    """
    first = _first_of(month, day_of(now))
    await _find_area(session, caller, area_code)
    senders = _SENDERS[len(area_code)]
    if not caller.covers(area_code, senders):
        raise Problem("auth.forbidden", roles=", ".join(sorted(senders)))
    sent = await _lock(session, area_code, first)
    note = body.note.strip()
    if sent is not None and sent.state == "sent" and (sent.sent_by, sent.note) == (caller.id, note):
        return await show_change_return(session, caller, area_code, first, day_of(now))
    if day_of(now) < month_after(first) or (sent is not None and sent.state != "returned"):
        raise Problem("change_return.not_now", state=sent.state if sent else "draft")
    lines = await draft_lines(session, area_code, first)
    values = {"state": "sent", "lines": lines, "note": note, "sent_by": caller.id, "sent_at": now}
    if sent is None:
        row = insert(ChangeReturn).values(
            id=new_id(), area_code=area_code, month=first, first_sent_at=now, answer="", **values
        )
        if await session.scalar(row.on_conflict_do_nothing().returning(ChangeReturn.id)) is None:
            raise Problem("change_return.not_now", state="sent")
    else:
        for name, value in values.items():
            setattr(sent, name, value)
        sent.decided_by = sent.decided_at = None
    _record(session, caller, Action.CHANGE_RETURN_SENT, area_code, first, count=len(lines))
    await session.flush()  # the detail below is queried
    return await show_change_return(session, caller, area_code, first, day_of(now))


async def decide_change_return(
    session: AsyncSession, caller: Caller, area_code: str, month: date, body: DecideChangeReturn, now: datetime
) -> ChangeReturnDetail:
    """Send a return back with a reason, or close it; by the office above, and not by who sent it. Idempotent.

    Raises `auth.forbidden`, `change_return.not_now`, `case.second_person`, `review.reason_required`.
    """
    first = _first_of(month, day_of(now))
    await _find_area(session, caller, area_code)
    receivers = _RECEIVERS[len(area_code)]
    if not caller.covers(area_code, receivers):
        raise Problem("auth.forbidden", roles=", ".join(sorted(receivers)))
    sent: ChangeReturn = require_found(await _lock(session, area_code, first))
    if (sent.state, sent.decided_by) == (body.outcome, caller.id):
        return await show_change_return(session, caller, area_code, first, day_of(now))
    if sent.state != "sent":
        raise Problem("change_return.not_now", state=sent.state)
    if caller.acts_as(sent.sent_by):
        raise Problem("case.second_person")
    if body.outcome == "returned" and not body.reason.strip():
        raise Problem("review.reason_required")
    sent.state, sent.answer = body.outcome, body.reason.strip()
    sent.decided_by, sent.decided_at = caller.id, now
    action = Action.CHANGE_RETURN_CLOSED if body.outcome == "closed" else Action.CHANGE_RETURN_RETURNED
    _record(session, caller, action, area_code, first, reason=sent.answer or None)
    await session.flush()  # the detail below is queried
    return await show_change_return(session, caller, area_code, first, day_of(now))


async def _lock(session: AsyncSession, area_code: str, month: date) -> ChangeReturn | None:
    rows = select(ChangeReturn).where(ChangeReturn.area_code == area_code, ChangeReturn.month == month)
    sent: ChangeReturn | None = await session.scalar(rows.with_for_update())
    return sent


def _record(
    session: AsyncSession, caller: Caller, action: Action, area_code: str, month: date, **facts: object
) -> None:
    audit.record(
        session, caller, action, "area", area_code, area_code=area_code, month=month.isoformat(), **facts
    )  # fmt: skip
