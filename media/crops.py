"""Decide whether one picture is a part of another: cropped at an edge to hide a stamp, zoomed in a little, rotated.

Matching keypoints say where the two may overlap (`media.keypoints`). From there one picture is moved, scaled and
rotated until it differs least from the other (Lucas and Kanade, 1981), and the overlap is compared like any two
fingerprints. A crop neither stretches the picture nor adds anything at its edges; a second photo of the same wall does
both, and is not reported.
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

# How far a part may reach beyond the whole (share of a side), how much it may be stretched in one direction, and how
# far it may be rotated. The tolerances cover edges found on 64 points a side, and a picture held askew.
MAX_OVERHANG: Final = 0.02
MAX_STRETCH: Final = 0.012
MAX_ROTATION_DEGREES: Final = 5.0
# The content of a frame was cropped by our own code, up to one point too wide or too narrow.
FRAME_TOLERANCE: Final = 0.02
# A part keeps at least this share of each side; below it counts as another picture.
MIN_SCALE: Final = 0.65

# Coarse to fine: sigma of the smoothing, points a side, largest number of steps.
_ROUNDS: Final = ((2.5, 32, 12), (1.0, 64, 10))
_CONVERGED: Final = 5e-4
_MIN_CORRELATION: Final = 0.8

Ratios = Sequence[float]


class Overlap(msgspec.Struct, frozen=True):
    """The smaller of two pictures aligned with the larger.

    `bits` counts the fingerprint bits that differ in the overlap, `shown_share` is the share of the larger picture's
    area that the smaller one shows.
    """

    bits: int
    shown_share: float
    turned_degrees: float


def align(
    luma: bytes, other_luma: bytes, ratios: tuple[Ratios, Ratios], start: tuple[Floats, Floats]
) -> Overlap | None:
    """Align two pictures, given a matching keypoint in each (a row of `Keypoints.positions`).

    `ratios` are the possible width-to-height ratios of each picture. Return None when neither is a part of the other.
    Takes a few milliseconds.
    """
    transform = _map_keypoint(start[1], start[0])
    if np.linalg.det(transform[:, :2]) > 1:
        luma, other_luma, ratios, transform = other_luma, luma, ratios[::-1], _invert(transform)
    whole, part = _to_floats(luma), _to_floats(other_luma)
    refined = _refine(whole, part, transform)
    if refined is None:
        return None
    # The shape of a frame's content is not known exactly.
    tolerance = FRAME_TOLERANCE if max(map(len, ratios)) > 1 else 0.0
    if _overhang(refined) > MAX_OVERHANG + tolerance:  # slightly inexact keypoints can swap whole and part
        whole, part, ratios, refined = part, whole, ratios[::-1], _invert(refined)
        if _overhang(refined) > MAX_OVERHANG + tolerance:
            return None
    stretch, turned_degrees = min(_measure_distortion(refined, pair) for pair in itertools.product(*ratios))
    if stretch > MAX_STRETCH + tolerance or abs(turned_degrees) > MAX_ROTATION_DEGREES:
        return None
    area = abs(float(np.linalg.det(refined[:, :2])))
    return Overlap(
        bits=_count_differing_bits(whole, part, refined),
        shown_share=min(1.0, area),
        turned_degrees=round(turned_degrees, 1),
    )


def mirror(luma: bytes) -> bytes:
    return np.ascontiguousarray(np.frombuffer(luma, dtype=np.uint8).reshape(LUMA_SIDE, LUMA_SIDE)[:, ::-1]).tobytes()


def _map_keypoint(part: Floats, whole: Floats) -> Floats:
    """Return the 2 x 3 matrix that maps a point of the part into the whole when these two keypoints are the same."""
    scale = whole[2:] / part[2:]
    return np.concatenate([np.diag(scale), (whole[:2] - scale * part[:2])[:, None]], axis=1)


def _to_floats(luma: bytes) -> Floats:
    return np.frombuffer(luma, dtype=np.uint8).reshape(LUMA_SIDE, LUMA_SIDE).astype(np.float32)


def _refine(whole: Floats, part: Floats, transform: Floats) -> Floats | None:
    """Refine from coarse to fine. Brightness and contrast are fitted too, so they do not count as differences."""
    for sigma, side, steps in _ROUNDS:
        smooth = gaussian_matrix(LUMA_SIDE, sigma)
        source, target = smooth @ whole @ smooth.T, _shrink(smooth @ part @ smooth.T, side)
        gradients = _gradients(target)
        for _ in range(steps):
            if not _is_plausible(transform):
                return None
            at, inside = _project(transform, side)
            error = (_sample(source, at) - target.ravel())[inside]
            jacobian = gradients[inside]
            hessian = jacobian.T @ jacobian
            hessian[np.diag_indices(len(hessian))] *= 1 + 1e-4
            step = np.linalg.solve(hessian, jacobian.T @ error)
            transform = _apply_inverse(transform, step[:6])
            if np.abs(step[:6]).max() < _CONVERGED:
                break
        at, inside = _project(transform, side)
        if _correlate(_sample(source, at)[inside], target.ravel()[inside]) < _MIN_CORRELATION:
            return None
    return transform if _is_plausible(transform) else None


def _correlate(values: Floats, others: Floats) -> float:
    return float(np.corrcoef(values, others)[0, 1])


def _is_plausible(transform: Floats) -> bool:
    """Return False when the transform has moved so far away that it will not converge any more."""
    if not np.isfinite(transform).all():
        return False
    across, down = transform[0, 0], transform[1, 1]
    return all(MIN_SCALE < scale < 1 / MIN_SCALE for scale in (across, down)) and _overhang(transform) < 1 - MIN_SCALE


def _overhang(transform: Floats) -> float:
    corners = _CORNERS @ transform[:, :2].T + transform[:, 2]
    return max(0.0, -float(np.min(corners)), float(np.max(corners)) - 1)


_CORNERS: Final = np.array([(0, 0), (1, 0), (0, 1), (1, 1)], dtype=np.float64)


def _invert(transform: Floats) -> Floats:
    """Return the matrix that maps a point of the whole into the part."""
    inverse = np.linalg.inv(transform[:, :2])
    return np.concatenate([inverse, (-inverse @ transform[:, 2])[:, None]], axis=1)


def _measure_distortion(transform: Floats, ratios: tuple[float, float]) -> tuple[float, float]:
    """Return by how much the part is stretched in one direction and its rotation in degrees, in true proportions."""
    whole, part = (np.array([math.sqrt(ratio), 1 / math.sqrt(ratio)]) for ratio in ratios)
    linear = whole[:, None] * transform[:, :2] / part[None, :]
    longest, shortest = np.linalg.svd(linear, compute_uv=False)
    turned_degrees = math.degrees(math.atan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
    return float(longest / max(shortest, 1e-9)) - 1, turned_degrees


def _shrink(picture: Floats, side: int) -> Floats:
    step = LUMA_SIDE // side
    shrunk: Floats = picture.reshape(side, step, side, step).mean(axis=(1, 3))
    return shrunk


def _gradients(target: Floats) -> Floats:
    """Return how each point changes with scale, shear, shift, contrast and brightness: the columns of the Jacobian."""
    side = len(target)
    down, across = (slope.ravel() * side for slope in np.gradient(target))
    x, y = (_grid(side) - 0.5).T
    flat = target.ravel()
    columns = (across * x, across * y, across, down * x, down * y, down, flat - flat.mean(), np.ones_like(flat))
    return np.stack(columns, axis=1).astype(np.float64)


@cache
def _grid(side: int) -> Floats:
    """Return the centre of each point, as shares of the sides."""
    centres = (np.arange(side) + 0.5) / side
    return np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)


def _project(transform: Floats, side: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return where the part's points lie in the whole, and which of them lie inside it."""
    at = _grid(side) @ transform[:, :2].T + transform[:, 2]
    distance = np.abs(at - 0.5).max(axis=1)
    return at, distance <= 0.5  # noqa: PLR2004  half a side from the centre


def _sample(picture: Floats, at: Floats) -> Floats:
    """Interpolate between points; beyond an edge, read the edge."""
    position = (at * LUMA_SIDE - 0.5).clip(0, LUMA_SIDE - 1.001)
    corner = position.astype(np.int64)
    right, below = (position - corner).T
    first, flat = corner[:, 1] * LUMA_SIDE + corner[:, 0], picture.ravel()
    upper = flat[first] * (1 - right) + flat[first + 1] * right
    lower = flat[first + LUMA_SIDE] * (1 - right) + flat[first + LUMA_SIDE + 1] * right
    values: Floats = upper * (1 - below) + lower * below
    return values


def _apply_inverse(transform: Floats, step: Floats) -> Floats:
    """Move by the inverse of `step`: the part looks as the whole would after `step` about its centre."""
    linear = np.array([[1 + step[0], step[1]], [step[3], 1 + step[4]]])
    centre = np.array([0.5, 0.5])
    inverse = np.linalg.inv(linear)
    shift = -inverse @ (np.array([step[2], step[5]]) + centre - linear @ centre)
    return np.concatenate([transform[:, :2] @ inverse, (transform[:, :2] @ shift + transform[:, 2])[:, None]], axis=1)


def _count_differing_bits(whole: Floats, part: Floats, transform: Floats) -> int:
    at, _ = _project(transform, LUMA_SIDE)
    overlap = _sample(whole, at).reshape(LUMA_SIDE, LUMA_SIDE).astype(np.float32)
    return int((above_median(overlap) != above_median(part)).sum())
