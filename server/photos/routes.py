"""`/desk/v1`: photos whose processing failed, and photos whose retention period is over."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, QueryParameter

from server.core.access import Caller, Role, require_role
from server.core.clock import utc_now
from server.core.http import BEARER, SIGNED_IN_ERRORS, CallerDep, Officer, ServicesDep, Session, error_responses
from server.core.paging import Page
from server.http.exports import Columns, build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.photos import failed, retention
from server.photos.failed import FailedPhoto, RetriedPhotos
from server.photos.retention import OutdatedPhoto, RetentionLine


@get(
    "/parked-photos",
    opt=reads("photo"),
    operation_id="list_parked_photos",
    responses=SIGNED_IN_ERRORS,
    description="Photos whose processing failed for good, and why.",
)
async def list_failed_photos(
    officer: Officer, session: Session, cursor: FromQuery[str | None] = None
) -> Page[FailedPhoto]:
    return await failed.list_failed(session, officer, cursor)


export_failed_photos = build_export_route(
    list_failed_photos,
    "parked-photos",
    {
        "照片编号": lambda photo: photo.evidence_id,
        "走访编号": lambda photo: photo.visit_id,
        "SHA-256": lambda photo: photo.sha256,
        "字节": lambda photo: photo.size_bytes,
        "原因": lambda photo: photo.error,
        "停放时间": lambda photo: photo.parked_at,
    },
)


@post(
    "/parked-photos/{evidence_id:uuid}/again",
    operation_id="try_photo_again",
    status_code=204,
    responses=SIGNED_IN_ERRORS | error_responses("thing.not_found"),
    description="Have a failed photo processed again.",
)
async def retry_failed_photo(evidence_id: FromPath[UUID], officer: Officer, session: Session) -> None:
    await failed.retry_photo(session, officer, evidence_id)


@post(
    "/parked-photos/again",
    operation_id="try_all_photos_again",
    status_code=200,
    responses=SIGNED_IN_ERRORS,
    description="Have all failed photos of the caller's area processed again, and say how many.",
)
async def retry_failed_photos(officer: Officer, session: Session) -> RetriedPhotos:
    return await failed.retry_all_photos(session, officer)


At = Annotated[datetime | None, QueryParameter(name="at", description="The time of the sweep; now by default.")]


@get(
    "/retention",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="What `sweep-photos` would delete, by policy setting. For administrators, of their areas; "
    "changes nothing.",
)
async def preview_retention(caller: CallerDep, services: ServicesDep, at: At = None) -> list[RetentionLine]:
    return await retention.preview(services.reading_sessions, at or utc_now(), _administered_areas(caller))


@get(
    "/retention/photos",
    opt=reads("photo"),
    responses=SIGNED_IN_ERRORS,
    description="The same photo by photo, with the setting that kept each longest and when it expired.",
)
async def list_outdated_photos(
    caller: CallerDep, session: Session, at: At = None, cursor: FromQuery[str | None] = None
) -> Page[OutdatedPhoto]:
    return await retention.list_outdated(session, at or utc_now(), _administered_areas(caller), cursor)


_SETTING_COLUMNS: Columns = {
    "规则": lambda row: row.rule,
    "保存天数": lambda row: row.kept_days,
}
export_retention = build_export_route(
    preview_retention,
    "retention",
    {
        **_SETTING_COLUMNS,
        "来源": lambda line: line.source,
        "照片数": lambda line: line.photos,
        "字节": lambda line: line.size_bytes,
        "最早": lambda line: line.oldest,
    },
)
export_outdated_photos = build_export_route(
    list_outdated_photos,
    "outdated-photos",
    {
        "SHA-256": lambda photo: photo.sha256,
        "类别": lambda photo: {"photos": "照片", "mismatched": "与登记不符"}[photo.shelf],
        "字节": lambda photo: photo.size_bytes,
        "引用数": lambda photo: photo.claims,
        **_SETTING_COLUMNS,
        "起算": lambda photo: photo.kept_since,
        "到期": lambda photo: photo.ended_at,
    },
)


def _administered_areas(caller: Caller) -> list[str]:
    require_role(caller, {Role.ADMIN})
    return caller.prefixes({Role.ADMIN})


router = Router(
    "/desk/v1",
    route_handlers=[
        list_failed_photos,
        export_failed_photos,
        retry_failed_photo,
        retry_failed_photos,
        preview_retention,
        export_retention,
        list_outdated_photos,
        export_outdated_photos,
    ],
    tags=["desk"],
    security=BEARER,
)
