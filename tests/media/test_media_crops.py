"""Frames are looked into, parts are recognised, and what merely resembles is not."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from media.crops import align, mirror
from media.fingerprint import distance, fingerprint, fingerprints
from media.keypoints import BITS, KEY_BITS, MAX_KEYPOINTS, find_keypoints, index_key
from tests.makers.photos import encode, make_scene

NEAR = 31
# Shares of the left, top, right and bottom side.
CUTS = {
    "three hundredths all round": (0.03, 0.03, 0.03, 0.03),
    "a corner": (0.03, 0.03, 0, 0),
    "the left": (0.05, 0, 0, 0),
    "the bottom": (0, 0, 0, 0.1),
    "a tenth of each side, off the middle": (0.08, 0.02, 0.02, 0.08),
    "unevenly": (0.03, 0.01, 0.1, 0.04),
    "a quarter": (0.1, 0.2, 0.15, 0.05),
}


def sent(image, quality=60):
    return Image.open(io.BytesIO(encode(image, quality=quality)))


def cut(image, left, top, right, bottom):
    box = (left * image.width, top * image.height, (1 - right) * image.width, (1 - bottom) * image.height)
    return sent(image.crop(tuple(map(round, box))))


def marks_of(image):
    return find_keypoints(fingerprint(image).luma, image.width / image.height)


def laid(item, other, *, is_mirrored=False):
    """Laid over each other where the two marks lie that are most alike; None where no two are."""
    own, theirs = marks_of(item), marks_of(other)
    own = own.mirrored() if is_mirrored else own
    pairs = [((a ^ b) % 2**BITS, i, j) for i, a in enumerate(own.bits()) for j, b in enumerate(theirs.bits())]
    bits, i, j = min(((change.bit_count(), i, j) for change, i, j in pairs))
    if bits > 12:
        return None
    look = fingerprint(item).luma
    ratios = ((item.width / item.height,), (other.width / other.height,))
    return align(
        mirror(look) if is_mirrored else look, fingerprint(other).luma, ratios, (own.positions[i], theirs.positions[j])
    )


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
def test_a_picture_cut_at_its_edges_is_recognised_from_either_side(cuts):
    left, top, right, bottom = cuts
    for seed in range(6):
        whole, part = make_scene(seed), cut(make_scene(seed), *cuts)
        for item, other in ((whole, part), (part, whole)):
            found = laid(item, other)
            assert found is not None
            assert found.bits <= NEAR * 3 / 4
            assert found.shown_share == pytest.approx((1 - left - right) * (1 - top - bottom), abs=0.02)
            assert found.turned_degrees == pytest.approx(0, abs=0.4)


def test_a_mirrored_picture_and_a_mirrored_part_are_recognised():
    for seed in range(6):
        scene = make_scene(seed)
        assert laid(scene, sent(ImageOps.mirror(scene)), is_mirrored=True).shown_share == pytest.approx(1, abs=0.01)
        assert laid(scene, cut(ImageOps.mirror(scene), 0.05, 0, 0.05, 0.1), is_mirrored=True).bits <= NEAR * 3 / 4


@pytest.mark.parametrize("degrees", [-3, 1.5])
def test_a_picture_turned_a_little_is_recognised(degrees):
    for seed in range(6):
        scene = make_scene(seed)
        turned = cut(scene.rotate(degrees, Image.Resampling.BICUBIC), 0.05, 0.05, 0.05, 0.05)
        found = laid(scene, turned)
        assert found.bits <= NEAR * 3 / 4
        assert abs(found.turned_degrees) == pytest.approx(abs(degrees), abs=0.4)


def test_pictures_of_other_scenes_are_no_parts_of_each_other():
    scenes = [make_scene(seed) for seed in range(8)]
    assert [laid(a, b) for a, b in itertools.combinations(scenes, 2)] == [None] * 28


HONEST = {
    "held further to the right": lambda i: (cut(i, 0, 0, 0.06, 0), cut(i, 0.06, 0, 0, 0)),
    "nearer and further down": lambda i: (cut(i, 0, 0, 0, 0.1), cut(i, 0.04, 0.15, 0.04, 0)),
    "seen from another side": lambda i: (
        i,
        sent(i.transform(i.size, Image.Transform.QUAD, (90, 0, 10, 900, 1190, 880, 1120, 60))),
    ),
    "stretched": lambda i: (i, sent(i.resize((1200, 860)).crop((0, 0, 1100, 860)))),
}


@pytest.mark.parametrize("take", HONEST.values(), ids=HONEST)
def test_two_honest_shots_of_one_place_are_no_parts_of_each_other(take):
    for seed in range(6):
        item, other = take(make_scene(seed))
        assert laid(item, other) is None


def test_a_picture_laid_over_itself_is_whole():
    scene = make_scene(1)
    found = laid(scene, scene)
    assert (found.bits, found.turned_degrees) == (0, 0)
    assert found.shown_share == pytest.approx(1, abs=1e-3)


def test_a_look_up_tries_the_keys_that_a_changed_picture_has():
    """Of the keys of a picture and of its part some must meet, or nobody finds the one by the other."""
    for seed in range(8):
        whole, part = marks_of(make_scene(seed)), marks_of(cut(make_scene(seed), 0.08, 0.02, 0.02, 0.08))
        tried = {key for keys in whole.probes(8) for key in keys}
        assert len(tried & set(part.keys())) >= 2
        assert [keys[0] for keys in whole.probes(8)] == whole.keys()
        assert all(0 <= key < 2**KEY_BITS for key in tried)


def test_marks_mirrored_are_the_marks_of_the_mirrored_picture():
    marks, mirrored = marks_of(make_scene(3)), marks_of(ImageOps.mirror(make_scene(3)))
    assert len(set(marks.mirrored().bits()) & set(mirrored.bits())) >= MAX_KEYPOINTS - 4
    assert marks.mirrored().mirrored().bits() == marks.bits()


@pytest.mark.parametrize("size", [(64, 64), (1600, 300), (20, 3000)])
def test_a_picture_of_nothing_or_of_any_shape_has_few_marks_or_none_and_does_not_crash(size):
    blank = marks_of(Image.new("L", size, 128))
    assert blank.bits() == blank.keys() == blank.probes(8) == blank.mirrored().bits() == []
    noise = marks_of(Image.fromarray(np.random.default_rng(1).integers(0, 255, size[::-1], dtype=np.uint8)))
    assert len(noise.keys()) <= MAX_KEYPOINTS
    assert [index_key(bit) for bit in noise.bits()] == noise.keys()


def screenshot(image, colour):
    screen = Image.new("RGB", (1080, 2340), (colour,) * 3)
    shown = image.resize((1080, 1080 * image.height // image.width))
    screen.paste(shown, (0, 700))
    pen = ImageDraw.Draw(screen)
    pen.text((60, 30), "18:42       5G 87%", font_size=44, fill=(255 - colour,) * 3)
    pen.rectangle((400, 2310, 680, 2320), fill=(255 - colour,) * 3)
    return screen


FRAMES = {
    "a screenshot on black": lambda i: screenshot(i, 0),
    "a screenshot on white": lambda i: screenshot(i, 255),
    "a white border": lambda i: ImageOps.expand(i, 40, (255, 255, 255)),
    "bars at the sides": lambda i: ImageOps.pad(i, (1920, 1080), color=(16, 16, 16)),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_what_a_frame_surrounds_has_the_fingerprint_of_the_picture(frame):
    for seed in range(6):
        scene = make_scene(seed)
        framed = Image.open(io.BytesIO(encode(frame(scene), quality=70)))
        whole, inside = fingerprints(framed)
        assert distance(whole.bits, fingerprint(scene).bits) > NEAR
        assert distance(inside.bits, fingerprint(scene).bits) <= NEAR


def test_a_picture_without_a_frame_has_no_inside():
    assert fingerprints(make_scene(2))[1] is None


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (600, 2), (400, 300)])
def test_a_picture_that_is_all_frame_has_no_inside_and_does_not_crash(size):
    whole, inside = fingerprints(Image.new("RGB", size, (250, 250, 250)))
    assert (whole.quality, inside) == (0, None)
    noise = np.random.default_rng(1).integers(0, 255, (size[1], size[0]), dtype=np.uint8)
    fingerprints(Image.fromarray(noise))
