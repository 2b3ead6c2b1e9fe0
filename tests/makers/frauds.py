"""A county whose frauds are known: honest days with all the untidiness of real ones, and lies of each kind among them.

`plant` writes it, has every visit examined as it arrives, and tells for each rule how often it was right and how
much it missed. What a lie brings with it is counted as true too, what it may bring as neither (`maybe`).
"""

import hashlib
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, select, update

from server.core.access import Caller, Grant, Role
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import CheckVisit
from server.core.location import Point, distance_m
from server.households.versions import keep_version
from server.models.cases import BankAccount, HouseholdVersion
from server.models.evidence import MismatchedUpload
from server.models.households import Household
from server.models.people import ResidentBinding, Staff, StaffRole, WechatUse
from server.models.review import Finding, SpotCheck
from server.models.visits import Visit
from server.review.checks.registry import CHECKS
from server.review.run_checks import check_visit
from server.spotchecks.teams import Team, assign_team
from tests.makers.identities import find_resident, give_wechat, make_resident, openid_of
from tests.makers.visits import MORNING, Ground

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# So many days back the county begins.
LONG_AGO = 1500
STRIPPED = "photo.without_camera_facts"
_DIFFERS = {"answers.members_differ_from_last_visit", "answers.disability_gone"}
Story = dict[str, Any]


class Lie(NamedTuple):
    """What is told of one visit, what doubts that earns, and which it may bring along."""

    story: Story
    truth: frozenset[str]
    maybe: frozenset[str] = frozenset()


class Score(NamedTuple):
    code: str
    planted: int
    found: int
    right: int
    wrong: int

    @property
    def recall(self) -> float | None:
        return self.found / self.planted if self.planted else None

    @property
    def precision(self) -> float | None:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None


class Fields:
    """Where and when the visits are: each team has its own homes and days, so that one lie spoils no other."""

    def __init__(self, ground: Ground, teams: list[tuple[str, str]], seed: int) -> None:
        self.ground, self.teams, self.dice = ground, teams, random.Random(seed)
        self.truth: dict[UUID, set[str]] = {}
        self.maybe: dict[UUID, set[str]] = {}

    def free_day(self) -> datetime:
        """Nine in the morning of a day on which nobody has been anywhere."""
        self.ground.days += 1
        assert self.ground.days < LONG_AGO, "the county has begun too late for so many days"
        return MORNING.replace(hour=1, minute=0) + (self.ground.days - LONG_AGO) * DAY

    def homes(self, number: int, *, members: int = 1) -> list[int]:
        """Neighbouring homes, so that the walk between them is one."""
        fit = [n for n, home in enumerate(self.ground.homes) if len(home.members) >= members]
        first = self.dice.randrange(len(fit) - number)
        return fit[first : first + number]

    def neighbours_apart(self) -> list[int]:
        """Two homes that each lie within the other's radius, so that no distance gives away from which one was seen."""
        places = [Point(home.latitude, home.longitude) for home in self.ground.homes]
        pairs = [
            [number, other]
            for number in range(len(places))
            for other in range(number + 1, min(number + 40, len(places)))
            if 80 < distance_m(places[number], places[other]) < 130
        ]
        return self.dice.choice(pairs)

    def team(self) -> Story:
        author, partner = self.dice.choice(self.teams)
        return {"author": author, "partner": partner}

    async def visit(self, home: int, lie: Lie) -> UUID:
        result, stripped = self.untidy(home, lie.story)
        visit_id = await self.ground.visit(home, **result)
        self.truth[visit_id] = set(lie.truth) | ({STRIPPED} if stripped else set())
        self.maybe[visit_id] = set(lie.maybe) | (_DIFFERS if home in self.ground.untrue else set())
        if "answers" in lie.story:
            self.ground.untrue.add(home)
        await check_visit(self.ground.services, CheckVisit(visit_id=visit_id))
        return visit_id

    def untidy(self, home: int, result: Story) -> tuple[Story, bool]:
        """What honest people's phones do: fixes that wander, photos without facts, clocks a minute off, days offline."""
        given = {"minutes": self.dice.uniform(10, 70), "received_after": self.dice.choice([MINUTE, 5 * HOUR, 5 * DAY])}
        given |= result
        household = self.ground.homes[home]
        for moment in ("start_fix", "end_fix", "partner_fix"):
            accuracy_m = self.dice.choice([5, 8, 12, 20, 35, 60]) * self.dice.uniform(0.8, 1.2)
            wander = accuracy_m / 111_000 / 2
            own = {
                "latitude": household.latitude + self.dice.gauss(0, wander),
                "longitude": household.longitude + self.dice.gauss(0, wander),
                "accuracyM": round(accuracy_m, 1),
            }
            given[moment] = own | (result.get(moment) or {})
        stripped = False
        if "photos" not in result:
            facts = [
                {"facts": {"exif": "none", "cameraModel": None}} if self.dice.random() < 0.5 else {} for _ in range(3)
            ]
            stripped = any(facts)
            given["photos"] = facts
        return given, stripped


async def plant(ground: Ground, *, honest: int, each: int, run_jobs: Callable[[], Any], seed: int = 1) -> list[Score]:
    """Write the county, let every job run, and score each rule."""
    fields = await start_fields(ground, seed)
    for _ in range(honest):
        await fields.visit(
            fields.homes(1)[0], Lie({**fields.team(), "started_at": _during_the_day(fields)}, frozenset())
        )
    for _ in range(each):
        for kind in _SINGLE:
            lie = kind(fields)
            members = 2 if "members" in lie.story.get("answers", {}) else 1
            home = lie.story.pop("home", None)
            await fields.visit(home if home is not None else fields.homes(1, members=members)[0], lie)
        for group in _GROUPS:
            await group(fields)
    await run_jobs()
    return await _score(fields)


async def start_fields(ground: Ground, seed: int) -> Fields:
    return Fields(ground, await _teams(ground), seed)


async def _teams(ground: Ground) -> list[tuple[str, str]]:
    async with ground.services.sessions() as session:
        logins = list(
            await session.scalars(
                select(Staff.login)
                .join(StaffRole, StaffRole.staff_id == Staff.id)
                .where(StaffRole.role == "caseworker")
                .order_by(Staff.login)
            )
        )
    return list(zip(logins[::2], logins[1::2], strict=False))


def _during_the_day(fields: Fields) -> datetime:
    return fields.free_day() + fields.dice.uniform(0, 11.5) * HOUR


def _make_home(
    code: str, result: Callable[[Fields, datetime], Story], *, maybe: tuple[str, ...] = ()
) -> Callable[[Fields], Lie]:
    def lie(fields: Fields) -> Lie:
        at = fields.free_day() + fields.dice.uniform(0, 6) * HOUR
        return Lie(
            {**fields.team(), "started_at": at, **result(fields, at)}, frozenset(code.split("+")), frozenset(maybe)
        )

    return lie


def _elsewhere(fields: Fields, at: datetime) -> Story:
    """Signed in from the village office, half a kilometre to five away; the partner with them."""
    del at
    home = fields.homes(1)[0]
    far = fields.ground.homes[home].latitude + fields.dice.choice([-1, 1]) * fields.dice.uniform(0.005, 0.05)
    place = {"latitude": far}
    return {"home": home, "start_fix": place, "end_fix": place | {"latitude": far + 2e-5}, "partner_fix": place}


def _partner_away(fields: Fields, at: datetime) -> Story:
    del at
    home = fields.homes(1)[0]
    away = fields.ground.homes[home].latitude + fields.dice.uniform(0.004, 0.05)
    return {"home": home, "partner_fix": {"latitude": away}}


def _income(fields: Fields, at: datetime) -> Story:
    del at
    declared = fields.dice.randrange(100_000, 500_000, 10_000)
    row = {"kind": "wages", "declaredFen": declared, "foundFen": round(declared * fields.dice.uniform(1.4, 4))}
    return {"answers": {"income": [{**row, "periodFrom": "2025-01", "periodTo": "2025-10", "note": ""}]}}


def _photo(**facts: Any) -> Story:
    return {"photos": [{"facts": facts}, {}, {}]}


def _hardware(fields: Fields) -> str:
    return f"lent-{fields.dice.getrandbits(40)}"


def _same_phone(fields: Fields, at: datetime) -> Story:
    del at
    item = {"hardware_id": _hardware(fields)}
    return {"device": dict(item), "partner_device": dict(item)}


def _member_lie(change: Callable[[Any], Story | None], **more: Any) -> Callable[[Fields, datetime], Story]:
    """The first member of whom the lie can be told, in a home of at least two."""

    def story(fields: Fields, at: datetime) -> Story:
        del at
        order = list(range(len(fields.ground.homes)))
        fields.dice.shuffle(order)
        for home in order:
            members = fields.ground.homes[home].members
            changes = [change(member) for member in members]
            if len(members) >= 2 and any(changes):
                place = next(n for n, change in enumerate(changes) if change)
                rows = [
                    fields.ground.member(member, **(changes[n] or {}) if n == place else {})
                    for n, member in enumerate(members)
                ]
                return {"home": home, "answers": {"members": rows, **more}}
        raise AssertionError("no home fits")

    return story


YEAR = {"periodFrom": "2024-11", "periodTo": "2025-10", "note": ""}
WAGES = [{"kind": "wages", "declaredFen": 1_200_000, "foundFen": 1_200_000, **YEAR}]

_SINGLE: list[Callable[[Fields], Lie]] = [
    _make_home("visit.far_from_home", _elsewhere),
    _make_home("visit.without_fix", lambda f, at: {"document": {"startFix": None, "noFixReason": "山谷里没有信号"}}),
    _make_home("visit.accuracy_doubtful", lambda f, at: {"start_fix": {"accuracyM": f.dice.choice([0, None])}}),
    _make_home("visit.partners_apart", _partner_away),
    _make_home("visit.too_short", lambda f, at: {"minutes": f.dice.uniform(1, 7.5)}),
    _make_home(
        "visit.at_night", lambda f, at: {"started_at": at.replace(hour=14, minute=0) + f.dice.uniform(0, 6) * HOUR}
    ),
    _make_home(
        "visit.clock_off",
        lambda f, at: {"device": {"clock_offset_ms": f.dice.choice([-1, 1]) * f.dice.randint(6, 300) * 60_000}},
    ),
    _make_home("visit.long_offline", lambda f, at: {"received_after": f.dice.uniform(7.2, 25) * DAY}),
    _make_home("visit.one_phone_for_two", _same_phone),
    _make_home("visit.time_implausible", lambda f, at: {"start_fix": {"capturedAt": "1970-01-01T08:00:00+08:00"}}),
    _make_home(
        "visit.times_inverted",
        lambda f, at: {"document": {"startedAt": (at + HOUR).isoformat(), "endedAt": at.isoformat()}},
    ),
    _make_home(
        "visit.reading_implausible", lambda f, at: {"end_fix": {"accuracyM": -1}}, maybe=("visit.accuracy_doubtful",)
    ),
    _make_home(
        "photo.time_implausible",
        lambda f, at: {"photos": [{"document": {"capturedAt": "2569-01-01T08:00:00+08:00"}}, {}, {}]},
    ),
    _make_home("visit.unordered_without_reason", lambda f, at: {"document": {"unorderedReason": " "}}),
    _make_home("visit.kind_needs_order", lambda f, at: {"kind": "complaint"}),
    _make_home("income.found_differs", _income),
    _make_home(
        "answers.school_and_job",
        _member_lie(
            lambda item: (
                {"school": "upper", "occupation": "employed", "monthly_earnings_fen": 100_000}
                if item.born_on.year < 2005
                else None
            ),
            income=WAGES,
        ),
    ),
    _make_home(
        "answers.labour_against_age",
        _member_lie(lambda item: {"labour": "minor"} if item.born_on.year < 2000 else None),
    ),
    _make_home(
        "answers.school_against_age",
        _member_lie(lambda item: {"school": "compulsory"} if item.born_on.year < 1990 else None),
    ),
    _make_home(
        "answers.earnings_against_income",
        _member_lie(
            lambda item: (
                {"occupation": "employed", "monthly_earnings_fen": 300_000} if item.born_on.year < 2005 else None
            ),
            income=WAGES,
        ),
    ),
    _make_home(
        "answers.members_differ_from_register",
        _member_lie(lambda item: {"lives_here": False}),
        maybe=("answers.members_differ_from_last_visit",),
    ),
    _make_home("photo.time_off", lambda f, at: _photo(capturedAt=(at - f.dice.uniform(2, 400) * HOUR).isoformat())),
    _make_home("photo.after_receipt+photo.time_off", lambda f, at: _photo(capturedAt=(at + 30 * DAY).isoformat())),
    _make_home("photo.place_off", lambda f, at: _photo(position={"latitude": 28.2, "longitude": 117.1})),
    _make_home("photo.abroad+photo.place_off", lambda f, at: _photo(position={"latitude": 43.46, "longitude": 11.88})),
    _make_home("photo.edited", lambda f, at: _photo(software=f.dice.choice(["Adobe Photoshop 27.1", "Snapseed 2.0"]))),
    _make_home("photo.like_a_screenshot", lambda f, at: _photo(width=1080, height=2400, cameraModel=None, exif="read")),
    _make_home("photo.too_few", lambda f, at: {"photos": [{}]}),
    _make_home("photo.not_listed", lambda f, at: {"answers": {"photo_outside": [str(new_id())]}}),
    _make_home("photo.late", lambda f, at: {"photos": [{"after": f.dice.uniform(3.2, 9) * DAY}, {}, {}]}),
    _make_home(
        "photo.refused", lambda f, at: {"photos": [{"state": "refused", "refused_code": "photo.truncated"}, {}, {}]}
    ),
    _make_home(
        "signature.twice",
        lambda f, at: {"photos": [{}, {}, {}], "signatures": [{"photo": 0, "name": "甲"}, {"photo": 0, "name": "乙"}]},
    ),
]


async def _copied_place(fields: Fields) -> None:
    """A virtual location set once and used on two days."""
    home = fields.homes(1)[0]
    place = {"latitude": fields.ground.homes[home].latitude + 1.1e-5, "longitude": fields.ground.homes[home].longitude}
    for _ in range(2):
        params = {**fields.team(), "started_at": fields.free_day(), "start_fix": place}
        await fields.visit(home, Lie(params, frozenset({"visit.same_coordinates"})))


async def _flown(fields: Fields) -> None:
    """Five minutes between homes at two ends of the county."""
    homes = sorted(range(len(fields.ground.homes)), key=lambda n: fields.ground.homes[n].latitude)
    team, at = fields.team(), fields.free_day()
    await fields.visit(homes[0], Lie({**team, "started_at": at, "minutes": 30}, frozenset()))
    params = {**team, "started_at": at + 33 * MINUTE, "minutes": 30}
    await fields.visit(homes[-1], Lie(params, frozenset({"visit.travelled_too_fast"})))


async def _at_one_time(fields: Fields) -> None:
    team, at = fields.team(), fields.free_day()
    for n, home in enumerate(fields.homes(2)):
        params = {**team, "started_at": at + n * fields.dice.uniform(5, 25) * MINUTE, "minutes": 40}
        lie = Lie(params, frozenset({"visit.overlaps"}), frozenset({"visit.travelled_too_fast"}))
        await fields.visit(home, lie)


async def _in_a_burst(fields: Fields) -> None:
    team, at = fields.team(), fields.free_day()
    for n, home in enumerate(fields.homes(5)):
        params = {**team, "started_at": at + n * 12 * MINUTE, "minutes": 8.5}
        await fields.visit(home, Lie(params, frozenset({"visit.burst"}), frozenset({"visit.travelled_too_fast"})))


async def _lent_phone(fields: Fields) -> None:
    """Three who sign in on one phone: from the second on it shows."""
    device = {"hardware_id": _hardware(fields)}
    for n, (author, partner) in enumerate(fields.dice.sample(fields.teams, 3)):
        params = {"author": author, "partner": partner, "started_at": fields.free_day(), "device": dict(device)}
        truth = {"visit.phone_shared"} if n else set()
        await fields.visit(fields.homes(1)[0], Lie(params, frozenset(truth), frozenset({"visit.phone_shared"} - truth)))


async def _one_accuracy(fields: Fields) -> None:
    """A tool that sets the place leaves one accuracy; ten fixes show it."""
    author, partner = fields.teams[0][1], fields.teams[-1][0]
    accuracy = {"accuracyM": round(fields.dice.uniform(5, 40), 1)}
    for n in range(6):
        params = {"author": author, "partner": partner, "started_at": fields.free_day()}
        params |= {"start_fix": accuracy, "end_fix": accuracy}
        truth = frozenset({"visit.same_accuracy"}) if n >= 4 else frozenset()
        await fields.visit(fields.homes(1)[0], Lie(params, truth))


async def _never_a_change(fields: Fields) -> None:
    """Every member of every home as the last time; the fifth visit in a row shows it."""
    author, partner = fields.teams[1]
    for n in range(6):
        home = fields.homes(1)[0]
        rows = [{"questionId": "members", "memberId": str(item.id)} for item in fields.ground.homes[home].members]
        params = {
            "author": author,
            "partner": partner,
            "started_at": fields.free_day(),
            "document": {"unchanged": rows},
        }
        truth = frozenset({"answers.always_unchanged"}) if n >= 4 else frozenset()
        await fields.visit(home, Lie(params, truth))


async def _again_the_photo(fields: Fields) -> None:
    sha256 = hashlib.sha256(str(fields.dice.getrandbits(60)).encode()).hexdigest()
    for n in range(2):
        photos: list[Story] = [{"sha256": sha256, "known": n > 0}, {}, {}]
        params = {**fields.team(), "started_at": fields.free_day(), "photos": photos}
        lie = Lie(params, frozenset({"photo.reused"}), frozenset({"photo.time_off"}))
        await fields.visit(fields.homes(1)[0], lie)


async def _nearly_the_photo(fields: Fields) -> None:
    """The same scene saved anew: some bits of the fingerprint differ; a photo of another day differs in many more."""
    bits = [fields.dice.getrandbits(1) for _ in range(256)]
    flipped = (0, True), (fields.dice.randint(4, 28), True), (fields.dice.randint(48, 70), False)
    for home, (some, truth) in zip(fields.homes(3), flipped, strict=True):
        await _with_photo(fields, home, _flip(fields, bits, some), {"photo.near_duplicate"} if truth else set())


async def _last_years_photo(fields: Fields) -> None:
    """The photo of the visit before to the same home, saved anew."""
    bits, home = [fields.dice.getrandbits(1) for _ in range(256)], fields.homes(1)[0]
    for some in (0, fields.dice.randint(4, 28)):
        await _with_photo(fields, home, _flip(fields, bits, some), {"photo.like_earlier"})


async def _with_photo(fields: Fields, home: int, bits: str, truth: set[str]) -> None:
    params = {**fields.team(), "started_at": fields.free_day(), "photos": [{"bits": bits}, {}, {}]}
    await fields.visit(home, Lie(params, frozenset(truth)))


def _flip(fields: Fields, bits: list[int], some: int) -> str:
    places = set(fields.dice.sample(range(256), some))
    return "".join(str(bit ^ (place in places)) for place, bit in enumerate(bits))


async def _disability_gone(fields: Fields) -> None:
    home = fields.homes(1)[0]
    first, *rest = fields.ground.homes[home].members
    others = [fields.ground.member(row) for row in rest]
    for health, truth in (("disabled_severe", False), ("healthy", True)):
        params = {**fields.team(), "started_at": fields.free_day()}
        params["answers"] = {"members": [fields.ground.member(first, health=health), *others]}
        lie = Lie(
            params, frozenset({"answers.disability_gone"} if truth else ()), frozenset({"answers.disability_gone"})
        )
        await fields.visit(home, lie)


async def _somebody_left(fields: Fields) -> None:
    home = fields.homes(1, members=2)[0]
    first, *rest = fields.ground.homes[home].members
    others = [fields.ground.member(row) for row in rest]
    params = {
        **fields.team(),
        "started_at": fields.free_day(),
        "answers": {"members": [fields.ground.member(first), *others]},
    }
    await fields.visit(
        home, Lie(params, frozenset(), frozenset({"answers.disability_gone", "answers.members_differ_from_last_visit"}))
    )
    gone = [fields.ground.member(first, lives_here=False), *others]
    params = {**fields.team(), "started_at": fields.free_day(), "answers": {"members": gone}}
    codes = frozenset({"answers.members_differ_from_last_visit", "answers.members_differ_from_register"})
    await fields.visit(home, Lie(params, codes, frozenset({"answers.disability_gone"})))


async def _declared_relative(fields: Fields) -> None:
    home = fields.homes(1)[0]
    async with open_session(fields.ground.services.sessions) as session:
        mine = Household.id == fields.ground.homes[home].id
        await session.execute(update(Household).where(mine).values(relative_on_staff=True))
    params = {**fields.team(), "started_at": fields.free_day()}
    await fields.visit(home, Lie(params, frozenset({"visit.relative_on_staff"})))
    async with open_session(fields.ground.services.sessions) as session:
        await session.execute(update(Household).where(mine).values(relative_on_staff=False))


async def _speaks_for_a_family(fields: Fields) -> None:
    """While the account is bound, and not a day longer."""
    team, home = fields.team(), fields.homes(1)[0]
    async with open_session(fields.ground.services.sessions) as session:
        worker = await session.get_one(Staff, fields.ground.staff[team["author"]])
        openid = await openid_of(session, worker)
        if openid is None:
            openid = f"o{new_id()}"
            await give_wechat(session, worker, openid)
        resident = await find_resident(session, openid) or await make_resident(session, openid)
        household = fields.ground.homes[home]
        binding = ResidentBinding(
            id=new_id(), resident_id=resident.id, household_id=household.id, member_id=household.members[0].id
        )
        session.add(binding)
    params = {**team, "started_at": fields.free_day()}
    await fields.visit(home, Lie(params, frozenset({"visit.wechat_also_resident"})))
    async with open_session(fields.ground.services.sessions) as session:
        (await session.get_one(ResidentBinding, binding.id)).ended_at = params["started_at"] + DAY / 2


async def _lent_account(fields: Fields) -> None:
    """One WeChat account that two workers came by; what either makes then is doubted."""
    item, other = fields.dice.sample(fields.teams, 2)
    people = [fields.ground.staff[team[0]] for team in (item, other)]
    async with open_session(fields.ground.services.sessions) as session:
        at, openid = fields.free_day(), f"o{new_id()}"
        session.add_all(WechatUse(openid=openid, staff_id=person, used_at=at) for person in people)
    for author, partner in (item, other):
        params = {"author": author, "partner": partner, "started_at": fields.free_day()}
        await fields.visit(fields.homes(1)[0], Lie(params, frozenset({"visit.wechat_shared"})))
    async with open_session(fields.ground.services.sessions) as session:
        await session.execute(delete(WechatUse).where(WechatUse.openid == openid))


async def _relative_kept_quiet(fields: Fields) -> None:
    """The family names a relative on the staff; nobody has put it on file, nor ordered the first visit."""
    params = {**fields.team(), "started_at": fields.free_day(), "answers": {"staff_relative": True}}
    params |= {"kind": "intake", "checklist": "intake_standard"}
    await fields.visit(
        fields.homes(1)[0], Lie(params, frozenset({"visit.relative_not_declared", "visit.kind_needs_order"}))
    )


async def _made_up_answers(fields: Fields) -> None:
    """Savings that a second team, sent without a word of the first, finds to be others. The order is a supervisor's."""
    (author, partner), (again, other) = fields.dice.sample(fields.teams, 2)
    home, ground = fields.homes(1)[0], fields.ground
    params = {
        "author": author,
        "partner": partner,
        "started_at": fields.free_day(),
        "answers": {"savings_fen": 100_000},
    }
    first = await fields.visit(home, Lie(params, frozenset({"visit.differs_at_spot_check"})))
    async with open_session(ground.services.sessions) as session:
        check = SpotCheck(id=new_id(), visit_id=first, why="ordered", stratum="", state="drawn",
                          area_code=ground.homes[home].area_code)  # fmt: skip
        session.add(check)
        await session.flush()
        supervisor = Caller(
            id=ground.staff["zhuyanhui"], name="", device_id=new_id(), grants=(Grant(Role.SUPERVISOR, "339901"),)
        )
        team = Team(staff_id=ground.staff[again], partner_id=ground.staff[other], due_on=MORNING.date())
        assignment = await assign_team(session, supervisor, check.id, team, MORNING)
    params = {"author": again, "partner": other, "started_at": fields.free_day(), "answers": {"savings_fen": 2_000_000}}
    params |= {"kind": "spot_check", "checklist": "again_review_standard", "assignment_id": assignment}
    await fields.visit(home, Lie(params, frozenset()))


async def _one_spot_for_two(fields: Fields) -> None:
    """Signed in for a home from its neighbour's, a metre or two beside where one stood before."""
    team, homes = fields.team(), fields.neighbours_apart()
    spot = fields.ground.homes[homes[0]]
    for n, home in enumerate(homes):
        fix = {"latitude": spot.latitude + n * 1e-5, "longitude": spot.longitude, "accuracyM": 8.0 + n}
        end = {**fix, "latitude": fix["latitude"] + 2e-6}
        params = {**team, "started_at": fields.free_day(), "start_fix": fix, "end_fix": end}
        await fields.visit(home, Lie(params, frozenset({"visit.same_spot"})))


async def _came_after_reassignment(fields: Fields) -> None:
    await _marked(fields, "visit.late_after_reassignment")


async def _from_paper(fields: Fields) -> None:
    await _marked(fields, "visit.from_paper")


async def _other_bytes(fields: Fields) -> None:
    await _marked(fields, "photo.swapped")


async def _marked(fields: Fields, code: str) -> None:
    """What the way in has noted on the visit before it is examined."""
    visit_id = await fields.visit(
        fields.homes(1)[0], Lie({**fields.team(), "started_at": fields.free_day()}, frozenset({code}))
    )
    async with open_session(fields.ground.services.sessions) as session:
        visit = await session.get_one(Visit, visit_id)
        if code == "visit.late_after_reassignment":
            visit.late_after_reassignment = True
        elif code == "visit.from_paper":
            visit.typed_by = visit.author_id
        else:
            evidence_id = UUID(visit.document["photos"][0]["id"])
            session.add(
                MismatchedUpload(
                    id=new_id(), evidence_id=evidence_id, sha256="f" * 64, size_bytes=9, device_id=visit.device_id
                )
            )
    await check_visit(fields.ground.services, CheckVisit(visit_id=visit_id))


async def _account_of_another(fields: Fields) -> None:
    home = fields.homes(1)[0]
    async with open_session(fields.ground.services.sessions) as session:
        row = BankAccount(
            household_id=fields.ground.homes[home].id,
            holder_name="外人甲",
            bank_name="砚州农商行",
            card_sealed=fields.ground.services.encryption.seal("bank_account.card", fields.ground.homes[home].id, "0"),
            card_mask="0",
        )
        session.add(row)
    params = {**fields.team(), "started_at": fields.free_day()}
    await fields.visit(home, Lie(params, frozenset({"household.account_of_another"})))
    async with open_session(fields.ground.services.sessions) as session:
        await session.execute(delete(BankAccount).where(BankAccount.household_id == fields.ground.homes[home].id))


async def _changed_meanwhile(fields: Fields) -> None:
    """The phone carried the household as it was before the desk changed it."""
    home = fields.homes(1)[0]
    household = fields.ground.homes[home]
    params = {**fields.team(), "started_at": fields.free_day()}
    visit_id = await fields.visit(home, Lie(params, frozenset({"visit.household_changed"})))
    async with open_session(fields.ground.services.sessions) as session:
        visit = await session.get_one(Visit, visit_id)
        stored = await session.get_one(Household, household.id)
        await keep_version(session, None, stored, "变更", visit.received_at)
        visit.household_version = await session.scalar(
            select(func.max(HouseholdVersion.version)).where(HouseholdVersion.household_id == household.id)
        )
    await check_visit(fields.ground.services, CheckVisit(visit_id=visit_id))


_GROUPS = [
    _account_of_another,
    _changed_meanwhile,
    _copied_place,
    _flown,
    _at_one_time,
    _in_a_burst,
    _lent_phone,
    _one_accuracy,
    _never_a_change,
    _again_the_photo,
    _nearly_the_photo,
    _last_years_photo,
    _disability_gone,
    _somebody_left,
    _declared_relative,
    _speaks_for_a_family,
    _lent_account,
    _relative_kept_quiet,
    _made_up_answers,
    _one_spot_for_two,
    _came_after_reassignment,
    _from_paper,
    _other_bytes,
]


async def _score(fields: Fields) -> list[Score]:
    async with fields.ground.services.sessions() as session:
        rows = await session.execute(select(Finding.visit_id, Finding.code).where(Finding.superseded_at.is_(None)))
        raised = {(visit_id, code) for visit_id, code in rows if visit_id in fields.truth}
    return list(_scores(fields, raised))


def _scores(fields: Fields, raised: set[tuple[UUID, str]]) -> Iterator[Score]:
    for rule in CHECKS:
        true = {(visit, rule.code) for visit, codes in fields.truth.items() if rule.code in codes}
        open_ = {(visit, rule.code) for visit, codes in fields.maybe.items() if rule.code in codes}
        said = {item for item in raised if item[1] == rule.code}
        yield Score(rule.code, len(true), len(true & said), len(said & true), len(said - true - open_))
