"""Sample size and margin of error: Cochran's formula with the finite-population correction."""

import math
from statistics import NormalDist


def sample_size(population: int, *, error: float, confidence: float, expected: float = 0.5) -> int:
    """Return how many visits to draw so that a share is known to ± `error` (0–1) with `confidence` (0–1).

    `expected` is the expected share; 0.5 is the worst case, for when nothing is known.
    Cochran, Sampling Techniques, 1977, §4.4: n0 = z²p(1−p)/e², n = n0 / (1 + (n0 − 1)/N).
    """
    if population <= 0:
        return 0
    unlimited = _z(confidence) ** 2 * expected * (1 - expected) / error**2
    return min(population, math.ceil(round(unlimited / (1 + (unlimited - 1) / population), 9)))


def margin_of_error(population: int, sample: int, *, confidence: float, expected: float = 0.5) -> float:
    """Return the ± error (0–1) of a share estimated from this sample; 0 for the full population, 1 for no sample."""
    if sample >= population:
        return 0.0
    if sample <= 0:
        return 1.0
    spread = expected * (1 - expected) / sample * (population - sample) / (population - 1)
    return min(1.0, _z(confidence) * math.sqrt(spread))


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
