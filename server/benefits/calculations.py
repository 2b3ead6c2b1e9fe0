"""The written calculation of a case: made from the household and the rules of a month, kept for ever."""

from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.benefits.amounts import (
    BenefitFormula,
    Calculated,
    Counted,
    IncomeFacts,
    Line,
    MemberFacts,
    arrears_fen,
    calculate_amount,
    residence_of,
)
from server.benefits.sourced_settings import rules_with_sources
from server.core.access import Caller, Role, found, readable, require
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.cases import Calculation, CaseFile, IncomeItem
from server.models.households import HouseholdMember

_WHO = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})


class Calculate(RequestBody):
    """`month`: any day of the month from which the calculation counts."""

    month: date


class CalculationLine(ResponseBody):
    """`arrears_fen`: what this one changed for months before it was made; null for the first."""

    id: UUID
    made_at: datetime
    month: date
    amount_fen: int
    eligible: bool
    income_fen: int
    standard_fen: int
    covered: list[UUID]
    lines: list[Line]
    arrears_fen: int | None


async def calculate(
    session: AsyncSession, caller: Caller, case_id: UUID, asked: Calculate, now: datetime
) -> CalculationLine:
    """Reckon the amount by the rules of the asked month. The earlier calculations stay as they are.

    Raises `case.own_relative`, `case.closed` after a refusal or withdrawal, `case.standard_missing` where no
    standard holds.
    """
    require(caller, _WHO)
    case: CaseFile = found(
        await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id).with_for_update())
    )
    await require_no_conflict_of_interest(session, caller, case.household_id)
    if case.state in {"refused", "withdrawn"}:
        raise Problem("case.closed", state=case.state)
    month = asked.month.replace(day=1)
    told = await _reckon(session, case, month)
    row = Calculation(
        id=new_id(),
        case_id=case.id,
        household_id=case.household_id,
        month=month,
        made_at=now,
        made_by=caller.id,
        amount_fen=told.amount_fen,
        eligible=told.eligible,
        body=msgspec.to_builtins(told),
    )
    session.add(row)
    audit.record(
        session, caller, "case.calculated", "case", case.id, area_code=case.area_code, amount_fen=told.amount_fen
    )
    await session.flush()  # listed with the others
    return (await list_calculations(session, case))[0]


async def _reckon(session: AsyncSession, case: CaseFile, month: date) -> Calculated:
    ruled = await rules_with_sources(session, case.area_code, month, "amount.")
    if "amount.standard_fen" not in ruled:
        raise Problem("case.standard_missing", month=month.isoformat())
    members = await session.scalars(
        select(HouseholdMember)
        .where(HouseholdMember.household_id == case.household_id)
        .order_by(HouseholdMember.position)
    )
    incomes = await session.scalars(
        select(IncomeItem).where(IncomeItem.household_id == case.household_id).order_by(IncomeItem.id)
    )
    return calculate_amount(
        [_member(one) for one in members],
        [_income(one) for one in incomes],
        {key: BenefitFormula(one.value, one.source) for key, one in ruled.items()},
        month=month,
        residence=residence_of(case.area_code),
        receiving_since=case.paid_from,
    )


def _member(one: HouseholdMember) -> MemberFacts:
    return MemberFacts(
        id=one.id, name=one.name, born_on=one.born_on, relation=one.relation, health=one.health, school=one.school
    )


def _income(one: IncomeItem) -> IncomeFacts:
    return IncomeFacts(
        kind=one.kind,
        category=one.category,
        period=one.period,
        amount_fen=one.declared_fen if one.verified_fen is None else one.verified_fen,
        member_id=one.member_id,
        started_on=one.started_on,
        ended_on=one.ended_on,
    )


def _arrears(case: CaseFile, history: list[Counted], this: Counted, made_at: datetime) -> int:
    """For the months that are paid: before the first of them nothing is owed."""
    if case.paid_from is None:
        return 0
    since = msgspec.structs.replace(this, month=max(this.month, case.paid_from))
    return arrears_fen(history, since, day_of(made_at).replace(day=1))


async def list_calculations(session: AsyncSession, case: CaseFile) -> list[CalculationLine]:
    """All calculations of a case, the newest first."""
    rows = list(
        await session.scalars(
            select(Calculation).where(Calculation.case_id == case.id).order_by(Calculation.made_at, Calculation.id)
        )
    )
    lines: list[CalculationLine] = []
    history: list[Counted] = []
    for row in rows:
        this = Counted(row.month, (row.made_at, row.id), row.amount_fen)
        arrears = _arrears(case, history, this, row.made_at) if history else None
        history.append(this)
        told = msgspec.convert(row.body, Calculated)
        lines.append(
            CalculationLine(
                id=row.id,
                made_at=row.made_at,
                month=row.month,
                amount_fen=row.amount_fen,
                eligible=row.eligible,
                income_fen=told.income_fen,
                standard_fen=told.standard_fen,
                covered=told.covered,
                lines=told.lines,
                arrears_fen=arrears,
            )
        )
    return lines[::-1]
