"""Whether the store holds what the tables say, and nothing else: `python -m server check-store`.

Rows and objects are both read in the order of their keys and laid side by side, so a store of any size is
compared in little memory. A photo's bytes are its name: with `deep` every original is read and hashed again, and
so is every copy, against the hash noted when it was made.
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
_AT_ONCE = 4

_is_drawn = and_(Evidence.watermark_sha256.is_not(None), Evidence.erased_at.is_(None))

DiscrepancyKind = Literal["missing", "altered", "unreadable", "orphaned"]
DISCREPANCY_KINDS: tuple[DiscrepancyKind, ...] = get_args(DiscrepancyKind)
# So many objects in a row that the store lists and does not give: then it is down, and nothing is said of the rest.
_MOST_UNREADABLE = 20


class Discrepancy(NamedTuple):
    """`missing` and `altered` are losses. `unreadable` is listed, yet the store breaks off or fails when asked for it.
    `orphaned` objects belong to no row and cost only room.
    """

    trouble: DiscrepancyKind
    key: str


class StoreReport(Struct):
    """How many objects the tables expect, how many are there, and what doesn't fit."""

    expected: int = 0
    objects: int = 0
    hashed: int = 0
    found: list[Discrepancy] = []

    @property
    def has_losses(self) -> bool:
        return any(one.trouble != "orphaned" for one in self.found)

    def keys(self, trouble: DiscrepancyKind) -> list[str]:
        return [one.key for one in self.found if one.trouble == trouble]


class Progress(Protocol):
    """Told how much more was done, of how much in all."""

    def __call__(self, *, done: int, of: int) -> None: ...


def silent(*, done: int, of: int) -> None:
    del done, of


async def check_store(services: Services, *, deep: bool = False, progress: Progress = silent) -> StoreReport:
    """Compare rows with objects both ways. Raises StoreError when the store can't be asked.

    What arrives meanwhile is no loss: rows are read before objects, and each object without a row is asked for
    again. One whose row has not been committed yet may show as orphaned, which is why nothing is removed here.
    """
    report = StoreReport()
    of = await _count_expected(services.sessions, deep=deep)
    for prefix, keys in _SHELVES.items():
        await _compare(services, prefix, keys(services.sessions), report, progress, of)
    await _look_at_spools(services, report)
    if deep:
        await _hash_again(services, report, progress, of)
    return report


async def _count_expected(sessions: Sessions, *, deep: bool) -> int:
    """Steps of the progress bar: one an object, and one more for each that is hashed."""
    counts = {
        prefix: await _count(sessions, statement)
        for prefix, statement in (("photos/", _originals()), ("mismatched/", _mismatched()))
    }
    verified = await _count(sessions, select(Photo.sha256).where(Photo.state == "verified"))
    drawn = await _count(sessions, select(Evidence.id).where(_is_drawn))
    return (sum(counts.values()) + 2 * verified + drawn) * (2 if deep else 1)


async def _count(sessions: Sessions, statement: Any) -> int:
    async with sessions() as session:
        return await session.scalar(select(func.count()).select_from(statement.subquery())) or 0


# -- side by side


async def _compare(
    services: Services,
    prefix: str,
    expected: AsyncIterator[str],
    report: StoreReport,
    progress: Progress,
    of: int,
) -> None:
    """Both sides are in byte order: whichever key is smaller stands alone."""
    objects = services.store.list_keys(prefix)
    alone: list[str] = []
    wanted, there = await anext(expected, None), await anext(objects, None)
    while wanted is not None or there is not None:
        if there is None or (wanted is not None and wanted < there):
            assert wanted is not None
            report.found.append(Discrepancy("missing", wanted))
            report.expected += 1
            progress(done=1, of=of)
            wanted = await anext(expected, None)
        elif wanted is None or there < wanted:
            report.objects += 1
            alone.append(there)
            if len(alone) == _PAGE:
                await _note_orphans(services.sessions, alone, report)
                alone.clear()
            there = await anext(objects, None)
        else:
            report.expected += 1
            report.objects += 1
            progress(done=1, of=of)
            wanted, there = await anext(expected, None), await anext(objects, None)
    await _note_orphans(services.sessions, alone, report)


def _originals() -> Any:
    """Every content that a row names: photos of visits, and those of places where something was posted."""
    posted = select(PostingPlace.sha256.label("sha256")).where(PostingPlace.erased_at.is_(None))
    return union(select(Photo.sha256.label("sha256")), posted)


def _mismatched() -> Any:
    return select(MismatchedUpload.sha256.label("sha256")).where(MismatchedUpload.erased_at.is_(None)).distinct()


async def _hashes(sessions: Sessions, statement: Any) -> AsyncIterator[str]:
    """In order, page by page, each page in a transaction of its own. Hashes are hex: any collation sorts them so."""
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
    async for sha256 in _hashes(sessions, _originals()):
        yield original_key(sha256)


async def _rendition_keys(sessions: Sessions) -> AsyncIterator[str]:
    """Also the watermarked copies that were drawn."""
    async for sha256, claims in _verified(sessions):
        yield rendition_key(sha256, "1280")  # before 320: the store sorts by letters
        yield rendition_key(sha256, "320")
        for claim in claims:
            yield watermarked_key(sha256, claim)


async def _verified(sessions: Sessions) -> AsyncIterator[tuple[str, list[UUID]]]:
    """Photos with the claims whose watermarked copy was drawn, both in order, page by page."""
    drawn = select(Evidence.id).where(Evidence.sha256 == Photo.sha256, _is_drawn).order_by(Evidence.id)
    rows = select(Photo.sha256, func.array(drawn.scalar_subquery(), type_=ARRAY(Uuid))).where(Photo.state == "verified")
    last = ""
    while True:
        async with sessions() as session:
            page = (await session.execute(rows.where(Photo.sha256 > last).order_by(Photo.sha256).limit(_PAGE))).all()
        for sha256, claims in page:
            yield sha256, claims
        if len(page) < _PAGE:
            return
        last = page[-1][0]


async def _mismatched_keys(sessions: Sessions) -> AsyncIterator[str]:
    async for sha256 in _hashes(sessions, _mismatched()):
        yield f"mismatched/{sha256}"


_SHELVES: dict[str, Callable[[Sessions], AsyncIterator[str]]] = {
    "photos/": _original_keys,
    "renditions/": _rendition_keys,
    "mismatched/": _mismatched_keys,
}


# -- what belongs to no row


async def _look_at_spools(services: Services, report: StoreReport) -> None:
    """A piece belongs to its upload, acknowledged or not; without one it is left over."""
    page: list[str] = []
    async for key in services.store.list_keys("spool/"):
        report.objects += 1
        page.append(key)
        if len(page) == _PAGE:
            await _note_orphans(services.sessions, page, report)
            page.clear()
    await _note_orphans(services.sessions, page, report)


async def _note_orphans(sessions: Sessions, keys: list[str], report: StoreReport) -> None:
    """Those of the keys that no row accounts for. A watermarked copy is known as long as its claim's photo is kept."""
    claims = {claim for key in keys if (claim := watermarked_photo_id(key))}
    uploads = {key.split("/")[1] for key in keys if key.startswith("spool/")}
    hashes = {key.rsplit("/", 1)[-1] for key in keys} | {key.split("/")[1] for key in keys if "/" in key}
    async with sessions() as session:
        known = {
            watermarked_key(sha256, claim)
            for claim, sha256 in await session.execute(
                select(Evidence.id, Evidence.sha256).where(Evidence.id.in_(claims), Evidence.erased_at.is_(None))
            )
        }
        live = set(await session.scalars(select(Upload.id).where(Upload.id.in_(uploads))))
        rows = _originals().subquery()
        known |= {
            original_key(one) for one in await session.scalars(select(rows.c.sha256).where(rows.c.sha256.in_(hashes)))
        }
        known |= {
            f"mismatched/{one}"
            for one in await session.scalars(_mismatched().where(MismatchedUpload.sha256.in_(hashes)))
        }
        for sha256 in await session.scalars(
            select(Photo.sha256).where(Photo.sha256.in_(hashes), Photo.state != "refused")
        ):
            known |= {rendition_key(sha256, "320"), rendition_key(sha256, "1280")}
    report.found += [
        Discrepancy("orphaned", key)
        for key in keys
        if key not in known and not (key.startswith("spool/") and key.split("/")[1] in live)
    ]


# -- byte by byte


async def _hash_again(services: Services, report: StoreReport, progress: Progress, of: int) -> None:
    missing = set(report.keys("missing"))
    free = asyncio.Semaphore(_AT_ONCE)
    with TemporaryDirectory(prefix="zoufang-") as folder:
        in_a_row = 0

        async def look(key: str, sha256: str) -> None:
            nonlocal in_a_row
            try:
                if not await _is_whole(services.store, key, sha256, Path(folder)):
                    report.found.append(Discrepancy("altered", key))
                report.hashed += 1
                in_a_row = 0
            except StoreUnavailable:
                report.found.append(Discrepancy("unreadable", key))
                in_a_row += 1
                if in_a_row >= _MOST_UNREADABLE:
                    raise
            finally:
                progress(done=1, of=of)
                free.release()

        try:
            async with asyncio.TaskGroup() as running:
                async for key, sha256 in _known_hashes(services.sessions):
                    if key not in missing:
                        await free.acquire()
                        running.create_task(look(key, sha256))
        except* StoreError as errors:
            raise _first(errors) from None


def _first(errors: BaseExceptionGroup[StoreError]) -> StoreError:
    """One of those that several tasks met at once: they say the same."""
    one = errors.exceptions[0]
    return one if isinstance(one, StoreError) else _first(one)


async def _known_hashes(sessions: Sessions) -> AsyncIterator[tuple[str, str]]:
    """Originals are named by theirs; those of copies were noted when they were made."""
    for shelf in (_original_keys, _mismatched_keys):
        async for key in shelf(sessions):
            yield key, key.rsplit("/", 1)[-1]
    last = ""
    while True:
        page = select(Photo.sha256, Photo.copies).where(Photo.sha256 > last, Photo.copies.is_not(None))
        async with sessions() as session:
            rows = (await session.execute(page.order_by(Photo.sha256).limit(_PAGE))).all()
            of = {sha256 for sha256, _ in rows}
            drawn = (await session.scalars(select(Evidence).where(_is_drawn, Evidence.sha256.in_(of)))).all()
        for sha256, copies in rows:
            for name, copy in (copies or {}).items():
                yield rendition_key(sha256, name), copy
        for one in drawn:
            yield watermarked_key(one.sha256, one.id), one.watermark_sha256 or ""
        if len(rows) < _PAGE:
            return
        last = rows[-1][0]


async def _is_whole(store: ObjectStore, key: str, sha256: str, folder: Path) -> bool:
    """Removed since it was listed counts as altered: something takes photos away."""
    path = folder / key.replace("/", "-")
    try:
        held = await store.join([key], path)
    except ObjectMissing:
        return False
    path.unlink()
    return held.sha256 == sha256
