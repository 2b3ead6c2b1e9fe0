"""Put a backup back: the photos first, then the database in one transaction.

Nobody is ever served a database without its photos, and a run that was interrupted is repeated: photos that are in the
store are read and compared, and the database is either empty or whole.
"""

import asyncio
from functools import partial
from pathlib import Path

import psycopg
from sqlalchemy import delete

from media.store import ObjectMissing, ObjectStore
from server.cli.backup.manifest import DUMP, OBJECT_LIST, Manifest, fetch, read_objects
from server.cli.backup.patience import outlast_store
from server.cli.backup.places import Place, PlaceRefused, object_name
from server.cli.backup.postgres_programs import restore_dump
from server.cli.backup.sealed_keys import collect_keys, fingerprints
from server.cli.backup.taking import Progress, Show
from server.cli.migrate import migrate
from server.core.database import open_session, plain_url
from server.core.services import open_services
from server.core.settings import Settings
from server.models.uploads import Upload
from server.photos.adopt import AdoptReport, adopt_announced
from server.photos.stored_objects import StoredObject
from server.sync_feed.restore_detection import find_installation

_MAX_CONCURRENT = 4
_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


async def restore_photos(
    settings: Settings, place: Place, manifest: Manifest, *, show: Show, progress: Progress
) -> None:
    """Put every object of the backup into the store, beside what is there."""
    show(f"putting back photos: {manifest.objects} objects")
    async with open_services(settings) as services:
        await services.store.ensure_bucket()
        with place.work_folder() as work:
            file = await fetch(place, manifest, OBJECT_LIST, work)
            await _restore_objects(services.store, place, work, file, manifest.objects, progress)


async def require_place(settings: Settings, manifest: Manifest) -> bool:
    """Return whether an interrupted run has restored this dump already.

    Raise PlaceRefused, before anything is changed, when the keys are others or the database has data of its own.
    """
    _require_keys(settings, manifest)
    return await asyncio.to_thread(_is_restored, _owner_url(settings), manifest)


async def restore_database(
    settings: Settings, place: Place, manifest: Manifest, *, is_restored: bool, show: Show
) -> AdoptReport:
    """Restore the database and bring it to this version. Return the younger photos that the store holds."""
    if not is_restored:
        show("restoring the database")
        with place.work_folder() as work:
            dump = await fetch(place, manifest, DUMP, work)
            await asyncio.to_thread(restore_dump, _owner_url(settings), dump)
    show("bringing the database to this version")
    await asyncio.to_thread(migrate, settings)
    async with open_services(settings) as services:
        async with open_session(services.sessions) as session:
            # Their chunks are not part of a backup; a phone whose upload is unknown begins it anew.
            await session.execute(delete(Upload))
        return await adopt_announced(services)


def _owner_url(settings: Settings) -> str:
    return settings.owner_database_url or settings.database_url


def _require_keys(settings: Settings, manifest: Manifest) -> None:
    here = fingerprints(collect_keys(settings))
    other = [name for name, keys in manifest.keys.items() if not set(keys) <= set(here.get(name, ()))]
    if other:
        names = ", ".join(f"ZOUFANG_{name.upper()}" for name in other)
        raise PlaceRefused(f"{names}: not the keys of this backup; `open-keys` writes them from their sealed file")


def _is_restored(url: str, manifest: Manifest) -> bool:
    """Tell whether an interrupted run has restored this dump already. Refuse a database with anything else in it."""
    with psycopg.connect(plain_url(url)) as connection:
        if connection.execute(_TABLES).fetchone() == (0,):
            return False
        try:
            installation, is_known = find_installation(connection)
        except psycopg.errors.UndefinedTable:
            installation, is_known = "", True
    if is_known or installation != manifest.installation:
        raise PlaceRefused("the database is not empty: restore into a new one, then let the settings name it")
    return True


async def _restore_objects(
    store: ObjectStore, place: Place, work: Path, listed: Path, total: int, progress: Progress
) -> None:
    free = asyncio.Semaphore(_MAX_CONCURRENT)

    async def put_back(item: StoredObject, number: int) -> None:
        try:
            await outlast_store(partial(_restore_object, store, place, work / f"object-{number}", item))
            progress(1, total)
        finally:
            free.release()

    async with asyncio.TaskGroup() as running:
        for number, item in enumerate(read_objects(listed)):
            await free.acquire()
            running.create_task(put_back(item, number))


async def _restore_object(store: ObjectStore, place: Place, file: Path, item: StoredObject) -> None:
    try:
        try:
            if (await store.join([item.key], file)).sha256 == item.content:
                return
        except ObjectMissing:
            pass
        if await place.get(object_name(item.content), file) != item.content:
            raise PlaceRefused(f"{object_name(item.content)} was altered in the backup: `verify-backup` lists all")
        media_type = "image/jpeg" if item.key.startswith("renditions/") else "application/octet-stream"
        await store.put_file(item.key, file, media_type)
    except ObjectMissing:
        # A fault that the backup knew of when it was made; `verify-backup` and `check-store` list them.
        return
    finally:
        file.unlink(missing_ok=True)  # noqa: ASYNC240  a moment
