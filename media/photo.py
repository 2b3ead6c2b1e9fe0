"""Decide whether a file is an acceptable photo, and read its facts.

`read_photo_facts` reads headers and EXIF and never decodes, so a decompression bomb costs nothing; `media.renditions`
then decodes once. Both are CPU work for a thread. Of a file with several pictures (stereo pair, gain map or motion
video in a JPEG; bursts and depth in a HEIC) only the main picture counts. An animated WebP or PNG is refused, since
nobody could say which frame is the evidence.
"""

import hashlib
import io
from datetime import datetime
from typing import Literal

import msgspec

from media.exif import CapturedAtSource, ExifFacts, Position, read_exif
from media.limits import DEFAULT_LIMITS, Limits
from media.refusals import ANIMATED, BROKEN, EMPTY, TOO_MANY_BYTES, TOO_MANY_PIXELS, TYPE_NOT_SUPPORTED, PhotoRefused
from media.sniff import HEIC, Container, parse_container, picture_bytes


class PhotoFacts(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Facts read from the file alone; safe to store as JSON (no NUL, no NaN)."""

    sha256: str
    size_bytes: int
    media_type: str
    # The stored size and the displayed size differ when the orientation rotates the picture by 90 degrees. A HEIC is
    # rotated by its own boxes while decoding, so both are the displayed size there and the orientation is 1.
    stored_width: int
    stored_height: int
    width: int
    height: int
    orientation: int
    frames: int
    exif: Literal["none", "read", "broken"]
    camera_make: str | None = None
    camera_model: str | None = None
    software: str | None = None
    # None when the file has no time zone: then `captured_local` may still hold the camera's clock.
    captured_at: datetime | None = None
    captured_at_source: CapturedAtSource | None = None
    captured_local: datetime | None = None
    modified_local: datetime | None = None
    gps_at: datetime | None = None
    position: Position | None = None


def read_photo_facts(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> PhotoFacts:
    """Read a photo's facts without decoding it. Raises PhotoRefused."""
    if not data:
        raise PhotoRefused(EMPTY)
    if len(data) > limits.max_bytes:
        raise PhotoRefused(TOO_MANY_BYTES, size_bytes=len(data), max_bytes=limits.max_bytes)
    container = _read_container(data)
    _check_limits(container, limits)
    exif = read_exif(container.exif) if container.exif is not None else None
    return _gather(hashlib.sha256(data).hexdigest(), len(data), container, exif)


def _read_container(data: bytes) -> Container:
    """Parse the container and fill in the size for every type."""
    container = parse_container(data)
    return _read_heif(data, container) if container.media_type == HEIC else container


def _read_heif(data: bytes, container: Container) -> Container:
    """Ask libheif, which reads only the boxes here; it decodes pixels on access to `.data`."""
    import pillow_heif  # noqa: PLC0415  7 MB that an API needs for nothing else

    try:
        heif = pillow_heif.open_heif(io.BytesIO(picture_bytes(data, container)))
        width, height = heif.size
        return Container(
            media_type=HEIC, width=width, height=height, frames=len(heif), exif=heif.info.get("exif") or None
        )
    except SyntaxError as error:  # pillow_heif's word for a kind of picture that its libheif has no decoder for
        raise PhotoRefused(TYPE_NOT_SUPPORTED, detected="image/heif") from error
    except Exception as error:  # libheif's errors reach Python as ValueError, EOFError, RuntimeError…
        raise PhotoRefused(BROKEN, reason=type(error).__name__) from error


def _check_limits(container: Container, limits: Limits) -> None:
    width, height = container.width, container.height
    if not width or not height:
        raise PhotoRefused(BROKEN, reason="no size")
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise PhotoRefused(
            TOO_MANY_PIXELS,
            width=width,
            height=height,
            max_pixels=limits.max_pixels,
            max_side=limits.max_side,
        )
    if container.frames > 1 and container.media_type != HEIC:
        raise PhotoRefused(ANIMATED, frames=container.frames)
    if container.scans > limits.max_scans:
        raise PhotoRefused(BROKEN, reason="too many scans")


def _gather(sha256: str, size_bytes: int, container: Container, exif: ExifFacts | None) -> PhotoFacts:
    facts = exif or ExifFacts()
    orientation = 1 if container.media_type == HEIC else facts.orientation
    stored = container.width, container.height
    width, height = reversed(stored) if orientation in TURNED_ON_ITS_SIDE else stored
    return PhotoFacts(
        sha256=sha256,
        size_bytes=size_bytes,
        media_type=container.media_type,
        stored_width=container.width,
        stored_height=container.height,
        width=width,
        height=height,
        orientation=orientation,
        frames=container.frames,
        exif="none" if exif is None else "broken" if exif.broken else "read",
        camera_make=facts.camera_make,
        camera_model=facts.camera_model,
        software=facts.software,
        captured_at=facts.captured_at,
        captured_at_source=facts.captured_at_source,
        captured_local=facts.captured_local,
        modified_local=facts.modified_local,
        gps_at=facts.gps_at,
        position=facts.position,
    )


TURNED_ON_ITS_SIDE = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
