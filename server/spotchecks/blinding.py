"""Blinding: a team that is to check a visit may not read it."""

from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.errors import Problem
from server.models.review import SpotCheck


async def require_not_blinded(session: AsyncSession, caller: Caller, visit_id: UUID) -> None:
    """Raise `review.blind` when the caller, or somebody they stand in for, is assigned to check this visit."""
    if await session.scalar(select(literal(visit_id).in_(SpotCheck.blinded_visits_of(caller)))):
        raise Problem("review.blind")
