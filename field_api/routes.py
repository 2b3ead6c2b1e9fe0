"""`/field/v1`: sync and photos, for phones."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath, FromQuery, MultipartBody, QueryParameter
from msgspec import Struct

from field_api.photos import Received, receive_photo
from field_api.sync import pull as pulling
from field_api.sync import push as pushing
from field_api.sync.pull import PAGE, PulledPage
from server.core.wire import BEARER, Held, Session, Worker, problems

_SIGNED = problems("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden")


@get(
    "/sync/{collection:str}/{schema_version:int}/pull",
    responses=_SIGNED | problems("sync.collection_unknown", "sync.schema_version_gone"),
    description="RxDB replication pull: what changed for this person since the checkpoint, oldest first.",
)
async def pull_documents(
    collection: FromPath[str],
    schema_version: FromPath[int],
    worker: Worker,
    session: Session,
    lwt: FromQuery[int] = 0,
    after_id: Annotated[str, QueryParameter(name="id")] = "",
    limit: FromQuery[int] = PAGE,
) -> PulledPage:
    return await pulling.pull(session, worker, collection, schema_version, lwt=lwt, after_id=after_id, limit=limit)


@post(
    "/sync/{collection:str}/{schema_version:int}/push",
    status_code=200,
    responses=_SIGNED
    | problems(
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
    worker: Worker,
    session: Session,
    services: Held,
) -> list[dict[str, Any]]:
    body = await request.body()
    return await pushing.push(session, services, worker, collection, schema_version, body)


class PhotoForm(Struct, rename="camel"):
    """`wx.uploadFile` sends its extra values as strings."""

    evidence_id: UUID
    file: UploadFile


@post(
    "/photos",
    status_code=200,
    # A photo is larger than any other body; its own limit is checked against what was announced.
    request_max_body_size=None,
    responses=_SIGNED | problems("thing.not_found", "photo.hash_mismatch", "photo.too_many_bytes", "store.unavailable"),
    description="One photo in one form, for `wx.uploadFile`. The body of every answer says what happened, "
    "since WeChat calls every status a success.",
)
async def upload_photo(data: MultipartBody[PhotoForm], worker: Worker, session: Session, services: Held) -> Received:
    file = data.file.file
    size = file.seek(0, 2)
    return await receive_photo(session, services, worker, data.evidence_id, file, size)  # type: ignore[arg-type]


router = Router(
    "/field/v1",
    route_handlers=[pull_documents, push_documents, upload_photo],
    tags=["field"],
    security=BEARER,
)
