"""A 256-bit fingerprint of how a photo looks, so that the same scene is found again after WeChat has re-
encoded it.

Follows the published design of PDQ (Meta, 2019): luma, smoothed by a tent filter down to 64 x 64, the
lowest 16 x 16 frequencies of its cosine transform, one bit each for being above their median. Written here
on numpy; the bits are our own and are compared only with each other.
"""

import math
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS: Final = 256
_GRID: Final = 64
_WORKING_SIDE: Final = 512
# PDQ's scale: 90 steps of one hundredth of the brightness range, over the whole grid, make one point of
# quality.
_QUALITY_STEPS: Final = 90


class Fingerprint(msgspec.Struct, frozen=True):
    """32 bytes, first frequency in the highest bit; `quality` 0 (a blank wall: matches mean nothing) to
    100.
    """

    bits: bytes
    quality: int


def fingerprint(image: Image.Image) -> Fingerprint:
    """Of an upright picture of any size and mode; takes milliseconds."""
    luma = _shrink(image)
    frequencies = _COSINES @ luma @ _COSINES.T
    above = frequencies > np.median(frequencies)
    return Fingerprint(bits=np.packbits(above).tobytes(), quality=_quality(luma))


def distance(a: bytes, b: bytes) -> int:
    """Differing bits, 0 to 256; unrelated photos lie around 128."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


def _shrink(image: Image.Image) -> NDArray[np.float32]:
    """Pillow's bilinear filter widens with the scale when shrinking: that is PDQ's tent of two box passes."""
    luma = image if image.mode == "L" else image.convert("L")
    factor = max(luma.size) // _WORKING_SIDE
    if factor > 1:
        luma = luma.reduce(factor)
    small = luma.convert("F").resize((_GRID, _GRID), Image.Resampling.BILINEAR)
    shrunk: NDArray[np.float32] = np.asarray(small, dtype=np.float32)
    return shrunk


def _make_cosines() -> NDArray[np.float32]:
    """Rows 1 to 16 of the 64-point DCT-II; row 0, the mean brightness, says nothing about the scene."""
    rows = np.arange(1, 17)[:, None]
    columns = np.arange(_GRID)[None, :]
    cosines: NDArray[np.float64] = math.sqrt(2 / _GRID) * np.cos(math.pi / (2 * _GRID) * rows * (2 * columns + 1))
    return cosines.astype(np.float32)


_COSINES: Final = _make_cosines()


def _quality(luma: NDArray[np.float32]) -> int:
    """How much there is to see: whole hundredths of brightness between neighbours, so that noise counts as
    nothing.
    """
    steps = sum(int(np.abs(np.trunc(np.diff(luma, axis=axis) * (100 / 255))).sum()) for axis in (0, 1))
    return min(100, steps // _QUALITY_STEPS)
