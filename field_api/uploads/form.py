"""One photo in one form, as `wx.uploadFile` sends it: its extra values are strings, before or after the file."""

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
# What a form has besides its photo: boundaries, headers, short values.
BESIDES_BYTES = 64 * 1024
_VALUE_BYTES = 4096
_PARTS = 20


async def receive_form(services: Services, caller: Caller, content_type: str, body: Body) -> Received:
    """Raises `request.invalid`, `thing.not_found`, `photo.too_many_bytes` as soon as it is known to be, and
    what `receive_photo` raises.
    """
    if (body.announced_bytes or 0) > max_photo_bytes(services) + BESIDES_BYTES:
        raise Problem("photo.too_many_bytes")
    with Spool() as photo:
        form = _Form(photo, max_photo_bytes(services))
        await form.read(_boundary(content_type), body)
        claim = await find_expected(services, caller, form.evidence_id())
        return await receive_photo(services, UploadContext(claim.id, caller.device_id, caller), claim, photo.content)


def _boundary(content_type: str) -> str:
    kind, options = multipart.parse_options_header(content_type)
    if kind != FORM_TYPE or not options.get("boundary"):
        raise Problem("request.unsupported_media_type", wanted=FORM_TYPE)
    boundary: str = options["boundary"]
    return boundary


class _Form:
    """The parts of a form as they come: one file, into the spool, and a few short values."""

    def __init__(self, photo: Spool, limit_bytes: int) -> None:
        self._photo = photo
        self._limit_bytes = limit_bytes
        self._values: dict[str, bytes] = {}
        self._part: multipart.MultipartSegment | None = None
        self._has_file = False

    async def read(self, boundary: str, body: Body) -> None:
        try:
            with multipart.PushMultipartParser(boundary, max_segment_count=_PARTS) as parser:
                async for piece in body.pieces():
                    for event in _events(parser, piece):
                        await self._take(event)
        except multipart.MultipartError:
            raise _bad("", "multipart/form-data") from None
        if not self._has_file:
            raise _bad(FILE_FIELD, "missing")

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
        if len(value) > _VALUE_BYTES:
            raise _bad(name, f"at most {_VALUE_BYTES} bytes")
        self._values[name] = value

    def evidence_id(self) -> UUID:
        with suppress(ValueError):
            return UUID(self._values.get(EVIDENCE_FIELD, b"").decode())
        raise _bad(EVIDENCE_FIELD, "a UUID")


def _events(parser: multipart.PushMultipartParser, piece: bytes) -> Iterator[multipart.MultipartSegment | bytes | None]:
    if not parser.closed:
        yield from parser.parse(piece)


def _bad(field: str, wanted: str) -> Problem:
    return Problem("request.invalid", faults=[Fault(f"/{field}", "field.invalid", wanted)])
