"""Load what the checks see of a visit, in a fixed number of queries."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Float, Select, Uuid, and_, bindparam, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.core.location import Fix, usable_fix
from server.models.cases import BankAccount
from server.models.checklists import ChecklistTemplate
from server.models.evidence import Evidence, MismatchedUpload, Photo
from server.models.households import Household, HouseholdMember
from server.models.people import Device, Identity, ResidentBinding, Staff, WechatUse
from server.models.review import SeenFix, SpotCheck
from server.models.visits import Attestation, Visit, VisitInvestigator
from server.policy.resolver import load_policy_values
from server.review.check_context import (
    MOST_OTHERS,
    CheckContext,
    FixAtOtherHome,
    Journey,
    PhotoContext,
    UnloadedPhotos,
    visited_on,
)
from server.visits.answers import load_members_then, read_asked_answers

# Length of a degree of latitude along the meridian, to a few tenths of a percent.
METRES_PER_DEGREE = 111_195


async def load_check_context(session: AsyncSession, visit: Visit, *, with_photos: bool = True) -> CheckContext:
    """Load the context. It also reads the visit's own traces, so call `record_traces` first.

    Photos are the most expensive part: leave them out when no check reads them.
    """
    household = await session.get_one(Household, visit.household_id)
    settings = await load_policy_values(session, visit.area_code, visited_on(visit))
    members = await _members(session, household)
    attestations = list(await session.scalars(select(Attestation).where(Attestation.visit_id == visit.id)))
    devices = await _devices(session, visit, attestations)
    last_visit = await _last_visit(session, visit)
    nearby = await _nearby_visits(session, visit)
    return CheckContext(
        visit=visit,
        household=household,
        members=members,
        account_holder=await _account_holder(session, household),
        home=_home(household, visit),
        start=usable_fix(visit.document.get("startFix")),
        end=usable_fix(visit.document.get("endFix")),
        photos=await _photos(session, visit, settings) if with_photos else UnloadedPhotos(),
        attestations=attestations,
        devices=devices,
        journeys=await _journeys(session, visit),
        nearby_visits=[other for other, _ in nearby],
        clock_offsets=_clock_offsets(nearby, devices.values()),
        fixes_at_same_coordinates=await _fixes_at_same_coordinates(session, visit),
        fixes_at_same_spot=await _fixes_at_same_spot(session, visit, settings["visit.same_spot_m"]),
        author_fixes=await _author_fixes(session, visit, settings["visit.same_accuracy_fixes"]),
        author_offered=await _author_offered(session, visit, settings["visit.unchanged_visits"]),
        other_phone_users=await _other_phone_users(session, visit, devices, settings["visit.shared_phone_days"]),
        resident_investigators=await _resident_investigators(session, visit),
        wechat_sharers=await _wechat_sharers(session, visit, settings["visit.shared_phone_days"]),
        answers=await _answers(session, visit, household, members),
        last_visit=last_visit,
        last_answers=await _answers(session, last_visit, household, members) if last_visit else {},
        spot_check=await _compared_spot_check(session, visit),
        members_then=await load_members_then(session, visit),
        settings=settings,
    )


async def _members(session: AsyncSession, household: Household) -> list[HouseholdMember]:
    rows = (
        select(HouseholdMember).where(HouseholdMember.household_id == household.id).order_by(HouseholdMember.position)
    )
    return list(await session.scalars(rows))


async def _account_holder(session: AsyncSession, household: Household) -> str | None:
    holder = select(BankAccount.holder_name).where(BankAccount.household_id == household.id)
    return await session.scalar(holder)


async def _devices(session: AsyncSession, visit: Visit, attestations: list[Attestation]) -> dict[UUID, Device]:
    """Return the phones that the visit was recorded and attested on, by id."""
    ids = {visit.device_id, *(attestation.device_id for attestation in attestations)}
    return {device.id: device for device in await session.scalars(select(Device).where(Device.id.in_(ids)))}


def _home(household: Household, visit: Visit) -> Fix | None:
    if household.latitude is None or household.longitude is None:
        return None
    return Fix(
        latitude=household.latitude,
        longitude=household.longitude,
        datum=household.datum,  # type: ignore[arg-type]  # one of the three by constraint
        captured_at=visit.received_at,
    )


async def _photos(session: AsyncSession, visit: Visit, settings: dict[str, Any]) -> list[PhotoContext]:
    listed = [UUID(photo["id"]) for photo in visit.document.get("photos", [])]
    rows = await session.execute(
        select(Evidence, Photo.facts, Photo.inside_fingerprint.is_not(None))
        .outerjoin(Photo, Photo.sha256 == Evidence.sha256)
        .where(Evidence.id.in_(listed), Evidence.visit_id == visit.id)
        .order_by(Evidence.id)
    )
    photos = rows.all()
    elsewhere = await _used_elsewhere(session, visit, [evidence.sha256 for evidence, *_ in photos])
    from server.photos.near_duplicates import find_near_duplicates  # noqa: PLC0415  it imports numpy

    near_duplicates = await find_near_duplicates(session, visit, settings["photo.near_duplicate_bits"])
    mismatched = list(
        await session.scalars(select(MismatchedUpload.evidence_id).where(MismatchedUpload.evidence_id.in_(listed)))
    )
    return [
        PhotoContext(
            evidence,
            facts or {},
            elsewhere.get(evidence.sha256, []),
            mismatched.count(evidence.id),
            near_duplicates.get(evidence.id, []),
            has_frame,
        )
        for evidence, facts, has_frame in photos
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
    return [Journey(*row) for row in rows]


def _select_journeys() -> Select[SeenFix, SeenFix]:
    """Build the statement once: building it takes longer than running it."""
    here = aliased(SeenFix)
    before = (
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
        select(aliased(SeenFix, before), here)
        .join(before, true())
        .where(here.visit_id == bindparam("visit"), here.moment != "end")
        .order_by(here.staff_id != bindparam("author"), here.staff_id)
    )


_JOURNEYS = _select_journeys()


async def _nearby_visits(session: AsyncSession, visit: Visit) -> list[tuple[Visit, int | None]]:
    """Return visits of the same investigators, each with its phone's clock offset in milliseconds."""
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
            Visit.state != "voided",
            Visit.started_at.between(visit.started_at - day, visit.started_at + day),
        )
        .order_by(Visit.started_at, Visit.id)
        .limit(200)
    )
    return [(other, offset_ms) for other, offset_ms in rows]


def _clock_offsets(nearby: list[tuple[Visit, int | None]], devices: Iterable[Device]) -> dict[UUID, timedelta]:
    reported_ms = {other.device_id: offset_ms for other, offset_ms in nearby}
    reported_ms |= {device.id: device.clock_offset_ms for device in devices}
    return {device_id: timedelta(milliseconds=offset_ms) for device_id, offset_ms in reported_ms.items() if offset_ms}


async def _fixes_at_same_coordinates(session: AsyncSession, visit: Visit) -> list[SeenFix]:
    own = select(SeenFix.latitude, SeenFix.longitude).where(SeenFix.visit_id == visit.id)
    return list(
        await session.scalars(
            select(SeenFix)
            .where(tuple_(SeenFix.latitude, SeenFix.longitude).in_(own), SeenFix.visit_id != visit.id)
            .order_by(SeenFix.captured_at.desc(), SeenFix.visit_id)
            .limit(MOST_OTHERS)
        )
    )


async def _fixes_at_same_spot(session: AsyncSession, visit: Visit, within_m: float) -> list[FixAtOtherHome]:
    params = {"visit": visit.id, "author": visit.author_id, "home": visit.household_id, "within_m": within_m}
    fixes = [(fix, _home(household, visit)) for fix, household in await session.execute(_SAME_SPOT, params)]
    return [FixAtOtherHome(fix, home) for fix, home in fixes if home is not None]


def _select_same_spot() -> Select[SeenFix, Household]:
    """Search a square of `within_m` metres each way, in one datum.

    Exactly equal coordinates are left to the check `same_coordinates`.
    """
    own, other = aliased(SeenFix), SeenFix
    author: Any = bindparam("author", type_=Uuid)
    half_height = bindparam("within_m", type_=Float) / METRES_PER_DEGREE
    half_width = half_height / func.cos(func.radians(own.latitude))
    return (
        select(other, Household)
        .join(own, and_(own.visit_id == bindparam("visit"), own.staff_id == author, own.datum == other.datum))
        .join(Household, Household.id == other.household_id)
        .where(
            other.latitude.between(own.latitude - half_height, own.latitude + half_height),
            other.longitude.between(own.longitude - half_width, own.longitude + half_width),
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


async def _author_offered(session: AsyncSession, visit: Visit, count: int) -> list[dict[str, Any]]:
    if visit.started_at is None or "unchanged" not in visit.document:
        return []
    earlier = await session.scalars(
        select(Visit.document)
        .where(
            Visit.author_id == visit.author_id,
            Visit.id != visit.id,
            Visit.started_at < visit.started_at,
            Visit.submitted_at.is_not(None),
            Visit.state != "voided",
            Visit.document.has_key("unchanged"),
        )
        .order_by(Visit.started_at.desc())
        .limit(count - 1)
    )
    return [visit.document, *earlier]


async def _other_phone_users(session: AsyncSession, visit: Visit, devices: dict[UUID, Device], days: int) -> list[UUID]:
    own = devices.get(visit.device_id)
    if own is None or own.hardware_id is None or visit.typed_by is not None:  # the device of whoever entered it
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


async def _wechat_sharers(session: AsyncSession, visit: Visit, days: int) -> list[UUID]:
    own, other = aliased(WechatUse), aliased(WechatUse)
    since = visit.received_at - timedelta(days=days)
    rows = await session.execute(
        select(own.staff_id, other.staff_id)
        .join(other, (other.openid == own.openid) & (other.staff_id != own.staff_id))
        .join(VisitInvestigator, VisitInvestigator.staff_id == own.staff_id)
        .where(VisitInvestigator.visit_id == visit.id, own.used_at >= since, other.used_at >= since)
    )
    return sorted({person for pair in rows for person in pair})


async def _resident_investigators(session: AsyncSession, visit: Visit) -> list[UUID]:
    """Return investigators bound as residents now or when the visit began: a resident may end a binding at any time."""
    since = visit.started_at or visit.received_at
    was_bound = or_(ResidentBinding.ended_at.is_(None), ResidentBinding.ended_at > since)
    own, as_resident = aliased(Identity), aliased(Identity)
    return list(
        await session.scalars(
            select(Staff.id)
            .distinct()
            .join(VisitInvestigator, VisitInvestigator.staff_id == Staff.id)
            .join(own, own.staff_id == Staff.id)
            .join(
                as_resident,
                (as_resident.provider == own.provider)
                & (as_resident.app == own.app)
                & (as_resident.subject == own.subject),
            )
            .join(ResidentBinding, ResidentBinding.resident_id == as_resident.resident_id)
            .where(
                VisitInvestigator.visit_id == visit.id,
                or_(own.ended_at.is_(None), own.ended_at > since),
                own.provider == "wechat",
                was_bound,
            )
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
    then = await load_members_then(session, visit)
    return read_asked_answers(visit, body, household, then or members) if body else {}


async def _last_visit(session: AsyncSession, visit: Visit) -> Visit | None:
    if visit.started_at is None:
        return None
    found: Visit | None = await session.scalar(
        select(Visit)
        .where(
            Visit.household_id == visit.household_id,
            Visit.id != visit.id,
            Visit.submitted_at.is_not(None),
            Visit.state != "voided",
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
