"""tus 1.0.0 as text: what its headers say, and which of them are wrong (https://tus.io/protocols/resumable-upload)."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import NamedTuple
from uuid import UUID

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from server.core.errors import Problem

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "checksum", "expiration", "termination")
ALGORITHMS = ("sha1", "sha256")
# What a browser of another origin must be allowed to read.
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
OFFSET_STREAM = "application/offset+octet-stream"
# A photo's length has no more digits than this; longer ones are nonsense, not numbers.
_DIGITS = 15
_METADATA_CHARACTERS = 2000

Headers = Mapping[str, str]


class Checksum(NamedTuple):
    algorithm: str
    digest: bytes


class Creation(NamedTuple):
    """What the client wants to send: for which announced photo, how long."""

    evidence_id: UUID
    size_bytes: int
    metadata_told: str


def add_tus_headers(app: ASGIApp) -> ASGIApp:
    """Every answer, errors too, says which version is spoken and that it is not to be cached."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        async def marked_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                marks = [(b"tus-resumable", VERSION.encode()), (b"cache-control", b"no-store")]
                message["headers"] = [*message.get("headers", []), *marks]
            await send(message)

        await app(scope, receive, marked_send)

    return middleware


def check_version(headers: Headers) -> None:
    if headers.get("Tus-Resumable") != VERSION:
        raise Problem("upload.version_unsupported", headers={"Tus-Version": VERSION})


def read_creation(headers: Headers) -> Creation:
    if "Upload-Defer-Length" in headers:
        raise Problem("upload.length_deferred")
    told = headers.get("Upload-Metadata", "")
    return Creation(_evidence_id(told), _number(headers, "Upload-Length"), told)


def read_offset(headers: Headers) -> int:
    check_content_type(headers)
    return _number(headers, "Upload-Offset")


def check_content_type(headers: Headers) -> None:
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != OFFSET_STREAM:
        raise Problem("request.unsupported_media_type", wanted=OFFSET_STREAM)


def read_checksum(headers: Headers) -> Checksum | None:
    told = headers.get("Upload-Checksum")
    if told is None:
        return None
    algorithm, _, encoded = told.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise _invalid("Upload-Checksum", " / ".join(ALGORITHMS))
    return Checksum(algorithm, _decode(encoded, "Upload-Checksum"))


def http_date(at: datetime) -> str:
    return format_datetime(at, usegmt=True)


def _evidence_id(told: str) -> UUID:
    if len(told) > _METADATA_CHARACTERS:
        raise _invalid("Upload-Metadata", f"≤ {_METADATA_CHARACTERS}")
    pairs = (pair.strip().partition(" ") for pair in told.split(","))
    encoded = {key: value for key, _, value in pairs}.get("evidenceId", "")
    try:
        return UUID(_decode(encoded, "Upload-Metadata").decode())
    except ValueError:
        raise _invalid("Upload-Metadata", "evidenceId") from None


def _number(headers: Headers, name: str) -> int:
    told = headers.get(name, "")
    if not (told.isascii() and told.isdigit() and len(told) <= _DIGITS):
        raise _invalid(name, "0, 1, 2, …")
    return int(told)


def _decode(encoded: str, header: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid(header, "Base64") from None


def _invalid(header: str, wanted: str) -> Problem:
    return Problem("upload.header_invalid", header=header, wanted=wanted)
