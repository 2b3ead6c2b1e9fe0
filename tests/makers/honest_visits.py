"""Honest visits that come near the limits, in the ways real ones do: what each rule says of people who did nothing wrong.

A doubt is no penalty, and some are asked for whatever the reason behind them: a phone that was offline for long, five
visits within the hour. Those a scenario names (`may`); any other is a rule that accuses the honest.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance
from sqlalchemy import select, update

from server.core.database import open_session
from server.core.location import Point, distance_m
from server.models.households import Household
from server.models.people import Device
from server.models.review import Finding
from tests.makers.frauds import DAY, HOUR, MINUTE, STRIPPED, Fields, Lie, Story, start_fields
from tests.makers.photos import make_scene
from tests.makers.visits import Ground

METRES_PER_DEGREE = 111_195
SECOND = timedelta(seconds=1)
# A phone's accuracy is the radius within which two of three fixes lie; of each axis that is so many deviations.
WITHIN_RADIUS = 1.515


class Scenario(NamedTuple):
    """`plant` makes the visits; `may`: the doubts that the domain asks for whatever the reason."""

    name: str
    plant: Callable[[Fields], Any]
    may: frozenset[str] = frozenset()


class Heard(NamedTuple):
    name: str
    visits: int
    raised: Counter[str]
    wrong: Counter[str]


async def plant_honest(ground: Ground, *, each: int, run_jobs: Callable[[], Any], seed: int = 3) -> list[Heard]:
    """Live each scenario so many times, let every job run, and tell which doubts were raised.

    What follows from an untruth of before, told of the same home by others, is none of it.
    """
    fields = await start_fields(ground, seed)
    visits = {
        scenario.name: [visit for _ in range(each) for visit in await scenario.plant(fields)] for scenario in SCENARIOS
    }
    await run_jobs()
    async with ground.services.sessions() as session:
        rows = (
            await session.execute(select(Finding.visit_id, Finding.code).where(Finding.superseded_at.is_(None)))
        ).all()
    lines = []
    for item in SCENARIOS:
        lived = set(visits[item.name])
        raised = Counter(
            code for visit, code in rows if visit in lived and code != STRIPPED and code not in fields.maybe[visit]
        )
        wrong = Counter({code: count for code, count in raised.items() if code not in item.may})
        lines.append(Heard(item.name, len(visits[item.name]), raised, wrong))
    return lines


async def _visit(fields: Fields, home: int, result: Story) -> UUID:
    return await fields.visit(home, Lie(result, frozenset()))


def _scattered(fields: Fields, at: Household, accuracy_m: float) -> Story:
    """Where a phone of this accuracy says it is."""
    assert at.latitude is not None
    assert at.longitude is not None
    north, east = (fields.dice.gauss(0, accuracy_m / WITHIN_RADIUS) / METRES_PER_DEGREE for _ in range(2))
    return {
        "latitude": at.latitude + north,
        "longitude": at.longitude + east,
        "accuracyM": round(accuracy_m * fields.dice.uniform(0.9, 1.1), 1),
    }


def _fixes(fields: Fields, at: Household, accuracy_m: float) -> Story:
    return {name: _scattered(fields, at, accuracy_m) for name in ("start_fix", "end_fix", "partner_fix")}


async def _move(fields: Fields, home: int, to: Household, north_m: float, east_m: float) -> Household:
    """Register a home so far from another one."""
    moved = fields.ground.homes[home]
    assert to.latitude is not None
    assert to.longitude is not None
    moved.latitude = to.latitude + north_m / METRES_PER_DEGREE
    moved.longitude = to.longitude + east_m / METRES_PER_DEGREE
    async with open_session(fields.ground.services.sessions) as session:
        place = {"latitude": moved.latitude, "longitude": moved.longitude}
        await session.execute(update(Household).where(Household.id == moved.id).values(**place))
    return moved


async def _old_phone(fields: Fields) -> list[UUID]:
    """A cheap phone between steep hills: 80 metres of accuracy, for both of the pair."""
    home = fields.homes(1)[0]
    fixes = _fixes(fields, fields.ground.homes[home], 80)
    return [await _visit(fields, home, {**fields.team(), "started_at": fields.free_day() + HOUR, **fixes})]


async def _one_building(fields: Fields) -> list[UUID]:
    """Three flats of one stairway, one after the other, and WeChat hands out the last fix of one as the first of the next."""
    homes = fields.homes(3)
    block = fields.ground.homes[homes[0]]
    for n, home in enumerate(homes[1:], 1):
        await _move(fields, home, block, 0, 4.0 * n)
    team, at, visits = fields.team(), fields.free_day() + HOUR, []
    start = _scattered(fields, block, 20)
    for home in homes:
        end = _scattered(fields, block, 20)
        params = {**team, "started_at": at, "minutes": 16, "start_fix": start, "end_fix": end, "partner_fix": end}
        visits.append(await _visit(fields, home, params))
        at, start = at + 16 * MINUTE + 20 * SECOND, end
    return visits


async def _motorbike(fields: Fields) -> list[UUID]:
    """Two homes some way apart; the pair rides together, each writes up one of them, and their clocks differ."""
    near = [n for n, home in enumerate(fields.ground.homes[:40]) if n and _apart(fields, 0, n) > 1500] or [30]
    first, second = 0, fields.dice.choice(near)
    team, at = fields.team(), fields.free_day() + HOUR
    apart_m = _apart(fields, first, second)
    ride = timedelta(hours=apart_m / 1000 / 35)
    fast, slow = timedelta(seconds=55), timedelta(seconds=-60)
    for login, off in ((team["author"], fast), (team["partner"], slow)):
        await _set_clock(fields, login, off)
    item, other = fields.ground.homes[first], fields.ground.homes[second]
    attested = _scattered(fields, item, 12) | {"capturedAt": (at + 30 * MINUTE + slow).isoformat()}
    params = {**team, "started_at": at + fast, "minutes": 30, **_fixes(fields, item, 12), "partner_fix": attested}
    visits = [
        await _visit(fields, first, params),
        await _visit(
            fields,
            second,
            {
                "author": team["partner"],
                "partner": team["author"],
                "started_at": at + 30 * MINUTE + ride + slow,
                "minutes": 30,
                **_fixes(fields, other, 12),
            },
        ),
    ]
    for login in (team["author"], team["partner"]):
        await _set_clock(fields, login, timedelta())
    return visits


def _apart(fields: Fields, item: int, other: int) -> float:
    a, b = fields.ground.homes[item], fields.ground.homes[other]
    return distance_m(Point(a.latitude, a.longitude), Point(b.latitude, b.longitude))


async def _set_clock(fields: Fields, login: str, off: timedelta) -> None:
    async with open_session(fields.ground.services.sessions) as session:
        device_id = await fields.ground.device_of(session, fields.ground.staff[login])
        await session.execute(
            update(Device).where(Device.id == device_id).values(clock_offset_ms=round(off / timedelta(milliseconds=1)))
        )


async def _next_door(fields: Fields) -> list[UUID]:
    """Out of one door and into the next: the partner writes up the second, by a clock that is minutes behind."""
    first, second = fields.homes(2)
    await _move(fields, second, fields.ground.homes[first], 10, 12)
    team, at = fields.team(), fields.free_day() + HOUR
    ahead, behind = timedelta(seconds=100), timedelta(seconds=-110)
    await _set_clock(fields, team["author"], ahead)
    await _set_clock(fields, team["partner"], behind)
    swapped = {"author": team["partner"], "partner": team["author"]}
    visits = [
        await _visit(fields, first, {**team, "started_at": at + ahead, "minutes": 25}),
        await _visit(fields, second, {**swapped, "started_at": at + 26 * MINUTE + behind, "minutes": 25}),
    ]
    await _set_clock(fields, team["author"], timedelta())
    await _set_clock(fields, team["partner"], timedelta())
    return visits


async def _dusk(fields: Fields) -> list[UUID]:
    """After the day's work in the fields, when people are at home: begun before nine in the evening."""
    at = fields.free_day().replace(hour=12, minute=0) + fields.dice.uniform(0, 58) * MINUTE
    return [await _visit(fields, fields.homes(1)[0], {**fields.team(), "started_at": at, "minutes": 45})]


async def _same_wall(fields: Fields) -> list[UUID]:
    """The same house from the same spot of the yard, this year and the next."""
    home, scene, visits = fields.homes(1)[0], make_scene(fields.dice.getrandbits(30)), []
    for _ in range(2):
        params = {**fields.team(), "started_at": fields.free_day() + HOUR}
        visits.append(
            await _visit(fields, home, {**params, "photos": [{"picture": _shoot(fields, scene, 0.2)}, {}, {}]})
        )
    return visits


async def _album(fields: Fields) -> list[UUID]:
    """The family's album and its household register, photographed again at the next visit; another home has a like one."""
    item, other = fields.homes(2)
    pages = {home: _register_page(fields) for home in (item, other)}
    visits = []
    for home in (item, other, item):
        params = {**fields.team(), "started_at": fields.free_day() + HOUR}
        visits.append(
            await _visit(fields, home, {**params, "photos": [{"picture": _shoot(fields, pages[home], 0.1)}, {}, {}]})
        )
    return visits


async def _courtyard(fields: Fields) -> list[UUID]:
    """Two households behind one gate, registered 55 metres apart by two hands; each visit stands at that gate first."""
    first, second = fields.homes(2)
    gate = fields.ground.homes[first]
    await _move(fields, second, gate, 45, 32)
    team, scene, visits = fields.team(), make_scene(fields.dice.getrandbits(30)), []
    for home in (first, second):
        params = {**team, "started_at": fields.free_day() + HOUR, **_fixes(fields, gate, 6)}
        visits.append(
            await _visit(fields, home, {**params, "photos": [{"picture": _shoot(fields, scene, 0.15)}, {}, {}]})
        )
    return visits


async def _clocks(fields: Fields) -> list[UUID]:
    """Phones whose clocks are one to four minutes off, and a camera's that is four minutes ahead."""
    team, at = fields.team(), fields.free_day() + HOUR
    off = fields.dice.choice([-1, 1]) * fields.dice.uniform(60, 240)
    await _set_clock(fields, team["author"], timedelta(seconds=off))
    taken = (at + 24 * MINUTE).isoformat()
    params = {**team, "started_at": at, "minutes": 20, "received_after": MINUTE}
    params["photos"] = [{"facts": {"capturedAt": taken}}, {}, {}]
    visits = [await _visit(fields, fields.homes(1)[0], params)]
    await _set_clock(fields, team["author"], timedelta())
    return visits


async def _rains(fields: Fields) -> list[UUID]:
    """Roads and masts gone for more than a week; then the forms come at once and the photos over the next days."""
    team, visits = fields.team(), []
    for home in fields.homes(3):
        params = {
            **team,
            "started_at": fields.free_day() + 2 * HOUR,
            "received_after": fields.dice.uniform(8, 12) * DAY,
        }
        params["photos"] = [{"after": fields.dice.uniform(20, 60) * HOUR} for _ in range(3)]
        visits.append(await _visit(fields, home, params))
    return visits


async def _stairway(fields: Fields) -> list[UUID]:
    """Five flats of one stairway within the hour, eleven minutes each: asked to be shown, and easily explained."""
    homes = fields.homes(5)
    block = fields.ground.homes[homes[0]]
    for n, home in enumerate(homes[1:], 1):
        await _move(fields, home, block, 0, 3.0 * n)
    team, at = fields.team(), fields.free_day() + HOUR
    return [
        await _visit(
            fields, home, {**team, "started_at": at + n * 12 * MINUTE, "minutes": 11, **_fixes(fields, block, 15)}
        )
        for n, home in enumerate(homes)
    ]


async def _newborn(fields: Fields) -> list[UUID]:
    """Somebody has left for work in the city since the last visit, and the form says so."""
    home = fields.homes(1, members=2)[0]
    first, *rest = fields.ground.homes[home].members
    others = [fields.ground.member(row) for row in rest]
    params = {**fields.team(), "started_at": fields.free_day() + HOUR}
    before = await _visit(fields, home, {**params, "answers": {"members": [fields.ground.member(first), *others]}})
    gone = {"members": [fields.ground.member(first, lives_here=False), *others], "members_changed": True}
    params = {**fields.team(), "started_at": fields.free_day() + HOUR, "answers": gone}
    return [before, await _visit(fields, home, params)]


def _shoot(fields: Fields, scene: Image.Image, unlike: float) -> Image.Image:
    """The scene photographed anew by hand: turned, nearer or farther, a little aside, in another light."""
    dice = fields.dice
    width, height = 1440, 1080
    around = tuple(dice.randint(60, 150) for _ in range(3))
    taken = Image.new("RGB", (width, height), around)
    turned = scene.rotate(dice.gauss(0, 1.5 * unlike), expand=True, fillcolor=around)
    size = 1.1 + dice.gauss(0, 0.03 * unlike)
    turned = turned.resize((round(turned.width * size), round(turned.height * size)))
    aside = [round(dice.gauss(0, 25 * unlike)) for _ in range(2)]
    taken.paste(turned, ((width - turned.width) // 2 + aside[0], (height - turned.height) // 2 + aside[1]))
    lit = np.asarray(ImageEnhance.Brightness(taken).enhance(1 + dice.gauss(0, 0.1 * unlike)), dtype=np.float32)
    shade = np.linspace(1 - dice.uniform(0, 0.25) * unlike, 1 + dice.uniform(0, 0.25) * unlike, width)
    noise = np.random.default_rng(dice.getrandbits(30)).normal(0, 4, lit.shape)
    return Image.fromarray((lit * shade[None, :, None] + noise).clip(0, 255).astype(np.uint8))


def _register_page(fields: Fields) -> Image.Image:
    """A page of a printed form, its headings the same for all, its entries of this family."""
    page = Image.new("RGB", (1200, 900), (245, 243, 232))
    draw = ImageDraw.Draw(page)
    rows, columns = range(60, 861, 80), (60, 250, 600, 800, 1140)
    for y in rows:
        draw.line((60, y, 1140, y), fill=(70, 60, 60), width=3)
    for x in columns:
        draw.line((x, 60, x, 860), fill=(70, 60, 60), width=3)
    for y, (n, (left, right)) in itertools.product(rows[:-1], enumerate(itertools.pairwise(columns))):
        is_heading = n % 2 == 0
        signs = 4 if is_heading else fields.dice.randint(2, 11)
        for k in range(min(signs, (right - left - 30) // 28)):
            for stroke in range(5):
                seed = y * 31 + n * 7 + k * 3 + stroke if is_heading else fields.dice.getrandbits(30)
                a, b, c, d = (seed * prime % 23 for prime in (3, 7, 11, 17))
                left_at, top = left + 10 + k * 28, y + 24
                draw.line((left_at + a, top + b, left_at + c, top + d), fill=(30, 30, 40), width=3)
    return page


SCENARIOS = (
    Scenario("an old phone in the hills, accuracy 80 m", _old_phone),
    Scenario("three flats of one stairway, the fix repeated for 20 s", _one_building),
    Scenario("a pair on one motorbike, each writes up one home", _motorbike),
    Scenario("next door by the partner's clock, 3.5 minutes behind", _next_door),
    Scenario("begun at dusk, before nine", _dusk),
    Scenario("the same wall a year later", _same_wall, frozenset({"photo.like_earlier"})),
    Scenario("an album and a register photographed again", _album, frozenset({"photo.like_earlier"})),
    Scenario("two households behind one gate", _courtyard, frozenset({"photo.near_duplicate"})),
    Scenario("clocks one to four minutes off", _clocks),
    Scenario("more than a week offline in the rains", _rains, frozenset({"visit.long_offline"})),
    Scenario("five flats of one stairway within the hour", _stairway, frozenset({"visit.burst"})),
    Scenario("somebody left, and the form says so", _newborn, frozenset({"answers.members_differ_from_register"})),
)
