"""The demo county's drawn photos pass for a phone's: right type, EXIF, and never two alike."""

import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from media.fingerprint import distance
from media.photo import read_photo_facts
from media.renditions import make_renditions
from server.demo.pictures import draw_picture
from server.demo.scenes import SCENES

AT = datetime(2026, 11, 23, 9, 42, 10, tzinfo=timezone(timedelta(hours=8)))


def draw(scene="house_outside", seed=1, **changes):
    given: dict[str, Any] = {
        "captured_at": AT,
        "latitude": 26.108512,
        "longitude": 110.204306,
        "accuracy_m": 12.5,
        "size": (800, 600),
    }
    return draw_picture(scene=scene, seed=seed, **(given | changes))


@pytest.mark.parametrize("scene", SCENES)
def test_each_scene_is_a_photo_with_the_facts_of_a_phone(scene):
    facts = read_photo_facts(draw(scene, size=(1600, 1200)))
    assert (facts.media_type, facts.width, facts.height, facts.exif) == ("image/jpeg", 1600, 1200, "read")
    assert (facts.captured_at, facts.captured_at_source) == (AT, "offset")
    assert facts.captured_at.utcoffset() == timedelta(hours=8)
    assert abs(facts.position.latitude - 26.108512) < 1e-6
    assert abs(facts.position.longitude - 110.204306) < 1e-6
    assert facts.position.accuracy_m == 12.5
    assert (facts.camera_make, facts.camera_model) == ("Zoufang Demo", "Drawn Phone 1")
    assert 50_000 < facts.size_bytes < 600_000


def test_the_same_scene_and_seed_give_the_same_bytes():
    assert draw(seed=7) == draw(seed=7)
    assert draw(seed=7) != draw(seed=8)


def test_no_two_pictures_look_reused():
    prints = []
    for scene, seed in itertools.product(SCENES, (1, 2)):
        picture = draw(scene, seed)
        made = make_renditions(picture, read_photo_facts(picture)).fingerprint
        assert made.quality > 50
        prints.append(made.bits)
    assert min(distance(a, b) for a, b in itertools.combinations(prints, 2)) > 60


def test_south_west_and_another_zone_are_written_too():
    facts = read_photo_facts(draw(latitude=-33.5, longitude=-70.25, captured_at=AT.astimezone(UTC)))
    assert (facts.position.latitude, facts.position.longitude) == (-33.5, -70.25)
    assert facts.captured_at == AT
    assert facts.captured_at.utcoffset() == timedelta(0)


def test_an_unknown_scene_is_an_error():
    with pytest.raises(KeyError, match="garden"):
        draw("garden")
