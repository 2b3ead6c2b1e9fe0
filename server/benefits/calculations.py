"""The calculations of a case: made from the household and the policy settings of a month, and never changed."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.benefits.amounts import Calculated, EffectiveAmount, arrears_fen, calculate_amount
from server.benefits.programmes import Programme, as_programme
from server.benefits.sheet import BenefitFormula, Formulas, IncomeFacts, Line, MemberFacts, PropertyFacts, Receiving
from server.core.access import Caller, Role, readable, require_found, require_role
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.cases import GRANTED_STATES, Calculation, CaseFile, IncomeItem, PropertyItem
from server.models.households import HouseholdMember
from server.policy.resolver import load_policy_values_with_sources

STANDARD = "amount.standard_fen"
_CALCULATORS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})


class Calculate(RequestBody):
    """`month`: any day of the month from which the calculation counts."""

    month: date


class CalculationLine(ResponseBody):
    """`arrears_fen`: the change that this calculation makes to months already paid; null for the first."""

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
    programme: Programme | None


class HouseholdFacts(NamedTuple):
    """What a calculation reads of a household."""

    members: list[MemberFacts]
    incomes: list[IncomeFacts]
    properties: list[PropertyFacts]


async def calculate(
    session: AsyncSession, caller: Caller, case_id: UUID, body: Calculate, now: datetime
) -> CalculationLine:
    """Calculate the amount under the settings of a month. Earlier calculations stay unchanged.

    Raises `case.own_relative`, `case.closed` after a refusal or withdrawal, `case.programme_missing` until an officer
    has confirmed urban or rural, `case.standard_missing` when the area has no standard for that month.
    """
    require_role(caller, _CALCULATORS)
    case: CaseFile = require_found(
        await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id).with_for_update())
    )
    await require_no_conflict_of_interest(session, caller, case.household_id)
    if case.state in {"refused", "withdrawn"}:
        raise Problem("case.closed", state=case.state)
    month = body.month.replace(day=1)
    calculated = await _calculate(session, case, month)
    row = Calculation(
        id=new_id(),
        case_id=case.id,
        household_id=case.household_id,
        month=month,
        made_at=now,
        made_by=caller.id,
        amount_fen=calculated.amount_fen,
        eligible=calculated.eligible,
        body=msgspec.to_builtins(calculated),
    )
    session.add(row)
    audit.record(
        session,
        caller,
        Action.CASE_CALCULATED,
        "case",
        case.id,
        area_code=case.area_code,
        amount_fen=calculated.amount_fen,
    )
    await session.flush()  # the list below includes it
    return (await list_calculations(session, case))[0]


async def _calculate(session: AsyncSession, case: CaseFile, month: date) -> Calculated:
    programme = as_programme(case.programme)
    if programme is None:
        raise Problem("case.programme_missing")
    formulas = await load_formulas(session, case.area_code, month)
    if STANDARD not in formulas:
        raise Problem("case.standard_missing", month=month.isoformat())
    facts = (await load_facts(session, [case.household_id]))[case.household_id]
    return calculate_case(case, facts, formulas, programme, month)


async def load_formulas(session: AsyncSession, area_code: str, month: date) -> Formulas:
    """Return the formulas of an area and month. One query."""
    settings = await load_policy_values_with_sources(session, area_code, month, "amount.")
    return {key: BenefitFormula(value, source) for key, (value, source) in settings.items()}


async def load_facts(session: AsyncSession, household_ids: Sequence[UUID]) -> dict[UUID, HouseholdFacts]:
    """Return what calculations read of these households. Three queries for any number."""
    facts = {household_id: HouseholdFacts([], [], []) for household_id in household_ids}
    for member in await session.scalars(
        select(HouseholdMember)
        .where(HouseholdMember.household_id.in_(household_ids))
        .order_by(HouseholdMember.position)
    ):
        facts[member.household_id].members.append(_member_facts(member))
    for income in await session.scalars(
        select(IncomeItem).where(IncomeItem.household_id.in_(household_ids)).order_by(IncomeItem.id)
    ):
        facts[income.household_id].incomes.append(_income_facts(income))
    for item in await session.scalars(select(PropertyItem).where(PropertyItem.household_id.in_(household_ids))):
        facts[item.household_id].properties.append(_property_facts(item))
    return facts


def calculate_case(
    case: CaseFile, facts: HouseholdFacts, formulas: Formulas, programme: Programme, month: date
) -> Calculated:
    return calculate_amount(
        facts.members,
        facts.incomes,
        formulas,
        month=month,
        programme=programme,
        receiving=receiving_in(case, month),
        properties=facts.properties,
    )


def receiving_in(case: CaseFile, month: date) -> Receiving | None:
    """Return since when and how much the household is paid, if it is in this month."""
    if case.state not in GRANTED_STATES or case.paid_from is None or case.paid_from > month or case.amount_fen is None:
        return None
    return Receiving(case.paid_from, case.amount_fen)


def _member_facts(member: HouseholdMember) -> MemberFacts:
    return MemberFacts(
        id=member.id,
        name=member.name,
        born_on=member.born_on,
        relation=member.relation,
        health=member.health,
        school=member.school,
        work=member.work,
        disability_kind=member.disability_kind,
        disability_grade=member.disability_grade,
        illness=member.illness,
    )


def _income_facts(income: IncomeItem) -> IncomeFacts:
    return IncomeFacts(
        kind=income.kind,
        category=income.category,
        period=income.period,
        amount_fen=income.declared_fen if income.verified_fen is None else income.verified_fen,
        member_id=income.member_id,
        started_on=income.started_on,
        ended_on=income.ended_on,
        origin="visit" if income.source_visit_id else "declared" if income.verified_fen is None else "verified",
        visit_id=income.source_visit_id,
    )


def _property_facts(item: PropertyItem) -> PropertyFacts:
    return PropertyFacts(kind=item.kind, amount=item.declared if item.verified is None else item.verified)


def _arrears_until(case: CaseFile, history: list[EffectiveAmount], amount: EffectiveAmount, made_at: datetime) -> int:
    """Return the arrears for the months paid until now: nothing is owed before the first of them."""
    if case.paid_from is None:
        return 0
    paid_part = msgspec.structs.replace(amount, month=max(amount.month, case.paid_from))
    return arrears_fen(history, paid_part, day_of(made_at).replace(day=1))


async def list_calculations(session: AsyncSession, case: CaseFile) -> list[CalculationLine]:
    """List the calculations of a case, the newest first."""
    rows = list(
        await session.scalars(
            select(Calculation).where(Calculation.case_id == case.id).order_by(Calculation.made_at, Calculation.id)
        )
    )
    lines: list[CalculationLine] = []
    history: list[EffectiveAmount] = []
    for row in rows:
        amount = EffectiveAmount(row.month, (row.made_at, row.id), row.amount_fen)
        arrears = _arrears_until(case, history, amount, row.made_at) if history else None
        history.append(amount)
        calculated = msgspec.convert(row.body, Calculated)
        lines.append(
            CalculationLine(
                id=row.id,
                made_at=row.made_at,
                month=row.month,
                amount_fen=row.amount_fen,
                eligible=row.eligible,
                income_fen=calculated.income_fen,
                standard_fen=calculated.standard_fen,
                covered=calculated.covered,
                lines=calculated.lines,
                arrears_fen=arrears,
                programme=calculated.programme,
            )
        )
    return lines[::-1]
