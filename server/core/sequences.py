"""Numbers that people are told: one after the other under a prefix, whoever asks at the same time."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.database import advisory_lock


async def next_number(session: AsyncSession, column: Any, prefix: str, digits: int) -> str:
    """The next number after the highest with this prefix; two at once wait for each other."""
    await advisory_lock(session, prefix)
    last = await session.scalar(select(func.max(column)).where(column.like(prefix + "_" * digits)))
    return f"{prefix}{int(last[len(prefix) :]) + 1 if last else 1:0{digits}d}"
