"""What answered cross-checks found of wages and pensions above what a calculation uses.

An office that finds less than was declared proves nothing: it knows its own part of an income only.
"""

from collections.abc import Collection, Sequence
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.figures import MONTHS_PER_YEAR
from server.benefits.sheet import Line
from server.models.cases import CaseFile
from server.models.crosschecks import CrossCheck, CrossCheckBatch

# The income that an answer is about, by the key of its column. The base of a provident fund is the wage again.
_INCOME_OF_KEY = {"wage": "wage", "base": "wage", "pension": "transfer"}


class CheckedIncome(NamedTuple):
    """An income of a member that an office found above what was declared, in fen a month."""

    check_id: UUID
    member_id: UUID
    figure: str
    found_fen: int


async def list_checked_incomes(session: AsyncSession, case: CaseFile) -> list[CheckedIncome]:
    """Return what the newest answer of each office found of each member. One query."""
    return (await load_checked_incomes(session, [case.id])).get(case.id, [])


async def load_checked_incomes(session: AsyncSession, case_ids: Collection[UUID]) -> dict[UUID, list[CheckedIncome]]:
    """Return the same for many cases. One query."""
    rows = await session.execute(
        select(CrossCheck, CrossCheckBatch.source)
        .join(CrossCheckBatch, CrossCheckBatch.id == CrossCheck.batch_id)
        .where(CrossCheck.case_id.in_(case_ids), CrossCheck.answer.is_not(None))
        .order_by(CrossCheckBatch.answered_at, CrossCheckBatch.made_at, CrossCheck.id)
    )
    newest = {(check.case_id, check.member_id, source): check for check, source in rows}
    incomes: dict[UUID, list[CheckedIncome]] = {}
    for (case_id, member_id, _), check in newest.items():
        incomes.setdefault(case_id, []).extend(
            CheckedIncome(check.id, member_id, _INCOME_OF_KEY[difference["key"]], difference["found"])
            for difference in check.differences
            if difference["key"] in _INCOME_OF_KEY and difference["found"] is not None
        )
    return incomes


def sum_excess(incomes: Sequence[CheckedIncome], lines: Sequence[Line]) -> Fraction:
    """Return a year's fen that offices found above the lines of a calculation; two offices' wage is one wage."""
    found: dict[tuple[UUID, str], int] = {}
    for income in incomes:
        key = (income.member_id, income.figure)
        found[key] = max(found.get(key, 0), income.found_fen * MONTHS_PER_YEAR)
    return sum(
        (Fraction(max(0, fen - _used(figure, member_id, lines))) for (member_id, figure), fen in found.items()),
        Fraction(0),
    )


def _used(figure: str, member_id: UUID, lines: Sequence[Line]) -> int:
    """Return what a calculation uses of a member's income; what the household has jointly counts for each member."""
    return sum(line.yearly_fen or 0 for line in lines if line.figure == figure and line.member_id in {None, member_id})
