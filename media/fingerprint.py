"""A 256-bit fingerprint of how a photo looks, so that the same scene is found again after WeChat has re-
encoded it.

Follows the published design of PDQ (Meta, 2019): luma, smoothed by a tent filter down to 64 x 64, the
lowest 16 x 16 frequencies of its cosine transform, one bit each for being above their median. Written here
on numpy; the bits are our own and are compared only with each other.
"""

import math
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS: Final = 256
# A look is a square of so many pixels.
LUMA_SIDE: Final = 64
_WORKING_SIDE: Final = 512
# PDQ's scale: 90 steps of one hundredth of the brightness range, over the whole grid, make one point of
# quality.
_QUALITY_STEPS: Final = 90

Luma = NDArray[np.float32]


class Fingerprint(msgspec.Struct, frozen=True):
    """32 bytes, first frequency in the highest bit; `quality` 0 (a blank wall: matches mean nothing) to
    100. `look` is the 64 x 64 picture in grey that it was made from, row by row: what `media.crops` compares.
    """

    bits: bytes
    quality: int
    look: bytes


def fingerprint(image: Image.Image) -> Fingerprint:
    """Of an upright picture of any size and mode; takes milliseconds."""
    return _make(_working(image))


def fingerprints(image: Image.Image) -> tuple[Fingerprint, Fingerprint | None]:
    """Of the whole picture, and of what is inside its frame where it has one: a screenshot's bars, a border."""
    luma = _working(image)
    inside = _inside_frame(luma)
    return _make(luma), _make(luma.crop(inside)) if inside else None


def distance(a: bytes, b: bytes) -> int:
    """Differing bits, 0 to 256; unrelated photos lie around 128."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def _working(image: Image.Image) -> Image.Image:
    luma = image if image.mode == "L" else image.convert("L")
    factor = max(luma.size) // _WORKING_SIDE
    return luma.reduce(factor) if factor > 1 else luma


def _make(luma: Image.Image) -> Fingerprint:
    small = _shrink(luma)
    look = np.rint(small).clip(0, 255).astype(np.uint8)
    return Fingerprint(bits=np.packbits(above_median(small)).tobytes(), quality=_quality(small), look=look.tobytes())


def _shrink(luma: Image.Image) -> Luma:
    """Pillow's bilinear filter widens with the scale when shrinking: that is PDQ's tent of two box passes."""
    small = luma.convert("F").resize((LUMA_SIDE, LUMA_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32)


def above_median(luma: Luma) -> NDArray[np.bool_]:
    """The 16 x 16 bits, lowest frequencies first in both directions."""
    frequencies = _COSINES @ luma @ _COSINES.T
    above: NDArray[np.bool_] = frequencies > np.median(frequencies)
    return above


def _make_cosines() -> Luma:
    """Rows 1 to 16 of the 64-point DCT-II; row 0, the mean brightness, says nothing about the scene."""
    rows = np.arange(1, 17)[:, None]
    columns = np.arange(LUMA_SIDE)[None, :]
    cosines: NDArray[np.float64] = math.sqrt(2 / LUMA_SIDE) * np.cos(
        math.pi / (2 * LUMA_SIDE) * rows * (2 * columns + 1)
    )
    return cosines.astype(np.float32)


_COSINES: Final = _make_cosines()


def _quality(luma: Luma) -> int:
    """How much there is to see: whole hundredths of brightness between neighbours, so that noise counts as
    nothing.
    """
    steps = sum(int(np.abs(np.trunc(np.diff(luma, axis=axis) * (100 / 255))).sum()) for axis in (0, 1))
    return min(100, steps // _QUALITY_STEPS)


# -- frames


# Rows of a frame are of one colour but for a clock, a battery and a button: this share of each, within so many
# steps of brightness; what is written on it is no taller than this share of the picture.
_FRAME_SHARE: Final = 0.85
_FRAME_STEPS: Final = 6
_FRAME_GAP: Final = 0.05
# Under this a frame changes nothing that the fingerprint sees; over that little would be left to see.
_LEAST_FRAME: Final = 0.01
_FRAME_SIDE: Final = 256
_MOST_FRAME: Final = 0.85


def _inside_frame(luma: Image.Image) -> tuple[int, int, int, int] | None:
    """The box (left, top, right, bottom) of what a frame surrounds; None without one."""
    factor = max(1, max(luma.size) // _FRAME_SIDE)
    if _inside(np.asarray(luma.reduce(factor), dtype=np.int16)) is None:
        return None
    # Few photos have one: of those its edges are worth finding to the point.
    return _inside(np.asarray(luma, dtype=np.int16))


def _inside(grey: NDArray[np.int16]) -> tuple[int, int, int, int] | None:
    height, width = grey.shape
    top, bottom = _depth(grey), _depth(grey[::-1])
    if top + bottom > height * _MOST_FRAME:
        return None
    middle = grey[top : height - bottom].T
    left, right = _depth(middle), _depth(middle[::-1])
    if left + right > width * _MOST_FRAME:
        return None
    if max((top + bottom) / height, (left + right) / width) < _LEAST_FRAME:
        return None
    return left, top, width - right, height - bottom


def _depth(rows: NDArray[np.int16]) -> int:
    """How many rows from the edge on have the colour of the outermost ones."""
    colour = np.median(rows[:2])
    gap, depth = max(2, round(len(rows) * _FRAME_GAP)), 0
    if not _like(rows[: gap + 1], colour).any():
        return 0  # as of most photos, which are then looked at no further
    for row in np.flatnonzero(_like(rows, colour)):
        if row - depth > gap:
            break
        depth = int(row) + 1
    return depth


def _like(rows: NDArray[np.int16], colour: np.floating[Any]) -> NDArray[np.bool_]:
    like: NDArray[np.bool_] = (np.abs(rows - colour) <= _FRAME_STEPS).mean(axis=1) >= _FRAME_SHARE
    return like
