"""Writes the demo county into an empty database, once."""

import asyncio
from datetime import date, datetime, time, timedelta
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.cases.deadlines import backfill_deadlines
from server.checklists.shipped import load_shipped
from server.core.clock import CHINA, utc_now
from server.core.database import open_session
from server.core.encryption import Encryption
from server.core.id_numbers import mask_id, mask_phone
from server.core.ids import new_id
from server.core.passwords import hash_password
from server.core.services import open_services
from server.core.settings import Settings
from server.demo import county as demo
from server.demo.cases import load_cases
from server.demo.county import build_county
from server.demo.wechat_stub import openid_of
from server.models.areas import Area, AreaRule
from server.models.cases import CaseEvent, CaseFile
from server.models.checklists import ChecklistTemplate
from server.models.households import Assignment, Caseload, Household, HouseholdMember
from server.models.people import Staff, StaffRole
from server.sync_feed.publish import publish_change

Keyed = dict[str, Any]


async def load_demo(session: AsyncSession, encryption: Encryption, *, today: date) -> bool:
    """Load the county with all that hangs on it. False, and nothing written, when it is there already."""
    county = demo.build_county(today=today)
    if await session.scalar(select(Staff.id).where(Staff.login == county.staff[0].login)) is not None:
        return False
    await _load_areas(session, county)
    _load_rules(session, county)
    staff = await _load_staff(session, county)
    checklists = await _load_checklists(session)
    households = await _load_households(session, encryption, county)
    cases = await _load_cases(session, county, households)
    await _load_caseload(session, county, households, staff, cases, checklists)
    await backfill_deadlines(session)
    audit.record(session, None, "demo.loaded", "area", county.code, area_code=county.code, seed=county.seed)
    return True


async def _load_areas(session: AsyncSession, county: demo.County) -> None:
    for area in county.areas:
        row = insert(Area).values(code=area.code, name=area.name, parent_code=area.parent_code)
        await session.execute(row.on_conflict_do_nothing())


def _load_rules(session: AsyncSession, county: demo.County) -> None:
    """What the demo's county sets for itself: its standard, and that a decision is final at once, so that whoever
    walks the demo sees the case move and does not wait the usual minute.
    """
    rules = {
        "review.undo_s": (0, "demo: the resident sees a decision at once"),
        "amount.standard_fen": (county.standard_fen, "demo: the county's standard a head and month"),
    }
    session.add_all(
        AreaRule(key=key, area_code=county.code, effective_from=date(2020, 1, 1), value=value, source=source)
        for key, (value, source) in rules.items()
    )


async def _load_staff(session: AsyncSession, county: demo.County) -> Keyed:
    # argon2 is slow by design and each role shares one demo password: one hash a role will do.
    hashes = {role: await asyncio.to_thread(hash_password, password) for role, password in demo.DEMO_PASSWORDS.items()}
    staff: Keyed = {}
    for staff_member in county.staff:
        row = Staff(
            id=new_id(),
            login=staff_member.login,
            name=staff_member.name,
            password_hash=hashes[staff_member.role],
            wechat_openid=openid_of(staff_member.wechat_suffix),
            phone_mask=mask_phone(staff_member.phone),
        )
        staff[staff_member.login] = row
        session.add(row)
    await session.flush()  # roles name the people
    session.add_all(
        StaffRole(staff_id=staff[staff_member.login].id, role=staff_member.role, area_code=staff_member.area_code)
        for staff_member in county.staff
    )
    await session.flush()  # the feed's audience is read from roles
    return staff


async def _load_checklists(session: AsyncSession) -> Keyed:
    rows = [
        ChecklistTemplate(
            id=new_id(), code=item.code, version=item.version, kind=item.kind, body=msgspec.to_builtins(item)
        )
        for item in load_shipped()
    ]
    session.add_all(rows)
    await session.flush()  # announce reads them
    await publish_change(session, "checklists", [row.id for row in rows])
    return {row.kind: row for row in rows}


async def _load_households(session: AsyncSession, encryption: Encryption, county: demo.County) -> Keyed:
    households: Keyed = {}
    for household in county.households:
        row = Household(
            id=new_id(),
            number=household.number,
            area_code=household.area_code,
            head_name=household.head_name,
            address=household.address,
            phone_sealed=encryption.seal("household.phone", household.phone),
            phone_mask=mask_phone(household.phone),
            latitude=household.latitude,
            longitude=household.longitude,
            datum="wgs84",
            class_=household.class_,
            monthly_amount_fen=household.monthly_amount_fen,
            relative_on_staff=household.relative_on_staff is not None,
            members=[_member(encryption, place, member) for place, member in enumerate(household.members)],
        )
        households[household.number] = row
        session.add(row)
    await session.flush()  # cases and caseloads name them
    return households


def _member(encryption: Encryption, position: int, item: demo.Member) -> HouseholdMember:
    return HouseholdMember(
        id=new_id(),
        position=position,
        name=item.name,
        relation=item.relation,
        sex=item.sex,
        born_on=item.born_on,
        id_number_sealed=encryption.seal("household_member.id_number", item.id_number),
        id_number_index=encryption.index("id_number", item.id_number),
        id_number_mask=mask_id(item.id_number),
        health=item.health,
        labour_ability=item.labour_ability,
        school=item.school,
        work=item.work,
    )


async def _load_cases(session: AsyncSession, county: demo.County, households: Keyed) -> Keyed:
    cases: Keyed = {}
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
        cases[application.number] = case
        session.add(case)
    await session.flush()  # events name the cases
    for application in county.applications:
        case = cases[application.number]
        # Both may fall on one day: first it is made, then it is taken on.
        for step, at in (
            ("applied", _nine(application.applied_on)),
            ("accepted", _nine(application.accepted_on) + timedelta(hours=1)),
        ):
            session.add(CaseEvent(case_id=case.id, at=at, step=step, state=step, cause=f"demo:{step}", facts={}))
    return cases


def _nine(on: date) -> datetime:
    return datetime.combine(on, time(9), tzinfo=CHINA)


async def _load_caseload(
    session: AsyncSession,
    county: demo.County,
    households: Keyed,
    staff: Keyed,
    cases: Keyed,
    checklists: Keyed,
) -> None:
    """Each caseworker holds the households of their own village and those of their visits as a partner."""
    held: set[tuple[Any, Any]] = set()
    caseworkers = [staff_member for staff_member in county.staff if staff_member.role == "caseworker"]
    for item in county.households:
        held |= {
            (households[item.number].id, staff[worker.login].id)
            for worker in caseworkers
            if item.area_code.startswith(worker.area_code)
        }
    assignments = []
    for due in county.assignments:
        household, checklist = households[due.household_number], checklists[due.kind]
        held |= {(household.id, staff[login].id) for login in (due.caseworker_login, due.partner_login)}
        assignments.append(
            Assignment(
                id=new_id(),
                household_id=household.id,
                kind=due.kind,
                due_on=due.due_on,
                checklist_code=checklist.code,
                checklist_version=checklist.version,
                partner_id=staff[due.partner_login].id,
                case_id=cases[due.application_number].id if due.application_number else None,
            )
        )
    # Held since before the demo's first visits, so that none of them is late.
    since = _nine(county.today) - timedelta(days=90)
    session.add_all(
        Caseload(household_id=household_id, staff_id=staff_id, granted_at=since)
        for household_id, staff_id in sorted(held, key=str)
    )
    session.add_all(assignments)
    await session.flush()  # announce reads who holds what
    await publish_change(session, "households", [household.id for household in households.values()])
    await publish_change(session, "assignments", [assignment.id for assignment in assignments])


async def load_demo_county(settings: Settings, *, with_cases: bool = True) -> bool:
    """The county, and unless told otherwise its cases in every state. False when it is there already."""
    today = utc_now().astimezone(CHINA).date()
    async with open_services(settings) as services, open_session(services.sessions) as session:
        if not await load_demo(session, services.encryption, today=today):
            return False
        if with_cases:
            await services.store.ensure_bucket()
            await load_cases(session, services, build_county(today=today))
        return True
