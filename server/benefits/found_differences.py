"""Where a calculation uses other incomes than the newest accepted visit found, in fen a head and month."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.amounts import Calculated, Line
from server.benefits.changes import decided_calculation, latest_calculation
from server.benefits.figures import MONTHS_PER_YEAR, figures_within
from server.benefits.register_figures import found_over_a_year
from server.models.cases import Calculation, CaseFile
from server.models.found_figures import INCOME_FIGURES, FoundFigure
from server.models.households import HouseholdMember

TOLERANCE = "case.found_difference_fen"


class FoundDifference(NamedTuple):
    """`figures_hash` names the lines that were compared: another visit is another difference."""

    calculation: Calculation
    per_head_fen: int
    figures_hash: str


async def find_difference(session: AsyncSession, case: CaseFile, step: str) -> FoundDifference | None:
    """Compare the visit with the calculation that the step rests on; None where one of the two is missing."""
    confirms = step == "confirmed"
    calculation = await (decided_calculation(session, case) if confirms else latest_calculation(session, case))
    figures = await list_income_figures(session, case)
    if calculation is None or not figures:
        return None
    heads: int = await session.scalar(
        select(func.count()).where(HouseholdMember.household_id == case.household_id)
    ) or 1  # fmt: skip
    lines = msgspec.convert(calculation.body, Calculated).lines
    yearly = sum((abs(found_over_a_year(figure) - _used(figure, lines)) for figure in figures), Fraction(0))
    names = ",".join(sorted(str(figure.id) for figure in figures))
    return FoundDifference(
        calculation,
        int(yearly / MONTHS_PER_YEAR / heads),
        hashlib.sha256(names.encode()).hexdigest(),
    )


async def list_income_figures(session: AsyncSession, case: CaseFile) -> list[FoundFigure]:
    rows = await session.scalars(
        select(FoundFigure)
        .where(FoundFigure.case_id == case.id, FoundFigure.state == "current", FoundFigure.figure.in_(INCOME_FIGURES))
        .order_by(FoundFigure.id)
    )
    return list(rows)


def _used(figure: FoundFigure, lines: Sequence[Line]) -> int:
    """Return the year's fen that a calculation uses for a figure, of one member or of the household."""
    within = figures_within(figure.figure)
    return sum(
        line.yearly_fen or 0
        for line in lines
        if line.figure in within and (figure.member_id is None or line.member_id == figure.member_id)
    )
