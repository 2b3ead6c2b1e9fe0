"""Whether one picture is a part of another: cut at an edge to hide a stamp, a little nearer on all sides, turned.

Marks say where the two may lie over each other (`media.keypoints`). From there one is moved, scaled and turned until it
differs least from the other (Lucas and Kanade, 1981), and what they share is compared like any two fingerprints.
Whoever cuts a picture stretches nothing and adds nothing at its edges; someone who photographs the same wall a
second time does both, and is not accused.
"""

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from media.fingerprint import LUMA_SIDE, above_median
from media.keypoints import Floats, gaussian_matrix

# A part may reach beyond the whole by so much of a side, may be stretched one way by so much, and may be turned by so
# many degrees: what comes of finding the edges from 64 points a side, and of a picture held askew.
MAX_OVERHANG: Final = 0.02
MAX_STRETCH: Final = 0.012
MAX_ROTATION_DEGREES: Final = 5.0
# What a frame surrounds was cut out by us, a point too wide or too narrow.
FRAME_TOLERANCE: Final = 0.02
# Of a side no less is left of a part: under that it is another picture.
MIN_SCALE: Final = 0.65

# How much both are smoothed, of how many points a side, and in how many steps at most.
_ROUNDS: Final = ((2.5, 32, 12), (1.0, 64, 10))
_CLOSE_ENOUGH: Final = 5e-4
_SAME: Final = 0.8

Ratios = Sequence[float]


class Overlap(msgspec.Struct, frozen=True):
    """The smaller of two pictures laid over the larger: how many bits of the two fingerprints differ where they
    overlap, what share of the larger one's area it shows, and by how many degrees it is turned.
    """

    bits: int
    shown: float
    turned: float


def align(one: bytes, other: bytes, ratios: tuple[Ratios, Ratios], start: tuple[Floats, Floats]) -> Overlap | None:
    """Two looks, what each picture's width to its height may be, and where one mark is in each (`Marks.places`).

    None where neither is a part of the other. A few milliseconds.
    """
    places = _map(start[1], start[0])
    if np.linalg.det(places[:, :2]) > 1:
        one, other, ratios, places = other, one, ratios[::-1], _turn_round(places)
    whole, part = _grey(one), _grey(other)
    found = _refine(whole, part, places)
    if found is None:
        return None
    # Of what a frame surrounds the shape is not known for certain.
    off = FRAME_TOLERANCE if max(map(len, ratios)) > 1 else 0.0
    if _beyond(found) > MAX_OVERHANG + off:  # the marks told it the wrong way round, being a little off
        whole, part, ratios, found = part, whole, ratios[::-1], _turn_round(found)
        if _beyond(found) > MAX_OVERHANG + off:
            return None
    stretched, turned = min(_shape(found, pair) for pair in itertools.product(*ratios))
    if stretched > MAX_STRETCH + off or abs(turned) > MAX_ROTATION_DEGREES:
        return None
    area = abs(float(np.linalg.det(found[:, :2])))
    return Overlap(bits=_differing(whole, part, found), shown=min(1.0, area), turned=round(turned, 1))


def mirror(look: bytes) -> bytes:
    return np.ascontiguousarray(np.frombuffer(look, dtype=np.uint8).reshape(LUMA_SIDE, LUMA_SIDE)[:, ::-1]).tobytes()


def _map(part: Floats, whole: Floats) -> Floats:
    """Where a point of the part lies in the whole, as a 2 x 3 matrix, when these two marks are the same."""
    scale = whole[2:] / part[2:]
    return np.concatenate([np.diag(scale), (whole[:2] - scale * part[:2])[:, None]], axis=1)


def _grey(look: bytes) -> Floats:
    return np.frombuffer(look, dtype=np.uint8).reshape(LUMA_SIDE, LUMA_SIDE).astype(np.float32)


def _refine(whole: Floats, part: Floats, places: Floats) -> Floats | None:
    """From coarse to fine. Brightness and contrast are fitted along, so they don't count."""
    for sigma, side, steps in _ROUNDS:
        smooth = gaussian_matrix(LUMA_SIDE, sigma)
        seen, wanted = smooth @ whole @ smooth.T, _shrink(smooth @ part @ smooth.T, side)
        moves = _moves(wanted)
        for _ in range(steps):
            if not _may_be_a_part(places):
                return None
            at, inside = _points(places, side)
            error = (_read(seen, at) - wanted.ravel())[inside]
            known = moves[inside]
            square = known.T @ known
            square[np.diag_indices(len(square))] *= 1 + 1e-4
            step = np.linalg.solve(square, known.T @ error)
            places = _take_back(places, step[:6])
            if np.abs(step[:6]).max() < _CLOSE_ENOUGH:
                break
        at, inside = _points(places, side)
        if _likeness(_read(seen, at)[inside], wanted.ravel()[inside]) < _SAME:
            return None
    return places if _may_be_a_part(places) else None


def _likeness(one: Floats, other: Floats) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def _may_be_a_part(places: Floats) -> bool:
    """Still near to what it may become: from far away nothing comes back."""
    if not np.isfinite(places).all():
        return False
    across, down = places[0, 0], places[1, 1]
    return all(MIN_SCALE < scale < 1 / MIN_SCALE for scale in (across, down)) and _beyond(places) < 1 - MIN_SCALE


def _beyond(places: Floats) -> float:
    corners = _CORNERS @ places[:, :2].T + places[:, 2]
    return max(0.0, -float(np.min(corners)), float(np.max(corners)) - 1)


_CORNERS: Final = np.array([(0, 0), (1, 0), (0, 1), (1, 1)], dtype=np.float64)


def _turn_round(places: Floats) -> Floats:
    """Where a point of the whole lies in the part."""
    back = np.linalg.inv(places[:, :2])
    return np.concatenate([back, (-back @ places[:, 2])[:, None]], axis=1)


def _shape(places: Floats, ratios: tuple[float, float]) -> tuple[float, float]:
    """By how much the part is stretched one way, and by how many degrees it is turned, as the pictures are seen."""
    whole, part = (np.array([math.sqrt(ratio), 1 / math.sqrt(ratio)]) for ratio in ratios)
    seen = whole[:, None] * places[:, :2] / part[None, :]
    longest, shortest = np.linalg.svd(seen, compute_uv=False)
    turned = math.degrees(math.atan2(seen[1, 0] - seen[0, 1], seen[0, 0] + seen[1, 1]))
    return float(longest / max(shortest, 1e-9)) - 1, turned


def _shrink(picture: Floats, side: int) -> Floats:
    step = LUMA_SIDE // side
    shrunk: Floats = picture.reshape(side, step, side, step).mean(axis=(1, 3))
    return shrunk


def _moves(wanted: Floats) -> Floats:
    """How each point changes when the picture is scaled, slanted or shifted, and when it is lit otherwise."""
    side = len(wanted)
    down, across = (slope.ravel() * side for slope in np.gradient(wanted))
    x, y = (_grid(side) - 0.5).T
    flat = wanted.ravel()
    columns = (across * x, across * y, across, down * x, down * y, down, flat - flat.mean(), np.ones_like(flat))
    return np.stack(columns, axis=1).astype(np.float64)


@cache
def _grid(side: int) -> Floats:
    """The middle of each point, as shares of the sides."""
    middles = (np.arange(side) + 0.5) / side
    return np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)


def _points(places: Floats, side: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Where the part's points lie in the whole, and which of them lie within it."""
    at = _grid(side) @ places[:, :2].T + places[:, 2]
    beyond = np.abs(at - 0.5).max(axis=1)
    return at, beyond <= 0.5  # noqa: PLR2004  half a side from the middle


def _read(picture: Floats, at: Floats) -> Floats:
    """Between points; beyond an edge, the edge."""
    place = (at * LUMA_SIDE - 0.5).clip(0, LUMA_SIDE - 1.001)
    whole = place.astype(np.int64)
    right, below = (place - whole).T
    first, flat = whole[:, 1] * LUMA_SIDE + whole[:, 0], picture.ravel()
    upper = flat[first] * (1 - right) + flat[first + 1] * right
    lower = flat[first + LUMA_SIDE] * (1 - right) + flat[first + LUMA_SIDE + 1] * right
    read: Floats = upper * (1 - below) + lower * below
    return read


def _take_back(places: Floats, step: Floats) -> Floats:
    """The part looks as the whole would, were it moved by `step` about its middle: so move the other way."""
    linear = np.array([[1 + step[0], step[1]], [step[3], 1 + step[4]]])
    middle = np.array([0.5, 0.5])
    back = np.linalg.inv(linear)
    shift = -back @ (np.array([step[2], step[5]]) + middle - linear @ middle)
    return np.concatenate([places[:, :2] @ back, (places[:, :2] @ shift + places[:, 2])[:, None]], axis=1)


def _differing(whole: Floats, part: Floats, places: Floats) -> int:
    at, _ = _points(places, LUMA_SIDE)
    seen = _read(whole, at).reshape(LUMA_SIDE, LUMA_SIDE).astype(np.float32)
    return int((above_median(seen) != above_median(part)).sum())
