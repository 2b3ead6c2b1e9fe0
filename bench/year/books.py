"""The books of a month: decisions, rosters, files, the bank and the statistics must all say the same, to the fen.

Written apart from drafting and from `server.rosters.reconcile`: it reads tables by SQL of its own, and compares them
with what the replay meant and with what the bank did.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from bench.year.county import COUNTY, Home
from bench.year.office import Year
from server.benefits.amount_timeline import AmountTimeline, load_timelines
from server.core.database import open_session
from server.rosters.homes import amount_in
from server.rosters.parts import list_months


class MonthBooks(NamedTuple):
    """Of a month, in fen. `faults` name what nothing explains, each with its fen."""

    month: date
    owed_fen: int
    sent_fen: int
    paid_fen: int
    returned_fen: int
    left_out_fen: int
    overpaid_fen: int
    faults: list[tuple[str, int]]

    @property
    def unexplained_fen(self) -> int:
        return sum(fen for _, fen in self.faults)


class HomeMonth(NamedTuple):
    """What a home was owed for a month, what rosters allot to it, and why they may differ."""

    head: str
    month: date
    owed_fen: int
    allotted_fen: int
    is_left_out: bool
    # A live line of this month's roster pays the home something, out of which it could be claimed back.
    is_paid_now: bool


def find_gap(entry: HomeMonth) -> tuple[str, int]:
    """Return what explains the difference and its fen: `left_out`, `overpaid`, `unexplained`; nothing where equal."""
    gap_fen = entry.owed_fen - entry.allotted_fen
    if gap_fen == 0:
        return "", 0
    if gap_fen > 0:
        return ("left_out" if entry.is_left_out else "unexplained"), gap_fen
    return ("unexplained" if entry.is_paid_now else "overpaid"), -gap_fen


_ALLOTTED = text("""
SELECT c.household_id, p.month, sum(p.amount_fen) FROM roster_part p JOIN roster_line l ON l.id = p.line_id
JOIN case_file c ON c.id = l.case_id
WHERE l.state IN ('sent', 'paid', 'returned') AND NOT EXISTS (
    SELECT FROM roster_line again WHERE again.source_line_id = l.id AND again.state IN ('sent', 'paid', 'returned'))
GROUP BY 1, 2
""")
_PAID_NOW = text("""
SELECT DISTINCT c.household_id FROM roster_line l JOIN case_file c ON c.id = l.case_id
WHERE l.month = :month AND l.source_line_id IS NULL AND l.state IN ('sent', 'paid', 'returned') AND l.total_fen > 0
""")
_LINES = text("""
SELECT l.roster_id::text, l.state, sum(l.total_fen), array_agg(l.reference) FROM roster_line l
WHERE l.month = :month AND l.state NOT IN ('left_out', 'cancelled') GROUP BY 1, 2
""")


async def check_books(year: Year, month: date) -> MonthBooks:
    with year.timed("books of the month compared"):
        faults: list[tuple[str, int]] = [(fault, 1) for fault in year.bank.faults]
        sent_fen, paid_fen, returned_fen = await _check_rosters(year, month, faults)
        await _check_statistics(year, month, paid_fen, faults)
        gaps = await _check_homes(year, month, faults)
        owed_fen = sum(home.owed_fen(month) for home in year.homes)
    return MonthBooks(month, owed_fen, sent_fen, paid_fen, returned_fen, gaps["left_out"], gaps["overpaid"], faults)


async def _check_rosters(year: Year, month: date, faults: list[tuple[str, int]]) -> tuple[int, int, int]:
    """Roster = file = lines; sent = paid + returned; paid = what the bank credited, line by line."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    async with open_session(year.services.sessions) as session:
        for roster, state, fen, references in await session.execute(_LINES, {"month": month}):
            sums[roster][state] += int(fen)
            credited = sum(year.bank.credited.get(reference, 0) for reference in references)
            _compare(faults, f"{roster}: {state} against the bank", credited, int(fen) if state == "paid" else 0)
    totals: dict[str, int] = defaultdict(int)
    for sent in [sent for sent in year.rosters if sent.month == month]:
        states = sums[sent.id]
        _compare(faults, f"{sent.id}: roster against its file", sent.total_fen, sent.ordered_fen)
        _compare(faults, f"{sent.id}: roster against its lines", sent.total_fen, sum(states.values()))
        _compare(faults, f"{sent.id}: sent = paid + returned", sent.total_fen, states["paid"] + states["returned"])
        for state, fen in states.items():
            totals[state] += fen
    return sum(totals.values()), totals["paid"], totals["returned"]


async def _check_statistics(year: Year, month: date, paid_fen: int, faults: list[tuple[str, int]]) -> None:
    """The report by program and month = what the bank credited and what was handed out; the ledger = the decisions."""
    rows = await year.get(
        "county", "/desk/v1/aid-report", since=month.isoformat(), until=month.isoformat(), area=COUNTY, by="county"
    )
    by_origin = {origin: sum(row["fen"] for row in rows if row["origin"] == origin) for origin in ("roster", "aid")}
    _compare(faults, "report of the rosters", by_origin["roster"], paid_fen)
    _compare(faults, "report of the handouts", by_origin["aid"], year.handed_out_fen[month])
    totals = await year.get(
        "county", "/desk/v1/benefit-changes/totals", since=month.isoformat(), until=month.replace(day=28).isoformat(),
        area=COUNTY,
    )  # fmt: skip
    _compare(faults, "ledger of decisions", totals["netFen"], year.decided_fen[month])


async def _check_homes(year: Year, month: date, faults: list[tuple[str, int]]) -> dict[str, int]:
    """Each home and month so far: what the replay meant = the timeline of decisions = what rosters allot to it."""
    async with open_session(year.services.sessions) as session:
        timelines = await _load_all_timelines(session, year.homes)
        allotted: dict[tuple[UUID, date], int] = {
            (household_id, of_month): int(fen) for household_id, of_month, fen in await session.execute(_ALLOTTED)
        }
        paid_now = set(await session.scalars(_PAID_NOW, {"month": month}))
    gaps: dict[str, int] = defaultdict(int)
    for home in year.homes:
        spans = timelines[home.case_id].spans
        for of_month in list_months(year.first, month):
            owed_fen = home.owed_fen(of_month)
            _compare(faults, f"{home.head} {of_month}: timeline", amount_in(spans, of_month), owed_fen)
            entry = HomeMonth(
                home.head, of_month, owed_fen, allotted.pop((home.household_id, of_month), 0),
                year.left_out.get(home.household_id) == month, home.household_id in paid_now,
            )  # fmt: skip
            why, gap_fen = find_gap(entry)
            gaps[why] += gap_fen
            if why == "unexplained":
                faults.append((f"{entry}", gap_fen))
    faults += [(f"{household} {month}: allotted to nobody", abs(fen)) for (household, month), fen in allotted.items()]
    return gaps


async def _load_all_timelines(session: object, homes: list[Home]) -> Mapping[UUID, AmountTimeline]:
    timelines: dict[UUID, AmountTimeline] = {}
    for start in range(0, len(homes), 1000):
        timelines |= await load_timelines(session, [home.case_id for home in homes[start : start + 1000]])  # type: ignore[arg-type]
    return timelines


def _compare(faults: list[tuple[str, int]], what: str, fen: int, expected_fen: int) -> None:
    if fen != expected_fen:
        faults.append((f"{what}: {fen} instead of {expected_fen}", abs(fen - expected_fen)))
