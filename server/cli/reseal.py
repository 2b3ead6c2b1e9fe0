"""Bind every sealed value to its row, with the newest key, and index phone numbers: a migration holds no keys.

Idempotent, in short transactions; a run that was interrupted goes on where it stopped. Requests are served meanwhile.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, func, not_, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.database import Sessions, create_engine, open_pool, open_session, session_maker
from server.core.encryption import BOUND, Encryption
from server.core.errors import Problem
from server.core.keys import read_ring
from server.core.services import build_encryption
from server.core.settings import Settings
from server.models.households import Household
from server.models.sealed_columns import SealedColumn, join_key, sealed_columns

BATCH = 500


class ResealReport(NamedTuple):
    resealed: int
    refused: list[tuple[str, str]]


def starts_with(column: Column[Any], prefix: bytes) -> Any:
    return func.substring(column, 1, len(prefix)) == prefix


async def count_unbound(session: AsyncSession) -> int:
    """Count values that are bound to no row."""
    counts = [
        await session.scalar(
            select(func.count()).where(sealed.column.is_not(None), not_(starts_with(sealed.column, BOUND)))
        )
        for sealed in sealed_columns()
    ]
    return sum(count or 0 for count in counts)


async def reseal(settings: Settings, progress: Callable[[int], None]) -> ResealReport:
    """Reseal what is bound to no row or sealed with an older key. Values that can't be opened are left as they are."""
    ring = read_ring("ZOUFANG_PII_KEYS", settings.pii_keys)
    newest = BOUND + ring.current.encode() + b":"
    encryption = build_encryption(settings, reads_unbound=True)
    resealed, refused = 0, list[tuple[str, str]]()
    async with open_pool(settings.database_url, size=2) as pool:
        sessions = session_maker(create_engine(settings.database_url, pool))
        for sealed in sealed_columns():
            last: Sequence[Any] | None = None
            while batch := await _reseal_batch(sessions, encryption, sealed, newest, last):
                last = batch.last
                resealed += batch.resealed
                refused += [(sealed.name, row_id) for row_id in batch.refused]
                progress(batch.resealed)
        while await _index_phones(sessions, encryption):
            pass
    return ResealReport(resealed, refused)


async def _index_phones(sessions: Sessions, encryption: Encryption) -> int:
    """Write the blind index of phone numbers that were stored before there was one; a refused number has none."""
    rows = (
        select(Household)
        .where(Household.phone_sealed.is_not(None), Household.phone_index.is_(None), Household.merged_into.is_(None))
        .limit(BATCH)
        .with_for_update()
    )
    async with open_session(sessions) as session:
        households = (await session.scalars(rows)).all()
        for household in households:
            assert household.phone_sealed is not None
            try:
                phone = encryption.open("household.phone", household.id, household.phone_sealed)
            except Problem:
                household.phone_index = b""
            else:
                household.phone_index = encryption.index("phone", phone)
    return len(households)


class _Batch(NamedTuple):
    last: Sequence[Any]
    resealed: int
    refused: list[str]


async def _reseal_batch(
    sessions: Sessions, encryption: Encryption, sealed: SealedColumn, newest: bytes, last: Sequence[Any] | None
) -> _Batch | None:
    """Reseal the next rows after `last`, by primary key; None at the end."""
    rows = (
        select(*sealed.keys, sealed.column)
        .where(sealed.column.is_not(None), not_(starts_with(sealed.column, newest)))
        .where(true() if last is None else tuple_(*sealed.keys) > tuple_(*last))
        .order_by(*sealed.keys)
        .limit(BATCH)
        .with_for_update()
    )
    refused: list[str] = []
    async with open_session(sessions) as session:
        found = (await session.execute(rows)).all()
        for *key, value in found:
            row_id = join_key(key)
            try:
                renewed = encryption.seal(sealed.name, row_id, encryption.open(sealed.name, row_id, value))
            except Problem:
                refused.append(row_id)
                continue
            await session.execute(update(sealed.table).where(sealed.matches(key)).values({sealed.column.name: renewed}))
    return _Batch(found[-1][:-1], len(found) - len(refused), refused) if found else None
