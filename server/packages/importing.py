"""Read a package into another installation: all of it or nothing, sealed with the keys of this one.

Before it is committed, everything is read out of the database again and compared with the digest of the package, so
that both sides hold the same. Photos are put into the store after that, in a second reading of the file: of a package
that is refused nothing stays.
"""

import hashlib
import re
import tarfile
from collections.abc import Callable
from io import BytesIO
from typing import IO, Any
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Table, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import original_key, rendition_prefix
from server import audit
from server.audit.actions import Action
from server.core.clock import utc_now
from server.core.database import open_once
from server.core.encryption import Encryption
from server.core.ids import new_id
from server.core.services import Services
from server.models import Base
from server.models.people import Staff
from server.models.rosters import Roster
from server.packages.files import (
    KEY_HEADER,
    MANIFEST,
    PHOTOS,
    TABLES,
    Manifest,
    PackageReader,
    PackageRefused,
    read_rows,
)
from server.packages.reading_rows import Digester, compute_contents, prepare_reading
from server.packages.rows import Names, Row, index_names, seal_row
from server.packages.selection import is_index, list_columns
from server.packages.tables import PACKAGED, list_packaged
from server.photos.stored_objects import StoredObject
from server.rosters.examine import load_live_lines, load_parts
from server.rosters.snapshots import hash_line, hash_roster
from server.sync_feed.publish import AUDIENCES, publish_change

Show = Callable[[str], None]
# Areas and accounts may be there already: `setup` made them.
_MAY_HAVE_ROWS = frozenset(
    {"area", "area_rule", "checklist_template", "device", "staff", "staff_role", "village_group"}
)
_FILE = re.compile(rf"{TABLES}([a-z_]+)-[0-9]+\.jsonl")
_CONTENT = re.compile(r"[0-9a-f]{64}")
# A list of a wider area is cut where a smaller area is taken out of it, so only whole counties are read in.
_COUNTY_DIGITS = 6
_IDS_A_PIECE = 500
_PUBLISHED = {
    "households": "household",
    "assignments": "assignment",
    "checklists": "checklist_template",
    "visits": "visit",
    "evidence": "evidence",
    "proposals": "proposal",
    "tasks": "task",
    "records": "record",
    "attestations": "attestation",
}


async def import_package(
    services: Services, url: str, source: IO[bytes], identity: X25519PrivateKey, expected: str, show: Show
) -> Manifest:
    """Import the package and return what it holds. `expected` is the digest that the sender named by another way.

    Raise PackageRefused, with nothing written, where the package is another, is altered, or does not fit here.
    """
    package = PackageReader(source, identity)
    async with open_once(url) as session:
        await prepare_reading(session)
        await _require_room(session, package)
        await _suspend_order(session)
        manifest, digester = await _read_files(services.encryption, session, package, show)
        whole = _require_whole(manifest, digester, package.files.hexdigest(), expected)
        await _hash_rosters(session, whole.altered_rosters)
        await _resume_order(session)
        show("comparing what was written with the package")
        found = await compute_contents(session, services.encryption, package.head.area)
        _require_same(found, whole)
        show("putting photos into the store")
        await _put_objects(services, source, identity, whole)
        await _publish(session)
        audit.record(
            session, None, Action.PACKAGE_IMPORTED, "package", whole.digest, area_code=package.head.area,
            rows=whole.contents.rows(), objects=whole.contents.objects,
        )  # fmt: skip
    return whole


async def _require_room(session: AsyncSession, package: PackageReader) -> None:
    """Refuse a package that is not whole, an installation of another version, and one that has rows of its own."""
    if package.head.withheld:
        raise PackageRefused(
            "the package comes from the desk and is not whole: who complained or objected, and how, is left out of it. "
            "It is to be read, not imported; the operator's command `export` writes one to import"
        )
    migration = await session.scalar(text("SELECT version_num FROM alembic_version"))
    if migration != package.head.migration:
        raise PackageRefused(
            f"the package is of migration {package.head.migration} (program {package.head.program}), "
            f"this installation of {migration}: bring both to one version"
        )
    if len(package.head.area) > _COUNTY_DIGITS:
        raise PackageRefused(
            f"the package holds {package.head.area}, a part of a county: it is to be read, not imported"
        )
    for table in list_packaged():
        is_filled = table.name not in _MAY_HAVE_ROWS and PACKAGED[table.name].is_read_back
        if is_filled and await session.scalar(text(f"SELECT EXISTS (SELECT FROM {table.name})")):  # noqa: S608
            raise PackageRefused(f"this installation is not empty: {table.name} has rows")


_OWN_KEYS = """
SELECT conrelid::regclass::text, conname FROM pg_constraint
WHERE contype = 'f' AND conrelid = confrelid AND connamespace = 'public'::regnamespace
"""


async def _suspend_order(session: AsyncSession) -> None:
    """Let rows refer to later rows of their own table until all are there, and visits stay where they are."""
    for table, name in (await session.execute(text(_OWN_KEYS))).all():
        await session.execute(text(f'ALTER TABLE {table} ALTER CONSTRAINT "{name}" DEFERRABLE INITIALLY DEFERRED'))
    await session.execute(text("ALTER TABLE visit DISABLE TRIGGER follow_merged_household"))


async def _resume_order(session: AsyncSession) -> None:
    await session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    for table, name in (await session.execute(text(_OWN_KEYS))).all():
        await session.execute(text(f'ALTER TABLE {table} ALTER CONSTRAINT "{name}" NOT DEFERRABLE'))
    await session.execute(text("ALTER TABLE visit ENABLE TRIGGER follow_merged_household"))


async def _read_files(
    encryption: Encryption, session: AsyncSession, package: PackageReader, show: Show
) -> tuple[Manifest | None, Digester]:
    digester, names, manifest, last = Digester(), Names({}), None, ""
    for entry in package:
        if found := _FILE.fullmatch(entry.name):
            table, rows = _find_table(found[1]), read_rows(package.read(entry))
            digester.add_rows(table, rows)
            if table.name == "staff":
                await _require_new_logins(session, rows)
                staff_names = [row["name"] for row in rows]
                names = Names({**names.by_index, **index_names(encryption, staff_names).by_index})
            if PACKAGED[table.name].is_read_back:
                await _insert(session, encryption, names, table, rows)
            if table.name != last:
                show(table.name)
                last = table.name
        elif entry.name.startswith(PHOTOS):
            digester.add_object(_read_object(package, entry)[0])
        elif entry.name == MANIFEST:
            manifest = msgspec.json.decode(package.read(entry), type=Manifest)
        else:
            package.read(entry)  # adds it to the digest
    return manifest, digester


def _find_table(name: str) -> Table:
    if name not in PACKAGED:
        raise PackageRefused(f"the package holds a table {name}, which this version does not know")
    return Base.metadata.tables[name]


async def _require_new_logins(session: AsyncSession, rows: list[Row]) -> None:
    taken = list(await session.scalars(select(Staff.login).where(Staff.login.in_([row["login"] for row in rows]))))
    if taken:
        raise PackageRefused(f"there are accounts of these names here already: {', '.join(sorted(taken))}")


async def _insert(session: AsyncSession, encryption: Encryption, names: Names, table: Table, rows: list[Row]) -> None:
    stored = [_complete(table, seal_row(encryption, names, table, row)) for row in rows]
    columns = ", ".join(f'"{name}"' for name in stored[0])
    is_shared = PACKAGED[table.name].is_shared
    await session.execute(
        text(
            f"INSERT INTO {table.name} ({columns}) SELECT {columns}"  # noqa: S608  names of the models
            f" FROM json_populate_recordset(NULL::{table.name}, CAST(:rows AS json))"
            + (" ON CONFLICT DO NOTHING" if is_shared else "")
        ),
        {"rows": msgspec.json.encode(stored).decode()},
    )


def _complete(table: Table, row: Row) -> Row:
    """Give values to what a package leaves out and a row must have, in the columns of this version alone."""
    columns = {column.name for column in list_columns(table)} | {
        column.name for column in table.columns if is_index(table, column)
    }
    if set(row) != columns:
        raise PackageRefused(f"{table.name} has other columns than this version: {sorted(set(row) ^ columns)}")
    match table.name:
        case "device":
            return row | {"ended_at": utc_now(), "end_reason": "imported"}
        case "checklist_template":
            return row | {"id": new_id(), "published_at": utc_now()}
        case _:
            return row


async def _put_objects(services: Services, source: IO[bytes], identity: X25519PrivateKey, whole: Manifest) -> None:
    """Read the file again and store each photo under its key. Rows are committed after their photos are there."""
    source.seek(0)
    package, digester = PackageReader(source, identity), Digester()
    await services.store.ensure_bucket()
    for entry in package:
        if entry.name.startswith(PHOTOS):
            item, content = _read_object(package, entry)
            media_type = "image/jpeg" if item.key.startswith("renditions/") else "application/octet-stream"
            await services.store.put(item.key, BytesIO(content), len(content), media_type)
            digester.add_object(item)
    if digester.contents().objects_sha256 != whole.contents.objects_sha256:
        raise PackageRefused("the file was changed while it was read")


def _read_object(package: PackageReader, entry: tarfile.TarInfo) -> tuple[StoredObject, bytes]:
    """Return a photo, after its bytes were compared with its name."""
    content, key = package.read(entry), entry.pax_headers.get(KEY_HEADER, "")
    item = StoredObject(entry.name.rsplit("/", 1)[-1], key)
    if not _CONTENT.fullmatch(item.content) or not _is_key(item):
        raise PackageRefused(f"{entry.name} is no photo of a package")
    if hashlib.sha256(content).hexdigest() != item.content:
        raise PackageRefused(f"{entry.name} was altered")
    return item, content


def _is_key(item: StoredObject) -> bool:
    """An original lies under its own hash, a copy under that of its original."""
    if item.key == original_key(item.content):
        return True
    parts = item.key.split("/")
    return len(parts) == 3 and item.key.startswith(rendition_prefix(parts[1])) and bool(_CONTENT.fullmatch(parts[1]))  # noqa: PLR2004


def _require_whole(manifest: Manifest | None, digester: Digester, files_sha256: str, expected: str) -> Manifest:
    if manifest is None:
        raise PackageRefused("the package was interrupted when it was written: its manifest is missing")
    _require_same(digester.contents(), manifest)
    if files_sha256 != manifest.files_sha256:
        raise PackageRefused("not the same as in the manifest: files beside the rows")
    if manifest.digest != expected or manifest.compute_digest() != expected:
        raise PackageRefused(f"the digest of the package is {manifest.digest}, not the one that was named")
    return manifest


def _require_same(found: Any, manifest: Manifest) -> None:
    tables = manifest.contents.tables
    other = [name for name in {*tables, *found.tables} if tables.get(name) != found.tables.get(name)]
    if found.objects_sha256 != manifest.contents.objects_sha256:
        other.append("photos")
    if other:
        raise PackageRefused(f"not the same as in the manifest: {', '.join(sorted(other))}")


async def _hash_rosters(session: AsyncSession, altered: list[str]) -> None:
    """Hash what was frozen over the blind indexes of this installation.

    What was altered there already keeps the hash that does not fit: it stays refused here.
    """
    frozen = select(Roster.id).where(Roster.lines_hash.is_not(None)).order_by(Roster.id)
    for roster_id in (await session.scalars(frozen)).all():
        if str(roster_id) not in altered:
            await _hash_roster(session, roster_id)


async def _hash_roster(session: AsyncSession, roster_id: UUID) -> None:
    roster = await session.get_one(Roster, roster_id)
    lines = await load_live_lines(session, roster)
    parts = await load_parts(session, roster)
    for line in lines:
        line.hash = hash_line(line, parts.get(line.id, []))
    roster.lines_hash = hash_roster(lines)
    await session.flush()  # written before the rows are let go of
    session.expunge_all()


async def _publish(session: AsyncSession) -> None:
    """Send everything to the phones of those who hold it; they sign in here for the first time."""
    assert set(_PUBLISHED) == set(AUDIENCES)
    for collection, table in _PUBLISHED.items():
        last: Any = None
        while True:
            after = "" if last is None else "WHERE id > :last"
            statement = text(f"SELECT id FROM {table} {after} ORDER BY id LIMIT {_IDS_A_PIECE}")  # noqa: S608
            ids = list(await session.scalars(statement, {} if last is None else {"last": last}))
            if not ids:
                break
            await publish_change(session, collection, ids)
            last = ids[-1]
