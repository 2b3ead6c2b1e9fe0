"""Delete photos whose retention period is over: `python -m server sweep-photos` previews them, `--delete` deletes them.

A photo's content may have several references: two visits, a paper, a posting. Each reference keeps it for the days of
its own policy setting (`retention.*` of `area_rule`), and it expires with the last one. Content in use never expires,
whatever its age: everything of a household that receives aid or applies for it. A deleted photo leaves a tombstone with
the hash, the setting and the day; the reference and all of the visit stay too.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import original_key, rendition_prefix
from server import audit
from server.audit.actions import Action
from server.core.database import Sessions, open_session
from server.core.http import ResponseBody
from server.core.paging import Page, decode_cursor, slice_page
from server.core.services import Services
from server.models.cases import PaperPhoto
from server.models.evidence import Evidence, MismatchedUpload, Photo, PhotoTombstone
from server.models.postings import PostingPlace
from server.models.review import SeenPhoto

PAGE, _BATCH = 50, 200
# The prefix of every area code.
EVERYWHERE = ("",)
# Sorts before the first shelf and hash.
_START = ("", "")


class Outdated(NamedTuple):
    """Expired content. `rule` is the setting that kept it longest, `claims` the number of its references."""

    shelf: Literal["photos", "mismatched"]
    sha256: str
    size_bytes: int
    claims: int
    rule: str
    kept_days: int
    source: str
    kept_since: datetime


class RetentionLine(ResponseBody):
    """What a sweep would delete by one setting. `oldest` is the first day from which its days are counted."""

    rule: str
    kept_days: int
    source: str
    photos: int = 0
    size_bytes: int = 0
    oldest: datetime | None = None


class OutdatedPhoto(ResponseBody):
    """Expired content: the setting that kept it longest, and how many references it had."""

    shelf: Literal["photos", "mismatched"]
    sha256: str
    size_bytes: int
    claims: int
    rule: str
    kept_days: int
    kept_since: datetime
    ended_at: datetime


class OnDeleted(Protocol):
    """Called for each photo that was deleted."""

    def __call__(self, photo: Outdated, /) -> object: ...


async def preview(sessions: Sessions, now: datetime, areas: Sequence[str] = EVERYWHERE) -> list[RetentionLine]:
    """List by setting what a sweep would delete at `now`. Changes nothing.

    With `areas`, only content whose references all lie in them; bytes without a visit belong to the whole country.
    """
    lines: dict[tuple[str, int, str], RetentionLine] = {}
    async for photo in _iterate_outdated(sessions, now, areas):
        key = (photo.rule, photo.kept_days, photo.source)
        line = lines.setdefault(key, RetentionLine(rule=photo.rule, kept_days=photo.kept_days, source=photo.source))
        line.photos += 1
        line.size_bytes += photo.size_bytes
        line.oldest = min(line.oldest or photo.kept_since, photo.kept_since)
    return sorted(lines.values(), key=lambda line: (line.rule, line.kept_days))


async def list_outdated(
    session: AsyncSession, now: datetime, areas: Sequence[str], cursor: str | None
) -> Page[OutdatedPhoto]:
    """List the photos that `preview` counts, sorted by hash."""
    rows = await _load_page(session, now, areas, decode_cursor(cursor, str, str) or _START, PAGE + 1)
    page, next_cursor = slice_page(rows, PAGE, lambda photo: [photo.shelf, photo.sha256])
    items = [
        OutdatedPhoto(
            shelf=photo.shelf,
            sha256=photo.sha256,
            size_bytes=photo.size_bytes,
            claims=photo.claims,
            rule=photo.rule,
            kept_days=photo.kept_days,
            kept_since=photo.kept_since,
            ended_at=photo.kept_since + timedelta(days=photo.kept_days),
        )
        for photo in page
    ]
    return Page(items=items, next_cursor=next_cursor)


async def sweep(services: Services, now: datetime, on_deleted: OnDeleted) -> int:
    """Delete what `preview` shows and return the count. Raises StoreError; run it again to continue.

    Rows are deleted before bytes: a crash in between leaves a tombstone, and the next sweep deletes the bytes.
    """
    await _finish_interrupted(services, now)
    count = 0
    async for photo in _iterate_outdated(services.sessions, now):
        tombstone_id = await _erase(services.sessions, photo, now)
        if tombstone_id is not None:
            await _remove_objects(services, tombstone_id, photo.shelf, photo.sha256, now)
            on_deleted(photo)
            count += 1
    return count


async def _iterate_outdated(
    sessions: Sessions, now: datetime, areas: Sequence[str] = EVERYWHERE
) -> AsyncIterator[Outdated]:
    """Yield them page by page, each page in a transaction of its own."""
    last: Sequence[str] = _START
    while True:
        async with sessions() as session:
            page = await _load_page(session, now, areas, last, _BATCH)
        for photo in page:
            yield photo
        if len(page) < _BATCH:
            return
        last = (page[-1].shelf, page[-1].sha256)


async def _load_page(
    session: AsyncSession, now: datetime, areas: Sequence[str], last: Sequence[str], limit: int
) -> list[Outdated]:
    params = {"now": now, "shelf": last[0], "sha256": last[1], "page": limit, "areas": list(areas)}
    return [Outdated(*row) for row in await session.execute(_OUTDATED_PAGE, params)]


async def _erase(sessions: Sessions, photo: Outdated, now: datetime) -> UUID | None:
    """Replace the rows by a tombstone. Return None, with nothing changed, when a new reference has come meanwhile."""
    async with open_session(sessions) as session:
        if photo.shelf == "photos":
            # A request that receives the same photo waits for this lock, then finds no row and stores it anew.
            await session.get(Photo, photo.sha256, with_for_update=True)
        params = {"now": now, "shelf": photo.shelf, "sha256": photo.sha256, "areas": list(EVERYWHERE)}
        if (await session.execute(_OUTDATED_PHOTO, params)).first() is None:
            return None
        tombstone = PhotoTombstone(
            shelf=photo.shelf,
            sha256=photo.sha256,
            size_bytes=photo.size_bytes,
            rule=photo.rule,
            kept_days=photo.kept_days,
            source=photo.source,
            kept_since=photo.kept_since,
            erased_at=now,
        )
        session.add(tombstone)
        await session.flush()  # sets tombstone.id
        await _mark_erased(session, photo, now)
        return tombstone.id


async def _mark_erased(session: AsyncSession, photo: Outdated, now: datetime) -> None:
    tables: tuple[Any, ...] = (
        (MismatchedUpload,) if photo.shelf == "mismatched" else (Evidence, PaperPhoto, PostingPlace)
    )
    for table in tables:
        ids = await session.scalars(
            update(table)
            .where(table.sha256 == photo.sha256, table.erased_at.is_(None))
            .values(erased_at=now)
            .returning(table.id)
        )
        for row_id in ids:
            facts = {"sha256": photo.sha256, "rule": photo.rule}
            audit.record(session, None, Action.PHOTO_ERASED, table.__tablename__, row_id, **facts)
    if photo.shelf == "photos":
        await session.execute(delete(SeenPhoto).where(SeenPhoto.sha256 == photo.sha256))
        await session.execute(delete(Photo).where(Photo.sha256 == photo.sha256))


async def _remove_objects(services: Services, tombstone_id: UUID, shelf: str, sha256: str, now: datetime) -> None:
    """Remove the original and its renditions; renditions first, since they could be made again from the original."""
    if shelf == "photos":
        async for key in services.store.list_keys(rendition_prefix(sha256)):
            await services.store.remove(key)
    await services.store.remove(original_key(sha256) if shelf == "photos" else f"mismatched/{sha256}")
    async with open_session(services.sessions) as session:
        await session.execute(update(PhotoTombstone).where(PhotoTombstone.id == tombstone_id).values(removed_at=now))


async def _finish_interrupted(services: Services, now: datetime) -> None:
    """Remove the objects that a crash left in the store, unless the same bytes have been uploaded again since."""
    async with services.sessions() as session:
        rows = await session.execute(
            select(PhotoTombstone.id, PhotoTombstone.shelf, PhotoTombstone.sha256)
            .outerjoin(Photo, Photo.sha256 == PhotoTombstone.sha256)
            .where(PhotoTombstone.removed_at.is_(None), Photo.sha256.is_(None))
        )
        tombstones = rows.all()
    for tombstone_id, shelf, sha256 in tombstones:
        await _remove_objects(services, tombstone_id, shelf, sha256, now)


# -- which content has expired
#
# `since` is null while something is in use: such a reference never expires.

_OUTDATED = """
household_end AS (
  SELECT h.id, h.area_code, CASE
    WHEN NOT EXISTS (
      SELECT FROM case_file c WHERE c.household_id = h.id AND c.state NOT IN ('refused', 'withdrawn', 'stopped'))
    AND (h.class IS NULL OR EXISTS (SELECT FROM case_file c WHERE c.household_id = h.id AND c.state = 'stopped'))
    THEN greatest(
      (SELECT max(v.received_at) FROM visit v WHERE v.household_id = h.id),
      (SELECT max(c.updated_at) FROM case_file c WHERE c.household_id = h.id),
      (SELECT max(c.stopped_from)::timestamptz FROM case_file c WHERE c.household_id = h.id))
    END AS since
  FROM household h
), reference AS (
  SELECT 'photos' AS shelf, e.sha256, 'retention.visit_photo_days' AS rule, h.area_code, h.since
  FROM evidence e JOIN visit v ON v.id = e.visit_id JOIN household_end h ON h.id = v.household_id
  WHERE e.erased_at IS NULL AND v.state NOT IN ('draft', 'discarded')
  UNION ALL
  SELECT 'photos', e.sha256, 'retention.unsubmitted_photo_days', coalesce(v.area_code, ''), e.received_at
  FROM evidence e LEFT JOIN visit v ON v.id = e.visit_id
  WHERE e.erased_at IS NULL AND e.subject_kind = 'visit' AND (v.id IS NULL OR v.state IN ('draft', 'discarded'))
  UNION ALL
  SELECT 'photos', e.sha256,
    CASE WHEN r.state IN ('submitted', 'amended') THEN 'retention.record_photo_days'
      ELSE 'retention.unsubmitted_photo_days' END,
    coalesce(r.area_code, ''), coalesce(r.submitted_at, e.received_at)
  FROM evidence e LEFT JOIN record r ON r.id = e.subject_id WHERE e.erased_at IS NULL AND e.subject_kind <> 'visit'
  UNION ALL
  SELECT 'photos', p.sha256,
    CASE WHEN p.returned_at IS NULL THEN 'retention.visit_photo_days' ELSE 'retention.returned_paper_days' END,
    h.area_code, coalesce(p.returned_at, h.since)
  FROM paper_photo p JOIN case_file c ON c.id = p.case_id JOIN household_end h ON h.id = c.household_id
  WHERE p.erased_at IS NULL
  UNION ALL
  SELECT 'photos', l.sha256, 'retention.posting_photo_days', p.area_code, l.added_at
  FROM posting_place l JOIN posting p ON p.id = l.posting_id WHERE l.erased_at IS NULL
  UNION ALL
  SELECT 'mismatched', m.sha256, 'retention.mismatched_days', coalesce(v.area_code, ''), m.received_at
  FROM mismatched_upload m LEFT JOIN evidence e ON e.id = m.evidence_id LEFT JOIN visit v ON v.id = e.visit_id
  WHERE m.erased_at IS NULL
), dated AS (
  SELECT reference.shelf, reference.sha256, reference.rule, reference.area_code, reference.since, r.days, r.source,
    since + make_interval(days => r.days) AS ends_at
  FROM reference LEFT JOIN LATERAL (
    SELECT (value #>> '{}')::integer AS days, source FROM area_rule
    WHERE key = reference.rule AND starts_with(reference.area_code, area_rule.area_code)
      AND effective_from <= (:now AT TIME ZONE 'Asia/Shanghai')::date
    ORDER BY length(area_rule.area_code) DESC, effective_from DESC LIMIT 1) r ON true
  WHERE {which}
), expired AS (
  SELECT shelf, sha256, count(*) AS claims, (array_agg(rule ORDER BY ends_at DESC))[1] AS rule,
    (array_agg(days ORDER BY ends_at DESC))[1] AS days, (array_agg(source ORDER BY ends_at DESC))[1] AS source,
    (array_agg(since ORDER BY ends_at DESC))[1] AS since
  FROM dated GROUP BY shelf, sha256 HAVING bool_and(ends_at IS NOT NULL AND ends_at <= :now)
    AND bool_and(area_code ^@ ANY(CAST(:areas AS text[])))
)
SELECT expired.shelf, expired.sha256, coalesce(p.size_bytes, m.size_bytes, 0), claims, rule, days, source, since
FROM expired LEFT JOIN photo p ON p.sha256 = expired.sha256 AND shelf = 'photos'
LEFT JOIN LATERAL (
  SELECT max(size_bytes) AS size_bytes FROM mismatched_upload
  WHERE sha256 = expired.sha256 AND shelf = 'mismatched') m
ON true
WHERE shelf = 'mismatched' OR p.sha256 IS NOT NULL
  OR EXISTS (SELECT FROM posting_place l WHERE l.sha256 = expired.sha256)
"""
_OUTDATED_PAGE = text(
    f"WITH {_OUTDATED.replace('{which}', '(reference.shelf, reference.sha256) > (:shelf, :sha256)')}"
    " ORDER BY expired.shelf, expired.sha256 LIMIT :page"
)
_OUTDATED_PHOTO = text(
    f"WITH {_OUTDATED.replace('{which}', 'reference.shelf = :shelf AND reference.sha256 = :sha256')}"
)
