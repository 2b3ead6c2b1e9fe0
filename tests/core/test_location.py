import math
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.location import (
    Fix,
    Point,
    bd09_to_gcj02,
    country_hint,
    distance_beyond,
    distance_m,
    gcj02_to_bd09,
    gcj02_to_wgs84,
    least_speed_mps,
    same_fix,
    speed_mps,
    to_wgs84,
    wgs84_to_gcj02,
)

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
HOME = Point(28.9, 118.9)


def make_fix(latitude=HOME.latitude, longitude=HOME.longitude, *, after_s=0.0, datum="wgs84", accuracy_m=None):
    return Fix(
        latitude=latitude,
        longitude=longitude,
        datum=datum,
        captured_at=NOON + timedelta(seconds=after_s),
        accuracy_m=accuracy_m,
    )


def north_of(point, metres):
    return point.latitude + math.degrees(metres / 6_371_008.8)


@pytest.mark.parametrize(
    ("convert", "longitude", "latitude", "expected"),
    [
        (wgs84_to_gcj02, 116.404, 39.915, (116.41024449916938, 39.91640428150164)),
        (gcj02_to_bd09, 116.404, 39.915, (116.41036949371029, 39.92133699351021)),
        (bd09_to_gcj02, 116.404, 39.915, (116.39762729119315, 39.90865673957631)),
        (gcj02_to_wgs84, 116.404, 39.915, (116.3977557546871, 39.91359623568433)),
        (wgs84_to_gcj02, 121.5272106, 31.1774276, (121.531541859215, 31.17530398364597)),
        (wgs84_to_gcj02, 113.912316, 22.543847, (113.9171764808363, 22.540796131694766)),
        (wgs84_to_gcj02, 116.377817, 39.911954, (116.38404722455657, 39.91334545536069)),
    ],
)
def test_the_published_vectors_of_each_datum_are_met(convert, longitude, latitude, expected):
    converted = convert(latitude, longitude)
    assert (converted.longitude, converted.latitude) == pytest.approx(expected, rel=0, abs=1e-9)


IN_BOX = {"latitude": st.floats(3.86, 53.55), "longitude": st.floats(73.66, 135.05)}


@settings(deadline=None)  # a busy machine is no failure
@given(**IN_BOX)
def test_every_place_in_the_box_comes_back_from_gcj02(latitude, longitude):
    there = wgs84_to_gcj02(latitude, longitude)
    assert distance_m(there, Point(latitude, longitude)) > 5
    assert gcj02_to_wgs84(*there) == pytest.approx((latitude, longitude), rel=0, abs=1e-9)


@settings(deadline=None)  # a busy machine is no failure
@given(**IN_BOX)
def test_bd09_comes_back_within_half_a_metre(latitude, longitude):
    there = gcj02_to_bd09(latitude, longitude)
    assert distance_m(Point(*bd09_to_gcj02(*there)), Point(latitude, longitude)) < 0.5


@pytest.mark.parametrize("place", [Point(43.47, 11.88), Point(-33.9, 151.2), Point(39.9, -116.4), Point(3.8, 100)])
def test_outside_the_box_gcj02_is_the_identity_both_ways(place):
    assert wgs84_to_gcj02(*place) == place
    assert gcj02_to_wgs84(*place) == place


def test_a_fix_of_each_datum_comes_to_the_same_place_in_wgs84():
    gcj = wgs84_to_gcj02(*HOME)
    bd = gcj02_to_bd09(*gcj)
    for datum, point in (("wgs84", HOME), ("gcj02", gcj), ("bd09", bd)):
        assert distance_m(to_wgs84(make_fix(*point, datum=datum)), HOME) < 0.5


def test_a_degree_along_the_equator_is_111_2_km():
    assert distance_m(Point(0, 0), Point(0, 1)) == pytest.approx(111_195, abs=1)
    assert distance_m(Point(0, 179.5), Point(0, -179.5)) == pytest.approx(111_195, abs=1)


def test_opposite_places_are_half_the_earth_apart_and_the_same_place_is_not_apart():
    assert distance_m(Point(10, 20), Point(-10, -160)) == pytest.approx(math.pi * 6_371_008.8)
    assert distance_m(HOME, HOME) == 0


def test_accuracies_and_radius_are_taken_off_the_distance_and_explained():
    fix = make_fix(latitude=north_of(HOME, 400), accuracy_m=65.0)
    beyond = distance_beyond(fix, HOME, 150)
    assert beyond.distance_m == pytest.approx(400, abs=0.01)
    assert beyond.beyond_m == pytest.approx(185, abs=0.01)
    assert (beyond.accuracy_a_m, beyond.accuracy_b_m, beyond.radius_m) == (65.0, None, 150)


def test_a_fix_within_the_radius_is_not_beyond():
    assert distance_beyond(make_fix(latitude=north_of(HOME, 149)), HOME, 150).beyond_m == 0


def test_speed_is_the_same_in_either_order_and_less_than_a_second_counts_as_one():
    later = make_fix(latitude=north_of(HOME, 600), after_s=60)
    assert speed_mps(make_fix(), later) == pytest.approx(10)
    assert speed_mps(later, make_fix()) == pytest.approx(10)
    assert speed_mps(make_fix(), make_fix(latitude=north_of(HOME, 600))) == pytest.approx(600)


def test_the_least_speed_allows_for_poor_fixes():
    here, there = make_fix(accuracy_m=30), make_fix(latitude=north_of(HOME, 50), after_s=2, accuracy_m=30)
    assert speed_mps(here, there) == pytest.approx(25)
    assert least_speed_mps(here, there) == 0


def test_wechats_own_repeat_within_a_minute_is_not_a_copied_fix():
    assert not same_fix(make_fix(), make_fix(after_s=29))
    assert not same_fix(make_fix(), make_fix(after_s=60))
    assert same_fix(make_fix(), make_fix(after_s=61))
    assert same_fix(make_fix(after_s=90_000), make_fix())


def test_fixes_that_differ_in_a_digit_or_in_datum_are_not_the_same():
    assert not same_fix(make_fix(), make_fix(latitude=math.nextafter(HOME.latitude, 90), after_s=999))
    assert not same_fix(make_fix(), make_fix(datum="gcj02", after_s=999))


def test_arezzo_is_outside_the_box_and_the_demo_county_inside():
    assert country_hint(43.467, 11.885) == "outside_cn_box"
    assert country_hint(*HOME) == "cn_box"


GOOD = {"latitude": 28.9, "longitude": 118.9, "datum": "gcj02", "capturedAt": "2026-11-23T09:42:00+08:00"}


def test_a_fix_is_read_from_camel_case_with_its_offset():
    fix = msgspec.convert(GOOD | {"accuracyM": 12.5, "source": "wx.getLocation"}, Fix)
    assert fix.accuracy_m == 12.5
    assert fix.captured_at == datetime(2026, 11, 23, 1, 42, tzinfo=UTC)


@pytest.mark.parametrize(
    "bad",
    [
        {"latitude": 90.001},
        {"longitude": -180.5},
        {"accuracyM": -1.0},
        {"latitude": float("nan")},
        {"accuracyM": float("inf")},
        {"altitudeM": float("-inf")},
        {"datum": "wgs72"},
        {"capturedAt": "2026-11-23T09:42:00"},
    ],
)
def test_a_fix_out_of_bounds_or_without_offset_is_refused(bad):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(GOOD | bad, Fix)
