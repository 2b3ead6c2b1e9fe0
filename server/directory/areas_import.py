"""Imports statistical divisions from CSV files, versioned: a code no longer listed ends, it is not removed."""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.database import open_once, raw_connection
from server.core.settings import Settings
from server.models.areas import Area

FILES = ("provinces.csv", "cities.csv", "areas.csv", "streets.csv")
PARENT_DIGITS = {2: 0, 4: 2, 6: 4, 9: 6, 12: 9}


class AreasUnreadable(Exception):
    """A file or a line of it can't be read; the message says which."""


class Imported(NamedTuple):
    read: int
    added: int
    renamed: int
    ended: int


class _Line(NamedTuple):
    code: str
    name: str


async def import_folder(settings: Settings, folder: Path) -> Imported:
    lines = [line for name in FILES for line in _read(folder / name)]
    async with open_once(settings.database_url) as session:
        return await import_areas(session, lines, on=datetime.now(UTC).date())


def _read(path: Path) -> Iterator[_Line]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                code, name = (row.get("code") or "").strip(), (row.get("name") or "").strip()
                if len(code) not in PARENT_DIGITS or not code.isdigit() or not name:
                    raise AreasUnreadable(f"{path.name} line {number}: needs a division code and a name")
                yield _Line(code, name)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AreasUnreadable(f"{path.name} can't be read: {error}") from None


async def import_areas(session: AsyncSession, lines: list[_Line], *, on: date) -> Imported:
    """Levels that the files list are replaced as a whole; areas below them (villages) stay as they are."""
    known = set(await session.scalars(select(Area.code)))
    known |= {line.code for line in lines}
    orphans = sorted(line.code for line in lines if not _has_parent(line.code, known))
    if orphans:
        raise AreasUnreadable(f"{len(orphans)} areas have no parent in the files, first {orphans[0]}")
    await _copy(session, lines)
    told = Imported(
        read=len(lines),
        renamed=await _count(session, RENAMED),
        added=await _count(session, ADD, on=on),
        ended=await _count(session, END, on=on),
    )
    audit.record(session, None, "areas.imported", "area", "", **told._asdict())
    return told


def _has_parent(code: str, known: set[str]) -> bool:
    digits = PARENT_DIGITS[len(code)]
    return digits == 0 or code[:digits] in known


# The lines come in by COPY: forty thousand rows as one statement's parameters would take a minute.
LISTED = "CREATE TEMPORARY TABLE listed (code text PRIMARY KEY, name text, parent text) ON COMMIT DROP"
RENAMED = """
UPDATE area SET name = listed.name, valid_until = NULL FROM listed
WHERE area.code = listed.code AND (area.name <> listed.name OR area.valid_until IS NOT NULL)
"""
ADD = """
INSERT INTO area (code, name, parent_code, valid_from)
SELECT code, name, parent, :on FROM listed ORDER BY length(code), code ON CONFLICT DO NOTHING
"""
# A county without a first day is the demo's or a test's, with an invented code: no official list ends it.
END = """
UPDATE area SET valid_until = :on
WHERE valid_until IS NULL AND valid_from IS NOT NULL AND code NOT IN (SELECT code FROM listed)
AND length(code) IN (SELECT DISTINCT length(code) FROM listed)
"""


async def _copy(session: AsyncSession, lines: list[_Line]) -> None:
    connection = await raw_connection(session)
    async with connection.cursor() as cursor:
        await cursor.execute(LISTED)
        async with cursor.copy("COPY listed FROM STDIN") as copy:
            for line in {line.code: line for line in lines}.values():
                await copy.write_row((line.code, line.name, line.code[: PARENT_DIGITS[len(line.code)]] or None))


async def _count(session: AsyncSession, statement: str, **values: date) -> int:
    done = await session.execute(text(statement), values)
    return int(done.rowcount)  # type: ignore[attr-defined]  # a statement that writes has one
