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
from sqlalchemy.orm import aliased

from server.benefits.amount_timeline import AmountSpan, build_timeline
from server.core.encryption import Encryption
from server.models.benefits import BenefitChange
from server.models.cases import BankAccount, Calculation, CaseFile
from server.models.households import Household, HouseholdMember
from server.models.rosters import DEAD_LINE_STATES, SENT_LINE_STATES, Roster, RosterLine, RosterPart
from server.policy.resolver import load_policy_values
from server.policy.schemas import PaymentProgram
from server.rosters.parts import Owed, Part, add_months, list_months, plan_parts
from server.rosters.programs import is_paid_in, list_programs

ARREARS_MONTHS = "roster.arrears_months"
# Homes that are read at once.
_STEP = 1000
PAID_STATES = ("published", "in_force", "stopped")


class Account(Struct, frozen=True):
    holder_name: str
    bank_name: str
    number: str
    mask: str
    index: bytes


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


class _Owing(Struct, frozen=True):
    """What is owed by whom since when: `begun` are areas with their first roster, `earliest` bounds them all.

    `shared`: the codes that pay the decided amounts, the program's own among them: a case that changes from rural to
    urban is paid its months once. `by_month` and `rostered` are for what is paid a head or a home: the program as each
    month's settings have it, and the months of its rosters, by area.
    """

    program: PaymentProgram
    begun: list[tuple[str, date]]
    earliest: date
    shared: list[str]
    by_month: Mapping[date, PaymentProgram]
    rostered: list[tuple[str, date]]


class Home(Struct):
    """A case of a home with its decisions."""

    case: CaseFile
    number: str
    head_name: str
    class_: str | None
    changes: list[BenefitChange]
    spans: list[AmountSpan]


async def plan_lines(
    session: AsyncSession, encryption: Encryption, roster: Roster, program: PaymentProgram
) -> dict[UUID, Plan]:
    """Return the plan of each home of the roster's area to which the program owes anything, by household."""
    plans: dict[UUID, Plan] = {}
    owing = await _load_owing(session, roster, program)
    last = UUID(int=0)
    while True:
        ids = list(await session.scalars(_select_households(roster, program, last)))
        if not ids:
            return plans
        last = ids[-1]
        plans |= await _plan_homes(session, encryption, roster, owing, ids)


async def _load_owing(session: AsyncSession, roster: Roster, program: PaymentProgram) -> _Owing:
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


def _select_households(roster: Roster, program: PaymentProgram, last: UUID) -> Any:
    return (
        select(CaseFile.household_id)
        .where(*_is_paid(roster, program), CaseFile.household_id > last)
        .group_by(CaseFile.household_id)
        .order_by(CaseFile.household_id)
        .limit(_STEP)
    )


def _is_paid(roster: Roster, program: PaymentProgram) -> list[ColumnElement[bool]]:
    """Match cases of the area that are paid in the month, or were before it."""
    return [
        CaseFile.area_code.startswith(roster.area_code, autoescape=True),
        CaseFile.programme.in_(program.homes),
        CaseFile.state.in_(PAID_STATES),
        CaseFile.paid_from <= roster.month,
    ]


def _list_own(homes: Sequence[Home], roster: Roster, program: PaymentProgram) -> list[Home]:
    """Return those of a home's cases that `_is_paid` matches."""
    return [
        home
        for home in homes
        if home.case.area_code.startswith(roster.area_code)
        and home.case.programme in program.homes
        and home.case.paid_from is not None
        and home.case.paid_from <= roster.month
    ]


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
    session: AsyncSession,
    encryption: Encryption,
    roster: Roster,
    owing: _Owing,
    ids: Sequence[UUID],
) -> dict[UUID, Plan]:
    program = owing.program
    # Lines of any case are taken off; so nothing that a case of another programme or area rightly got is claimed back.
    paid_homes = await load_homes(session, ids, CaseFile.state.in_(PAID_STATES))
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
            home = _paying_case(of_home, roster.month)
            named, left = _name_beneficiaries(
                covered.get(home.case.id, []) if program.pays == "amount" else [], members.get(household_id, {})
            )
            plans[household_id] = Plan(
                household_id=household_id,
                case_id=home.case.id,
                area_code=home.case.area_code,
                household_number=home.number,
                head_name=home.head_name,
                class_=home.class_,
                member_names=list(members.get(household_id, {}).values()),
                beneficiaries=named,
                left=left,
                people=_count_people(home, roster.month),
                account=accounts.get(household_id),
                parts=parts,
                ground=_describe_ground(home, roster.month),
                cases=sum(1 for home in of_home if amount_in(home.spans, roster.month)),
            )
    return plans


async def load_homes(
    session: AsyncSession, ids: Sequence[UUID], *conditions: ColumnElement[bool]
) -> dict[UUID, list[Home]]:
    rows = (
        await session.execute(
            select(CaseFile, Household.number, Household.head_name, Household.class_)
            .join(Household, Household.id == CaseFile.household_id)
            .where(CaseFile.household_id.in_(ids), *conditions)
            .order_by(CaseFile.applied_on, CaseFile.id)
        )
    ).all()
    changes: dict[UUID, list[BenefitChange]] = {}
    for change in await session.scalars(
        select(BenefitChange)
        .where(BenefitChange.case_id.in_([case.id for case, *_ in rows]))
        .order_by(BenefitChange.id)
    ):
        changes.setdefault(change.case_id, []).append(change)
    homes: dict[UUID, list[Home]] = {}
    for case, number, head_name, class_ in rows:
        of_case = changes.get(case.id, [])
        home = Home(case, number, head_name, class_, of_case, build_timeline(of_case).spans)
        homes.setdefault(case.household_id, []).append(home)
    return homes


async def load_allotted(
    session: AsyncSession, roster: Roster, programs: Sequence[str], ids: Sequence[UUID]
) -> dict[UUID, dict[date, int]]:
    """Return what other rosters allot to each month of a home.

    A correction takes the place of the line that it pays again once it is sent: of a chain, the newest sent line
    counts. Lines belong to the home that their case belongs to now: after a merge, what the other home was paid counts
    as well.
    """
    rows = await session.execute(
        select(CaseFile.household_id, RosterPart.month, func.sum(RosterPart.amount_fen))
        .join(RosterLine, RosterLine.case_id == CaseFile.id)
        .join(RosterPart, RosterPart.line_id == RosterLine.id)
        .where(
            CaseFile.household_id.in_(ids),
            RosterLine.program.in_(programs),
            RosterLine.roster_id != roster.id,
            or_(RosterLine.source_line_id.is_(None), RosterLine.state.in_(SENT_LINE_STATES)),
            RosterLine.state.not_in(DEAD_LINE_STATES),
            ~_is_paid_again(),
        )
        .group_by(CaseFile.household_id, RosterPart.month)
    )
    allotted: dict[UUID, dict[date, int]] = {}
    for household_id, month, amount_fen in rows:
        allotted.setdefault(household_id, {})[month] = int(amount_fen)
    return allotted


def _is_paid_again() -> ColumnElement[bool]:
    again = aliased(RosterLine)
    return exists().where(
        again.source_line_id == RosterLine.id,
        again.state.in_(SENT_LINE_STATES),
        again.state.not_in(DEAD_LINE_STATES),  # as the index has it
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


async def load_unreceived(
    session: AsyncSession, programs: Sequence[str], ids: Sequence[UUID]
) -> dict[UUID, dict[date, int]]:
    """Return, by household and month, what the bank returned and no sent correction pays again.

    Not what such a line took back: its correction does.
    """
    rows = await session.execute(
        select(CaseFile.household_id, RosterPart.month, func.sum(RosterPart.amount_fen))
        .join(RosterLine, RosterLine.case_id == CaseFile.id)
        .join(RosterPart, RosterPart.line_id == RosterLine.id)
        .where(CaseFile.household_id.in_(ids), RosterLine.program.in_(programs), RosterPart.amount_fen > 0)
        .where(RosterLine.state == "returned", ~_is_paid_again())
        .group_by(CaseFile.household_id, RosterPart.month)
    )
    unreceived: dict[UUID, dict[date, int]] = {}
    for household_id, month, amount_fen in rows:
        unreceived.setdefault(household_id, {})[month] = int(amount_fen)
    return unreceived


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


def amount_in(spans: Sequence[AmountSpan], month: date) -> int:
    span = find_span(spans, month)
    return span.amount_fen if span else 0


def find_span(spans: Sequence[AmountSpan], month: date) -> AmountSpan | None:
    return next(
        (span for span in spans if span.from_month <= month and (span.until_month is None or month < span.until_month)),
        None,
    )


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


async def load_members(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
    """Return the names of each home's members by their ids."""
    members: dict[UUID, dict[str, str]] = {}
    for household_id, member_id, name in await session.execute(
        select(HouseholdMember.household_id, HouseholdMember.id, HouseholdMember.name)
        .where(HouseholdMember.household_id.in_(ids))
        .order_by(HouseholdMember.position)
    ):
        members.setdefault(household_id, {})[str(member_id)] = name
    return members


async def load_covered(session: AsyncSession, case_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    """Return the ids of the members for whom each case is paid: those of the newest calculation of its amount."""
    rows = await session.execute(
        select(Calculation.case_id, Calculation.body["covered"])
        .join(CaseFile, CaseFile.id == Calculation.case_id)
        .where(Calculation.case_id.in_(case_ids), Calculation.amount_fen == CaseFile.amount_fen)
        .order_by(Calculation.made_at, Calculation.id)
    )
    return {case_id: covered or [] for case_id, covered in rows}


def _name_beneficiaries(covered: Sequence[str], members: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the names of the covered members, of all where no calculation says it, and who is no member any more."""
    if not covered:
        return list(members.values()), []
    return [members[member] for member in covered if member in members], [
        member for member in covered if member not in members
    ]


async def load_accounts(session: AsyncSession, encryption: Encryption, ids: Sequence[UUID]) -> dict[UUID, Account]:
    """Return the account of each home, opened."""
    accounts = {}
    for row in await session.scalars(select(BankAccount).where(BankAccount.household_id.in_(ids))):
        number = encryption.open("bank_account.card", row.household_id, row.card_sealed)
        accounts[row.household_id] = Account(
            row.holder_name, row.bank_name, number, row.card_mask, encryption.index("bank_card", number)
        )
    return accounts
