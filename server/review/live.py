"""The queue's live stream: which visits came, were claimed, decided, put back or lapsed, soon after it happened.

Each process with open streams asks the database once a second for all of them together, as the phones' stream
does and for the same reasons. A change is told by its commit's own time, and a commit may come late: so the
last OVERLAP is read again each time, and what was told already is left out. A client that reconnects asks the
queue anew.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, and_, func, literal, or_, select, union_all
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import REVIEW_ROLES, Caller, Grant, Role
from server.core.database import inline_literal
from server.core.http import ResponseBody
from server.core.log import log
from server.core.services import Services
from server.core.tokens import utc_now
from server.models.people import Device, Staff, StaffRole
from server.models.review import ReviewItem

LOOK_EVERY_S = 1.0
HEARTBEAT_S = 20.0
# Longer than any transaction may take (server/core/database.py: 30 s a statement).
OVERLAP = timedelta(seconds=40)
MOST_CHANGES = 1000
HEARTBEAT = b": still here\n\n"
FIRST = b"retry: 3000\n\n"


class QueueChange(ResponseBody):
    visit_id: UUID
    area_code: str
    kind: str
    state: str
    version: int


class _Listener(Struct, eq=False):
    caller: Caller
    news: asyncio.Queue[bytes | None]


class QueueWatch:
    """The listeners of one process, and the one task that looks for them while there are any."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._listeners: set[_Listener] = set()
        self._told: set[tuple[UUID, int, int, str]] = set()
        self._looking: asyncio.Task[None] | None = None

    async def stream(self, caller: Caller) -> AsyncIterator[bytes]:
        """Server-sent events `changed` of the caller's areas, until the desk goes or may no longer hear them."""
        listener = _Listener(caller, asyncio.Queue(MOST_CHANGES))
        self._listeners.add(listener)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            yield FIRST
            while (event := await _next_event(listener)) is not None:
                yield event
        finally:
            self._listeners.discard(listener)

    def end(self) -> None:
        """The process is to stop: every stream ends now, and its desk comes back to whoever answers then."""
        for one in self._listeners:
            with contextlib.suppress(asyncio.QueueFull):
                one.news.put_nowait(None)

    async def _look(self) -> None:
        is_first = True
        while self._listeners:
            try:
                await self._look_once(is_first=is_first)
                is_first = False
            except (SQLAlchemyError, OSError) as error:
                log.warning("queue.watch_failed", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look_once(self, *, is_first: bool) -> None:
        now = utc_now()
        async with self._services.sessions() as session:
            items = list(
                await session.scalars(
                    select(ReviewItem)
                    .where(or_(ReviewItem.changed_at > func.now() - OVERLAP, _has_just_lapsed(now)))
                    .order_by(ReviewItem.changed_at)
                    .limit(MOST_CHANGES)
                )
            )
            grants = await self._grants(session)
            fresh = [] if is_first else [one for one in items if _mark(one, now) not in self._told]
            barred = await _barred(session, fresh, {one.caller for one in self._listeners})
        self._told = {_mark(one, now) for one in items}
        for listener in self._listeners:
            caller = msgspec.structs.replace(listener.caller, grants=grants.get(listener.caller.device_id, ()))
            _tell(listener, [one for one in fresh if (caller.id, one.visit_id) not in barred], caller, now)

    async def _grants(self, session: AsyncSession) -> dict[UUID, tuple[Grant, ...]]:
        """What each listener may see at this moment, by device: a stream is open far longer than a token lives."""
        rows = await session.execute(
            select(Device.id, StaffRole.role, StaffRole.area_code)
            .join(Staff, Staff.id == Device.staff_id)
            .join(StaffRole, StaffRole.staff_id == Staff.id)
            .where(
                Device.id.in_({one.caller.device_id for one in self._listeners}),
                Device.ended_at.is_(None),
                Staff.disabled_at.is_(None),
                StaffRole.revoked_at.is_(None),
                StaffRole.role.in_(REVIEW_ROLES),
            )
        )
        held: dict[UUID, tuple[Grant, ...]] = {}
        for device_id, role, area_code in rows:
            held[device_id] = (*held.get(device_id, ()), Grant(Role(role), area_code))
        return held


async def _barred(session: AsyncSession, items: list[ReviewItem], callers: set[Caller]) -> set[tuple[UUID, UUID]]:
    """Whom (a person) is told nothing of which visit, as the queue shows it to them nowhere."""
    if not items or not callers:
        return set()
    ids = [one.visit_id for one in items]
    rows = (
        select(literal(one.id), ReviewItem.visit_id).where(ReviewItem.visit_id.in_(ids), ReviewItem.not_for(one))
        for one in callers
    )
    return {(person, visit_id) for person, visit_id in await session.execute(union_all(*rows))}


def _has_just_lapsed(now: datetime) -> ColumnElement[bool]:
    """Nothing is written when a lease ends: the time alone says so."""
    return and_(ReviewItem.state == inline_literal("claimed"), ReviewItem.lease_until.between(now - OVERLAP, now))


def _mark(item: ReviewItem, now: datetime) -> tuple[UUID, int, int, str]:
    return item.visit_id, item.version, item.priority, _state(item, now)


def _state(item: ReviewItem, now: datetime) -> str:
    has_lapsed = item.lease_until is not None and item.lease_until <= now
    return "waiting" if has_lapsed else item.state


def _tell(listener: _Listener, items: list[ReviewItem], caller: Caller, now: datetime) -> None:
    """Of what the caller may see now; the stream of one who may see nothing any more ends."""
    with contextlib.suppress(asyncio.QueueFull):  # a desk that reads nothing will ask the queue when it comes back
        for one in items:
            if caller.covers(one.area_code, REVIEW_ROLES):
                listener.news.put_nowait(_event(one, now))
        if not caller.grants:
            listener.news.put_nowait(None)


def _event(item: ReviewItem, now: datetime) -> bytes:
    change = QueueChange(
        visit_id=item.visit_id,
        area_code=item.area_code,
        kind=item.kind,
        state=_state(item, now),
        version=item.version,
    )
    return b"event: changed\ndata: " + msgspec.json.encode(change) + b"\n\n"


async def _next_event(listener: _Listener) -> bytes | None:
    try:
        return await asyncio.wait_for(listener.news.get(), HEARTBEAT_S)
    except TimeoutError:
        return HEARTBEAT
