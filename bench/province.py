"""Fill the tables with a province by SQL: 100 counties, 25,000 villages, 200,000 homes, a million visits.

Everything is invented and derived from row numbers, so that every run measures the same province. Foreign keys are
off meanwhile; every row references existing rows.
"""

import time
from typing import NamedTuple

import psycopg

from server.demo.staff import DEMO_PASSWORDS

PROVINCE = "99"
COUNTIES, TOWNS, VILLAGES = 100, 10, 25
HOMES, CASEWORKERS, REVIEWERS = 200_000, 30, 32
# The visits are spread over a year, so that a month has a twelfth of them.
DAYS = 365
# Up to so many visits are written with the indexes in place.
FEW = 100_000
REVIEWER_PASSWORD = DEMO_PASSWORDS["supervisor"]


class FillResult(NamedTuple):
    visits: int
    seconds: float


def fill(connection: "psycopg.Connection", visits: int, *, waiting: bool = True) -> FillResult:
    """Fill the province up to a number of visits. With `waiting` all await review, else all but a tenth are decided."""
    started = time.perf_counter()
    connection.execute("SET session_replication_role = replica")
    connection.execute("SET synchronous_commit = off")
    connection.execute("SET maintenance_work_mem = '512MB'")
    if connection.execute("SELECT 1 FROM area WHERE code = %s", (PROVINCE,)).fetchone() is None:
        for statement in _PLACES:
            connection.execute(statement)
    existing = connection.execute(f"SELECT count(*) FROM visit WHERE area_code LIKE '{PROVINCE}%'").fetchone()
    assert existing is not None
    indexes = _drop_indexes(connection) if visits - existing[0] > FEW else []
    for statement in _VISITS:
        connection.execute(statement.format(first=existing[0], last=visits - 1, waiting=waiting))
    for statement in indexes:
        connection.execute(statement)
    connection.execute(_COUNTS)
    _sum_months(connection)
    connection.execute("SET session_replication_role = origin")
    connection.execute(
        "VACUUM (ANALYZE) queue_count, visit, visit_investigator, review_item, visit_tally, finding, decision"
    )
    connection.execute("VACUUM (ANALYZE) seen_fix, household, caseload, assignment, area, staff, staff_role, device")
    return FillResult(visits, time.perf_counter() - started)


def _sum_months(connection: "psycopg.Connection") -> None:
    connection.execute("TRUNCATE visit_month")
    connection.execute(_MONTHS)
    connection.execute("VACUUM (ANALYZE) visit_month")


_MONTHS = """
INSERT INTO visit_month (level, month, area_code, bucket, visits, late, returned)
SELECT level, date_trunc('month', visited_on), left(county_code, level), decided_bucket(decided_after_s),
    count(*), sum(is_late::int), sum(is_returned::int)
FROM visit_tally CROSS JOIN (VALUES (4), (6)) levels (level) GROUP BY 1, 2, 3, 4
"""

# The triggers, which are off here, would write these counts.
_COUNTS = """
WITH deleted AS (DELETE FROM queue_count)
INSERT INTO queue_count (county_code, kind, gravest, finding_codes, items)
SELECT left(area_code, 6), kind, gravest, finding_codes, count(*) FROM review_item
WHERE state IN ('waiting', 'claimed') GROUP BY 1, 2, 3, 4
"""


def _drop_indexes(connection: "psycopg.Connection") -> list[str]:
    """Drop the indexes, since building them at the end takes a third of the time; return their definitions."""
    rows = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = ANY(ARRAY['visit', 'review_item', 'visit_tally', 'seen_fix', 'finding']::regclass[])"
        " AND NOT indisunique"
    ).fetchall()
    for name, _ in rows:
        connection.execute(f"DROP INDEX {name}")
    return [definition for _, definition in rows]


def reviewer_login(number: int) -> str:
    """Return the login of a reviewer of the province."""
    return f"reviewer{number}"


_COUNTY = "'99' || lpad((1 + c / 10)::text, 2, '0') || lpad((1 + c % 10)::text, 2, '0')"
_TOWN = f"{_COUNTY} || '1' || lpad(t::text, 2, '0')"
_VILLAGE = f"{_TOWN} || '2' || lpad(v::text, 2, '0')"
_NOW = "timestamptz '2026-11-20 12:00+08'"

_PLACES = [
    "INSERT INTO area (code, name) VALUES ('99', '试省')",
    "INSERT INTO area (code, name, parent_code) SELECT '99' || lpad(c::text, 2, '0'), '试市' || c, '99'"
    " FROM generate_series(1, 10) c",
    f"INSERT INTO area (code, name, parent_code) SELECT {_COUNTY}, '试县' || c, left({_COUNTY}, 4)"
    f" FROM generate_series(0, {COUNTIES - 1}) c",
    f"INSERT INTO area (code, name, parent_code) SELECT {_TOWN}, '试镇' || t, {_COUNTY}"
    f" FROM generate_series(0, {COUNTIES - 1}) c, generate_series(0, {TOWNS - 1}) t",
    f"INSERT INTO area (code, name, parent_code) SELECT {_VILLAGE}, '试村' || v, {_TOWN}"
    f" FROM generate_series(0, {COUNTIES - 1}) c, generate_series(0, {TOWNS - 1}) t,"
    f" generate_series(0, {VILLAGES - 1}) v",
    # The village is derived from the number of the home.
    f"""INSERT INTO household (id, number, area_code, head_name, address, latitude, longitude, datum, class,
        relative_on_staff)
    SELECT md5('home' || n)::uuid, 'P-' || n, {_VILLAGE}, '户主' || n, n || '号', 28 + v * 0.01 + n % 97 * 1e-4,
        118 + c * 0.01 + n % 89 * 1e-4, 'wgs84', 'B', false
    FROM (SELECT n, n % {COUNTIES} AS c, n / {COUNTIES} % {TOWNS} AS t,
        n / {COUNTIES * TOWNS} % {VILLAGES} AS v FROM generate_series(0, {HOMES - 1}) n) numbered""",
    f"""INSERT INTO staff (id, login, name, password_hash)
    SELECT md5('worker' || c || '-' || k)::uuid, 'worker' || c || '-' || k, '专干' || c || '-' || k, NULL
    FROM generate_series(0, {COUNTIES - 1}) c, generate_series(0, {CASEWORKERS - 1}) k""",
    f"""INSERT INTO staff_role (id, staff_id, role, area_code)
    SELECT uuidv7(), md5('worker' || c || '-' || k)::uuid, 'caseworker', {_COUNTY}
    FROM generate_series(0, {COUNTIES - 1}) c, generate_series(0, {CASEWORKERS - 1}) k""",
    f"""INSERT INTO device (id, staff_id, label, platform, app_version)
    SELECT md5('phone' || c || '-' || k)::uuid, md5('worker' || c || '-' || k)::uuid, 'phone', 'bench', '1'
    FROM generate_series(0, {COUNTIES - 1}) c, generate_series(0, {CASEWORKERS - 1}) k""",
    f"""INSERT INTO staff (id, login, name, password_hash)
    SELECT md5('reviewer' || n)::uuid, 'reviewer' || n, '督查' || n, (
        SELECT password_hash FROM staff s JOIN staff_role r ON r.staff_id = s.id WHERE r.role = 'supervisor' LIMIT 1)
    FROM generate_series(0, {REVIEWERS - 1}) n""",
    f"""INSERT INTO staff_role (id, staff_id, role, area_code)
    SELECT uuidv7(), md5('reviewer' || n)::uuid, 'supervisor', '99' FROM generate_series(0, {REVIEWERS - 1}) n""",
    f"""INSERT INTO caseload (id, household_id, staff_id)
    SELECT uuidv7(), md5('home' || n)::uuid, md5('worker' || n % {COUNTIES} || '-' || n / {COUNTIES} %
        {CASEWORKERS})::uuid
    FROM generate_series(0, {HOMES - 1}) n""",
    # Reviews for a sixth of the homes, due in the next two months or overdue.
    f"""INSERT INTO assignment (id, household_id, area_code, kind, due_on, checklist_code, checklist_version, state)
    SELECT uuidv7(), h.id, h.area_code, 'review', date '2026-11-10' + n / 6 % 70, c.code, c.version, 'open'
    FROM generate_series(0, {HOMES - 1}, 6) n JOIN household h ON h.id = md5('home' || n)::uuid,
        (SELECT code, version FROM checklist_template WHERE kind = 'review' LIMIT 1) c""",
]

# Visit n: its home, its author (who holds that home), its minute. A third have a finding.
_SHAPE = f"""
CREATE TEMP TABLE fresh ON COMMIT PRESERVE ROWS AS
SELECT n, uuidv7() AS id, md5('home' || n % {HOMES})::uuid AS household_id,
    '99' || lpad((1 + n % {COUNTIES} / 10)::text, 2, '0') || lpad((1 + n % {COUNTIES} % 10)::text, 2, '0') || '1' ||
        lpad((n / {COUNTIES} % {TOWNS})::text, 2, '0') || '2' ||
        lpad((n % {HOMES} / {COUNTIES * TOWNS} % {VILLAGES})::text, 2, '0') AS area_code,
    n % {COUNTIES} || '-' || n % {HOMES} / {COUNTIES} % {CASEWORKERS} AS author,
    {_NOW} - (n * 7919::bigint %% ({DAYS} * 1440)) * interval '1 minute' AS started_at,
    n % 3 = 0 AS has_finding
FROM generate_series({{first}}, {{last}}) n"""

_VISITS = [
    _SHAPE.replace("%%", "%"),
    "SET work_mem = '256MB'",
    """INSERT INTO visit (id, household_id, area_code, kind, checklist_code, checklist_version, author_id, device_id,
        state, mode, started_at, ended_at, document, content_hash, received_at, submitted_at, complete_at, receipt,
        late_after_reassignment)
    SELECT f.id, household_id, area_code, 'review', c.code, c.version, md5('worker' || author)::uuid,
        md5('phone' || author)::uuid, CASE WHEN {waiting} OR n % 10 = 0 THEN 'under_review' ELSE 'accepted' END,
        'in_person', started_at, started_at + interval '35 minutes',
        '{{"answers": {{"lives_here": true}}, "photos": []}}', repeat('0', 64), started_at + interval '1 hour',
        started_at + interval '1 hour', started_at + interval '1 hour', 'receipt', false
    FROM fresh f, (SELECT code, version FROM checklist_template WHERE kind = 'review' LIMIT 1) c""",
    """INSERT INTO visit_investigator (visit_id, staff_id) SELECT id, md5('worker' || author)::uuid FROM fresh""",
    """INSERT INTO review_item (visit_id, area_code, kind, household_id, author_id, finding_codes, gravest, state,
        priority, entered_at, version)
    SELECT id, area_code, 'review', household_id, md5('worker' || author)::uuid,
        CASE WHEN has_finding THEN '{{visit.too_short}}'::text[] ELSE '{{}}' END,
        CASE WHEN has_finding THEN 1 ELSE -1 END,
        CASE WHEN {waiting} OR n % 10 = 0 THEN 'waiting' ELSE 'decided' END, CASE WHEN has_finding THEN n % 40 ELSE 0 END,
        started_at + interval '1 hour', 1
    FROM fresh""",
    """INSERT INTO finding (id, visit_id, code, severity, facts, settled_as, area_code, visited_on)
    SELECT uuidv7(), id, 'visit.too_short', 'notice', '{{"minutes": 4, "leastMinutes": 8}}',
        CASE WHEN {waiting} THEN NULL WHEN n % 2 = 0 THEN 'upheld' ELSE 'dismissed' END, area_code,
        (started_at AT TIME ZONE 'Asia/Shanghai')::date
    FROM fresh WHERE has_finding""",
    """INSERT INTO decision (id, visit_id, reviewer_id, outcome, reason, questioned, decided_at)
    SELECT uuidv7(), id, md5('reviewer' || n % 32)::uuid, CASE WHEN n % 20 = 1 THEN 'returned' ELSE 'accepted' END,
        '', '[]', started_at + interval '1 hour' + (n * 31 % 20000) * interval '1 minute'
    FROM fresh WHERE NOT {waiting} AND n % 10 <> 0""",
    """INSERT INTO visit_tally (visit_id, county_code, area_code, author_id, visited_on, is_late, is_returned,
        decided_after_s)
    SELECT id, left(area_code, 6), area_code, md5('worker' || author)::uuid,
        (started_at AT TIME ZONE 'Asia/Shanghai')::date, false, NOT {waiting} AND n % 20 = 1,
        CASE WHEN {waiting} OR n % 10 = 0 THEN NULL ELSE n * 31 % 20000 * 60 END
    FROM fresh""",
    """INSERT INTO seen_fix (visit_id, staff_id, moment, household_id, area_code, latitude, longitude, datum, accuracy_m,
        captured_at)
    SELECT id, md5('worker' || author)::uuid, 'start', household_id, area_code, 28 + n % 997 * 1e-3,
        118 + n % 991 * 1e-3, 'gcj02', 8, started_at
    FROM fresh""",
    "DROP TABLE fresh",
]


def decide_most(connection: "psycopg.Connection") -> None:
    """Decide nine visits of ten in the tables that the overview reads: tallies, findings and decisions."""
    connection.execute("SET session_replication_role = replica")
    indexes = _drop_indexes(connection)
    for statement in _DECIDE:
        connection.execute(statement)
    for statement in indexes:
        connection.execute(statement)
    _sum_months(connection)
    connection.execute("SET session_replication_role = origin")
    connection.execute("VACUUM (ANALYZE) visit_tally, finding, decision")


_DECIDE = [
    # Random numbers from the last digits of the ids.
    "CREATE TEMP TABLE decided AS SELECT visit_id, ('x' || right(visit_id::text, 6))::bit(24)::int AS dice"
    " FROM visit_tally",
    "DELETE FROM decided WHERE dice % 10 = 0",
    """UPDATE visit_tally t SET is_returned = dice % 20 = 1, decided_after_s = dice % 20000 * 60
    FROM decided s WHERE s.visit_id = t.visit_id""",
    """INSERT INTO decision (id, visit_id, reviewer_id, outcome, reason, questioned, decided_at)
    SELECT uuidv7(), v.id, md5('reviewer' || dice % 32)::uuid, CASE WHEN dice % 20 = 1 THEN 'returned' ELSE 'accepted' END,
        '', '[]', v.received_at + dice % 20000 * interval '1 minute'
    FROM decided s JOIN visit v ON v.id = s.visit_id""",
    """UPDATE finding f SET settled_as = CASE WHEN dice % 3 = 1 THEN 'upheld' ELSE 'dismissed' END
    FROM decided s WHERE s.visit_id = f.visit_id""",
]
