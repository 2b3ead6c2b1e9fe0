"""Positions that phones report (fixes), conversions between their datums, distances and speeds.

A fix is stored exactly as the phone sent it. Comparisons are made in WGS-84; GCJ-02 (the datum of Chinese maps) and
BD-09 (Baidu's) are converted first. All functions are pure; whether a distance or a speed becomes a finding is decided
by the checks of a visit.
"""

import math
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from server.core.device_times import ReportedTime

Datum = Literal["wgs84", "gcj02", "bd09"]

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the WGS-84 ellipsoid (2a + b) / 3: the error of great-circle distances is at most 0.6 %."""

REPEAT_S = 60.0
"""WeChat may return one fix again for 30 s, so repeats within a minute are normal."""

_GCJ_A = 6378245.0
_GCJ_EE = 0.00669342162296594323
_BD_TURN = math.pi * 3000.0 / 180.0
_BD_LATITUDE, _BD_LONGITUDE = 0.006, 0.0065
_BOX_LONGITUDE = (73.66, 135.05)
_BOX_LATITUDE = (3.86, 53.55)
_LARGEST_SHIFT_DEG = 0.02
_CONVERGED_DEG = 1e-13
_ROUNDING_DEG = 1e-10

_Latitude = Annotated[float, msgspec.Meta(ge=-90, le=90)]
_Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
_Accuracy = Annotated[float, msgspec.Meta(ge=0)]


class Fix(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A position as the phone reported it. `source` names the API (`wx.getLocation`, `browser`).

    Part of a phone's documents: a field of a newer phone is kept with them, not refused.
    """

    latitude: _Latitude
    longitude: _Longitude
    datum: Datum
    captured_at: ReportedTime
    accuracy_m: _Accuracy | None = None
    altitude_m: float | None = None
    speed_mps: float | None = None
    source: Annotated[str, msgspec.Meta(max_length=40)] | None = None

    def __post_init__(self) -> None:
        """Refuse NaN and infinity, which pass every bound; msgspec reports the ValueError as an invalid field."""
        values = (self.latitude, self.longitude, self.accuracy_m, self.altitude_m, self.speed_mps)
        if not all(value is None or math.isfinite(value) for value in values):
            raise ValueError("a fix holds finite numbers only")


class ReportedFix(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A position in a phone's document: whatever its sensors say, which is kept. `usable_fix` says what it is good for.

    iOS reports an accuracy of -1 for a position that it does not know.
    """

    latitude: float
    longitude: float
    datum: Datum
    captured_at: ReportedTime
    accuracy_m: float | None = None
    altitude_m: float | None = None
    speed_mps: float | None = None
    source: Annotated[str, msgspec.Meta(max_length=40)] | None = None


# What a sensor on a phone can report: an accuracy beyond is a position from nowhere, and would excuse any distance.
SENSOR_RANGES: dict[str, tuple[float, float]] = {
    "latitude": (-90, 90),
    "longitude": (-180, 180),
    "accuracyM": (0, 100_000),
    "altitudeM": (-500, 10_000),
    "speedMps": (0, 350),
}
# Phones say -1 for a speed that they do not know.
UNKNOWN_SPEED = -1


def implausible_readings(reported: dict[str, Any]) -> dict[str, float]:
    """Return the readings of a reported fix that no sensor can give, by name."""
    return {
        name: value
        for name, (least, most) in SENSOR_RANGES.items()
        if (value := reported.get(name)) is not None
        and not least <= value <= most
        and (name, value) != ("speedMps", UNKNOWN_SPEED)
    }


def usable_fix(reported: dict[str, Any] | None) -> Fix | None:
    """Return a reported fix without what no sensor can give; None without a position on Earth."""
    if not reported:
        return None
    bad = implausible_readings(reported)
    if bad.keys() & {"latitude", "longitude"}:
        return None
    return msgspec.convert({name: value for name, value in reported.items() if name not in bad}, Fix)


class Point(NamedTuple):
    """A position in degrees, in WGS-84 unless a datum is named."""

    latitude: float
    longitude: float


class Beyond(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """How far two positions are beyond the allowed radius, with all figures of the calculation.

    An unknown accuracy is None and counts as 0 m.
    """

    beyond_m: float
    distance_m: float
    accuracy_a_m: float | None
    accuracy_b_m: float | None
    radius_m: float


def to_wgs84(fix: Fix) -> Point:
    """Convert a fix to WGS-84: exact to 1e-9° from GCJ-02 and to 0.3 m from BD-09."""
    point = Point(fix.latitude, fix.longitude)
    if fix.datum == "bd09":
        return gcj02_to_wgs84(*bd09_to_gcj02(*point))
    if fix.datum == "gcj02":
        return gcj02_to_wgs84(*point)
    return point


def distance_m(a: Fix | Point, b: Fix | Point) -> float:
    """Return the great-circle distance in metres. Fixes are converted to WGS-84; points must be WGS-84."""
    here, there = _to_point(a), _to_point(b)
    north = math.radians(there.latitude - here.latitude)
    east = math.radians(there.longitude - here.longitude)
    meridians = math.cos(math.radians(here.latitude)) * math.cos(math.radians(there.latitude))
    chord = math.sin(north / 2) ** 2 + meridians * math.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


def distance_beyond(a: Fix | Point, b: Fix | Point, radius_m: float) -> Beyond:
    """Return the part of the distance that exceeds the allowed radius plus both stated accuracies."""
    apart = distance_m(a, b)
    accuracies = (_accuracy_m(a), _accuracy_m(b))
    allowed = radius_m + sum(value or 0.0 for value in accuracies)
    return Beyond(
        beyond_m=max(0.0, apart - allowed),
        distance_m=apart,
        accuracy_a_m=accuracies[0],
        accuracy_b_m=accuracies[1],
        radius_m=radius_m,
    )


def speed_mps(a: Fix, b: Fix) -> float:
    """Return the speed in m/s between two fixes, in either order of time.

    Phones report whole seconds, so less than a second counts as one. The accuracies are not subtracted;
    `least_speed_mps` does that.
    """
    return distance_m(a, b) / _seconds_apart(a, b)


def least_speed_mps(a: Fix, b: Fix) -> float:
    """Return the lowest speed in m/s that explains both fixes, after subtracting their accuracies from the distance."""
    return distance_beyond(a, b, 0.0).beyond_m / _seconds_apart(a, b)


def same_fix(a: Fix, b: Fix, *, repeat_s: float = REPEAT_S) -> bool:
    """Tell whether two fixes have identical coordinates more than `repeat_s` apart.

    GNSS never reports the same last digits twice, and WeChat's own repeats are shorter: this is a copied or a faked
    position.
    """
    identical = (a.latitude, a.longitude, a.datum) == (b.latitude, b.longitude, b.datum)
    return identical and abs(a.captured_at - b.captured_at) > timedelta(seconds=repeat_s)


def country_hint(latitude: float, longitude: float) -> Literal["cn_box", "outside_cn_box"]:
    """Tell whether a position lies in the rectangle in which GCJ-02 shifts coordinates.

    The rectangle also contains Mongolia, Korea and much of south-east Asia: `cn_box` does not prove that a position is
    in China, but `outside_cn_box` proves that it is not.
    """
    return "cn_box" if _in_box(latitude, longitude) else "outside_cn_box"


def wgs84_to_gcj02(latitude: float, longitude: float) -> Point:
    """Convert to the datum of Chinese maps; the identity outside the rectangle of `country_hint`."""
    if not _in_box(latitude, longitude):
        return Point(latitude, longitude)
    north, east = _gcj_shift(latitude, longitude)
    return Point(latitude + north, longitude + east)


def gcj02_to_wgs84(latitude: float, longitude: float) -> Point:
    """Invert `wgs84_to_gcj02` by iteration; a single step has an error of up to 4 m.

    The rectangle is tested with the result, not with the input, so that a position just inside its edge is converted
    too. In a strip of some hundred metres at the edge two positions share one GCJ-02 value; the inner one is returned.
    """
    if not _in_box(latitude, longitude, margin_deg=_LARGEST_SHIFT_DEG):
        return Point(latitude, longitude)
    guess = Point(latitude, longitude)
    for _ in range(20):
        north, east = _gcj_shift(*guess)
        better = Point(latitude - north, longitude - east)
        moved = max(abs(better.latitude - guess.latitude), abs(better.longitude - guess.longitude))
        guess = better
        if moved < _CONVERGED_DEG:
            break
    return guess if _in_box(*guess, margin_deg=_ROUNDING_DEG) else Point(latitude, longitude)


def gcj02_to_bd09(latitude: float, longitude: float) -> Point:
    radius = math.hypot(longitude, latitude) + 0.00002 * math.sin(latitude * _BD_TURN)
    angle = math.atan2(latitude, longitude) + 0.000003 * math.cos(longitude * _BD_TURN)
    return Point(radius * math.sin(angle) + _BD_LATITUDE, radius * math.cos(angle) + _BD_LONGITUDE)


def bd09_to_gcj02(latitude: float, longitude: float) -> Point:
    """Baidu's usual closed form. It is not an exact inverse: a round trip has an error of up to 0.3 m."""
    y, x = latitude - _BD_LATITUDE, longitude - _BD_LONGITUDE
    radius = math.hypot(x, y) - 0.00002 * math.sin(y * _BD_TURN)
    angle = math.atan2(y, x) - 0.000003 * math.cos(x * _BD_TURN)
    return Point(radius * math.sin(angle), radius * math.cos(angle))


def _to_point(position: Fix | Point) -> Point:
    return to_wgs84(position) if isinstance(position, Fix) else position


def _accuracy_m(position: Fix | Point) -> float | None:
    return position.accuracy_m if isinstance(position, Fix) else None


def _seconds_apart(a: Fix, b: Fix) -> float:
    return max(1.0, abs((b.captured_at - a.captured_at).total_seconds()))


def _in_box(latitude: float, longitude: float, margin_deg: float = 0.0) -> bool:
    (west, east), (south, north) = _BOX_LONGITUDE, _BOX_LATITUDE
    return west - margin_deg <= longitude <= east + margin_deg and south - margin_deg <= latitude <= north + margin_deg


def _gcj_shift(latitude: float, longitude: float) -> tuple[float, float]:
    """Return the degrees north and east that GCJ-02 adds at a WGS-84 position."""
    x, y = longitude - 105.0, latitude - 35.0
    phi = math.radians(latitude)
    curve = 1 - _GCJ_EE * math.sin(phi) ** 2
    meridian_m = _GCJ_A * (1 - _GCJ_EE) / (curve * math.sqrt(curve))
    parallel_m = _GCJ_A / math.sqrt(curve) * math.cos(phi)
    return math.degrees(_north_m(x, y) / meridian_m), math.degrees(_east_m(x, y) / parallel_m)


def _north_m(x: float, y: float) -> float:
    trend = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x))
    return trend + _ripple(x) + _waves(y, 20.0, 40.0, (160.0, 12.0), (320.0, 30.0))


def _east_m(x: float, y: float) -> float:
    trend = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x))
    return trend + _ripple(x) + _waves(x, 20.0, 40.0, (150.0, 12.0), (300.0, 30.0))


def _ripple(x: float) -> float:
    return (20.0 * math.sin(6.0 * x * math.pi) + 20.0 * math.sin(2.0 * x * math.pi)) * 2.0 / 3.0


def _waves(
    t: float, amplitude_2: float, amplitude_6: float, long_1: tuple[float, float], long_2: tuple[float, float]
) -> float:
    """Sum the published sine series: periods of 2 and 6 degrees, then two longer waves as (amplitude, divisor)."""
    short = amplitude_2 * math.sin(t * math.pi) + amplitude_6 * math.sin(t / 3.0 * math.pi)
    long = long_1[0] * math.sin(t / long_1[1] * math.pi) + long_2[0] * math.sin(t * math.pi / long_2[1])
    return (short + long) * 2.0 / 3.0
