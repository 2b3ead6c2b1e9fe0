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
from server.models.rosters import DEAD_LINE_STATES, Roster, RosterLine, RosterPart
from server.policy.resolver import load_policy_values
from server.policy.schemas import PaymentProgram
from server.rosters.parts import Owed, Part, add_months, list_months, plan_parts

ARREARS_MONTHS = "roster.arrears_months"
# Homes that are read at once.
_STEP = 1000
_PAID_STATES = ("published", "in_force", "stopped")


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
    """What is owed by whom since when: `begun` are areas with their first roster, `earliest` bounds them all."""

    program: PaymentProgram
    begun: list[tuple[str, date]]
    earliest: date


class _Home(Struct):
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
    settings = await load_policy_values(session, roster.area_code, roster.month, [ARREARS_MONTHS])
    earliest = add_months(roster.month, -int(settings[ARREARS_MONTHS]))
    begun = await _load_first_months(session, roster, earliest)
    owing = _Owing(program, begun, earliest)
    last = UUID(int=0)
    while True:
        ids = list(await session.scalars(_select_households(roster, program, last)))
        if not ids:
            return plans
        last = ids[-1]
        plans |= await _plan_homes(session, encryption, roster, owing, ids)


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
        CaseFile.state.in_(_PAID_STATES),
        CaseFile.paid_from <= roster.month,
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
    homes = await _load_homes(session, roster, program, ids)
    allotted, left_out = await _load_allotted(session, roster, ids)
    unreceived = await _load_unreceived(session, roster, ids)
    # A home has one line in a month; what was decided since is arrears of the next.
    listed = await _load_listed(session, roster, ids)
    members = await _load_members(session, ids)
    covered = await load_covered(session, [home.case.id for of_home in homes.values() for home in of_home])
    accounts = await load_accounts(session, encryption, ids)
    plans: dict[UUID, Plan] = {}
    for household_id, of_home in homes.items():
        if household_id in listed:
            continue
        owed = _list_owed(of_home, roster, owing, allotted.get(household_id, {}))
        parts = plan_parts(
            owed,
            allotted.get(household_id, {}),
            left_out.get(household_id, set()),
            month=roster.month,
            unreceived=unreceived.get(household_id),
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


async def _load_homes(
    session: AsyncSession, roster: Roster, program: PaymentProgram, ids: Sequence[UUID]
) -> dict[UUID, list[_Home]]:
    rows = (
        await session.execute(
            select(CaseFile, Household.number, Household.head_name, Household.class_)
            .join(Household, Household.id == CaseFile.household_id)
            .where(CaseFile.household_id.in_(ids), *_is_paid(roster, program))
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
    homes: dict[UUID, list[_Home]] = {}
    for case, number, head_name, class_ in rows:
        of_case = changes.get(case.id, [])
        home = _Home(case, number, head_name, class_, of_case, build_timeline(of_case).spans)
        homes.setdefault(case.household_id, []).append(home)
    return homes


async def _load_allotted(
    session: AsyncSession, roster: Roster, ids: Sequence[UUID]
) -> tuple[dict[UUID, dict[date, int]], dict[UUID, set[date]]]:
    """Return what other rosters allot to each month of a home, and the months in which a person left it out.

    A correction allots nothing: it pays again what the bank returned of a line that stays allotted. Lines belong to
    the home that their case belongs to now: after a merge, what the other home was paid counts as well.
    """
    of_home = (
        CaseFile.household_id.in_(ids),
        RosterLine.program == roster.program,
        RosterLine.roster_id != roster.id,
    )
    rows = await session.execute(
        select(CaseFile.household_id, RosterPart.month, func.sum(RosterPart.amount_fen))
        .join(RosterLine, RosterLine.case_id == CaseFile.id)
        .join(RosterPart, RosterPart.line_id == RosterLine.id)
        .where(*of_home, RosterLine.source_line_id.is_(None), RosterLine.state.not_in(DEAD_LINE_STATES))
        .group_by(CaseFile.household_id, RosterPart.month)
    )
    allotted: dict[UUID, dict[date, int]] = {}
    for household_id, month, amount_fen in rows:
        allotted.setdefault(household_id, {})[month] = int(amount_fen)
    left_out: dict[UUID, set[date]] = {}
    for household_id, month in await session.execute(
        select(CaseFile.household_id, RosterLine.month)
        .join(RosterLine, RosterLine.case_id == CaseFile.id)
        .where(*of_home, RosterLine.state == "left_out")
    ):
        left_out.setdefault(household_id, set()).add(month)
    return allotted, left_out


async def _load_unreceived(session: AsyncSession, roster: Roster, ids: Sequence[UUID]) -> dict[UUID, dict[date, int]]:
    """Return, by household and month, what the bank returned and no living correction pays again."""
    again = aliased(RosterLine)
    repaid = exists().where(again.source_line_id == RosterLine.id, again.state.not_in(DEAD_LINE_STATES))
    rows = await session.execute(
        select(CaseFile.household_id, RosterPart.month, func.sum(RosterPart.amount_fen))
        .join(RosterLine, RosterLine.case_id == CaseFile.id)
        .join(RosterPart, RosterPart.line_id == RosterLine.id)
        .where(CaseFile.household_id.in_(ids), RosterLine.program == roster.program)
        .where(RosterLine.state == "returned", ~repaid)
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
    homes: Sequence[_Home],
    roster: Roster,
    owing: _Owing,
    allotted: Mapping[date, int],
) -> dict[date, Owed]:
    """Return what each month owes the home, from the first month that a roster of its area paid.

    Of two cases of a home the greater amount counts, never both. What is paid a head or a home is owed for the month
    of its roster alone.
    """
    program = owing.program
    home = _paying_case(homes, roster.month)
    if program.pays != "amount":
        is_paid = amount_in(home.spans, roster.month) > 0
        units = _count_people(home, roster.month) if program.pays == "per_person" else 1
        return {roster.month: Owed((program.fen or 0) * units if is_paid else 0, program.zh)}
    area_code = home.case.area_code
    first = min([month for area, month in owing.begun if area_code.startswith(area)], default=roster.month)
    owed: dict[date, Owed] = {}
    begins = max(owing.earliest, min(first, roster.month, *allotted))
    for month in list_months(begins, roster.month):
        span = max(
            (span for each in homes if (span := find_span(each.spans, month))),
            key=lambda span: span.amount_fen,
            default=None,
        )
        owed[month] = Owed(span.amount_fen, span.reason) if span else Owed(0, "")
    return owed


def _paying_case(homes: Sequence[_Home], month: date) -> _Home:
    """Return the case that is paid in the month, else the newest."""
    paid = [home for home in homes if amount_in(home.spans, month)]
    return max(paid, key=lambda home: amount_in(home.spans, month)) if paid else homes[-1]


def _find_change(home: _Home, month: date) -> BenefitChange | None:
    span = find_span(home.spans, month)
    return next((change for change in home.changes if span and change.id == span.change_id), None)


def _count_people(home: _Home, month: date) -> int:
    change = _find_change(home, month)
    return change.people if change else 0


def _describe_ground(home: _Home, month: date) -> dict[str, Any]:
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


async def _load_members(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, dict[str, str]]:
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


async def plan_returned(session: AsyncSession, encryption: Encryption, lines: Sequence[RosterLine]) -> dict[UUID, Plan]:
    """Return, for lines that are paid again, the people and the account of each home as they are now."""
    ids = [line.household_id for line in lines]
    members = await _load_members(session, ids)
    accounts = await load_accounts(session, encryption, ids)
    return {
        line.household_id: Plan(
            household_id=line.household_id,
            case_id=line.case_id,
            area_code=line.area_code,
            household_number=line.household_number,
            head_name=line.head_name,
            class_=line.class_,
            member_names=list(members.get(line.household_id, {}).values()),
            beneficiaries=line.beneficiaries,
            left=[],
            people=line.people,
            account=accounts.get(line.household_id),
            parts=[],
            ground=line.ground,
            cases=1,
        )
        for line in lines
    }
