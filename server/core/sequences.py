"""Sequential numbers for people, such as application numbers, counted separately for each prefix."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.database import advisory_lock


async def next_number(session: AsyncSession, column: Any, prefix: str, digits: int) -> str:
    """Return the number after the highest with this prefix. Concurrent callers wait for each other's transaction."""
    await advisory_lock(session, prefix)
    last = await session.scalar(select(func.max(column)).where(column.like(prefix + "_" * digits)))
    return f"{prefix}{int(last[len(prefix) :]) + 1 if last else 1:0{digits}d}"
