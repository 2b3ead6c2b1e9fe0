"""The household register (一户一档) as the desk writes it: members, incomes, property.

Numbers that identify a person are encrypted when written and masked when read; revealing one is an action of its
own, with a reason, in the audit trail. Each change keeps the previous version.
"""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Role, in_areas, readable, require_found, require_role
from server.core.ages import is_birth_date
from server.core.database import advisory_lock
from server.core.encryption import Encryption
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ShortText
from server.core.id_numbers import IdCheck, check_id, mask_id, mask_phone
from server.core.normalise import clean_name, normalise_phone
from server.core.sequences import next_number
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.households.detail import HouseholdDetail, last_version, load_page
from server.households.double_benefit import select_elsewhere
from server.households.groups import require_group
from server.households.guarded_changes import (
    BankBody,
    PersonName,
    RelativeBody,
    propose_account,
    propose_relatives,
    write_relatives,
)
from server.households.versions import keep_first_version, keep_version
from server.models.areas import Area
from server.models.cases import (
    IncomeItem,
    PropertyItem,
)
from server.models.households import Caseload, Household, HouseholdMember
from server.models.people import ResidentBinding
from server.sync_feed.publish import publish_change

# Errors of a household whose member can't be left out, or is a member elsewhere.
MEMBER_CONFLICTS = ("household.member_bound", "household.member_known")
WRITERS = frozenset({Role.CASEWORKER, Role.TOWN_OFFICER})
VERIFIERS = frozenset({Role.TOWN_OFFICER})
Fen = Annotated[int, Meta(ge=0, le=100_000_000_00)]
Health = Literal["healthy", "chronic", "serious_illness", "disabled", "severely_disabled"]

DisabilityKind = Literal["visual", "hearing", "speech", "physical", "intellectual", "mental", "multiple"]


class MemberBody(RequestBody):
    """Without an ID number an existing member keeps the stored one."""

    sealed_fields = frozenset({"id_number"})

    id: UUID
    name: PersonName
    relation: ShortText
    id_number: str | None = None
    sex: Literal["male", "female"] | None = None
    born_on: date | None = None
    health: Health | None = None
    labour_ability: Literal["full", "partial", "none"] | None = None
    school: Literal["preschool", "primary", "middle", "high", "college"] | None = None
    work: Literal["farming", "casual", "employed", "unemployed", "retired"] | None = None
    disability_kind: DisabilityKind | None = None
    disability_grade: Annotated[int, Meta(ge=1, le=4)] | None = None
    illness: Annotated[str, Meta(min_length=1, max_length=100)] | None = None


class IncomeBody(RequestBody):
    """`cost` is what the law deducts. Only a town officer writes verified figures."""

    id: UUID
    kind: Literal["wage", "business", "property", "transfer", "cost"]
    declared_fen: Fen
    category: Annotated[str, Meta(max_length=60)] = ""
    period: Literal["month", "year"] = "month"
    member_id: UUID | None = None
    verified_fen: Fen | None = None
    started_on: date | None = None
    ended_on: date | None = None


class PropertyBody(RequestBody):
    """`declared` and `verified`: fen of a deposit, a count of anything else. Only a town officer writes `verified`."""

    id: UUID
    kind: Literal["home", "vehicle", "deposit", "business", "other"]
    declared: Fen
    note: Annotated[str, Meta(max_length=200)] = ""
    member_id: UUID | None = None
    verified: Fen | None = None


class Place(RequestBody):
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    datum: Literal["wgs84", "gcj02", "bd09"]


class HouseholdBody(RequestBody):
    """The first member is the head. Without a phone number the stored one stays."""

    members: Annotated[list[MemberBody], Meta(min_length=1, max_length=30)]
    address: ShortText
    phone: Annotated[str, Meta(max_length=60)] | None = None
    # Of the village; an empty text takes it away, without it the stored one stays.
    group: Annotated[str, Meta(max_length=40)] | None = None
    place: Place | None = None
    # Decides how often the household is visited. Only a town officer writes it; without it the stored one stays.
    class_: Literal["A", "B", "C"] | None = msgspec.field(default=None, name="class")
    incomes: Annotated[list[IncomeBody], Meta(max_length=100)] = []
    properties: Annotated[list[PropertyBody], Meta(max_length=50)] = []
    # These two are proposed: another person has to accept a change. Without them the stored ones stay.
    relatives: Annotated[list[RelativeBody], Meta(max_length=10)] | None = None
    bank: BankBody | None = None


class ChangeHousehold(RequestBody):
    household: HouseholdBody
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


async def create_household(
    session: AsyncSession,
    encryption: Encryption,
    caller: Caller,
    area_code: str,
    household_id: UUID,
    body: HouseholdBody,
    now: datetime,
) -> Household:
    """Create a household with a number of its own. A caseworker who creates it holds it.

    Raise `auth.forbidden` outside the caller's areas and `household.member_known` when an ID number belongs to
    another household of the caller's that applies or receives. Of a household elsewhere nothing is said here:
    `require_no_double_benefit` says it before the grant.
    """
    if not caller.covers(area_code, WRITERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(WRITERS)))
    if await session.get(Area, area_code) is None:
        raise Problem("request.invalid", faults=[Fault("/areaCode", "area.unknown", area_code)])
    household = Household(
        id=household_id,
        number=await next_number(session, Household.number, area_code[:6] + "-", 6),
        area_code=area_code,
        head_name=clean_name(body.members[0].name),
        address=body.address,
        datum="wgs84",
        relative_on_staff=False,
    )
    session.add(household)
    await session.flush()  # members refer to it
    await _write(session, encryption, caller, household, body, now, may_verify=caller.covers(area_code, VERIFIERS))
    await write_relatives(session, household, body.relatives or [], day_of(now))
    if not caller.covers(area_code, VERIFIERS):
        session.add(Caseload(household_id=household.id, staff_id=caller.id, granted_by=caller.id))
    await keep_version(session, caller, household, "申请建档", now)
    audit.record(session, caller, Action.HOUSEHOLD_CREATED, "household", household.id, area_code=area_code)
    await publish_change(session, "households", [household.id])
    return household


async def change_household(
    session: AsyncSession,
    encryption: Encryption,
    caller: Caller,
    household_id: UUID,
    change: ChangeHousehold,
    *,
    version: int,
    now: datetime,
) -> HouseholdDetail:
    """Replace the household, based on the version the caller read; the previous version is kept.

    Bank account and declared relatives stay until another person accepts the change (`guarded_changes.py`).

    Raise `household.merged`, `case.own_relative`, `household.changed` when the version is no longer the last,
    `household.member_bound` when a member who signs in to follow the case would be removed.
    """
    require_role(caller, WRITERS)
    household: Household = require_found(
        await session.scalar(readable(Household, caller).where(Household.id == household_id).with_for_update())
    )
    if household.merged_into is not None:
        raise Problem("household.merged")
    await require_no_conflict_of_interest(session, caller, household.id)
    last = await last_version(session, household.id)
    if version != last:
        raise Problem("household.changed", version=last)
    await keep_first_version(session, household, now)
    may_verify = caller.covers(household.area_code, VERIFIERS)
    await _write(session, encryption, caller, household, change.household, now, may_verify=may_verify)
    await propose_relatives(session, caller, household, change.household.relatives, now)
    await keep_version(session, caller, household, change.reason, now)
    audit.record(session, caller, Action.HOUSEHOLD_CHANGED, "household", household.id, area_code=household.area_code)
    await publish_change(session, "households", [household.id])
    return await load_page(session, household)


async def _write(
    session: AsyncSession,
    encryption: Encryption,
    caller: Caller,
    household: Household,
    body: HouseholdBody,
    now: datetime,
    *,
    may_verify: bool,
) -> None:
    household.head_name, household.address = clean_name(body.members[0].name), body.address
    if body.phone is not None:
        phone = normalise_phone(body.phone)
        household.phone_sealed = encryption.seal("household.phone", household.id, phone)
        household.phone_mask, household.phone_index = mask_phone(phone), encryption.index("phone", phone)
    if body.group is not None and body.group != (household.group_name or ""):
        household.group_name = await require_group(session, household.area_code, body.group) if body.group else None
    if body.place is not None:
        household.latitude, household.longitude = body.place.latitude, body.place.longitude
        household.datum = body.place.datum
    if may_verify and body.class_ is not None:
        household.class_ = body.class_
    household.updated_at = now
    await _write_members(session, encryption, caller, household, body.members, day_of(now))
    await _write_incomes(session, caller, household, body.incomes, may_verify=may_verify)
    await _write_properties(session, caller, household, body.properties, may_verify=may_verify)
    await propose_account(session, encryption, caller, household, body.bank, now)
    await session.flush()  # the version is read from the tables


async def _write_members(
    session: AsyncSession,
    encryption: Encryption,
    caller: Caller,
    household: Household,
    bodies: list[MemberBody],
    today: date,
) -> None:
    rows = await session.scalars(select(HouseholdMember).where(HouseholdMember.household_id == household.id))
    existing = {member.id: member for member in rows}
    numbers: set[bytes | None] = set()
    kept_ids = {body.id for body in bodies}
    await _remove_members(session, [member for member in existing.values() if member.id not in kept_ids])
    for position, body in enumerate(bodies):
        where = f"/household/members/{position}"
        member = existing.get(body.id)
        if member is None:
            if await session.get(HouseholdMember, body.id) is not None:
                raise Problem("request.invalid", faults=[Fault(f"{where}/id", "id.taken", str(body.id))])
            member = HouseholdMember(id=body.id, household_id=household.id)
            session.add(member)
        _require_birth_date(member, body, where, today)
        _set_fields(member, body, position)
        if body.id_number is not None:
            _seal_id(encryption, member, body, where, today)
            await _require_no_other_household(session, caller, household, member, where)
        if member.sex is None or member.born_on is None:
            raise Problem("request.invalid", faults=[Fault(where, "member.incomplete", "idNumber, or sex and bornOn")])
        if member.id_number_index is not None and member.id_number_index in numbers:
            raise Problem("request.invalid", faults=[Fault(f"{where}/idNumber", "member.twice", "idNumber")])
        numbers.add(member.id_number_index)


def _require_birth_date(member: HouseholdMember, body: MemberBody, where: str, today: date) -> None:
    """Refuse a date on which nobody alive was born, and another sex or date than the stored number says.

    Uplifts are paid by age: it is typed only of a person without an ID number.
    """
    if body.born_on is not None and body.born_on != member.born_on and not is_birth_date(body.born_on, today):
        raise Problem("request.invalid", faults=[Fault(f"{where}/bornOn", "member.birth_impossible", "bornOn")])
    if member.id_number_index is None or body.id_number is not None:
        return
    for typed, stored, field, code in (
        (body.sex, member.sex, "sex", "member.sex_differs"),
        (body.born_on, member.born_on, "bornOn", "member.birth_differs"),
    ):
        if (typed or stored) != stored:
            raise Problem("request.invalid", faults=[Fault(f"{where}/{field}", code, "idNumber")])


def _set_fields(member: HouseholdMember, body: MemberBody, position: int) -> None:
    member.position, member.name, member.relation = position, clean_name(body.name), body.relation
    member.sex, member.born_on = body.sex or member.sex, body.born_on or member.born_on
    member.health, member.labour_ability = body.health, body.labour_ability
    member.school, member.work, member.illness = body.school, body.work, body.illness
    member.disability_kind, member.disability_grade = body.disability_kind, body.disability_grade


def _seal_id(encryption: Encryption, member: HouseholdMember, body: MemberBody, where: str, today: date) -> None:
    """Take sex and birth date from the number; a typed value that differs is a fault, not a correction."""
    assert body.id_number is not None
    read = check_id(body.id_number, today=today)
    if read.problem is not None or read.sex is None or read.born is None:
        raise Problem(
            "request.invalid", faults=[Fault(f"{where}/idNumber", f"id.{read.problem}", mask_id(read.number))]
        )
    _require_agreement(body, read, where)
    member.sex, member.born_on = read.sex, read.born
    member.id_number_index = encryption.index("id_number", read.number)
    member.id_number_sealed = encryption.seal("household_member.id_number", member.id, read.number)
    member.id_number_mask = mask_id(read.number)


async def _require_no_other_household(
    session: AsyncSession, caller: Caller, household: Household, member: HouseholdMember, where: str
) -> None:
    """Raise `household.member_known` for a household that the caller may see.

    Of any other the caller learns nothing: whether somebody in another town receives benefits is not theirs to ask.
    """
    assert member.id_number_index is not None
    with session.no_autoflush:
        # A person joins two households at the same moment only once.
        await advisory_lock(session, f"member:{member.id_number_index.hex()}")
        elsewhere = await session.scalar(
            select_elsewhere(household.id, [member.id_number_index]).where(_visible_to(caller)).limit(1)
        )
    if elsewhere is not None:
        raise Problem("household.member_known", faults=[Fault(where, "member.known", "idNumber")])


def _visible_to(caller: Caller) -> ColumnElement[bool]:
    """Match households of the caller's areas, or of a caseworker's own village, whoever holds them."""
    return or_(Household.in_scope(caller), in_areas(Household.area_code, caller, WRITERS))


def _require_agreement(body: MemberBody, read: IdCheck, where: str) -> None:
    if (body.sex or read.sex) != read.sex:
        raise Problem("request.invalid", faults=[Fault(f"{where}/sex", "member.sex_differs", "idNumber")])
    if (body.born_on or read.born) != read.born:
        raise Problem("request.invalid", faults=[Fault(f"{where}/bornOn", "member.birth_differs", "idNumber")])


async def _remove_members(session: AsyncSession, members: list[HouseholdMember]) -> None:
    bound = ResidentBinding.member_id.in_([member.id for member in members])
    if await session.scalar(select(ResidentBinding.id).where(bound, ResidentBinding.ended_at.is_(None)).limit(1)):
        raise Problem("household.member_bound")
    # Ended bindings stay in the audit trail.
    await session.execute(delete(ResidentBinding).where(bound))
    for member in members:
        await session.delete(member)


async def _write_incomes(
    session: AsyncSession, caller: Caller, household: Household, bodies: list[IncomeBody], *, may_verify: bool
) -> None:
    rows = await session.scalars(select(IncomeItem).where(IncomeItem.household_id == household.id))
    existing = {row.id: row for row in rows}
    for removed in set(existing) - {body.id for body in bodies}:
        await session.delete(existing[removed])
    for body in bodies:
        row = existing.get(body.id)
        if row is None:
            row = IncomeItem(id=body.id, household_id=household.id)
            session.add(row)
        if (row.kind, row.category, row.period) != (body.kind, body.category, body.period):
            row.source_visit_id = None
        row.kind, row.category, row.period = body.kind, body.category, body.period
        row.member_id, row.declared_fen = body.member_id, body.declared_fen
        row.started_on, row.ended_on = body.started_on, body.ended_on
        if may_verify and row.verified_fen != body.verified_fen:
            row.verified_fen, row.verified_by, row.source_visit_id = body.verified_fen, caller.id, None


async def _write_properties(
    session: AsyncSession, caller: Caller, household: Household, bodies: list[PropertyBody], *, may_verify: bool
) -> None:
    rows = await session.scalars(select(PropertyItem).where(PropertyItem.household_id == household.id))
    existing = {row.id: row for row in rows}
    for removed in set(existing) - {body.id for body in bodies}:
        await session.delete(existing[removed])
    for body in bodies:
        row = existing.get(body.id)
        if row is None:
            row = PropertyItem(id=body.id, household_id=household.id)
            session.add(row)
        row.kind, row.note, row.member_id, row.declared = body.kind, body.note, body.member_id, body.declared
        if may_verify and row.verified != body.verified:
            row.verified, row.verified_by, row.source_visit_id = body.verified, caller.id, None
