"""The office of the year: its people, signed in over HTTP, its rules called directly, and the replay's own books."""

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

import httpx
import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from bench.year.bank import Bank
from bench.year.county import COUNTY, ROLES, STANDARD_FEN, Home, staff_id
from bench.year.moving_clock import MovingClock
from server.core.access import Caller, Grant, Role
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.services import Services
from server.identity.devices import DeviceInfo, open_device
from server.models.people import Staff
from tests.phones import Phone, System

Json = dict[str, Any]
T = TypeVar("T")


@dataclass
class SentRoster:
    """A roster that went to the bank, and what its files ordered."""

    id: str
    month: date
    program: str
    total_fen: int
    ordered_fen: int


@dataclass
class Year:
    """`standards`: by programme, from which month. `left_out`: homes by month and programme that a person left out."""

    services: Services
    system: System
    clock: MovingClock
    homes: list[Home]
    first: date
    bank: Bank
    # The month that is being lived through.
    now_month: date
    people: dict[str, Phone] = field(default_factory=dict)
    callers: dict[str, Caller] = field(default_factory=dict)
    standards: list[tuple[date, dict[str, int]]] = field(default_factory=list)
    rosters: list[SentRoster] = field(default_factory=list)
    left_out: dict[UUID, date] = field(default_factory=dict)
    handed_out_fen: dict[date, int] = field(default_factory=lambda: defaultdict(int))
    decided_fen: dict[date, int] = field(default_factory=lambda: defaultdict(int))
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] += time.perf_counter() - began

    async def move_to(self, month: date, day: int, hour: int = 10) -> None:
        """Move on to a day. No token of before is valid then, so everybody signs in again."""
        self.clock.move_to(month, day, hour)
        await self.sign_in()

    async def sign_in(self) -> None:
        for name, role in ROLES.items():
            async with open_session(self.services.sessions) as session:
                staff = await session.get_one(Staff, staff_id(name))
                signed_in = await open_device(
                    session, self.services, staff, DeviceInfo(label="year", hardware_id=f"year-{name}"), utc_now()
                )
                body = msgspec.to_builtins(signed_in)
            self.people[name] = Phone(self.system, body)
            self.callers[name] = Caller(
                id=staff_id(name), name=f"年{name}", device_id=new_id(), grants=(Grant(Role(role), COUNTY),)
            )

    async def rule(self, name: str, call: Callable[[AsyncSession, Caller], Awaitable[T]]) -> T:
        """Call a rule of the program as one of the office's people, in a transaction of its own."""
        async with open_session(self.services.sessions) as session:
            return await call(session, self.callers[name])

    async def post(self, name: str, path: str, **request: Any) -> Json:
        document: Json = _read(await self.people[name].http.post(path, **request))
        return document

    async def get(self, name: str, path: str, **params: Any) -> Any:
        return _read(await self.people[name].http.get(path, params=params))

    async def get_all(self, name: str, path: str, **params: Any) -> list[Json]:
        """Return all items of a list, page by page."""
        items: list[Json] = []
        cursor: str | None = None
        while True:
            page = await self.get(name, path, limit=200, **params, **({"cursor": cursor} if cursor else {}))
            items += page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                return items

    def standard_fen(self, programme: str, month: date) -> int:
        """Return the standard of a month, by head."""
        raised = [standard for since, standard in self.standards if since <= month]
        return (raised[-1] if raised else STANDARD_FEN)[programme]

    def decide(self, home: Home, month: date, amount_fen: int, *, before_fen: int | None = None) -> None:
        """Note a decision in the replay's own books: of the home, and of the month in which it was made."""
        before = home.last_fen if before_fen is None else before_fen
        self.decided_fen[self.now_month] += amount_fen - before
        home.decide(month, amount_fen)

    @cached_property
    def by_number(self) -> dict[str, Home]:
        return {f"NN-{home.place:06d}": home for home in self.homes}

    @property
    def paid_homes(self) -> list[Home]:
        return [home for home in self.homes if home.stopped_by is None]


def _read(answer: httpx.Response) -> Any:
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        raise RuntimeError(f"{answer.request.method} {answer.request.url}: {answer.text[:1000]}")
    return answer.json()


def spread(items: Sequence[T], count: int, start: int) -> list[T]:
    """Return `count` items from all over the list, others for another start."""
    step = max(1, len(items) // max(1, count))
    return [items[(start + place * step) % len(items)] for place in range(min(count, len(items)))]
