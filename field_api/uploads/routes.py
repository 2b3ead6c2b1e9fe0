"""`/uploads` (tus 1.0.0), and under `/field/v1/photos` the form and the signed links.

No handler has a session: a slow phone holds no connection to the database. Errors have the one shape of all
routes, with tus headers added.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, delete, head, patch, post
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

PREFIX = "/uploads"
OVERRIDE = "X-HTTP-Method-Override"
AnyRequest = Request[Any, Any, Any]

# The codes of each kind of route: `error_responses` makes its table from all of one route at once.
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
UPLOAD_OFFSET = _parameter("Upload-Offset", "Where these bytes begin", required=True)
UPLOAD_CHECKSUM = _parameter(
    "Upload-Checksum", "`sha1` or `sha256`, a space, Base64: the piece is kept only if it fits"
)
UPLOAD_LENGTH = _parameter("Upload-Length", "The photo's size in bytes, as announced", required=True)
UPLOAD_METADATA = _parameter("Upload-Metadata", "`evidenceId` and its Base64; others are given back", required=True)
METHOD_OVERRIDE = _parameter(OVERRIDE, "`PATCH`, `HEAD` or `DELETE`", required=True)


@dataclass
class _Bare(Operation):
    """Answers of success have no body: all is in the headers."""

    def __post_init__(self) -> None:
        for status, response in (self.responses or {}).items():
            if status.startswith("2") and isinstance(response, OpenAPIResponse):
                response.content = None


@dataclass
class _Tus(_Bare):
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


def _told(name: str, description: str) -> ResponseHeader:
    return ResponseHeader(name=name, description=description, documentation_only=True)


_STANDS = [_told("Upload-Offset", "How many bytes have arrived"), _told("Upload-Expires", "When it ends unfinished")]


@HTTPRouteHandler(
    "/",
    http_method=["OPTIONS"],
    operation_class=_Bare,
    status_code=204,
    security=[],
    response_headers=[
        _told("Tus-Version", "`1.0.0`"),
        _told("Tus-Extension", "The extensions spoken"),
        _told("Tus-Checksum-Algorithm", "`sha1,sha256`"),
        _told("Tus-Max-Size", "The largest photo in bytes"),
    ],
    description="What of tus is spoken here; asks for no token.",
)
async def describe_tus(services: ServicesDep) -> Response[None]:
    headers = {
        "Tus-Version": tus.VERSION,
        "Tus-Extension": ",".join(tus.EXTENSIONS),
        "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
        "Tus-Max-Size": str(max_photo_bytes(services)),
        "Allow": "OPTIONS, POST",
    }
    return Response(None, status_code=204, headers=headers)


@post(
    "/",
    operation_class=_Creating,
    status_code=201,
    responses=error_responses(*_APPEND, "upload.length_deferred", "upload.size_differs", "photo.too_many_bytes"),
    response_headers=[_told("Location", "The upload"), *_STANDS],
    description="tus creation, with the first bytes or without. A photo the server has from the same person "
    "already is done at once: `Upload-Offset` is its length.",
)
async def create_upload(request: AnyRequest, uploader: PhotoUploader, services: ServicesDep) -> Response[None]:
    tus.check_version(request.headers)
    progress = await resumable.create_upload(services, uploader, tus.read_creation(request.headers))
    headers = {"Location": f"{PREFIX}/{progress.upload_id}"}
    if "Content-Type" in request.headers and progress.offset == 0:
        progress = await _append_first(request, uploader, services, progress.upload_id)
    return Response(None, status_code=201, headers=headers | _stands(progress))


async def _append_first(request: AnyRequest, uploader: Caller, services: Services, upload_id: str) -> Progress:
    tus.check_content_type(request.headers)
    return await _append(request, uploader, services, upload_id, 0)


async def _append(request: AnyRequest, uploader: Caller, services: Services, upload_id: str, offset: int) -> Progress:
    checksum = tus.read_checksum(request.headers)
    body = Body(request)
    try:
        return await resumable.append(services, uploader, upload_id, offset, body, checksum)
    finally:
        await body.aclose()


def _stands(progress: Progress) -> dict[str, str]:
    expires = {"Upload-Expires": tus.http_date(progress.expires_at)} if progress.offset < progress.size else {}
    return {"Upload-Offset": str(progress.offset)} | expires


@head(
    "/{upload_id:str}",
    operation_class=_Tus,
    responses=error_responses(*_TUS, *_END, "upload.gone", "upload.busy"),
    response_headers=[*_STANDS, _told("Upload-Length", "The photo's size"), _told("Upload-Metadata", "As it was sent")],
    description="Where the upload stands; it still answers when all has arrived.",
)
async def read_upload(
    request: AnyRequest, upload_id: FromPath[str], uploader: PhotoUploader, services: ServicesDep
) -> Response[None]:
    return await _read(request, uploader, services, upload_id)


async def _read(request: AnyRequest, uploader: Caller, services: Services, upload_id: str) -> Response[None]:
    tus.check_version(request.headers)
    progress = await resumable.read_progress(services, uploader, upload_id)
    headers = {"Upload-Length": str(progress.size), "Upload-Metadata": progress.metadata_told}
    return Response(None, status_code=200, headers=headers | _stands(progress))


@patch(
    "/{upload_id:str}",
    operation_class=_Patching,
    status_code=204,
    responses=error_responses(*_APPEND),
    response_headers=_STANDS,
    description="The bytes that follow `Upload-Offset`. With the last one the photo is checked against its "
    "announced hash and received.",
)
async def append_to_upload(
    request: AnyRequest, upload_id: FromPath[str], uploader: PhotoUploader, services: ServicesDep
) -> Response[None]:
    return await _patch(request, uploader, services, upload_id)


async def _patch(request: AnyRequest, uploader: Caller, services: Services, upload_id: str) -> Response[None]:
    tus.check_version(request.headers)
    offset = tus.read_offset(request.headers)
    progress = await _append(request, uploader, services, upload_id, offset)
    return Response(None, status_code=204, headers=_stands(progress))


@delete(
    "/{upload_id:str}",
    operation_class=_Tus,
    status_code=204,
    responses=error_responses(*_TUS, "upload.visit_submitted", "upload.gone", "upload.busy"),
    description="Ends the upload. A photo that has arrived stays.",
)
async def terminate_upload(
    request: AnyRequest, upload_id: FromPath[str], uploader: PhotoUploader, services: ServicesDep
) -> Response[None]:
    return await _delete(request, uploader, services, upload_id)


async def _delete(request: AnyRequest, uploader: Caller, services: Services, upload_id: str) -> Response[None]:
    tus.check_version(request.headers)
    await resumable.terminate(services, uploader, upload_id)
    return Response(None, status_code=204)


_OVERRIDES = {"PATCH": _patch, "HEAD": _read, "DELETE": _delete}


@post(
    "/{upload_id:str}",
    operation_class=_Overriding,
    status_code=204,
    responses=error_responses(*_APPEND, "upload.visit_submitted", "request.method_not_allowed")
    | {200: ResponseSpec(None, description="With `HEAD`: where the upload stands", generate_examples=False)},
    response_headers=_STANDS,
    description="PATCH, HEAD or DELETE for clients that lack the method, such as WeChat.",
)
async def override_method(
    request: AnyRequest, upload_id: FromPath[str], uploader: PhotoUploader, services: ServicesDep
) -> Response[None]:
    act = _OVERRIDES.get(request.headers.get(OVERRIDE, "").upper())
    if act is None:
        raise Problem("request.method_not_allowed", headers={"Allow": "OPTIONS, HEAD, PATCH, DELETE"})
    return await act(request, uploader, services, upload_id)


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
        "photo.too_many_bytes",
        "store.unavailable",
    ),
    description="One photo in one form, for `wx.uploadFile`. The body of every answer says what happened, "
    "since WeChat calls every status a success.",
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
    responses=error_responses(*_SIGNED, "thing.not_found", "photo.too_many_bytes", "store.unavailable"),
    description="A link to PUT the photo straight to the store; afterwards call `put-done`.",
)
async def make_put_link(evidence_id: FromPath[UUID], uploader: PhotoUploader, services: ServicesDep) -> PutLink:
    return await presigned.make_put_link(services, uploader, evidence_id)


@post(
    "/{evidence_id:uuid}/put-done",
    status_code=200,
    responses=error_responses(*_SIGNED, "thing.not_found", "upload.nothing_put", "photo.too_many_bytes", *_END),
    description="The photo was put: it is checked against its announced hash and received.",
)
async def finish_put(evidence_id: FromPath[UUID], uploader: PhotoUploader, services: ServicesDep) -> Received:
    return await presigned.finish_put(services, uploader, evidence_id)


router = Router(
    PREFIX,
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

# Beside sync, under /field/v1.
photo_router = Router(
    "/photos",
    route_handlers=[upload_photo, make_put_link, finish_put],
)
