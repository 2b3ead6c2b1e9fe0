"""Keypoints of a picture, by which it is found again after it was cropped, mirrored or rotated a little.

A fingerprint covers the whole picture, so cropping a tenth of it changes it beyond recognition. Its blobs stay the
same: places darker or brighter than their surroundings, at the size at which they stand out most (Lowe, 2004). Each is
described by 64 bits of its surroundings, and a picture and its crop share many of them. Keypoints only find
candidates; `media.crops` then aligns the two pictures and decides.
"""

import math
from functools import cache
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from media.fingerprint import LUMA_SIDE

MAX_KEYPOINTS: Final = 16
BITS: Final = 64
# The lowest of the 64 frequencies change least: their bits are the key by which a keypoint is looked up.
KEY_BITS: Final = 28

Floats = NDArray[np.floating[Any]]

_SIZES: Final = tuple(2 ** (step / 3) for step in range(10))
# The surroundings of a keypoint: this many times its size in each direction, sampled at this many points a side.
_REACH: Final = 4.0
_POINTS: Final = 16
# Least share of a keypoint's surroundings that lies within the picture.
_MIN_WITHIN: Final = 0.75
# Least contrast, in steps of brightness of 255; below it is noise.
_MIN_CONTRAST: Final = 1.0
_FREQUENCIES: Final = 9
_MAX_RATIO: Final = 6.0


class Keypoints(NamedTuple):
    """The keypoints of one picture, strongest first, a row each.

    `positions`: x, y, and the size as a share of the width and of the height. `coefficients`: 64 frequencies of the
    surroundings, lowest first; the descriptor bits are their signs.
    """

    positions: Floats
    coefficients: Floats

    def mirrored(self) -> "Keypoints":
        """Return the keypoints of the picture mirrored left to right."""
        positions = self.positions.copy()
        positions[:, 0] = 1 - positions[:, 0]
        return Keypoints(positions, self.coefficients * _MIRROR)

    def bits(self) -> list[int]:
        """Return the descriptors as signed 64-bit numbers, the lowest frequency in the highest bit."""
        packed = np.ascontiguousarray(np.packbits(self.coefficients > 0, axis=1))
        return [int(number) for number in packed.view(">i8").ravel()]

    def probes(self, count: int) -> list[list[int]]:
        """Return for each keypoint its key and the likeliest keys after cropping or re-encoding, `count` in all."""
        weighted = self.coefficients[:, :KEY_BITS] * _WEIGHTS[:KEY_BITS]
        uncertain = np.argsort(np.abs(weighted), axis=1)[:, :_MAX_UNCERTAIN]
        cost = np.take_along_axis(np.abs(weighted), uncertain, axis=1) ** 2 @ _FLIPS.T
        cheapest = np.argsort(cost, axis=1, kind="stable")[:, :count]
        bit_values = 1 << (KEY_BITS - 1 - uncertain)
        flips = np.take_along_axis(bit_values @ _FLIPS.T.astype(np.int64), cheapest, axis=1)
        return [[key ^ int(flip) for flip in row] for key, row in zip(self.keys(), flips, strict=True)]

    def keys(self) -> list[int]:
        return [index_key(bits) for bits in self.bits()]


def index_key(bits: int) -> int:
    return (bits & (1 << BITS) - 1) >> (BITS - KEY_BITS)


def find_keypoints(luma: bytes, ratio: float) -> Keypoints:
    """Find the keypoints of `Fingerprint.luma`; `ratio` is the picture's width to its height. Takes 1 to 2 ms."""
    scales = _blur(_restore_shape(luma, ratio))
    height, width = scales.shape[1:]
    x, y, size, strength = _find_blobs(scales)
    within = _share_within(x, size, width) * _share_within(y, size, height)
    strongest = np.argsort(np.where(within >= _MIN_WITHIN, -strength, np.inf), kind="stable")
    chosen = strongest[: min(MAX_KEYPOINTS, int((within >= _MIN_WITHIN).sum()))]
    x, y, size = x[chosen], y[chosen], size[chosen]
    positions = np.stack([(x + 0.5) / width, (y + 0.5) / height, size / width, size / height], axis=1)
    return Keypoints(positions, _describe(scales, x, y, size))


def _restore_shape(luma: bytes, ratio: float) -> Floats:
    """Resize the square luma to the picture's proportions, with as many pixels."""
    ratio = min(max(ratio, 1 / _MAX_RATIO), _MAX_RATIO)
    size = round(LUMA_SIDE * math.sqrt(ratio)), round(LUMA_SIDE / math.sqrt(ratio))
    square = Image.frombytes("L", (LUMA_SIDE, LUMA_SIDE), luma).convert("F")
    return np.asarray(square.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)


def _blur(picture: Floats) -> Floats:
    """Blur the picture at every size: two matrix products each, since it is small and the matrices are cached."""
    down, across = _gaussian_matrices(picture.shape[0]), _gaussian_matrices(picture.shape[1])
    return down @ picture @ across.transpose(0, 2, 1)


@cache
def _gaussian_matrices(side: int) -> Floats:
    return np.stack([gaussian_matrix(side, sigma) for sigma in _SIZES])


@cache
def gaussian_matrix(side: int, sigma: float) -> Floats:
    """Return the matrix that smooths a line of `side` points by a Gaussian, mirrored at both ends."""
    reach = int(4 * sigma) + 1
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps = np.arange(side)[:, None] + np.arange(-reach, reach + 1)[None, :]
    taps = np.where(taps % (2 * side) < side, taps % (2 * side), 2 * side - 1 - taps % (2 * side))
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], taps), weights / weights.sum())
    return matrix.astype(np.float32)


def _find_blobs(scales: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return x, y, size and strength of each local maximum in position and size."""
    change = np.diff(scales, axis=0)
    strength = np.abs(change)
    peaks = (_max_of_neighbours(strength) == strength) & (strength >= _MIN_CONTRAST)
    peaks[0] = peaks[-1] = False
    peaks[:, :2] = peaks[:, -2:] = peaks[:, :, :2] = peaks[:, :, -2:] = False
    at = level, y, x = np.nonzero(peaks)
    height = change[at]
    level_offset = _peak_offset(change[level - 1, y, x], height, change[level + 1, y, x])
    size = 2 ** ((level + level_offset + 0.5) / 3)
    return (
        x + _peak_offset(change[level, y, x - 1], height, change[level, y, x + 1]),
        y + _peak_offset(change[level, y - 1, x], height, change[level, y + 1, x]),
        size,
        np.abs(height) * np.sqrt(size),
    )


def _max_of_neighbours(strength: Floats) -> Floats:
    """Return the highest value of each point and its 26 neighbours."""
    high = np.pad(strength, 1, constant_values=-1)
    high = np.maximum(np.maximum(high[:-2], high[1:-1]), high[2:])
    high = np.maximum(np.maximum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    return np.maximum(np.maximum(high[:, :, :-2], high[:, :, 1:-1]), high[:, :, 2:])


def _peak_offset(before: Floats, peak: Floats, after: Floats) -> Floats:
    """Return the peak of a parabola through three neighbours, in steps from the middle one."""
    bend = before - 2 * peak + after
    offset: Floats = (0.5 * (before - after) / np.where(bend == 0, 1, bend)).clip(-0.5, 0.5)
    return offset


def _share_within(centre: Floats, size: Floats, side: int) -> Floats:
    reach = _REACH * size
    share: Floats = (np.minimum(centre + reach, side) - np.maximum(centre - reach, 0)) / (2 * reach)
    return share


def _describe(scales: Floats, x: Floats, y: Floats, size: Floats) -> Floats:
    """Return the coefficients of each keypoint's surroundings, sampled from the scale that matches the spacing."""
    offsets = (np.arange(_POINTS) - (_POINTS - 1) / 2) / (_POINTS / 2) * _REACH
    spacing = 2 * _REACH * size / _POINTS
    level = np.clip(np.round(3 * np.log2(np.maximum(spacing * 0.8, 1))).astype(int), 0, len(_SIZES) - 1)
    height, width = scales.shape[1:]
    column, right = _split(_reflect(x[:, None] + size[:, None] * offsets, width), width)
    row, below = _split(_reflect(y[:, None] + size[:, None] * offsets, height), height)
    scale = level[:, None, None]

    def points(down: int, across: int) -> Floats:
        values: Floats = scales[scale, row[:, :, None] + down, column[:, None, :] + across]
        return values

    right, below = right[:, None, :], below[:, :, None]
    upper = points(0, 0) * (1 - right) + points(0, 1) * right
    lower = points(1, 0) * (1 - right) + points(1, 1) * right
    surroundings = upper * (1 - below) + lower * below
    coefficients: Floats = (_COSINES @ surroundings @ _COSINES.T).reshape(len(x), _FREQUENCIES**2)[:, _LOWEST]
    return coefficients


def _reflect(position: Floats, side: int) -> Floats:
    position = np.abs(position)
    inside: Floats = np.where(position > side - 1, 2 * (side - 1) - position, position).clip(0, side - 1)
    return inside


def _split(position: Floats, side: int) -> tuple[NDArray[np.int64], Floats]:
    """Split into a whole index and the fraction above it."""
    index = np.minimum(position.astype(np.int64), side - 2)
    return index, position - index


_COSINES: Final = np.cos(
    math.pi / (2 * _POINTS) * np.arange(_FREQUENCIES)[:, None] * (2 * np.arange(_POINTS)[None, :] + 1)
)
_DOWN, _ACROSS = (axis.ravel() for axis in np.mgrid[:_FREQUENCIES, :_FREQUENCIES])
# Without the first, the mean, which says nothing about the surroundings.
_LOWEST: Final = np.argsort(_DOWN**2 + _ACROSS**2 + 0.01 * _DOWN, kind="stable")[1 : BITS + 1]
_MIRROR: Final = np.where(_ACROSS[_LOWEST] % 2 == 1, -1.0, 1.0)
# In pictures a frequency is the weaker the higher it is; these weights make all alike.
_WEIGHTS: Final = np.sqrt(_DOWN**2 + _ACROSS**2)[_LOWEST]
_MAX_UNCERTAIN: Final = 9
_FLIPS: Final = np.array(
    [
        [bit in flipped for bit in range(_MAX_UNCERTAIN)]
        for count in range(4)
        for flipped in combinations(range(_MAX_UNCERTAIN), count)
    ],
    dtype=np.float64,
)
