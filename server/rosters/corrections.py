"""What a correction pays: of each line that the bank returned, what its months owe by the decisions of today.

A home that was stopped or cut since gets what is left, part by part, and never more for a month than it is owed. Lines
belong to the home that their case belongs to now: a merged-away household has neither account nor reader.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.encryption import Encryption
from server.models.cases import CaseFile
from server.models.households import Household
from server.models.rosters import DEAD_LINE_STATES, Roster, RosterLine, RosterPart
from server.policy.values import PaymentProgram
from server.rosters.homes import (
    Account,
    Home,
    amount_in,
    load_accounts,
    load_allotted,
    load_homes,
    load_members,
    load_unreceived,
)
from server.rosters.parts import Part
from server.rosters.plans import PAID_STATES, Plan, list_sharing_programs, owed_in


async def list_returned(session: AsyncSession, roster: Roster) -> Sequence[RosterLine]:
    """Return the lines of the roster's source that the bank returned and no live line of another pays again."""
    corrected = select(RosterLine.source_line_id).where(
        RosterLine.source_line_id.is_not(None),
        RosterLine.state.not_in(DEAD_LINE_STATES),
        RosterLine.roster_id != roster.id,
    )
    rows = await session.scalars(
        select(RosterLine)
        .where(
            RosterLine.roster_id == roster.source_id, RosterLine.state == "returned", RosterLine.id.not_in(corrected)
        )
        .order_by(RosterLine.position)
    )
    return rows.all()


async def plan_corrections(
    session: AsyncSession,
    encryption: Encryption,
    roster: Roster,
    program: PaymentProgram,
    sources: Sequence[RosterLine],
) -> dict[UUID, Plan]:
    """Return what is to be paid again of each returned line, by its id. A plan without parts closes its line."""
    home_of = await _load_home_of(session, sources)
    ids = list({home.id for home in home_of.values()})
    programs = await list_sharing_programs(session, roster, program)
    homes = await load_homes(session, ids, CaseFile.state.in_(PAID_STATES))
    allotted = await load_allotted(session, roster, programs, ids)
    unreceived = await load_unreceived(session, programs, ids)
    members = await load_members(session, ids)
    accounts = await load_accounts(session, encryption, ids)
    source_parts = await _load_source_parts(session, sources)
    plans: dict[UUID, Plan] = {}
    for line in sources:
        household = home_of[line.case_id]
        of_source = source_parts.get(line.id, [])
        others = allotted.setdefault(household.id, {})
        waiting = unreceived.setdefault(household.id, {})
        # The line itself is given up: what it allots is paid by its correction, or to nobody.
        _add(others, of_source, -1)
        _add(waiting, [part for part in of_source if part.amount_fen > 0], -1)
        parts = plan_again(of_source, _owed_months(homes.get(household.id, []), program, of_source), others, waiting)
        _add(others, parts, 1)
        member_names = list(members.get(household.id, {}).values())
        plans[line.id] = _build_plan(line, household, member_names, accounts.get(household.id), parts)
    return plans


def _build_plan(
    line: RosterLine, household: Household, member_names: list[str], account: Account | None, parts: list[Part]
) -> Plan:
    """Return the plan of a returned line: its ground and beneficiaries, with the household and account of today."""
    return Plan(
        household_id=household.id,
        case_id=line.case_id,
        area_code=line.area_code,
        household_number=household.number,
        head_name=line.head_name if household.id == line.household_id else household.head_name,
        class_=line.class_,
        member_names=member_names,
        beneficiaries=line.beneficiaries,
        left=[],
        people=line.people,
        account=account,
        parts=parts,
        ground=line.ground,
        cases=1,
    )


def plan_again(
    of_source: Sequence[Part], owed: Mapping[date, int], others: Mapping[date, int], unreceived: Mapping[date, int]
) -> list[Part]:
    """Return the parts of a returned line that are still to be paid, without what others allot to its months.

    Pure. `unreceived` is what of the others' money came back as well, so that nobody has to give it back.
    """
    again: list[Part] = []
    for part in of_source:
        open_fen = owed.get(part.month, 0) - others.get(part.month, 0)
        if part.amount_fen > 0 and open_fen > 0:
            again.append(part._replace(amount_fen=min(part.amount_fen, open_fen)))
    left_fen = sum(part.amount_fen for part in again)
    for part in of_source:
        if part.amount_fen > 0:
            continue
        overpaid_fen = others.get(part.month, 0) - unreceived.get(part.month, 0) - owed.get(part.month, 0)
        taken_fen = min(-part.amount_fen, overpaid_fen, left_fen)
        if taken_fen > 0:
            again.append(part._replace(amount_fen=-taken_fen))
            left_fen -= taken_fen
    return again


def _add(allotted: dict[date, int], parts: Sequence[Part], sign: int) -> None:
    for part in parts:
        allotted[part.month] = allotted.get(part.month, 0) + sign * part.amount_fen


def _owed_months(homes: Sequence[Home], program: PaymentProgram, parts: Sequence[Part]) -> dict[date, int]:
    """Return what each month of the parts owes today. What is paid a head or a home stays, if the month is paid."""
    if program.pays == "amount":
        return {part.month: owed_in(homes, part.month).amount_fen for part in parts}
    return {
        part.month: part.amount_fen if any(amount_in(home.spans, part.month) for home in homes) else 0 for part in parts
    }


async def _load_home_of(session: AsyncSession, sources: Sequence[RosterLine]) -> dict[UUID, Household]:
    """Return the household of each line's case as it is now."""
    rows = await session.execute(
        select(CaseFile.id, Household)
        .join(Household, Household.id == CaseFile.household_id)
        .where(CaseFile.id.in_([line.case_id for line in sources]))
    )
    home_of: dict[UUID, Household] = dict(rows.all())
    return home_of


async def _load_source_parts(session: AsyncSession, sources: Sequence[RosterLine]) -> Mapping[UUID, list[Part]]:
    parts: dict[UUID, list[Part]] = {}
    for part in await session.scalars(
        select(RosterPart)
        .where(RosterPart.line_id.in_([line.id for line in sources]))
        .order_by(RosterPart.month, RosterPart.kind)
    ):
        copy = Part(part.month, part.kind, part.amount_fen, part.cause, part.reason)
        parts.setdefault(part.line_id, []).append(copy)
    return parts
