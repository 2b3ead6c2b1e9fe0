"""Compute a 256-bit perceptual fingerprint of a photo, which finds it again after WeChat has re-encoded it.

Follows the published design of PDQ (Meta, 2019): luma, smoothed by a tent filter down to 64 x 64, the lowest 16 x 16
frequencies of its cosine transform, one bit each for being above their median. Implemented here on numpy; the bits
differ from PDQ's own and are compared only with each other.
"""

import math
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS: Final = 256
# Side of `Fingerprint.luma` in pixels.
LUMA_SIDE: Final = 64
_WORKING_SIDE: Final = 512
# PDQ's scale: 90 steps of one hundredth of the brightness range, over the whole grid, make one point of quality.
_QUALITY_STEPS: Final = 90

Luma = NDArray[np.float32]


class Fingerprint(msgspec.Struct, frozen=True):
    """`bits` are 32 bytes, the first frequency in the highest bit; `quality` is 0 (a blank wall, matches mean nothing)
    to 100. `luma` is the 64 x 64 grey picture that the bits were computed from, row by row; `media.crops` compares it.
    """

    bits: bytes
    quality: int
    luma: bytes


def fingerprint(image: Image.Image) -> Fingerprint:
    """Compute the fingerprint of an upright picture of any size and mode. Takes milliseconds."""
    return _make(_working(image))


def fingerprints(image: Image.Image) -> tuple[Fingerprint, Fingerprint | None]:
    """Compute the fingerprints of the whole picture and of its content inside a frame (a screenshot's bars, a border).

    The second is None when there is no frame.
    """
    luma = _working(image)
    inside = _inside_frame(luma)
    return _make(luma), _make(luma.crop(inside)) if inside else None


def distance(a: bytes, b: bytes) -> int:
    """Count differing bits, 0 to 256; unrelated photos differ in about 128."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def _working(image: Image.Image) -> Image.Image:
    luma = image if image.mode == "L" else image.convert("L")
    factor = max(luma.size) // _WORKING_SIDE
    return luma.reduce(factor) if factor > 1 else luma


def _make(luma: Image.Image) -> Fingerprint:
    small = _shrink(luma)
    pixels = np.rint(small).clip(0, 255).astype(np.uint8)
    bits = np.packbits(above_median(small)).tobytes()
    return Fingerprint(bits=bits, quality=_measure_quality(small), luma=pixels.tobytes())


def _shrink(luma: Image.Image) -> Luma:
    """Shrink to 64 x 64. Pillow's bilinear filter widens with the scale, which equals PDQ's tent of two box passes."""
    small = luma.convert("F").resize((LUMA_SIDE, LUMA_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32)


def above_median(luma: Luma) -> NDArray[np.bool_]:
    """Return the 16 x 16 bits, lowest frequencies first in both directions."""
    frequencies = _COSINES @ luma @ _COSINES.T
    above: NDArray[np.bool_] = frequencies > np.median(frequencies)
    return above


def _make_cosines() -> Luma:
    """Return rows 1 to 16 of the 64-point DCT-II; row 0, the mean brightness, says nothing about the scene."""
    rows = np.arange(1, 17)[:, None]
    columns = np.arange(LUMA_SIDE)[None, :]
    cosines: NDArray[np.float64] = math.sqrt(2 / LUMA_SIDE) * np.cos(
        math.pi / (2 * LUMA_SIDE) * rows * (2 * columns + 1)
    )
    return cosines.astype(np.float32)


_COSINES: Final = _make_cosines()


def _measure_quality(luma: Luma) -> int:
    """Measure the detail: whole hundredths of brightness between neighbours, so that noise does not count."""
    steps = sum(int(np.abs(np.trunc(np.diff(luma, axis=axis) * (100 / 255))).sum()) for axis in (0, 1))
    return min(100, steps // _QUALITY_STEPS)


# -- frames


# A row of a frame has one colour except for a clock, a battery and a button: at least _FRAME_SHARE of it lies within
# _FRAME_STEPS steps of brightness. Text on a frame is no taller than _FRAME_GAP of the picture.
_FRAME_SHARE: Final = 0.85
_FRAME_STEPS: Final = 6
_FRAME_GAP: Final = 0.05
# A thinner frame does not change the fingerprint; a thicker one leaves too little content.
_MIN_FRAME: Final = 0.01
_FRAME_SIDE: Final = 256
_MAX_FRAME: Final = 0.85


def _inside_frame(luma: Image.Image) -> tuple[int, int, int, int] | None:
    """Return the box (left, top, right, bottom) inside the frame; None without a frame."""
    factor = max(1, max(luma.size) // _FRAME_SIDE)
    if _find_content_box(np.asarray(luma.reduce(factor), dtype=np.int16)) is None:
        return None
    # Few photos have a frame; only those pay for finding its edges to the pixel.
    return _find_content_box(np.asarray(luma, dtype=np.int16))


def _find_content_box(grey: NDArray[np.int16]) -> tuple[int, int, int, int] | None:
    height, width = grey.shape
    top, bottom = _frame_depth(grey), _frame_depth(grey[::-1])
    if top + bottom > height * _MAX_FRAME:
        return None
    middle = grey[top : height - bottom].T
    left, right = _frame_depth(middle), _frame_depth(middle[::-1])
    if left + right > width * _MAX_FRAME:
        return None
    if max((top + bottom) / height, (left + right) / width) < _MIN_FRAME:
        return None
    return left, top, width - right, height - bottom


def _frame_depth(rows: NDArray[np.int16]) -> int:
    """Count the rows from the edge inwards that have the colour of the outermost ones."""
    colour = np.median(rows[:2])
    gap, depth = max(2, round(len(rows) * _FRAME_GAP)), 0
    if not _has_colour(rows[: gap + 1], colour).any():
        return 0  # most photos end here, before the full scan
    for row in np.flatnonzero(_has_colour(rows, colour)):
        if row - depth > gap:
            break
        depth = int(row) + 1
    return depth


def _has_colour(rows: NDArray[np.int16], colour: np.floating[Any]) -> NDArray[np.bool_]:
    matches: NDArray[np.bool_] = (np.abs(rows - colour) <= _FRAME_STEPS).mean(axis=1) >= _FRAME_SHARE
    return matches
