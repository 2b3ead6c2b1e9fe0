"""What changes in a month: raises of the standard, visits over HTTP, and decisions by two people through the rules."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update

from bench.year.county import CHECKLIST, COUNTY, PEOPLE, STANDARD_FEN, STEP_FEN, Home, make_id, staff_id
from bench.year.office import Json, Year, spread
from server.benefits.calculations import Calculate, calculate
from server.cases.actions import TakeStep, take_step
from server.cases.daily import run_daily
from server.cases.raise_changes import apply_raise
from server.cases.raise_preview import preview_raise
from server.cases.standard_raises import DecideRaise, ProposeRaise, decide_raise, propose_raise
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import ApplyRaise, PreviewRaise, RunDailyCaseWork
from server.models.cases import CaseFile, IncomeItem
from server.models.raises import StandardRaiseLine
from server.rosters.parts import add_months
from tests.makers.cases import calculated, done

SMALL_FEN = STEP_FEN // 2
# Of a county's homes, a month: one of so many is decided on, by each kind.
SHARES = {"cut": 400, "raise": 400, "late_cut": 1200, "late_raise": 1200, "moved": 800, "death": 1200}
VISITED_AT_ONCE = 8


async def begin_month(year: Year, month: date) -> None:
    """Sign in, and let the night's job put into effect what was decided for this month."""
    await year.move_to(month, 2)
    year.now_month = month
    with year.timed("the first night of a month: decisions in effect"):
        await run_daily(year.services, RunDailyCaseWork())


async def raise_standard(year: Year, month: date, by_fen: int) -> None:
    """Raise both standards from a month on, by two people and the jobs; what is left to a person is decided by hand."""
    year.clock.move_on(30)
    standard = {name: year.standard_fen(name, month) + by_fen for name in STANDARD_FEN}
    body = ProposeRaise(
        id=new_id(), area_code=COUNTY, month=month, document=f"县民发〔{month.year}〕{month.month}号",
        rural_fen=standard["rural"], urban_fen=standard["urban"],
    )  # fmt: skip
    with year.timed("raises of the standard"):
        await year.rule("county", lambda session, caller: propose_raise(session, caller, body, utc_now()))
        await preview_raise(year.services, PreviewRaise(raise_id=body.id))
        confirmed = DecideRaise(outcome="confirmed")
        await year.rule("second", lambda session, caller: decide_raise(session, caller, body.id, confirmed, utc_now()))
        await apply_raise(year.services, ApplyRaise(raise_id=body.id))
    year.standards.append((month, standard))
    applied = await _load_applied(year, body.id)
    by_id = {home.case_id: home for home in year.homes}
    for case_id in applied:
        home = by_id[case_id]
        year.decide(home, month, PEOPLE * standard[home.programme] - home.income_fen)
    year.counts["homes raised with the standard"] += len(applied)
    for home in year.paid_homes:
        if home.case_id not in applied and home.last_fen:
            await decide_amount(year, home, home.income_fen, max(month, home.amounts[-1][0]), "提标时留待人工核定")
            year.counts["homes of a raise that were left to a person"] += 1


async def _load_applied(year: Year, raise_id: UUID) -> set[UUID]:
    rows = select(StandardRaiseLine.case_id).where(
        StandardRaiseLine.raise_id == raise_id, StandardRaiseLine.outcome == "applied"
    )
    async with open_session(year.services.sessions) as session:
        return set(await session.scalars(rows))


async def change_month(year: Year, month: date, place: int) -> None:
    """Decide on a share of the homes: raise, cut, stop, and take up again; some of it for months that are paid."""
    await year.move_to(month, 8)
    following = add_months(month, 1)
    taken: set[int] = set()

    def choose(kind: str, condition: Callable[[Home], bool]) -> list[Home]:
        untouched = [home for home in year.paid_homes if not home.is_visited and home.place not in taken]
        fit = [home for home in untouched if condition(home)]
        chosen = spread(fit, max(1, len(year.homes) // SHARES[kind]), 7 * place + len(taken))
        taken.update(home.place for home in chosen)
        year.counts[f"decisions: {kind}"] += len(chosen)
        return chosen

    with year.timed("decisions by two people, through the rules"):
        for home in choose("cut", lambda home: home.last_fen > 2 * STEP_FEN):
            await decide_amount(year, home, home.income_fen + SMALL_FEN, following, "收入增加")
        for home in choose("raise", lambda home: home.income_fen >= SMALL_FEN):
            await decide_amount(year, home, home.income_fen - SMALL_FEN, following, "收入减少")
        if place:
            for home in choose("late_cut", lambda home: home.last_fen > 2 * STEP_FEN):
                await decide_amount(year, home, home.income_fen + SMALL_FEN, add_months(month, -1), "上月起收入增加")
            for home in choose("late_raise", lambda home: home.income_fen >= SMALL_FEN):
                await decide_amount(year, home, home.income_fen - SMALL_FEN, add_months(month, -1), "上月起收入减少")
        back = [home for home in year.homes if home.stopped_by == "moved" and home.amounts[-1][0] <= month]
        # Some are heard of late: what was paid since is claimed back when the home is paid again.
        since = add_months(month, -1) if place % 2 else following
        for ground in ("moved", "death"):
            for home in choose(ground, lambda home: home.amounts[-1][0] < since):
                await stop(year, home, since, ground)
        for home in back[:: max(2, len(back) // 10 + 1)]:
            await take_up_again(year, home, following)


async def decide_amount(year: Year, home: Home, income_fen: int, month: date, reason: str) -> None:
    """Change the income in the register, calculate for a month, propose and decide."""
    items = update(IncomeItem).where(IncomeItem.household_id == home.household_id)
    async with open_session(year.services.sessions) as session:
        await session.execute(items.values(verified_fen=income_fen))
    body = Calculate(month=month)
    await year.rule("town", lambda session, caller: calculate(session, caller, home.case_id, body, utc_now()))
    await _propose_and_decide(year, home, "change_proposed", "amount_changed", reason=reason)
    home.income_fen = income_fen
    year.decide(home, month, _amount_fen(year, home, month))


def _amount_fen(year: Year, home: Home, month: date) -> int:
    return PEOPLE * year.standard_fen(home.programme, month) - home.income_fen


async def stop(year: Year, home: Home, month: date, ground: str) -> None:
    await _propose_and_decide(
        year, home, "stop_proposed", "stopped", reason=f"停发（{ground}）", ground=ground, from_month=month
    )
    year.decide(home, month, 0)
    home.stopped_by = ground


async def take_up_again(year: Year, home: Home, month: date) -> None:
    body = Calculate(month=month)
    await year.rule("town", lambda session, caller: calculate(session, caller, home.case_id, body, utc_now()))
    await _propose_and_decide(year, home, "return_proposed", "came_back", reason="恢复发放")
    await _take_step(year, "town", home, TakeStep(step="published"))
    year.decide(home, month, _amount_fen(year, home, month), before_fen=0)
    home.stopped_by = None
    year.counts["decisions: return"] += 1


async def _propose_and_decide(year: Year, home: Home, proposes: str, decides: str, **more: Any) -> None:
    for name, body in (
        ("town", TakeStep(step=proposes, **more)),
        ("county", TakeStep(step=decides, reason=more["reason"])),
    ):
        await _take_step(year, name, home, body)


async def _take_step(year: Year, name: str, home: Home, body: TakeStep) -> None:
    async with open_session(year.services.sessions) as session:
        version = (await session.scalars(select(CaseFile.version).where(CaseFile.id == home.case_id))).one()
        await take_step(
            session, year.callers[name], home.case_id, body, version=version, idempotency_key=None, now=utc_now()
        )


# -- visits, over HTTP from the phone to the decision


async def visit_month(year: Year, month: date, count: int, place: int) -> None:
    """Visit homes, accept the visits, take over what half of them found, and decide, all over HTTP."""
    fit = [home for home in year.paid_homes if home.last_fen > 2 * STEP_FEN]
    homes = spread(fit, count, 11 * place + 3)
    with year.timed("visits accepted, taken over and decided, over HTTP"):
        for day, some in enumerate(_split(homes, VISITED_AT_ONCE)):
            await year.move_to(month, 3 + day, hour=18)
            found = {home.household_id: home.income_fen + SMALL_FEN * (home.place % 2) for home in some}
            await _make_visits(year, some, found)
            await year.system.run_jobs()
            await _accept(year)
            await year.system.run_jobs()
            for home in some:
                await _take_over(year, home, found[home.household_id], add_months(month, 1))
    year.counts["visits accepted"] += len(homes)


def _split(homes: list[Home], size: int) -> list[list[Home]]:
    return [homes[start : start + size] for start in range(0, len(homes), size)]


async def _make_visits(year: Year, homes: list[Home], found: dict[UUID, int]) -> None:
    begun = utc_now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=VISITED_AT_ONCE)
    visits = []
    async with open_session(year.services.sessions) as session:
        for n, home in enumerate(homes):
            values = {
                "id": new_id(), "home": home.household_id, "due": begun.date(), "code": CHECKLIST,
                "partner": staff_id("partner"),
            }  # fmt: skip
            await session.execute(_ASSIGNMENT.bindparams(**values))
            for name in ("worker", "partner"):
                held = {"id": make_id(f"load-{name}", home.place), "home": home.household_id, "staff": staff_id(name)}
                await session.execute(_CASELOAD.bindparams(**held, at=begun))
            started = begun + timedelta(hours=n)
            visits.append(_visit(home, str(values["id"]), started, found[home.household_id]))
    attestations = [
        {"visitId": visit["id"], "attestedAt": visit["endedAt"], "fix": visit["endFix"]}
        | {"id": str(new_id()), "_deleted": False}
        for visit in visits
    ]
    assert await year.people["worker"].push("visits", *visits) == []
    assert await year.people["partner"].push("attestations", *attestations) == []


_ASSIGNMENT = text(
    "INSERT INTO assignment (id, household_id, kind, due_on, checklist_code, checklist_version, partner_id, state)"
    " VALUES (:id, :home, 'review', :due, :code, 1, :partner, 'open')"
)
_CASELOAD = text(
    "INSERT INTO caseload (id, household_id, staff_id, granted_at) VALUES (:id, :home, :staff, :at)"
    " ON CONFLICT DO NOTHING"
)


def _visit(home: Home, assignment: str, started: Any, found_fen: int) -> Json:
    ended = started + timedelta(minutes=30)
    place = {"latitude": 28.9 + home.place % 60 * 1e-3, "longitude": 118.9 + home.place // 60 * 1e-3}
    fix = {**place, "datum": "wgs84", "accuracyM": 8.0 + home.place % 7}
    return {
        "id": str(new_id()), "householdId": str(home.household_id), "assignmentId": assignment, "kind": "review",
        "checklistCode": CHECKLIST, "checklistVersion": 1, "state": "submitted", "startedAt": started.isoformat(),
        "endedAt": ended.isoformat(), "startFix": fix | {"capturedAt": started.isoformat()},
        "endFix": fix | {"capturedAt": ended.isoformat()},
        "investigatorIds": [str(staff_id("worker")), str(staff_id("partner"))], "familyPresent": [],
        "answers": {"found": found_fen}, "photos": [], "_deleted": False,
    }  # fmt: skip


async def _accept(year: Year) -> None:
    """Lease and accept until nothing waits; findings are looked at and dismissed."""
    reviewer = year.people["reviewer"].http
    while (lease := await reviewer.post("/desk/v1/queue/claim")).status_code == 200:
        visit_id = lease.json()["visitId"]
        shown = await year.get("reviewer", f"/desk/v1/visits/{visit_id}")
        body = {
            "outcome": "accepted", "reason": "已核对", "dismissed": [finding["id"] for finding in shown["findings"]],
        }  # fmt: skip
        await year.post("reviewer", f"/desk/v1/visits/{visit_id}/decision", json=body)


async def _take_over(year: Year, home: Home, found_fen: int, month: date) -> None:
    """Adopt what the visit found, and let the amount follow where it differs."""
    home.is_visited = True
    record = await year.get("town", f"/desk/v1/cases/{home.case_id}/found-figures")
    (figure,) = [line for line in record["figures"] if line["figure"] == "property"]
    if figure["foundAmount"] != found_fen:
        raise RuntimeError(f"{home.head}: the visit found {found_fen}, the draft says {figure['foundAmount']}")
    await year.post("town", f"/desk/v1/cases/{home.case_id}/found-figures/{figure['id']}/adoption", json={})
    if found_fen == home.income_fen:
        return
    town, county = year.people["town"], year.people["county"]
    await calculated(town, home.case_id, month.isoformat())  # type: ignore[arg-type]  # it has what a desk has
    reason = "走访查明收入增加"
    await done(town, home.case_id, "change_proposed", reason=reason)  # type: ignore[arg-type]
    await done(county, home.case_id, "amount_changed", reason=reason)  # type: ignore[arg-type]
    home.income_fen = found_fen
    year.decide(home, month, _amount_fen(year, home, month))
