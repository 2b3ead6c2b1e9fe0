"""Who may release an export of everything: another person in fact, of whom one answers for the county's homes.

An administrator reads no household, and makes accounts. So two administrators don't suffice, and nobody suffices with
an account that the other has made, given its role or opened by a link.
"""

from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, and_, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit.actions import Action
from server.core.access import Caller, Role
from server.core.errors import Problem
from server.models.audit import AuditEntry
from server.models.packages import EXPORTERS, AreaExport
from server.models.people import StaffRole


async def require_second_person(session: AsyncSession, caller: Caller, export: AreaExport, today: date) -> None:
    """Raise `package.second_person`, `package.county_officer` or `package.made_by_other`.

    Whoever stands in for the proposer was refused before.
    """
    proposer = export.proposed_by
    if await _stands_in(session, proposer, caller.id, today):
        raise Problem("package.second_person")
    if not await _is_county_officer(session, (caller.id, proposer), export.area_code, today):
        raise Problem("package.county_officer")
    if await _has_made(session, caller.id, proposer) or await _has_made(session, proposer, caller.id):
        raise Problem("package.made_by_other")


def _is_held(today: date) -> ColumnElement[bool]:
    return and_(StaffRole.revoked_at.is_(None), or_(StaffRole.ends_on.is_(None), StaffRole.ends_on >= today))


async def _stands_in(session: AsyncSession, deputy: UUID, staff_id: UUID, today: date) -> bool:
    query = select(StaffRole.id).where(StaffRole.staff_id == deputy, StaffRole.deputy_for == staff_id, _is_held(today))
    return await session.scalar(query.limit(1)) is not None


async def _is_county_officer(session: AsyncSession, people: tuple[UUID, UUID], area: str, today: date) -> bool:
    query = select(StaffRole.id).where(
        StaffRole.staff_id.in_(people),
        StaffRole.role == Role.COUNTY_OFFICER,
        literal(area).startswith(StaffRole.area_code),
        _is_held(today),
    )
    return await session.scalar(query.limit(1)) is not None


async def _has_made(session: AsyncSession, maker: UUID, staff_id: UUID) -> bool:
    """Say whether the trail names one person for the account, an exporting role or a sign-in link of the other."""
    role_granted = and_(
        AuditEntry.action == Action.STAFF_ROLE_GRANTED, AuditEntry.facts["role"].astext.in_(sorted(EXPORTERS))
    )
    query = select(AuditEntry.id).where(
        AuditEntry.thing_kind == "staff",
        AuditEntry.thing_id == str(staff_id),
        AuditEntry.actor_id == maker,
        or_(AuditEntry.action.in_([Action.STAFF_CREATED, Action.STAFF_LINK_MADE]), role_granted),
    )
    return await session.scalar(query.limit(1)) is not None
