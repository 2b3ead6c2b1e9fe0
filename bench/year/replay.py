"""A year of a county, month by month: what changes, what is paid, and the books of each month."""

from collections.abc import AsyncIterator
from datetime import date

from bench.year.bank import Bank
from bench.year.books import MonthBooks, check_books
from bench.year.changes import begin_month, change_month, raise_standard, visit_month
from bench.year.county import EVERY_URBAN, invent_homes, village_of, write_county
from bench.year.moving_clock import moved_clock
from bench.year.office import Year
from bench.year.payments import hand_out, pay_month
from server.core.clock import today, utc_now
from server.core.database import open_session
from server.core.services import Services
from server.rosters.parts import add_months
from server.rosters.reconcile import Reconciliation, reconcile
from tests.phones import System

RAISE_FEN = 60_00
# One of so many homes is visited in a month, between the least and the most.
VISITED, LEAST_VISITED, MOST_VISITED = 100, 2, 40


class Replay:
    """The months so far with their books, and at the end the proof of the program itself."""

    def __init__(
        self, services: Services, system: System, *, homes: int, months: int, every_urban: int = EVERY_URBAN
    ) -> None:
        self._first = add_months(today().replace(day=1), -months)
        self._months = months
        self._services, self._system = services, system
        self._homes, self._every_urban = invent_homes(homes, self._first, every_urban), every_urban
        self.year: Year | None = None
        self.proof: Reconciliation | None = None

    async def run(self) -> AsyncIterator[MonthBooks]:
        with moved_clock(self._first) as clock:
            year = Year(
                self._services, self._system, clock, self._homes, self._first, Bank.of(self._homes), self._first
            )
            self.year = year
            with year.timed("the county written"):
                await write_county(self._services, self._homes, self._first, utc_now(), self._every_urban)
            for place in range(self._months):
                yield await self._live_month(year, add_months(self._first, place), place)
            with year.timed("proof of all rosters by the program itself"):
                async with open_session(self._services.sessions) as session:
                    self.proof = await reconcile(session, self._services.encryption)

    async def _live_month(self, year: Year, month: date, place: int) -> MonthBooks:
        await begin_month(year, month)
        # The first raise is decided in time, the second a month late: its arrears are owed to every home.
        first, late = self._months // 4, self._months * 2 // 3
        if place == first:
            await raise_standard(year, add_months(month, 1), RAISE_FEN)
        if place == late:
            await raise_standard(year, max(add_months(month, -1), add_months(self._first, first + 2)), RAISE_FEN)
        await visit_month(year, month, self._count_visits(), place)
        await change_month(year, month, place)
        await pay_month(year, month, place)
        await year.move_to(month, 26)
        await hand_out(year, month, place, village_of(0))
        return await check_books(year, month)

    def _count_visits(self) -> int:
        return min(MOST_VISITED, max(LEAST_VISITED, len(self._homes) // VISITED))
