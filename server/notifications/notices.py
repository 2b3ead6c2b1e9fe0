"""A person's own notices: what they were told, newest first, and which of it they have read."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import DESK_ROLES, Caller, in_areas, readable, require
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Page, cut_page, read_place
from server.models.notifications import Notice
from server.notifications.wording import sentence

LONGEST_PAGE = 200


class NoticeLine(ResponseBody):
    """`facts` name what to open: `visitId`, `caseId`. `message` says whether WeChat carried it too."""

    id: UUID
    kind: str
    zh: str
    en: str
    facts: dict[str, Any]
    made_at: datetime
    read_at: datetime | None
    message: str


class NoticePage(Page[NoticeLine], kw_only=True):
    """`unread` counts all of the person's, whatever the page."""

    unread: int


class ParkedMessage(ResponseBody):
    """A message that WeChat would not take, or of which nobody knows: `why` is its code."""

    notice_id: UUID
    kind: str
    area_code: str
    message: str
    why: str | None
    tries: int
    made_at: datetime


class ReadNotices(RequestBody):
    """Without `ids`: all there are."""

    ids: Annotated[list[UUID], Meta(max_length=200)] | None = None


class Unread(ResponseBody):
    unread: int


async def list_notices(session: AsyncSession, caller: Caller, *, cursor: str | None, limit: int) -> NoticePage:
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = readable(Notice, caller).order_by(Notice.made_at.desc(), Notice.id.desc()).limit(limit + 1)
    if (after := read_place(cursor, datetime.fromisoformat)) is not None:
        rows = rows.where(tuple_(Notice.made_at, Notice.id) < after)
    found = list(await session.scalars(rows))
    page, next_cursor = cut_page(found, limit, lambda one: [one.made_at.isoformat(), str(one.id)])
    return NoticePage(
        items=[_line(one) for one in page],
        next_cursor=next_cursor,
        unread=await _unread(session, caller),
    )


def _line(one: Notice) -> NoticeLine:
    told = sentence(one.kind, one.facts)
    return NoticeLine(
        id=one.id,
        kind=one.kind,
        zh=told["zh"],
        en=told["en"],
        facts=one.facts,
        made_at=one.made_at,
        read_at=one.read_at,
        message=one.message,
    )


async def list_parked(session: AsyncSession, caller: Caller) -> list[ParkedMessage]:
    """The latest hundred of the caller's areas, without whom they were for."""
    require(caller, DESK_ROLES)
    rows = await session.scalars(
        select(Notice)
        .where(in_areas(Notice.area_code, caller, DESK_ROLES), Notice.message.in_(["parked", "unsure"]))
        .order_by(Notice.made_at.desc(), Notice.id.desc())
        .limit(100)
    )
    return [
        ParkedMessage(
            notice_id=one.id,
            kind=one.kind,
            area_code=one.area_code,
            message=one.message,
            why=one.message_why,
            tries=one.tries,
            made_at=one.made_at,
        )
        for one in rows
    ]


async def _unread(session: AsyncSession, caller: Caller) -> int:
    rows = select(func.count()).select_from(Notice).where(Notice.in_scope(caller), Notice.read_at.is_(None))
    return int(await session.scalar(rows) or 0)


async def read_notices(session: AsyncSession, caller: Caller, told: ReadNotices, now: datetime) -> Unread:
    """Mark one's own notices read; those of others, or read before, stay as they are."""
    rows = update(Notice).where(Notice.in_scope(caller), Notice.read_at.is_(None)).values(read_at=now)
    if told.ids is not None:
        rows = rows.where(Notice.id.in_(told.ids))
    read = (await session.scalars(rows.returning(Notice.id))).all()
    if read:
        audit.record(session, caller, "notice.read", "person", caller.id, notices=len(read))
    return Unread(unread=await _unread(session, caller))
