"""The queue's live stream: which visits entered, were claimed, decided, released or expired, within seconds.

Each process with open streams polls the database once a second for all of them, as the phones' stream does and for the
same reasons. `changed_at` is set before the commit, which may be late: so each poll reads the last OVERLAP again and
leaves out what was sent already. A client that reconnects loads the queue again.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, and_, literal, or_, select, tuple_, union_all
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import REVIEW_ROLES, Caller, Grant, Role
from server.core.clock import utc_now
from server.core.database import inline_literal
from server.core.http import ResponseBody
from server.core.log import log
from server.core.services import Services
from server.models.people import Device, Staff, StaffRole
from server.models.review import ReviewItem

LOOK_EVERY_S = 1.0
HEARTBEAT_S = 20.0
# Longer than any transaction may take (server/core/database.py: 30 s a statement), and clocks of two processes differ.
OVERLAP = timedelta(seconds=40)
PAGE = 1000
# Of a client that reads none of them. Beyond, its stream ends: it comes back and loads the queue.
MOST_UNREAD = 1000
HEARTBEAT = b": still here\n\n"
FIRST = b"retry: 3000\n\n"
# Open windows of one person; of more, the oldest stream ends.
STREAMS_PER_PERSON = 20


class QueueChange(ResponseBody):
    visit_id: UUID
    area_code: str
    kind: str
    state: str
    version: int


class _Listener(Struct, eq=False):
    caller: Caller
    events: asyncio.Queue[bytes | None]


class QueueWatch:
    """The listeners of one process, and a single task that polls while there are any."""

    def __init__(self, services: Services) -> None:
        self._services = services
        # In the order in which they came.
        self._listeners: dict[_Listener, None] = {}
        self._sent: set[tuple[UUID, int, int, str]] = set()
        self._poller: asyncio.Task[None] | None = None

    async def stream(self, caller: Caller) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events `changed` of the caller's areas, until the client leaves or loses its roles."""
        listener = _Listener(caller, asyncio.Queue(MOST_UNREAD))
        self._end_surplus(caller)
        self._listeners[listener] = None
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            yield FIRST
            while (event := await _next_event(listener)) is not None:
                yield event
        finally:
            self._listeners.pop(listener, None)

    def _end_surplus(self, caller: Caller) -> None:
        """End the oldest streams that a new one would be too many beside."""
        of_person = [listener for listener in self._listeners if listener.caller.id == caller.id]
        for listener in of_person[: max(0, len(of_person) - STREAMS_PER_PERSON + 1)]:
            self._listeners.pop(listener)
            with contextlib.suppress(asyncio.QueueFull):  # whoever reads nothing ends with its connection
                listener.events.put_nowait(None)

    def end(self) -> None:
        """End every stream, because the process stops; clients reconnect to another process."""
        for listener in self._listeners:
            with contextlib.suppress(asyncio.QueueFull):
                listener.events.put_nowait(None)

    async def _poll(self) -> None:
        is_first = True
        while self._listeners:
            try:
                await self._poll_once(is_first=is_first)
                is_first = False
            except (SQLAlchemyError, OSError) as error:
                log.warning("queue.watch_failed", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _poll_once(self, *, is_first: bool) -> None:
        now = utc_now()
        async with self._services.sessions() as session:
            items = await _load_changed(session, now)
            grants = await self._grants(session)
            fresh = [] if is_first else [item for item in items if _version_key(item, now) not in self._sent]
            barred = await _find_barred(session, fresh, {listener.caller for listener in self._listeners})
        self._sent = {_version_key(item, now) for item in items}
        for listener in self._listeners:
            caller = msgspec.structs.replace(listener.caller, grants=grants.get(listener.caller.device_id, ()))
            _send_changes(listener, [item for item in fresh if (caller.id, item.visit_id) not in barred], caller, now)

    async def _grants(self, session: AsyncSession) -> dict[UUID, tuple[Grant, ...]]:
        """Return each listener's current grants, by device: a stream stays open far longer than a token lives."""
        rows = await session.execute(
            select(Device.id, StaffRole.role, StaffRole.area_code)
            .join(Staff, Staff.id == Device.staff_id)
            .join(StaffRole, StaffRole.staff_id == Staff.id)
            .where(
                Device.id.in_({listener.caller.device_id for listener in self._listeners}),
                Device.ended_at.is_(None),
                Staff.disabled_at.is_(None),
                StaffRole.revoked_at.is_(None),
                StaffRole.role.in_(REVIEW_ROLES),
            )
        )
        grants: dict[UUID, tuple[Grant, ...]] = {}
        for device_id, role, area_code in rows:
            grants[device_id] = (*grants.get(device_id, ()), Grant(Role(role), area_code))
        return grants


async def _load_changed(session: AsyncSession, now: datetime) -> list[ReviewItem]:
    """Return all items that changed within OVERLAP, page by page: an import or a new rule moves thousands at once."""
    items: list[ReviewItem] = []
    after: tuple[datetime, UUID] | None = None
    while True:
        page = (
            select(ReviewItem)
            .where(or_(ReviewItem.changed_at > now - OVERLAP, _has_just_lapsed(now)))
            .order_by(ReviewItem.changed_at, ReviewItem.visit_id)
            .limit(PAGE)
        )
        if after is not None:
            page = page.where(tuple_(ReviewItem.changed_at, ReviewItem.visit_id) > after)
        rows = list(await session.scalars(page))
        items += rows
        if len(rows) < PAGE:
            return items
        after = (rows[-1].changed_at, rows[-1].visit_id)


async def _find_barred(session: AsyncSession, items: list[ReviewItem], callers: set[Caller]) -> set[tuple[UUID, UUID]]:
    """Return the pairs of person and visit that the queue hides from that person."""
    if not items or not callers:
        return set()
    ids = [item.visit_id for item in items]
    rows = (
        select(literal(caller.id), ReviewItem.visit_id).where(
            ReviewItem.visit_id.in_(ids), ReviewItem.excluded_for(caller)
        )
        for caller in callers
    )
    return {(person, visit_id) for person, visit_id in await session.execute(union_all(*rows))}


def _has_just_lapsed(now: datetime) -> ColumnElement[bool]:
    """Return the condition for an expired lease: no row is written when a lease expires."""
    return and_(ReviewItem.state == inline_literal("claimed"), ReviewItem.lease_until.between(now - OVERLAP, now))


def _version_key(item: ReviewItem, now: datetime) -> tuple[UUID, int, int, str]:
    return item.visit_id, item.version, item.priority, _current_state(item, now)


def _current_state(item: ReviewItem, now: datetime) -> str:
    has_lapsed = item.lease_until is not None and item.lease_until <= now
    return "waiting" if has_lapsed else item.state


def _send_changes(listener: _Listener, items: list[ReviewItem], caller: Caller, now: datetime) -> None:
    """Send what the caller may see now, and end the stream of a caller who has no grants any more."""
    try:
        for item in items:
            if caller.covers(item.area_code, REVIEW_ROLES):
                listener.events.put_nowait(_event(item, now))
        if not caller.grants:
            listener.events.put_nowait(None)
    except asyncio.QueueFull:
        listener.events = asyncio.Queue(MOST_UNREAD)
        listener.events.put_nowait(None)


def _event(item: ReviewItem, now: datetime) -> bytes:
    change = QueueChange(
        visit_id=item.visit_id,
        area_code=item.area_code,
        kind=item.kind,
        state=_current_state(item, now),
        version=item.version,
    )
    return b"event: changed\ndata: " + msgspec.json.encode(change) + b"\n\n"


async def _next_event(listener: _Listener) -> bytes | None:
    try:
        return await asyncio.wait_for(listener.events.get(), HEARTBEAT_S)
    except TimeoutError:
        return HEARTBEAT
