"""What follows a village to its new code: households and what is under way there, roles, settings, phones.

Decided amounts, visits, tallies and postings are not touched: they happened under the old code.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import FIELD_ROLES
from server.core.ids import new_id
from server.households.groups import end_groups, take_groups_along
from server.households.versions import keep_first_version, keep_version
from server.models.areas import Area, AreaChange, PolicySetting
from server.models.cases import CaseFile
from server.models.checklists import ChecklistTemplate
from server.models.complaints import Complaint
from server.models.found_figures import FoundFigure
from server.models.grace import GraceEnd
from server.models.households import Assignment, Household
from server.models.people import StaffRole
from server.models.proofs import PeriodicProof
from server.models.workload import BlockedVisit
from server.sync_feed.publish import publish_change, publish_to

_ENDED_CASES = ("stopped", "refused", "withdrawn")


async def move_village(session: AsyncSession, change: AreaChange, now: datetime) -> int:
    """Move everything and end the old code. Return how many households followed."""
    area = await session.get_one(Area, change.from_code, with_for_update=True)
    if await session.get(Area, change.to_code) is None:
        session.add(
            Area(
                code=change.to_code,
                name=change.to_name,
                parent_code=change.to_code[:9],
                valid_from=change.effective_on,
            )
        )
        await session.flush()  # households, cases and the old code refer to it
    area.valid_until, area.successor_code = change.effective_on, change.to_code
    ids = await _move_households(session, change, now)
    await end_groups(session, change.from_code, change.effective_on)
    await _move_what_is_under_way(session, change)
    await _move_roles(session, change, now)
    if change.kind == "moved":
        await _copy_settings(session, change)
        await session.execute(
            update(ChecklistTemplate)
            .where(ChecklistTemplate.area_code == change.from_code)
            .values(area_code=change.to_code)
        )
    due = await session.scalars(
        select(Assignment.id).where(Assignment.household_id.in_(ids), Assignment.state == "open")
    )
    await publish_change(session, "households", ids)
    await publish_change(session, "assignments", list(due))
    return len(ids)


async def _move_households(session: AsyncSession, change: AreaChange, now: datetime) -> list[UUID]:
    households = list(
        await session.scalars(
            select(Household).where(Household.area_code == change.from_code).order_by(Household.id).with_for_update()
        )
    )
    for household in households:
        await keep_first_version(session, household, now)
    from_name = (await session.get_one(Area, change.from_code)).name
    await take_groups_along(session, change.from_code, from_name, change.to_code, households)
    for household in households:
        household.area_code, household.updated_at = change.to_code, now
    await session.flush()  # versions are read from the tables
    for household in households:
        await keep_version(session, None, household, "区划调整", now)
    return [household.id for household in households]


async def _move_what_is_under_way(session: AsyncSession, change: AreaChange) -> None:
    """Officers of the new area act on what is open. Whatever is decided keeps the code under which it was."""
    is_open: tuple[tuple[Any, Any], ...] = (
        (CaseFile, CaseFile.state.not_in(_ENDED_CASES)),
        (Complaint, Complaint.state != "decided"),
        (FoundFigure, (FoundFigure.state == "current") & FoundFigure.verdict.is_(None)),
        (BlockedVisit, BlockedVisit.ended_at.is_(None)),
        (PeriodicProof, PeriodicProof.received_on.is_(None) & PeriodicProof.closed_at.is_(None)),
        (GraceEnd, GraceEnd.settled_at.is_(None)),
    )
    for model, condition in is_open:
        await session.execute(
            update(model).where(model.area_code == change.from_code, condition).values(area_code=change.to_code)
        )


async def _move_roles(session: AsyncSession, change: AreaChange, now: datetime) -> None:
    """End the roles of the old code and grant them for the new one, until the same last day."""
    rows = await session.scalars(
        select(StaffRole)
        .where(StaffRole.area_code == change.from_code, StaffRole.revoked_at.is_(None))
        .with_for_update()
    )
    held = set(
        await session.execute(
            select(StaffRole.staff_id, StaffRole.role, StaffRole.deputy_for)
            .where(StaffRole.area_code == change.to_code, StaffRole.revoked_at.is_(None))
        )
    )  # fmt: skip
    for row in list(rows):
        row.revoked_at = now
        _record_role(session, Action.STAFF_ROLE_REVOKED, row, change.from_code)
        if (row.staff_id, row.role, row.deputy_for) in held:
            continue
        granted = StaffRole(
            staff_id=row.staff_id, role=row.role, area_code=change.to_code, ends_on=row.ends_on,
            deputy_for=row.deputy_for,
        )  # fmt: skip
        session.add(granted)
        _record_role(session, Action.STAFF_ROLE_GRANTED, granted, change.to_code)
        if row.role in FIELD_ROLES:
            await _send_checklists(session, row.staff_id, change.to_code)


def _record_role(session: AsyncSession, action: Action, row: StaffRole, area_code: str) -> None:
    audit.record(session, None, action, "staff", row.staff_id, area_code=area_code, role=row.role)


async def _send_checklists(session: AsyncSession, staff_id: UUID, area_code: str) -> None:
    """Send the checklists of the new town, which were published before."""
    reach = or_(
        literal(area_code).startswith(ChecklistTemplate.area_code), ChecklistTemplate.area_code.startswith(area_code)
    )
    ids = await session.scalars(select(ChecklistTemplate.id).where(reach, ChecklistTemplate.retired_at.is_(None)))
    await publish_to(session, staff_id, "checklists", [str(checklist_id) for checklist_id in ids])


async def _copy_settings(session: AsyncSession, change: AreaChange) -> None:
    """Copy the village's own settings with their days: a case is judged by those of its first day."""
    rows = await session.scalars(select(PolicySetting).where(PolicySetting.area_code == change.from_code))
    for row in list(rows):
        session.add(
            PolicySetting(
                id=new_id(),
                key=row.key,
                area_code=change.to_code,
                effective_from=row.effective_from,
                value=row.value,
                source=row.source,
                written_at=row.written_at,
                written_by=row.written_by,
                agreed_by=row.agreed_by,
            )
        )
