"""How large a sample must be, and what error it can see: Cochran's formula with the finite-population correction."""

import math
from statistics import NormalDist


def sample_size(population: int, *, error: float, confidence: float, expected: float = 0.5) -> int:
    """Visits to draw so that a share is known to ± `error` (0–1) with `confidence` (0–1).

    `expected` is the share that one expects to find; 0.5, the worst case, when one knows nothing.
    Cochran, Sampling Techniques, 1977, §4.4: n0 = z²p(1−p)/e², n = n0 / (1 + (n0 − 1)/N).
    """
    if population <= 0:
        return 0
    wanted = _z(confidence) ** 2 * expected * (1 - expected) / error**2
    return min(population, math.ceil(round(wanted / (1 + (wanted - 1) / population), 9)))


def seen_error(population: int, sample: int, *, confidence: float, expected: float = 0.5) -> float:
    """The ± error (0–1) that a sample of this size can see; 0 for a whole population, 1 for no sample."""
    if sample >= population:
        return 0.0
    if sample <= 0:
        return 1.0
    spread = expected * (1 - expected) / sample * (population - sample) / (population - 1)
    return min(1.0, _z(confidence) * math.sqrt(spread))


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
