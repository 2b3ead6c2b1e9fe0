"""Take a backup while the system is at work: the dump first, then the photos that the dump names.

Rows are dumped, counted and read from one snapshot. Photos are never overwritten, and they are in the store before
their rows, so every photo of the snapshot is there to be copied; what phones send meanwhile belongs to the next backup.
What retention deletes meanwhile is no loss. A run that was interrupted is simply repeated: copied photos are not copied
again.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import ObjectMissing, ObjectStore
from server.cli.backup.manifest import (
    DUMP,
    OBJECT_LIST,
    Manifest,
    each_content_once,
    read_objects,
    write_manifest,
    write_objects,
)
from server.cli.backup.patience import outlast_store
from server.cli.backup.places import OBJECTS, Place, PlaceRefused, object_name
from server.cli.backup.postgres_programs import dump_database
from server.cli.backup.sealed_keys import collect_keys, fingerprints
from server.core.clock import utc_now
from server.core.database import Sessions, open_once
from server.core.services import open_services
from server.core.settings import Settings
from server.core.version import VERSION
from server.models import Base
from server.models.evidence import PhotoTombstone
from server.photos.stored_objects import StoredObject, read_stored_objects

_MAX_CONCURRENT = 4
# A snapshot may be read for as long as the dump takes. None of this keeps a phone from its news: a transaction that
# only reads has no number.
_UNLIMITED = ("statement_timeout", "idle_in_transaction_session_timeout")
_LOCK = "backup"


class Report(NamedTuple):
    manifest: Manifest
    copied: int
    copied_bytes: int


class _Copies(NamedTuple):
    copied: list[int]
    faults: list[tuple[str, str]]


Show = Callable[[str], None]
Progress = Callable[[int, int], None]


async def take_backup(settings: Settings, place: Place, *, show: Show, progress: Progress) -> Report:
    """Write a new backup and return what it holds. Raise PlaceRefused while another one is running."""
    await place.prepare()
    url = settings.maintenance_database_url or settings.database_url
    async with _only_one(url), open_services(settings) as services:
        with place.work_folder() as work:
            show("dumping the database")
            manifest = await _dump(settings, url, work)
            await place.put(manifest.path(DUMP), work / DUMP)
            show(f"copying photos: {manifest.objects} objects are named")
            copies = await _copy_objects(services.store, place, work, manifest.objects, progress)
            await place.put(manifest.path(OBJECT_LIST), work / OBJECT_LIST)
            manifest.faults = await _describe_faults(services.sessions, copies.faults)
            await write_manifest(place, manifest, work)
    return Report(manifest, len(copies.copied), sum(copies.copied))


@contextlib.asynccontextmanager
async def _only_one(url: str) -> AsyncIterator[None]:
    """Two backups at once would delete each other's photos when they remove old ones."""
    async with open_once(url) as session:
        await session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        if not await session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtext(_LOCK)))):
            raise PlaceRefused("another backup of this system is running")
        yield


async def _dump(settings: Settings, url: str, work: Path) -> Manifest:
    async with open_once(url) as session:
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})
        for name in _UNLIMITED:
            await session.execute(text(f"SET LOCAL {name} = 0"))
        snapshot = await session.scalar(text("SELECT pg_export_snapshot()"))
        made_at = utc_now()
        await asyncio.to_thread(dump_database, url, work / DUMP, snapshot=snapshot)
        objects = await write_objects(work / OBJECT_LIST, read_stored_objects(session))
        return Manifest(
            id=made_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ"),
            made_at=made_at,
            program=VERSION,
            migration=str(await session.scalar(text("SELECT version_num FROM alembic_version"))),
            installation=str(await session.scalar(text("SELECT id FROM installation"))),
            dump_sha256=await asyncio.to_thread(hash_file, work / DUMP),
            list_sha256=await asyncio.to_thread(hash_file, work / OBJECT_LIST),
            objects=objects,
            rows=await count_rows(session),
            keys=fingerprints(collect_keys(settings)),
            faults=[],
        )


async def count_rows(session: AsyncSession) -> dict[str, int]:
    """Count the rows of every table of ours."""
    return {
        table.name: await session.scalar(select(func.count()).select_from(table)) or 0
        for table in Base.metadata.sorted_tables
    }


def hash_file(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


async def _copy_objects(store: ObjectStore, place: Place, work: Path, total: int, progress: Progress) -> _Copies:
    """Copy what the place does not hold yet. Both sides are in order of the hash, so neither has to fit into memory."""
    copies = _Copies([], [])
    free = asyncio.Semaphore(_MAX_CONCURRENT)

    async def copy(item: StoredObject) -> None:
        try:
            fault = await outlast_store(partial(_copy_object, store, place, work / item.content, item, copies))
            if fault:
                copies.faults.append((fault, item.key))
        finally:
            free.release()

    held = place.list_names(OBJECTS)
    name = await anext(held, None)
    async with asyncio.TaskGroup() as running:
        for item in each_content_once(read_objects(work / OBJECT_LIST)):
            place_name = object_name(item.content)
            while name is not None and name < place_name:
                name = await anext(held, None)
            if name != place_name:
                await free.acquire()
                running.create_task(copy(item))
            progress(1, total)
    return copies


async def _copy_object(store: ObjectStore, place: Place, file: Path, item: StoredObject, copies: _Copies) -> str | None:
    """Return what is wrong with the object: it is missing, or has other bytes than its row says."""
    try:
        joined = await store.join([item.key], file)
    except ObjectMissing:
        return "missing"
    if joined.sha256 != item.content:
        file.unlink()  # noqa: ASYNC240  a moment
        return "altered"
    await place.put(object_name(item.content), file)
    copies.copied.append(joined.size)
    return None


async def _describe_faults(sessions: Sessions, faults: list[tuple[str, str]]) -> list[str]:
    """Leave out what retention has deleted since the snapshot."""
    hashes = {key.rsplit("/", 1)[-1] for _, key in faults} | {key.split("/")[1] for _, key in faults}
    async with sessions() as session:
        erased = set(await session.scalars(select(PhotoTombstone.sha256).where(PhotoTombstone.sha256.in_(hashes))))
    return sorted(f"{kind} {key}" for kind, key in faults if not erased & {key.rsplit("/", 1)[-1], key.split("/")[1]})
