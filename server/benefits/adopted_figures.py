"""Adopt a found figure: it becomes the verified figure of the register, whose source is the visit.

A found total replaces what was declared of its kind and never adds to it. What it replaced is kept with the line, and
put back when the visit is no longer accepted.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.counted_incomes import not_counted_categories
from server.benefits.figures import MONTHS_PER_YEAR, figure_of_income, figures_within, yearly_fen
from server.benefits.register_figures import load_counted_incomes
from server.core.access import Caller
from server.core.errors import Problem
from server.core.ids import new_id
from server.core.working_days import day_of
from server.households.versions import keep_first_version, keep_version
from server.models.cases import IncomeItem, PropertyItem
from server.models.found_figures import INCOME_FIGURES, PROPERTY_FIGURES, FoundFigure
from server.models.households import Household, HouseholdMember
from server.models.visits import Visit
from server.policy.resolver import load_policy_values
from server.sync_feed.publish import publish_change


class _StoredIncome(msgspec.Struct):
    """A replaced row of `income_item`."""

    id: UUID
    household_id: UUID
    member_id: UUID | None
    kind: str
    category: str
    period: str
    declared_fen: int
    verified_fen: int | None
    verified_by: UUID | None
    started_on: date | None
    ended_on: date | None
    source_visit_id: UUID | None


class _StoredProperty(msgspec.Struct):
    """A replaced row of `property_item`."""

    id: UUID
    household_id: UUID
    member_id: UUID | None
    kind: str
    note: str
    declared: int
    verified: int | None
    verified_by: UUID | None
    source_visit_id: UUID | None


async def adopt_figure(
    session: AsyncSession, caller: Caller, household: Household, line: FoundFigure, now: datetime
) -> None:
    """Write the figure into the register and keep a version. The household must be locked.

    Raises `found_figure.total_adopted` for a member's part of an income whose total stands by a visit, and
    `thing.not_found` for a member who has left.
    """
    await keep_first_version(session, household, now)
    if line.figure in INCOME_FIGURES:
        await _adopt_income(session, caller, household, line, day_of(now))
    elif line.figure in PROPERTY_FIGURES:
        await _adopt_property(session, caller, household, line)
    else:
        await _adopt_member(session, household, line)
    await _keep(session, caller, household, "采用走访查实数", now)


async def load_not_counted(session: AsyncSession, area_code: str, on: date) -> frozenset[str]:
    """Return the categories of income that the law or the area leaves out."""
    settings = await load_policy_values(session, area_code, on, ["amount.not_counted"])
    return not_counted_categories(settings.get("amount.not_counted", []), on)


async def _adopt_income(
    session: AsyncSession, caller: Caller, household: Household, line: FoundFigure, today: date
) -> None:
    """Replace the counted incomes of the figure. Categories that the law leaves out stay as they are."""
    not_counted = await load_not_counted(session, household.area_code, today)
    incomes = await load_counted_incomes(session, household.id, not_counted, today)
    within = figures_within(line.figure)
    same = [income for income in incomes if figure_of_income(income.kind, income.category) in within]
    if line.member_id is not None:
        if any(income.member_id is None and income.source_visit_id is not None for income in same):
            raise Problem("found_figure.total_adopted")
        same = [income for income in same if income.member_id == line.member_id]
    row = _make_income(household, line, same, caller.id)
    line.replaced = [
        msgspec.to_builtins(msgspec.convert(income, _StoredIncome, from_attributes=True)) for income in same
    ]
    for income in same:
        await session.delete(income)
    session.add(row)


def _make_income(household: Household, line: FoundFigure, same: Sequence[IncomeItem], verifier: UUID) -> IncomeItem:
    """Keep the member and category where a single row is replaced, and the first day of the job."""
    assert line.amount is not None
    assert line.months is not None
    is_monthly = line.months != MONTHS_PER_YEAR and line.amount % line.months == 0
    period = "month" if is_monthly else "year"
    declared = sum(yearly_fen(income.declared_fen, income.period) for income in same)
    owners = {income.member_id for income in same}
    single = same[0] if len(same) == 1 else None
    return IncomeItem(
        id=new_id(),
        household_id=household.id,
        member_id=line.member_id or (owners.pop() if len(owners) == 1 else None),
        kind="cost" if line.figure == "work_cost" else line.figure,
        category="work" if line.figure == "work_cost" else single.category if single else "",
        period=period,
        declared_fen=declared // MONTHS_PER_YEAR if is_monthly else declared,
        verified_fen=line.amount // line.months if is_monthly else _half_up(line.amount * MONTHS_PER_YEAR, line.months),
        verified_by=verifier,
        started_on=_find_start(same),
        ended_on=None,
        source_visit_id=line.visit_id,
    )


def _find_start(same: Sequence[IncomeItem]) -> date | None:
    """Return the first day of the oldest job, so that a total over several jobs has no longer exit than any of them.

    With a job whose first day nobody knows there is none: that one was counted all along.
    """
    starts = [income.started_on for income in same]
    return min((start for start in starts if start is not None), default=None) if None not in starts else None


def _half_up(amount: int, parts: int) -> int:
    return (2 * amount + parts) // (2 * parts)


async def _adopt_property(session: AsyncSession, caller: Caller, household: Household, line: FoundFigure) -> None:
    kind = PROPERTY_FIGURES[line.figure]
    same = list(
        await session.scalars(
            select(PropertyItem)
            .where(PropertyItem.household_id == household.id, PropertyItem.kind == kind)
            .order_by(PropertyItem.id)
        )
    )
    line.replaced = [msgspec.to_builtins(msgspec.convert(item, _StoredProperty, from_attributes=True)) for item in same]
    for item in same:
        await session.delete(item)
    session.add(
        PropertyItem(
            id=new_id(),
            household_id=household.id,
            member_id=same[0].member_id if len(same) == 1 else None,
            kind=kind,
            note="；".join(dict.fromkeys(item.note for item in same if item.note)),
            declared=sum(item.declared for item in same),
            verified=line.amount,
            verified_by=caller.id,
            source_visit_id=line.visit_id,
        )
    )


async def _adopt_member(session: AsyncSession, household: Household, line: FoundFigure) -> None:
    member = await session.get(HouseholdMember, line.member_id)
    if member is None or member.household_id != household.id:
        raise Problem("thing.not_found")
    line.replaced = [{"before": getattr(member, line.figure)}]
    setattr(member, line.figure, line.value)


async def take_back(
    session: AsyncSession, caller: Caller | None, household: Household, lines: Sequence[FoundFigure], now: datetime
) -> None:
    """Put back what these withdrawn lines replaced. What somebody has written since stays as it is."""
    restored = [await _take_back_line(session, household, line) for line in lines]
    if any(restored):
        await _keep(session, caller, household, "走访不再通过，恢复原登记", now)


async def _take_back_line(session: AsyncSession, household: Household, line: FoundFigure) -> bool:
    if line.value is not None:
        member = await session.get(HouseholdMember, line.member_id)
        if member is None or member.household_id != household.id or getattr(member, line.figure) != line.value:
            return False
        setattr(member, line.figure, line.replaced[0]["before"])
        return True
    row = await _find_row(session, line)
    if row is None:
        return False
    await session.delete(row)
    await session.flush()  # a restored row has its old id
    is_income = line.figure in INCOME_FIGURES
    for stored in await _rows_before(session, line):
        if is_income:
            session.add(IncomeItem(**msgspec.structs.asdict(msgspec.convert(stored, _StoredIncome, strict=False))))
        else:
            session.add(PropertyItem(**msgspec.structs.asdict(msgspec.convert(stored, _StoredProperty, strict=False))))
    return True


async def _find_row(session: AsyncSession, line: FoundFigure) -> IncomeItem | PropertyItem | None:
    """Return the row that the line wrote, None once a person has changed or removed it."""
    if line.figure in PROPERTY_FIGURES:
        of_visit = PropertyItem.source_visit_id == line.visit_id, PropertyItem.kind == PROPERTY_FIGURES[line.figure]
        item: PropertyItem | None = await session.scalar(select(PropertyItem).where(*of_visit).limit(1))
        return item
    incomes = await session.scalars(
        select(IncomeItem).where(IncomeItem.source_visit_id == line.visit_id).order_by(IncomeItem.id)
    )
    for income in incomes:
        is_own = line.member_id is None or income.member_id == line.member_id
        if is_own and figure_of_income(income.kind, income.category) in figures_within(line.figure):
            return income
    return None


async def _rows_before(session: AsyncSession, line: FoundFigure) -> list[dict[str, Any]]:
    """Return the rows that the line replaced; for one of a visit that isn't accepted either, those before it."""
    rows: list[dict[str, Any]] = []
    for stored in line.replaced:
        earlier = await _find_withdrawn(session, line, stored.get("source_visit_id"))
        rows += [stored] if earlier is None else await _rows_before(session, earlier)
    return rows


async def _find_withdrawn(session: AsyncSession, line: FoundFigure, visit_id: str | None) -> FoundFigure | None:
    if visit_id is None:
        return None
    withdrawn: FoundFigure | None = await session.scalar(
        select(FoundFigure)
        .join(Visit, Visit.id == FoundFigure.visit_id)
        .where(
            FoundFigure.visit_id == UUID(visit_id),
            FoundFigure.id != line.id,
            FoundFigure.figure == line.figure,
            FoundFigure.verdict == "adopted",
            Visit.state != "accepted",
        )
        .order_by(FoundFigure.id.desc())
        .limit(1)
    )
    return withdrawn


async def _keep(session: AsyncSession, caller: Caller | None, household: Household, reason: str, now: datetime) -> None:
    household.updated_at = now
    await session.flush()  # the version is read from the tables
    await keep_version(session, caller, household, reason, now)
    await publish_change(session, "households", [household.id])
