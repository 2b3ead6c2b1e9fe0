"""Applications made at the door, without a network: each becomes a case once, or waits for the town.

Talk record, signatures and photos come as a record of the kind `application` with the same id. Who applies comes here:
ID numbers are in no document that phones replicate. What stands against a case is kept sealed and shown to the
caseworker and the town, who opens the case or says why not. Nothing is granted here.
"""

from datetime import date, datetime, timedelta
from typing import Annotated, Literal, cast
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.benefits.programmes import Programme
from server.cases.actions import TakeStep, take_step
from server.cases.applications import MakeApplication, Situation, make_application
from server.cases.papers import list_papers, receive_paper
from server.core.access import DESK_ROLES, FIELD_ROLES, Caller, in_areas, readable, require_found, require_role
from server.core.database import advisory_lock
from server.core.device_times import ReportedTime, believe_time, bound_times
from server.core.encryption import Encryption
from server.core.errors import Problem, problem_body
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.id_numbers import mask_id, mask_phone
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of
from server.households.caseload import grant_new_home
from server.households.guarded_changes import PersonName
from server.households.register import VERIFIERS, WRITERS, HouseholdBody, MemberBody, Place
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.door_applications import DoorApplication
from server.models.households import Caseload, Household
from server.models.people import Staff, StaffRole
from server.policy.resolver import load_policy_values
from server.records.submission import SYNCS_WITHIN

DoorState = Literal["held", "opened", "dismissed"]
# What stands against a case and is not the caseworker's to mend; anything else goes back to the phone.
HELD_FOR = frozenset(
    {
        "case.open_already",
        "case.granted_already",
        "household.member_known",
        "household.merged",
        "thing.not_found",
        "auth.forbidden",
    }
)
SEALED_COLUMN = "door_application.body"
_OLDEST_FIRST = Keyset(DoorApplication.received_at, DoorApplication.id)
_LISTED_FOR = timedelta(days=90)


class DoorMember(RequestBody):
    sealed_fields = frozenset({"id_number"})

    id: UUID
    name: PersonName
    relation: ShortText
    id_number: str | None = None
    sex: Literal["male", "female"] | None = None
    born_on: date | None = None


class DoorHousehold(RequestBody):
    """A home as the phone writes it down; the first member is the head.

    Nothing that an officer verifies or a second person decides: the officer who opens a held application would be its
    author.
    """

    members: Annotated[list[DoorMember], Meta(min_length=1, max_length=30)]
    address: ShortText
    phone: Annotated[str, Meta(max_length=60)] | None = None
    place: Place | None = None


class ApplyAtDoor(RequestBody):
    """`id` is that of the record with talk, signatures and photos. `household` is given for a home not registered.

    `number` was drawn by the phone and is on the applicant's slip. `papers_received` are codes of the area's papers
    that were handed over; `slip_given`: the slip lists those missing (一次性告知).
    """

    id: UUID
    household_id: UUID
    area_code: Annotated[str, Meta(pattern="^[0-9]{12}$")]
    applicant_name: Annotated[str, Meta(min_length=1, max_length=200)]
    number: Annotated[str, Meta(min_length=1, max_length=60)]
    applied_at: ReportedTime
    household: DoorHousehold | None = None
    situations: Annotated[list[Situation], Meta(max_length=5)] = []
    is_check_agreed: bool = False
    stated_programme: Programme | None = None
    papers_received: Annotated[list[Annotated[str, Meta(max_length=60)]], Meta(max_length=100)] = []
    slip_given: bool = True


class DoorApplicationOutcome(ResponseBody):
    """`held`: something stands against a case, which `zh` and `en` say; the town decides and says why in `reason`."""

    id: UUID
    state: DoorState
    number: str
    code: str | None
    zh: str
    en: str
    reason: str | None


class HeldMember(ResponseBody):
    name: str
    relation: str
    id_number_mask: str | None
    sex: Literal["male", "female"] | None
    born_on: date | None


class HeldHousehold(ResponseBody):
    """The new home of a held application, numbers masked, as the officer reads it before opening the case."""

    members: list[HeldMember]
    address: str
    phone_mask: str | None


class DoorApplicationLine(DoorApplicationOutcome):
    """Whose it was stands here only while it is held."""

    household_id: UUID
    area_code: str
    area_name: str
    applicant_name: str | None
    author_name: str
    received_at: datetime
    household: HeldHousehold | None


class DismissDoorApplication(RequestBody):
    reason: Annotated[str, Meta(min_length=2, max_length=1000)]


async def apply_at_door(
    session: AsyncSession, encryption: Encryption, caller: Caller, body: ApplyAtDoor, now: datetime
) -> DoorApplicationOutcome:
    """Open the case, or hold the application for the town. Idempotent by id.

    Raises what the caseworker mends: `record.area_unknown`, a fault of a number or a name.
    """
    require_role(caller, WRITERS)
    await _require_own_village(session, caller, body.area_code, now)
    await advisory_lock(session, f"door:{body.id}")  # the same application twice at once is one
    stored = await session.get(DoorApplication, body.id)
    if stored is not None and stored.author_id != caller.id:
        raise Problem("thing.not_found")
    if stored is not None:
        return _outcome(stored)
    try:
        async with session.begin_nested():
            case = await _open_case(session, encryption, caller, body, now)
    except Problem as problem:
        if problem.code not in HELD_FOR:
            raise
        return _outcome(_hold(session, encryption, caller, body, problem.code, now))
    return _opened(case)


async def _require_own_village(session: AsyncSession, caller: Caller, area_code: str, now: datetime) -> None:
    """A village where the caller works in the field, or did until so recently that the phone may still have it."""
    since = now - SYNCS_WITHIN
    prefixes = await session.scalars(
        select(StaffRole.area_code).where(
            StaffRole.staff_id == caller.id,
            StaffRole.role.in_(FIELD_ROLES),
            or_(StaffRole.revoked_at.is_(None), StaffRole.revoked_at > since),
        )
    )
    held = (
        select(Caseload.id)
        .join(Household, Household.id == Caseload.household_id)
        .where(
            Caseload.staff_id == caller.id,
            Household.area_code == area_code,
            or_(Caseload.revoked_at.is_(None), Caseload.revoked_at > since),
        )
        .limit(1)
    )
    is_own = any(area_code.startswith(prefix) for prefix in prefixes) or await session.scalar(held) is not None
    if not is_own or await session.get(Area, area_code) is None:
        raise Problem("record.area_unknown")


async def _open_case(
    session: AsyncSession, encryption: Encryption, caller: Caller, body: ApplyAtDoor, now: datetime
) -> CaseFile:
    before = await session.scalar(readable(CaseFile, caller).where(CaseFile.id == body.id))
    if before is not None:
        return before
    applied_on = await _day_at_door(session, body, now)
    application = MakeApplication(
        id=body.id,
        household_id=body.household_id,
        area_code=body.area_code,
        household=_as_registered(body.household) if body.household else None,
        situations=body.situations,
        consented_on=applied_on if body.is_check_agreed else None,
        number=body.number,
        stated_programme=body.stated_programme,
    )
    case = await make_application(session, encryption, caller, application, now, applied_on=applied_on)
    await _note_papers(session, caller, case, body, applied_on, now)
    return case


def _as_registered(home: DoorHousehold) -> HouseholdBody:
    return HouseholdBody(
        members=[MemberBody(**msgspec.structs.asdict(member)) for member in home.members],
        address=home.address,
        phone=home.phone,
        place=home.place,
    )


async def _day_at_door(session: AsyncSession, body: ApplyAtDoor, now: datetime) -> date:
    """The day that the phone says, where it can be believed and is no longer ago than a phone may sync; else today."""
    keys = ["field.earliest_day", "field.clock_ahead_min"]
    settings = await load_policy_values(session, body.area_code, day_of(now), keys)
    earliest = date.fromisoformat(settings["field.earliest_day"])
    bounds = bound_times(now, earliest, timedelta(minutes=settings["field.clock_ahead_min"]))
    applied_at = believe_time(body.applied_at, bounds, now) or now
    return min(day_of(applied_at), day_of(now)) if applied_at > now - SYNCS_WITHIN else day_of(now)


async def _note_papers(
    session: AsyncSession, caller: Caller, case: CaseFile, body: ApplyAtDoor, applied_on: date, now: datetime
) -> None:
    """Note what was handed over, and that the rest was asked for. The household gets a message of that."""
    needed = {paper.code for paper in await list_papers(session, case)}
    for code in body.papers_received:
        if code in needed:  # the area's list may have changed since the phone had it
            await receive_paper(session, caller, case.id, code, applied_on)
    if body.slip_given and needed - set(body.papers_received):
        try:
            async with session.begin_nested():
                await take_step(
                    session, caller, case.id, TakeStep(step="papers_missing"), version=case.version,
                    idempotency_key=f"door:{body.id}", now=now,
                )  # fmt: skip
        except Problem:
            await session.refresh(case)  # such as a relative of the caller: the application stands, the town asks


def _hold(
    session: AsyncSession, encryption: Encryption, caller: Caller, body: ApplyAtDoor, code: str, now: datetime
) -> DoorApplication:
    held = DoorApplication(
        id=body.id,
        household_id=body.household_id,
        area_code=body.area_code,
        applicant_name=body.applicant_name,
        number=body.number,
        author_id=caller.id,
        state="held",
        code=code,
        body_sealed=encryption.seal(SEALED_COLUMN, body.id, msgspec.json.encode(body).decode()),
        received_at=now,
    )
    session.add(held)
    audit.record(
        session, caller, Action.DOOR_APPLICATION_HELD, "door_application", body.id, area_code=body.area_code, code=code
    )
    return held


async def open_held_application(
    session: AsyncSession, encryption: Encryption, caller: Caller, application_id: UUID, now: datetime
) -> DoorApplicationOutcome:
    """Open the case after all, as an officer of the town.

    A new home is given to who made the application, if they still work there; else the town gives it to somebody.
    Idempotent. Raises what still stands against it.
    """
    held = await _lock(session, caller, application_id)
    if held.state != "held":
        return _outcome(held)
    body = _read_body(encryption, held)
    is_new = await session.get(Household, body.household_id) is None
    case = await _open_case(session, encryption, caller, body, now)
    if is_new:
        await grant_new_home(session, caller, case.household_id, held.author_id, now)
    _settle(held, caller, "opened", now)
    audit.record(session, caller, Action.DOOR_APPLICATION_OPENED, "door_application", held.id, area_code=held.area_code)
    return _opened(case)


async def dismiss_application(
    session: AsyncSession, caller: Caller, application_id: UUID, body: DismissDoorApplication, now: datetime
) -> DoorApplicationOutcome:
    """Close it without a case, with the reason that the caseworker reads. Idempotent."""
    held = await _lock(session, caller, application_id)
    if held.state == "held":
        _settle(held, caller, "dismissed", now)
        held.reason = body.reason.strip()
        audit.record(
            session, caller, Action.DOOR_APPLICATION_DISMISSED, "door_application", held.id, area_code=held.area_code
        )
    return _outcome(held)


async def _lock(session: AsyncSession, caller: Caller, application_id: UUID) -> DoorApplication:
    require_role(caller, VERIFIERS)
    rows = readable(DoorApplication, caller).where(
        DoorApplication.id == application_id, in_areas(DoorApplication.area_code, caller, VERIFIERS)
    )
    held: DoorApplication = require_found(await session.scalar(rows.with_for_update()))
    return held


def _read_body(encryption: Encryption, held: DoorApplication) -> ApplyAtDoor:
    assert held.body_sealed is not None
    return msgspec.json.decode(encryption.open(SEALED_COLUMN, held.id, held.body_sealed), type=ApplyAtDoor)


def _settle(held: DoorApplication, caller: Caller, state: DoorState, now: datetime) -> None:
    """Nothing of the applicant stays here: an opened case has it, and of another nothing is to be kept."""
    held.state, held.settled_at, held.settled_by = state, now, caller.id
    held.body_sealed = held.applicant_name = None


async def list_own_applications(session: AsyncSession, caller: Caller, now: datetime) -> list[DoorApplicationOutcome]:
    """List what of the caller's own was held in the last 90 days, for their phone: the town may have decided."""
    rows = await session.scalars(
        readable(DoorApplication, caller)
        .where(DoorApplication.author_id == caller.id, DoorApplication.received_at > now - _LISTED_FOR)
        .order_by(DoorApplication.received_at, DoorApplication.id)
    )
    return [_outcome(row) for row in rows]


async def list_door_applications(
    session: AsyncSession,
    encryption: Encryption,
    caller: Caller,
    *,
    state: str,
    area: str | None,
    cursor: str | None,
    limit: int,
) -> Page[DoorApplicationLine]:
    """List applications at the door that did not become a case by themselves, the oldest first."""
    require_role(caller, DESK_ROLES)
    rows = (
        readable(DoorApplication, caller)
        .add_columns(Area.name, Staff.name)
        .join(Area, Area.code == DoorApplication.area_code)
        .join(Staff, Staff.id == DoorApplication.author_id)
        .where(in_areas(DoorApplication.area_code, caller, DESK_ROLES), DoorApplication.state == state)
    )
    if area:
        rows = rows.where(DoorApplication.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _OLDEST_FIRST, cursor, limit)
    return Page(
        items=[
            DoorApplicationLine(
                **msgspec.structs.asdict(_outcome(row)),
                household_id=row.household_id,
                area_code=row.area_code,
                area_name=area_name,
                applicant_name=row.applicant_name,
                author_name=author_name,
                received_at=row.received_at,
                household=_mask_household(encryption, row) if row.state == "held" else None,
            )
            for row, area_name, author_name in page
        ],
        next_cursor=next_cursor,
    )


def _mask_household(encryption: Encryption, held: DoorApplication) -> HeldHousehold | None:
    home = _read_body(encryption, held).household
    if home is None:
        return None
    return HeldHousehold(
        members=[
            HeldMember(
                name=member.name,
                relation=member.relation,
                id_number_mask=mask_id(member.id_number) if member.id_number else None,
                sex=member.sex,
                born_on=member.born_on,
            )
            for member in home.members
        ],
        address=home.address,
        phone_mask=mask_phone(home.phone) if home.phone else None,
    )


def _outcome(row: DoorApplication) -> DoorApplicationOutcome:
    problem = Problem(row.code, number="")
    zh, en = (problem_body(problem, language).title for language in ("zh", "en"))
    return DoorApplicationOutcome(
        id=row.id, state=cast("DoorState", row.state), number=row.number, code=row.code, zh=zh, en=en, reason=row.reason
    )


def _opened(case: CaseFile) -> DoorApplicationOutcome:
    return DoorApplicationOutcome(
        id=case.id, state="opened", number=case.number, code=None, zh="申请已登记", en="The case is open", reason=None
    )
