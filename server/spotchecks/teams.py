"""Who goes: two people who were not at the first visit, with nothing of it on their phones.

The team holds the home only while it checks, and gets the same questions on the same checklist version, under
the kind `spot_check`. The assignment goes to these two alone: the home's own caseworker doesn't hear of it.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Text, cast, func, literal, select, tuple_, union, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core import jobs
from server.core.access import FIELD_ROLES, Caller, found, readable, require
from server.core.errors import Problem
from server.core.http import RequestBody
from server.core.ids import new_id
from server.models.audit import AuditEntry
from server.models.cases import RelativeOnStaff
from server.models.checklists import ChecklistTemplate
from server.models.evidence import Evidence
from server.models.households import Assignment, Caseload
from server.models.people import Staff, StaffRole
from server.models.review import SpotCheck
from server.models.visits import Visit, VisitInvestigator
from server.spotchecks.plans import PLANNING_ROLES
from server.sync_feed.publish import publish_change, publish_to

# What the trail says of somebody who has seen the answers of a visit.
READING = ("visit.opened", "visit.bundled", "photo.linked", "spot_check.opened")


class Team(RequestBody):
    staff_id: UUID
    partner_id: UUID
    due_on: date


async def send_team(session: AsyncSession, caller: Caller, spot_check_id: UUID, team: Team, now: datetime) -> UUID:
    """Assign the second visit; returns the assignment. Raises `spot_check.not_open`, `spot_check.team_unfit`."""
    require(caller, PLANNING_ROLES)
    check: SpotCheck = found(
        await session.scalar(readable(SpotCheck, caller).where(SpotCheck.id == spot_check_id).with_for_update())
    )
    if check.state != "drawn":
        raise Problem("spot_check.not_open")
    people = {team.staff_id, team.partner_id}
    if len(people) != 2 or await _fit(session, check, people) != people:  # noqa: PLR2004  two investigators, by law
        raise Problem("spot_check.team_unfit")
    first = await session.get_one(Visit, check.visit_id)
    checklist = await _blind_checklist(session, first)
    assignment = Assignment(
        id=new_id(),
        household_id=first.household_id,
        kind="spot_check",
        due_on=team.due_on,
        checklist_code=checklist.code,
        checklist_version=checklist.version,
        partner_id=team.partner_id,
    )
    session.add(assignment)
    await session.flush()  # the spot check names the assignment
    check.state, check.staff_id, check.partner_id = "assigned", team.staff_id, team.partner_id
    check.assignment_id = assignment.id
    check.grants = await _grant(session, caller, first.household_id, people, now)
    await publish_change(session, "households", [first.household_id])
    for person in sorted(people):
        await publish_to(session, person, "assignments", [str(assignment.id)])
    await jobs.defer(
        session,
        "notifications.tell",
        kind="assigned",
        thing=f"assignment:{assignment.id}",
        area_code=check.area_code,
        assignment_id=str(assignment.id),
        facts={"count": 1, "on": team.due_on.isoformat()},
    )
    audit.record(
        session,
        caller,
        "spot_check.assigned",
        "spot_check",
        check.id,
        area_code=check.area_code,
        team=sorted(str(one) for one in people),
    )
    return assignment.id


async def _fit(session: AsyncSession, check: SpotCheck, people: set[UUID]) -> set[UUID]:
    """Of these people, those who work in the field of this area, are active, and come without knowing or favour.

    Who was there, who has read the first visit at a desk, and whom the household names as a relative are none of them.
    """
    there = select(VisitInvestigator.staff_id).where(VisitInvestigator.visit_id == check.visit_id)
    things = union(
        select(literal("visit"), literal(str(check.visit_id))),
        select(literal("evidence"), cast(Evidence.id, Text)).where(Evidence.visit_id == check.visit_id),
        select(literal("spot_check"), cast(SpotCheck.id, Text)).where(SpotCheck.visit_id == check.visit_id),
    )
    read = select(AuditEntry.actor_id).where(
        tuple_(AuditEntry.thing_kind, AuditEntry.thing_id).in_(things),
        AuditEntry.action.in_(READING),
        AuditEntry.actor_id.is_not(None),
    )
    relatives = (
        select(RelativeOnStaff.name)
        .join(Visit, Visit.household_id == RelativeOnStaff.household_id)
        .where(Visit.id == check.visit_id)
    )
    # A caseworker's own area is a village: anyone of the same county may be sent.
    near = literal(check.area_code).startswith(func.left(StaffRole.area_code, 6))
    return set(
        await session.scalars(
            select(Staff.id)
            .join(StaffRole, StaffRole.staff_id == Staff.id)
            .where(
                Staff.id.in_(people),
                Staff.id.not_in(there),
                Staff.id.not_in(read),
                Staff.name.not_in(relatives),
                Staff.disabled_at.is_(None),
                StaffRole.revoked_at.is_(None),
                StaffRole.role.in_(FIELD_ROLES),
                near,
            )
        )
    )


async def _blind_checklist(session: AsyncSession, first: Visit) -> ChecklistTemplate:
    """The first visit's checklist version under the kind `spot_check`, published when it is first needed."""
    asked = await session.scalar(
        select(ChecklistTemplate).where(
            ChecklistTemplate.code == first.checklist_code, ChecklistTemplate.version == first.checklist_version
        )
    )
    assert asked is not None, "a visit's checklist is held by a foreign key"
    if asked.kind == "spot_check":
        return asked
    code = f"again_{asked.code}"
    again = await session.scalar(
        select(ChecklistTemplate).where(ChecklistTemplate.code == code, ChecklistTemplate.version == asked.version)
    )
    if again is None:
        again = ChecklistTemplate(
            id=new_id(),
            code=code,
            version=asked.version,
            kind="spot_check",
            area_code=asked.area_code,
            body={**asked.body, "code": code, "kind": "spot_check"},
        )
        session.add(again)
        await session.flush()  # announce reads it
        await publish_change(session, "checklists", [again.id])
    return again


async def _grant(
    session: AsyncSession, caller: Caller, household_id: UUID, people: set[UUID], now: datetime
) -> list[str]:
    held = set(
        await session.scalars(
            select(Caseload.staff_id).where(Caseload.household_id == household_id, Caseload.revoked_at.is_(None))
        )
    )
    grants = [
        Caseload(id=new_id(), household_id=household_id, staff_id=one, granted_by=caller.id, granted_at=now)
        for one in sorted(people - held)
    ]
    session.add_all(grants)
    await session.flush()  # announce reads who holds the home
    return [str(one.id) for one in grants]


async def end_grants(session: AsyncSession, check: SpotCheck, household_id: UUID, now: datetime) -> None:
    """The team has been there: the home goes from its phones."""
    await session.execute(
        update(Caseload)
        .where(Caseload.id.in_([UUID(one) for one in check.grants]), Caseload.revoked_at.is_(None))
        .values(revoked_at=now, revoke_reason="spot_check")
    )
    await publish_change(session, "households", [household_id], reason="spot_check")
