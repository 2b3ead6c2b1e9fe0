"""`/desk/v1`: the evidence of a visit as one file; photos that could not be examined; those whose time is over."""

from collections.abc import AsyncIterator
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from server.core.access import Caller, Role, require_role
from server.core.clock import utc_now
from server.core.http import BEARER, SIGNED_IN_ERRORS, CallerDep, Officer, ServicesDep, Session, error_responses
from server.core.paging import Page
from server.core.threads import run_in_thread
from server.evidence.bundle import export_bundle
from server.evidence.dossier import RenderFinding
from server.http.exports import Columns, build_export_route
from server.photos import failed, retention
from server.photos.failed import FailedPhoto
from server.photos.retention import OutdatedPhoto, RetentionLine

_PIECE_BYTES = 256 * 1024


@get(
    "/visits/{visit_id:uuid}/bundle",
    media_type="application/zip",
    responses=error_responses(
        "auth.required",
        "auth.token_invalid",
        "auth.token_expired",
        "auth.device_ended",
        "auth.forbidden",
        "thing.not_found",
        "review.blind",
        "evidence.visit_not_submitted",
        "store.unavailable",
    ),
    description="Photos, signed manifest, receipt and a printed sheet in one ZIP; "
    "`python -m server verify-bundle` proves it offline.",
)
async def export_visit(
    visit_id: FromPath[UUID],
    officer: Officer,
    session: Session,
    services: ServicesDep,
    say_finding: NamedDependency[RenderFinding],
) -> Stream:
    await session.close()  # photos are fetched with no transaction open
    file = TemporaryFile()  # noqa: SIM115  closed by whoever pours it out
    try:
        await export_bundle(services, officer, visit_id, file, say=say_finding, now=utc_now())
    except BaseException:
        file.close()
        raise
    size = file.seek(0, 2)
    file.seek(0)
    headers = {
        "Content-Disposition": f'attachment; filename="visit-{visit_id}.zip"',
        "Content-Length": str(size),
        "Cache-Control": "no-store",
    }
    return Stream(_pour(file), media_type="application/zip", headers=headers)


async def _pour(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := await run_in_thread(file.read, _PIECE_BYTES):
            yield piece


@get("/parked-photos", responses=SIGNED_IN_ERRORS, description="Photos whose examination failed for good, and why.")
async def list_parked_photos(
    officer: Officer, session: Session, cursor: FromQuery[str | None] = None
) -> Page[FailedPhoto]:
    return await failed.list_failed(session, officer, cursor)


export_parked_photos = build_export_route(
    list_parked_photos,
    "/parked-photos/export",
    "parked-photos",
    {
        "照片编号": lambda one: one.evidence_id,
        "走访编号": lambda one: one.visit_id,
        "SHA-256": lambda one: one.sha256,
        "字节": lambda one: one.size_bytes,
        "原因": lambda one: one.error,
        "停放时间": lambda one: one.parked_at,
    },
)


@post(
    "/parked-photos/{evidence_id:uuid}/again",
    status_code=204,
    responses=SIGNED_IN_ERRORS | error_responses("thing.not_found"),
    description="Have a parked photo examined again.",
)
async def try_photo_again(evidence_id: FromPath[UUID], officer: Officer, session: Session) -> None:
    await failed.retry_photo(session, officer, evidence_id)


Moment = Annotated[datetime | None, QueryParameter(name="at", description="What would go then; now unless told.")]


@get(
    "/retention",
    responses=SIGNED_IN_ERRORS,
    description="What `sweep-photos` would delete, by rule. For administrators, of their areas; changes nothing.",
)
async def preview_retention(caller: CallerDep, services: ServicesDep, at: Moment = None) -> list[RetentionLine]:
    return await retention.preview(services.sessions, at or utc_now(), _administered(caller))


@get(
    "/retention/photos",
    responses=SIGNED_IN_ERRORS,
    description="The same photo by photo, with the rule that kept each longest and when its time was over.",
)
async def list_outdated_photos(
    caller: CallerDep, session: Session, at: Moment = None, cursor: FromQuery[str | None] = None
) -> Page[OutdatedPhoto]:
    return await retention.list_outdated(session, at or utc_now(), _administered(caller), cursor)


_RETAINED: Columns = {
    "规则": lambda one: one.rule,
    "保存天数": lambda one: one.kept_days,
}
export_retention = build_export_route(
    preview_retention,
    "/retention/export",
    "retention",
    {
        **_RETAINED,
        "来源": lambda one: one.source,
        "照片数": lambda one: one.photos,
        "字节": lambda one: one.size_bytes,
        "最早": lambda one: one.oldest,
    },
)
export_outdated_photos = build_export_route(
    list_outdated_photos,
    "/retention/photos/export",
    "outdated-photos",
    {
        "SHA-256": lambda one: one.sha256,
        "类别": lambda one: {"photos": "照片", "mismatched": "与清单不符"}[one.shelf],
        "字节": lambda one: one.size_bytes,
        "引用数": lambda one: one.claims,
        **_RETAINED,
        "起算": lambda one: one.kept_since,
        "到期": lambda one: one.ended_at,
    },
)


def _administered(caller: Caller) -> list[str]:
    require_role(caller, {Role.ADMIN})
    return caller.prefixes({Role.ADMIN})


router = Router(
    "/desk/v1",
    route_handlers=[
        export_visit,
        list_parked_photos,
        export_parked_photos,
        try_photo_again,
        preview_retention,
        export_retention,
        list_outdated_photos,
        export_outdated_photos,
    ],
    tags=["desk"],
    security=BEARER,
)
