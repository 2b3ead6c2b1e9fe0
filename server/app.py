"""The composition root: the only file, beside the command line, that sees every room."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from litestar import Litestar, MediaType, Request
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins.prometheus import PrometheusConfig
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from sqlalchemy.ext.asyncio import AsyncSession

import field_api.routes
import field_api.uploads.routes
import field_api.uploads.tus
import server.benefits.routes
import server.cases.change_report_routes
import server.cases.event_handlers
import server.cases.routes
import server.complaints.routes
import server.crosschecks.routes
import server.directory.routes
import server.evidence.routes
import server.households.caseload_routes
import server.households.proposals
import server.households.routes
import server.identity.routes
import server.notifications.routes
import server.photos.watermarks
import server.policy.routes
import server.postings.routes
import server.public_site.routes
import server.residents.desk_routes
import server.residents.routes
import server.review.checks.registry
import server.review.overview_routes
import server.review.routes
import server.spotchecks.outcomes
import server.spotchecks.routes
import server.workload.routes
import server.workload.schedule
from server.core.access import DESK_ROLES, FIELD_ROLES, Caller, Role, require_role
from server.core.database import open_session
from server.core.log import bind_context, clear_context, log
from server.core.services import Services, open_services
from server.core.settings import Settings
from server.http import health, web_apps, well_known
from server.http.compression import compression_config
from server.http.error_handlers import EXCEPTION_HANDLERS, reject_nul
from server.identity.devices import authenticate

VERSION = "0.1.0"


async def provide_session(state: State) -> AsyncIterator[AsyncSession]:
    """One session a request: it commits before the answer is built, or the answer is an error."""
    async with open_session(state.services.sessions) as session:
        yield session


def provide_services(state: State) -> Services:
    services: Services = state.services
    return services


async def provide_caller(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Caller:
    caller = await authenticate(services, request.headers.get("Authorization"))
    bind_context(caller_id=str(caller.id))
    return caller


async def provide_field_staff(caller: NamedDependency[Caller]) -> Caller:
    require_role(caller, FIELD_ROLES)
    return caller


async def provide_uploader(caller: NamedDependency[Caller]) -> Caller:
    require_role(caller, FIELD_ROLES | {Role.RESIDENT})
    return caller


async def provide_officer(caller: NamedDependency[Caller]) -> Caller:
    require_role(caller, DESK_ROLES)
    return caller


async def provide_resident(caller: NamedDependency[Caller]) -> Caller:
    require_role(caller, {Role.RESIDENT})
    return caller


def provide_wording() -> Any:
    """How a finding is said: the words are review's, and others print them too."""
    return server.review.checks.registry.render_finding


def provide_watermarks() -> Any:
    """How a copy with its watermark comes to be: evidence draws it, and the page of a visit links to it."""
    return server.photos.watermarks.draw_watermark


def provide_finding_codes() -> frozenset[str]:
    """Which findings there are: their severities are rules of an area."""
    return frozenset(rule.code for rule in server.review.checks.registry.CHECKS)


def log_requests(app: ASGIApp) -> ASGIApp:
    """Gives each request an id, for logs, audit and the client, and logs how it went."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        clear_context()
        bind_context(request_id=request_id)
        started, status = time.perf_counter(), 500

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await app(scope, receive, noted_send)
        finally:
            took_ms = round((time.perf_counter() - started) * 1000, 1)
            log.info(
                "request",
                method=scope.get("method"),
                route=scope.get("path_template"),
                status=status,
                took_ms=took_ms,
            )

    return middleware


def default_to_no_store(app: ASGIApp) -> ASGIApp:
    """What says nothing else of it is stored nowhere: names, numbers and tokens stay off an office's shared disks."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        async def marked_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    message["headers"] = [*headers, (b"cache-control", b"no-store")]
            await send(message)

        await app(scope, receive, marked_send)

    return middleware


def _request_id(scope: Scope) -> str:
    """The caller's own id where it is a UUID (a proxy's or a phone's), else one of ours."""
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    try:
        return str(UUID(given))
    except ValueError:
        return str(uuid4())


def create_app(settings: Settings, *, services: Services | None = None) -> Litestar:
    """The whole HTTP side. `services` already open are used as they are (tests); else opened and closed here."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_services(settings) as opened:
            app.state.services = opened
            _end_streams_when_told_to_stop(app.state)
            yield

    prometheus = PrometheusConfig(app_name="zoufang", prefix="zoufang", group_path=True, exclude=["/metrics"])
    app = Litestar(
        route_handlers=[
            server.identity.routes.router,
            server.identity.routes.desk_router,
            field_api.routes.router,
            field_api.uploads.routes.router,
            server.review.routes.router,
            server.review.overview_routes.router,
            server.evidence.routes.router,
            server.spotchecks.routes.router,
            server.workload.routes.field_router,
            server.workload.routes.desk_router,
            server.households.routes.router,
            server.households.caseload_routes.router,
            server.households.proposals.router,
            server.cases.routes.router,
            server.cases.change_report_routes.router,
            server.benefits.routes.router,
            server.crosschecks.routes.router,
            server.residents.routes.router,
            server.residents.routes.public_router,
            server.residents.desk_routes.router,
            server.complaints.routes.desk_router,
            server.complaints.routes.resident_router,
            server.complaints.routes.public_router,
            server.postings.routes.desk_router,
            server.postings.routes.public_router,
            *server.notifications.routes.routers,
            server.policy.routes.router,
            server.directory.routes.router,
            server.directory.routes.desk_router,
            server.directory.routes.public_router,
            health.router,
            well_known.router,
            health.get_metrics,
            server.public_site.routes.router,
            *web_apps.build_handlers(settings),
        ],
        lifespan=[] if services else [lifespan],
        state=State({"services": services}),
        dependencies={
            "session": Provide(provide_session),
            "services": Provide(provide_services, sync_to_thread=False),
            "caller": Provide(provide_caller),
            "field_staff": Provide(provide_field_staff),
            "uploader": Provide(provide_uploader),
            "officer": Provide(provide_officer),
            "resident_caller": Provide(provide_resident),
            "finding_codes": Provide(provide_finding_codes, sync_to_thread=False),
            "say_finding": Provide(provide_wording, sync_to_thread=False),
            "draw_watermark": Provide(provide_watermarks, sync_to_thread=False),
        },
        before_request=reject_nul,
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[prometheus.middleware],
        request_max_body_size=settings.max_body_mb * 1024 * 1024,
        # An event is sent when it happens, not when a block is full; the pages lie compressed already.
        compression_config=compression_config(exclude=r"(/pullStream|/queue/stream)$|^/(m|r|desk(?!/v\d))(/|$)"),
        cors_config=_cors(settings),
        openapi_config=_openapi(),
        logging_config=None,
    )
    # Around everything, so that an address nobody serves is noted and numbered like the others.
    app.asgi_handler = log_requests(default_to_no_store(app.asgi_handler))
    return app


def _end_streams_when_told_to_stop(state: State) -> None:
    """The server waits for its open connections before it stops, and a live stream has no end of its own.

    Its own way of hearing of a signal is the event loop's, beside which a handler of Python's may stand.
    """
    loop = asyncio.get_running_loop()

    def end_streams() -> None:
        for name in ("sync_watch", "queue_watch"):
            if (watch := state.get(name)) is not None:
                watch.end()

    for item in (signal.SIGTERM, signal.SIGINT):
        signal.signal(item, lambda *_: loop.call_soon_threadsafe(end_streams))


def _cors(settings: Settings) -> CORSConfig | None:
    origins = [part.strip() for part in settings.allowed_origins.split(",") if part.strip()]
    if not origins:
        return None
    shown = [*field_api.uploads.tus.EXPOSED_HEADERS, "ETag", "Retry-After", "X-Request-Id"]
    return CORSConfig(allow_origins=origins, allow_credentials=False, expose_headers=shown)


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="走访 zoufang",
        version=VERSION,
        description="Field evidence for dibao home visits: phones, desks, residents.",
        create_examples=False,
        operation_id_creator=lambda handler, _method, _path: handler.handler_name,
        # As it is: the pages that draw it take their scripts from elsewhere, and would run beside the apps' own.
        render_plugins=[JsonRenderPlugin(path="/", media_type=MediaType.JSON)],
        components=Components(
            security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
    )
