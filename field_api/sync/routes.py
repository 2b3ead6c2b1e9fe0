"""`/field/v1/sync`: RxDB's wire, fixed by its own HTTP servers and client."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter
from litestar.response import Stream

from field_api.sync import pull as pulling
from field_api.sync import push as pushing
from field_api.sync.device import DeviceReport, note_device
from field_api.sync.live import Watch
from field_api.sync.pull import PAGE, Asked, PulledPage, served_collection
from server.core.clock import utc_now
from server.core.http import SIGNED_IN_ERRORS, FieldStaff, ServicesDep, Session, error_responses

# Who asks decides what comes, and a cache asks again each time.
_CACHING = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}

AppVersion = Annotated[
    str | None,
    HeaderParameter(name="X-App-Version", max_length=200, description="Kept with the device, for the desk."),
]
PendingRows = Annotated[
    int | None,
    HeaderParameter(
        name="X-Pending-Rows", ge=0, le=2_147_483_647, description="How many rows the phone has yet to push."
    ),
]
DeviceTime = Annotated[
    datetime | None, HeaderParameter(name="X-Device-Time", description="The phone's clock as it asks, RFC 3339.")
]
Digest = Annotated[
    str | None,
    QueryParameter(
        pattern="^[0-9a-f]{64}$",
        description="What the phone holds: XOR over its documents of SHA-256(id, line feed, server.rev), in hex. "
        "Compared when the page is empty.",
    ),
]


@get(
    "/sync/{collection:str}/{schema_version:int}/pull",
    responses=SIGNED_IN_ERRORS
    | error_responses(
        "sync.collection_unknown", "sync.schema_version_gone", "sync.page_too_long", "sync.digest_mismatch"
    )
    | {304: ResponseSpec(None, description="Still nothing after this checkpoint.", generate_examples=False)},
    description="RxDB replication pull: what changed for this person since the checkpoint, oldest first. "
    "A page shorter than `limit` is the last.",
)
async def pull_documents(
    collection: FromPath[str],
    schema_version: FromPath[int],
    field_staff: FieldStaff,
    session: Session,
    lwt: FromQuery[int] = 0,
    after_id: Annotated[str, QueryParameter(name="id")] = "",
    limit: FromQuery[int] = PAGE,
    digest: Digest = None,
    if_none_match: Annotated[str | None, HeaderParameter(name="If-None-Match")] = None,
    app_version: AppVersion = None,
    pending_rows: PendingRows = None,
    device_time: DeviceTime = None,
) -> Response[PulledPage]:
    request = Asked(lwt=lwt, after_id=after_id, limit=limit, digest=digest)
    page = await pulling.pull(session, field_staff, collection, schema_version, request)
    await note_device(session, field_staff, DeviceReport(app_version, pending_rows, device_time), utc_now())
    if page.documents:
        return Response(page, headers=_CACHING)
    headers = {**_CACHING, "ETag": page.checkpoint.etag}
    if if_none_match == page.checkpoint.etag:
        return Response(None, status_code=304, headers=headers)  # type: ignore[arg-type]  # it has no body
    return Response(page, headers=headers)


@post(
    "/sync/{collection:str}/{schema_version:int}/push",
    status_code=200,
    responses=SIGNED_IN_ERRORS
    | error_responses(
        "request.not_json",
        "request.invalid",
        "request.too_large",
        "sync.batch_too_long",
        "sync.collection_unknown",
        "sync.collection_read_only",
        "sync.schema_version_gone",
    ),
    description="RxDB replication push: an array of `{newDocumentState, assumedMasterState?}`. "
    "Answers with the server's state of every row that did not go through; `[]` when all did.",
)
async def push_documents(
    collection: FromPath[str],
    schema_version: FromPath[int],
    request: Request[Any, Any, Any],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
) -> list[dict[str, Any]]:
    body = await request.body()
    return await pushing.push(session, services, field_staff, collection, schema_version, body)


@get(
    "/sync/{collection:str}/{schema_version:int}/pullStream",
    media_type="text/event-stream",
    responses=SIGNED_IN_ERRORS | error_responses("sync.collection_unknown", "sync.schema_version_gone"),
    description="Server-sent events for RxDB's live replication. An event `open` means: pull now. It comes when "
    "there is something new and when the server is unsure. A comment every 20 seconds keeps the line open.",
)
async def stream_changes(
    collection: FromPath[str],
    schema_version: FromPath[int],
    field_staff: FieldStaff,
    services: ServicesDep,
    state: State,
) -> Stream:
    served_collection(collection, schema_version)
    watch: Watch = state.setdefault("sync_watch", None) or Watch(services)
    state.sync_watch = watch
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Stream(watch.stream(field_staff, collection), media_type="text/event-stream", headers=headers)


sync_handlers = [pull_documents, push_documents, stream_changes]
