"""One posting as the desk sees it: its entries, the places where it is posted, and the objections to it."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, Role, readable, require_found, require_role
from server.core.http import ResponseBody
from server.core.services import Services
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest_in_cases
from server.models.postings import Objection, Posting, PostingEntry, PostingPlace
from server.policy.resolver import load_policy_values
from server.postings.objections import load_answerable, open_text

# Roles that post the list in the village; DETAIL_ROLES may also read it.
DISPLAY_ROLES = frozenset({Role.TOWN_OFFICER, Role.CASEWORKER})
DETAIL_ROLES = DISPLAY_ROLES | {Role.COUNTY_OFFICER, Role.SUPERVISOR}


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
    # When a record of the field says that it was taken down.
    taken_down_at: datetime | None


class ObjectionLine(ResponseBody):
    """Shown to officers who may answer it, and not to a declared relative of the household."""

    id: UUID
    number: str
    position: int
    case_id: UUID
    made_at: datetime
    text: str
    has_contact: bool
    outcome: str | None
    answer: str | None


class PostingDetail(ResponseBody):
    """`key` is part of the public address `/public/v1/postings/{key}`. A start needs `places_least` proven places."""

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


async def open_posting(session: AsyncSession, services: Services, caller: Caller, posting_id: UUID) -> PostingDetail:
    require_role(caller, DETAIL_ROLES)
    posting = await load_posting(session, caller, posting_id, lock=False)
    return await load_posting_detail(session, services, caller, posting)


async def load_posting(session: AsyncSession, caller: Caller, posting_id: UUID, *, lock: bool = True) -> Posting:
    rows = readable(Posting, caller).where(Posting.id == posting_id)
    posting: Posting = require_found(await session.scalar(rows.with_for_update() if lock else rows))
    return posting


async def load_posting_detail(
    session: AsyncSession, services: Services, caller: Caller, posting: Posting
) -> PostingDetail:
    await session.refresh(posting, ["made_at"])
    entries = list(
        await session.scalars(
            select(PostingEntry).where(PostingEntry.posting_id == posting.id).order_by(PostingEntry.position)
        )
    )
    places = await session.scalars(
        select(PostingPlace).where(PostingPlace.posting_id == posting.id).order_by(PostingPlace.id)
    )
    objections = await load_answerable(session, caller, posting)
    positions = {entry.id: entry.position for entry in entries}
    return PostingDetail(
        id=posting.id,
        area_code=posting.area_code,
        round=posting.round,
        state=posting.state,
        key=posting.key,
        starts_on=posting.starts_on,
        ends_on=posting.ends_on,
        ends_certain=posting.ends_certain,
        places_least=await load_required_places(session, posting),
        entries=[_entry_line(entry) for entry in entries],
        places=[_place_line(place) for place in places],
        objections=[_objection_line(services, objection, positions[objection.entry_id]) for objection in objections],
    )


def _entry_line(entry: PostingEntry) -> EntryLine:
    return EntryLine(
        position=entry.position,
        case_id=entry.case_id,
        name=entry.name,
        members=entry.members,
        amount_fen=entry.amount_fen,
        removed_at=entry.removed_at,
    )


def _place_line(place: PostingPlace) -> PlaceLine:
    return PlaceLine(
        id=place.id,
        name=place.name,
        latitude=place.latitude,
        longitude=place.longitude,
        datum=place.datum,
        accuracy_m=place.accuracy_m,
        captured_at=place.captured_at,
        sha256=place.sha256,
        taken_down_at=place.taken_down_at,
    )


def _objection_line(services: Services, objection: Objection, position: int) -> ObjectionLine:
    return ObjectionLine(
        id=objection.id,
        number=objection.number,
        position=position,
        case_id=objection.case_id,
        made_at=objection.made_at,
        text=open_text(services, objection),
        has_contact=objection.contact_sealed is not None,
        outcome=objection.outcome,
        answer=objection.answer,
    )


async def load_required_places(session: AsyncSession, posting: Posting) -> int:
    on = day_of(posting.made_at)
    rules = await load_policy_values(session, posting.area_code, on, ["posting.places_least"])
    return int(rules["posting.places_least"])


async def require_no_relatives_listed(session: AsyncSession, caller: Caller, posting: Posting) -> None:
    case_ids = select(PostingEntry.case_id).where(
        PostingEntry.posting_id == posting.id, PostingEntry.removed_at.is_(None)
    )
    await require_no_conflict_of_interest_in_cases(session, caller, list(await session.scalars(case_ids)))
