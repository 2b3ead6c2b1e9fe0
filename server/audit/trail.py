"""`record`: one audit entry, in the caller's transaction."""

from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.models.audit import AuditEntry


def record(
    session: AsyncSession,
    caller: Caller | None,
    action: str,
    thing_kind: str,
    thing_id: object,
    *,
    area_code: str | None = None,
    **facts: Any,
) -> None:
    """Write down who did what to what. `facts` hold no personal data: ids, codes, counts, reasons."""
    kind = "system" if caller is None else ("resident" if caller.is_resident else "staff")
    session.add(
        AuditEntry(
            actor_kind=kind,
            actor_id=caller.id if caller else None,
            device_id=caller.device_id if caller else None,
            request_id=structlog.contextvars.get_contextvars().get("request_id"),
            action=action,
            thing_kind=thing_kind,
            thing_id=str(thing_id),
            area_code=area_code,
            facts=facts,
        )
    )
