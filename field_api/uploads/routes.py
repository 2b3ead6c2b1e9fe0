"""`/uploads` (tus 1.0.0), and under `/field/v1/photos` the form and the presigned links.

No handler has a session, so a slow phone holds no database connection. Errors have the same shape as on all other
routes, with tus headers added.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import MediaType, Request, Response, Router, delete, head, patch, post
from litestar.datastructures import ResponseHeader
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)
from litestar.params import FromPath

from field_api.uploads import presigned, resumable, tus
from field_api.uploads.body import Body, linger
from field_api.uploads.form import EVIDENCE_FIELD, FILE_FIELD, FORM_TYPE, receive_form
from field_api.uploads.presigned import PutLink
from field_api.uploads.resumable import Progress, max_photo_bytes
from server.core.access import Caller
from server.core.errors import Problem
from server.core.http import BEARER, PhotoUploader, ServicesDep, error_responses
from server.core.services import Services
from server.photos.receive import Received

AnyRequest = Request[Any, Any, Any]

# The error codes of each kind of route; `error_responses` needs all codes of a route at once.
_SIGNED = ("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden")
_TUS = (*_SIGNED, "upload.version_unsupported", "upload.header_invalid", "thing.not_found")
_END = ("photo.hash_mismatch", "store.unavailable")
_APPEND = (
    *_TUS,
    *_END,
    "upload.offset_differs",
    "upload.gone",
    "upload.too_long",
    "request.unsupported_media_type",
    "upload.busy",
    "upload.checksum_failed",
)


def _parameter(name: str, description: str, *, required: bool = False) -> Parameter:
    text = Schema(type=OpenAPIType.STRING)
    return Parameter(name=name, param_in="header", schema=text, description=description, required=required)


TUS_RESUMABLE = _parameter("Tus-Resumable", "`1.0.0`", required=True)
UPLOAD_OFFSET = _parameter("Upload-Offset", "The offset of the first of these bytes", required=True)
UPLOAD_CHECKSUM = _parameter(
    "Upload-Checksum", "`sha1` or `sha256`, a space, Base64: the bytes are stored only if the checksum matches"
)
UPLOAD_LENGTH = _parameter("Upload-Length", "The photo's size in bytes, as announced", required=True)
UPLOAD_METADATA = _parameter("Upload-Metadata", "`evidenceId` and its Base64; other keys are returned", required=True)
METHOD_OVERRIDE = _parameter(tus.OVERRIDE, "`PATCH`, `HEAD` or `DELETE`", required=True)


@dataclass
class _WithoutBody(Operation):
    """Successful responses have no body, only headers."""

    def __post_init__(self) -> None:
        for status, response in (self.responses or {}).items():
            if status.startswith("2") and isinstance(response, OpenAPIResponse):
                response.content = None


@dataclass
class _Tus(_WithoutBody):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.parameters = [*(self.parameters or []), TUS_RESUMABLE]


@dataclass
class _Creating(_Tus):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.parameters = [*(self.parameters or []), UPLOAD_LENGTH, UPLOAD_METADATA, UPLOAD_CHECKSUM]
        self.request_body = _octets("The first bytes, if any (creation-with-upload)")


@dataclass
class _Patching(_Tus):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.parameters = [*(self.parameters or []), UPLOAD_OFFSET, UPLOAD_CHECKSUM]
        self.request_body = _octets("The bytes that follow")


@dataclass
class _Overriding(_Tus):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.parameters = [*(self.parameters or []), METHOD_OVERRIDE]
        self.request_body = _octets("With `PATCH`, the bytes that follow")


@dataclass
class _Form(Operation):
    def __post_init__(self) -> None:
        evidence_id = Schema(type=OpenAPIType.STRING, format="uuid")  # type: ignore[arg-type]
        file = Schema(type=OpenAPIType.STRING, content_media_type="application/octet-stream")
        form = Schema(
            type=OpenAPIType.OBJECT,
            properties={EVIDENCE_FIELD: evidence_id, FILE_FIELD: file},
            required=[EVIDENCE_FIELD, FILE_FIELD],
        )
        self.request_body = RequestBody(content={FORM_TYPE: OpenAPIMediaType(schema=form)}, required=True)


def _octets(description: str) -> RequestBody:
    return RequestBody(content={tus.OFFSET_STREAM: OpenAPIMediaType()}, description=description)


def _header(name: str, description: str) -> ResponseHeader:
    return ResponseHeader(name=name, description=description, documentation_only=True)


_PROGRESS_HEADERS = [
    _header("Upload-Offset", "The number of bytes received"),
    _header("Upload-Expires", "When an unfinished upload expires"),
]


@HTTPRouteHandler(
    "/",
    http_method=["OPTIONS"],
    operation_class=_WithoutBody,
    status_code=204,
    security=[],
    response_headers=[
        _header("Tus-Version", "`1.0.0`"),
        _header("Tus-Extension", "The supported extensions"),
        _header("Tus-Checksum-Algorithm", "`sha1,sha256`"),
        _header("Tus-Max-Size", "The largest photo in bytes"),
    ],
    description="The supported parts of tus; needs no token.",
)
async def describe_tus(services: ServicesDep) -> Response[None]:
    headers = {
        "Tus-Version": tus.VERSION,
        "Tus-Extension": ",".join(tus.EXTENSIONS),
        "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
        "Tus-Max-Size": str(max_photo_bytes(services)),
        "Allow": "OPTIONS, POST",
    }
    return _empty(204, headers)


def _empty(status: int, headers: dict[str, str] | None = None) -> Response[None]:
    """Build an answer that consists of headers; as JSON its body would be `null`."""
    return Response(None, status_code=status, headers=headers, media_type=MediaType.TEXT)


@post(
    "/",
    operation_class=_Creating,
    status_code=201,
    responses=error_responses(
        *_APPEND,
        "upload.length_deferred",
        "upload.concat_unsupported",
        "upload.size_differs",
        "photo.empty",
        "photo.too_many_bytes",
    ),
    response_headers=[_header("Location", "The upload"), *_PROGRESS_HEADERS],
    description="tus creation, with or without the first bytes. An empty body may have any Content-Type. A photo that "
    "the server already has from the same person is complete at once: `Upload-Offset` is its length. "
    "`X-HTTP-Method-Override` works at every tus address.",
)
async def create_upload(request: AnyRequest, uploader: PhotoUploader, services: ServicesDep) -> Response[None]:
    tus.check_version(request.headers)
    creation, checksum = tus.read_creation(request.headers), tus.read_checksum(request.headers)
    body = Body(request)
    try:
        has_data = await body.has_data()
        if has_data:
            tus.check_content_type(request.headers)
            if (body.announced_bytes or 0) > creation.size_bytes:
                raise Problem("upload.too_long")
        progress = await resumable.create_upload(services, uploader, creation)
        if has_data and progress.offset == 0:
            progress = await resumable.append_first(services, uploader, progress, body, checksum)
        elif has_data:
            await body.drain(creation.size_bytes)
    finally:
        await body.aclose()
    return _empty(201, {"Location": _location(request, progress.upload_id)} | _progress_headers(progress))


def _location(request: AnyRequest, upload_id: str) -> str:
    """Return the address of an upload: relative, since a proxy may hide the scheme and the host that a phone uses.

    Libraries on aiohttp don't resolve a relative one. They are known by the type that aiohttp gives an empty body.
    """
    path = f"{tus.PREFIX}/{upload_id}"
    if tus.read_content_type(request.headers) != "application/octet-stream":
        return path
    return f"{str(request.base_url).rstrip('/')}{path}"


async def _append(request: AnyRequest, uploader: Caller, services: Services, upload_id: str, offset: int) -> Progress:
    checksum = tus.read_checksum(request.headers)
    body = Body(request)
    try:
        return await resumable.append(services, uploader, upload_id, offset, body, checksum)
    finally:
        await body.aclose()


def _progress_headers(progress: Progress) -> dict[str, str]:
    expires = {"Upload-Expires": tus.http_date(progress.expires_at)} if progress.offset < progress.size else {}
    return {"Upload-Offset": str(progress.offset)} | expires


@head(
    "/{upload_id:str}",
    operation_class=_Tus,
    responses=error_responses(*_TUS, *_END, "upload.gone", "upload.busy"),
    response_headers=[
        *_PROGRESS_HEADERS,
        _header("Upload-Length", "The photo's size"),
        _header("Upload-Metadata", "As the client sent it"),
    ],
    description="The progress of the upload, also after it is complete.",
)
async def read_upload(
    request: AnyRequest, upload_id: FromPath[str], uploader: PhotoUploader, services: ServicesDep
) -> Response[None]:
    tus.check_version(request.headers)
    progress = await resumable.read_progress(services, uploader, upload_id)
    headers = {"Upload-Length": str(progress.size), "Upload-Metadata": progress.upload_metadata}
    return _empty(200, headers | _progress_headers(progress))


@patch(
    "/{upload_id:str}",
    operation_class=_Patching,
    status_code=204,
    responses=error_responses(*_APPEND),
    response_headers=_PROGRESS_HEADERS,
    description="The bytes that follow `Upload-Offset`. With the last one the photo is compared with its "
    "announced hash and received.",
)
async def append_to_upload(
    request: AnyRequest, upload_id: FromPath[str], uploader: PhotoUploader, services: ServicesDep
) -> Response[None]:
    tus.check_version(request.headers)
    offset = tus.read_offset(request.headers)
    progress = await _append(request, uploader, services, upload_id, offset)
    return _empty(204, _progress_headers(progress))


@delete(
    "/{upload_id:str}",
    operation_class=_Tus,
    status_code=204,
    responses=error_responses(*_TUS, "upload.visit_submitted", "upload.gone", "upload.busy"),
    description="End the upload. A photo that is already received stays.",
)
async def terminate_upload(
    request: AnyRequest, upload_id: FromPath[str], uploader: PhotoUploader, services: ServicesDep
) -> Response[None]:
    tus.check_version(request.headers)
    await resumable.terminate(services, uploader, upload_id)
    return _empty(204)


@post(
    "/{upload_id:str}",
    operation_class=_Overriding,
    status_code=204,
    responses=error_responses(*_APPEND, "upload.visit_submitted", "request.method_not_allowed")
    | {200: ResponseSpec(None, description="With `HEAD`: the progress of the upload", generate_examples=False)},
    response_headers=_PROGRESS_HEADERS,
    description="PATCH, HEAD or DELETE for clients that lack the method, such as WeChat: see `X-HTTP-Method-Override`.",
)
async def override_method(upload_id: FromPath[str], uploader: PhotoUploader) -> Response[None]:
    """Refuse a POST that names no method; with one, the request has found the route of that method."""
    del upload_id, uploader
    raise Problem("request.method_not_allowed", headers={"Allow": "OPTIONS, HEAD, PATCH, DELETE"})


@post(
    "/",
    middleware=[linger],
    operation_class=_Form,
    status_code=200,
    responses=error_responses(
        *_SIGNED,
        "request.invalid",
        "request.unsupported_media_type",
        "thing.not_found",
        "photo.hash_mismatch",
        "photo.empty",
        "photo.too_many_bytes",
        "store.unavailable",
    ),
    description="One photo in a multipart form, for `wx.uploadFile`. Every response body has a state or an error "
    "code, since WeChat treats every status as a success.",
)
async def upload_photo(request: AnyRequest, uploader: PhotoUploader, services: ServicesDep) -> Received:
    body = Body(request)
    try:
        return await receive_form(services, uploader, request.headers.get("Content-Type", ""), body)
    finally:
        await body.aclose()


@post(
    "/{evidence_id:uuid}/put-link",
    status_code=200,
    responses=error_responses(*_SIGNED, "thing.not_found", "photo.empty", "photo.too_many_bytes", "store.unavailable"),
    description="Sign a link to PUT the photo straight to the store; call `put-done` afterwards.",
)
async def make_put_link(evidence_id: FromPath[UUID], uploader: PhotoUploader, services: ServicesDep) -> PutLink:
    return await presigned.make_put_link(services, uploader, evidence_id)


@post(
    "/{evidence_id:uuid}/put-done",
    status_code=200,
    responses=error_responses(
        *_SIGNED, "thing.not_found", "upload.nothing_put", "photo.empty", "photo.too_many_bytes", *_END
    ),
    description="Report that the photo was PUT: it is compared with its announced hash and received.",
)
async def finish_put(evidence_id: FromPath[UUID], uploader: PhotoUploader, services: ServicesDep) -> Received:
    return await presigned.finish_put(services, uploader, evidence_id)


router = Router(
    tus.PREFIX,
    route_handlers=[
        describe_tus,
        create_upload,
        read_upload,
        append_to_upload,
        terminate_upload,
        override_method,
    ],
    middleware=[tus.add_tus_headers, linger],
    tags=["uploads"],
    security=BEARER,
)

# Mounted beside sync, under /field/v1.
photo_router = Router(
    "/photos",
    route_handlers=[upload_photo, make_put_link, finish_put],
)
