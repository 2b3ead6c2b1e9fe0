"""Adopt photos that the store already holds: after a restore the database is older than the store.

A restored database waits for photos that were uploaded after its dump, and their phones have removed the bytes. An
object under the announced hash is read and hashed again, and then counts as uploaded.
"""

from collections.abc import AsyncIterator, Collection
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import Struct
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import ObjectMissing, original_key
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import AdoptPhotos
from server.core.services import Services
from server.models.cases import PaperPhoto
from server.models.evidence import Evidence, Photo
from server.models.installation import Installation
from server.photos.receive import receive_stored

# How long after a restore each announcement is looked up in the store; `check-store --adopt` looks at any time.
LOOKS_FOR = timedelta(days=90)
_PAGE = 500


class AdoptReport(Struct):
    """How many photos were adopted, and the keys of objects that have other bytes than their key says."""

    adopted: int = 0
    altered: list[str] = []


class _Announced(NamedTuple):
    id: UUID
    sha256: str
    size_bytes: int


async def defer_adoption(session: AsyncSession, ids: Collection[UUID]) -> None:
    """Look for these announced photos in the store, if this database was restored lately."""
    restored = Installation.generation > 1, Installation.since > utc_now() - LOOKS_FOR
    if ids and await session.scalar(select(exists().where(*restored))):
        await jobs.defer(session, AdoptPhotos(photo_ids=sorted(ids)))


@jobs.task(AdoptPhotos)
async def adopt_photos(services: Services, job: AdoptPhotos) -> None:
    await adopt_announced(services, job.photo_ids)


async def adopt_announced(services: Services, ids: Collection[UUID] | None = None) -> AdoptReport:
    """Adopt announced photos, or those with these ids. Idempotent; raises StoreError while the store is unavailable."""
    report = AdoptReport()
    for kind in (Evidence, PaperPhoto):
        async for photo in _announced(services, kind, ids):
            await _adopt(services, photo, report)
    return report


async def _announced(services: Services, kind: Any, ids: Collection[UUID] | None) -> AsyncIterator[_Announced]:
    """Yield photos that nobody has uploaded, page by page, each page in a transaction of its own."""
    rows = select(kind.id, kind.sha256, kind.size_bytes).where(
        kind.state == "announced", ~exists().where(Photo.sha256 == kind.sha256)
    )
    if ids is not None:
        rows = rows.where(kind.id.in_(ids))
    last = UUID(int=0)
    while True:
        async with services.sessions() as session:
            page = (await session.execute(rows.where(kind.id > last).order_by(kind.id).limit(_PAGE))).all()
        for row in page:
            yield _Announced._make(row)
        if len(page) < _PAGE:
            return
        last = page[-1].id


async def _adopt(services: Services, photo: _Announced, report: AdoptReport) -> None:
    key = original_key(photo.sha256)
    if not await services.store.exists(key):
        return
    with TemporaryDirectory(prefix="zoufang-") as folder:
        try:
            joined = await services.store.join([key], Path(folder) / "photo")
        except ObjectMissing:
            return
    if joined.sha256 != photo.sha256 or joined.size != photo.size_bytes:
        report.altered.append(key)
        return
    async with open_session(services.sessions) as session:
        if await receive_stored(session, None, photo.id, photo.sha256, photo.size_bytes) is not None:
            report.adopted += 1
