"""Marked places of a picture, by which it is found again when it was cut, mirrored or turned a little.

A fingerprint is of the whole picture, so whoever cuts a tenth off it changes it beyond recognition. The blobs in it
stay what they are: places that are darker or brighter than what lies around them, at the size at which they stand
out most (Lowe, 2004). Each is told by 64 bits of what surrounds it, and of two pictures of which one is a part of
the other many agree. `media.crops` then lays the two over each other: marks find, they prove nothing.
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
# Of the 64 bits the lowest frequencies, which change least: by these a mark is looked up.
KEY_BITS: Final = 28

Floats = NDArray[np.floating[Any]]

_SIZES: Final = tuple(2 ** (step / 3) for step in range(10))
# What surrounds a mark: so many times its size in each direction, as so many points.
_REACH: Final = 4.0
_POINTS: Final = 16
# Of a mark's surroundings so much lies within the picture.
_LEAST_WITHIN: Final = 0.75
# It stands out by so many steps of brightness, of 255: less is noise.
_LEAST_STEP: Final = 1.0
_FREQUENCIES: Final = 9
_LONGEST_RATIO: Final = 6.0


class Keypoints(NamedTuple):
    """`places`: x, y, and size as a share of the width and of the height, each row a mark; the clearest first.

    `waves` are 64 frequencies of its surroundings, the lowest first: the bits are their signs.
    """

    places: Floats
    waves: Floats

    def mirrored(self) -> "Marks":
        """Of the picture mirrored left to right."""
        places = self.places.copy()
        places[:, 0] = 1 - places[:, 0]
        return Keypoints(places, self.waves * _MIRROR)

    def bits(self) -> list[int]:
        """As signed numbers of 64 bits, the lowest frequency in the highest bit."""
        packed = np.ascontiguousarray(np.packbits(self.waves > 0, axis=1))
        return [int(one) for one in packed.view(">i8").ravel()]

    def probes(self, count: int) -> list[list[int]]:
        """For each mark its key and those that it would most likely have, had the picture been cut or encoded anew."""
        waves = self.waves[:, :KEY_BITS] * _WEIGHTS[:KEY_BITS]
        doubtful = np.argsort(np.abs(waves), axis=1)[:, :_MOST_DOUBTED]
        cost = np.take_along_axis(np.abs(waves), doubtful, axis=1) ** 2 @ _FLIPS.T
        cheapest = np.argsort(cost, axis=1, kind="stable")[:, :count]
        places = 1 << (KEY_BITS - 1 - doubtful)
        changed = np.take_along_axis(places @ _FLIPS.T.astype(np.int64), cheapest, axis=1)
        return [[one ^ int(change) for change in row] for one, row in zip(self.keys(), changed, strict=True)]

    def keys(self) -> list[int]:
        return [index_key(one) for one in self.bits()]


def index_key(bits: int) -> int:
    return (bits & (1 << BITS) - 1) >> (BITS - KEY_BITS)


def find_keypoints(look: bytes, ratio: float) -> Keypoints:
    """`look` as `media.fingerprint` keeps it; `ratio` is the picture's width to its height. A millisecond or two."""
    scales = _blur(_true_shape(look, ratio))
    height, width = scales.shape[1:]
    x, y, size, strength = _blobs(scales)
    within = _share_within(x, size, width) * _share_within(y, size, height)
    clearest = np.argsort(np.where(within >= _LEAST_WITHIN, -strength, np.inf), kind="stable")
    chosen = clearest[: min(MAX_KEYPOINTS, int((within >= _LEAST_WITHIN).sum()))]
    x, y, size = x[chosen], y[chosen], size[chosen]
    places = np.stack([(x + 0.5) / width, (y + 0.5) / height, size / width, size / height], axis=1)
    return Keypoints(places, _waves(scales, x, y, size))


def _true_shape(look: bytes, ratio: float) -> Floats:
    """As many pixels as a look has, in the shape of the picture."""
    ratio = min(max(ratio, 1 / _LONGEST_RATIO), _LONGEST_RATIO)
    size = round(LUMA_SIDE * math.sqrt(ratio)), round(LUMA_SIDE / math.sqrt(ratio))
    square = Image.frombytes("L", (LUMA_SIDE, LUMA_SIDE), look).convert("F")
    return np.asarray(square.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)


def _blur(picture: Floats) -> Floats:
    """The picture at every size, by two products each: it is small, and the matrices are made once."""
    down, across = _smoothings(picture.shape[0]), _smoothings(picture.shape[1])
    return down @ picture @ across.transpose(0, 2, 1)


@cache
def _smoothings(side: int) -> Floats:
    return np.stack([gaussian_matrix(side, sigma) for sigma in _SIZES])


@cache
def gaussian_matrix(side: int, sigma: float) -> Floats:
    """The matrix that smooths a line of so many points by a Gaussian; beyond an end it reads what is before it."""
    reach = int(4 * sigma) + 1
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taken = np.arange(side)[:, None] + np.arange(-reach, reach + 1)[None, :]
    taken = np.where(taken % (2 * side) < side, taken % (2 * side), 2 * side - 1 - taken % (2 * side))
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], taken), weights / weights.sum())
    return matrix.astype(np.float32)


def _blobs(scales: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """x, y, size and strength of each place that stands out more than all next to it, in place and in size."""
    change = np.diff(scales, axis=0)
    strength = np.abs(change)
    peaks = (_highest_around(strength) == strength) & (strength >= _LEAST_STEP)
    peaks[0] = peaks[-1] = False
    peaks[:, :2] = peaks[:, -2:] = peaks[:, :, :2] = peaks[:, :, -2:] = False
    at = level, y, x = np.nonzero(peaks)
    height = change[at]
    closer = _between(change[level - 1, y, x], height, change[level + 1, y, x])
    size = 2 ** ((level + closer + 0.5) / 3)
    return (
        x + _between(change[level, y, x - 1], height, change[level, y, x + 1]),
        y + _between(change[level, y - 1, x], height, change[level, y + 1, x]),
        size,
        np.abs(height) * np.sqrt(size),
    )


def _highest_around(strength: Floats) -> Floats:
    """The highest of each place and the 26 around it."""
    high = np.pad(strength, 1, constant_values=-1)
    high = np.maximum(np.maximum(high[:-2], high[1:-1]), high[2:])
    high = np.maximum(np.maximum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    return np.maximum(np.maximum(high[:, :, :-2], high[:, :, 1:-1]), high[:, :, 2:])


def _between(before: Floats, peak: Floats, after: Floats) -> Floats:
    """Where a parabola through three neighbours has its peak, in steps from the middle one."""
    bend = before - 2 * peak + after
    place: Floats = (0.5 * (before - after) / np.where(bend == 0, 1, bend)).clip(-0.5, 0.5)
    return place


def _share_within(middle: Floats, size: Floats, side: int) -> Floats:
    reach = _REACH * size
    share: Floats = (np.minimum(middle + reach, side) - np.maximum(middle - reach, 0)) / (2 * reach)
    return share


def _waves(scales: Floats, x: Floats, y: Floats, size: Floats) -> Floats:
    """Frequencies of what surrounds each mark, read from the picture smoothed as the points lie apart."""
    offsets = (np.arange(_POINTS) - (_POINTS - 1) / 2) / (_POINTS / 2) * _REACH
    apart = 2 * _REACH * size / _POINTS
    level = np.clip(np.round(3 * np.log2(np.maximum(apart * 0.8, 1))).astype(int), 0, len(_SIZES) - 1)
    height, width = scales.shape[1:]
    column, right = _split(_reflect(x[:, None] + size[:, None] * offsets, width), width)
    row, below = _split(_reflect(y[:, None] + size[:, None] * offsets, height), height)
    picked = level[:, None, None]

    def points(down: int, across: int) -> Floats:
        read: Floats = scales[picked, row[:, :, None] + down, column[:, None, :] + across]
        return read

    right, below = right[:, None, :], below[:, :, None]
    upper = points(0, 0) * (1 - right) + points(0, 1) * right
    lower = points(1, 0) * (1 - right) + points(1, 1) * right
    around = upper * (1 - below) + lower * below
    waves: Floats = (_COSINES @ around @ _COSINES.T).reshape(len(x), _FREQUENCIES**2)[:, _LOWEST]
    return waves


def _reflect(place: Floats, side: int) -> Floats:
    place = np.abs(place)
    inside: Floats = np.where(place > side - 1, 2 * (side - 1) - place, place).clip(0, side - 1)
    return inside


def _split(place: Floats, side: int) -> tuple[NDArray[np.int64], Floats]:
    whole = np.minimum(place.astype(np.int64), side - 2)
    return whole, place - whole


_COSINES: Final = np.cos(
    math.pi / (2 * _POINTS) * np.arange(_FREQUENCIES)[:, None] * (2 * np.arange(_POINTS)[None, :] + 1)
)
_DOWN, _ACROSS = (one.ravel() for one in np.mgrid[:_FREQUENCIES, :_FREQUENCIES])
# The mean, which is the first, says nothing.
_LOWEST: Final = np.argsort(_DOWN**2 + _ACROSS**2 + 0.01 * _DOWN, kind="stable")[1 : BITS + 1]
_MIRROR: Final = np.where(_ACROSS[_LOWEST] % 2 == 1, -1.0, 1.0)
# In pictures a frequency is the weaker the higher it is: weighed so, all are alike.
_WEIGHTS: Final = np.sqrt(_DOWN**2 + _ACROSS**2)[_LOWEST]
_MOST_DOUBTED: Final = 9
_FLIPS: Final = np.array(
    [
        [bit in turned for bit in range(_MOST_DOUBTED)]
        for count in range(4)
        for turned in combinations(range(_MOST_DOUBTED), count)
    ],
    dtype=np.float64,
)
