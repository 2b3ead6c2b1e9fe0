"""What the register says of the figures that visits find, in the same terms, and the comparison of the two."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.figures import MONTHS_PER_YEAR, figure_of_income, figures_within, monthly_fen, yearly_fen
from server.models.cases import IncomeItem, PropertyItem
from server.models.found_figures import INCOME_FIGURES, MEMBER_FIGURES, PROPERTY_FIGURES, FoundFigure
from server.models.households import HouseholdMember

FigureKey = tuple[str, UUID | None]
Register = Mapping[FigureKey, int | str | None]


async def load_counted_incomes(
    session: AsyncSession, household_id: UUID, not_counted: Collection[str], on: date
) -> list[IncomeItem]:
    """Return the incomes and costs that a found total stands for: those of today that aren't left out by law."""
    rows = await session.scalars(
        select(IncomeItem).where(IncomeItem.household_id == household_id).order_by(IncomeItem.id)
    )
    return [row for row in rows if row.category not in not_counted and (row.ended_on is None or row.ended_on >= on)]


async def load_register(
    session: AsyncSession, household_id: UUID, not_counted: Collection[str], on: date
) -> dict[FigureKey, int | str | None]:
    """Return the register's figures: incomes in fen a month, property as sums or counts, members' codes."""
    register: dict[FigureKey, int | str | None] = {}
    incomes = await load_counted_incomes(session, household_id, not_counted, on)
    for key, fen in _sum_incomes(incomes).items():
        register[key] = fen // MONTHS_PER_YEAR
    kinds = {kind: figure for figure, kind in PROPERTY_FIGURES.items()}
    for item in await session.scalars(select(PropertyItem).where(PropertyItem.household_id == household_id)):
        if item.kind in kinds:
            key = (kinds[item.kind], None)
            amount = item.declared if item.verified is None else item.verified
            register[key] = int(register.get(key) or 0) + amount
    for member in await session.scalars(select(HouseholdMember).where(HouseholdMember.household_id == household_id)):
        register |= {(figure, member.id): getattr(member, figure) for figure in MEMBER_FIGURES}
    return register


def _sum_incomes(incomes: Sequence[IncomeItem]) -> dict[FigureKey, int]:
    """Add up a year's fen by figure, of the household and of each member."""
    sums: dict[FigureKey, int] = {}
    for income in incomes:
        fen = yearly_fen(income.declared_fen if income.verified_fen is None else income.verified_fen, income.period)
        for key in _keys_of(income):
            sums[key] = sums.get(key, 0) + fen
    return sums


def _keys_of(income: IncomeItem) -> Iterator[FigureKey]:
    own = figure_of_income(income.kind, income.category)
    for figure in INCOME_FIGURES:
        if own in figures_within(figure):
            yield figure, None
            if income.member_id is not None:
                yield figure, income.member_id


def differs(line: FoundFigure, register: Register) -> bool:
    """Say whether the register says something else than the line found."""
    registered = register.get((line.figure, line.member_id))
    if line.value is not None:
        return line.figure in MEMBER_FIGURES and registered != line.value
    assert line.amount is not None
    found = line.amount if line.months is None else monthly_fen(line.amount, line.months)
    return (registered or 0) != found


def found_over_a_year(line: FoundFigure) -> Fraction:
    assert line.amount is not None
    assert line.months is not None
    return Fraction(line.amount * MONTHS_PER_YEAR, line.months)
