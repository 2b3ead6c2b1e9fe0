"""What each home of a roster is to be paid by the decisions, accounts and members as they are now.

Drafting writes these plans into lines; looking for findings compares the lines with plans that are made anew.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.encryption import Encryption
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile
from server.models.rosters import DEAD_LINE_STATES, Roster, RosterLine
from server.policy.resolver import load_policy_values
from server.policy.values import PaymentProgram
from server.rosters.homes import (
    Account,
    Home,
    amount_in,
    find_span,
    load_accounts,
    load_allotted,
    load_covered,
    load_homes,
    load_members,
    load_unreceived,
)
from server.rosters.parts import Owed, Part, add_months, list_months, plan_parts
from server.rosters.programs import is_paid_in, list_programs

ARREARS_MONTHS = "roster.arrears_months"
# Homes that are read at once.
_STEP = 1000
PAID_STATES = ("published", "in_force", "stopped")
# Decided, and paid once it is disclosed.
UNPUBLISHED = "confirmed"


class Plan(Struct, frozen=True):
    """A home's line as it would be drafted now; without parts, nothing is owed."""

    household_id: UUID
    case_id: UUID
    area_code: str
    household_number: str
    head_name: str
    class_: str | None
    member_names: list[str]
    beneficiaries: list[str]
    # Beneficiaries who are no members any more, by their ids.
    left: list[str]
    people: int
    account: Account | None
    parts: list[Part]
    ground: dict[str, Any]
    # Of more than one case that is paid for the month.
    cases: int

    @property
    def total_fen(self) -> int:
        return sum(part.amount_fen for part in self.parts)


class _Owing(Struct, frozen=True):
    """What is owed by whom since when: `begun` are areas with their first roster, `earliest` bounds them all.

    `shared`: the codes that pay the decided amounts, the program's own among them: a case that changes from rural to
    urban is paid its months once. `by_month` and `rostered` are for what is paid a head or a home: the program as each
    month's settings have it, and the months of its rosters, by area. `states`: of the cases whose decisions count.
    """

    program: PaymentProgram
    begun: list[tuple[str, date]]
    earliest: date
    shared: list[str]
    by_month: Mapping[date, PaymentProgram]
    rostered: list[tuple[str, date]]
    states: tuple[str, ...]


async def plan_lines(
    session: AsyncSession, encryption: Encryption, roster: Roster, program: PaymentProgram
) -> dict[UUID, Plan]:
    """Return the plan of each home of the roster's area to which the program owes anything, by household."""
    return await _plan_all(session, encryption, await _load_owing(session, roster, program, PAID_STATES), roster)


async def plan_unpublished(
    session: AsyncSession, encryption: Encryption, roster: Roster, program: PaymentProgram
) -> dict[UUID, Plan]:
    """Return the plan of each home with a grant or return that is not disclosed yet, as if it were."""
    owing = await _load_owing(session, roster, program, (*PAID_STATES, UNPUBLISHED))
    return await _plan_all(session, encryption, owing, roster, CaseFile.state == UNPUBLISHED)


async def _plan_all(
    session: AsyncSession, encryption: Encryption, owing: _Owing, roster: Roster, *conditions: ColumnElement[bool]
) -> dict[UUID, Plan]:
    plans: dict[UUID, Plan] = {}
    last = UUID(int=0)
    while True:
        ids = list(await session.scalars(_select_households(roster, owing, last, *conditions)))
        if not ids:
            return plans
        last = ids[-1]
        plans |= await _plan_homes(session, encryption, roster, owing, ids)


async def _load_owing(
    session: AsyncSession, roster: Roster, program: PaymentProgram, states: tuple[str, ...]
) -> _Owing:
    settings = await load_policy_values(session, roster.area_code, roster.month, [ARREARS_MONTHS])
    earliest = add_months(roster.month, -int(settings[ARREARS_MONTHS]))
    by_month: dict[date, PaymentProgram] = {}
    rostered: list[tuple[str, date]] = []
    if program.pays != "amount":
        rostered = await _load_rostered_months(session, roster, earliest)
        for month in {month for _, month in rostered}:
            for each in await list_programs(session, roster.area_code, month):
                if each.code == program.code and is_paid_in(each, month):
                    by_month[month] = each
    return _Owing(
        program,
        await _load_first_months(session, roster, earliest),
        earliest,
        await list_sharing_programs(session, roster, program),
        by_month,
        rostered,
        states,
    )


async def list_sharing_programs(session: AsyncSession, roster: Roster, program: PaymentProgram) -> list[str]:
    """Return the codes of the programs that pay the same money as this one: each decided amount is paid once."""
    if program.pays != "amount":
        return [program.code]
    programs = await list_programs(session, roster.area_code, roster.month)
    return [each.code for each in programs if each.pays == "amount"]


async def _load_rostered_months(session: AsyncSession, roster: Roster, earliest: date) -> list[tuple[str, date]]:
    """Return the areas and earlier months of the program's rosters: a month without one owes nothing."""
    rows = await session.execute(
        select(Roster.area_code, Roster.month)
        .where(
            Roster.program == roster.program,
            Roster.kind == "monthly",
            Roster.state != "cancelled",
            Roster.month >= earliest,
            Roster.month < roster.month,
            or_(
                Roster.area_code.startswith(roster.area_code, autoescape=True),
                func.starts_with(roster.area_code, Roster.area_code),
            ),
        )
        .distinct()
    )
    return [(area_code, month) for area_code, month in rows]


def _select_households(roster: Roster, owing: _Owing, last: UUID, *conditions: ColumnElement[bool]) -> Any:
    return (
        select(CaseFile.household_id)
        .where(*_is_paid(roster, owing), *conditions, CaseFile.household_id > last)
        .group_by(CaseFile.household_id)
        .order_by(CaseFile.household_id)
        .limit(_STEP)
    )


def _is_paid(roster: Roster, owing: _Owing) -> list[ColumnElement[bool]]:
    """Match cases of the area that are paid in the month, or were before it."""
    return [
        CaseFile.area_code.startswith(roster.area_code, autoescape=True),
        CaseFile.programme.in_(owing.program.homes),
        CaseFile.state.in_(owing.states),
        may_be_owed(roster.month),
    ]


def may_be_owed(month: date) -> ColumnElement[bool]:
    """Match cases with something decided for the month or one before it.

    One that is to be paid again from a later month may be owed months of before its stop.
    """
    was_paid = exists().where(BenefitChange.case_id == CaseFile.id, BenefitChange.month <= month)
    return or_(CaseFile.paid_from <= month, was_paid)


def _list_own(homes: Sequence[Home], roster: Roster, program: PaymentProgram) -> list[Home]:
    """Return those of a home's cases that `_is_paid` matches."""
    return [
        home
        for home in homes
        if home.case.area_code.startswith(roster.area_code)
        and home.case.programme in program.homes
        and (_has_begun(home.case.paid_from, roster) or any(_has_begun(each.month, roster) for each in home.changes))
    ]


def _has_begun(month: date | None, roster: Roster) -> bool:
    return month is not None and month <= roster.month


async def _load_first_months(session: AsyncSession, roster: Roster, earliest: date) -> list[tuple[str, date]]:
    """Return the areas of the program's rosters, each with its first month: before it, others have paid."""
    rows = await session.execute(
        select(Roster.area_code, func.min(Roster.month))
        .where(
            Roster.program == roster.program,
            Roster.kind == "monthly",
            Roster.state != "cancelled",
            or_(
                Roster.area_code.startswith(roster.area_code, autoescape=True),
                func.starts_with(roster.area_code, Roster.area_code),
            ),
        )
        .group_by(Roster.area_code)
    )
    return [(area_code, max(month, earliest)) for area_code, month in rows]


async def _plan_homes(
    session: AsyncSession, encryption: Encryption, roster: Roster, owing: _Owing, ids: Sequence[UUID]
) -> dict[UUID, Plan]:
    program = owing.program
    # Lines of any case are taken off; so nothing that a case of another programme or area rightly got is claimed back.
    paid_homes = await load_homes(session, ids, CaseFile.state.in_(owing.states))
    homes = {household_id: _list_own(of_home, roster, program) for household_id, of_home in paid_homes.items()}
    allotted = await load_allotted(session, roster, owing.shared, ids)
    left_out = await _load_left_out(session, roster, ids)
    unreceived = await load_unreceived(session, owing.shared, ids)
    # A home has one line in a month; what was decided since is arrears of the next.
    listed = await _load_listed(session, roster, ids)
    members = await load_members(session, ids)
    covered = await load_covered(session, [home.case.id for of_home in homes.values() for home in of_home])
    accounts = await load_accounts(session, encryption, ids)
    plans: dict[UUID, Plan] = {}
    for household_id, of_home in homes.items():
        if household_id in listed:
            continue
        owed = _list_owed(of_home, roster, owing, allotted.get(household_id, {}))
        by_any_fen = {month: owed_in(paid_homes[household_id], month).amount_fen for month in owed}
        parts = plan_parts(
            owed,
            allotted.get(household_id, {}),
            left_out.get(household_id, set()),
            month=roster.month,
            unreceived=unreceived.get(household_id),
            owed_by_any=by_any_fen if program.pays == "amount" else None,
        )
        if parts:
            plans[household_id] = _build_plan(
                of_home,
                roster.month,
                parts,
                members.get(household_id, {}),
                covered if program.pays == "amount" else {},
                accounts.get(household_id),
            )
    return plans


def _build_plan(
    homes: Sequence[Home],
    month: date,
    parts: list[Part],
    members: Mapping[str, str],
    covered: Mapping[UUID, Sequence[str]],
    account: Account | None,
) -> Plan:
    """Return the plan of a home with its cases. Without `covered` of its paying case, all members benefit."""
    home = _paying_case(homes, month)
    named, left = _name_beneficiaries(covered.get(home.case.id, []), members)
    return Plan(
        household_id=home.case.household_id,
        case_id=home.case.id,
        area_code=home.case.area_code,
        household_number=home.number,
        head_name=home.head_name,
        class_=home.class_,
        member_names=list(members.values()),
        beneficiaries=named,
        left=left,
        people=_count_people(home, month),
        account=account,
        parts=parts,
        ground=_describe_ground(home, month),
        cases=sum(1 for each in homes if amount_in(each.spans, month)),
    )


async def _load_left_out(session: AsyncSession, roster: Roster, ids: Sequence[UUID]) -> dict[UUID, set[date]]:
    """Return the months in which a person left the home out of another roster."""
    left_out: dict[UUID, set[date]] = {}
    for household_id, month in await session.execute(
        select(CaseFile.household_id, RosterLine.month)
        .join(RosterLine, RosterLine.case_id == CaseFile.id)
        .where(
            CaseFile.household_id.in_(ids),
            RosterLine.program == roster.program,
            RosterLine.roster_id != roster.id,
            RosterLine.state == "left_out",
        )
    ):
        left_out.setdefault(household_id, set()).add(month)
    return left_out


async def _load_listed(session: AsyncSession, roster: Roster, ids: Sequence[UUID]) -> set[UUID]:
    """Return the households that another roster of the program pays in this month."""
    rows = await session.scalars(
        select(RosterLine.household_id).where(
            RosterLine.household_id.in_(ids),
            RosterLine.program == roster.program,
            RosterLine.month == roster.month,
            RosterLine.roster_id != roster.id,
            RosterLine.source_line_id.is_(None),
            RosterLine.state.not_in(DEAD_LINE_STATES),
        )
    )
    return set(rows)


def _list_owed(
    homes: Sequence[Home],
    roster: Roster,
    owing: _Owing,
    allotted: Mapping[date, int],
) -> dict[date, Owed]:
    """Return what each month owes the home, from the first month that a roster of its area paid.

    Of two cases of a home the greater amount counts, never both.
    """
    program = owing.program
    if program.pays != "amount":
        return _list_owed_of_program(homes, roster, owing, allotted)
    area_code = _paying_case(homes, roster.month).case.area_code
    first = min([month for area, month in owing.begun if area_code.startswith(area)], default=roster.month)
    begins = max(owing.earliest, min(first, roster.month, *allotted))
    return {month: owed_in(homes, month) for month in list_months(begins, roster.month)}


def owed_in(homes: Sequence[Home], month: date) -> Owed:
    span = max(
        (span for each in homes if (span := find_span(each.spans, month))),
        key=lambda span: span.amount_fen,
        default=None,
    )
    return Owed(span.amount_fen, span.reason) if span else Owed(0, "")


def _list_owed_of_program(
    homes: Sequence[Home], roster: Roster, owing: _Owing, allotted: Mapping[date, int]
) -> dict[date, Owed]:
    """Return what is owed a head or a home: for the month, and for earlier ones whose roster paid it nothing."""
    area_code = _paying_case(homes, roster.month).case.area_code
    missed = {
        month: owing.by_month[month]
        for area, month in owing.rostered
        if area_code.startswith(area) and month in owing.by_month and month not in allotted
    }
    this_month = {roster.month: owing.program} if is_paid_in(owing.program, roster.month) else {}
    owed: dict[date, Owed] = {}
    for month, program in (missed | this_month).items():
        home = _paying_case(homes, month)
        units = _count_people(home, month) if program.pays == "per_person" else 1
        is_owed = amount_in(home.spans, month) > 0
        owed[month] = Owed((program.fen or 0) * units if is_owed else 0, program.zh)
    return owed


def _paying_case(homes: Sequence[Home], month: date) -> Home:
    """Return the case that is paid in the month, else the newest."""
    paid = [home for home in homes if amount_in(home.spans, month)]
    return max(paid, key=lambda home: amount_in(home.spans, month)) if paid else homes[-1]


def _find_change(home: Home, month: date) -> BenefitChange | None:
    span = find_span(home.spans, month)
    return next((change for change in home.changes if span and change.id == span.change_id), None)


def _count_people(home: Home, month: date) -> int:
    change = _find_change(home, month)
    return change.people if change else 0


def _describe_ground(home: Home, month: date) -> dict[str, Any]:
    change = _find_change(home, month)
    if change is None:
        return {"applicationNumber": home.case.number}
    return {
        "applicationNumber": home.case.number,
        "changeId": str(change.id),
        "kind": change.kind,
        "fromMonth": change.month.isoformat(),
        "reason": change.reason,
        "decidedOn": change.decided_on.isoformat(),
        "decidedBy": str(change.decided_by) if change.decided_by else None,
    }


def _name_beneficiaries(covered: Sequence[str], members: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the names of the covered members, of all where no calculation says it, and who is no member any more."""
    if not covered:
        return list(members.values()), []
    return [members[member] for member in covered if member in members], [
        member for member in covered if member not in members
    ]
