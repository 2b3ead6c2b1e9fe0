"""Divisions of the demo county: province, city, county, three towns and twelve villages with their positions."""

import math
from collections.abc import Iterator

from server.core.location import Point
from server.demo.records import Area

CODE = "339901"
NAME = "云栖县"
_CENTRE = Point(28.9, 118.9)
_KM_PER_DEGREE = 111.32
# Code below the county's, name; villages also kilometres east and north of the county's middle.
TOWNS = (("001", "禾汀街道"), ("100", "柚溪镇"), ("200", "松岚乡"))
_VILLAGES = (
    ("001001", "桐荫社区", -0.8, 0.6),
    ("001002", "榆亭社区", 0.9, 0.8),
    ("001200", "麦垄村", -1.6, -1.3),
    ("001201", "芦汀村", 1.5, -1.5),
    ("100001", "柚溪社区", 8.0, 3.0),
    ("100200", "苇塘村", 9.6, 4.2),
    ("100201", "棠下坞村", 7.1, 5.0),
    ("100202", "穗安村", 9.9, 1.4),
    ("200200", "松岚村", -5.2, 9.5),
    ("200201", "杉月坪村", -7.0, 10.4),
    ("200202", "砚山村", -4.1, 11.6),
    ("200203", "泉石坳村", -6.4, 12.9),
)


def build_areas() -> Iterator[Area]:
    yield Area("33", "浙江省", "province", None)
    yield Area("3399", "砚州市", "city", "33")
    yield Area(CODE, NAME, "county", "3399")
    for code, name in TOWNS:
        yield Area(CODE + code, name, "town", CODE)
    for code, name, east_km, north_km in _VILLAGES:
        middle = offset_point(_CENTRE, east_km, north_km)
        yield Area(CODE + code, name, "village", CODE + code[:3], *middle)


def offset_point(start: Point, east_km: float, north_km: float) -> Point:
    """Return the point so far east and north, to six decimals (about 0.1 m)."""
    east = east_km / (_KM_PER_DEGREE * math.cos(math.radians(start.latitude)))
    return Point(round(start.latitude + north_km / _KM_PER_DEGREE, 6), round(start.longitude + east, 6))
