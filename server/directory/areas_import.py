"""Import statistical divisions from CSV files.

A code that is no longer listed gets an end date and is not deleted.
"""

import csv
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.clock import utc_now
from server.core.database import open_once, raw_connection
from server.core.settings import Settings
from server.models.areas import Area

FILES = ("provinces.csv", "cities.csv", "areas.csv", "streets.csv")
PARENT_DIGITS = {2: 0, 4: 2, 6: 4, 9: 6, 12: 9}


class AreasUnreadable(Exception):
    """A file or a line of it cannot be read. The message says which."""


class ImportResult(NamedTuple):
    read: int
    added: int
    renamed: int
    ended: int


class AreaRow(NamedTuple):
    code: str
    name: str


async def import_folder(settings: Settings, folder: Path) -> ImportResult:
    rows = [row for name in FILES for row in _read_file(folder / name)]
    async with open_once(settings.database_url) as session:
        return await import_areas(session, rows, on=utc_now().date())


def _read_file(path: Path) -> Iterator[AreaRow]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                code, name = (row.get("code") or "").strip(), (row.get("name") or "").strip()
                if len(code) not in PARENT_DIGITS or not code.isdigit() or not name:
                    raise AreasUnreadable(f"{path.name} line {number}: needs a division code and a name")
                yield AreaRow(code, name)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AreasUnreadable(f"{path.name} can't be read: {error}") from None


async def import_areas(session: AsyncSession, rows: list[AreaRow], *, on: date) -> ImportResult:
    """Replace the levels that the files list. Areas below them (villages) stay as they are."""
    codes = set(await session.scalars(select(Area.code)))
    codes |= {row.code for row in rows}
    orphans = sorted(row.code for row in rows if not _has_parent(row.code, codes))
    if orphans:
        raise AreasUnreadable(f"{len(orphans)} areas have no parent in the files, first {orphans[0]}")
    await _copy_rows(session, rows)
    result = ImportResult(
        read=len(rows),
        renamed=await _execute_and_count(session, _UPDATE_RENAMED),
        added=await _execute_and_count(session, _INSERT_ADDED, on=on),
        ended=await _execute_and_count(session, _END_UNLISTED, on=on),
    )
    audit.record(session, None, Action.AREAS_IMPORTED, "area", "", **result._asdict())
    return result


def _has_parent(code: str, codes: set[str]) -> bool:
    digits = PARENT_DIGITS[len(code)]
    return digits == 0 or code[:digits] in codes


async def _copy_rows(session: AsyncSession, rows: list[AreaRow]) -> None:
    connection = await raw_connection(session)
    async with connection.cursor() as cursor:
        await cursor.execute(_CREATE_LISTED)
        async with cursor.copy("COPY listed FROM STDIN") as copy:
            for row in {row.code: row for row in rows}.values():
                await copy.write_row((row.code, row.name, row.code[: PARENT_DIGITS[len(row.code)]] or None))


async def _execute_and_count(session: AsyncSession, statement: str, **values: date) -> int:
    result = await session.execute(text(statement), values)
    return int(result.rowcount)  # type: ignore[attr-defined]  # a writing statement has a row count


# Rows are loaded by COPY: forty thousand rows as statement parameters would take a minute.
_CREATE_LISTED = "CREATE TEMPORARY TABLE listed (code text PRIMARY KEY, name text, parent text) ON COMMIT DROP"
_UPDATE_RENAMED = """
UPDATE area SET name = listed.name, valid_until = NULL FROM listed
WHERE area.code = listed.code AND (area.name <> listed.name OR area.valid_until IS NOT NULL)
"""
_INSERT_ADDED = """
INSERT INTO area (code, name, parent_code, valid_from)
SELECT code, name, parent, :on FROM listed ORDER BY length(code), code ON CONFLICT DO NOTHING
"""
# An area without a first day is invented, by the demo or a test: an official list must not end it.
_END_UNLISTED = """
UPDATE area SET valid_until = :on
WHERE valid_until IS NULL AND valid_from IS NOT NULL AND code NOT IN (SELECT code FROM listed)
AND length(code) IN (SELECT DISTINCT length(code) FROM listed)
"""
