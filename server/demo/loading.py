"""Write the demo county into the database, once."""

import asyncio
from datetime import date, datetime, time, timedelta
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.cases.deadlines import backfill_deadlines
from server.cases.look_up_slips import hash_pin
from server.checklists.shipped import load_shipped, load_shipped_records
from server.core.clock import CHINA, today
from server.core.database import open_session
from server.core.encryption import Encryption
from server.core.id_numbers import mask_id, mask_phone
from server.core.ids import new_id
from server.core.passwords import hash_password
from server.core.services import open_services
from server.core.settings import Settings
from server.demo import records as demo
from server.demo.cases import load_cases
from server.demo.county import build_county
from server.demo.staff import DEMO_PASSWORDS
from server.demo.wechat_stub import demo_accounts, demo_openid
from server.models.areas import Area, PolicySetting
from server.models.cases import CaseEvent, CaseFile
from server.models.checklists import ChecklistTemplate
from server.models.households import Caseload, Household, HouseholdMember
from server.models.people import Identity, Staff, StaffRole
from server.sync_feed.publish import publish_change
from server.workload.assignments import create_assignment

RowsByKey = dict[str, Any]


class DemoRefused(Exception):
    """The database has something of its own; invented people are not mixed with real ones."""


async def load_demo_county(settings: Settings, *, with_cases: bool = True, on: date | None = None) -> bool:
    """Load the county and, by default, cases in every state; return False if it is loaded already."""
    day = on or today()
    async with open_services(settings) as services, open_session(services.sessions) as session:
        if not await _load_records(session, services.encryption, today=day):
            return False
        if with_cases:
            await services.store.ensure_bucket()
            await load_cases(session, services, build_county(today=day))
        return True


async def _load_records(session: AsyncSession, encryption: Encryption, *, today: date) -> bool:
    """Load the county and everything that belongs to it; return False without writing if it is loaded already."""
    county = build_county(today=today)
    if await session.scalar(select(Staff.id).where(Staff.login == county.staff[0].login)) is not None:
        return False
    await _require_empty(session)
    await _load_areas(session, county)
    _load_policy_settings(session, county)
    staff = await _load_staff(session, county)
    checklists = await _load_checklists(session)
    households = await _load_households(session, encryption, county)
    cases = await _load_cases(session, encryption, county, households)
    await _load_caseload(session, county, households, staff, cases, checklists)
    await backfill_deadlines(session)
    audit.record(session, None, Action.DEMO_LOADED, "area", county.code, area_code=county.code, seed=county.seed)
    return True


async def _require_empty(session: AsyncSession) -> None:
    for table, name in ((Staff, "staff"), (Household, "households"), (ChecklistTemplate, "checklists")):
        if await session.scalar(select(table.id).limit(1)) is not None:
            raise DemoRefused(f"the database has {name} of its own: load the demo county into an empty database")


async def _load_areas(session: AsyncSession, county: demo.County) -> None:
    for area in county.areas:
        row = insert(Area).values(code=area.code, name=area.name, parent_code=area.parent_code)
        await session.execute(row.on_conflict_do_nothing())


def _load_policy_settings(session: AsyncSession, county: demo.County) -> None:
    """Set the county's standard, and make decisions final at once: users see the case move without the usual minute."""
    settings = {
        "review.undo_s": (0, "demo: the resident sees a decision at once"),
        "amount.standard_fen": (county.standard_fen, "demo: the county's standard a head and month"),
    }
    session.add_all(
        PolicySetting(key=key, area_code=county.code, effective_from=date(2020, 1, 1), value=value, source=source)
        for key, (value, source) in settings.items()
    )


async def _load_staff(session: AsyncSession, county: demo.County) -> RowsByKey:
    # argon2 is slow by design, and all staff of a role share one demo password: hash once per role.
    hashes = {role: await asyncio.to_thread(hash_password, password) for role, password in DEMO_PASSWORDS.items()}
    staff: RowsByKey = {}
    for staff_member in county.staff:
        row = Staff(
            id=new_id(),
            login=staff_member.login,
            name=staff_member.name,
            password_hash=hashes[staff_member.role],
            wechat_openid=demo_openid(staff_member.wechat_suffix),
            phone_mask=mask_phone(staff_member.phone),
        )
        staff[staff_member.login] = row
        session.add(row)
    await session.flush()  # roles and identities reference staff
    session.add_all(
        Identity(staff_id=staff[staff_member.login].id, provider="wechat", app=app, subject=subject)
        for staff_member in county.staff
        for app, subject in demo_accounts(staff_member.wechat_suffix).items()
    )
    session.add_all(
        StaffRole(staff_id=staff[staff_member.login].id, role=staff_member.role, area_code=staff_member.area_code)
        for staff_member in county.staff
    )
    await session.flush()  # publish_change reads its audience from roles
    return staff


async def _load_checklists(session: AsyncSession) -> RowsByKey:
    rows = [
        ChecklistTemplate(
            id=new_id(),
            code=template.code,
            version=template.version,
            kind=template.kind,
            body=msgspec.to_builtins(template),
        )
        for template in (*load_shipped(), *load_shipped_records())
    ]
    session.add_all(rows)
    await session.flush()  # publish_change reads them
    await publish_change(session, "checklists", [row.id for row in rows])
    return {row.kind: row for row in rows}


async def _load_households(session: AsyncSession, encryption: Encryption, county: demo.County) -> RowsByKey:
    households: RowsByKey = {}
    for household in county.households:
        household_id = new_id()
        row = Household(
            id=household_id,
            number=household.number,
            area_code=household.area_code,
            head_name=household.head_name,
            address=household.address,
            phone_sealed=encryption.seal("household.phone", household_id, household.phone),
            phone_mask=mask_phone(household.phone),
            phone_index=encryption.index("phone", household.phone),
            latitude=household.latitude,
            longitude=household.longitude,
            datum="wgs84",
            class_=household.class_,
            monthly_amount_fen=household.monthly_amount_fen,
            relative_on_staff=household.relative_on_staff is not None,
            members=[_member(encryption, position, member) for position, member in enumerate(household.members)],
        )
        households[household.number] = row
        session.add(row)
    await session.flush()  # cases and caseloads reference them
    return households


def _member(encryption: Encryption, position: int, member: demo.Member) -> HouseholdMember:
    member_id = new_id()
    return HouseholdMember(
        id=member_id,
        position=position,
        name=member.name,
        relation=member.relation,
        sex=member.sex,
        born_on=member.born_on,
        id_number_sealed=encryption.seal("household_member.id_number", member_id, member.id_number),
        id_number_index=encryption.index("id_number", member.id_number),
        id_number_mask=mask_id(member.id_number),
        health=member.health,
        labour_ability=member.labour_ability,
        school=member.school,
        work=member.work,
    )


async def _load_cases(
    session: AsyncSession, encryption: Encryption, county: demo.County, households: RowsByKey
) -> RowsByKey:
    pins = {resident.application_number: resident.look_up_pin for resident in county.residents}
    cases: RowsByKey = {}
    for application in county.applications:
        household = households[application.household_number]
        case = CaseFile(
            id=new_id(),
            number=application.number,
            household_id=household.id,
            area_code=household.area_code,
            state="accepted",
            applied_on=application.applied_on,
            rules_on=application.applied_on,
        )
        case.look_up_pin = hash_pin(encryption, case.id, pins[application.number])
        cases[application.number] = case
        session.add(case)
    await session.flush()  # events reference cases
    for application in county.applications:
        case = cases[application.number]
        # Both may have the same date; the hour keeps them in order.
        for step, at in (
            ("applied", _at_nine(application.applied_on)),
            ("accepted", _at_nine(application.accepted_on) + timedelta(hours=1)),
        ):
            session.add(CaseEvent(case_id=case.id, at=at, step=step, state=step, cause=f"demo:{step}", facts={}))
    return cases


def _at_nine(on: date) -> datetime:
    return datetime.combine(on, time(9), tzinfo=CHINA)


async def _load_caseload(
    session: AsyncSession,
    county: demo.County,
    households: RowsByKey,
    staff: RowsByKey,
    cases: RowsByKey,
    checklists: RowsByKey,
) -> None:
    """Add assignments and caseloads: caseworkers hold households of their village and of all their assignments."""
    assignments = [
        create_assignment(
            session,
            households[due.household_number].id,
            due.kind,
            due.due_on,
            checklists[due.kind],
            case_id=cases[due.application_number].id if due.application_number else None,
            partner_id=staff[due.partner_login].id,
        )
        for due in county.assignments
    ]
    # Granted before the demo's first visits, so that none counts as late after reassignment.
    since = _at_nine(county.today) - timedelta(days=90)
    session.add_all(
        Caseload(household_id=household_id, staff_id=staff_id, granted_at=since)
        for household_id, staff_id in sorted(_holdings(county, households, staff), key=str)
    )
    await session.flush()  # publish_change reads caseloads
    await publish_change(session, "households", [household.id for household in households.values()])
    await publish_change(session, "assignments", [assignment.id for assignment in assignments])


def _holdings(county: demo.County, households: RowsByKey, staff: RowsByKey) -> set[tuple[Any, Any]]:
    """Return the pairs of household id and staff id."""
    in_village = {
        (households[household.number].id, staff[person.login].id)
        for household in county.households
        for person in county.staff
        if person.role == "caseworker" and household.area_code.startswith(person.area_code)
    }
    in_assignments = {
        (households[due.household_number].id, staff[login].id)
        for due in county.assignments
        for login in (due.caseworker_login, due.partner_login)
    }
    return in_village | in_assignments
