"""`/health`: liveness and readiness of the process. `/metrics`: metrics for Prometheus."""

import hmac
from functools import cache
from ipaddress import ip_address
from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from media.store import StoreError
from server.core.errors import Problem
from server.core.http import ResponseBody, ServicesDep, client_address, error_responses
from server.core.paths import MIGRATIONS
from server.core.services import Services
from server.http.clock_skew import check_clock
from server.http.figures import check_failed_jobs, check_news, measure, try_check
from server.http.reads import NOTHING_PERSONAL

State = Annotated[str, Meta(description="`ok`, or a short reason")]


class Liveness(ResponseBody):
    status: str


class Readiness(ResponseBody):
    database: State
    migrations: State
    store: State
    # A wrong clock is a warning: the process still answers.
    clock: State
    # Warnings too: `held back for 95 s`, `3 have failed for good`.
    news: State
    jobs: State


@get(
    "/live",
    opt=NOTHING_PERSONAL,
    description="The process answers.",
)
async def is_alive() -> Liveness:
    return Liveness(status="ok")


@get(
    "/ready",
    opt=NOTHING_PERSONAL,
    responses={503: ResponseSpec(Readiness, description="Something is not ready", generate_examples=False)},
    description="Database, migrations and store are there; 503 names what is missing. `clock`, `news` (for how long a "
    "transaction that was left open has held it back) and `jobs` (that failed for good) are warnings alone.",
)
async def is_ready(services: ServicesDep) -> Response[Readiness]:
    database, migrations = await _check_database(services)
    clock, news, failed_jobs = (
        [await try_check(check, services) for check in (check_clock, check_news, check_failed_jobs)]
        if database == "ok"
        else ["unknown"] * 3
    )
    readiness = Readiness(
        database=database,
        migrations=migrations,
        store=await _check_store(services),
        clock=clock,
        news=news,
        jobs=failed_jobs,
    )
    ready = {readiness.database, readiness.migrations, readiness.store} == {"ok"}
    return Response(readiness, status_code=200 if ready else 503)


async def _check_database(services: Services) -> tuple[str, str]:
    try:
        async with services.engine.connect() as connection:
            current = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    except SQLAlchemyError as error:
        missing = "alembic_version" in str(error.__cause__)
        return ("ok", "none has run") if missing else ("can't be reached", "unknown")
    expected = newest_migration()
    return "ok", "ok" if current == expected else f"at {current}, this program needs {expected}"


async def _check_store(services: Services) -> str:
    try:
        await services.store.check()
    except StoreError:
        return "can't be reached"
    return "ok"


@cache
def newest_migration() -> str:
    """Return the highest number in the names of the migration files; a test compares it with Alembic's head.

    Alembic itself would import every migration, which costs 5 MB of memory.
    """
    return max(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("*.py"))


@get(
    "/metrics",
    opt=NOTHING_PERSONAL,
    media_type=CONTENT_TYPE_LATEST,
    tags=["health"],
    responses=error_responses("auth.required"),
    description="Counters of this process, failed jobs and the age of held back news in the text format of Prometheus, "
    "for who sends the token of "
    "`ZOUFANG_METRICS_TOKEN` as `Authorization: Bearer`; without such a token for this machine alone.",
)
async def get_metrics(request: Request[Any, Any, Any], services: ServicesDep) -> bytes:
    if not _may_read_metrics(request, services.settings.metrics_token):
        raise Problem("auth.required")
    await measure(services)
    return generate_latest()


def _may_read_metrics(request: Request[Any, Any, Any], token: str) -> bool:
    if token:
        sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(sent.encode(), token.encode())
    # Behind a proxy on this machine everybody comes from it.
    is_forwarded = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"))
    try:
        return not is_forwarded and ip_address(client_address(request)).is_loopback
    except ValueError:
        return False


router = Router("/health", route_handlers=[is_alive, is_ready], tags=["health"])
