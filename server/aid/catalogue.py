"""The kinds of linked aid, as an area's setting has them: money or goods, unit, fund, causes, whose homes."""

from datetime import date

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.errors import Fault, Problem
from server.policy.resolver import load_policy_values
from server.policy.values import AidCause, AidKind

KINDS = "aid.kinds"


async def list_kinds(session: AsyncSession, area_code: str, on: date) -> list[AidKind]:
    """Return the kinds of an area on a day."""
    settings = await load_policy_values(session, area_code, on, [KINDS])
    return msgspec.convert(settings.get(KINDS, []), list[AidKind])


async def find_kind(session: AsyncSession, area_code: str, code: str, on: date) -> AidKind:
    """Return a kind of the area. Raise `request.invalid`."""
    kind = next((kind for kind in await list_kinds(session, area_code, on) if kind.code == code), None)
    if kind is None:
        raise Problem("request.invalid", faults=[Fault("/kind", "field.invalid", code)])
    return kind


def find_cause(kind: AidKind, code: str | None) -> AidCause | None:
    """Return the cause of a line. Raise `request.invalid` for another, and where a kind with causes has none."""
    if not kind.causes and code is None:
        return None
    cause = next((cause for cause in kind.causes if cause.code == code), None)
    if cause is None:
        raise Problem("request.invalid", faults=[Fault("/cause", "field.invalid", code or "")])
    return cause
