"""The register of those who already receive: households, members, accounts, amounts, and who looks after them.

A household with an amount is taken over as a case in force, so that every later act is possible; it never counts as
newly granted. Amounts and accounts of a household that is there already are not changed by a file: they have acts of
their own.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import FIELD_ROLES, Role
from server.core.normalise import normalise_id
from server.core.working_days import day_of
from server.imports.columns import CellFault, Line
from server.imports.import_kind import Outcome, PlannedLine, PlanToApply, Work
from server.imports.places import load_places
from server.imports.register_reading import (
    COLUMNS,
    MEMBER_SUFFIXES,
    HouseholdLines,
    HouseholdPlan,
    MemberPlan,
    group_lines,
    read_household,
)
from server.imports.register_writing import apply_household, count_acted_upon, remove_household, restore_household
from server.models.cases import CaseFile
from server.models.households import Caseload, Household, HouseholdMember
from server.models.people import Staff, StaffRole
from server.policy.resolver import load_policy_values

VILLAGE_DIGITS = 12
# How many lines are read before other requests get their turn.
_TURN = 200


class Register(msgspec.Struct):
    """What the register says of the people in the file, in few queries for any number of lines."""

    # Of the ID number's blind index: the household, and whether it receives or applies.
    members: dict[bytes, tuple[UUID, bool]]
    by_name_and_birth: dict[tuple[str, date], set[UUID]]
    by_number: dict[str, Household]
    households: dict[UUID, Household]
    indexes: dict[UUID, set[bytes]]
    held: set[tuple[UUID, UUID]]
    staff: dict[str, set[UUID]]
    standard_fen: dict[str, int]


class RegisterImport:
    name = "register"
    columns = COLUMNS
    roles = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
    makes_accounts = False
    counts_everywhere = False

    async def plan(self, work: Work, lines: Sequence[Line]) -> list[PlannedLine]:
        places, today = await load_places(work), day_of(work.now)
        read: list[tuple[HouseholdLines, HouseholdPlan | None]] = []
        for position, group in enumerate(group_lines(lines)):
            area_code = places.find(group.first, "area", least_digits=VILLAGE_DIGITS)
            read.append((group, read_household(group, area_code, today)))
            if position % _TURN == 0:
                await asyncio.sleep(0)
        register = await _load_register(work, [plan for _, plan in read if plan is not None])
        seen: dict[str, str] = {}
        return [_compare(work, register, seen, group, plan) for group, plan in read]

    async def apply(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        for plan in plans:
            await apply_household(work, plan)

    async def find_acted_upon(self, work: Work, plans: Sequence[PlanToApply]) -> int:
        return await count_acted_upon(work, plans)

    async def undo(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        for plan in plans:
            await (remove_household if plan.before is None else restore_household)(work, plan)


async def _load_register(work: Work, plans: Sequence[HouseholdPlan]) -> Register:
    session = work.session
    of_area = Household.area_code.startswith(work.area_code, autoescape=True)
    households = {row.id: row for row in await session.scalars(select(Household).where(of_area))}
    by_name, in_household = await _load_people(session, of_area)
    held = await session.execute(
        select(Caseload.household_id, Caseload.staff_id)
        .join(Household, Household.id == Caseload.household_id)
        .where(of_area, Caseload.revoked_at.is_(None))
    )
    return Register(
        members=await _load_members(work, plans),
        by_name_and_birth=by_name,
        # A file with the number of a household that went into another means that other.
        by_number={
            household.number: households.get(household.merged_into or household.id, household)
            for household in households.values()
        },
        households=households,
        indexes=in_household,
        held={(household_id, staff_id) for household_id, staff_id in held},
        staff=await _load_staff(work),
        standard_fen=await _load_standards(work, {plan.area_code for plan in plans}),
    )


async def _load_members(work: Work, plans: Sequence[HouseholdPlan]) -> dict[bytes, tuple[UUID, bool]]:
    """Who of the file is a member anywhere, by the index of the ID number: the household, and whether it receives."""
    index_of = work.services.encryption.index
    indexes = {index_of("id_number", member.id_number) for plan in plans for member in plan.members if member.id_number}
    receives = func.bool_or(
        CaseFile.state.is_not(None) & CaseFile.state.not_in(["refused", "withdrawn", "stopped"])
    ) | (func.max(Household.monthly_amount_fen) > 0)
    rows = await work.session.execute(
        select(HouseholdMember.id_number_index, HouseholdMember.household_id, func.coalesce(receives, False))
        .join(Household, Household.id == HouseholdMember.household_id)
        .outerjoin(CaseFile, CaseFile.household_id == Household.id)
        .where(HouseholdMember.id_number_index == func.any(list(indexes)))
        .group_by(HouseholdMember.id_number_index, HouseholdMember.household_id)
    )
    return {index: (household_id, is_on) for index, household_id, is_on in rows if index is not None}


async def _load_people(
    session: AsyncSession, of_area: ColumnElement[bool]
) -> tuple[dict[tuple[str, date], set[UUID]], dict[UUID, set[bytes]]]:
    """Households by a member's name and birth date, and the indexes of the ID numbers in each household."""
    people = await session.execute(
        select(
            HouseholdMember.name, HouseholdMember.born_on, HouseholdMember.household_id, HouseholdMember.id_number_index
        )
        .join(Household, Household.id == HouseholdMember.household_id)
        .where(of_area, Household.merged_into.is_(None))
    )
    by_name: dict[tuple[str, date], set[UUID]] = defaultdict(set)
    in_household: dict[UUID, set[bytes]] = defaultdict(set)
    for name, born_on, household_id, index in people:
        by_name[name, born_on].add(household_id)
        if index is not None:
            in_household[household_id].add(index)
    return by_name, in_household


async def _load_staff(work: Work) -> dict[str, set[UUID]]:
    """Field staff of the area by login and by name."""
    rows = await work.session.execute(
        select(Staff.id, Staff.login, Staff.name)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .where(
            Staff.disabled_at.is_(None),
            StaffRole.revoked_at.is_(None),
            StaffRole.role.in_(FIELD_ROLES),
            StaffRole.area_code.startswith(work.area_code, autoescape=True),
        )
    )
    staff: dict[str, set[UUID]] = defaultdict(set)
    for staff_id, login, name in rows:
        staff[login].add(staff_id)
        staff[name].add(staff_id)
    return staff


async def _load_standards(work: Work, villages: set[str]) -> dict[str, int]:
    """The standard a head and month of each town in the file; a town without a setting is left out."""
    standards: dict[str, int] = {}
    for village in villages:
        values = await load_policy_values(work.session, village, day_of(work.now))
        if (standard := values.get("amount.standard_fen")) is not None:
            standards[village] = int(standard)
    return standards


def _compare(
    work: Work, register: Register, seen: dict[str, str], group: HouseholdLines, plan: HouseholdPlan | None
) -> PlannedLine:
    """Decide what a household's lines would do. Faults of any of its rows refuse all of them."""
    title = group.first.text("head_name") or group.first.text("name")
    if plan is not None:
        _refuse_repeats(seen, group)
        _find_holder(register, group.first, plan)
    faults = [fault for line in group.rows for fault in line.faults]
    if faults or plan is None:
        return PlannedLine(line=group.first, title=title, outcome="refused", faults=faults)
    household = _find_household(work, register, plan)
    doubts = _list_doubts(work, register, group.first, plan, household)
    plan.household_id = str(household.id) if household else None
    return PlannedLine(
        line=group.first,
        title=title,
        outcome="doubtful" if doubts else _outcome(work, register, plan, household),
        faults=doubts,
        plan=msgspec.to_builtins(plan),
        brings_money=household is None and (plan.amount_fen is not None or plan.card is not None),
    )


def _outcome(work: Work, register: Register, plan: HouseholdPlan, household: Household | None) -> Outcome:
    if household is None:
        return "new"
    indexes = {index for member in plan.members if (index := _index(work, member)) is not None}
    differs = (
        plan.address not in {"—", household.address}
        or (plan.class_ is not None and plan.class_ != household.class_)
        or bool(indexes - register.indexes.get(household.id, set()))
        or (plan.latitude is not None and household.latitude is None)
        or (plan.holder_id is not None and (household.id, UUID(plan.holder_id)) not in register.held)
    )
    return "changed" if differs else "unchanged"


def _index(work: Work, member: MemberPlan) -> bytes | None:
    return work.services.encryption.index("id_number", member.id_number) if member.id_number else None


def _refuse_repeats(seen: dict[str, str], group: HouseholdLines) -> None:
    """Refuse an ID number that stands twice in the file, in one household or in two."""
    for line in group.rows:
        for suffix in MEMBER_SUFFIXES:
            key = f"id_number{suffix}"
            if not (number := normalise_id(line.text(key))):
                continue
            place = f"{line.sheet} {line.number}"
            if (first := seen.setdefault(number, place)) != place:
                line.add_fault(key, "line.twice", f"与第 {first} 行身份证号重复", f"the ID number of row {first}")


def _find_holder(register: Register, line: Line, plan: HouseholdPlan) -> None:
    if plan.holder is None:
        return
    found = register.staff.get(plan.holder, set())
    if len(found) == 1:
        plan.holder_id = str(next(iter(found)))
    else:
        line.add_fault("holder", "staff.unknown", *(_SEVERAL_STAFF if found else _NO_STAFF))


_SEVERAL_STAFF = ("有多位同名人员，请填登录名", "several people have this name; give the login")
_NO_STAFF = ("本地区没有这位工作人员", "nobody here has this login or name")
_AMOUNT_DIFFERS = ("与系统中的金额不同，导入不改金额", "differs from the amount here, which a file does not change")
_ABOVE_STANDARD = ("高于标准乘以人数", "above the standard times the number of members")


def _find_household(work: Work, register: Register, plan: HouseholdPlan) -> Household | None:
    """The household of this number, else that of the head's ID number."""
    if plan.number and plan.number in register.by_number:
        return register.by_number[plan.number]
    index = _index(work, plan.members[0])
    place = register.members.get(index) if index else None
    return register.households.get(place[0]) if place else None


def _list_doubts(
    work: Work, register: Register, line: Line, plan: HouseholdPlan, household: Household | None
) -> list[CellFault]:
    before = len(line.faults)
    for member in plan.members:
        _doubt_member(work, register, line, member, household)
    standard_fen = register.standard_fen.get(plan.area_code)
    if plan.amount_fen and standard_fen and plan.amount_fen > standard_fen * len(plan.members):
        line.add_fault("amount", "amount.above_standard", *_ABOVE_STANDARD)
    if plan.since and plan.since > day_of(work.now):
        line.add_fault("since", "since.in_future", "在将来", "in the future")
    if household is not None and plan.amount_fen is not None and plan.amount_fen != (household.monthly_amount_fen or 0):
        line.add_fault("amount", "amount.differs", *_AMOUNT_DIFFERS)
    return line.faults[before:]


def _doubt_member(work: Work, register: Register, line: Line, member: MemberPlan, household: Household | None) -> None:
    index = _index(work, member)
    place = register.members.get(index) if index else None
    if place is not None and (household is None or place[0] != household.id) and place[1]:
        zh, en = f"{member.name} 已在另一户", f"{member.name} is in another household"
        line.add_fault("id_number", "member.elsewhere", zh, en)
    same = register.by_name_and_birth.get((member.name, member.born_on), set())
    if place is None and (same - {household.id} if household else same):
        zh, en = f"已有同名同生日的人：{member.name}", f"somebody has this name and birth date: {member.name}"
        line.add_fault("name", "member.alike", zh, en)
