"""Where a calculation uses other incomes than accepted visits or cross-checks found, in fen a head and month."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.amounts import Calculated
from server.benefits.changes import decided_calculation, latest_calculation
from server.benefits.check_differences import CheckedIncome, list_checked_incomes, load_checked_incomes, sum_excess
from server.benefits.figures import MONTHS_PER_YEAR, figures_within
from server.benefits.register_figures import found_over_a_year
from server.benefits.sheet import Line
from server.models.cases import Calculation, CaseFile
from server.models.found_figures import INCOME_FIGURES, FoundFigure
from server.models.households import HouseholdMember

TOLERANCE = "case.found_difference_fen"


class FoundDifference(NamedTuple):
    """`per_head_fen` is the greater of two: between visit and calculation, and what offices found above it.

    `figures_hash` names what was compared: another visit, or another answer of an office, is another difference.
    """

    calculation: Calculation
    per_head_fen: int
    visit_fen: int
    check_fen: int
    figures_hash: str


async def find_difference(session: AsyncSession, case: CaseFile, step: str) -> FoundDifference | None:
    """Compare visits and cross-checks with the calculation that the step rests on; None where nothing was found."""
    confirms = step == "confirmed"
    calculation = await (decided_calculation(session, case) if confirms else latest_calculation(session, case))
    figures = await list_income_figures(session, case)
    checked = await list_checked_incomes(session, case)
    heads = await _count_heads(session, [case])
    return _compare(calculation, figures, checked, heads.get(case.household_id, 1))


async def find_differences(session: AsyncSession, cases: Sequence[CaseFile]) -> dict[UUID, FoundDifference]:
    """Compare the same with the latest calculation of each of many cases. Four queries for any number."""
    ids = [case.id for case in cases]
    latest = await session.scalars(
        select(Calculation)
        .where(Calculation.case_id.in_(ids))
        .ext(distinct_on(Calculation.case_id))
        .order_by(Calculation.case_id, Calculation.made_at.desc(), Calculation.id.desc())
    )
    calculations = {calculation.case_id: calculation for calculation in latest}
    figures: dict[UUID, list[FoundFigure]] = {}
    for figure in await session.scalars(_select_income_figures(ids)):
        figures.setdefault(figure.case_id, []).append(figure)
    checked = await load_checked_incomes(session, ids)
    heads = await _count_heads(session, cases)
    compared = {
        case.id: _compare(
            calculations.get(case.id),
            figures.get(case.id, []),
            checked.get(case.id, []),
            heads.get(case.household_id, 1),
        )
        for case in cases
    }
    return {case_id: difference for case_id, difference in compared.items() if difference is not None}


async def _count_heads(session: AsyncSession, cases: Sequence[CaseFile]) -> dict[UUID, int]:
    rows = await session.execute(
        select(HouseholdMember.household_id, func.count())
        .where(HouseholdMember.household_id.in_([case.household_id for case in cases]))
        .group_by(HouseholdMember.household_id)
    )
    return dict(rows.all())


def _compare(
    calculation: Calculation | None, figures: Sequence[FoundFigure], checked: Sequence[CheckedIncome], heads: int
) -> FoundDifference | None:
    if calculation is None or not (figures or checked):
        return None
    lines = msgspec.convert(calculation.body, Calculated).lines
    visit_fen = visit_difference_fen(figures, lines, heads)
    names = sorted(str(figure.id) for figure in figures) + sorted(
        f"{income.check_id}:{income.figure}:{income.found_fen}" for income in checked
    )
    check_fen = check_difference_fen(checked, lines, heads)
    return FoundDifference(
        calculation,
        max(visit_fen, check_fen),
        visit_fen,
        check_fen,
        hashlib.sha256(",".join(names).encode()).hexdigest(),
    )


def visit_difference_fen(figures: Sequence[FoundFigure], lines: Sequence[Line], heads: int) -> int:
    """Return how far a calculation is from what visits found, a head and month."""
    yearly = sum((abs(found_over_a_year(figure) - _used(figure, lines)) for figure in figures), Fraction(0))
    return int(yearly / MONTHS_PER_YEAR / heads)


def check_difference_fen(checked: Sequence[CheckedIncome], lines: Sequence[Line], heads: int) -> int:
    """Return how much more than a calculation offices found, a head and month."""
    return int(sum_excess(checked, lines) / MONTHS_PER_YEAR / heads)


async def list_income_figures(session: AsyncSession, case: CaseFile) -> list[FoundFigure]:
    return list(await session.scalars(_select_income_figures([case.id])))


def _select_income_figures(case_ids: Sequence[UUID]) -> Select[FoundFigure]:
    return (
        select(FoundFigure)
        .where(
            FoundFigure.case_id.in_(case_ids),
            FoundFigure.state == "current",
            FoundFigure.figure.in_(INCOME_FIGURES),
        )
        .order_by(FoundFigure.id)
    )


def _used(figure: FoundFigure, lines: Sequence[Line]) -> int:
    """Return the year's fen that a calculation uses for a figure, of one member or of the household."""
    within = figures_within(figure.figure)
    return sum(
        line.yearly_fen or 0
        for line in lines
        if line.figure in within and (figure.member_id is None or line.member_id == figure.member_id)
    )
