"""Check that the store holds what the tables expect and nothing else: `python -m server check-store`.

Rows and objects are both read in key order and merged, so a store of any size needs little memory. Originals are
content-addressed: with `deep` each original is read and hashed again, and each copy is compared with the hash stored
when it was made.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple, Protocol, get_args
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ARRAY, Uuid, and_, func, select, union

from media.store import (
    ObjectMissing,
    ObjectStore,
    StoreError,
    StoreUnavailable,
    original_key,
    rendition_key,
    watermarked_key,
    watermarked_photo_id,
)
from server.core.database import Sessions
from server.core.services import Services
from server.models.evidence import Evidence, MismatchedUpload, Photo
from server.models.postings import PostingPlace
from server.models.uploads import Upload

_PAGE = 1000
_MAX_CONCURRENT = 4

has_watermark = and_(Evidence.watermark_sha256.is_not(None), Evidence.erased_at.is_(None))

DiscrepancyKind = Literal["missing", "altered", "unreadable", "orphaned"]
DISCREPANCY_KINDS: tuple[DiscrepancyKind, ...] = get_args(DiscrepancyKind)
# After so many listed objects in a row that the store does not return, it counts as down and the check stops.
_MAX_UNREADABLE = 20


class Discrepancy(NamedTuple):
    """`missing` and `altered` are losses. `unreadable` is listed, but the store fails to return it.

    `orphaned` objects belong to no row and only cost space.
    """

    kind: DiscrepancyKind
    key: str


class StoreReport(Struct):
    """How many objects the tables expect, how many exist, and the discrepancies."""

    expected: int = 0
    objects: int = 0
    hashed: int = 0
    found: list[Discrepancy] = []

    @property
    def has_losses(self) -> bool:
        return any(discrepancy.kind != "orphaned" for discrepancy in self.found)

    def keys(self, kind: DiscrepancyKind) -> list[str]:
        return [discrepancy.key for discrepancy in self.found if discrepancy.kind == kind]


class Progress(Protocol):
    """Called with the number of steps done since the last call and the total."""

    def __call__(self, *, done: int, of: int) -> None: ...


def silent(*, done: int, of: int) -> None:
    del done, of


async def check_store(services: Services, *, deep: bool = False, progress: Progress = silent) -> StoreReport:
    """Compare rows with objects both ways. Raises StoreError when the store is unavailable.

    A concurrent upload is no loss: rows are read before objects, and each object without a row is looked up again. An
    object whose row is not committed yet may show as orphaned, so nothing is removed here.
    """
    report = StoreReport()
    total = await _count_steps(services.sessions, deep=deep)
    for prefix, keys in _EXPECTED_KEYS.items():
        await _compare(services, prefix, keys(services.sessions), report, progress, total)
    await _check_spools(services, report)
    if deep:
        await _hash_objects(services, report, progress, total)
    return report


async def _count_steps(sessions: Sessions, *, deep: bool) -> int:
    """Count the steps of the progress bar: one per object, and one more for each that is hashed."""
    counts = {
        prefix: await _count(sessions, statement)
        for prefix, statement in (("photos/", select_originals()), ("mismatched/", select_mismatched()))
    }
    verified = await _count(sessions, select(Photo.sha256).where(Photo.state == "verified"))
    watermarked = await _count(sessions, select(Evidence.id).where(has_watermark))
    return (sum(counts.values()) + 2 * verified + watermarked) * (2 if deep else 1)


async def _count(sessions: Sessions, statement: Any) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(statement.subquery())) or 0


# -- merge rows and objects


async def _compare(
    services: Services,
    prefix: str,
    expected: AsyncIterator[str],
    report: StoreReport,
    progress: Progress,
    total: int,
) -> None:
    """Merge both sides, which are in byte order: the smaller of two different keys exists on its side only."""
    objects = services.store.list_keys(prefix)
    unmatched: list[str] = []
    row_key, object_key = await anext(expected, None), await anext(objects, None)
    while row_key is not None or object_key is not None:
        if object_key is None or (row_key is not None and row_key < object_key):
            assert row_key is not None
            report.found.append(Discrepancy("missing", row_key))
            report.expected += 1
            progress(done=1, of=total)
            row_key = await anext(expected, None)
        elif row_key is None or object_key < row_key:
            report.objects += 1
            unmatched.append(object_key)
            if len(unmatched) == _PAGE:
                await _report_orphans(services.sessions, unmatched, report)
                unmatched.clear()
            object_key = await anext(objects, None)
        else:
            report.expected += 1
            report.objects += 1
            progress(done=1, of=total)
            row_key, object_key = await anext(expected, None), await anext(objects, None)
    await _report_orphans(services.sessions, unmatched, report)


def select_originals() -> Any:
    """Select every content that a row references: photos of visits and of posting places."""
    posted = select(PostingPlace.sha256.label("sha256")).where(PostingPlace.erased_at.is_(None))
    return union(select(Photo.sha256.label("sha256")), posted)


def select_mismatched() -> Any:
    return select(MismatchedUpload.sha256.label("sha256")).where(MismatchedUpload.erased_at.is_(None)).distinct()


async def _iterate_hashes(sessions: Sessions, statement: Any) -> AsyncIterator[str]:
    """Yield hashes in order, each page in a transaction of its own. Hex sorts the same in any collation."""
    rows, last = statement.subquery(), ""
    while True:
        async with sessions() as session:
            page = (
                await session.scalars(
                    select(rows.c.sha256).where(rows.c.sha256 > last).order_by(rows.c.sha256).limit(_PAGE)
                )
            ).all()
        for sha256 in page:
            yield sha256
        if len(page) < _PAGE:
            return
        last = page[-1]


async def _original_keys(sessions: Sessions) -> AsyncIterator[str]:
    async for sha256 in _iterate_hashes(sessions, select_originals()):
        yield original_key(sha256)


async def _rendition_keys(sessions: Sessions) -> AsyncIterator[str]:
    """Yield the keys of renditions and of drawn watermarked copies."""
    async for sha256, photo_ids in _iterate_verified(sessions):
        yield rendition_key(sha256, "1280")  # before 320: the store sorts as text
        yield rendition_key(sha256, "320")
        for photo_id in photo_ids:
            yield watermarked_key(sha256, photo_id)


async def _iterate_verified(sessions: Sessions) -> AsyncIterator[tuple[str, list[UUID]]]:
    """Yield photos with the ids whose watermarked copy was drawn, both in order, page by page."""
    watermarked = select(Evidence.id).where(Evidence.sha256 == Photo.sha256, has_watermark).order_by(Evidence.id)
    ids = func.array(watermarked.scalar_subquery(), type_=ARRAY(Uuid))
    rows = select(Photo.sha256, ids).where(Photo.state == "verified")
    last = ""
    while True:
        async with sessions() as session:
            page = (await session.execute(rows.where(Photo.sha256 > last).order_by(Photo.sha256).limit(_PAGE))).all()
        for sha256, photo_ids in page:
            yield sha256, photo_ids
        if len(page) < _PAGE:
            return
        last = page[-1][0]


async def _mismatched_keys(sessions: Sessions) -> AsyncIterator[str]:
    async for sha256 in _iterate_hashes(sessions, select_mismatched()):
        yield f"mismatched/{sha256}"


_EXPECTED_KEYS: dict[str, Callable[[Sessions], AsyncIterator[str]]] = {
    "photos/": _original_keys,
    "renditions/": _rendition_keys,
    "mismatched/": _mismatched_keys,
}


# -- orphans


async def _check_spools(services: Services, report: StoreReport) -> None:
    """Report chunks without an upload. A chunk of an existing upload is expected, acknowledged or not."""
    page: list[str] = []
    async for key in services.store.list_keys("spool/"):
        report.objects += 1
        page.append(key)
        if len(page) == _PAGE:
            await _report_orphans(services.sessions, page, report)
            page.clear()
    await _report_orphans(services.sessions, page, report)


async def _report_orphans(sessions: Sessions, keys: list[str], report: StoreReport) -> None:
    """Report the keys without a row. A watermarked copy is expected as long as its photo is not erased."""
    photo_ids = {photo_id for key in keys if (photo_id := watermarked_photo_id(key))}
    uploads = {key.split("/")[1] for key in keys if key.startswith("spool/")}
    hashes = {key.rsplit("/", 1)[-1] for key in keys} | {key.split("/")[1] for key in keys if "/" in key}
    async with sessions() as session:
        expected = {
            watermarked_key(sha256, photo_id)
            for photo_id, sha256 in await session.execute(
                select(Evidence.id, Evidence.sha256).where(Evidence.id.in_(photo_ids), Evidence.erased_at.is_(None))
            )
        }
        open_uploads = set(await session.scalars(select(Upload.id).where(Upload.id.in_(uploads))))
        rows = select_originals().subquery()
        originals = await session.scalars(select(rows.c.sha256).where(rows.c.sha256.in_(hashes)))
        expected |= {original_key(sha256) for sha256 in originals}
        mismatched = await session.scalars(select_mismatched().where(MismatchedUpload.sha256.in_(hashes)))
        expected |= {f"mismatched/{sha256}" for sha256 in mismatched}
        for sha256 in await session.scalars(
            select(Photo.sha256).where(Photo.sha256.in_(hashes), Photo.state != "refused")
        ):
            expected |= {rendition_key(sha256, "320"), rendition_key(sha256, "1280")}
    report.found += [
        Discrepancy("orphaned", key)
        for key in keys
        if key not in expected and not (key.startswith("spool/") and key.split("/")[1] in open_uploads)
    ]


# -- hash every object


async def _hash_objects(services: Services, report: StoreReport, progress: Progress, total: int) -> None:
    missing = set(report.keys("missing"))
    free = asyncio.Semaphore(_MAX_CONCURRENT)
    with TemporaryDirectory(prefix="zoufang-") as folder:
        unreadable_in_a_row = 0

        async def check(key: str, sha256: str) -> None:
            nonlocal unreadable_in_a_row
            try:
                if not await _has_hash(services.store, key, sha256, Path(folder)):
                    report.found.append(Discrepancy("altered", key))
                report.hashed += 1
                unreadable_in_a_row = 0
            except StoreUnavailable:
                report.found.append(Discrepancy("unreadable", key))
                unreadable_in_a_row += 1
                if unreadable_in_a_row >= _MAX_UNREADABLE:
                    raise
            finally:
                progress(done=1, of=total)
                free.release()

        try:
            async with asyncio.TaskGroup() as running:
                async for key, sha256 in _iterate_stored_hashes(services.sessions):
                    if key not in missing:
                        await free.acquire()
                        running.create_task(check(key, sha256))
        except* StoreError as errors:
            raise _first(errors) from None


def _first(errors: BaseExceptionGroup[StoreError]) -> StoreError:
    """Return one of the errors that several tasks raised at once: they are alike."""
    error = errors.exceptions[0]
    return error if isinstance(error, StoreError) else _first(error)


async def _iterate_stored_hashes(sessions: Sessions) -> AsyncIterator[tuple[str, str]]:
    """Yield keys with their expected hash: an original's is in its key, a copy's was stored when it was made."""
    for keys in (_original_keys, _mismatched_keys):
        async for key in keys(sessions):
            yield key, key.rsplit("/", 1)[-1]
    last = ""
    while True:
        page = select(Photo.sha256, Photo.copies).where(Photo.sha256 > last, Photo.copies.is_not(None))
        async with sessions() as session:
            rows = (await session.execute(page.order_by(Photo.sha256).limit(_PAGE))).all()
            hashes = {sha256 for sha256, _ in rows}
            statement = select(Evidence).where(has_watermark, Evidence.sha256.in_(hashes))
            watermarked = (await session.scalars(statement)).all()
        for sha256, copies in rows:
            for name, copy_sha256 in (copies or {}).items():
                yield rendition_key(sha256, name), copy_sha256
        for photo in watermarked:
            yield watermarked_key(photo.sha256, photo.id), photo.watermark_sha256 or ""
        if len(rows) < _PAGE:
            return
        last = rows[-1][0]


async def _has_hash(store: ObjectStore, key: str, sha256: str, folder: Path) -> bool:
    """An object removed since it was listed counts as altered: nothing should remove photos."""
    path = folder / key.replace("/", "-")
    try:
        joined = await store.join([key], path)
    except ObjectMissing:
        return False
    path.unlink()
    return joined.sha256 == sha256
