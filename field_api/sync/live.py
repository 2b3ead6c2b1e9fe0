"""The live stream: tells a phone to pull soon after there is something for it. Polling works without it.

Each process with open streams asks the database once a second whether anything has become servable for the
people who listen. LISTEN/NOTIFY would be the other way; but a notification comes with the commit, which may
be before the row is servable (an older transaction still runs), and it makes all commits queue for one lock.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import bindparam, func, select
from sqlalchemy.exc import SQLAlchemyError

from server.core.access import Caller
from server.core.database import Xid8
from server.core.log import log
from server.core.services import Services
from server.models.feed import Feed
from server.models.people import Device, Staff

LOOK_EVERY_S = 1.0
HEARTBEAT_S = 20.0
# `open` is the event on which RxDB's client pulls anew; a message with the text RESYNC breaks it (15.22).
RESYNC = b'event: open\ndata: "RESYNC"\n\n'
HEARTBEAT = b": still here\n\n"
FIRST = b"retry: 3000\n\n"
# A phone opens one stream, older ones one for each of some collections; while it changes networks, the former is still
# open here. More of them are a mistake or an attack: the oldest ends, so a phone always gets its newest.
STREAMS_OF_A_KIND = 2
STREAMS_PER_PERSON = 60


class _Listener(Struct, eq=False):
    """`news` are the collections that changed since its last event."""

    staff_id: UUID
    device_id: UUID
    collections: frozenset[str]
    names_them: bool
    woken: asyncio.Event
    news: set[str] = msgspec.field(default_factory=set)
    is_over: bool = False


class Watch:
    """The listeners of one process, and the one task that looks for them while there are any."""

    def __init__(self, services: Services) -> None:
        self._services = services
        # In the order in which they came.
        self._listeners: dict[_Listener, None] = {}
        self._looking: asyncio.Task[None] | None = None

    async def stream(
        self, caller: Caller, collections: Iterable[str], *, names_them: bool = True
    ) -> AsyncIterator[bytes]:
        """Server-sent events until the phone goes or its device is ended.

        With `names_them` an event names the collections to pull; without, it is the one of RxDB's own client.
        """
        listener = _Listener(caller.id, caller.device_id, frozenset(collections), names_them, asyncio.Event())
        self._end_surplus(listener)
        self._listeners[listener] = None
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            yield FIRST
            while not listener.is_over:
                yield await _next_event(listener)
        finally:
            self._listeners.pop(listener, None)

    def _end_surplus(self, listener: _Listener) -> None:
        """End the oldest streams that a new one would be too many beside."""
        of_person = [other for other in self._listeners if other.staff_id == listener.staff_id and not other.is_over]
        same = [
            other
            for other in of_person
            if (other.device_id, other.collections) == (listener.device_id, listener.collections)
        ]
        surplus = same[: max(0, len(same) - STREAMS_OF_A_KIND + 1)]
        surplus += of_person[: max(0, len(of_person) - STREAMS_PER_PERSON + 1)]
        for other in surplus:
            other.is_over = True
            other.woken.set()

    def end(self) -> None:
        """The process is to stop: every stream ends now, and its phone comes back to whoever answers then."""
        for listener in self._listeners:
            listener.is_over = True
            listener.woken.set()

    async def _look(self) -> None:
        since: int | None = None
        while self._listeners:
            try:
                since = await self._look_once(since)
            except (SQLAlchemyError, OSError) as error:
                log.warning("sync.watch_failed", error=type(error).__name__)
                since = None
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look_once(self, since: int | None) -> int:
        """Wake whom anything new concerns; all of them when it is not known since when."""
        listeners = list(self._listeners)  # who comes while the database is asked waits for the next look
        async with self._services.sessions() as session:
            settled: Any = await session.scalar(select(func.pg_snapshot_xmin(func.pg_current_snapshot(), type_=Xid8)))
            news = await session.execute(
                select(Feed.staff_id, Feed.collection)
                .distinct()
                .where(
                    Feed.staff_id.in_({listener.staff_id for listener in listeners}),
                    Feed.collection.in_(frozenset().union(*(listener.collections for listener in listeners))),
                    Feed.xid >= bindparam(None, since or settled, Xid8),
                    Feed.xid < bindparam(None, settled, Xid8),
                )
            )
            changed: dict[UUID, set[str]] = {}
            for staff_id, collection in news:
                changed.setdefault(staff_id, set()).add(collection)
            welcome = set(
                await session.scalars(
                    select(Device.id)
                    .join(Staff, Staff.id == Device.staff_id)
                    .where(
                        Device.id.in_({listener.device_id for listener in listeners}),
                        Device.ended_at.is_(None),
                        Staff.disabled_at.is_(None),
                    )
                )
            )
        for item in listeners:
            item.is_over = item.is_over or item.device_id not in welcome
            item.news |= item.collections if since is None else item.collections & changed.get(item.staff_id, set())
            if item.is_over or item.news:
                item.woken.set()
        return int(settled)


async def _next_event(listener: _Listener) -> bytes:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(listener.woken.wait(), HEARTBEAT_S)
        listener.woken.clear()
        if listener.is_over:
            return HEARTBEAT
        names = sorted(listener.news)
        listener.news.clear()
        return b"event: changed\ndata: " + msgspec.json.encode(names) + b"\n\n" if listener.names_them else RESYNC
    return HEARTBEAT
