"""The desk's list of postings, with the counts of entries, places and unanswered objections."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.postings import Objection, Posting, PostingEntry, PostingPlace
from server.postings.detail import DETAIL_ROLES

_NEWEST_FIRST = Keyset(Posting.made_at, Posting.id, descending=True)


class PostingLine(ResponseBody):
    """`households` counts the entries that are still posted. `page` is the path of the public page while it is open."""

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


async def list_postings(
    session: AsyncSession, caller: Caller, *, state: str | None, area: str | None, cursor: str | None, limit: int
) -> Page[PostingLine]:
    """List the postings of the caller's areas, newest first. One query for any page."""
    require_role(caller, DETAIL_ROLES)
    rows = _select_with_counts().where(Posting.in_scope(caller))
    if state is not None:
        rows = rows.where(Posting.state == state)
    if area is not None:
        rows = rows.where(Posting.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    return Page(items=[_posting_line(*row) for row in page], next_cursor=next_cursor)


def _select_with_counts() -> Any:
    """Select postings with the number of posted entries, of proven places and of unanswered objections."""
    of_posting = PostingEntry.posting_id == Posting.id
    places = select(func.count(func.distinct(func.lower(PostingPlace.name)))).where(
        PostingPlace.posting_id == Posting.id, PostingPlace.taken_down_at.is_(None)
    )
    waiting = (
        select(func.count(Objection.id))
        .join(PostingEntry, PostingEntry.id == Objection.entry_id)
        .where(of_posting, Objection.answered_at.is_(None))
    )
    hanging = select(func.count(PostingEntry.id)).where(of_posting, PostingEntry.removed_at.is_(None))
    counts = [query.correlate(Posting).scalar_subquery() for query in (hanging, places, waiting)]
    return select(Posting, Area.name, *counts).join(Area, Area.code == Posting.area_code)


def _posting_line(posting: Posting, area_name: str, hanging: int, places: int, waiting: int) -> PostingLine:
    return PostingLine(
        id=posting.id,
        area_code=posting.area_code,
        area_name=area_name,
        round=posting.round,
        state=posting.state,
        starts_on=posting.starts_on,
        ends_on=posting.ends_on,
        households=hanging,
        places=places,
        objections_waiting=waiting,
        page=f"/p/{posting.key}",
    )
