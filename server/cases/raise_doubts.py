"""What a raise of the standard means for a home, and what keeps it out until a person has looked.

A raise moves nothing but what follows from the standard: where today's rules would not give what is paid, a person
decides. Several queries for any number of cases.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.amounts import Calculated
from server.benefits.calculations import STANDARD, HouseholdFacts, calculate_case, load_facts
from server.benefits.check_differences import CheckedIncome, load_checked_incomes
from server.benefits.found_differences import check_difference_fen, visit_difference_fen
from server.benefits.programmes import Programme, as_programme
from server.benefits.sheet import Formulas
from server.models.benefits import BenefitChange, PaymentProposal
from server.models.cases import CaseFile
from server.models.found_figures import INCOME_FIGURES, FoundFigure


class Rules(NamedTuple):
    """The formulas of a village for the month, under the standard until now and under the new one."""

    before: Formulas
    after: Formulas
    tolerance_fen: int


class Facts(NamedTuple):
    """What is read about these cases, by case or household."""

    homes: dict[UUID, HouseholdFacts]
    with_proposal: set[UUID]
    decided_later: set[UUID]
    found: dict[UUID, list[FoundFigure]]
    checked: dict[UUID, list[CheckedIncome]]


class Judged(NamedTuple):
    """`doubt` is None where the amount follows from the standard alone; `calculated` is by the new standard."""

    doubt: str | None
    calculated: Calculated | None


async def load_raise_facts(session: AsyncSession, cases: Sequence[CaseFile], month: date) -> Facts:
    """Read what `judge_case` needs. `month`: the month from which the new standard holds."""
    ids = [case.id for case in cases]
    proposals = select(PaymentProposal.case_id).where(
        PaymentProposal.case_id.in_(ids), PaymentProposal.outcome.is_(None)
    )
    later = select(BenefitChange.case_id).where(BenefitChange.case_id.in_(ids), BenefitChange.month > month)
    figures: dict[UUID, list[FoundFigure]] = {}
    for figure in await session.scalars(
        select(FoundFigure).where(
            FoundFigure.case_id.in_(ids), FoundFigure.state == "current", FoundFigure.figure.in_(INCOME_FIGURES)
        )
    ):
        figures.setdefault(figure.case_id, []).append(figure)
    return Facts(
        homes=await load_facts(session, [case.household_id for case in cases]),
        with_proposal=set(await session.scalars(proposals)),
        decided_later=set(await session.scalars(later)),
        found=figures,
        checked=await load_checked_incomes(session, ids),
    )


def judge_case(case: CaseFile, facts: Facts, rules: Rules, month: date) -> Judged:
    """Calculate a case by the new standard, and say why a person must look first, if so."""
    programme, home = as_programme(case.programme), facts.homes[case.household_id]
    if programme is None:
        return Judged("programme_missing", None)
    if not home.members or STANDARD not in rules.before:
        return Judged("members_missing", None)
    after = calculate_case(case, home, rules.after, programme, month)
    return Judged(_find_doubt(case, facts, rules, programme, after, month), after)


def judge_again(case: CaseFile, facts: Facts, rules: Rules, month: date, seen_fen: int) -> Judged:
    """Calculate a case by the standard as it stands by now; a doubt where anything has moved since the preview.

    `seen_fen`: what the home was paid by the preview.
    """
    programme, home = as_programme(case.programme), facts.homes[case.household_id]
    if programme is None or not home.members or STANDARD not in rules.after:
        return Judged("changed_since", None)
    after = calculate_case(case, home, rules.after, programme, month)
    doubt = _find_waiting(case, facts, rules, after)
    has_moved = case.amount_fen != seen_fen or not after.eligible or doubt is not None
    return Judged("changed_since" if has_moved else None, after)


def _find_waiting(case: CaseFile, facts: Facts, rules: Rules, after: Calculated) -> str | None:
    """Return what about a case waits for a person, whatever the amount."""
    if case.stopped_from is not None:
        return "stop_to_come"
    if case.state != "in_force":
        return "not_paid_yet"
    if case.id in facts.decided_later:
        return "decided_later"
    if case.id in facts.with_proposal:
        return "proposal_open"
    heads = len(facts.homes[case.household_id].members)
    difference = max(
        visit_difference_fen(facts.found.get(case.id, ()), after.lines, heads),
        check_difference_fen(facts.checked.get(case.id, ()), after.lines, heads),
    )
    return "found_differs" if difference > rules.tolerance_fen else None


def _find_doubt(
    case: CaseFile, facts: Facts, rules: Rules, programme: Programme, after: Calculated, month: date
) -> str | None:
    if (waiting := _find_waiting(case, facts, rules, after)) is not None:
        return waiting
    if not after.eligible:
        return "not_eligible"
    before = calculate_case(case, facts.homes[case.household_id], rules.before, programme, month)
    if before.amount_fen != case.amount_fen:
        return "differs_before"
    return "lower" if after.amount_fen < before.amount_fen else None
