"""Frauds near the limits, by people who know the rules: a little too far, a little too fast, a photo cut anew.

Of each kind two are planted: one that lies just beyond what the rule allows, which it has to find, and one just
within, which it has to leave alone, since an honest visit may look the same. Some have no limit to be beyond of: a
place that wanders by metres, a photo that was mirrored. What is found of those says how far the rules reach.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

from PIL import Image, ImageEnhance
from sqlalchemy import select

from server.core.location import Point, distance_m
from server.models.review import Finding
from server.policy.resolver import load_policy_values
from tests.makers.frauds import HOUR, MINUTE, Fields, Lie, Story, start_fields
from tests.makers.photos import make_scene
from tests.makers.visits import MORNING, Ground

METRES_PER_DEGREE = 111_195
# So far from the limit, in metres: less than any accuracy of a phone.
A_LITTLE_M = 10.0
Rules = dict[str, Any]
# Of how many of them the rule has to tell.
ALL, NONE = "all", "none"


class Trick(NamedTuple):
    """`plant` does it and returns the visits of which `code` should tell. `found`: whether it has to; None: who knows."""

    name: str
    code: str
    found: str | None
    plant: Callable[[Fields, Rules], Any]


class Caught(NamedTuple):
    name: str
    code: str
    must: str | None
    planted: int
    found: int


async def plant_tricks(ground: Ground, *, each: int, run_jobs: Callable[[], Any], seed: int = 2) -> list[Caught]:
    """Plant each trick so many times, let every job run, and tell how many visits were doubted for it."""
    fields = await start_fields(ground, seed)
    async with ground.services.sessions() as session:
        rules = await load_policy_values(session, ground.homes[0].area_code, MORNING.date())
    visits = {trick.name: [item for _ in range(each) for item in await trick.plant(fields, rules)] for trick in TRICKS}
    await run_jobs()
    async with ground.services.sessions() as session:
        rows = await session.execute(select(Finding.visit_id, Finding.code).where(Finding.superseded_at.is_(None)))
        raised: set[tuple[UUID, str]] = {(visit_id, code) for visit_id, code in rows}
    return [
        Caught(
            trick.name,
            trick.code,
            trick.found,
            len(visits[trick.name]),
            sum((visit, trick.code) in raised for visit in visits[trick.name]),
        )
        for trick in TRICKS
    ]


async def _visit(fields: Fields, home: int, result: Story) -> UUID:
    return await fields.visit(home, Lie({**fields.team(), **result}, frozenset()))


def _alone(result: Callable[[Fields, Rules, int, datetime], Story]) -> Callable[[Fields, Rules], Any]:
    async def plant(fields: Fields, rules: Rules) -> list[UUID]:
        home, at = fields.homes(1)[0], fields.free_day() + fields.dice.uniform(0, 6) * HOUR
        return [await _visit(fields, home, {"started_at": at, **result(fields, rules, home, at)})]

    return plant


def _off(fields: Fields, home: int, away_m: float, accuracy_m: float) -> Story:
    """A fix so far north or south of the home."""
    side = fields.dice.choice([-1, 1])
    there = fields.ground.homes[home]
    latitude = there.latitude + side * away_m / METRES_PER_DEGREE
    return {"latitude": latitude, "longitude": there.longitude, "accuracyM": accuracy_m}


def _from_home(beyond_m: float) -> Callable[[Fields, Rules], Any]:
    def story(fields: Fields, rules: Rules, home: int, at: datetime) -> Story:
        del at
        accuracy_m = fields.dice.choice([8.0, 25.0, 60.0])
        fix = _off(fields, home, rules["visit.home_radius_m"] + accuracy_m + beyond_m, accuracy_m)
        return {"start_fix": fix, "end_fix": {**fix, "latitude": fix["latitude"] + 1e-7}, "partner_fix": fix}

    return _alone(story)


def _partner(beyond_m: float) -> Callable[[Fields, Rules], Any]:
    def story(fields: Fields, rules: Rules, home: int, at: datetime) -> Story:
        del at
        away_m = rules["visit.partner_distance_m"] + 20.0 + beyond_m
        return {"start_fix": _off(fields, home, 0, 10.0), "partner_fix": _off(fields, home, away_m, 10.0)}

    return _alone(story)


def _travel(share: float) -> Callable[[Fields, Rules], Any]:
    """Between two ends of the county at so much of the greatest speed."""

    async def plant(fields: Fields, rules: Rules) -> list[UUID]:
        ends = sorted(range(len(fields.ground.homes)), key=lambda n: fields.ground.homes[n].latitude)
        first, second = fields.ground.homes[ends[0]], fields.ground.homes[ends[-1]]
        apart_m = distance_m(Point(first.latitude, first.longitude), Point(second.latitude, second.longitude))
        hours = (apart_m - 20) / 1000 / (rules["visit.fastest_kmh"] * share)
        team, at = fields.team(), fields.free_day()
        fixes = {"start_fix": {"accuracyM": 10.0}, "end_fix": {"accuracyM": 10.0}}
        for home, place in ((ends[0], first), (ends[-1], second)):
            for fix in fixes.values():
                fix |= {"latitude": place.latitude, "longitude": place.longitude}
            begin = at if home == ends[0] else at + 30 * MINUTE + timedelta(hours=hours)
            params = {**team, "started_at": begin, "minutes": 30, **{name: dict(fix) for name, fix in fixes.items()}}
            last = await _visit(fields, home, params)
        return [last]

    return plant


def _minutes(more: float) -> Callable[[Fields, Rules], Any]:
    return _alone(lambda fields, rules, home, at: {"minutes": rules["visit.shortest_min"] + more})


def _burst(share: float) -> Callable[[Fields, Rules], Any]:
    """One visit more than an hour may hold, begun within so much of it."""

    async def plant(fields: Fields, rules: Rules) -> list[UUID]:
        most, width = rules["visit.burst_most"], rules["visit.burst_minutes"] * share
        team, at = fields.team(), fields.free_day()
        return [
            await _visit(fields, home, {**team, "started_at": at + n * width / most * MINUTE, "minutes": 8.5})
            for n, home in enumerate(fields.homes(most + 1))
        ]

    return plant


def _overlap(more_min: float) -> Callable[[Fields, Rules], Any]:
    async def plant(fields: Fields, rules: Rules) -> list[UUID]:
        team, at = fields.team(), fields.free_day()
        second = at + (40 - rules["visit.overlap_min"] - more_min) * MINUTE
        return [
            await _visit(fields, home, {**team, "started_at": begin, "minutes": 40})
            for home, begin in zip(fields.homes(2), (at, second), strict=True)
        ]

    return plant


def _wandering(metres: float) -> Callable[[Fields, Rules], Any]:
    """A place set once by a tool and moved by a little for each of four homes, all visited from one spot."""

    async def plant(fields: Fields, rules: Rules) -> list[UUID]:
        del rules
        team, homes = fields.team(), fields.neighbours_apart()
        spot = fields.ground.homes[homes[0]]
        visits = []
        for home in homes:
            dice = fields.dice
            fix = {
                "latitude": spot.latitude + dice.uniform(-1, 1) * metres / METRES_PER_DEGREE,
                "longitude": spot.longitude + dice.uniform(-1, 1) * metres / METRES_PER_DEGREE,
                "accuracyM": round(dice.uniform(5, 15), 1),
            }
            params = {**team, "started_at": fields.free_day(), "start_fix": fix, "partner_fix": fix}
            visits.append(
                await _visit(fields, home, {**params, "end_fix": {**fix, "latitude": fix["latitude"] + 1e-6}})
            )
        return visits[1:]

    return plant


def _accuracies(figures: tuple[float, ...]) -> Callable[[Fields, Rules], Any]:
    """A tool that gives these accuracies in turn."""

    async def plant(fields: Fields, rules: Rules) -> list[UUID]:
        expected = rules["visit.same_accuracy_fixes"] // 2
        author, partner = fields.teams[1]
        for n in range(expected):
            fix = {"accuracyM": figures[n % len(figures)]}
            params = {"author": author, "partner": partner, "started_at": fields.free_day()}
            last = await _visit(fields, fields.homes(1)[0], {**params, "start_fix": fix, "end_fix": dict(fix)})
        return [last]

    return plant


def _photo(facts: Callable[[Rules, datetime], Story]) -> Callable[[Fields, Rules], Any]:
    return _alone(lambda fields, rules, home, at: {"photos": [{"facts": facts(rules, at)}, {}, {}]})


def _taken_early(more_min: float) -> Callable[[Fields, Rules], Any]:
    return _photo(
        lambda rules, at: {"capturedAt": (at - (rules["visit.photo_time_margin_min"] + more_min) * MINUTE).isoformat()}
    )


def _taken_away(beyond_m: float) -> Callable[[Fields, Rules], Any]:
    def story(fields: Fields, rules: Rules, home: int, at: datetime) -> Story:
        del at
        fix = _off(fields, home, 0, 10.0)
        place = _off(fields, home, rules["visit.photo_distance_m"] + 10 + beyond_m, 0)
        position = {"latitude": place["latitude"], "longitude": place["longitude"]}
        return {"start_fix": fix, "photos": [{"facts": {"position": position}}, {}, {}]}

    return _alone(story)


def _income(share: float) -> Callable[[Fields, Rules], Any]:
    """Found more than declared, by so much of what an area takes for a slip."""

    def story(fields: Fields, rules: Rules, home: int, at: datetime) -> Story:
        del home, at
        declared = fields.dice.randrange(400_000, 900_000, 10_000)
        slip = max(rules["income.differs_fen"], declared * rules["income.differs_percent"] / 100)
        row = {"kind": "wages", "declaredFen": declared, "foundFen": declared + round(slip * share), "note": ""}
        return {"answers": {"income": [{**row, "periodFrom": "2025-01", "periodTo": "2025-10"}]}}

    return _alone(story)


def _picture(change: Callable[[Image.Image], Image.Image]) -> Callable[[Fields, Rules], Any]:
    """A photo of one home's visit, changed, in another's."""

    async def plant(fields: Fields, rules: Rules) -> list[UUID]:
        del rules
        scene = make_scene(fields.dice.getrandbits(30))
        visits = [
            await _visit(fields, home, {"started_at": fields.free_day(), "photos": [{"picture": item}, {}, {}]})
            for home, item in zip(fields.homes(2), (scene, change(scene)), strict=True)
        ]
        return visits[1:]

    return plant


def _cut(share: float) -> Callable[[Image.Image], Image.Image]:
    def cut(item: Image.Image) -> Image.Image:
        width, height = item.size
        left, top = round(width * (1 - share) * 0.7), round(height * (1 - share) * 0.3)
        return item.crop((left, top, left + round(width * share), top + round(height * share)))

    return cut


def _shift(share: float) -> Callable[[Image.Image], Image.Image]:
    """The wall goes on: what is seen of it begins further right and ends further right."""

    def shift(item: Image.Image) -> Image.Image:
        width, height = item.size
        red, *_ = cast("tuple[int, ...]", item.getpixel((0, 0)))
        beside = make_scene(red)
        wide = Image.new("RGB", (width * 2, height))
        wide.paste(item, (0, 0))
        wide.paste(beside, (width, 0))
        left = round(width * share)
        return wide.crop((left, 0, left + width, height))

    return shift


def _turn(degrees: float) -> Callable[[Image.Image], Image.Image]:
    def turn(item: Image.Image) -> Image.Image:
        width, height = item.size
        edge = round(max(item.size) * 0.02 * degrees)
        return item.rotate(degrees, Image.Resampling.BICUBIC).crop((edge, edge, width - edge, height - edge))

    return turn


TRICKS = (
    Trick("fixes 10 m beyond radius and accuracy", "visit.far_from_home", ALL, _from_home(A_LITTLE_M)),
    Trick("fixes 10 m within radius and accuracy", "visit.far_from_home", NONE, _from_home(-A_LITTLE_M)),
    Trick("partner 10 m too far away", "visit.partners_apart", ALL, _partner(A_LITTLE_M)),
    Trick("partner 10 m less than too far away", "visit.partners_apart", NONE, _partner(-A_LITTLE_M)),
    Trick("travel at 105 % of the greatest speed", "visit.travelled_too_fast", ALL, _travel(1.05)),
    Trick("travel at 95 % of the greatest speed", "visit.travelled_too_fast", NONE, _travel(0.95)),
    Trick("half a minute too short", "visit.too_short", ALL, _minutes(-0.5)),
    Trick("half a minute more than too short", "visit.too_short", NONE, _minutes(0.5)),
    Trick("one visit too many in 97 % of an hour", "visit.burst", ALL, _burst(0.97)),
    Trick("one visit too many in 103 % of an hour", "visit.burst", NONE, _burst(1.03)),
    Trick("overlap half a minute beyond clocks", "visit.overlaps", ALL, _overlap(0.5)),
    Trick("overlap half a minute within clocks", "visit.overlaps", NONE, _overlap(-0.5)),
    Trick("photo taken 1 minute before the margin", "photo.time_off", ALL, _taken_early(1)),
    Trick("photo taken 1 minute within the margin", "photo.time_off", NONE, _taken_early(-1)),
    Trick("photo taken 10 m too far away", "photo.place_off", ALL, _taken_away(A_LITTLE_M)),
    Trick("photo taken 10 m less than too far away", "photo.place_off", NONE, _taken_away(-A_LITTLE_M)),
    Trick("income 5 % beyond a slip", "income.found_differs", ALL, _income(1.05)),
    Trick("income 5 % within a slip", "income.found_differs", NONE, _income(0.95)),
    Trick("one accuracy in all fixes", "visit.same_accuracy", ALL, _accuracies((12.5,))),
    Trick("two accuracies in turn", "visit.same_accuracy", None, _accuracies((12.5, 17.5))),
    Trick("one spot for two neighbours, moved by under 3 m", "visit.same_spot", None, _wandering(3)),
    Trick("one spot for two neighbours, moved by under 15 m", "visit.same_spot", None, _wandering(15)),
    Trick("photo made brighter", "photo.near_duplicate", ALL, _picture(lambda item: ImageEnhance.Brightness(item).enhance(1.3))),
    Trick("photo cut to 95 %", "photo.near_duplicate", ALL, _picture(_cut(0.95))),
    Trick("photo cut to 90 %", "photo.near_duplicate", ALL, _picture(_cut(0.9))),
    Trick("photo cut to 85 %", "photo.near_duplicate", ALL, _picture(_cut(0.85))),
    Trick("photo cut to 75 %", "photo.near_duplicate", None, _picture(_cut(0.75))),
    Trick("photo turned by 2 degrees", "photo.near_duplicate", None, _picture(_turn(2))),
    Trick("photo mirrored", "photo.near_duplicate", ALL,
          _picture(lambda item: item.transpose(Image.Transpose.FLIP_LEFT_RIGHT))),
    Trick("the same place from a little further right", "photo.near_duplicate", NONE, _picture(_shift(0.06))),
)  # fmt: skip
