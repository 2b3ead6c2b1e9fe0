"""Frames are looked into, crops are recognised, and what merely resembles is not."""

import io
import itertools

import numpy as np
import pytest
from media_makers import encode, make_scene
from PIL import Image, ImageDraw, ImageOps

from media.crops import COARSE_BITS, align, coarse_views
from media.fingerprint import distance, fingerprint, fingerprints

NEAR = 31
# Shares of the left, top, right and bottom side.
CUTS = {
    "three hundredths all round": (0.03, 0.03, 0.03, 0.03),
    "a corner": (0.03, 0.03, 0, 0),
    "the left": (0.05, 0, 0, 0),
    "the bottom": (0, 0, 0, 0.06),
    "unevenly": (0.03, 0.01, 0, 0.04),
}


def cut(image, left, top, right, bottom):
    box = (left * image.width, top * image.height, (1 - right) * image.width, (1 - bottom) * image.height)
    return Image.open(io.BytesIO(encode(image.crop(tuple(map(round, box))), quality=60)))


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
def test_a_picture_cut_at_its_edges_is_recognised_from_either_side(cuts):
    for seed in range(6):
        whole, part = fingerprint(make_scene(seed)), fingerprint(cut(make_scene(seed), *cuts))
        for one, other in ((whole, part), (part, whole)):
            aligned = align(one.look, other.look)
            assert aligned.bits <= NEAR
            assert 0.01 <= aligned.cropped <= 0.1
            itself = coarse_views(other.look)[0]
            assert min((view ^ itself).bit_count() for view in coarse_views(one.look)) <= 10


def test_other_scenes_can_not_be_aligned():
    looks = [fingerprint(make_scene(seed)).look for seed in range(8)]
    assert min(align(a, b).bits for a, b in itertools.combinations(looks, 2)) > 60


def test_a_picture_aligned_with_itself_is_cut_nowhere():
    look = fingerprint(make_scene(1)).look
    assert align(look, look) == type(align(look, look))(bits=0, cropped=0.0)
    assert len(set(coarse_views(look))) > 5
    assert all(0 <= view < 2**COARSE_BITS for view in coarse_views(look))


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
