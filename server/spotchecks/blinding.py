"""Keep a team that is to check a visit blindly from reading it."""

from uuid import UUID

from sqlalchemy import (
    literal,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.errors import Problem
from server.models.review import SpotCheck


async def require_not_blinded(session: AsyncSession, caller: Caller, visit_id: UUID) -> None:
    """Whoever is on the way to check a visit does not read it first. Raises `review.blind`."""
    if await session.scalar(select(literal(visit_id).in_(SpotCheck.hidden_from(caller.id)))):
        raise Problem("review.blind")
