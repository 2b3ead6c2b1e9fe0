"""A posting from draft to its end: which cases, where it hangs, from when to when.

It starts once enough places are proven by a photo and a fix, and comes down by itself on its last day.
"""

import secrets
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from sqlalchemy import and_, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from media.photo import examine
from media.refusals import PhotoRefused
from media.store import original_key, rendition_key
from server import audit
from server.core import jobs
from server.core.access import Caller, Role, found, readable, require
from server.core.database import advisory_lock, open_session
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.ids import new_id
from server.core.location import Fix
from server.core.paging import Page, cut_page, read_place
from server.core.services import Services
from server.core.threads import in_thread
from server.core.tokens import utc_now
from server.core.working_days import Deadline, day_of, end_of, length_of
from server.households.conflicts import require_no_conflict_of_interest_in_cases
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.evidence import Photo
from server.models.households import Household, HouseholdMember
from server.models.postings import Objection, Posting, PostingEntry, PostingPlace
from server.policy.resolver import load_overrides, policy_values

WRITERS = frozenset({Role.TOWN_OFFICER})
HANGERS = frozenset({Role.TOWN_OFFICER, Role.CASEWORKER})
LONGEST_PAGE = 200


class MakePosting(RequestBody):
    """A village's list of one round: every case there that waits for it."""

    id: UUID
    area_code: Annotated[str, Meta(pattern="^[0-9]{12}$")]
    round: Annotated[int, Meta(ge=1, le=5)] = 1


class PlaceBody(RequestBody):
    name: ShortText
    fix: Fix


class EntryLine(ResponseBody):
    position: int
    case_id: UUID
    name: str
    members: int
    amount_fen: int
    removed_at: datetime | None


class PlaceLine(ResponseBody):
    id: UUID
    name: str
    latitude: float
    longitude: float
    datum: str
    accuracy_m: float | None
    captured_at: datetime
    sha256: str


class ObjectionLine(ResponseBody):
    id: UUID
    number: str
    position: int
    case_id: UUID
    made_at: datetime
    text: str
    has_contact: bool
    outcome: str | None
    answer: str | None


class PostingLine(ResponseBody):
    """`households` are the lines that still hang; `page` is the public page while it is open."""

    id: UUID
    area_code: str
    area_name: str
    round: int
    state: str
    starts_on: date | None
    ends_on: date | None
    households: int
    places: int
    objections_waiting: int
    page: str


class PlaceLink(ResponseBody):
    url: str
    expires_at: datetime


class PostingPage(ResponseBody):
    """`key` makes the public address `/public/v1/postings/{key}`; `places_least` are needed to start."""

    id: UUID
    area_code: str
    round: int
    state: str
    key: str
    starts_on: date | None
    ends_on: date | None
    ends_certain: bool
    places_least: int
    entries: list[EntryLine]
    places: list[PlaceLine]
    objections: list[ObjectionLine]


async def make_posting(session: AsyncSession, caller: Caller, asked: MakePosting) -> PostingPage:
    """Draft the list of a village. The same id again is the same draft.

    Raises `posting.not_now` with no case, and `case.own_relative` where a line would be a relative's.
    """
    require(caller, WRITERS)
    if not caller.covers(asked.area_code, WRITERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(WRITERS)))
    await advisory_lock(session, f"posting:{asked.area_code}")
    before = await session.scalar(readable(Posting, caller).where(Posting.id == asked.id))
    if before is not None:
        return await page_of(session, before)
    cases = await _waiting(session, asked)
    if not cases:
        raise Problem("posting.not_now", state="–")
    await require_no_conflict_of_interest_in_cases(session, caller, [case.id for case, _, _ in cases])
    posting = Posting(
        id=asked.id, area_code=asked.area_code, round=asked.round, key=secrets.token_urlsafe(32), made_by=caller.id,
        state="draft", ends_certain=True,
    )  # fmt: skip
    session.add(posting)
    await session.flush()  # entries name it
    for position, (case, name, members) in enumerate(cases, start=1):
        session.add(
            PostingEntry(
                posting_id=posting.id,
                case_id=case.id,
                position=position,
                name=name,
                members=members,
                amount_fen=case.amount_fen or 0,
            )
        )
    audit.record(session, caller, "posting.made", "posting", posting.id, area_code=asked.area_code, cases=len(cases))
    await session.flush()  # the page reads the entries
    return await page_of(session, posting)


async def _waiting(session: AsyncSession, asked: MakePosting) -> list[tuple[CaseFile, str, int]]:
    """Cases of the village that wait for this round and hang nowhere yet; locked, so that none moves meanwhile."""
    hanging = (
        select(PostingEntry.case_id)
        .join(Posting, Posting.id == PostingEntry.posting_id)
        .where(Posting.state != "ended", Posting.round == asked.round, PostingEntry.removed_at.is_(None))
    )
    members = (
        select(func.count())
        .where(HouseholdMember.household_id == CaseFile.household_id)
        .correlate(CaseFile)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(CaseFile, Household.head_name, members)
        .join(Household, Household.id == CaseFile.household_id)
        .where(
            CaseFile.area_code == asked.area_code,
            CaseFile.state == "posting",
            CaseFile.posting_round == asked.round - 1,
            CaseFile.id.not_in(hanging),
        )
        .order_by(CaseFile.number)
        .with_for_update(of=CaseFile)
    )
    return [(case, name, count) for case, name, count in rows]


async def hang_up(
    session: AsyncSession, services: Services, caller: Caller, posting_id: UUID, place: PlaceBody, photo: bytes
) -> PostingPage:
    """One place with its photo, kept under its hash. The same photo again is the same place.

    Raises `posting.ended`, `case.own_relative` where a line is a relative's, and the `photo.*` codes.
    """
    require(caller, HANGERS)
    posting = await _found(session, caller, posting_id)
    if posting.state == "ended":
        raise Problem("posting.ended")
    await _keep_relatives_out(session, caller, posting)
    sha256, media_type = await in_thread(_examine, photo)
    await services.store.put(original_key(sha256), photo, len(photo), media_type)
    await _have_examined(session, sha256, len(photo))
    row = insert(PostingPlace).values(
        id=new_id(),
        posting_id=posting.id,
        name=place.name,
        latitude=place.fix.latitude,
        longitude=place.fix.longitude,
        datum=place.fix.datum,
        accuracy_m=place.fix.accuracy_m,
        captured_at=place.fix.captured_at,
        sha256=sha256,
        staff_id=caller.id,
    )
    await session.execute(row.on_conflict_do_nothing())
    audit.record(session, caller, "posting.hung_up", "posting", posting.id, area_code=posting.area_code, sha256=sha256)
    return await page_of(session, posting)


async def _have_examined(session: AsyncSession, sha256: str, size: int) -> None:
    """As any photo is: small copies for looking at, and its facts kept."""
    photo = insert(Photo).values(sha256=sha256, size_bytes=size, state="stored")
    if await session.scalar(photo.on_conflict_do_nothing().returning(Photo.sha256)) is not None:
        await jobs.defer(session, "evidence.examine", once=f"examine:{sha256}", sha256=sha256)


def _examine(photo: bytes) -> tuple[str, str]:
    try:
        facts = examine(photo)
    except PhotoRefused as refused:
        raise Problem(refused.code) from None
    return facts.sha256, facts.media_type


async def start_posting(session: AsyncSession, caller: Caller, posting_id: UUID, now: datetime) -> PostingPage:
    """Open the list from today. Again is once.

    Raises `posting.places_missing`, `posting.ended`, and `case.own_relative` where a line is a relative's.
    """
    require(caller, WRITERS)
    posting = await _found(session, caller, posting_id)
    if posting.state == "ended":
        raise Problem("posting.ended")
    if posting.state == "open":
        return await page_of(session, posting)
    await _keep_relatives_out(session, caller, posting)
    today = day_of(now)
    least = await _least_places(session, posting)
    hung = await session.scalar(
        select(func.count(func.distinct(func.lower(PostingPlace.name)))).where(PostingPlace.posting_id == posting.id)
    )
    if (hung or 0) < least:
        raise Problem("posting.places_missing", least=least)
    ends = await _end(session, posting, today)
    posting.state, posting.starts_on, posting.ends_on, posting.ends_certain = "open", today, ends.on, ends.certain
    audit.record(session, caller, "posting.started", "posting", posting.id, area_code=posting.area_code)
    await _tell_households(session, posting)
    return await page_of(session, posting)


async def _keep_relatives_out(session: AsyncSession, caller: Caller, posting: Posting) -> None:
    hanging = select(PostingEntry.case_id).where(
        PostingEntry.posting_id == posting.id, PostingEntry.removed_at.is_(None)
    )
    await require_no_conflict_of_interest_in_cases(session, caller, list(await session.scalars(hanging)))


async def _tell_households(session: AsyncSession, posting: Posting) -> None:
    rows = await session.execute(
        select(CaseFile.id, CaseFile.household_id)
        .join(PostingEntry, PostingEntry.case_id == CaseFile.id)
        .where(PostingEntry.posting_id == posting.id, PostingEntry.removed_at.is_(None))
    )
    for case_id, household_id in rows:
        await jobs.defer(
            session, "notifications.tell", kind="posted", thing=f"posting:{posting.id}", area_code=posting.area_code,
            household_id=str(household_id), facts={"caseId": str(case_id)},
        )  # fmt: skip


async def _end(session: AsyncSession, posting: Posting, today: date) -> Deadline:
    """By the rules of the day the oldest of its cases began."""
    began = await session.scalar(
        select(func.min(CaseFile.rules_on))
        .join(PostingEntry, PostingEntry.case_id == CaseFile.id)
        .where(PostingEntry.posting_id == posting.id)
    )
    rules = await policy_values(session, posting.area_code, began or today, ["case.posting_days"])
    return end_of(today, length_of(rules, "case.posting_days"), await load_overrides(session))


async def _least_places(session: AsyncSession, posting: Posting) -> int:
    on = day_of(posting.made_at)
    rules = await policy_values(session, posting.area_code, on, ["posting.places_least"])
    return int(rules["posting.places_least"])


async def open_posting(session: AsyncSession, caller: Caller, posting_id: UUID) -> PostingPage:
    require(caller, HANGERS | {Role.COUNTY_OFFICER, Role.SUPERVISOR})
    return await page_of(session, await _found(session, caller, posting_id, lock=False))


async def list_postings(
    session: AsyncSession, caller: Caller, *, state: str | None, area: str | None, cursor: str | None, limit: int
) -> Page[PostingLine]:
    """The caller's areas, the newest first. One query for any page, and one for the places each needs."""
    require(caller, HANGERS | {Role.COUNTY_OFFICER, Role.SUPERVISOR})
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = _counted().where(Posting.in_scope(caller)).limit(limit + 1)
    if state is not None:
        rows = rows.where(Posting.state == state)
    if area is not None:
        rows = rows.where(Posting.area_code.startswith(area, autoescape=True))
    if (after := read_place(cursor, datetime.fromisoformat)) is not None:
        at, last = after
        rows = rows.where(or_(Posting.made_at < at, and_(Posting.made_at == at, Posting.id < last)))
    found_rows = (await session.execute(rows)).all()
    page, next_cursor = cut_page(found_rows, limit, lambda row: [row[0].made_at.isoformat(), str(row[0].id)])
    return Page(items=[_posting_line(*row) for row in page], next_cursor=next_cursor)


def _counted() -> Any:
    """Postings with how many lines still hang, how many places are proven and how many objections wait."""
    of_posting = PostingEntry.posting_id == Posting.id
    places = select(func.count(func.distinct(func.lower(PostingPlace.name)))).where(
        PostingPlace.posting_id == Posting.id
    )
    waiting = (
        select(func.count(Objection.id))
        .join(PostingEntry, PostingEntry.id == Objection.entry_id)
        .where(of_posting, Objection.answered_at.is_(None))
    )
    hanging = select(func.count(PostingEntry.id)).where(of_posting, PostingEntry.removed_at.is_(None))
    counts = [one.correlate(Posting).scalar_subquery() for one in (hanging, places, waiting)]
    return (
        select(Posting, Area.name, *counts)
        .join(Area, Area.code == Posting.area_code)
        .order_by(Posting.made_at.desc(), Posting.id.desc())
    )


def _posting_line(one: Posting, area_name: str, hanging: int, places: int, waiting: int) -> PostingLine:
    return PostingLine(
        id=one.id,
        area_code=one.area_code,
        area_name=area_name,
        round=one.round,
        state=one.state,
        starts_on=one.starts_on,
        ends_on=one.ends_on,
        households=hanging,
        places=places,
        objections_waiting=waiting,
        page=f"/p/{one.key}",
    )


async def link_place(
    session: AsyncSession, services: Services, caller: Caller, posting_id: UUID, place_id: UUID, now: datetime
) -> PlaceLink:
    """A link of minutes to the photo of one place; who had it, and why, is logged."""
    require(caller, HANGERS | {Role.COUNTY_OFFICER, Role.SUPERVISOR})
    posting = await _found(session, caller, posting_id, lock=False)
    place: PostingPlace = found(
        await session.scalar(
            select(PostingPlace).where(PostingPlace.id == place_id, PostingPlace.posting_id == posting.id)
        )
    )
    photo = await session.get(Photo, place.sha256)
    is_ready = photo is not None and photo.state == "verified"
    rendition = "1280" if is_ready else "original"
    key = rendition_key(place.sha256, "1280") if is_ready else original_key(place.sha256)
    lifetime = timedelta(minutes=services.settings.link_minutes)
    audit.record(
        session, caller, "photo.linked", "posting_place", place.id, area_code=posting.area_code,
        posting_id=str(posting.id), rendition=rendition, why="posting",
    )  # fmt: skip
    link = services.store.link(key, lifetime=lifetime, media_type="image/jpeg")
    return PlaceLink(url=link, expires_at=now + lifetime)


async def _found(session: AsyncSession, caller: Caller, posting_id: UUID, *, lock: bool = True) -> Posting:
    rows = readable(Posting, caller).where(Posting.id == posting_id)
    posting: Posting = found(await session.scalar(rows.with_for_update() if lock else rows))
    return posting


async def page_of(session: AsyncSession, posting: Posting) -> PostingPage:
    await session.refresh(posting, ["made_at"])
    entries = list(
        await session.scalars(
            select(PostingEntry).where(PostingEntry.posting_id == posting.id).order_by(PostingEntry.position)
        )
    )
    places = await session.scalars(
        select(PostingPlace).where(PostingPlace.posting_id == posting.id).order_by(PostingPlace.id)
    )
    objections = await session.scalars(
        select(Objection).where(Objection.entry_id.in_([one.id for one in entries])).order_by(Objection.number)
    )
    positions = {one.id: one.position for one in entries}
    return PostingPage(
        id=posting.id,
        area_code=posting.area_code,
        round=posting.round,
        state=posting.state,
        key=posting.key,
        starts_on=posting.starts_on,
        ends_on=posting.ends_on,
        ends_certain=posting.ends_certain,
        places_least=await _least_places(session, posting),
        entries=[_entry(one) for one in entries],
        places=[_place(one) for one in places],
        objections=[_objection(one, positions[one.entry_id]) for one in objections],
    )


def _entry(one: PostingEntry) -> EntryLine:
    return EntryLine(
        position=one.position,
        case_id=one.case_id,
        name=one.name,
        members=one.members,
        amount_fen=one.amount_fen,
        removed_at=one.removed_at,
    )


def _place(one: PostingPlace) -> PlaceLine:
    return PlaceLine(
        id=one.id,
        name=one.name,
        latitude=one.latitude,
        longitude=one.longitude,
        datum=one.datum,
        accuracy_m=one.accuracy_m,
        captured_at=one.captured_at,
        sha256=one.sha256,
    )


def _objection(one: Objection, position: int) -> ObjectionLine:
    return ObjectionLine(
        id=one.id,
        number=one.number,
        position=position,
        case_id=one.case_id,
        made_at=one.made_at,
        text=one.text,
        has_contact=one.contact_sealed is not None,
        outcome=one.outcome,
        answer=one.answer,
    )


@jobs.task("postings.end", cron="2 * * * *")
async def end_postings(services: Services) -> None:
    """Every hour: lists whose last day is over come down, and their cases go on unless somebody objected."""
    async with open_session(services.sessions) as session:
        await take_down(session, utc_now())


async def take_down(session: AsyncSession, now: datetime) -> int:
    today = day_of(now)
    over = list(
        await session.scalars(
            select(Posting)
            .where(Posting.state == "open", Posting.ends_on < today)
            .with_for_update(skip_locked=True)
            .limit(200)
        )
    )
    for posting in over:
        posting.state, posting.ended_at = "ended", now
        audit.record(session, None, "posting.ended", "posting", posting.id, area_code=posting.area_code)
        await _let_cases_go_on(session, posting)
    return len(over)


async def _let_cases_go_on(session: AsyncSession, posting: Posting) -> None:
    """The cases of an ended list, without those that somebody still objects to or whose line came down."""
    contested = select(Objection.case_id).where(Objection.answered_at.is_(None))
    free = await session.scalars(
        select(PostingEntry.case_id).where(
            PostingEntry.posting_id == posting.id,
            PostingEntry.removed_at.is_(None),
            PostingEntry.case_id.not_in(contested),
        )
    )
    for case_id in free:
        await jobs.defer(session, "cases.posting_ended", case_id=str(case_id), posting_id=str(posting.id))
