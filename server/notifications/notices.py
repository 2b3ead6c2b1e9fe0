"""A person's own notices, newest first, and which of them are read; for officers, the messages that failed."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import DESK_ROLES, Caller, in_areas, readable, require_role
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.notifications import Notice
from server.notifications.wording import render_notice

_NEWEST_FIRST = Keyset(Notice.made_at, Notice.id, descending=True)


class NoticeLine(ResponseBody):
    """`facts` name what to open (`visitId`, `caseId`). `message` is the state of the WeChat message."""

    id: UUID
    kind: str
    zh: str
    en: str
    facts: dict[str, Any]
    made_at: datetime
    read_at: datetime | None
    message: str


class NoticePage(Page[NoticeLine], kw_only=True):
    """`unread` counts all unread notices of the person, not only those of this page."""

    unread: int


class FailedMessage(ResponseBody):
    """A message that WeChat refused or whose delivery is unknown. `why` is WeChat's code."""

    notice_id: UUID
    kind: str
    area_code: str
    message: str
    why: str | None
    tries: int
    made_at: datetime


class ReadNotices(RequestBody):
    """Without `ids`, all notices are marked."""

    ids: Annotated[list[UUID], Meta(max_length=200)] | None = None


class UnreadCount(ResponseBody):
    unread: int


async def list_notices(session: AsyncSession, caller: Caller, *, cursor: str | None, limit: int) -> NoticePage:
    page, next_cursor = await fetch_page(session, readable(Notice, caller), _NEWEST_FIRST, cursor, limit)
    return NoticePage(
        items=[_notice_line(notice) for (notice,) in page],
        next_cursor=next_cursor,
        unread=await _count_unread(session, caller),
    )


def _notice_line(notice: Notice) -> NoticeLine:
    text = render_notice(notice.kind, notice.facts)
    return NoticeLine(
        id=notice.id,
        kind=notice.kind,
        zh=text["zh"],
        en=text["en"],
        facts=notice.facts,
        made_at=notice.made_at,
        read_at=notice.read_at,
        message=notice.message,
    )


async def list_failed_messages(session: AsyncSession, caller: Caller) -> list[FailedMessage]:
    """List the latest hundred of the caller's areas, without their recipients."""
    require_role(caller, DESK_ROLES)
    rows = await session.scalars(
        select(Notice)
        .where(in_areas(Notice.area_code, caller, DESK_ROLES), Notice.message.in_(["parked", "unsure"]))
        .order_by(Notice.made_at.desc(), Notice.id.desc())
        .limit(100)
    )
    return [
        FailedMessage(
            notice_id=notice.id,
            kind=notice.kind,
            area_code=notice.area_code,
            message=notice.message,
            why=notice.message_why,
            tries=notice.tries,
            made_at=notice.made_at,
        )
        for notice in rows
    ]


async def _count_unread(session: AsyncSession, caller: Caller) -> int:
    rows = select(func.count()).select_from(Notice).where(Notice.in_scope(caller), Notice.read_at.is_(None))
    return int(await session.scalar(rows) or 0)


async def mark_notices_read(session: AsyncSession, caller: Caller, data: ReadNotices, now: datetime) -> UnreadCount:
    """Mark the caller's unread notices read. Ids of other people's notices are ignored."""
    query = update(Notice).where(Notice.in_scope(caller), Notice.read_at.is_(None)).values(read_at=now)
    if data.ids is not None:
        query = query.where(Notice.id.in_(data.ids))
    read = (await session.scalars(query.returning(Notice.id))).all()
    if read:
        audit.record(session, caller, Action.NOTICE_READ, "person", caller.id, notices=len(read))
    return UnreadCount(unread=await _count_unread(session, caller))
