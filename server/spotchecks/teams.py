"""Assign spot-check teams: two people who were not at the first visit, with nothing of it on their phones.

The team has the household only until the comparison. It answers the same questions, from the same checklist version,
under the kind `spot_check`. The assignment goes to these two alone: the household's caseworker does not see it.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Select, Text, cast, func, literal, select, tuple_, union, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import FIELD_ROLES, Caller, readable, require_found, require_role
from server.core.errors import Problem
from server.core.http import RequestBody
from server.core.ids import new_id
from server.core.normalise import sql_name_key
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
from server.visits.last_answers import CARRIED_KINDS
from server.workload.assignments import create_assignment, notify_holders

# Audit actions of somebody who has seen the answers of a visit.
READ_ACTIONS = (
    Action.VISIT_OPENED,
    Action.VISIT_BUNDLED,
    Action.PHOTO_LINKED,
    Action.SPOT_CHECK_OPENED,
    Action.VISIT_ENTERED_FROM_PAPER,
)


class Team(RequestBody):
    staff_id: UUID
    partner_id: UUID
    due_on: date


async def assign_team(session: AsyncSession, caller: Caller, spot_check_id: UUID, team: Team, now: datetime) -> UUID:
    """Assign the second visit and return the assignment's id.

    Raises `spot_check.not_open`, `spot_check.team_unfit`.
    """
    require_role(caller, PLANNING_ROLES)
    check: SpotCheck = require_found(
        await session.scalar(readable(SpotCheck, caller).where(SpotCheck.id == spot_check_id).with_for_update())
    )
    if check.state != "drawn":
        raise Problem("spot_check.not_open")
    people = {team.staff_id, team.partner_id}
    if len(people) != 2 or await _select_eligible(session, check, people) != people:  # noqa: PLR2004  two investigators, by law
        raise Problem("spot_check.team_unfit")
    first = await session.get_one(Visit, check.visit_id)
    checklist = await _blind_checklist(session, first)
    assignment = create_assignment(
        session, first.household_id, "spot_check", team.due_on, checklist, partner_id=team.partner_id
    )
    await session.flush()  # the spot check names the assignment
    check.state, check.staff_id, check.partner_id = "assigned", team.staff_id, team.partner_id
    check.assignment_id = assignment.id
    check.grants = await _grant_caseload(session, caller, first.household_id, people, now)
    await _publish_assignment(session, assignment, check.area_code, people)
    audit.record(
        session,
        caller,
        Action.SPOT_CHECK_ASSIGNED,
        "spot_check",
        check.id,
        area_code=check.area_code,
        team=sorted(str(staff_id) for staff_id in people),
    )
    return assignment.id


async def _select_eligible(session: AsyncSession, check: SpotCheck, people: set[UUID]) -> set[UUID]:
    """Return those of these people who are active field staff of the county and unbiased.

    Not eligible: the first team, anyone who has read the first visit at a desk, typed it from paper or has its answers
    on their phone, and the household's declared relatives.
    """
    first_team = select(VisitInvestigator.staff_id).where(VisitInvestigator.visit_id == check.visit_id)
    relatives = (
        select(sql_name_key(RelativeOnStaff.name))
        .join(Visit, Visit.household_id == RelativeOnStaff.household_id)
        .where(Visit.id == check.visit_id)
    )
    # A caseworker's own area is a village: anyone of the same county may go.
    in_county = literal(check.area_code).startswith(func.left(StaffRole.area_code, 6))
    return set(
        await session.scalars(
            select(Staff.id)
            .join(StaffRole, StaffRole.staff_id == Staff.id)
            .where(
                Staff.id.in_(people),
                Staff.id.not_in(first_team),
                Staff.id.not_in(_select_readers(check)),
                Staff.id.not_in(_select_holders_with_answers(check)),
                sql_name_key(Staff.name).not_in(relatives),
                Staff.disabled_at.is_(None),
                StaffRole.revoked_at.is_(None),
                StaffRole.role.in_(FIELD_ROLES),
                in_county,
            )
        )
    )


def _select_readers(check: SpotCheck) -> Select[UUID | None]:
    """Select whoever has seen the first visit, one of its photos or the comparison at a desk."""
    things = union(
        select(literal("visit"), literal(str(check.visit_id))),
        select(literal("evidence"), cast(Evidence.id, Text)).where(Evidence.visit_id == check.visit_id),
        select(literal("spot_check"), cast(SpotCheck.id, Text)).where(SpotCheck.visit_id == check.visit_id),
    )
    return select(AuditEntry.actor_id).where(
        tuple_(AuditEntry.thing_kind, AuditEntry.thing_id).in_(things),
        AuditEntry.action.in_(READ_ACTIONS),
        AuditEntry.actor_id.is_not(None),
    )


def _select_holders_with_answers(check: SpotCheck) -> Select[UUID]:
    """Select whose phone has last time's answers beside an order of the home."""
    return (
        select(Caseload.staff_id)
        .join(Assignment, Assignment.household_id == Caseload.household_id)
        .join(Visit, Visit.household_id == Caseload.household_id)
        .where(
            Visit.id == check.visit_id,
            Visit.state == "accepted",
            Visit.kind.in_(CARRIED_KINDS),
            Caseload.revoked_at.is_(None),
            Assignment.state == "open",
            Assignment.kind.in_(CARRIED_KINDS),
        )
    )


async def _blind_checklist(session: AsyncSession, first: Visit) -> ChecklistTemplate:
    """Return the first visit's checklist version under the kind `spot_check`, published on first use."""
    original = await session.scalar(
        select(ChecklistTemplate).where(
            ChecklistTemplate.code == first.checklist_code, ChecklistTemplate.version == first.checklist_version
        )
    )
    assert original is not None, "a foreign key guarantees a visit's checklist"
    if original.kind == "spot_check":
        return original
    code = f"again_{original.code}"
    blind = await session.scalar(
        select(ChecklistTemplate).where(ChecklistTemplate.code == code, ChecklistTemplate.version == original.version)
    )
    if blind is None:
        blind = ChecklistTemplate(
            id=new_id(),
            code=code,
            version=original.version,
            kind="spot_check",
            area_code=original.area_code,
            body={**original.body, "code": code, "kind": "spot_check"},
        )
        session.add(blind)
        await session.flush()  # the feed reads it
        await publish_change(session, "checklists", [blind.id])
    return blind


async def _grant_caseload(
    session: AsyncSession, caller: Caller, household_id: UUID, people: set[UUID], now: datetime
) -> list[str]:
    current = set(
        await session.scalars(
            select(Caseload.staff_id).where(Caseload.household_id == household_id, Caseload.revoked_at.is_(None))
        )
    )
    grants = [
        Caseload(id=new_id(), household_id=household_id, staff_id=person, granted_by=caller.id, granted_at=now)
        for person in sorted(people - current)
    ]
    session.add_all(grants)
    await session.flush()  # the feed reads who has the household
    return [str(grant.id) for grant in grants]


async def _publish_assignment(session: AsyncSession, assignment: Assignment, area_code: str, people: set[UUID]) -> None:
    """Send the household and the assignment to the team's phones alone, and notify them."""
    await publish_change(session, "households", [assignment.household_id])
    for person in sorted(people):
        await publish_to(session, person, "assignments", [str(assignment.id)])
    await notify_holders(session, assignment, area_code)


async def revoke_grants(session: AsyncSession, check: SpotCheck, household_id: UUID, now: datetime) -> None:
    """Revoke the team's access to the household, which removes it from their phones."""
    await session.execute(
        update(Caseload)
        .where(Caseload.id.in_([UUID(grant_id) for grant_id in check.grants]), Caseload.revoked_at.is_(None))
        .values(revoked_at=now, revoke_reason="spot_check")
    )
    await publish_change(session, "households", [household_id], reason="spot_check")
