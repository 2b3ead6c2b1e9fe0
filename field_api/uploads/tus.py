"""Read and write the headers of tus 1.0.0, and reject invalid ones (https://tus.io/protocols/resumable-upload)."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import NamedTuple
from uuid import UUID

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from server.core.errors import Problem

PREFIX = "/uploads"
VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "checksum", "expiration", "termination")
ALGORITHMS = ("sha1", "sha256")
# Headers that CORS exposes to browsers of another origin.
EXPOSED_HEADERS = (
    "Location",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Expires",
    "Tus-Version",
    "Tus-Resumable",
    "Tus-Max-Size",
    "Tus-Extension",
    "Tus-Checksum-Algorithm",
)
METHODS = frozenset({"OPTIONS", "POST", "HEAD", "PATCH", "DELETE"})
OVERRIDE = "X-HTTP-Method-Override"
OFFSET_STREAM = "application/offset+octet-stream"
# No photo's length has more digits; longer ones are rejected.
_MAX_DIGITS = 15
_MAX_METADATA_CHARACTERS = 2000

Headers = Mapping[str, str]


class Checksum(NamedTuple):
    algorithm: str
    digest: bytes


class Creation(NamedTuple):
    """The upload that a client wants to create; `upload_metadata` is returned to it unchanged."""

    evidence_id: UUID
    size_bytes: int
    upload_metadata: str


def add_tus_headers(app: ASGIApp) -> ASGIApp:
    """Add Tus-Resumable and Cache-Control: no-store to every response, including errors."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(b"tus-resumable", VERSION.encode()), (b"cache-control", b"no-store")]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        await app(scope, receive, send_with_headers)

    return middleware


def override_method(app: ASGIApp) -> ASGIApp:
    """Treat a request to a tus address as having the method that `X-HTTP-Method-Override` names, as tus requires.

    It wraps the whole app, because the method is part of how a route is found.
    """

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and (scope["path"] == PREFIX or scope["path"].startswith(f"{PREFIX}/")):
            method = dict(scope["headers"]).get(OVERRIDE.lower().encode(), b"").decode("latin-1").strip().upper()
            if method:
                # No tus address has GET, so any other method gets the answer that the method is not allowed.
                scope["method"] = method if method in METHODS else "GET"  # type: ignore[typeddict-item]
        await app(scope, receive, send)

    return middleware


def check_version(headers: Headers) -> None:
    if headers.get("Tus-Resumable") != VERSION:
        raise Problem("upload.version_unsupported", headers={"Tus-Version": VERSION})


def read_creation(headers: Headers) -> Creation:
    if "Upload-Concat" in headers:
        raise Problem("upload.concat_unsupported")
    if "Upload-Defer-Length" in headers:
        raise Problem("upload.length_deferred")
    metadata = headers.get("Upload-Metadata", "")
    return Creation(_read_evidence_id(metadata), _read_number(headers, "Upload-Length"), metadata)


def read_offset(headers: Headers) -> int:
    check_content_type(headers)
    return _read_number(headers, "Upload-Offset")


def read_content_type(headers: Headers) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def check_content_type(headers: Headers) -> None:
    if read_content_type(headers) != OFFSET_STREAM:
        raise Problem("request.unsupported_media_type", required=OFFSET_STREAM)


def read_checksum(headers: Headers) -> Checksum | None:
    header = headers.get("Upload-Checksum")
    if header is None:
        return None
    algorithm, _, encoded = header.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise _invalid("Upload-Checksum", " / ".join(ALGORITHMS))
    return Checksum(algorithm, _decode(encoded, "Upload-Checksum"))


def http_date(at: datetime) -> str:
    return format_datetime(at, usegmt=True)


def _read_evidence_id(metadata: str) -> UUID:
    if len(metadata) > _MAX_METADATA_CHARACTERS:
        raise _invalid("Upload-Metadata", f"≤ {_MAX_METADATA_CHARACTERS}")
    pairs = (pair.strip().partition(" ") for pair in metadata.split(","))
    encoded = {key: value for key, _, value in pairs}.get("evidenceId", "")
    try:
        return UUID(_decode(encoded, "Upload-Metadata").decode())
    except ValueError:
        raise _invalid("Upload-Metadata", "evidenceId") from None


def _read_number(headers: Headers, name: str) -> int:
    digits = headers.get(name, "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise _invalid(name, "0, 1, 2, …")
    return int(digits)


def _decode(encoded: str, header: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid(header, "Base64") from None


def _invalid(header: str, expected: str) -> Problem:
    return Problem("upload.header_invalid", header=header, required=expected)
