"""What stands of the homes of a roster: cases with decisions, members, accounts, and what rosters allot to them."""

from collections.abc import Sequence
from datetime import date
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


class Home(Struct):
    """A case of a home with its decisions."""

    case: CaseFile
    number: str
    head_name: str
    class_: str | None
    changes: list[BenefitChange]
    spans: list[AmountSpan]


class Account(Struct, frozen=True):
    holder_name: str
    bank_name: str
    number: str
    mask: str
    index: bytes


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


def amount_in(spans: Sequence[AmountSpan], month: date) -> int:
    span = find_span(spans, month)
    return span.amount_fen if span else 0


def find_span(spans: Sequence[AmountSpan], month: date) -> AmountSpan | None:
    return next(
        (span for span in spans if span.from_month <= month and (span.until_month is None or month < span.until_month)),
        None,
    )


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


def _is_paid_again() -> ColumnElement[bool]:
    again = aliased(RosterLine)
    return exists().where(
        again.source_line_id == RosterLine.id,
        again.state.in_(SENT_LINE_STATES),
        again.state.not_in(DEAD_LINE_STATES),  # as the index has it
    )


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


async def load_accounts(session: AsyncSession, encryption: Encryption, ids: Sequence[UUID]) -> dict[UUID, Account]:
    """Return the account of each home, opened."""
    accounts = {}
    for row in await session.scalars(select(BankAccount).where(BankAccount.household_id.in_(ids))):
        number = encryption.open("bank_account.card", row.household_id, row.card_sealed)
        accounts[row.household_id] = Account(
            row.holder_name, row.bank_name, number, row.card_mask, encryption.index("bank_card", number)
        )
    return accounts
