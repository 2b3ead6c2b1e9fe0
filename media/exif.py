"""Read EXIF facts: when, where and with which camera a photo was taken (CIPA DC-008, a TIFF directory in the photo).

This is our own reader of the two dozen tags we use. Pillow reports broken blocks through Python warnings, which can
neither be caught nor counted in threads. Here a broken block is a fact, and its readable tags are returned.
"""

import math
import re
import struct
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Literal, NamedTuple

import msgspec

# Where the time zone of the camera's clock is from: EXIF itself, or the satellites' time beside it.
CapturedAtSource = Literal["offset", "gps_zone"]


class Position(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The camera's position. `datum` is as the camera wrote it; without one EXIF means WGS-84."""

    latitude: float
    longitude: float
    altitude_m: float | None = None
    accuracy_m: float | None = None
    datum: str | None = None


class ExifFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`captured_at` is `captured_local`, the camera's clock, with its time zone; None when the zone is unknown.

    `gps_at` is the time of the last fix as the camera wrote it. It may be hours old, and wrong by 1024 weeks.
    """

    broken: bool = False
    orientation: int = 1
    camera_make: str | None = None
    camera_model: str | None = None
    software: str | None = None
    captured_at: datetime | None = None
    captured_at_source: CapturedAtSource | None = None
    captured_local: datetime | None = None
    modified_local: datetime | None = None
    gps_at: datetime | None = None
    position: Position | None = None


def read_exif(block: bytes) -> ExifFacts:
    """Read an EXIF block. Never raises: a broken block gives `broken=True` and the tags read before the fault."""
    try:
        tiff = _open_tiff(block.removeprefix(b"Exif\x00\x00"))
        main, main_broken = _read_directory(tiff, tiff.first)
    except _BrokenError:
        return ExifFacts(broken=True)
    camera, camera_broken = _read_linked(tiff, main, _CAMERA_DIRECTORY)
    gps, gps_broken = _read_linked(tiff, main, _GPS_DIRECTORY)
    local = _clock(camera, _DATE_TIME_ORIGINAL) or _clock(camera, _DATE_TIME_DIGITIZED)
    gps_at = _gps_time(gps)
    position = _position(gps)
    captured_at, source = _capture_instant(local, _offset(camera), gps_at, position)
    return ExifFacts(
        broken=main_broken or camera_broken or gps_broken,
        orientation=_orientation(main),
        camera_make=_text(main, _MAKE),
        camera_model=_text(main, _MODEL),
        software=_text(main, _SOFTWARE),
        captured_at=captured_at,
        captured_at_source=source,
        captured_local=local,
        modified_local=_clock(main, _DATE_TIME),
        gps_at=gps_at,
        position=position,
    )


# --- the TIFF directory -------------------------------------------------------------------------------------

Value = bytes | list[int] | list[float]
Directory = dict[int, Value]


class _BrokenError(Exception):
    pass


class _Tiff(NamedTuple):
    data: bytes
    order: Literal["<", ">"]
    first: int


# TIFF 6.0 field types: size of a value and its struct code (None: raw bytes).
_TYPES: dict[int, tuple[int, str | None]] = {
    1: (1, None),  # BYTE
    2: (1, None),  # ASCII
    3: (2, "H"),  # SHORT
    4: (4, "I"),  # LONG
    5: (8, "II"),  # RATIONAL
    7: (1, None),  # UNDEFINED
    9: (4, "i"),  # SLONG
    10: (8, "ii"),  # SRATIONAL
    129: (1, None),  # UTF-8 (EXIF 3.0)
}
_TIFF_HEADER_BYTES = 8
_MAX_ENTRIES = 500  # real cameras write under 100
_MAX_VALUE_BYTES = 4096  # the tags we read are short; maker notes and previews are skipped


def _open_tiff(data: bytes) -> _Tiff:
    orders: dict[bytes, Literal["<", ">"]] = {b"II*\x00": "<", b"MM\x00*": ">"}
    order = orders.get(data[:4])
    if order is None or len(data) < _TIFF_HEADER_BYTES:
        raise _BrokenError
    return _Tiff(data, order, struct.unpack(order + "I", data[4:8])[0])


def _read_linked(tiff: _Tiff, main: Directory, tag: int) -> tuple[Directory, bool]:
    link = main.get(tag)
    if link is None:
        return {}, False
    if not isinstance(link, list) or not link:
        return {}, True
    try:
        return _read_directory(tiff, int(link[0]))
    except _BrokenError:
        return {}, True


def _read_directory(tiff: _Tiff, offset: int) -> tuple[Directory, bool]:
    """Read our tags of a directory; return them and whether any was unreadable."""
    count = _unpack(tiff, "H", offset)[0]
    if count > _MAX_ENTRIES:
        raise _BrokenError
    directory: Directory = {}
    broken = False
    for index in range(count):
        try:
            tag, value = _read_entry(tiff, offset + 2 + 12 * index)
        except _BrokenError:
            broken = True
        else:
            if value is not None:
                directory.setdefault(tag, value)
    return directory, broken


def _read_entry(tiff: _Tiff, offset: int) -> tuple[int, Value | None]:
    tag, kind, count = _unpack(tiff, "HHI", offset)
    if tag not in _TAGS:
        return tag, None
    size, code = _TYPES.get(kind, (0, None))
    if not size or size * count > _MAX_VALUE_BYTES:
        raise _BrokenError
    start = offset + 8 if size * count <= 4 else _unpack(tiff, "I", offset + 8)[0]  # noqa: PLR2004  TIFF: 4 bytes fit in place
    if code is None:
        return tag, _slice(tiff, start, count)
    numbers = _unpack(tiff, code * count, start)
    if len(code) == 1:
        return tag, list(numbers)
    return tag, [_ratio(numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2)]


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan


def _unpack(tiff: _Tiff, code: str, offset: int) -> tuple[int, ...]:
    code = tiff.order + code
    return struct.unpack(code, _slice(tiff, offset, struct.calcsize(code)))


def _slice(tiff: _Tiff, offset: int, length: int) -> bytes:
    if offset + length > len(tiff.data):
        raise _BrokenError
    return tiff.data[offset : offset + length]


# --- the tags -----------------------------------------------------------------------------------------------

_MAKE, _MODEL, _ORIENTATION, _SOFTWARE, _DATE_TIME = 0x010F, 0x0110, 0x0112, 0x0131, 0x0132
_CAMERA_DIRECTORY, _GPS_DIRECTORY = 0x8769, 0x8825
_DATE_TIME_ORIGINAL, _DATE_TIME_DIGITIZED = 0x9003, 0x9004
_OFFSET, _OFFSET_ORIGINAL, _OFFSET_DIGITIZED = 0x9010, 0x9011, 0x9012
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _ALTITUDE_REF, _ALTITUDE = 1, 2, 3, 4, 5, 6
_GPS_TIME, _GPS_DATUM, _GPS_DATE, _GPS_ERROR = 7, 18, 29, 31
_TAGS = frozenset({
    _MAKE, _MODEL, _ORIENTATION, _SOFTWARE, _DATE_TIME, _CAMERA_DIRECTORY, _GPS_DIRECTORY,
    _DATE_TIME_ORIGINAL, _DATE_TIME_DIGITIZED, _OFFSET, _OFFSET_ORIGINAL, _OFFSET_DIGITIZED,
    _LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _ALTITUDE_REF, _ALTITUDE,
    _GPS_TIME, _GPS_DATUM, _GPS_DATE, _GPS_ERROR,
})  # fmt: skip
_MAX_TEXT = 100


def _orientation(main: Directory) -> int:
    numbers = _numbers(main, _ORIENTATION, 1)
    return int(numbers[0]) if numbers and 1 <= numbers[0] <= 8 else 1  # noqa: PLR2004  EXIF defines 1..8


def _text(directory: Directory, tag: int) -> str | None:
    """Return printable text, without NULs and control characters, which neither PostgreSQL nor a screen accepts."""
    raw = directory.get(tag)
    if not isinstance(raw, bytes):
        return None
    text = raw.split(b"\x00", 1)[0].decode("utf-8", errors="replace")
    return "".join(c for c in text if c.isprintable()).strip()[:_MAX_TEXT] or None


def _numbers(directory: Directory, tag: int, count: int) -> list[float] | None:
    """Return exactly the first `count` numbers, or None when one is missing or not finite."""
    raw = directory.get(tag)
    if not isinstance(raw, list) or len(raw) < count:
        return None
    numbers = [float(n) for n in raw[:count]]
    return numbers if all(math.isfinite(n) for n in numbers) else None


def _capture_instant(
    local: datetime | None, offset: timezone | None, gps_at: datetime | None, position: Position | None
) -> tuple[datetime | None, CapturedAtSource | None]:
    """The camera's clock counts, with its own zone or the one the satellites show. Without a zone it is no instant."""
    if local is None:
        return None, None
    if offset is not None:
        return local.replace(tzinfo=offset), "offset"
    zone = _zone_by_satellites(local, gps_at, position) if gps_at is not None else None
    return (local.replace(tzinfo=zone), "gps_zone") if zone is not None else (None, None)


_DAY = timedelta(days=1)
_QUARTER = timedelta(minutes=15)
# The week number of GPS has ten bits: an old receiver reports a date that is 1024 weeks too early.
_ROLLOVER = timedelta(weeks=1024)
# A fix is seconds to minutes older than the photo, and a camera's clock is not exact.
_ZONE_TOLERANCE = timedelta(minutes=2)
# In hours. Civil zones lie at most so far from the sun's time (western Xinjiang on +08:00: 3 h 06 min).
_MOST_FROM_SUN = 3.25
# China's box in degrees, and its zones: Xinjiang's clocks show +06:00 or +08:00, and the sun's time begins at +05:00.
_CHINA_LATITUDES, _CHINA_LONGITUDES, _CHINA_ZONES = (3, 54), (73, 136), (5, 8)


def _zone_by_satellites(local: datetime, gps_at: datetime, position: Position | None) -> timezone | None:
    """Return the zone when the clock and the satellites differ by whole quarter hours that can be a zone there.

    An old fix, and a local time that was written as UTC, can differ by whole quarter hours too. A fix is never younger
    than its photo, so in China a difference above +08:00 is an old fix and no zone.
    """
    apart = local - gps_at.replace(tzinfo=None)
    apart -= round(apart / _ROLLOVER) * _ROLLOVER
    if apart < -_DAY / 2:
        apart += _DAY  # the camera wrote its local date beside the satellites' time of day
    zone = round(apart / _QUARTER) * _QUARTER
    if abs(apart - zone) > _ZONE_TOLERANCE:
        return None
    least, most = _possible_zones(position)
    return timezone(zone) if least <= zone / timedelta(hours=1) <= most else None


def _possible_zones(position: Position | None) -> tuple[float, float]:
    """Return the least and the greatest zone at this position in hours; China's when there is none."""
    if position is None or (
        _CHINA_LATITUDES[0] <= position.latitude <= _CHINA_LATITUDES[1]
        and _CHINA_LONGITUDES[0] <= position.longitude <= _CHINA_LONGITUDES[1]
    ):
        return _CHINA_ZONES
    by_sun = position.longitude / 15
    return max(by_sun - _MOST_FROM_SUN, -12), min(by_sun + _MOST_FROM_SUN, 14)


def _clock(directory: Directory, tag: int) -> datetime | None:
    """Parse `2026:11:23 09:42:00`. Cameras write blanks or zeros when the clock was never set."""
    found = re.fullmatch(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d).*", _text(directory, tag) or "")
    if found is None:
        return None
    try:
        return datetime(*(int(part) for part in found.groups()))  # type: ignore[arg-type]  # noqa: DTZ001  a camera's clock has no zone
    except ValueError:
        return None


def _offset(camera: Directory) -> timezone | None:
    """Return the zone of the capture. Cameras that write only OffsetTime mean the same clock."""
    for tag in (_OFFSET_ORIGINAL, _OFFSET_DIGITIZED, _OFFSET):
        text = _text(camera, tag) or ""
        if text == "Z":
            return UTC
        found = re.fullmatch(r"([+-])(\d\d):?(\d\d)", text)
        if found is not None:
            minutes = int(found[2]) * 60 + int(found[3])
            if minutes <= 14 * 60:
                return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))
    return None


def _gps_time(gps: Directory) -> datetime | None:
    """Return the time of the GPS fix, often minutes old. GPSDateStamp and GPSTimeStamp are UTC by definition."""
    found = re.fullmatch(r"(\d{4})[:-](\d\d)[:-](\d\d)", _text(gps, _GPS_DATE) or "")
    parts = _numbers(gps, _GPS_TIME, 3)
    if found is None or parts is None:
        return None
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
        return datetime.combine(day, time(int(parts[0]), int(parts[1]), int(parts[2])), tzinfo=UTC)
    except ValueError:
        return None


def _position(gps: Directory) -> Position | None:
    """Return the position. Exactly 0,0 counts as none: cameras write it before their first fix."""
    latitude = _degrees(gps, _LATITUDE, _LATITUDE_REF, negative="S", limit=90)
    longitude = _degrees(gps, _LONGITUDE, _LONGITUDE_REF, negative="W", limit=180)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None
    error = _numbers(gps, _GPS_ERROR, 1)
    return Position(
        latitude=latitude,
        longitude=longitude,
        altitude_m=_altitude(gps),
        accuracy_m=round(error[0], 2) if error and error[0] >= 0 else None,
        datum=_text(gps, _GPS_DATUM),
    )


def _degrees(gps: Directory, tag: int, ref_tag: int, *, negative: str, limit: int) -> float | None:
    """Convert degrees, minutes and seconds, three ratios; seconds may be 0/0 when minutes carry the fraction."""
    raw = gps.get(tag)
    if not isinstance(raw, list) or not raw or not math.isfinite(raw[0]):
        return None
    degrees = sum(n / 60**i for i, n in enumerate(raw[:3]) if math.isfinite(n))
    if _text(gps, ref_tag) == negative:
        degrees = -degrees
    return round(degrees, 7) if abs(degrees) <= limit else None  # 7 decimals: a centimetre


def _altitude(gps: Directory) -> float | None:
    metres = _numbers(gps, _ALTITUDE, 1)
    if metres is None:
        return None
    below = gps.get(_ALTITUDE_REF) == b"\x01"
    return round(-metres[0] if below else metres[0], 2)
