"""Load a case that the caller may read, with or without a row lock."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.workflow import OPINIONS
from server.core.access import Caller, Role, readable, require_found
from server.core.errors import Problem
from server.models.cases import CLOSED_STATES, CaseEvent, CaseFile


async def load_case(session: AsyncSession, caller: Caller, case_id: UUID) -> CaseFile:
    """Return the case. Raises `thing.not_found` outside the caller's scope."""
    case: CaseFile = require_found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    return case


async def lock_case(session: AsyncSession, caller: Caller, case_id: UUID) -> CaseFile:
    """Return the case, locked until the transaction ends. Raises `thing.not_found` outside the caller's scope."""
    case: CaseFile = require_found(
        await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id).with_for_update())
    )
    return case


async def lock_open_case(session: AsyncSession, caller: Caller, case_id: UUID) -> CaseFile:
    """Return the locked case. Raises `case.closed` after its application has ended."""
    case = await lock_case(session, caller, case_id)
    if case.state in CLOSED_STATES:
        raise Problem("case.closed", state=case.state)
    return case


def roles_over_case(caller: Caller, case: CaseFile) -> frozenset[Role]:
    """Return the caller's roles over this case, by area or as its resident."""
    if caller.is_resident:
        return frozenset({Role.RESIDENT})
    # A caseworker's scope is their households, not an area: reading the case already proves it.
    return frozenset(
        grant.role
        for grant in caller.grants
        if grant.role is Role.CASEWORKER or case.area_code.startswith(grant.area_code)
    )


async def gave_opinion(session: AsyncSession, caller: Caller, case: CaseFile) -> bool:
    """Say whether the caller gave the case's latest opinion, and may therefore not decide on it, in whatever role.

    Where the county has delegated the decision, or somebody deputises, one person may hold both roles.
    """
    latest = (
        select(CaseEvent.actor_id)
        .where(CaseEvent.case_id == case.id, CaseEvent.step.in_(OPINIONS))
        .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        .limit(1)
    )
    return caller.acts_as(await session.scalar(latest))
