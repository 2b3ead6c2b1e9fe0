"""How long photos are kept: `python -m server sweep-photos` shows whose time is over, and deletes it when told to.

A photo is content that several things may claim: two visits, a paper, a posting. Each claim keeps it for the days
of its own rule (`retention.*` of `area_rule`), and it goes when the last claim has let go. What is in use is kept
whatever its age: everything of a household that receives aid or applies for it. Of what was deleted a tombstone
stays, with the hash, the rule and the day; the claim itself stays too, and so does every word of the visit.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import original_key, rendition_prefix
from server import audit
from server.core.database import Sessions, open_session
from server.core.http import ResponseBody
from server.core.paging import Page, decode_cursor, slice_page
from server.core.services import Services
from server.models.cases import PaperPhoto
from server.models.evidence import Evidence, MismatchedUpload, Photo, PhotoTombstone
from server.models.postings import PostingPlace
from server.models.review import SeenPhoto

PAGE, _AT_ONCE = 50, 200
# Every area code begins so.
EVERYWHERE = ("",)
# Before the first shelf and hash.
_START = ("", "")


class Outdated(NamedTuple):
    """Content that no claim keeps any more. `rule` is the one that kept it longest."""

    shelf: Literal["photos", "mismatched"]
    sha256: str
    size_bytes: int
    claims: int
    rule: str
    kept_days: int
    source: str
    kept_since: datetime


class RetentionLine(ResponseBody):
    """What one rule would let go. `oldest` is the first day from which its days were counted."""

    rule: str
    kept_days: int
    source: str
    photos: int = 0
    size_bytes: int = 0
    oldest: datetime | None = None


class OutdatedPhoto(ResponseBody):
    """One content that would go, by the rule that kept it longest, and how many claims have let go of it."""

    shelf: Literal["photos", "mismatched"]
    sha256: str
    size_bytes: int
    claims: int
    rule: str
    kept_days: int
    kept_since: datetime
    ended_at: datetime


class OnDeleted(Protocol):
    """Told of each photo that was deleted."""

    def __call__(self, one: Outdated) -> None: ...


async def preview(sessions: Sessions, now: datetime, areas: Sequence[str] = EVERYWHERE) -> list[RetentionLine]:
    """What a sweep would delete at that time, by rule. Changes nothing.

    With `areas`, content that is claimed under these alone; bytes without a visit belong to the whole country.
    """
    lines: dict[tuple[str, int, str], RetentionLine] = {}
    async for one in _outdated(sessions, now, areas):
        key = (one.rule, one.kept_days, one.source)
        line = lines.setdefault(key, RetentionLine(rule=one.rule, kept_days=one.kept_days, source=one.source))
        line.photos += 1
        line.size_bytes += one.size_bytes
        line.oldest = min(line.oldest or one.kept_since, one.kept_since)
    return sorted(lines.values(), key=lambda line: (line.rule, line.kept_days))


async def list_outdated(
    session: AsyncSession, now: datetime, areas: Sequence[str], cursor: str | None
) -> Page[OutdatedPhoto]:
    """What `preview` counts, one by one, by the hash."""
    rows = await _page(session, now, areas, decode_cursor(cursor, str, str) or _START, PAGE + 1)
    page, next_cursor = slice_page(rows, PAGE, lambda one: [one.shelf, one.sha256])
    items = [
        OutdatedPhoto(
            shelf=one.shelf,
            sha256=one.sha256,
            size_bytes=one.size_bytes,
            claims=one.claims,
            rule=one.rule,
            kept_days=one.kept_days,
            kept_since=one.kept_since,
            ended_at=one.kept_since + timedelta(days=one.kept_days),
        )
        for one in page
    ]
    return Page(items=items, next_cursor=next_cursor)


async def sweep(services: Services, now: datetime, told: OnDeleted) -> int:
    """Delete what `preview` shows; how many it were. Raises StoreError: run again, it goes on where it was.

    The rows first, then the bytes: a crash between leaves a tombstone that says so, and the next sweep ends it.
    """
    await _end_half_done(services, now)
    count = 0
    async for one in _outdated(services.sessions, now):
        tombstone_id = await _erase(services.sessions, one, now)
        if tombstone_id is not None:
            await _remove(services, tombstone_id, one.shelf, one.sha256, now)
            told(one)
            count += 1
    return count


async def _outdated(sessions: Sessions, now: datetime, areas: Sequence[str] = EVERYWHERE) -> AsyncIterator[Outdated]:
    """Page by page, each in a transaction of its own."""
    last: Sequence[str] = _START
    while True:
        async with sessions() as session:
            page = await _page(session, now, areas, last, _AT_ONCE)
        for one in page:
            yield one
        if len(page) < _AT_ONCE:
            return
        last = (page[-1].shelf, page[-1].sha256)


async def _page(
    session: AsyncSession, now: datetime, areas: Sequence[str], last: Sequence[str], limit: int
) -> list[Outdated]:
    told = {"now": now, "shelf": last[0], "sha256": last[1], "page": limit, "areas": list(areas)}
    return [Outdated(*row) for row in await session.execute(_PAGE_OF, told)]


async def _erase(sessions: Sessions, one: Outdated, now: datetime) -> UUID | None:
    """None when somebody has claimed it meanwhile: then it stays."""
    async with open_session(sessions) as session:
        if one.shelf == "photos":
            # Whoever receives the same photo now waits here, and then finds it gone: it is taken in anew.
            await session.get(Photo, one.sha256, with_for_update=True)
        still = (
            await session.execute(
                _ONE, {"now": now, "shelf": one.shelf, "sha256": one.sha256, "areas": list(EVERYWHERE)}
            )
        ).first()
        if still is None:
            return None
        tombstone = PhotoTombstone(
            shelf=one.shelf,
            sha256=one.sha256,
            size_bytes=one.size_bytes,
            rule=one.rule,
            kept_days=one.kept_days,
            source=one.source,
            kept_since=one.kept_since,
            erased_at=now,
        )
        session.add(tombstone)
        await session.flush()  # its id is wanted below
        await _mark_claims(session, one, now)
        return tombstone.id


async def _mark_claims(session: AsyncSession, one: Outdated, now: datetime) -> None:
    kinds: tuple[Any, ...] = (MismatchedUpload,) if one.shelf == "mismatched" else (Evidence, PaperPhoto, PostingPlace)
    for kind in kinds:
        claims = await session.scalars(
            update(kind)
            .where(kind.sha256 == one.sha256, kind.erased_at.is_(None))
            .values(erased_at=now)
            .returning(kind.id)
        )
        for claim_id in claims:
            audit.record(session, None, "photo.erased", kind.__tablename__, claim_id, sha256=one.sha256, rule=one.rule)
    if one.shelf == "photos":
        await session.execute(delete(SeenPhoto).where(SeenPhoto.sha256 == one.sha256))
        await session.execute(delete(Photo).where(Photo.sha256 == one.sha256))


async def _remove(services: Services, tombstone_id: UUID, shelf: str, sha256: str, now: datetime) -> None:
    """Its bytes and every copy of them; copies first, since the original is how they would be made again."""
    if shelf == "photos":
        async for key in services.store.list_keys(rendition_prefix(sha256)):
            await services.store.remove(key)
    await services.store.remove(original_key(sha256) if shelf == "photos" else f"mismatched/{sha256}")
    async with open_session(services.sessions) as session:
        await session.execute(update(PhotoTombstone).where(PhotoTombstone.id == tombstone_id).values(removed_at=now))


async def _end_half_done(services: Services, now: datetime) -> None:
    """What a crash left in the store, unless the same bytes have come again since."""
    async with services.sessions() as session:
        rows = await session.execute(
            select(PhotoTombstone.id, PhotoTombstone.shelf, PhotoTombstone.sha256)
            .outerjoin(Photo, Photo.sha256 == PhotoTombstone.sha256)
            .where(PhotoTombstone.removed_at.is_(None), Photo.sha256.is_(None))
        )
        half_done = rows.all()
    for tombstone_id, shelf, sha256 in half_done:
        await _remove(services, tombstone_id, shelf, sha256, now)


# -- whose time is over
#
# `since` is null where something is in use: such a claim never lets go.

_CLAIMS = """
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
), claim AS (
  SELECT 'photos' AS shelf, e.sha256, 'retention.visit_photo_days' AS rule, h.area_code, h.since
  FROM evidence e JOIN visit v ON v.id = e.visit_id JOIN household_end h ON h.id = v.household_id
  WHERE e.erased_at IS NULL AND v.state NOT IN ('draft', 'discarded')
  UNION ALL
  SELECT 'photos', e.sha256, 'retention.unsubmitted_photo_days', coalesce(v.area_code, ''), e.received_at
  FROM evidence e LEFT JOIN visit v ON v.id = e.visit_id
  WHERE e.erased_at IS NULL AND (v.id IS NULL OR v.state IN ('draft', 'discarded'))
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
), ruled AS (
  SELECT claim.shelf, claim.sha256, claim.rule, claim.area_code, claim.since, r.days, r.source,
    since + make_interval(days => r.days) AS ends_at
  FROM claim LEFT JOIN LATERAL (
    SELECT (value #>> '{}')::integer AS days, source FROM area_rule
    WHERE key = claim.rule AND starts_with(claim.area_code, area_rule.area_code)
      AND effective_from <= (:now AT TIME ZONE 'Asia/Shanghai')::date
    ORDER BY length(area_rule.area_code) DESC, effective_from DESC LIMIT 1) r ON true
  WHERE {which}
), gone AS (
  SELECT shelf, sha256, count(*) AS claims, (array_agg(rule ORDER BY ends_at DESC))[1] AS rule,
    (array_agg(days ORDER BY ends_at DESC))[1] AS days, (array_agg(source ORDER BY ends_at DESC))[1] AS source,
    (array_agg(since ORDER BY ends_at DESC))[1] AS since
  FROM ruled GROUP BY shelf, sha256 HAVING bool_and(ends_at IS NOT NULL AND ends_at <= :now)
    AND bool_and(area_code ^@ ANY(CAST(:areas AS text[])))
)
SELECT gone.shelf, gone.sha256, coalesce(p.size_bytes, m.size_bytes, 0), claims, rule, days, source, since
FROM gone LEFT JOIN photo p ON p.sha256 = gone.sha256 AND shelf = 'photos'
LEFT JOIN LATERAL (
  SELECT max(size_bytes) AS size_bytes FROM mismatched_upload WHERE sha256 = gone.sha256 AND shelf = 'mismatched') m
ON true
WHERE shelf = 'mismatched' OR p.sha256 IS NOT NULL OR EXISTS (SELECT FROM posting_place l WHERE l.sha256 = gone.sha256)
"""
_PAGE_OF = text(
    f"WITH {_CLAIMS.replace('{which}', '(claim.shelf, claim.sha256) > (:shelf, :sha256)')}"
    " ORDER BY gone.shelf, gone.sha256 LIMIT :page"
)
_ONE = text(f"WITH {_CLAIMS.replace('{which}', 'claim.shelf = :shelf AND claim.sha256 = :sha256')}")
