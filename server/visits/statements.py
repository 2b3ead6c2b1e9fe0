"""SQL of pushed visits: one statement reads everything that the checks of a push need, one writes the batch.

Pushes are the busiest requests, and most carry a single visit, so the number of round trips decides their cost.
Both statements reach psycopg unchanged, which prepares them once per connection. The feed and audit rows that WRITE
inserts are those that `publish_change` and `audit.record` would insert one by one.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit.actions import Action
from server.audit.trail import actor_params, audit_cte
from server.checklists.template import Template
from server.core.access import DESK_ROLES, Caller
from server.models.checklists import ChecklistTemplate
from server.sync_feed.publish import feed_cte


class Member(msgspec.Struct, frozen=True):
    id: UUID
    born_on: date
    sex: str
    relation: str


class FieldSettings(msgspec.Struct, frozen=True):
    """What the area of a household believes of a phone's clock."""

    earliest_day: date = msgspec.field(name="field.earliest_day")
    clock_ahead_min: int = msgspec.field(name="field.clock_ahead_min")


class HouseholdState(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """The members and the class of a household in one of its versions; `version` None: as it is."""

    version: int | None
    class_: str | None
    members: list[Member]
    replaced_at: datetime | None = None


class Hold(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """A household that the caller holds, formerly held, or covers by area; the latest of its caseload rows."""

    id: UUID
    area_code: str
    class_: str | None
    # When the caller lost it; None while they hold it or cover its area.
    revoked_at: datetime | None
    members: list[Member]
    settings: FieldSettings
    # The versions before, newest first.
    earlier: list[HouseholdState]


class Stored(msgspec.Struct, frozen=True):
    id: UUID
    author_id: UUID
    # Of the last version the author's phone sent, an unfinished amendment included.
    content_hash: str
    # Of the submitted version that counts.
    sealed_hash: str
    state: str
    # The caller took part in it without being its author.
    is_partner: bool
    # Of the versions that an amendment has replaced.
    earlier_hashes: list[str]


class Context(NamedTuple):
    """Everything that the checks of a batch need."""

    holds: Mapping[UUID, Hold]
    staff: frozenset[UUID]
    checklists: Mapping[tuple[str, int], Template]
    stored: Mapping[UUID, Stored]
    # How far the clock of the caller's phone was ahead at its last pull; zero when it was behind or never said.
    clock_ahead: timedelta
    # Filled while judging, by visit: the version of the household that its answers fit; None: as it is.
    judged_by: dict[UUID, int | None]


class _Read(msgspec.Struct, frozen=True):
    holds: list[Hold]
    staff: list[UUID]
    checklists: list[tuple[str, int]]
    stored: list[Stored]
    clock_ahead_ms: int


# Existing visits are locked in id order, so that two overlapping batches wait instead of deadlocking.
READ = """
WITH stored AS (
    SELECT id, author_id, coalesce(mending_hash, content_hash) AS content_hash, content_hash AS sealed_hash, state,
        EXISTS (SELECT FROM visit_investigator i WHERE i.visit_id = visit.id AND i.staff_id = %(caller)s
                AND i.staff_id <> visit.author_id) AS is_partner,
        ARRAY(SELECT v.content_hash FROM visit_version v WHERE v.visit_id = visit.id) AS earlier_hashes
    FROM visit WHERE id = ANY(%(visits)s) ORDER BY id FOR UPDATE
), held AS (
    SELECT DISTINCT ON (h.id) h.id, h.area_code, h.class,
        CASE WHEN h.area_code ^@ ANY(%(areas)s) THEN NULL ELSE c.revoked_at END AS revoked_at
    FROM household h LEFT JOIN caseload c ON c.household_id = h.id AND c.staff_id = %(caller)s
    WHERE h.id = ANY(%(households)s) AND (c.id IS NOT NULL OR h.area_code ^@ ANY(%(areas)s))
    ORDER BY h.id, c.revoked_at DESC NULLS FIRST
)
SELECT json_build_object(
    'clock_ahead_ms', coalesce((SELECT greatest(clock_offset_ms, 0) FROM device WHERE id = %(device)s), 0),
    'stored', (SELECT coalesce(json_agg(stored), '[]') FROM stored),
    'staff', (SELECT coalesce(json_agg(id), '[]') FROM staff WHERE id = ANY(%(people)s) AND disabled_at IS NULL),
    'checklists', (SELECT coalesce(json_agg(json_build_array(code, version)), '[]')
                   FROM checklist_template WHERE code = ANY(%(codes)s)),
    'holds', (SELECT coalesce(json_agg(json_build_object(
                  'id', id, 'area_code', area_code, 'class', class, 'revoked_at', revoked_at,
                  'earlier', (SELECT coalesce(json_agg(json_build_object(
                                  'version', version, 'class', class, 'replaced_at', replaced_at, 'members', (
                                      SELECT coalesce(json_agg(json_build_object('id', m->>'id', 'born_on',
                                          m->>'bornOn', 'sex', m->>'sex', 'relation', m->>'relation')), '[]')
                                      FROM jsonb_array_elements(members) m))), '[]')
                              FROM (SELECT version, body->>'class' AS class, body->'members' AS members,
                                        lead(at) OVER (ORDER BY version) AS replaced_at
                                    FROM household_version v WHERE v.household_id = held.id
                                    ORDER BY version DESC LIMIT 20) v WHERE replaced_at IS NOT NULL),
                  'settings', (SELECT json_object_agg(key, value) FROM (
                                   SELECT DISTINCT ON (key) key, value FROM area_rule r
                                   WHERE key = ANY(%(settings)s) AND held.area_code ^@ r.area_code
                                   AND effective_from <= %(today)s
                                   ORDER BY key, length(r.area_code) DESC, effective_from DESC) s),
                  'members', (SELECT coalesce(json_agg(json_build_object(
                                  'id', m.id, 'born_on', m.born_on, 'sex', m.sex, 'relation', m.relation)), '[]')
                              FROM household_member m WHERE m.household_id = held.id))), '[]') FROM held)
)::text
"""


async def read_context(
    session: AsyncSession,
    caller: Caller,
    *,
    visits: Collection[UUID],
    households: Collection[UUID],
    people: Collection[UUID],
    codes: Collection[str],
    today: date,
) -> Context:
    connection = await session.connection()
    result = await connection.exec_driver_sql(
        READ,
        {
            "visits": list(visits),
            "households": list(households),
            "people": list(people),
            "codes": list(codes),
            "caller": caller.id,
            "device": caller.device_id,
            "settings": ["field.earliest_day", "field.clock_ahead_min"],
            "today": today,
            "areas": caller.prefixes(DESK_ROLES),
        },
    )
    read = msgspec.json.decode(result.scalar_one(), type=_Read)
    return Context(
        holds={hold.id: hold for hold in read.holds},
        staff=frozenset(read.staff),
        checklists=await _templates(session, read.checklists),
        stored={visit.id: visit for visit in read.stored},
        clock_ahead=timedelta(milliseconds=read.clock_ahead_ms),
        judged_by={},
    )


# A published version never changes, so each process reads it once.
_TEMPLATES: dict[tuple[str, int], Template] = {}


async def _templates(session: AsyncSession, versions: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], Template]:
    missing = {code for code, version in versions if (code, version) not in _TEMPLATES}
    if missing:
        rows = await session.scalars(select(ChecklistTemplate).where(ChecklistTemplate.code.in_(missing)))
        for checklist in rows:
            _TEMPLATES[checklist.code, checklist.version] = msgspec.convert(checklist.body, Template)
    return {key: _TEMPLATES[key] for key in versions}


COLUMNS = {
    "id": "uuid",
    "household_id": "uuid",
    "assignment_id": "uuid",
    "area_code": "text",
    "kind": "text",
    "checklist_code": "text",
    "checklist_version": "int",
    "author_id": "uuid",
    "device_id": "uuid",
    "state": "text",
    "mode": "text",
    "started_at": "timestamptz",
    "ended_at": "timestamptz",
    "document": "jsonb",
    "content_hash": "text",
    "received_at": "timestamptz",
    "submitted_at": "timestamptz",
    "household_version": "int",
    "receipt": "text",
    "late_after_reassignment": "boolean",
    "typed_by": "uuid",
    "updated_at": "timestamptz",
}
_TYPED = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
_NAMES = ", ".join(COLUMNS)
# An amendment by phone leaves it a visit from paper.
_CHANGED = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in {"id", "typed_by"})

_WRITE_FEED = feed_cte("""
    SELECT t.staff_id, 'visits', t.visit_id::text
    FROM (SELECT id AS visit_id, %(actor_id)s::uuid AS staff_id FROM written
          UNION SELECT p.visit_id, p.staff_id FROM jsonb_to_recordset(%(people)s) AS p(visit_id uuid, staff_id uuid)
          JOIN written ON written.id = p.visit_id) t""")
_WRITE_AUDIT = audit_cte(
    {
        "draft": Action.VISIT_SAVED,
        "discarded": Action.VISIT_SAVED,
        "submitted": Action.VISIT_SUBMITTED,
        "amended": Action.VISIT_AMENDED,
    },
    """
    SELECT rows.state, 'visit', rows.id::text, rows.area_code, jsonb_build_object('sha256', rows.content_hash)
    FROM rows JOIN written USING (id)""",
)
# An existing row is overwritten only when the caller has read it (`seen`): one that a concurrent request wrote in the
# meantime stays unchanged and is missing from the result.
WRITE = f"""
WITH rows AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s) AS r({_TYPED})
), written AS (
    INSERT INTO visit ({_NAMES}) SELECT {_NAMES} FROM rows
    ON CONFLICT (id) DO UPDATE SET {_CHANGED} WHERE visit.id = ANY(%(seen)s)
    RETURNING id
), investigators AS (
    INSERT INTO visit_investigator (visit_id, staff_id)
    SELECT p.visit_id, p.staff_id
    FROM jsonb_to_recordset(%(people)s) AS p(visit_id uuid, staff_id uuid) JOIN written ON written.id = p.visit_id
    ON CONFLICT DO NOTHING
), {_WRITE_FEED}, {_WRITE_AUDIT}
SELECT id, EXISTS (SELECT FROM attestation a WHERE a.visit_id = written.id) AS attested FROM written
"""  # noqa: S608  the names are the constants above


async def write_visits(
    session: AsyncSession,
    caller: Caller,
    rows: Sequence[dict[str, Any]],
    *,
    people: Sequence[tuple[UUID, UUID]],
    seen: Collection[UUID],
    now: datetime,
) -> dict[UUID, bool]:
    """Write visits with their investigators, feed rows and audit entries.

    `rows` hold the columns of COLUMNS, `people` pairs of visit and investigator. Return, by id of the visits written,
    whether anybody has attested it yet; an id that is missing was written by someone else since `read_context`.
    """
    connection = await session.connection()
    result = await connection.exec_driver_sql(
        WRITE,
        {
            "rows": _json(rows),
            "people": _json([{"visit_id": visit, "staff_id": staff} for visit, staff in people]),
            "seen": list(seen),
            "now": now,
            **actor_params(caller),
        },
    )
    return {row.id: row.attested for row in result}


def _json(rows: Sequence[dict[str, Any]]) -> Jsonb:
    return Jsonb(rows, dumps=msgspec.json.encode)
