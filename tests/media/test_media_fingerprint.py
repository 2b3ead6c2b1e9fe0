"""The same scene stays near, other scenes stay far, and a blank wall says of itself that it says nothing."""

import io
import itertools
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from media.fingerprint import BITS, distance, fingerprint
from media.photo import read_photo_facts
from media.renditions import make_renditions
from tests.makers.photos import encode, make_picture, make_scene

NEAR = 31  # the distance PDQ's authors advise for "the same picture"


@cache
def scenes():
    return [make_scene(seed) for seed in range(12)]


CHANGES = {
    "recompressed hard": lambda i: Image.open(io.BytesIO(encode(i, quality=25))),
    "made small": lambda i: i.resize((320, 240)),
    "stretched to another shape": lambda i: i.resize((1000, 1000)),
    "brighter": lambda i: ImageEnhance.Brightness(i).enhance(1.2),
    "darker": lambda i: ImageEnhance.Brightness(i).enhance(0.75),
    "more contrast": lambda i: ImageEnhance.Contrast(i).enhance(1.3),
    "grey": lambda i: i.convert("L"),
    "cropped by one in a hundred": lambda i: i.crop((6, 4, i.width - 6, i.height - 5)),
    "noisy": lambda i: Image.fromarray(
        (np.asarray(i, dtype=np.int16) + np.random.default_rng(1).integers(-20, 20, (i.height, i.width, 3)))
        .clip(0, 255)
        .astype(np.uint8)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_picture_stays_near_when_it_is(change):
    for picture in scenes():
        assert distance(fingerprint(picture).bits, fingerprint(CHANGES[change](picture)).bits) <= NEAR


def test_different_pictures_are_far_apart():
    prints = [fingerprint(picture).bits for picture in scenes()]
    assert min(distance(a, b) for a, b in itertools.combinations(prints, 2)) > 70


def test_real_photos_of_different_places_are_far_apart(photo):
    names = (
        "gps_0010.jpg",
        "gps_0012.jpg",
        "gps_0021.jpg",
        "gps_0025.jpg",
        "orientation_1.jpg",
        "phone_12mp.jpg",
        "no_exif.jpg",
    )
    prints = [make_renditions(photo(name), read_photo_facts(photo(name))).fingerprint.bits for name in names]
    assert min(distance(a, b) for a, b in itertools.combinations(prints, 2)) > 90


def test_one_scene_in_all_eight_orientations_is_near_itself(photo):
    prints = []
    for number in range(1, 9):
        path = photo(f"orientation_{number}.jpg")
        prints.append(make_renditions(path, read_photo_facts(path)).fingerprint.bits)
    # They differ by the number drawn on each and by eight separate compressions.
    assert max(distance(a, b) for a, b in itertools.combinations(prints, 2)) <= NEAR


def test_a_flat_picture_has_no_quality_and_a_scene_has_plenty():
    assert fingerprint(Image.new("RGB", (800, 600), (180, 170, 160))).quality == 0
    assert fingerprint(make_picture()).quality > 50


def test_a_dark_room_with_sensor_noise_has_hardly_any_quality():
    noise = np.random.default_rng(3).integers(8, 20, (600, 800), dtype=np.uint8)
    assert fingerprint(Image.fromarray(noise)).quality < 5


def test_half_of_the_bits_are_set_and_the_same_picture_gives_the_same_bits():
    first, again = fingerprint(make_picture()), fingerprint(make_picture())
    assert len(first.bits) * 8 == BITS
    assert int.from_bytes(first.bits).bit_count() == BITS // 2
    assert first == again


def test_distance_counts_the_bits_that_differ():
    assert distance(bytes(32), bytes(32)) == 0
    assert distance(bytes(32), b"\xff" * 32) == 256
    assert distance(b"\x05" + bytes(31), bytes(31) + b"\x01") == 3


def test_a_picture_of_one_pixel_does_not_crash():
    assert fingerprint(Image.new("RGB", (1, 1))).quality == 0
