"""The inbox of what other offices found of households that are paid: looked into by a day, never automatic.

Whoever looks writes what was done. What changes a payment is an act of the case, and takes two people there.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.cases.visit_orders import order_visit, survey_due_date
from server.core.access import Caller, readable, require_found, require_role
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of, end_of, length_of
from server.crosschecks.listing import CheckLine, check_line
from server.households.conflicts import require_no_conflict_of_interest
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.crosschecks import CHECKERS, CrossCheck, CrossCheckBatch
from server.models.households import Household, HouseholdMember
from server.models.people import Staff
from server.policy.resolver import load_overrides, load_policy_values

_SETTLE_KEY = "recheck.settle_days"
_EARLIEST_DUE_FIRST = Keyset(CrossCheck.due_on, CrossCheck.id)
SETTLEMENT_TEXTS = {"visit": "已安排入户核实", "acted": "已在案件中办理", "explained": "已说明，无需变动", None: ""}


class RecheckDifference(ResponseBody):
    """`line` is the same as on the case. `settlement` is null until somebody has written what was done."""

    line: CheckLine
    case_id: UUID
    application_number: str
    household_id: UUID
    head_name: str
    area_code: str
    area_name: str
    amount_fen: int | None
    due_on: date
    is_overdue: bool
    settlement: str | None
    settled_note: str
    settled_by_name: str | None
    settled_at: datetime | None


class SettleDifference(RequestBody):
    """`visit` orders a visit to the home; `acted` and `explained` change nothing by themselves."""

    settlement: Literal["visit", "acted", "explained"]
    note: Annotated[str, Meta(max_length=2000)]


async def set_due_days(
    session: AsyncSession, batch: CrossCheckBatch, checks: Sequence[CrossCheck], now: datetime
) -> None:
    """Give each person with a difference the day by which somebody looks into it."""
    settings = await load_policy_values(session, batch.area_code, day_of(now), [_SETTLE_KEY])
    due = end_of(day_of(now), length_of(settings, _SETTLE_KEY), await load_overrides(session)).on
    for check in checks:
        check.due_on = due if check.differences else None


async def list_differences(
    session: AsyncSession,
    caller: Caller,
    *,
    settled: bool,
    area: str | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[RecheckDifference]:
    """List what nobody has looked into yet, or what was done. One query."""
    require_role(caller, CHECKERS)
    is_settled = CrossCheck.settlement.is_not(None) if settled else CrossCheck.settlement.is_(None)
    rows = _select_lines(caller).where(is_settled)
    if area is not None:
        rows = rows.where(CaseFile.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _EARLIEST_DUE_FIRST, cursor, limit)
    return Page(items=[_line(day_of(now), *row) for row in page], next_cursor=next_cursor)


def _select_lines(caller: Caller) -> Any:
    """Select the differences of cases in the caller's areas: a county asks, its towns look into what is found."""
    return (
        select(
            CrossCheck,
            CrossCheckBatch.source,
            HouseholdMember.name,
            CaseFile,
            Household.head_name,
            Area.name,
            Staff.name,
        )
        .join(CrossCheckBatch, CrossCheckBatch.id == CrossCheck.batch_id)
        .join(CaseFile, CaseFile.id == CrossCheck.case_id)
        .join(Household, Household.id == CaseFile.household_id)
        .join(Area, Area.code == CaseFile.area_code)
        .outerjoin(HouseholdMember, HouseholdMember.id == CrossCheck.member_id)
        .outerjoin(Staff, Staff.id == CrossCheck.settled_by)
        .where(
            CrossCheck.due_on.is_not(None),
            func.jsonb_array_length(CrossCheck.differences) > 0,
            CaseFile.in_scope(caller),
        )
    )


def _line(
    today: date,
    check: CrossCheck,
    source: str,
    member_name: str | None,
    case: CaseFile,
    head_name: str,
    area_name: str,
    settled_by: str | None,
) -> RecheckDifference:
    assert check.due_on is not None
    return RecheckDifference(
        line=check_line(check, source, member_name),
        case_id=case.id,
        application_number=case.number,
        household_id=case.household_id,
        head_name=head_name,
        area_code=case.area_code,
        area_name=area_name,
        amount_fen=case.amount_fen,
        due_on=check.due_on,
        is_overdue=check.settlement is None and check.due_on < today,
        settlement=check.settlement,
        settled_note=check.settled_note,
        settled_by_name=settled_by,
        settled_at=check.settled_at,
    )


async def settle_difference(
    session: AsyncSession, caller: Caller, check_id: UUID, body: SettleDifference, now: datetime
) -> RecheckDifference:
    """Write what was done about a difference. Idempotent.

    Raises `case.reason_required`, `case.own_relative`, `case.check_nothing_due`, and `case.check_settled` when somebody
    has written otherwise.
    """
    require_role(caller, CHECKERS)
    check: CrossCheck = require_found(
        await session.scalar(select(CrossCheck).where(CrossCheck.id == check_id).with_for_update())
    )
    case: CaseFile = require_found(
        await session.scalar(readable(CaseFile, caller).where(CaseFile.id == check.case_id).with_for_update())
    )
    if not caller.covers(case.area_code, CHECKERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(CHECKERS)))
    await require_no_conflict_of_interest(session, caller, case.household_id)
    note = body.note.strip()
    if check.due_on is None or not check.differences:
        raise Problem("case.check_nothing_due")
    if not note:
        raise Problem("case.reason_required")
    if (check.settlement, check.settled_note) != (body.settlement, note):
        if check.settlement is not None:
            raise Problem("case.check_settled")
        if body.settlement == "visit":
            await order_visit(session, case, "review", await survey_due_date(session, case, day_of(now)), caller.id)
        check.settlement, check.settled_note = body.settlement, note
        check.settled_by, check.settled_at = caller.id, now
        audit.record(
            session, caller, Action.CROSS_CHECK_SETTLED, "cross_check", check.id, area_code=case.area_code,
            outcome=body.settlement, reason=note,
        )  # fmt: skip
        await session.flush()  # the line below is queried
    row = (await session.execute(_select_lines(caller).where(CrossCheck.id == check.id))).one()
    return _line(day_of(now), *row)
