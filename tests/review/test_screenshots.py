"""What has the size and shape of a phone's screen, and what only has its shape."""

from types import SimpleNamespace
from typing import Any

import pytest

from server.review.checks.photos import like_a_screenshot

SETTINGS = {
    "photo.screen_sizes": [[1080, 1920]],
    "photo.screen_ratio": 1.95,
    "photo.screen_ratio_most": 2.5,
    "photo.screen_short_px": 320,
}


@pytest.mark.parametrize(
    ("width", "height", "is_reported"),
    [
        (1080, 2400, True),  # today's phones
        (2340, 1080, True),  # held across
        (360, 800, True),  # made smaller by a messenger
        (636, 227, False),  # a strip that was cut out
        (227, 480, False),  # smaller than a screen
        (4000, 1500, False),  # a panorama
        (1080, 1920, False),  # a camera's shape, without a border
    ],
)
def test_a_screen_is_known_by_its_size_and_its_shape(width, height, is_reported):
    evidence = SimpleNamespace(id="a photo")
    photo = SimpleNamespace(evidence=evidence, facts={"width": width, "height": height}, has_frame=False)
    context: Any = SimpleNamespace(setting=SETTINGS.__getitem__, photos=[photo], answers={})
    assert bool(list(like_a_screenshot(context))) is is_reported
