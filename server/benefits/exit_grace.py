"""渐退期: a household that rises above the standard through work stays paid for some months (57 §33, 83 一（三）).

It keeps the amount of the last decision. The months are counted from the job with which the household rose above the
standard; months in which a province disregards new wages come before them.
"""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction

from server.benefits.counted_incomes import Counted, is_of_new_job, total
from server.benefits.sheet import Receiving, Sheet, months_between
from server.core.money import format_fen

GRACE_KEY = "amount.exit_grace_months"


def find_exit_grace(
    sheet: Sheet, counted: Sequence[Counted], heads: int, standard_fen: int, month: date, receiving: Receiving | None
) -> int | None:
    """Return the amount that is paid on, or None: not above the standard through work, or the months are over.

    Adds a line where new work is what lifts the household above the standard.
    """
    job = _job_that_lifted(counted, heads, standard_fen, receiving)
    if job is None or receiving is None or job.income.started_on is None:
        return None
    months = int(sheet.value(GRACE_KEY))
    passed = months_between(job.income.started_on, month) - int(sheet.value("amount.disregard_months"))
    if passed >= months:
        sheet.add(GRACE_KEY, f"因就业收入超过标准，渐退期{months}个月已满", "The grace after new work is over", 0)
        return None
    zh = f"因就业收入超过标准，渐退期{months}个月内继续发放{format_fen(receiving.amount_fen)}"
    sheet.add(GRACE_KEY, zh, "Above the standard through new work: paid on for a time", receiving.amount_fen)
    return receiving.amount_fen


def _job_that_lifted(
    counted: Sequence[Counted], heads: int, standard_fen: int, receiving: Receiving | None
) -> Counted | None:
    """Return the job, begun while receiving, with which the income a head came up to the standard."""
    jobs = [item for item in counted if is_of_new_job(item.income, receiving)]
    jobs.sort(key=lambda item: item.income.started_on or date.min)
    for done in range(len(jobs) + 1):
        without = [item for item in counted if item not in jobs[done:]]
        if Fraction(total(without), heads) >= standard_fen:
            return jobs[done - 1] if done else None  # above it without any of them: not through new work
    return None
