"""The composition root: builds the Litestar app from the routers, dependencies and middleware of all packages."""

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
from litestar.openapi.spec import Components, License, SecurityScheme, Tag
from litestar.plugins.prometheus import PrometheusConfig
from litestar.types import ASGIApp, ControllerRouterHandler, Message, Receive, Scope, Send
from sqlalchemy.ext.asyncio import AsyncSession

import field_api.routes
import field_api.uploads.routes
import field_api.uploads.tus
import server.aid.routes
import server.benefits.routes
import server.cases.certificate_routes
import server.cases.change_report_routes
import server.cases.change_return_routes
import server.cases.door_routes
import server.cases.event_handlers
import server.cases.found_routes
import server.cases.grace_routes
import server.cases.proof_routes
import server.cases.raise_routes
import server.cases.routes
import server.complaints.routes
import server.crosschecks.routes
import server.directory.area_routes
import server.directory.problem_report_routes
import server.directory.routes
import server.evidence.routes
import server.households.caseload_routes
import server.households.duplicate_routes
import server.households.proposals
import server.households.routes
import server.identity.account_routes
import server.identity.deputy_routes
import server.identity.own_account_routes
import server.identity.qr_routes
import server.identity.routes
import server.identity.wechat_routes
import server.imports.routes
import server.notifications.push_routes
import server.notifications.routes
import server.packages.routes
import server.photos.routes
import server.photos.watermarks
import server.policy.routes
import server.postings.routes
import server.privacy.routes
import server.public_site.routes
import server.records.routes
import server.residents.desk_routes
import server.residents.routes
import server.residents.sign_in_routes
import server.review.checks.registry
import server.review.overview_routes
import server.review.paper_routes
import server.review.routes
import server.review.void_routes
import server.rosters.routes
import server.spotchecks.outcomes
import server.spotchecks.routes
import server.workload.order_routes
import server.workload.routes
import server.workload.schedule
from server.core.access import DESK_ROLES, FIELD_ROLES, Caller, Role, require_role
from server.core.database import later_statements, open_reading_session, open_session
from server.core.log import bind_context, clear_context, log
from server.core.services import Services, open_services
from server.core.settings import Settings
from server.core.version import VERSION
from server.http import health, web_apps, well_known
from server.http.compression import compression_config
from server.http.error_handlers import EXCEPTION_HANDLERS, reject_nul
from server.http.reads import LATER_STATEMENTS, READING_METHODS, log_looks
from server.http.slow_bodies import BodyLimits
from server.identity.devices import authenticate
from server.openapi.committed import TAGS, KeptDocument


async def provide_session(request: Request[Any, Any, Any], state: State) -> AsyncIterator[AsyncSession]:
    """Open one session per request. It commits before the response is built, and an error gives an error response.

    The session of a GET only reads, and the database holds it to that.
    """
    if request.method in READING_METHODS:
        async with open_reading_session(state.services.reading_sessions) as session:
            request.scope["state"][LATER_STATEMENTS] = later_statements(session)
            yield session
    else:
        async with open_session(state.services.sessions) as session:
            yield session


def provide_services(state: State) -> Services:
    services: Services = state.services
    return services


async def provide_caller(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Caller:
    caller = await authenticate(services, request.headers.get("Authorization"))
    bind_context(caller_id=str(caller.id))
    request.scope["state"]["caller"] = caller  # for the line of the read trail
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


def provide_render_finding() -> Any:
    """Inject the rendering of findings, so that packages that print findings need not import `review`."""
    return server.review.checks.registry.render_finding


def provide_draw_watermark() -> Any:
    """Inject the drawing of watermarks, so that packages that link to watermarked copies need not import `photos`."""
    return server.photos.watermarks.draw_watermark


def provide_finding_codes() -> frozenset[str]:
    """Inject all finding codes; the severity of each is a policy setting."""
    return frozenset(check.code for check in server.review.checks.registry.CHECKS)


def log_requests(app: ASGIApp) -> ASGIApp:
    """Give each request an id, for logs, the audit log and the client, and log its result."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        clear_context()
        bind_context(request_id=request_id)
        started, status = time.perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await app(scope, receive, send_with_id)
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
    """Default to `Cache-Control: no-store`, so that personal data and tokens stay off the disks of shared computers."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_default(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    message["headers"] = [*headers, (b"cache-control", b"no-store")]
            await send(message)

        await app(scope, receive, send_with_default)

    return middleware


def _request_id(scope: Scope) -> str:
    """Return the client's or proxy's X-Request-Id when it is a UUID, otherwise a new one."""
    sent_id = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    try:
        return str(UUID(sent_id))
    except ValueError:
        return str(uuid4())


_ROUTE_HANDLERS: list[ControllerRouterHandler] = [
    server.identity.routes.router,
    server.identity.wechat_routes.router,
    server.identity.qr_routes.router,
    server.residents.sign_in_routes.router,
    server.identity.own_account_routes.router,
    server.identity.routes.desk_router,
    server.identity.account_routes.router,
    server.identity.deputy_routes.router,
    server.identity.deputy_routes.field_router,
    server.identity.account_routes.link_router,
    field_api.routes.router,
    field_api.uploads.routes.router,
    server.review.routes.router,
    server.review.overview_routes.router,
    server.evidence.routes.router,
    server.photos.routes.router,
    server.spotchecks.routes.router,
    server.workload.routes.field_router,
    server.workload.routes.desk_router,
    server.workload.order_routes.router,
    server.review.paper_routes.router,
    server.review.void_routes.field_router,
    server.review.void_routes.desk_router,
    server.households.routes.field_router,
    server.households.routes.router,
    server.households.caseload_routes.router,
    server.households.duplicate_routes.router,
    server.households.proposals.router,
    server.cases.routes.field_router,
    server.cases.routes.router,
    server.cases.door_routes.field_router,
    server.cases.door_routes.router,
    server.cases.change_report_routes.router,
    server.cases.found_routes.router,
    server.cases.certificate_routes.router,
    server.cases.change_return_routes.router,
    server.cases.grace_routes.router,
    server.cases.raise_routes.router,
    server.cases.proof_routes.router,
    server.benefits.routes.router,
    server.rosters.routes.router,
    server.records.routes.router,
    server.aid.routes.router,
    server.crosschecks.routes.router,
    server.imports.routes.router,
    server.packages.routes.router,
    server.residents.routes.router,
    server.residents.routes.public_router,
    server.residents.desk_routes.router,
    server.privacy.routes.public_router,
    server.privacy.routes.resident_router,
    server.privacy.routes.desk_router,
    server.complaints.routes.desk_router,
    server.complaints.routes.resident_router,
    server.complaints.routes.public_router,
    server.postings.routes.desk_router,
    server.postings.routes.public_router,
    *server.notifications.routes.routers,
    server.notifications.push_routes.router,
    server.policy.routes.router,
    server.directory.area_routes.router,
    server.directory.routes.router,
    server.directory.routes.desk_router,
    server.directory.problem_report_routes.field_router,
    server.directory.problem_report_routes.desk_router,
    server.directory.routes.public_router,
    health.router,
    well_known.router,
    health.get_metrics,
    server.public_site.routes.router,
]

_DEPENDENCIES = {
    "session": Provide(provide_session),
    "services": Provide(provide_services, sync_to_thread=False),
    "caller": Provide(provide_caller),
    "field_staff": Provide(provide_field_staff),
    "uploader": Provide(provide_uploader),
    "officer": Provide(provide_officer),
    "resident_caller": Provide(provide_resident),
    "finding_codes": Provide(provide_finding_codes, sync_to_thread=False),
    "render_finding": Provide(provide_render_finding, sync_to_thread=False),
    "draw_watermark": Provide(provide_draw_watermark, sync_to_thread=False),
}


def create_app(settings: Settings, *, services: Services | None = None) -> Litestar:
    """Create the HTTP app. Given `services` are used (tests); otherwise the app opens and closes its own."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_services(settings) as opened:
            app.state.services = opened
            _end_streams_on_shutdown(app.state)
            yield

    prometheus = PrometheusConfig(app_name="zoufang", prefix="zoufang", group_path=True, exclude=["/metrics"])
    app = Litestar(
        route_handlers=[*_ROUTE_HANDLERS, *web_apps.build_handlers(settings)],
        lifespan=[] if services else [lifespan],
        state=State({"services": services}),
        dependencies=_DEPENDENCIES,
        before_request=reject_nul,
        after_request=log_looks,
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[prometheus.middleware],
        request_max_body_size=settings.max_body_mb * 1024 * 1024,
        # Event streams are excluded, so that each event is sent at once, and the precompressed files of the web apps.
        compression_config=compression_config(
            exclude=r"(/pullStream|/queue/stream|/sync/stream)$|^/(m|r|desk(?!/v\d))(/|$)"
        ),
        cors_config=_cors(settings),
        openapi_config=_openapi(),
        logging_config=None,
    )
    # Outside of Litestar's routing, so that requests to unknown paths are logged and get an id too.
    handler = BodyLimits(field_api.uploads.tus.override_method(app.asgi_handler))
    app.asgi_handler = log_requests(default_to_no_store(handler))
    return app


def _end_streams_on_shutdown(state: State) -> None:
    """End the live streams on SIGTERM and SIGINT: the server waits for open connections before it stops.

    The server registers its own handlers with the event loop; handlers of the `signal` module work beside them.
    """
    loop = asyncio.get_running_loop()

    def end_streams() -> None:
        for name in ("sync_watch", "queue_watch"):
            if (watch := state.get(name)) is not None:
                watch.end()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(end_streams))


def _cors(settings: Settings) -> CORSConfig | None:
    origins = [part.strip() for part in settings.allowed_origins.split(",") if part.strip()]
    if not origins:
        return None
    exposed = [*field_api.uploads.tus.EXPOSED_HEADERS, "ETag", "Retry-After", "X-Request-Id"]
    return CORSConfig(allow_origins=origins, allow_credentials=False, expose_headers=exposed)


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="走访 zoufang",
        version=VERSION,
        description="Field evidence for dibao home visits: phones, desks, residents.",
        create_examples=False,
        operation_id_creator=lambda handler, _method, _path: handler.handler_name,
        # Only JSON: the HTML renderers load scripts from other hosts, which would run in the origin of the web apps.
        render_plugins=[KeptDocument(path="/", media_type=MediaType.JSON)],
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        tags=[Tag(name, description) for name, description in TAGS.items()],
        components=Components(
            security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
    )
