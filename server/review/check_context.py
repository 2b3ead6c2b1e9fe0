"""All that the rules may look at when they doubt a visit, read once in a fixed number of queries."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Float, Select, Uuid, and_, bindparam, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.core.location import Fix, Point
from server.models.checklists import ChecklistTemplate
from server.models.evidence import Evidence, MismatchedUpload, Photo
from server.models.households import Household, HouseholdMember
from server.models.people import Device, Resident, ResidentBinding, Staff, WechatUse
from server.models.review import SeenFix, SpotCheck
from server.models.visits import Attestation, Visit, VisitInvestigator
from server.photos.near_duplicates import NearDuplicate, find_near_duplicates
from server.policy.resolver import policy_values
from server.visits.answers import read_asked_answers

CHINA = ZoneInfo("Asia/Shanghai")
# Of other visits that a rule compares with, so many at most: a doubt needs examples, not the whole list.
MOST_OTHERS = 20
# Under this quality a fingerprint says nothing (a blank wall): the threshold of PDQ's authors.
LEAST_QUALITY = 50
# Of latitude: the length of a meridian's degree, to a few tenths of a percent.
METRES_PER_DEGREE = 111_195


class PhotoView(NamedTuple):
    evidence: Evidence
    facts: dict[str, Any]
    # Other visits whose manifests announce the very same bytes, as (visit, household).
    used_elsewhere: list[tuple[UUID, UUID]]
    mismatches: int
    near_duplicates: Sequence[NearDuplicate] = ()
    # One colour around the picture, as a screenshot has.
    has_frame: bool = False

    @property
    def taken_at(self) -> datetime | None:
        """When the camera says: with its own zone, else by satellite, else its bare clock as China's time.

        Phones here run on China's time, and a doubt is put before a person with its `taken_at_source`.
        """
        if told := self.facts.get("capturedAt"):
            return datetime.fromisoformat(told)
        local = self.facts.get("capturedLocal")
        return datetime.fromisoformat(local).replace(tzinfo=CHINA) if local else None

    @property
    def taken_at_source(self) -> str | None:
        """`offset`, `gps` or `local_clock`; None when the camera says no time."""
        if self.taken_at is None:
            return None
        source: str = self.facts.get("capturedAtSource") or "local_clock"
        return source

    @property
    def place(self) -> Point | None:
        position = self.facts.get("position")
        return Point(position["latitude"], position["longitude"]) if position else None


class NotRead(list[PhotoView]):
    """In the place of photos that nobody said they would look at: a rule that does is caught."""

    def __iter__(self) -> Iterator[PhotoView]:
        raise LookupError("this rule looks at photos, and its row does not say so")

    def __len__(self) -> int:
        raise LookupError("this rule counts photos, and its row does not say so")


class SpotView(NamedTuple):
    """A fix of the author's at another home, and where that home is registered."""

    fix: SeenFix
    home: Fix


class Journey(NamedTuple):
    """Of one investigator: where their phone was last before this visit, and where it first was in it."""

    before: SeenFix
    here: SeenFix


class CheckContext(NamedTuple):
    visit: Visit
    household: Household
    members: list[HouseholdMember]
    home: Fix | None
    start: Fix | None
    end: Fix | None
    photos: list[PhotoView]
    attestations: list[Attestation]
    devices: dict[UUID, Device]
    # The author's first.
    journeys: list[Journey]
    # Visits that name one of the same investigators, begun within a day of this one.
    nearby: list[Visit]
    # How far the clocks of their phones were ahead of the server's when they last told.
    clocks: dict[UUID, timedelta]
    # Fixes of other visits with the very same coordinates.
    same_place: list[SeenFix]
    # Fixes of the author's at other homes, within a few metres of one of this visit's.
    same_spot: list[SpotView]
    # The author's latest fixes up to this visit's, newest first, these included.
    author_fixes: list[SeenFix]
    # Other staff signed in on the author's phone lately, and investigators whose WeChat is bound as a resident.
    others_on_phone: list[UUID]
    residents_too: list[UUID]
    # Who lately came by a WeChat account that an investigator came by too, they included; empty: each has their own.
    on_one_wechat: list[UUID]
    answers: dict[str, Any]
    # The visit to this home that was begun last before this one, and its answers.
    last_visit: Visit | None
    last_answers: dict[str, Any]
    spot_check: SpotCheck | None
    rules: dict[str, Any]

    def rule(self, key: str) -> Any:
        return self.rules[key]

    def clock_off(self, visit: Visit) -> timedelta:
        return self.clocks.get(visit.device_id, timedelta())


async def load_check_context(session: AsyncSession, visit: Visit, *, with_photos: bool = True) -> CheckContext:
    """Reads what `remember` wrote of this visit too, so that comes first. Photos are the dearest part of it."""
    household = await session.get_one(Household, visit.household_id)
    rules = await policy_values(session, visit.area_code, visited_on(visit))
    members = list(
        await session.scalars(
            select(HouseholdMember)
            .where(HouseholdMember.household_id == household.id)
            .order_by(HouseholdMember.position)
        )
    )
    attestations = list(await session.scalars(select(Attestation).where(Attestation.visit_id == visit.id)))
    devices = await session.scalars(
        select(Device).where(Device.id.in_({visit.device_id, *(one.device_id for one in attestations)}))
    )
    own_devices = {one.id: one for one in devices}
    last_visit = await _last_visit(session, visit)
    nearby = await _nearby(session, visit)
    return CheckContext(
        visit=visit,
        household=household,
        members=members,
        home=_home(household, visit),
        start=read_fix(visit.document.get("startFix")),
        end=read_fix(visit.document.get("endFix")),
        photos=await _photos(session, visit, rules) if with_photos else NotRead(),
        attestations=attestations,
        devices=own_devices,
        journeys=await _journeys(session, visit),
        nearby=[one for one, _ in nearby],
        clocks=_clocks(nearby, own_devices.values()),
        same_place=await _same_place(session, visit),
        same_spot=await _same_spot(session, visit, rules["visit.same_spot_m"]),
        author_fixes=await _author_fixes(session, visit, rules["visit.same_accuracy_fixes"]),
        others_on_phone=await _others_on_phone(session, visit, own_devices, rules["visit.shared_phone_days"]),
        residents_too=await _residents_too(session, visit),
        on_one_wechat=await _on_one_wechat(session, visit, rules["visit.shared_phone_days"]),
        answers=await _answers(session, visit, household, members),
        last_visit=last_visit,
        last_answers=await _answers(session, last_visit, household, members) if last_visit else {},
        spot_check=await _compared_spot_check(session, visit),
        rules=rules,
    )


def visited_on(visit: Visit) -> date:
    """The day whose rules hold for a visit."""
    return (visit.started_at or visit.received_at).astimezone(CHINA).date()


def read_fix(told: dict[str, Any] | None) -> Fix | None:
    return msgspec.convert(told, Fix) if told else None


def _home(household: Household, visit: Visit) -> Fix | None:
    if household.latitude is None or household.longitude is None:
        return None
    return Fix(
        latitude=household.latitude,
        longitude=household.longitude,
        datum=household.datum,  # type: ignore[arg-type]  # one of the three by constraint
        captured_at=visit.received_at,
    )


async def _photos(session: AsyncSession, visit: Visit, rules: dict[str, Any]) -> list[PhotoView]:
    listed = [UUID(one["id"]) for one in visit.document.get("photos", [])]
    rows = await session.execute(
        select(Evidence, Photo.facts, Photo.inside_fingerprint.is_not(None))
        .outerjoin(Photo, Photo.sha256 == Evidence.sha256)
        .where(Evidence.id.in_(listed), Evidence.visit_id == visit.id)
        .order_by(Evidence.id)
    )
    pairs = rows.all()
    elsewhere = await _used_elsewhere(session, visit, [one.sha256 for one, *_ in pairs])
    alike = await find_near_duplicates(session, visit, rules["photo.near_duplicate_bits"])
    mismatched = list(
        await session.scalars(select(MismatchedUpload.evidence_id).where(MismatchedUpload.evidence_id.in_(listed)))
    )
    return [
        PhotoView(
            one, facts or {}, elsewhere.get(one.sha256, []), mismatched.count(one.id), alike.get(one.id, []), has_frame
        )
        for one, facts, has_frame in pairs
    ]


async def _used_elsewhere(session: AsyncSession, visit: Visit, hashes: list[str]) -> dict[str, list[tuple[UUID, UUID]]]:
    rows = await session.execute(
        select(Evidence.sha256, Visit.id, Visit.household_id)
        .distinct()
        .join(Visit, Visit.id == Evidence.visit_id)
        .where(Evidence.sha256.in_(hashes), Visit.id != visit.id, Visit.submitted_at.is_not(None))
        .order_by(Visit.id)
        .limit(MOST_OTHERS)
    )
    uses: dict[str, list[tuple[UUID, UUID]]] = {}
    for sha256, visit_id, household_id in rows:
        uses.setdefault(sha256, []).append((visit_id, household_id))
    return uses


async def _journeys(session: AsyncSession, visit: Visit) -> list[Journey]:
    rows = await session.execute(_JOURNEYS, {"visit": visit.id, "author": visit.author_id})
    return [Journey(*one) for one in rows]


def _select_journeys() -> Select[SeenFix, SeenFix]:
    """Made once, as making it takes longer than asking."""
    here = aliased(SeenFix)
    last = (
        select(SeenFix)
        .where(
            SeenFix.staff_id == here.staff_id,
            SeenFix.captured_at <= here.captured_at,
            SeenFix.visit_id != bindparam("visit"),
        )
        .order_by(SeenFix.captured_at.desc())
        .limit(1)
        .lateral()
    )
    return (
        select(aliased(SeenFix, last), here)
        .join(last, true())
        .where(here.visit_id == bindparam("visit"), here.moment != "end")
        .order_by(here.staff_id != bindparam("author"), here.staff_id)
    )


_JOURNEYS = _select_journeys()


async def _nearby(session: AsyncSession, visit: Visit) -> list[tuple[Visit, int | None]]:
    """With the clock of the phone that each was made on."""
    if visit.started_at is None:
        return []
    people = select(VisitInvestigator.staff_id).where(VisitInvestigator.visit_id == visit.id)
    shared = select(VisitInvestigator.visit_id).where(VisitInvestigator.staff_id.in_(people))
    day = timedelta(days=1)
    rows = await session.execute(
        select(Visit, Device.clock_offset_ms)
        .join(Device, Device.id == Visit.device_id)
        .where(
            Visit.id.in_(shared),
            Visit.id != visit.id,
            Visit.submitted_at.is_not(None),
            Visit.started_at.between(visit.started_at - day, visit.started_at + day),
        )
        .order_by(Visit.started_at, Visit.id)
        .limit(200)
    )
    return [(one, offset_ms) for one, offset_ms in rows]


def _clocks(nearby: list[tuple[Visit, int | None]], own: Iterable[Device]) -> dict[UUID, timedelta]:
    told = {one.device_id: offset_ms for one, offset_ms in nearby} | {one.id: one.clock_offset_ms for one in own}
    return {device_id: timedelta(milliseconds=offset_ms) for device_id, offset_ms in told.items() if offset_ms}


async def _same_place(session: AsyncSession, visit: Visit) -> list[SeenFix]:
    own = select(SeenFix.latitude, SeenFix.longitude).where(SeenFix.visit_id == visit.id)
    return list(
        await session.scalars(
            select(SeenFix)
            .where(tuple_(SeenFix.latitude, SeenFix.longitude).in_(own), SeenFix.visit_id != visit.id)
            .order_by(SeenFix.captured_at.desc(), SeenFix.visit_id)
            .limit(MOST_OTHERS)
        )
    )


async def _same_spot(session: AsyncSession, visit: Visit, within_m: float) -> list[SpotView]:
    told = {"visit": visit.id, "author": visit.author_id, "home": visit.household_id, "within_m": within_m}
    found = [(one, _home(household, visit)) for one, household in await session.execute(_SAME_SPOT, told)]
    return [SpotView(one, home) for one, home in found if home is not None]


def _select_same_spot() -> Select[SeenFix, Household]:
    """A square of so many metres each way, in one datum; the very same coordinates are another doubt."""
    own, other = aliased(SeenFix), SeenFix
    author: Any = bindparam("author", type_=Uuid)
    high = bindparam("within_m", type_=Float) / METRES_PER_DEGREE
    wide = high / func.cos(func.radians(own.latitude))
    return (
        select(other, Household)
        .join(own, and_(own.visit_id == bindparam("visit"), own.staff_id == author, own.datum == other.datum))
        .join(Household, Household.id == other.household_id)
        .where(
            other.latitude.between(own.latitude - high, own.latitude + high),
            other.longitude.between(own.longitude - wide, own.longitude + wide),
            or_(other.latitude != own.latitude, other.longitude != own.longitude),
            other.staff_id == author,
            other.household_id != bindparam("home"),
            Household.latitude.is_not(None),
            Household.longitude.is_not(None),
        )
        .order_by(other.captured_at.desc(), other.visit_id, other.moment)
        .limit(MOST_OTHERS)
    )


_SAME_SPOT = _select_same_spot()


async def _author_fixes(session: AsyncSession, visit: Visit, count: int) -> list[SeenFix]:
    if visit.ended_at is None:
        return []
    return list(
        await session.scalars(
            select(SeenFix)
            .where(SeenFix.staff_id == visit.author_id, SeenFix.captured_at <= visit.ended_at)
            .order_by(SeenFix.captured_at.desc())
            .limit(count)
        )
    )


async def _others_on_phone(session: AsyncSession, visit: Visit, devices: dict[UUID, Device], days: int) -> list[UUID]:
    own = devices.get(visit.device_id)
    if own is None or own.hardware_id is None:
        return []
    since = visit.received_at - timedelta(days=days)
    return list(
        await session.scalars(
            select(Device.staff_id)
            .distinct()
            .where(
                Device.hardware_id == own.hardware_id,
                Device.staff_id.is_not(None),
                Device.staff_id != visit.author_id,
                or_(Device.created_at >= since, Device.last_seen_at >= since),
            )
            .order_by(Device.staff_id)
        )
    )


async def _on_one_wechat(session: AsyncSession, visit: Visit, days: int) -> list[UUID]:
    own, other = aliased(WechatUse), aliased(WechatUse)
    since = visit.received_at - timedelta(days=days)
    rows = await session.execute(
        select(own.staff_id, other.staff_id)
        .join(other, (other.openid == own.openid) & (other.staff_id != own.staff_id))
        .join(VisitInvestigator, VisitInvestigator.staff_id == own.staff_id)
        .where(VisitInvestigator.visit_id == visit.id, own.used_at >= since, other.used_at >= since)
    )
    return sorted({person for pair in rows for person in pair})


async def _residents_too(session: AsyncSession, visit: Visit) -> list[UUID]:
    """Whose account is bound, or was when the visit began: a resident ends a binding at will."""
    since = visit.started_at or visit.received_at
    was_bound = or_(ResidentBinding.ended_at.is_(None), ResidentBinding.ended_at > since)
    return list(
        await session.scalars(
            select(Staff.id)
            .distinct()
            .join(VisitInvestigator, VisitInvestigator.staff_id == Staff.id)
            .join(Resident, Resident.wechat_openid == Staff.wechat_openid)
            .join(ResidentBinding, ResidentBinding.resident_id == Resident.id)
            .where(VisitInvestigator.visit_id == visit.id, was_bound)
            .order_by(Staff.id)
        )
    )


async def _answers(
    session: AsyncSession, visit: Visit, household: Household, members: list[HouseholdMember]
) -> dict[str, Any]:
    body = await session.scalar(
        select(ChecklistTemplate.body).where(
            ChecklistTemplate.code == visit.checklist_code, ChecklistTemplate.version == visit.checklist_version
        )
    )
    return read_asked_answers(visit, body, household, members) if body else {}


async def _last_visit(session: AsyncSession, visit: Visit) -> Visit | None:
    if visit.started_at is None:
        return None
    found: Visit | None = await session.scalar(
        select(Visit)
        .where(
            Visit.household_id == visit.household_id,
            Visit.id != visit.id,
            Visit.submitted_at.is_not(None),
            Visit.started_at < visit.started_at,
        )
        .order_by(Visit.started_at.desc())
        .limit(1)
    )
    return found


async def _compared_spot_check(session: AsyncSession, visit: Visit) -> SpotCheck | None:
    found: SpotCheck | None = await session.scalar(
        select(SpotCheck)
        .where(SpotCheck.visit_id == visit.id, SpotCheck.state == "compared")
        .order_by(SpotCheck.compared_at.desc())
        .limit(1)
    )
    return found
