"""Imports statistical divisions from CSV files, versioned: a code no longer listed ends, it is not removed."""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.database import create_engine, open_session, session_maker
from server.core.settings import Settings
from server.models import audit
from server.models.areas import Area

FILES = ("provinces.csv", "cities.csv", "areas.csv", "streets.csv")
PARENT_DIGITS = {2: 0, 4: 2, 6: 4, 9: 6, 12: 9}
BATCH = 5000


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
    engine = create_engine(settings.database_url, pool_size=2)
    try:
        async with open_session(session_maker(engine)) as session:
            return await import_areas(session, lines, on=datetime.now(UTC).date())
    finally:
        await engine.dispose()


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
    known = dict((await session.execute(select(Area.code, Area.name))).all())
    codes = {line.code for line in lines}
    orphans = sorted(line.code for line in lines if not _has_parent(line.code, codes | set(known)))
    if orphans:
        raise AreasUnreadable(f"{len(orphans)} areas have no parent in the files, first {orphans[0]}")
    for level in sorted(PARENT_DIGITS):
        await _write(session, [line for line in lines if len(line.code) == level], on)
    ended = await _end_missing(session, codes, {len(code) for code in codes}, on)
    told = Imported(
        read=len(lines),
        added=len(codes - set(known)),
        renamed=sum(1 for line in lines if line.code in known and known[line.code] != line.name),
        ended=ended,
    )
    audit.record(session, None, "areas.imported", "area", "", **told._asdict())
    return told


def _has_parent(code: str, known: set[str]) -> bool:
    digits = PARENT_DIGITS[len(code)]
    return digits == 0 or code[:digits] in known


async def _write(session: AsyncSession, lines: list[_Line], on: date) -> None:
    for start in range(0, len(lines), BATCH):
        rows = insert(Area).values(
            [
                {
                    "code": line.code,
                    "name": line.name,
                    "valid_from": on,
                    "parent_code": line.code[: PARENT_DIGITS[len(line.code)]] or None,
                }
                for line in lines[start : start + BATCH]
            ]
        )
        await session.execute(
            rows.on_conflict_do_update(index_elements=["code"], set_={"name": rows.excluded.name, "valid_until": None})
        )


async def _end_missing(session: AsyncSession, codes: set[str], levels: set[int], on: date) -> int:
    ended = await session.execute(
        update(Area)
        .where(
            func.length(Area.code).in_(levels),
            Area.code.not_in(codes),
            Area.valid_until.is_(None),
            # A demo or test county with an invented code is no official division.
            Area.valid_from.is_not(None),
        )
        .values(valid_until=on)
        .returning(Area.code)
    )
    return len(ended.all())
