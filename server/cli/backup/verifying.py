"""Prove a backup: restore it into a temporary PostgreSQL of this machine and look at all of it.

What is looked at: the hashes of dump, list and every photo; the migration; the rows, counted; that the list names what
the rows name; the chain and signatures of the audit trail; that sealed values open with the keys.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import msgspec
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import ObjectMissing
from server.audit.verify import check_audit
from server.cli.backup.manifest import DUMP, OBJECT_LIST, Manifest, each_content_once, fetch, read_objects
from server.cli.backup.patience import outlast_store
from server.cli.backup.places import Place, object_name
from server.cli.backup.postgres_programs import restore_dump
from server.cli.backup.sealed_keys import collect_keys, fingerprints
from server.cli.backup.taking import Progress, Show, count_rows
from server.cli.migrate import alembic_config, upgrade
from server.core.database import open_once
from server.core.errors import Problem
from server.core.services import build_audit_signer, build_encryption
from server.core.settings import Settings
from server.devserver.embedded import EmbeddedPostgres
from server.models.sealed_columns import join_key, sealed_columns
from server.photos.stored_objects import StoredObject, read_stored_objects

# Sealed values that are opened of each column.
_SAMPLE = 20


async def verify_backup(
    settings: Settings, place: Place, manifest: Manifest, folder: Path, *, show: Show, progress: Progress
) -> list[str]:
    """Return what is wrong with the backup. `folder` is an empty one, with room for the database.

    Raise PlaceRefused when dump or list can't be had as they were written, ProgramFailed when the dump can't be
    restored.
    """
    faults = [f"known when it was made: {fault}" for fault in manifest.faults]
    # The server's user may pass through `folder`; nobody else may enter this one.
    work = Path(mkdtemp(dir=folder))
    dump = await fetch(place, manifest, DUMP, work)
    listed = await fetch(place, manifest, OBJECT_LIST, work)
    show("restoring into a temporary database")
    with EmbeddedPostgres(folder / "postgres", fast=True) as postgres:
        url = postgres.create_database("verified")
        await asyncio.to_thread(restore_dump, url, dump)
        here = msgspec.structs.replace(settings, database_url=url, maintenance_database_url="", owner_database_url="")
        faults += [fault async for fault in _check_database(here, manifest, listed, show)]
    show(f"reading photos: {manifest.objects} objects")
    objects = each_content_once(read_objects(listed))
    return faults + [fault async for fault in _check_objects(place, objects, work, manifest, progress)]


async def _check_database(settings: Settings, manifest: Manifest, listed: Path, show: Show) -> AsyncIterator[str]:
    url = settings.database_url
    async with open_once(url) as session:
        revision = await session.scalar(text("SELECT version_num FROM alembic_version"))
    script = ScriptDirectory.from_config(alembic_config(url))
    if revision != manifest.migration:
        yield f"migration {revision} is in the dump, {manifest.migration} in the manifest"
    if revision not in {step.revision for step in script.walk_revisions()}:
        yield f"migration {revision} is not of this program: restore with version {manifest.program}"
        return
    if revision == script.get_current_head():
        async with open_once(url) as session:
            for table, count in (await count_rows(session)).items():
                if count != manifest.rows.get(table):
                    yield f"table {table} has {count} rows instead of {manifest.rows.get(table)}"
    show("bringing it to this version")
    await asyncio.to_thread(upgrade, url)
    async with open_once(url) as session:
        async for fault in _compare_list(session, listed):
            yield fault
        async for fault in _open_values(session, settings, manifest):
            yield fault
    show("recomputing the chain of the audit trail")
    # What waited for its seal when the backup was made waits for ever in it.
    keys = build_audit_signer(settings).public_keys()
    for fault in (await check_audit(settings, keys, now=manifest.made_at)).faults:
        yield f"audit trail: {fault}"


async def _compare_list(session: AsyncSession, listed: Path) -> AsyncIterator[str]:
    """Compare the list of objects with the rows. Both are added up and not kept in memory.

    Not compared line by line: keys of one hash come in any order.
    """
    expected = Counter[str]()
    async for stored in read_stored_objects(session):
        expected.update(_sum_of(stored))
    named = Counter[str]()
    for item in read_objects(listed):
        named.update(_sum_of(item))
    if named != expected:
        yield f"the list names {named['objects']} objects, the rows {expected['objects']}, or others"


def _sum_of(item: StoredObject) -> dict[str, int]:
    line = hashlib.sha256(f"{item.content} {item.key}".encode()).digest()
    return {"objects": 1, "sum": int.from_bytes(line)}


async def _open_values(session: AsyncSession, settings: Settings, manifest: Manifest) -> AsyncIterator[str]:
    """Open some sealed values of every column."""
    here = fingerprints(collect_keys(settings))
    for name, keys in manifest.keys.items():
        if not set(keys) <= set(here.get(name, ())):
            yield f"ZOUFANG_{name.upper()} is not the key of this backup"
    encryption = build_encryption(settings)
    for sealed in sealed_columns():
        rows = select(*sealed.keys, sealed.column).where(sealed.column.is_not(None)).limit(_SAMPLE)
        for *key, value in (await session.execute(rows)).all():
            try:
                encryption.open(sealed.name, join_key(key), value)
            except Problem:
                yield f"{sealed.name} of {join_key(key)} can't be opened"
                break


async def _check_objects(
    place: Place, objects: Iterator[StoredObject], folder: Path, manifest: Manifest, progress: Progress
) -> AsyncIterator[str]:
    without_copy = {fault.split(" ", 1)[1] for fault in manifest.faults}
    file = folder / "object"
    for item in objects:
        progress(1, manifest.objects)
        if item.key in without_copy:
            continue
        try:
            if await outlast_store(partial(place.get, object_name(item.content), file)) != item.content:
                yield f"altered {object_name(item.content)} ({item.key})"
        except ObjectMissing:
            yield f"missing {object_name(item.content)} ({item.key})"
        finally:
            file.unlink(missing_ok=True)
