"""The end of a gradual exit (渐退期): found ahead each night, told to the household, and a line of the inbox.

The household is paid on until somebody has calculated and two people have decided; the line stands until then. Where
there is a reason to wait, the county defers it by some months.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.benefits.calculations import STANDARD, HouseholdFacts, calculate_case, load_facts, load_formulas
from server.benefits.changes import latest_calculation, month_after
from server.benefits.exit_grace import GRACE_KEY
from server.benefits.programmes import as_programme
from server.benefits.sheet import Formulas, months_between
from server.core import jobs
from server.core.access import DESK_ROLES, Caller, Role, readable, require_found, require_role
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.job_types import FindGraceEnds, Notify
from server.core.paging import Keyset, Page, fetch_page
from server.core.services import Services
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.areas import Area
from server.models.cases import CaseFile, IncomeItem
from server.models.grace import GraceEnd
from server.models.households import Household
from server.models.people import Staff
from server.policy.resolver import load_policy_values

DEFERRERS = frozenset({Role.COUNTY_OFFICER})
_MOST_KEY = "grace.defer_most_months"
_STEP = 500
# Steps of a case after which nobody needs to look: what is paid was decided anew, or has ended.
_SETTLING_STEPS = frozenset({"amount_changed", "stopped"})
_EARLIEST_DUE_FIRST = Keyset(GraceEnd.due_on, GraceEnd.id)


class GraceEndLine(ResponseBody):
    """`ends_on`: the first month without grace. `due_on` is the same, or later where it was deferred."""

    id: UUID
    case_id: UUID
    application_number: str
    household_id: UUID
    head_name: str
    area_code: str
    area_name: str
    amount_fen: int | None
    ends_on: date
    due_on: date
    is_overdue: bool
    deferral_reason: str
    deferred_by_name: str | None


class DeferGraceEnd(RequestBody):
    """`until`: any day of the month in which it is looked at again."""

    until: date
    reason: Annotated[str, Meta(min_length=2, max_length=1000)]


class KeepAmount(RequestBody):
    reason: Annotated[str, Meta(min_length=2, max_length=1000)]


@jobs.task(FindGraceEnds, cron="35 16 * * *")
async def find_grace_ends(services: Services, _: FindGraceEnds) -> None:
    """Look ahead to the end of next month, in short transactions. Idempotent."""
    last: UUID | None = UUID(int=0)
    while last is not None:
        async with open_session(services.sessions) as session:
            last = await find_step(session, last, utc_now())


async def find_step(session: AsyncSession, beyond: UUID, now: datetime) -> UUID | None:
    """Look at the next cases with new work; return the case to go on from, None after the last."""
    works = exists().where(
        IncomeItem.household_id == CaseFile.household_id,
        IncomeItem.kind == "wage",
        IncomeItem.started_on.is_not(None),
        IncomeItem.ended_on.is_(None),
    )
    rows = select(CaseFile).where(
        CaseFile.id > beyond, CaseFile.state == "in_force", CaseFile.stopped_from.is_(None), works
    )
    cases = list(await session.scalars(rows.order_by(CaseFile.id).limit(_STEP)))
    facts = await load_facts(session, [case.household_id for case in cases])
    this_month = day_of(now).replace(day=1)
    rules: dict[tuple[str, date], Formulas] = {}
    for case in cases:
        for month in (this_month, month_after(this_month)):
            if (case.area_code, month) not in rules:
                rules[case.area_code, month] = await load_formulas(session, case.area_code, month)
        months = [(month, rules[case.area_code, month]) for month in (this_month, month_after(this_month))]
        ends_on = _first_month_without(case, facts[case.household_id], months)
        if ends_on is not None:
            await _write_line(session, case, ends_on, now)
    return cases[-1].id if len(cases) == _STEP else None


def _first_month_without(case: CaseFile, facts: HouseholdFacts, months: Sequence[tuple[date, Formulas]]) -> date | None:
    """Return the first of these months in which the grace is over, if new work is what lifts the household."""
    programme = as_programme(case.programme)
    for month, formulas in months:
        if programme is None or not facts.members or STANDARD not in formulas:
            return None
        lines = calculate_case(case, facts, formulas, programme, month).lines
        if any(line.rule == GRACE_KEY and not line.amount_fen for line in lines):
            return month
    return None


async def _write_line(session: AsyncSession, case: CaseFile, ends_on: date, now: datetime) -> None:
    """Write the line unless one is open, or it was decided on since the month began."""
    earlier = select(GraceEnd.id).where(
        GraceEnd.case_id == case.id, GraceEnd.settled_at.is_(None) | (GraceEnd.ends_on >= ends_on)
    )
    if await session.scalar(earlier.limit(1)) is not None:
        return
    row = insert(GraceEnd).values(
        id=new_id(), case_id=case.id, household_id=case.household_id, area_code=case.area_code, ends_on=ends_on,
        due_on=ends_on, found_at=now,
    )  # fmt: skip
    line_id = await session.scalar(row.on_conflict_do_nothing().returning(GraceEnd.id))
    if line_id is not None:
        notice = Notify(
            kind="grace_ending",
            thing=f"grace:{line_id}",
            area_code=case.area_code,
            household_id=case.household_id,
            facts={"caseId": str(case.id), "on": ends_on.isoformat()},
        )
        await jobs.defer(session, notice)


async def list_grace_ends(
    session: AsyncSession, caller: Caller, *, area: str | None, cursor: str | None, limit: int, now: datetime
) -> Page[GraceEndLine]:
    """List what nobody has decided on yet, the earliest due first. One query."""
    require_role(caller, DESK_ROLES)
    rows = _select_lines(caller).where(GraceEnd.settled_at.is_(None), CaseFile.state == "in_force")
    if area is not None:
        rows = rows.where(GraceEnd.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _EARLIEST_DUE_FIRST, cursor, limit)
    return Page(items=[_line(day_of(now), *row) for row in page], next_cursor=next_cursor)


def _select_lines(caller: Caller) -> Any:
    deferrer = aliased(Staff)
    return (
        select(GraceEnd, CaseFile, Household.head_name, Area.name, deferrer.name)
        .join(CaseFile, CaseFile.id == GraceEnd.case_id)
        .join(Household, Household.id == GraceEnd.household_id)
        .join(Area, Area.code == GraceEnd.area_code)
        .outerjoin(deferrer, deferrer.id == GraceEnd.deferred_by)
        .where(GraceEnd.in_scope(caller))
    )


def _line(
    today: date, grace: GraceEnd, case: CaseFile, head_name: str, area_name: str, deferrer: str | None
) -> GraceEndLine:
    return GraceEndLine(
        id=grace.id,
        case_id=case.id,
        application_number=case.number,
        household_id=case.household_id,
        head_name=head_name,
        area_code=grace.area_code,
        area_name=area_name,
        amount_fen=case.amount_fen,
        ends_on=grace.ends_on,
        due_on=grace.due_on,
        is_overdue=grace.due_on <= today,
        deferral_reason=grace.deferral_reason,
        deferred_by_name=deferrer,
    )


async def defer_grace_end(
    session: AsyncSession, caller: Caller, line_id: UUID, body: DeferGraceEnd, now: datetime
) -> GraceEndLine:
    """Defer the day by which somebody looks, counted from the end of the grace. Idempotent.

    Raises `request.invalid` for a month that is no later one, or later than the area allows, and `case.not_now` once it
    was decided on.
    """
    require_role(caller, DEFERRERS)
    rows = readable(GraceEnd, caller).where(GraceEnd.id == line_id).with_for_update()
    grace: GraceEnd = require_found(await session.scalar(rows))
    if not caller.covers(grace.area_code, DEFERRERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(DEFERRERS)))
    until, reason = body.until.replace(day=1), body.reason.strip()
    if (grace.due_on, grace.deferral_reason) != (until, reason):
        if grace.settled_at is not None:
            raise Problem("case.not_now", state="in_force")
        settings = await load_policy_values(session, grace.area_code, day_of(now), [_MOST_KEY])
        most = int(settings[_MOST_KEY])
        if until <= grace.due_on or months_between(grace.ends_on, until) > most:
            raise Problem("request.invalid", faults=[Fault("/until", "month.too_far", f"{grace.ends_on} + {most}")])
        grace.due_on, grace.deferral_reason = until, reason
        grace.deferred_by, grace.deferred_at = caller.id, now
        audit.record(
            session, caller, Action.GRACE_DEFERRED, "grace_end", grace.id, area_code=grace.area_code,
            case_id=str(grace.case_id), due_on=until.isoformat(), reason=reason,
        )  # fmt: skip
        await session.flush()  # the line below is queried
    row = (await session.execute(_select_lines(caller).where(GraceEnd.id == grace.id))).one()
    return _line(day_of(now), *row)


async def keep_amount(
    session: AsyncSession, caller: Caller, line_id: UUID, body: KeepAmount, now: datetime
) -> GraceEndLine:
    """Settle a line whose new calculation gives what is paid: nothing moves. Idempotent.

    Another person than who calculated says so. Raises `grace.not_calculated` without a calculation of the month that
    was made since the line was found and gives the same amount, `case.second_person`, and `case.not_now` once it was
    decided on.
    """
    require_role(caller, DEFERRERS)
    rows = readable(GraceEnd, caller).where(GraceEnd.id == line_id).with_for_update()
    grace: GraceEnd = require_found(await session.scalar(rows))
    if not caller.covers(grace.area_code, DEFERRERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(DEFERRERS)))
    if grace.settled_by != caller.id:
        if grace.settled_at is not None:
            raise Problem("case.not_now", state="in_force")
        await require_no_conflict_of_interest(session, caller, grace.household_id)
        await _require_same_amount(session, caller, grace)
        grace.settled_at, grace.settled_by, grace.settled_reason = now, caller.id, body.reason.strip()
        audit.record(
            session, caller, Action.GRACE_AMOUNT_KEPT, "grace_end", grace.id, area_code=grace.area_code,
            case_id=str(grace.case_id), reason=grace.settled_reason,
        )  # fmt: skip
        await session.flush()  # the line below is queried
    row = (await session.execute(_select_lines(caller).where(GraceEnd.id == grace.id))).one()
    return _line(day_of(now), *row)


async def _require_same_amount(session: AsyncSession, caller: Caller, grace: GraceEnd) -> None:
    case = await session.get_one(CaseFile, grace.case_id)
    latest = await latest_calculation(session, case)
    if (
        latest is None
        or latest.made_at < grace.found_at
        or latest.month < grace.ends_on
        or not latest.eligible
        or latest.amount_fen != case.amount_fen
    ):
        raise Problem("grace.not_calculated")
    if caller.acts_as(latest.made_by):
        raise Problem("case.second_person")


async def settle_grace_ends(session: AsyncSession, case: CaseFile, step: str, now: datetime) -> None:
    """Settle the open line of a case that was decided on."""
    if step not in _SETTLING_STEPS:
        return
    rows = select(GraceEnd).where(GraceEnd.case_id == case.id, GraceEnd.settled_at.is_(None))
    for grace in await session.scalars(rows):
        grace.settled_at = now
