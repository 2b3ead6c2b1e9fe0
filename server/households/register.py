"""The household as the desk writes it: members, incomes, bank card, relatives on staff; every version kept.

One household, one archive, one number (一户一档). Numbers that name a person are sealed on the way in and
masked on the way out; opening one is an act of its own, with a reason, and is logged.
"""

import unicodedata
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core import jobs
from server.core.access import Caller, Role, found, readable, require
from server.core.database import advisory_lock
from server.core.differences import Difference, differences
from server.core.encryption import Encryption
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.id_numbers import IdCheck, check_id, mask_id, mask_phone
from server.core.sequences import next_number
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.areas import Area
from server.models.cases import (
    CLOSED_STATES,
    BankAccount,
    CaseFile,
    HouseholdVersion,
    IncomeItem,
    PropertyItem,
    RelativeOnStaff,
)
from server.models.households import Caseload, Household, HouseholdMember
from server.models.people import ResidentBinding, Staff
from server.sync_feed.publish import publish_change

# Errors of a household whose member can't be left out, or is a member elsewhere.
MEMBER_CONFLICTS = ("household.member_bound", "household.member_known")
WRITERS = frozenset({Role.CASEWORKER, Role.TOWN_OFFICER})
VERIFIERS = frozenset({Role.TOWN_OFFICER})
REVEALERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
Fen = Annotated[int, Meta(ge=0, le=100_000_000_00)]
Health = Literal["healthy", "chronic", "serious_illness", "disabled", "severely_disabled"]


class MemberBody(RequestBody):
    """The ID number may be left out for a member who is known already: what is sealed stays."""

    id: UUID
    name: ShortText
    relation: ShortText
    id_number: str | None = None
    sex: Literal["male", "female"] | None = None
    born_on: date | None = None
    health: Health | None = None
    labour_ability: Literal["full", "partial", "none"] | None = None
    school: Literal["preschool", "primary", "middle", "high", "college"] | None = None
    work: Literal["farming", "casual", "employed", "unemployed", "retired"] | None = None


class IncomeBody(RequestBody):
    """`kind` cost is what the law deducts. What was verified is written by the town only."""

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
    """`declared` and `verified`: fen of a deposit, else how many. What was verified is written by the town only."""

    id: UUID
    kind: Literal["home", "vehicle", "deposit", "business", "other"]
    declared: Fen
    note: Annotated[str, Meta(max_length=200)] = ""
    member_id: UUID | None = None
    verified: Fen | None = None


class RelativeBody(RequestBody):
    name: ShortText
    office: ShortText
    relation: ShortText


class BankBody(RequestBody):
    """The card may be left out where it is known already."""

    holder_name: ShortText
    bank_name: ShortText
    card: Annotated[str, Meta(min_length=6, max_length=40)] | None = None


class Place(RequestBody):
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    datum: Literal["wgs84", "gcj02", "bd09"]


class HouseholdBody(RequestBody):
    """The first member is the head. The phone may be left out where it is known already."""

    members: Annotated[list[MemberBody], Meta(min_length=1, max_length=30)]
    address: ShortText
    phone: Annotated[str, Meta(max_length=30)] | None = None
    place: Place | None = None
    # How often the home is visited follows from it; written by the town only, and left as it is without.
    class_: Literal["A", "B", "C"] | None = msgspec.field(default=None, name="class")
    incomes: Annotated[list[IncomeBody], Meta(max_length=100)] = []
    properties: Annotated[list[PropertyBody], Meta(max_length=50)] = []
    relatives: Annotated[list[RelativeBody], Meta(max_length=10)] = []
    bank: BankBody | None = None


class ChangeHousehold(RequestBody):
    household: HouseholdBody
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class MemberPage(ResponseBody):
    id: UUID
    name: str
    relation: str
    sex: str
    born_on: date
    id_number_mask: str | None
    health: str | None
    labour_ability: str | None
    school: str | None
    work: str | None


class IncomePage(ResponseBody):
    id: UUID
    member_id: UUID | None
    kind: str
    category: str
    period: str
    declared_fen: int
    verified_fen: int | None
    started_on: date | None
    ended_on: date | None


class PropertyPage(ResponseBody):
    id: UUID
    member_id: UUID | None
    kind: str
    note: str
    declared: int
    verified: int | None


class RelativePage(ResponseBody):
    name: str
    office: str
    relation: str
    declared_on: date


class HouseholdPage(ResponseBody):
    """`version` goes back as `If-Match`; 0 before the desk ever changed it."""

    id: UUID
    number: str
    version: int
    area_code: str
    address: str
    phone_mask: str | None
    latitude: float | None
    longitude: float | None
    datum: str
    relative_on_staff: bool
    class_: str | None = msgspec.field(name="class")
    monthly_amount_fen: int | None
    members: list[MemberPage]
    incomes: list[IncomePage]
    properties: list[PropertyPage]
    relatives: list[RelativePage]
    bank_holder: str | None
    bank_name: str | None
    card_mask: str | None


class VersionLine(ResponseBody):
    version: int
    at: datetime
    reason: str
    actor_id: UUID | None
    actor_name: str | None
    differences: list[Difference]


class Reveal(RequestBody):
    """Which number to open: of a member, or the household's phone or card. The reason is kept."""

    what: Literal["id_number", "phone", "card"]
    reason: Annotated[str, Meta(min_length=4, max_length=500)]
    member_id: UUID | None = None


class Revealed(ResponseBody):
    value: str


async def open_household(session: AsyncSession, caller: Caller, household_id: UUID) -> HouseholdPage:
    household: Household = found(await session.scalar(readable(Household, caller).where(Household.id == household_id)))
    return await _page(session, household)


async def create_household(
    session: AsyncSession, vault: Encryption, caller: Caller, area_code: str, household_id: UUID, body: HouseholdBody,
    now: datetime,
) -> Household:  # fmt: skip
    """A new archive with a number of its own. A caseworker who makes it holds it.

    Raises `auth.forbidden` outside the caller's areas and `household.member_known` when somebody's ID number
    stands in another household that applies or receives.
    """
    if not caller.covers(area_code, WRITERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(WRITERS)))
    if await session.get(Area, area_code) is None:
        raise Problem("request.invalid", faults=[Fault("/areaCode", "area.unknown", area_code)])
    household = Household(
        id=household_id,
        number=await next_number(session, Household.number, area_code[:6] + "-", 6),
        area_code=area_code,
        head_name=body.members[0].name,
        address=body.address,
        datum="wgs84",
        relative_on_staff=False,
    )
    session.add(household)
    await session.flush()  # members name it
    await _write(session, vault, caller, household, body, now, may_verify=caller.covers(area_code, VERIFIERS))
    if not caller.covers(area_code, VERIFIERS):
        session.add(Caseload(household_id=household.id, staff_id=caller.id, granted_by=caller.id))
    await keep_version(session, caller, household, "申请建档", now)
    audit.record(session, caller, "household.created", "household", household.id, area_code=area_code)
    await publish_change(session, "households", [household.id])
    return household


async def change_household(
    session: AsyncSession,
    vault: Encryption,
    caller: Caller,
    household_id: UUID,
    asked: ChangeHousehold,
    *,
    version: int,
    now: datetime,
) -> HouseholdPage:
    """Write the household anew from the version the caller saw; what it was before is kept.

    Raises `case.own_relative`, `household.changed` when somebody else was first, `household.member_bound` when a
    member who signs in to follow the case would be left out.
    """
    require(caller, WRITERS)
    household: Household = found(
        await session.scalar(readable(Household, caller).where(Household.id == household_id).with_for_update())
    )
    await require_no_conflict_of_interest(session, caller, household.id)
    last = await _last_version(session, household.id)
    if version != last:
        raise Problem("household.changed", version=last)
    await keep_first_version(session, household, now)
    may_verify = caller.covers(household.area_code, VERIFIERS)
    await _write(session, vault, caller, household, asked.household, now, may_verify=may_verify)
    await keep_version(session, caller, household, asked.reason, now)
    audit.record(session, caller, "household.changed", "household", household.id, area_code=household.area_code)
    await publish_change(session, "households", [household.id])
    return await _page(session, household)


async def _write(
    session: AsyncSession, vault: Encryption, caller: Caller, household: Household, body: HouseholdBody, now: datetime,
    *, may_verify: bool,
) -> None:  # fmt: skip
    household.head_name, household.address = body.members[0].name, body.address
    if body.phone is not None:
        household.phone_sealed = vault.seal("household.phone", body.phone)
        household.phone_mask = mask_phone(body.phone)
    if body.place is not None:
        household.latitude, household.longitude = body.place.latitude, body.place.longitude
        household.datum = body.place.datum
    if may_verify and body.class_ is not None:
        household.class_ = body.class_
    household.updated_at = func.now()
    await _write_members(session, vault, household, body.members, day_of(now))
    await _write_incomes(session, caller, household, body.incomes, may_verify=may_verify)
    await _write_properties(session, caller, household, body.properties, may_verify=may_verify)
    await _write_relatives(session, household, body.relatives, day_of(now))
    await _write_bank(session, vault, household, body.bank)
    await session.flush()  # the version is read from the tables


async def _write_members(
    session: AsyncSession, vault: Encryption, household: Household, bodies: list[MemberBody], today: date
) -> None:
    known = {
        one.id: one
        for one in await session.scalars(select(HouseholdMember).where(HouseholdMember.household_id == household.id))
    }
    numbers: set[bytes | None] = set()
    await _leave_out(session, [one for one in known.values() if one.id not in {body.id for body in bodies}])
    for position, body in enumerate(bodies):
        where = f"/household/members/{position}"
        member = known.get(body.id)
        if member is None:
            if await session.get(HouseholdMember, body.id) is not None:
                raise Problem("request.invalid", faults=[Fault(f"{where}/id", "id.taken", str(body.id))])
            member = HouseholdMember(id=body.id, household_id=household.id)
            session.add(member)
        _fill(member, body, position)
        if body.id_number is not None:
            await _seal_id(session, vault, household, member, body, where, today)
        if member.sex is None or member.born_on is None:
            raise Problem("request.invalid", faults=[Fault(where, "member.incomplete", "idNumber, or sex and bornOn")])
        if member.id_number_index is not None and member.id_number_index in numbers:
            raise Problem("request.invalid", faults=[Fault(f"{where}/idNumber", "member.twice", "idNumber")])
        numbers.add(member.id_number_index)


def _fill(member: HouseholdMember, body: MemberBody, position: int) -> None:
    member.position, member.name, member.relation = position, body.name, body.relation
    member.sex, member.born_on = body.sex or member.sex, body.born_on or member.born_on
    member.health, member.labour_ability = body.health, body.labour_ability
    member.school, member.work = body.school, body.work


async def _seal_id(
    session: AsyncSession,
    vault: Encryption,
    household: Household,
    member: HouseholdMember,
    body: MemberBody,
    where: str,
    today: date,
) -> None:  # fmt: skip
    """Sex and birth date follow the number; what was typed against it is a fault, not a correction."""
    assert body.id_number is not None
    read = check_id(body.id_number, today=today)
    if read.problem is not None or read.sex is None or read.born is None:
        raise Problem(
            "request.invalid", faults=[Fault(f"{where}/idNumber", f"id.{read.problem}", mask_id(read.number))]
        )
    _hold_to_number(body, read, where)
    member.sex, member.born_on = read.sex, read.born
    member.id_number_index = vault.index("id_number", read.number)
    member.id_number_sealed = vault.seal("household_member.id_number", read.number)
    member.id_number_mask = mask_id(read.number)
    with session.no_autoflush:
        await advisory_lock(session, f"member:{member.id_number_index.hex()}")  # nobody joins two households at once
        elsewhere = await session.scalar(_elsewhere(household, member.id_number_index))
    if elsewhere is not None:
        raise Problem("household.member_known", faults=[Fault(where, "member.known", read.number[-4:])])


def _elsewhere(household: Household, id_number_index: bytes) -> Select[UUID]:
    """A member of another household that applies or receives; who receives may have come without a case of its own."""
    return (
        select(HouseholdMember.id)
        .join(Household, Household.id == HouseholdMember.household_id)
        .outerjoin(CaseFile, CaseFile.household_id == Household.id)
        .where(
            HouseholdMember.id_number_index == id_number_index,
            HouseholdMember.household_id != household.id,
            or_(CaseFile.state.not_in(["refused", "withdrawn", "stopped"]), Household.monthly_amount_fen > 0),
        )
        .limit(1)
    )


def _hold_to_number(body: MemberBody, read: IdCheck, where: str) -> None:
    if (body.sex or read.sex) != read.sex:
        raise Problem("request.invalid", faults=[Fault(f"{where}/sex", "member.sex_differs", "idNumber")])
    if (body.born_on or read.born) != read.born:
        raise Problem("request.invalid", faults=[Fault(f"{where}/bornOn", "member.birth_differs", "idNumber")])


async def _leave_out(session: AsyncSession, members: list[HouseholdMember]) -> None:
    ids = [one.id for one in members]
    bound = ResidentBinding.member_id.in_(ids)
    if await session.scalar(select(ResidentBinding.id).where(bound, ResidentBinding.ended_at.is_(None)).limit(1)):
        raise Problem("household.member_bound")
    # What ended stays in the trail.
    await session.execute(delete(ResidentBinding).where(bound))
    for one in members:
        await session.delete(one)


async def _write_incomes(
    session: AsyncSession, caller: Caller, household: Household, bodies: list[IncomeBody], *, may_verify: bool
) -> None:
    known = {
        one.id: one for one in await session.scalars(select(IncomeItem).where(IncomeItem.household_id == household.id))
    }
    for gone in set(known) - {body.id for body in bodies}:
        await session.delete(known[gone])
    for body in bodies:
        row = known.get(body.id)
        if row is None:
            row = IncomeItem(id=body.id, household_id=household.id)
            session.add(row)
        row.kind, row.category, row.period = body.kind, body.category, body.period
        row.member_id, row.declared_fen = body.member_id, body.declared_fen
        row.started_on, row.ended_on = body.started_on, body.ended_on
        if may_verify and row.verified_fen != body.verified_fen:
            row.verified_fen, row.verified_by = body.verified_fen, caller.id


async def _write_properties(
    session: AsyncSession, caller: Caller, household: Household, bodies: list[PropertyBody], *, may_verify: bool
) -> None:
    owned = await session.scalars(select(PropertyItem).where(PropertyItem.household_id == household.id))
    known = {one.id: one for one in owned}
    for gone in set(known) - {body.id for body in bodies}:
        await session.delete(known[gone])
    for body in bodies:
        row = known.get(body.id)
        if row is None:
            row = PropertyItem(id=body.id, household_id=household.id)
            session.add(row)
        row.kind, row.note, row.member_id, row.declared = body.kind, body.note, body.member_id, body.declared
        if may_verify and row.verified != body.verified:
            row.verified, row.verified_by = body.verified, caller.id


async def _write_relatives(
    session: AsyncSession, household: Household, bodies: list[RelativeBody], today: date
) -> None:
    """A relative declared makes the county's own visit a must for the open case, and never un-makes it."""
    before = await session.scalars(select(RelativeOnStaff).where(RelativeOnStaff.household_id == household.id))
    since = {(one.name, one.office, one.relation): one.declared_on for one in before}
    await session.execute(delete(RelativeOnStaff).where(RelativeOnStaff.household_id == household.id))
    for body in bodies:
        declared = since.get((body.name, body.office, body.relation), today)
        session.add(RelativeOnStaff(household_id=household.id, declared_on=declared, **msgspec.structs.asdict(body)))
    if not bodies:
        return
    household.relative_on_staff = True
    open_case = await session.scalar(
        select(CaseFile)
        .where(CaseFile.household_id == household.id, CaseFile.state.not_in(CLOSED_STATES))
        .with_for_update()
    )
    if open_case is not None:
        open_case.needs_county_visit = True


async def _write_bank(session: AsyncSession, vault: Encryption, household: Household, body: BankBody | None) -> None:
    if body is None:
        return
    row = await session.get(BankAccount, household.id)
    if row is None:
        if body.card is None:
            raise Problem("request.invalid", faults=[Fault("/household/bank/card", "field.invalid", "card")])
        row = BankAccount(household_id=household.id)
        session.add(row)
    row.holder_name, row.bank_name = body.holder_name, body.bank_name
    if body.card is not None:
        card = "".join(unicodedata.normalize("NFKC", body.card).split())
        row.card_sealed, row.card_mask = vault.seal("bank_account.card", card), "*" * (len(card) - 4) + card[-4:]


async def _page(session: AsyncSession, household: Household) -> HouseholdPage:
    owned = household.id
    members = await session.scalars(
        select(HouseholdMember).where(HouseholdMember.household_id == owned).order_by(HouseholdMember.position)
    )
    incomes = await session.scalars(select(IncomeItem).where(IncomeItem.household_id == owned).order_by(IncomeItem.id))
    properties = await session.scalars(
        select(PropertyItem).where(PropertyItem.household_id == owned).order_by(PropertyItem.id)
    )
    relatives = await session.scalars(
        select(RelativeOnStaff).where(RelativeOnStaff.household_id == owned).order_by(RelativeOnStaff.id)
    )
    bank = await session.get(BankAccount, owned)
    return HouseholdPage(
        id=household.id,
        number=household.number,
        version=await _last_version(session, owned),
        area_code=household.area_code,
        address=household.address,
        phone_mask=household.phone_mask,
        latitude=household.latitude,
        longitude=household.longitude,
        datum=household.datum,
        relative_on_staff=household.relative_on_staff,
        class_=household.class_,
        monthly_amount_fen=household.monthly_amount_fen,
        members=[msgspec.convert(one, MemberPage, from_attributes=True) for one in members],
        incomes=[msgspec.convert(one, IncomePage, from_attributes=True) for one in incomes],
        properties=[msgspec.convert(one, PropertyPage, from_attributes=True) for one in properties],
        relatives=[msgspec.convert(one, RelativePage, from_attributes=True) for one in relatives],
        bank_holder=bank.holder_name if bank else None,
        bank_name=bank.bank_name if bank else None,
        card_mask=bank.card_mask if bank else None,
    )


async def _last_version(session: AsyncSession, household_id: UUID) -> int:
    query = select(func.max(HouseholdVersion.version)).where(HouseholdVersion.household_id == household_id)
    return await session.scalar(query) or 0


async def keep_first_version(session: AsyncSession, household: Household, now: datetime) -> None:
    """Before its first change: how the household stood until then."""
    if await _last_version(session, household.id) == 0:
        await keep_version(session, None, household, "变更前", now)


async def keep_version(
    session: AsyncSession, caller: Caller | None, household: Household, reason: str, now: datetime
) -> None:
    page = msgspec.to_builtins(await _page(session, household))
    version = page.pop("version") + 1
    session.add(
        HouseholdVersion(
            household_id=household.id,
            version=version,
            at=now,
            actor_id=caller.id if caller else None,
            reason=reason,
            body=page,
        )
    )
    await session.flush()  # the next version is counted from it
    await jobs.defer(session, "review.home_changed", household_id=str(household.id))


async def list_versions(session: AsyncSession, caller: Caller, household_id: UUID) -> list[VersionLine]:
    """Every version with what it changed, the newest first."""
    found(await session.scalar(readable(Household, caller).where(Household.id == household_id)))
    rows = await session.execute(
        select(HouseholdVersion, Staff.name)
        .outerjoin(Staff, Staff.id == HouseholdVersion.actor_id)
        .where(HouseholdVersion.household_id == household_id)
        .order_by(HouseholdVersion.version)
    )
    lines: list[VersionLine] = []
    before: Any = None
    for one, actor_name in rows:
        changed = [] if before is None else differences(before, one.body)
        lines.append(
            VersionLine(
                version=one.version,
                at=one.at,
                reason=one.reason,
                actor_id=one.actor_id,
                actor_name=actor_name,
                differences=changed,
            )
        )
        before = one.body
    return lines[::-1]


async def reveal(
    session: AsyncSession, vault: Encryption, caller: Caller, household_id: UUID, asked: Reveal
) -> Revealed:
    """Open a sealed number. Who, which and why goes into the audit trail; the number does not."""
    require(caller, REVEALERS)
    household: Household = found(await session.scalar(readable(Household, caller).where(Household.id == household_id)))
    if not caller.covers(household.area_code, REVEALERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(REVEALERS)))
    column, sealed = await _sealed(session, household, asked)
    audit.record(
        session,
        caller,
        "household.revealed",
        "household",
        household.id,
        area_code=household.area_code,
        what=asked.what,
        member_id=str(asked.member_id) if asked.member_id else None,
        reason=asked.reason,
    )
    return Revealed(value=vault.open(column, found(sealed)))


async def _sealed(session: AsyncSession, household: Household, asked: Reveal) -> tuple[str, bytes | None]:
    if asked.what == "phone":
        return "household.phone", household.phone_sealed
    if asked.what == "card":
        bank = await session.get(BankAccount, household.id)
        return "bank_account.card", bank.card_sealed if bank else None
    member = await session.scalar(
        select(HouseholdMember).where(
            HouseholdMember.id == asked.member_id, HouseholdMember.household_id == household.id
        )
    )
    return "household_member.id_number", member.id_number_sealed if member else None
