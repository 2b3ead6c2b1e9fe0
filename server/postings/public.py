"""The public page of a posting: what the law allows the village to read, and no more.

The address contains a secret key. Without it, and after the posting has ended, the answer is the same 404.
"""

from datetime import date, datetime

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.postings import Posting, PostingEntry

NOT_INDEXED = {"X-Robots-Tag": "noindex, nofollow, noarchive, nosnippet", "Cache-Control": "no-store"}


class PublicEntry(ResponseBody):
    """The law allows the name, the number of members and the amount, and no more."""

    position: int
    name: str
    members: int
    amount_fen: int


class PublicPosting(ResponseBody):
    """`object_until` is the last day on which an objection is accepted."""

    area_name: str
    round: int
    starts_on: date
    object_until: date
    households: list[PublicEntry]


async def read_posting(session: AsyncSession, key: str, now: datetime) -> PublicPosting:
    posting = await load_open_posting(session, key, now)
    area = await session.get_one(Area, posting.area_code)
    entries = await session.scalars(select_visible_entries(posting).order_by(PostingEntry.position))
    assert posting.starts_on is not None
    assert posting.ends_on is not None
    return PublicPosting(
        area_name=area.name,
        round=posting.round,
        starts_on=posting.starts_on,
        object_until=posting.ends_on,
        households=[
            PublicEntry(position=entry.position, name=entry.name, members=entry.members, amount_fen=entry.amount_fen)
            for entry in entries
        ],
    )


async def load_open_posting(session: AsyncSession, key: str, now: datetime) -> Posting:
    today = day_of(now)
    posting = await session.scalar(
        select(Posting).where(
            Posting.key == key, Posting.state == "open", Posting.starts_on <= today, Posting.ends_on >= today
        )
    )
    if posting is None:
        raise Problem("thing.not_found", headers=NOT_INDEXED)
    return posting


def select_visible_entries(posting: Posting) -> Select[PostingEntry]:
    """Select the entries whose case is still being posted. A withdrawn case is shown to nobody."""
    return (
        select(PostingEntry)
        .join(CaseFile, CaseFile.id == PostingEntry.case_id)
        .where(
            PostingEntry.posting_id == posting.id,
            PostingEntry.removed_at.is_(None),
            CaseFile.state.in_(["posting", "objection"]),
        )
    )
