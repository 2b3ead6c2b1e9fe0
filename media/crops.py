"""Whether one picture is a part of another: cut at an edge to hide a stamp, or a little nearer on all sides.

A fingerprint forgives a cut of one hundredth of a side and no more. So a picture is looked for under the
fingerprints it would have were it cut, or had it been cut, here and there; what turns up is laid over it and
compared where the two overlap.
"""

import math
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from media.fingerprint import LOOK_SIDE, Luma, above_median

COARSE_SIDE: Final = 8
COARSE_BITS: Final = COARSE_SIDE * COARSE_SIDE


# All four edges by 3.5 hundredths, or one by 5, inwards and outwards: what lies between is near enough to one.
_VIEWS: Final = (
    (0.0, 0.0, 0.0, 0.0),
    *((way * 0.035,) * 4 for way in (1, -1)),
    *(
        (way * 0.05 * (edge == 0), way * 0.05 * (edge == 1), way * 0.05 * (edge == 2), way * 0.05 * (edge == 3))  # noqa: PLR2004
        for edge in range(4)
        for way in (1, -1)
    ),
)
_MARGIN: Final = 4

# Left, top, right and bottom edge: how far into one picture the other's edges lie, as a share of its side.
# Negative where the other reaches beyond.
Edges = NDArray[np.float64]
_MOST_CROPPED: Final = 0.1
_STEPS: Final = (0.02, 0.01, 0.005)
# One edge alone; both of an axis nearer to each other; both to one side; all four inwards.
_MOVES: Final = tuple(
    np.array(move, dtype=np.float64)
    for move in (
        (1, 0, 0, 0),
        (0, 1, 0, 0),
        (0, 0, 1, 0),
        (0, 0, 0, 1),
        (1, 0, -1, 0),
        (0, 1, 0, -1),
        (1, 0, 1, 0),
        (0, 1, 0, 1),
        (1, 1, 1, 1),
    )
)


class Aligned(msgspec.Struct, frozen=True):
    """How far two pictures differ where they overlap best, and how much of a side one of them lacks at most."""

    bits: int
    cropped: float


def coarse_views(look: bytes) -> list[int]:
    """The 64 lowest frequencies, one bit each, of the picture as it is, and cut or widened at its edges."""
    grey = np.frombuffer(look, dtype=np.uint8).reshape(LOOK_SIDE, LOOK_SIDE).astype(np.float32)
    # What lies beyond an edge is guessed to mirror what lies before it.
    wide = Image.fromarray(np.pad(grey, _MARGIN, mode="symmetric"))
    return [_coarse(wide, edges) for edges in _VIEWS]


def _coarse(wide: Image.Image, edges: tuple[float, float, float, float]) -> int:
    left, top, right, bottom = (share * LOOK_SIDE for share in edges)
    end = _MARGIN + LOOK_SIDE
    view = wide.resize(
        (LOOK_SIDE, LOOK_SIDE),
        Image.Resampling.BILINEAR,
        box=(_MARGIN + left, _MARGIN + top, end - right, end - bottom),
    )
    low = above_median(np.asarray(view, dtype=np.float32))[:COARSE_SIDE, :COARSE_SIDE]
    return int.from_bytes(np.packbits(low).tobytes())


def align(one: bytes, other: bytes) -> Aligned:
    """Lay two looks over each other where they agree most, up to a tenth of a side apart, and compare there.

    Climbs from no shift at all, by ever smaller steps: tens of milliseconds.
    """
    a, b = (Image.frombytes("L", (LOOK_SIDE, LOOK_SIDE), look).convert("F") for look in (one, other))
    edges = np.zeros(4)
    best = _likeness(a, b, edges)
    for step in _STEPS:
        moved = True
        while moved:
            moved = False
            for move in _MOVES:
                for way in (step, -step):
                    tried = edges + move * way
                    if np.abs(tried).max() <= _MOST_CROPPED and (like := _likeness(a, b, tried)) > best:
                        best, edges, moved = like, tried, True
    part_a, part_b = _overlap(a, b, edges, LOOK_SIDE)
    return Aligned(bits=int((above_median(part_a) != above_median(part_b)).sum()), cropped=float(np.abs(edges).max()))


def _likeness(a: Image.Image, b: Image.Image, edges: Edges) -> float:
    """Correlation of the overlap, -1 to 1: brightness and contrast don't count."""
    p, q = (part - part.mean() for part in _overlap(a, b, edges, LOOK_SIDE // 2))
    return float((p * q).sum() / math.sqrt(float((p * p).sum() * (q * q).sum()) + 1e-9))


def _overlap(a: Image.Image, b: Image.Image, edges: Edges, side: int) -> tuple[Luma, Luma]:
    across, down = _shared(edges[0], edges[2]), _shared(edges[1], edges[3])
    return _part(a, across[0], down[0], side), _part(b, across[1], down[1], side)


def _shared(low: float, high: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """What two pictures share along one axis: in the first one's measure, and in the second one's."""
    start, end, scale = max(0.0, low), min(1.0, 1 - high), 1 - high - low
    return (start, end), ((start - low) / scale, (end - low) / scale)


def _part(image: Image.Image, across: tuple[float, float], down: tuple[float, float], side: int) -> Luma:
    box = (across[0] * LOOK_SIDE, down[0] * LOOK_SIDE, min(across[1], 1.0) * LOOK_SIDE, min(down[1], 1.0) * LOOK_SIDE)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box), dtype=np.float32)
