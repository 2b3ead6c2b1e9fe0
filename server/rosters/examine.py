"""Look for findings of a roster, and keep them beside those that a person has judged.

Everything is looked for again before each step, because the register moves on: a finding that is new sends the roster
back. A verdict holds for the facts it was given about.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, String, cast, func, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.benefits.found_differences import TOLERANCE, FoundDifference, find_differences
from server.core.encryption import Encryption
from server.models.benefits import BenefitChange, ChangeReport, PaymentProposal
from server.models.cases import CaseFile
from server.models.certificates import Certificate
from server.models.crosschecks import CrossCheck, CrossCheckBatch
from server.models.found_figures import INCOME_FIGURES, DifferenceReason, FoundFigure
from server.models.households import HouseholdMember
from server.models.people import Staff
from server.models.proposals import Proposal
from server.models.rosters import (
    DEAD_LINE_STATES,
    SENT_LINE_STATES,
    Roster,
    RosterFinding,
    RosterLine,
    RosterPart,
)
from server.policy.resolver import load_policy_values
from server.policy.values import PaymentProgram
from server.rosters.corrections import plan_corrections
from server.rosters.line_checks import AccountChange, LineContext, ValidCertificate, check_line
from server.rosters.parts import Part, add_months
from server.rosters.plans import Plan, plan_lines
from server.rosters.unlisted import find_unlisted, has_earlier_roster

NEEDS_CERTIFICATE = "roster.needs_certificate"
OUTLIER = "roster.outlier_percent"
_EARLIER_MONTHS = 3
_CASES_AT_ONCE = 1000


class _Found(NamedTuple):
    household_id: UUID | None
    code: str
    facts: dict[str, Any]


async def examine_roster(
    session: AsyncSession, encryption: Encryption, roster: Roster, program: PaymentProgram, now: datetime
) -> int:
    """Look for all findings of the locked roster. Return how many wait for a person."""
    lines = await load_live_lines(session, roster)
    sources = await _load_sources(session, lines)
    if roster.kind == "monthly":
        plans = await plan_lines(session, encryption, roster, program)
    else:
        plans = await plan_corrections(session, encryption, roster, program, list(sources.values()))
    found = [
        _Found(context.line.household_id, code, facts)
        for context in await _build_contexts(session, roster, lines, plans, sources)
        for code, facts in check_line(context)
    ]
    if roster.kind == "monthly":
        whole = await find_unlisted(session, encryption, roster, program, plans, has_lines=bool(lines))
        found += [_Found(household_id, code, facts) for household_id, code, facts in whole]
    await _keep_findings(session, roster, found, now)
    roster.examined_at = now
    return await count_open(session, roster)


async def load_live_lines(session: AsyncSession, roster: Roster) -> list[RosterLine]:
    rows = await session.scalars(
        select(RosterLine)
        .where(RosterLine.roster_id == roster.id, RosterLine.state.not_in(DEAD_LINE_STATES))
        .order_by(RosterLine.position)
    )
    return list(rows)


async def load_parts(session: AsyncSession, roster: Roster) -> dict[UUID, list[Part]]:
    """Return the parts of a roster's lines, by line."""
    return await load_parts_of(session, select(RosterLine.id).where(RosterLine.roster_id == roster.id))


async def load_parts_of(session: AsyncSession, line_ids: Select[UUID]) -> dict[UUID, list[Part]]:
    """Return the parts of lines. As columns, since objects of tens of thousands of parts take seconds."""
    columns = RosterPart.month, RosterPart.kind, RosterPart.amount_fen, RosterPart.cause, RosterPart.reason
    rows = await session.execute(
        select(RosterPart.line_id, *columns)
        .where(RosterPart.line_id.in_(line_ids))
        .order_by(RosterPart.month, RosterPart.kind)
    )
    parts: dict[UUID, list[Part]] = {}
    for line_id, month, kind, amount_fen, cause, reason in rows:
        parts.setdefault(line_id, []).append(Part(month, kind, amount_fen, cause, reason))
    return parts


async def _build_contexts(
    session: AsyncSession,
    roster: Roster,
    lines: Sequence[RosterLine],
    plans: Mapping[UUID, Plan],
    sources: Mapping[UUID, RosterLine],
) -> list[LineContext]:
    """`plans` are by household, those of a correction by the line that it pays again."""
    case_ids, homes = _select_cases_and_homes(roster)
    settings = await load_policy_values(session, roster.area_code, roster.month, [OUTLIER, NEEDS_CERTIFICATE])
    parts = await load_parts(session, roster)
    earlier = await _load_earlier(session, roster, homes)
    sharing = await _load_sharing(session, roster, lines)
    elsewhere = await _load_elsewhere(session, roster)
    account_changes = await _load_account_changes(session, homes)
    deaths = await _load_death_reports(session, case_ids)
    stopped = await _load_stopped_by_death(session, roster, case_ids)
    proposed = await _load_open_proposals(session, case_ids)
    differences = await _load_differences(session, roster, case_ids)
    certificates = await _load_certificates(session, roster, case_ids)
    has_earlier = await has_earlier_roster(session, roster)
    return [
        LineContext(
            line=line,
            line_parts=parts.get(line.id, []),
            plan=plans.get(line.source_line_id or line.household_id),
            earlier=earlier.get(line.household_id, []),
            source=sources.get(line.source_line_id) if line.source_line_id else None,
            sharing=sharing.get(line.household_id, []),
            elsewhere=elsewhere.get(line.household_id, []),
            account_change=account_changes.get(line.household_id),
            death_reports=deaths.get(line.case_id, []),
            is_stopped_by_death=line.case_id in stopped,
            has_open_proposal=line.case_id in proposed,
            found_difference_fen=differences.get(line.case_id),
            certificate=certificates.get(line.case_id),
            needs_certificate=bool(settings[NEEDS_CERTIFICATE]),
            is_first_roster=not has_earlier,
            outlier_percent=int(settings[OUTLIER]),
        )
        for line in lines
    ]


def _select_cases_and_homes(roster: Roster) -> tuple[Select[UUID], Select[UUID]]:
    """Select the cases, and the households, of the roster's lines."""
    case_ids = select(RosterLine.case_id).where(RosterLine.roster_id == roster.id)
    homes = select(RosterLine.household_id).where(RosterLine.roster_id == roster.id)
    return case_ids, homes


async def _load_earlier(session: AsyncSession, roster: Roster, homes: Select[UUID]) -> dict[UUID, list[RosterLine]]:
    """Return the lines of each home that were sent in the months before, the newest first."""
    rows = await session.scalars(
        select(RosterLine)
        .where(
            RosterLine.household_id.in_(homes),
            RosterLine.program == roster.program,
            RosterLine.state.in_(SENT_LINE_STATES),
            RosterLine.source_line_id.is_(None),
            RosterLine.month < roster.month,
            RosterLine.month >= add_months(roster.month, -_EARLIER_MONTHS),
        )
        .order_by(RosterLine.month.desc())
    )
    earlier: dict[UUID, list[RosterLine]] = {}
    for line in rows:
        earlier.setdefault(line.household_id, []).append(line)
    return earlier


async def _load_sharing(session: AsyncSession, roster: Roster, lines: Sequence[RosterLine]) -> dict[UUID, list[str]]:
    """Return the other homes on each home's account, among all live lines of the month, whatever their program."""
    mine, other = aliased(RosterLine), aliased(RosterLine)
    rows = await session.execute(
        select(mine.household_id, _list_ids(other.household_id))
        .join(
            other,
            (other.account_index == mine.account_index)
            & (other.household_id != mine.household_id)
            & (other.month == mine.month)
            & other.state.not_in(DEAD_LINE_STATES),
        )
        .where(mine.roster_id == roster.id, mine.state.not_in(DEAD_LINE_STATES))
        .group_by(mine.household_id)
    )
    return dict(rows.all()) if lines else {}


def _list_ids(column: Any) -> Any:
    """Each id once, in order, as text: what a person judges of these is not judged of others."""
    ids = cast(column, String).distinct()
    return func.array_agg(aggregate_order_by(ids, cast(column, String)))


async def _load_elsewhere(session: AsyncSession, roster: Roster) -> dict[UUID, list[str]]:
    """Return the members of each home who are members of another with a live line of the month, whatever its program.

    A grant asks this once; a member who is entered later, moves or is imported is seen here, before money leaves.
    """
    numbers = _select_id_numbers(roster).subquery()
    home, number = cast(numbers.c.household_id, String), numbers.c.id_number_index
    is_elsewhere = func.min(home).over(partition_by=number) != func.max(home).over(partition_by=number)
    people = select(numbers, is_elsewhere.label("is_elsewhere")).subquery()
    rows = await session.execute(
        select(people.c.household_id, _list_ids(people.c.id))
        .where(people.c.is_mine, people.c.is_elsewhere)
        .group_by(people.c.household_id)
    )
    return dict(rows.all())


def _select_id_numbers(roster: Roster) -> Select[UUID, UUID, bytes, bool]:
    """Select the members of the homes with a live line of the month; `is_mine`: with a line of this roster.

    One join of lines and members, whose numbers are then sorted. Joined with themselves they take minutes in a county:
    PostgreSQL knows nothing yet of lines that this transaction has written, and compares each with each.
    """
    return (
        select(
            HouseholdMember.id,
            HouseholdMember.household_id,
            HouseholdMember.id_number_index,
            func.bool_or(RosterLine.roster_id == roster.id).label("is_mine"),
        )
        .join(RosterLine, RosterLine.household_id == HouseholdMember.household_id)
        .where(
            RosterLine.month == roster.month,
            RosterLine.state.not_in(DEAD_LINE_STATES),
            HouseholdMember.id_number_index.is_not(None),
        )
        .group_by(HouseholdMember.id)
    )


async def _load_account_changes(session: AsyncSession, homes: Select[UUID]) -> dict[UUID, AccountChange]:
    author, decider = aliased(Staff), aliased(Staff)
    rows = await session.execute(
        select(Proposal.household_id, author.name, decider.name)
        .join(author, author.id == Proposal.author_id)
        .join(decider, decider.id == Proposal.decided_by)
        .where(Proposal.household_id.in_(homes), Proposal.guards == "bank", Proposal.state == "accepted")
        .order_by(Proposal.decided_at)
    )
    return {household_id: AccountChange(by, agreed) for household_id, by, agreed in rows}


async def _load_death_reports(session: AsyncSession, case_ids: Select[UUID]) -> dict[UUID, list[str]]:
    """Return the reports of a death on which nobody decided that nothing follows."""
    rows = await session.execute(
        select(ChangeReport.case_id, ChangeReport.id)
        .where(
            ChangeReport.case_id.in_(case_ids),
            ChangeReport.kind == "death",
            ChangeReport.outcome.is_distinct_from("nothing"),
        )
        .order_by(ChangeReport.id)
    )
    reports: dict[UUID, list[str]] = {}
    for case_id, report_id in rows:
        reports.setdefault(case_id, []).append(str(report_id))
    # What another office knows of a death, until somebody has looked into it.
    checks = await session.execute(
        select(CrossCheck.case_id, CrossCheck.id)
        .join(CrossCheckBatch, CrossCheckBatch.id == CrossCheck.batch_id)
        .where(
            CrossCheck.case_id.in_(case_ids),
            CrossCheckBatch.source == "deaths",
            func.jsonb_array_length(CrossCheck.differences) > 0,
            or_(CrossCheck.settlement.is_(None), CrossCheck.settlement == "visit"),
        )
        .order_by(CrossCheck.id)
    )
    for case_id, check_id in checks:
        reports.setdefault(case_id, []).append(str(check_id))
    return reports


async def _load_certificates(
    session: AsyncSession, roster: Roster, case_ids: Select[UUID]
) -> dict[UUID, ValidCertificate]:
    """Return the certificate of each case; of one replaced within the month, the one that is valid now."""
    rows = await session.scalars(
        select(Certificate)
        .order_by(Certificate.ended_on.nulls_last(), Certificate.id)
        .where(
            Certificate.case_id.in_(case_ids),
            Certificate.valid_from <= roster.month,
            Certificate.valid_until > roster.month,
            or_(Certificate.ended_on.is_(None), Certificate.ended_on > roster.month),
        )
    )
    return {row.case_id: ValidCertificate(row.number, row.holder_name) for row in rows}


async def _load_stopped_by_death(session: AsyncSession, roster: Roster, case_ids: Select[UUID]) -> set[UUID]:
    rows = await session.scalars(
        select(BenefitChange.case_id).where(
            BenefitChange.case_id.in_(case_ids),
            BenefitChange.kind == "stopped",
            BenefitChange.ground == "death",
            BenefitChange.month <= roster.month,
            CaseFile.id == BenefitChange.case_id,
            CaseFile.stopped_from.is_not(None),
        )
    )
    return set(rows)


async def _load_open_proposals(session: AsyncSession, case_ids: Select[UUID]) -> set[UUID]:
    """Return the cases with a proposal about money that nobody has decided."""
    rows = await session.scalars(
        select(PaymentProposal.case_id).where(PaymentProposal.case_id.in_(case_ids), PaymentProposal.outcome.is_(None))
    )
    return set(rows)


async def _load_differences(session: AsyncSession, roster: Roster, case_ids: Select[UUID]) -> dict[UUID, int]:
    """Return, by case, what visits or other offices found above the tolerance without an approved reason."""
    settings = await load_policy_values(session, roster.area_code, roster.month, [TOLERANCE])
    tolerance_fen = int(settings[TOLERANCE])
    found = select(FoundFigure.case_id).where(
        FoundFigure.case_id.in_(case_ids), FoundFigure.state == "current", FoundFigure.figure.in_(INCOME_FIGURES)
    )
    # A check without differences adds nothing to what was found.
    checked = select(CrossCheck.case_id).where(
        CrossCheck.case_id.in_(case_ids), func.jsonb_array_length(CrossCheck.differences) > 0
    )
    cases = (await session.scalars(select(CaseFile).where(CaseFile.id.in_(found.union(checked))))).all()
    above: dict[UUID, FoundDifference] = {}
    for start in range(0, len(cases), _CASES_AT_ONCE):
        differences = await find_differences(session, cases[start : start + _CASES_AT_ONCE])
        above |= {case: each for case, each in differences.items() if each.per_head_fen > tolerance_fen}
    approved = await session.execute(
        select(DifferenceReason.case_id, DifferenceReason.figures_hash, DifferenceReason.calculation_id).where(
            DifferenceReason.case_id.in_(above), DifferenceReason.approved_by.is_not(None)
        )
    )
    explained = {tuple(row) for row in approved}
    return {
        case_id: difference.per_head_fen
        for case_id, difference in above.items()
        if (case_id, difference.figures_hash, difference.calculation.id) not in explained
    }


async def _load_sources(session: AsyncSession, lines: Sequence[RosterLine]) -> dict[UUID, RosterLine]:
    ids = [line.source_line_id for line in lines if line.source_line_id]
    rows = select(RosterLine).where(RosterLine.id.in_(ids)).order_by(RosterLine.position)
    return {line.id: line for line in await session.scalars(rows)}


async def _keep_findings(session: AsyncSession, roster: Roster, found: Sequence[_Found], now: datetime) -> None:
    """Write new findings, and mark those that are no longer so. What a person left out stays so."""
    stored = await session.scalars(select(RosterFinding).where(RosterFinding.roster_id == roster.id))
    by_key = {(row.household_id, row.code, _freeze(row.facts)): row for row in stored}
    # Two lines of one home may say the same of it.
    for entry in {(entry.household_id, entry.code, _freeze(entry.facts)): entry for entry in found}.values():
        row = by_key.pop((entry.household_id, entry.code, _freeze(entry.facts)), None)
        if row is None:
            session.add(
                RosterFinding(
                    roster_id=roster.id,
                    household_id=entry.household_id,
                    code=entry.code,
                    facts=entry.facts,
                    found_at=now,
                )
            )
        else:
            row.gone_at = None
    for row in by_key.values():
        if row.verdict != "leave_out" and row.gone_at is None:
            row.gone_at = now
    await session.flush()  # they are counted next


def _freeze(facts: Mapping[str, Any]) -> str:
    return repr(sorted(facts.items()))


async def count_open(session: AsyncSession, roster: Roster) -> int:
    """Count the findings that nobody has judged."""
    number = await session.scalar(
        select(func.count()).where(
            RosterFinding.roster_id == roster.id, RosterFinding.verdict.is_(None), RosterFinding.gone_at.is_(None)
        )
    )
    return number or 0
