"""The self-check of a running system: rights, keys, store, addresses, clocks, jobs, backup, audit trail.

Each check says what it saw and, where something is wrong, what to do. It changes nothing; of the store it writes and
removes one small object.
"""

import os
import stat
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import StoreError
from server import audit
from server.audit.horizon import BAD_S, Horizon, load_horizon
from server.audit.verify import find_end_faults
from server.cli.reseal import count_unbound
from server.cli.selfcheck_lines import Level, Line, judge_clock
from server.cli.selfcheck_store import check_store
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.keys import read_ring
from server.core.services import Services, open_services
from server.core.settings import PREFIX, SECRETS, Settings
from server.core.tokens import StatementError, StatementKind, verify_statement
from server.core.working_days import Overrides, day_of, known_until
from server.policy.resolver import load_overrides

BACKUP_WARN, BACKUP_BAD = timedelta(hours=26), timedelta(days=7)
# Characters of a token that nobody guesses.
SHORTEST_TOKEN = 16
# The longest deadline is 60 working days, about three months.
CALENDAR_WARN = timedelta(days=120)
CALENDAR_ADVICE = "import the State Council's holidays of the next year at the desk (导入, 节假日安排)"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


async def run_selfcheck(settings: Settings, environ: Mapping[str, str]) -> list[Line]:
    lines = [*check_keys(settings), *check_key_files(environ), *check_addresses(settings)]
    lines += [check_metrics(settings), check_backup(settings), check_wechat_push(settings)]
    async with open_services(settings) as services:
        try:
            async with open_session(services.sessions) as session:
                lines += [line async for line in check_database(session, settings)]
                lines += [line async for line in check_jobs(session)]
                lines += [line async for line in check_audit_head(session, services)]
                lines.append(judge_calendar(utc_now(), await load_overrides(session)))
            lines.append(judge_horizon(await load_horizon(services.autocommit)))
        except (SQLAlchemyError, psycopg.Error) as error:
            lines.append(Line("database", "bad", f"no answer: {type(error).__name__}", "see the address and the roles"))
        try:
            lines += [line async for line in check_store(services.store)]
        except StoreError as error:
            lines.append(Line("store", "bad", f"no answer: {type(error).__name__}", "see ZOUFANG_S3_… and its log"))
    return lines


# -- the database


_RIGHTS = """
SELECT current_user AS name, rolsuper AS is_superuser,
    EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND pg_has_role(tableowner, 'MEMBER')) AS owns,
    has_table_privilege('audit_entry', 'UPDATE') OR has_table_privilege('audit_entry', 'DELETE')
        OR has_table_privilege('audit_entry', 'TRUNCATE') OR has_table_privilege('audit_seal', 'UPDATE')
        OR has_table_privilege('audit_seal', 'DELETE') OR has_table_privilege('audit_seal', 'TRUNCATE') AS rewrites,
    clock_timestamp() AS now
FROM pg_roles WHERE rolname = current_user
"""


async def check_database(session: AsyncSession, settings: Settings) -> AsyncIterator[Line]:
    before = utc_now()
    row = (await session.execute(text(_RIGHTS))).one()
    middle = before + (utc_now() - before) / 2
    advice = "give the application a role of its own: `database-roles`, then `migrate`"
    if row.is_superuser:
        yield Line("database", "bad", f"{row.name} is a superuser", advice)
    elif row.owns:
        yield Line("database", "bad", f"{row.name} owns the tables it writes", advice)
    elif row.rewrites:
        yield Line("database", "bad", f"{row.name} may change the audit trail", "run `migrate` as the owner")
    else:
        yield Line("database", "ok", f"{row.name} owns nothing and can't rewrite the audit trail")
    if settings.admin_database_url:
        yield Line("database", "warn", "the administrator's address is set here", "give it to `database-roles` alone")
    yield judge_clock("database", row.now - middle)
    unbound = await count_unbound(session)
    if unbound:
        yield Line("sealed values", "bad", f"{unbound} are bound to no row", "run `reseal`")
    elif settings.unbound_values == "read":
        yield Line("sealed values", "warn", "all are bound, yet unbound ones are read", "unset ZOUFANG_UNBOUND_VALUES")
    else:
        yield Line("sealed values", "ok", "all are bound to their rows")


_JOBS = """
SELECT (
    SELECT string_agg(number || ' ' || task_name, ', ' ORDER BY number DESC, task_name) FROM (
        SELECT task_name, count(*) AS number FROM procrastinate_jobs WHERE status = 'failed' GROUP BY 1
    ) AS by_task
) AS failed,
    EXISTS (
        SELECT FROM procrastinate_workers WHERE last_heartbeat > clock_timestamp() - interval '1 minute'
    ) AS is_served
"""


async def check_jobs(session: AsyncSession) -> AsyncIterator[Line]:
    row = (await session.execute(text(_JOBS))).one()
    if row.failed:
        advice = "see their errors at the desk (failed jobs), mend the cause and run them again"
        yield Line("jobs", "warn", f"failed for good: {row.failed}", advice)
    else:
        yield Line("jobs", "ok", "none has failed for good")
    if row.is_served:
        yield Line("worker", "ok", "it has sent a heartbeat within a minute")
    else:
        yield Line("worker", "bad", "no heartbeat within a minute", "start `worker`: photos and seals wait for it")


def judge_horizon(horizon: Horizon) -> Line:
    """A transaction that is left open holds back the news of all phones and the sealing of the trail."""
    if not horizon.is_late:
        return Line("open transactions", "ok", "none holds back the news of phones")
    advice = f"end it: SELECT pg_terminate_backend({horizon.pid})" if horizon.pid else "see pg_prepared_xacts"
    level: Level = "bad" if horizon.age_s > BAD_S else "warn"
    return Line("open transactions", level, f"news is held back {horizon.describe()}", advice)


async def check_audit_head(session: AsyncSession, services: Services) -> AsyncIterator[Line]:
    faults = [fault async for fault in find_end_faults(session, utc_now())]
    head = await audit.load_head(session)
    if head is not None and head.signature is not None:
        try:
            verify_statement(StatementKind.AUDIT_SEAL, head.signature, services.audit_signer.public_keys())
        except StatementError as error:
            faults.append(f"seal {head.position} is not signed with this key ({error})")
    for fault in faults:
        yield Line("audit trail", "bad", fault, "run `verify-audit --since` with a head that was kept elsewhere")
    if not faults:
        seen = f"seal {head.position} over {head.total} entries is signed" if head else "nothing was recorded yet"
        yield Line("audit trail", "ok", seen)


def judge_calendar(now: datetime, overrides: Overrides) -> Line:
    """Working days are decreed a year at a time; beyond the last published day every deadline is an estimate."""
    today = day_of(now)
    until = known_until(today, overrides)
    seen = f"working days are known until {until}"
    if until < today:
        return Line("calendar", "bad", f"the working days of {today.year} are not known", CALENDAR_ADVICE)
    if until - today < CALENDAR_WARN:
        return Line("calendar", "warn", seen, CALENDAR_ADVICE)
    return Line("calendar", "ok", seen)


# -- what the settings say


def check_keys(settings: Settings) -> list[Line]:
    rings = {name: read_ring(name, getattr(settings, name)) for name in _RINGS}
    values = [key for ring in rings.values() for key in ring.keys.values()]
    if len(set(values)) < len(values):
        return [Line("keys", "bad", "one key serves two purposes", "draw a key for each, put it first in its ring")]
    if settings.s3_secret_key in {"zoufang-embedded", "minioadmin", settings.s3_access_key}:
        return [Line("keys", "bad", "the store's key is a well-known one", "draw another")]
    return [Line("keys", "ok", f"{len(values)} keys for {len(rings)} purposes, all different")]


_RINGS = ("token_keys", "receipt_keys", "audit_keys", "pii_keys")


def check_key_files(environ: Mapping[str, str]) -> list[Line]:
    """Look at who may read the files of the secrets."""
    lines = []
    for name in sorted(SECRETS):
        path = environ.get(f"{PREFIX}{name.upper()}_FILE")
        if not path:
            continue
        mode = stat.S_IMODE(Path(path).stat().st_mode)
        if mode & stat.S_IRWXO:
            lines.append(Line("keys", "bad", f"everyone may open {path}", f"chmod o-rwx {path}"))
        elif mode & stat.S_IWGRP:
            lines.append(Line("keys", "warn", f"a group may write {path}", f"chmod g-w {path}"))
    return lines


def check_addresses(settings: Settings) -> list[Line]:
    public = {
        "s3_public_endpoint": settings.s3_public_endpoint or settings.s3_endpoint,
        "wechat_base_url": settings.wechat_base_url,
        "map_tiles": settings.map_tiles,
    }
    pairs = [*public.items(), *(("allowed_origins", origin) for origin in settings.allowed_origins.split(","))]
    lines = [
        Line("addresses", "bad", f"{PREFIX}{name.upper()} is {url}, without TLS", "give an https:// address")
        for name, url in pairs
        if url and not url.strip().startswith("https://") and urlsplit(url.strip()).hostname not in LOOPBACK
    ]
    if settings.host not in LOOPBACK and not settings.trusted_proxies:
        advice = "listen on 127.0.0.1 or set ZOUFANG_TRUSTED_PROXIES, and publish the proxy alone"
        lines.append(Line("addresses", "warn", f"the API listens on {settings.host} with no proxy named", advice))
    return lines or [Line("addresses", "ok", "what others reach has TLS or is this machine alone")]


def check_metrics(settings: Settings) -> Line:
    """`/metrics` counts requests by route; who may read it is decided by a token, or by the address."""
    advice = "set ZOUFANG_METRICS_TOKEN to a random value"
    if settings.metrics_token:
        if len(settings.metrics_token) < SHORTEST_TOKEN:
            return Line("metrics", "bad", f"the token has {len(settings.metrics_token)} characters", advice)
        return Line("metrics", "ok", "/metrics asks for its token")
    if settings.host in LOOPBACK and not settings.trusted_proxies:
        seen = "a proxy on this machine that sends no X-Forwarded-For would show /metrics to everybody"
        return Line("metrics", "warn", seen, advice)
    return Line("metrics", "ok", "/metrics answers this machine alone")


def check_wechat_push(settings: Settings) -> Line:
    if settings.wechat_push_token and not settings.wechat_push_key:
        advice = "choose the encrypted mode in WeChat's console and set ZOUFANG_WECHAT_PUSH_KEY"
        return Line("wechat push", "bad", "events are refused: there is a token and no key", advice)
    return Line("wechat push", "ok", "encrypted events are taken" if settings.wechat_push_key else "not set up")


def check_backup(settings: Settings) -> Line:
    """The marker is any file that a backup touches when it has succeeded."""
    if not settings.backup_marker:
        return Line("backup", "warn", "no ZOUFANG_BACKUP_MARKER is set", "let the backup touch a file, name it there")
    try:
        changed_at = datetime.fromtimestamp(os.stat(settings.backup_marker).st_mtime, UTC)  # noqa: PTH116
    except OSError:
        return Line("backup", "bad", f"{settings.backup_marker} is not there", "no backup has succeeded: run one")
    age = utc_now() - changed_at
    seen = f"the last one is {age.total_seconds() / 3600:.0f} h old"
    if age > BACKUP_WARN:
        return Line("backup", "bad" if age > BACKUP_BAD else "warn", seen, "see why it did not run")
    return Line("backup", "ok", seen)
