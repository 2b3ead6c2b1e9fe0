"""Write a package of everything that an area holds, as of one moment, while the system is at work."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import ObjectMissing, ObjectStore
from server.core.clock import utc_now
from server.core.encryption import Encryption
from server.core.services import Services
from server.core.version import VERSION
from server.models.areas import Area
from server.models.rosters import Roster
from server.packages.files import Head, Manifest, PackageRefused, PackageWriter
from server.packages.reading_rows import Digester, load_names, open_snapshot, read_objects, read_pieces
from server.packages.rows import RowRefused, withhold
from server.packages.selection import select_frozen_rosters
from server.packages.tables import list_packaged
from server.photos.stored_objects import StoredObject
from server.rosters.examine import load_live_lines, load_parts
from server.rosters.snapshots import find_altered

Show = Callable[[str], None]
_LEVELS = (2, 4, 6, 9, 12)


async def write_package(
    services: Services,
    url: str,
    target: IO[bytes],
    area: str,
    recipient: X25519PublicKey,
    show: Show,
    *,
    withheld: Sequence[str] = (),
) -> Manifest:
    """Write the package into `target` and return what it holds. Raise PackageRefused with the reason.

    Photos that the store lacks or holds altered are named in the manifest; all the rest is whole.
    `withheld`: what an export from the desk leaves empty (tables.list_withheld).
    """
    async with open_snapshot(url) as session:
        head = await _make_head(session, area, withheld)
        digester = Digester()
        package = await asyncio.to_thread(PackageWriter, target, recipient, head)
        try:
            await _write_tables(session, services.encryption, package, digester, area, show, is_whole=not withheld)
        except RowRefused as refused:
            raise PackageRefused(str(refused)) from None
        faults = await _write_objects(session, services.store, package, digester, area, show)
        altered = await _find_altered_rosters(session, area)
        manifest = Manifest(
            contents=digester.contents(), files_sha256=package.files.hexdigest(), faults=faults, altered_rosters=altered
        )
        manifest.digest = manifest.compute_digest()
        await asyncio.to_thread(package.finish, manifest)
        return manifest


async def _make_head(session: AsyncSession, area: str, withheld: Sequence[str]) -> Head:
    if len(area) not in _LEVELS or await session.get(Area, area) is None:
        raise PackageRefused(f"there is no area {area}")
    migration = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return Head(withheld=list(withheld), area=area, made_at=utc_now(), program=VERSION, migration=str(migration))


async def _write_tables(
    session: AsyncSession,
    encryption: Encryption,
    package: PackageWriter,
    digester: Digester,
    area: str,
    show: Show,
    *,
    is_whole: bool,
) -> None:
    names = await load_names(session, encryption)
    for table in list_packaged():
        count = 0
        async for rows in read_pieces(session, encryption, names, table, area):
            if not is_whole:
                rows = [withhold(table, row) for row in rows]  # noqa: PLW2901
            await asyncio.to_thread(package.add_rows, table, rows)
            digester.add_rows(table, rows)
            count += len(rows)
        show(f"{table.name}: {count}")


async def _find_altered_rosters(session: AsyncSession, area: str) -> list[str]:
    """Check the rosters that are in the package: also those of a wider area that pay a home of this one."""
    ids = (await session.scalars(text(select_frozen_rosters()), {"area": f"{area}%"})).all()
    altered = []
    for roster_id in ids:
        roster = await session.get_one(Roster, roster_id)
        lines, parts = await load_live_lines(session, roster), await load_parts(session, roster)
        if find_altered(roster, lines, parts):
            altered.append(str(roster.id))
        session.expunge_all()
    return altered


async def _write_objects(
    session: AsyncSession, store: ObjectStore, package: PackageWriter, digester: Digester, area: str, show: Show
) -> list[str]:
    """Write each object after its bytes were compared with its hash. Return what is missing or altered."""
    faults: list[str] = []
    with TemporaryDirectory(prefix="zoufang-package-") as folder:
        async for item in read_objects(session, area):
            file = Path(folder) / "object"
            fault = await _fetch(store, item, file)
            if fault is not None:
                faults.append(f"{fault} {item.key}")
                continue
            await asyncio.to_thread(package.add_object, item, file)
            digester.add_object(item)
    show(f"photos missing or altered: {len(faults)}")
    return faults


async def _fetch(store: ObjectStore, item: StoredObject, file: Path) -> str | None:
    try:
        joined = await store.join([item.key], file)
    except ObjectMissing:
        return "missing"
    return None if joined.sha256 == item.content else "altered"
