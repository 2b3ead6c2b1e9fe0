"""Search for households with a person, a phone or an account in common, each night and after an import.

Every pair gets a score and its reasons; a person judges it (`duplicates.py`). Of many homes with one phone each is
paired with the first alone, so that a phone of a whole village gives no thousand pairs.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.clock import utc_now
from server.core.database import advisory_lock, open_session
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.ids import new_id
from server.core.job_types import FindDuplicates
from server.core.normalise import name_key
from server.core.services import Services
from server.core.working_days import day_of
from server.models.cases import BankAccount
from server.models.duplicates import DuplicatePair
from server.models.households import Household, HouseholdMember
from server.policy.resolver import load_policy_values

# How much each reason says, of 100. They order the list and decide nothing.
SCORES = {"id_number": 90, "name_birth": 60, "pinyin_birth": 40, "account": 40, "phone": 20, "address": 20}
# A phone or account in as many homes as the setting says is listed by itself; in fewer only beside another reason.
_SHARED = {"phone": "duplicates.phone_homes", "account": "duplicates.account_homes"}
# Found only beside something else: neighbours share an address too.
_NEVER_ALONE = "address"
# Up to so many homes every two are a pair.
_ALL_PAIRS = 4
_STEP = 1000
_COUNTY_DIGITS = 6


class Reason(msgspec.Struct, rename="camel"):
    """`members`: of the first and of the second household. `homes`: how many share it."""

    code: str
    members: list[UUID] | None = None
    homes: int | None = None


class _Holder(NamedTuple):
    household_id: UUID
    member_id: UUID | None = None
    name: str = ""


Pairs = dict[tuple[UUID, UUID], dict[str, Reason]]


@jobs.task(FindDuplicates, cron="30 19 * * *")
async def find_duplicates(services: Services, _: FindDuplicates) -> None:
    """Run at 3:30 China time, and after an import of a register."""
    while await _index_accounts(services):
        pass
    async with open_session(services.sessions) as session:
        await search_duplicates(session, utc_now())


async def _index_accounts(services: Services) -> int:
    """Write the blind index of accounts that were stored before there was one; a refused number has none."""
    async with open_session(services.sessions) as session:
        rows = list(
            await session.scalars(
                select(BankAccount).where(BankAccount.card_index.is_(None)).limit(_STEP).with_for_update()
            )
        )
        for row in rows:
            row.card_index = _index_account(services.encryption, row)
        return len(rows)


def _index_account(encryption: Encryption, row: BankAccount) -> bytes:
    try:
        return encryption.index("bank_card", encryption.open("bank_account.card", row.household_id, row.card_sealed))
    except Problem:
        return b""


async def search_duplicates(session: AsyncSession, now: datetime) -> int:
    """Search the whole register, write the pairs and return how many there are. Verdicts stay."""
    await advisory_lock(session, "duplicates")
    # It reads every member of a province.
    await session.execute(text("SET LOCAL statement_timeout = '10min'"))
    pairs: Pairs = defaultdict(dict)
    for code, holders in [
        *[("id_number", group) for group in await _group_people(session, HouseholdMember.id_number_index)],
        *[("", group) for group in await _group_people(session, *_SAME_SOUND)],
        *[("phone", group) for group in await _group_homes(session, Household.phone_index)],
        *[("account", group) for group in await _group_homes(session, BankAccount.card_index)],
    ]:
        _add_pairs(pairs, code, holders)
    await _drop_unremarkable(session, pairs, now)
    await _compare_addresses(session, pairs)
    await _write(session, pairs, now)
    return len(pairs)


# Homophones of one birthday in one county: of a whole province they would be chance.
_SAME_SOUND = (
    func.left(Household.area_code, _COUNTY_DIGITS),
    HouseholdMember.born_on,
    func.split_part(HouseholdMember.pinyin, " ", 1),
)


async def _group_people(session: AsyncSession, *keys: Any) -> list[list[_Holder]]:
    """Return the members of several households that share the keys."""
    columns = (HouseholdMember.household_id, HouseholdMember.id, HouseholdMember.name)
    arrays = [func.array_agg(aggregate_order_by(column, HouseholdMember.id)) for column in columns]
    rows = await session.execute(
        select(*arrays)
        .join(Household, Household.id == HouseholdMember.household_id)
        .where(Household.merged_into.is_(None), HouseholdMember.id_number_index.is_not(None) if len(keys) == 1 else
               HouseholdMember.pinyin != "")
        .group_by(*keys)
        .having(func.count(HouseholdMember.household_id.distinct()) > 1)
    )  # fmt: skip
    return [list(map(_Holder, *row)) for row in rows]


async def _group_homes(session: AsyncSession, index: Any) -> list[list[_Holder]]:
    rows = await session.scalars(
        select(func.array_agg(aggregate_order_by(Household.id, Household.id)))
        .outerjoin(BankAccount, BankAccount.household_id == Household.id)
        .where(Household.merged_into.is_(None), index.is_not(None), index != b"")
        .group_by(index)
        .having(func.count() > 1)
    )
    return [[_Holder(household_id) for household_id in ids] for ids in rows]


def _add_pairs(pairs: Pairs, code: str, holders: Sequence[_Holder]) -> None:
    homes = len({holder.household_id for holder in holders})
    for one_side, other_side in _pair_up(holders, homes):
        if one_side.household_id == other_side.household_id:
            continue
        first, second = sorted((one_side, other_side), key=lambda holder: holder.household_id)
        reason = code or ("name_birth" if name_key(first.name) == name_key(second.name) else "pinyin_birth")
        members = [first.member_id, second.member_id] if first.member_id and second.member_id else None
        found = pairs[first.household_id, second.household_id]
        found.setdefault(reason, Reason(code=reason, members=members, homes=homes))


def _pair_up(holders: Sequence[_Holder], homes: int) -> Iterator[tuple[_Holder, _Holder]]:
    if homes <= _ALL_PAIRS:
        return itertools.combinations(holders, 2)
    return ((holders[0], other) for other in holders[1:])


async def _drop_unremarkable(session: AsyncSession, pairs: Pairs, now: datetime) -> None:
    """Drop the pairs that have nothing but a phone or account of fewer homes than the area's setting says."""
    shared_only = {ids for ids, reasons in pairs.items() if set(reasons) <= set(_SHARED)}
    areas = await _load_areas(session, {first for first, _ in shared_only})
    limits: dict[str, dict[str, Any]] = {}
    for ids in shared_only:
        county = areas[ids[0]][:_COUNTY_DIGITS]
        if county not in limits:
            limits[county] = await load_policy_values(session, county, day_of(now), list(_SHARED.values()))
        reasons = pairs[ids].values()
        if not any((reason.homes or 0) >= int(limits[county][_SHARED[reason.code]]) for reason in reasons):
            del pairs[ids]


async def _load_areas(session: AsyncSession, ids: set[UUID]) -> dict[UUID, str]:
    rows = await session.execute(select(Household.id, Household.area_code).where(Household.id == func.any(list(ids))))
    return dict(rows.all())


async def _compare_addresses(session: AsyncSession, pairs: Pairs) -> None:
    ids = {household_id for pair in pairs for household_id in pair}
    rows = await session.execute(
        select(Household.id, Household.area_code, Household.address).where(Household.id == func.any(list(ids)))
    )
    places = {household_id: (area_code, name_key(address)) for household_id, area_code, address in rows}
    for (first, second), reasons in pairs.items():
        if places[first] == places[second] and places[first][1] not in {"", "—"}:
            reasons[_NEVER_ALONE] = Reason(code=_NEVER_ALONE)


async def _write(session: AsyncSession, pairs: Pairs, now: datetime) -> None:
    await session.execute(update(DuplicatePair).values(is_current=False))
    found = list(pairs.items())
    for start in range(0, len(found), _STEP):
        rows = [
            {
                "id": new_id(),
                "first_id": first,
                "second_id": second,
                "score": min(100, sum(SCORES[code] for code in reasons)),
                "reasons": msgspec.to_builtins([reasons[code] for code in SCORES if code in reasons]),
                "found_at": now,
                "is_current": True,
            }
            for (first, second), reasons in found[start : start + _STEP]
        ]
        statement = insert(DuplicatePair).values(rows)
        new = statement.excluded
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=["first_id", "second_id"],
                set_={"score": new.score, "reasons": new.reasons, "is_current": True},
            )
        )
    await session.execute(
        delete(DuplicatePair).where(DuplicatePair.is_current.is_(False), DuplicatePair.verdict.is_(None))
    )
