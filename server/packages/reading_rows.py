"""Read the rows of an area piece by piece: memory stays flat whatever the number of rows."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Table, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.database import fetch_pieces, open_once
from server.core.encryption import Encryption
from server.models.people import Staff
from server.packages.rows import Names, Row, index_names, open_row, without_keyed_hashes
from server.packages.selection import select_objects, select_rows
from server.packages.tables import PACKAGED, list_packaged
from server.photos.stored_objects import StoredObject, name_object

# One piece is one file of the package, and what is held in memory at a time.
ROWS_A_PIECE = 2_000
_UNLIMITED = ("statement_timeout", "idle_in_transaction_session_timeout")
# The ids of a province's visits are hashed in memory; beyond that each row would look through all of them.
_WORK_MEMORY = "256MB"


class TableDigest(Struct, frozen=True):
    rows: int
    sha256: str


class Contents(Struct, frozen=True):
    """What a package holds, table by table. Two installations hold the same of an area if these are equal."""

    tables: dict[str, TableDigest]
    objects: int
    objects_sha256: str

    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())

    def digest(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


@asynccontextmanager
async def open_snapshot(url: str) -> AsyncIterator[AsyncSession]:
    """A reading session that sees the database as of one moment, for as long as it takes."""
    async with open_once(url) as session:
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})
        await prepare_reading(session)
        yield session


async def prepare_reading(session: AsyncSession) -> None:
    for name in _UNLIMITED:
        await session.execute(text(f"SET LOCAL {name} = 0"))
    await session.execute(text(f"SET LOCAL work_mem = '{_WORK_MEMORY}'"))
    # All rows are fetched: a plan for the first of them would look up each of the others by itself.
    await session.execute(text("SET LOCAL cursor_tuple_fraction = 1.0"))
    # Times are written into JSON in the zone of the session.
    await session.execute(text("SET LOCAL timezone = 'UTC'"))


async def load_names(session: AsyncSession, encryption: Encryption) -> Names:
    return index_names(encryption, list(await session.scalars(select(Staff.name))))


async def read_pieces(
    session: AsyncSession, encryption: Encryption, names: Names, table: Table, area: str
) -> AsyncIterator[list[Row]]:
    """Yield the rows of a table as a package holds them, in the order of their keys."""
    async for piece in _fetch_pieces(session, select_rows(table), area):
        yield [open_row(encryption, names, table, msgspec.json.decode(row)) for (row,) in piece]


async def read_objects(session: AsyncSession, area: str) -> AsyncIterator[StoredObject]:
    async for piece in _fetch_pieces(session, select_objects(), area):
        for row in piece:
            yield name_object(row)


async def _fetch_pieces(session: AsyncSession, query: str, area: str) -> AsyncIterator[Sequence[Any]]:
    """The code of the area, which is digits, stands in the text of the query (`fetch_pieces`)."""
    if not area.isascii() or not area.isdigit():
        raise ValueError(area)
    async for piece in fetch_pieces(session, query.replace(":area", f"'{area}%'"), ROWS_A_PIECE):
        yield piece


class Digester:
    """Adds up what is written or read into `Contents`."""

    def __init__(self) -> None:
        self._tables: dict[str, tuple[int, Any]] = {}
        self._objects, self._objects_sha256 = 0, hashlib.sha256()

    def add_rows(self, table: Table, rows: list[Row]) -> None:
        count, sha256 = self._tables.get(table.name, (0, None))
        sha256 = sha256 or hashlib.sha256()
        for row in rows:
            sha256.update(msgspec.json.encode(without_keyed_hashes(table, row), order="sorted") + b"\n")
        self._tables[table.name] = count + len(rows), sha256

    def add_object(self, item: StoredObject) -> None:
        self._objects += 1
        self._objects_sha256.update(f"{item.content} {item.key}\n".encode())

    def contents(self) -> Contents:
        """Leave out what an import does not write: it is in the package to be read by people."""
        tables = {
            name: TableDigest(count, sha256.hexdigest())
            for name, (count, sha256) in sorted(self._tables.items())
            if PACKAGED[name].is_read_back
        }
        return Contents(tables, self._objects, self._objects_sha256.hexdigest())


async def compute_contents(session: AsyncSession, encryption: Encryption, area: str) -> Contents:
    """Read all that this installation holds of an area, and return what a package of it would say."""
    digester, names = Digester(), await load_names(session, encryption)
    for table in list_packaged():
        if PACKAGED[table.name].is_read_back:
            async for rows in read_pieces(session, encryption, names, table, area):
                digester.add_rows(table, rows)
    async for item in read_objects(session, area):
        digester.add_object(item)
    return digester.contents()
