"""Receive a photo in a multipart form, as `wx.uploadFile` sends it: string fields come before or after the file."""

from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

import multipart  # type: ignore[import-untyped]

from field_api.uploads.body import Body, Spool
from field_api.uploads.resumable import max_photo_bytes
from server.core.access import Caller
from server.core.errors import Fault, Problem
from server.core.services import Services
from server.photos.receive import Received, UploadContext, find_expected, receive_photo

FILE_FIELD, EVIDENCE_FIELD = "file", "evidenceId"
FORM_TYPE = "multipart/form-data"
# Size of a form besides its photo: boundaries, headers, short values.
OVERHEAD_BYTES = 64 * 1024
_MAX_VALUE_BYTES = 4096
_MAX_PARTS = 20


async def receive_form(services: Services, caller: Caller, content_type: str, body: Body) -> Received:
    """Read the form and receive its photo.

    Raises `request.invalid`, `thing.not_found`, `photo.too_many_bytes` as early as possible, and what `receive_photo`
    raises.
    """
    if (body.announced_bytes or 0) > max_photo_bytes(services) + OVERHEAD_BYTES:
        raise Problem("photo.too_many_bytes")
    with Spool() as photo:
        form = _Form(photo, max_photo_bytes(services))
        await form.read(_read_boundary(content_type), body)
        expected = await find_expected(services, caller, form.evidence_id())
        context = UploadContext(expected.id, caller.device_id, caller)
        return await receive_photo(services, context, expected, photo.content)


def _read_boundary(content_type: str) -> str:
    kind, options = multipart.parse_options_header(content_type)
    if kind != FORM_TYPE or not options.get("boundary"):
        raise Problem("request.unsupported_media_type", required=FORM_TYPE)
    boundary: str = options["boundary"]
    return boundary


class _Form:
    """Collects the parts of a form as they arrive: one file, into the spool, and a few short values."""

    def __init__(self, photo: Spool, limit_bytes: int) -> None:
        self._photo = photo
        self._limit_bytes = limit_bytes
        self._values: dict[str, bytes] = {}
        self._part: multipart.MultipartSegment | None = None
        self._has_file = False

    async def read(self, boundary: str, body: Body) -> None:
        try:
            with multipart.PushMultipartParser(boundary, max_segment_count=_MAX_PARTS) as parser:
                async for piece in body.pieces():
                    for event in _parse(parser, piece):
                        await self._take(event)
        except multipart.MultipartError:
            raise _invalid("", "multipart/form-data") from None
        if not self._has_file:
            raise _invalid(FILE_FIELD, "missing")

    async def _take(self, event: multipart.MultipartSegment | bytes | None) -> None:
        if isinstance(event, multipart.MultipartSegment):
            self._part = event
            self._has_file |= event.name == FILE_FIELD
        elif event is None or self._part is None:
            self._part = None
        elif self._part.name == FILE_FIELD:
            await self._add_to_photo(event)
        else:
            self._add_to_value(self._part.name, event)

    async def _add_to_photo(self, piece: bytes) -> None:
        if self._photo.size + len(piece) > self._limit_bytes:
            raise Problem("photo.too_many_bytes")
        await self._photo.add(bytes(piece))

    def _add_to_value(self, name: str, piece: bytes) -> None:
        value = self._values.get(name, b"") + piece
        if len(value) > _MAX_VALUE_BYTES:
            raise _invalid(name, f"at most {_MAX_VALUE_BYTES} bytes")
        self._values[name] = value

    def evidence_id(self) -> UUID:
        with suppress(ValueError):
            return UUID(self._values.get(EVIDENCE_FIELD, b"").decode())
        raise _invalid(EVIDENCE_FIELD, "a UUID")


def _parse(parser: multipart.PushMultipartParser, piece: bytes) -> Iterator[multipart.MultipartSegment | bytes | None]:
    if not parser.closed:
        yield from parser.parse(piece)


def _invalid(field: str, expected: str) -> Problem:
    return Problem("request.invalid", faults=[Fault(f"/{field}", "field.invalid", expected)])
