"""`record`: write one audit entry in the caller's transaction; `audit_cte`: write many inside another statement."""

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit.actions import Action
from server.core.access import Caller
from server.core.clock import utc_now
from server.core.database import is_reading, write_later
from server.core.log import get_context
from server.models.audit import AuditEntry


def record(
    session: AsyncSession,
    caller: Caller | None,
    action: Action,
    thing_kind: str,
    thing_id: object,
    *,
    area_code: str | None = None,
    **facts: Any,
) -> None:
    """Record who did what to what. `facts` hold no personal data: ids, codes, counts, reasons.

    In a reading session the entry waits: it is written by itself after the reading and before the answer leaves.
    """
    params = actor_params(caller)
    values = {
        "at": utc_now(),
        "action": action.value,
        "thing_kind": thing_kind,
        "thing_id": str(thing_id),
        "area_code": area_code,
        "facts": facts | params.pop("acting").obj,
        **params,
    }
    if is_reading(session):
        write_later(session, _INSERT, values | {"facts": Jsonb(values["facts"])})
    else:
        session.add(AuditEntry(**values))


_INSERT = """
INSERT INTO audit_entry
    (at, actor_kind, actor_id, device_id, request_id, action, thing_kind, thing_id, area_code, facts)
VALUES (%(at)s, %(actor_kind)s, %(actor_id)s, %(device_id)s, %(request_id)s, %(action)s, %(thing_kind)s, %(thing_id)s,
    %(area_code)s, %(facts)s)
RETURNING id
"""


def actor_params(caller: Caller | None) -> dict[str, Any]:
    """Return who acts, from which device and in which request; `system` without a caller.

    `acting` are facts of every act of a deputy: whom they stand in for at the time.
    """
    return {
        "actor_kind": "system" if caller is None else "resident" if caller.is_resident else "staff",
        "actor_id": caller.id if caller else None,
        "device_id": caller.device_id if caller else None,
        "request_id": get_context().get("request_id"),
        "acting": Jsonb({"deputy_for": deputy_for} if (deputy_for := list_principals(caller)) else {}),
    }


def list_principals(caller: Caller | None) -> list[str]:
    return [str(person.id) for person in caller.deputy_for] if caller else []


def audit_cte(action: Action | Mapping[str, Action], entries: str) -> str:
    """Return the SQL of a CTE `audit_rows` that records what `record` would record one by one.

    `entries` selects thing_kind, thing_id, area_code and facts; with a mapping, before those the key of the action.
    The statement's parameters include those of `actor_params` and `now`.
    """
    if isinstance(action, Action):
        key, action_sql = "", f"'{action.value}'"
    else:
        cases = " ".join(f"WHEN '{state}' THEN '{by_state.value}'" for state, by_state in action.items())
        key, action_sql = "key, ", f"CASE entries.key {cases} END"
    return f"""audit_rows AS (
    INSERT INTO audit_entry
        (at, actor_kind, actor_id, device_id, request_id, action, thing_kind, thing_id, area_code, facts)
    SELECT %(now)s, %(actor_kind)s, %(actor_id)s::uuid, %(device_id)s::uuid, %(request_id)s, {action_sql},
        entries.thing_kind, entries.thing_id, entries.area_code, entries.facts || %(acting)s::jsonb
    FROM ({entries}) AS entries({key}thing_kind, thing_id, area_code, facts)
)"""  # noqa: S608  `entries` is a constant of the calling module
