"""Draw a sample that anyone can draw again, from the published population, the seed and this module.

The method, as published with each draw (METHOD):

1. The rank of a visit is SHA-256 over the seed, a line feed and the visit's id, all in UTF-8, as lower-case hex.
   Visits are always taken in ascending rank. No random generator of any language or version takes part.
2. Whole populations: every visit to a home with a declared relative, every complaint, if the plan says so.
3. Quotas, in the plan's order: the first `count` visits that match and are not yet drawn.
4. Shares: the visits not yet drawn are grouped by the plan's strata. Of each group of N visits
   max(least, ceil(N x share / 100)) are drawn, never more than N.

This module reads no clock, no database and no file but the given one: the same file and seed give the same list on
any machine.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from server.core.canonical import content_hash

METHOD = "zoufang-draw-1: SHA-256(seed LF visit id), ascending; whole populations, quotas, then shares by stratum"

Stratum = Literal["village", "class", "caseworker", "finding"]
FullPopulation = Literal["relative", "complaint"]
Count = Annotated[int, Meta(ge=0, le=100_000)]


class Quota(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Draw `count` of the visits whose stratum has this value, such as 20 of caseworker X."""

    stratum: Stratum
    value: Annotated[str, Meta(max_length=80)]
    count: Count


class Design(Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    share_percent: Annotated[float, Meta(ge=0, le=100)] = 0
    strata: Annotated[list[Stratum], Meta(max_length=4)] = []
    least_per_stratum: Count = 1
    quotas: Annotated[list[Quota], Meta(max_length=100)] = []
    whole: Annotated[list[FullPopulation], Meta(max_length=2)] = []


class Unit(Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One visit of the population, with what the strata need and without names. `id` is the visit's."""

    id: str
    village: str
    class_: str = msgspec.field(name="class")
    caseworker: str
    # Whether it had a finding above `info` when the population was recorded: "yes" or "no".
    finding: str
    relative: bool
    complaint: bool


class PlanFile(Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is published before the draw; with the seed it is all that a draw needs."""

    design: Design
    population: list[Unit]


class DrawnVisit(Struct, rename="camel", frozen=True):
    id: str
    # `relative`, `complaint`, `quota` or `share`.
    why: str
    stratum: str
    rank: str


def draw(plan: PlanFile, seed: str) -> list[DrawnVisit]:
    """Return the sample in the order in which it is drawn."""
    ranked = sorted(plan.population, key=lambda unit: (rank(seed, unit.id), unit.id))
    drawn: dict[str, DrawnVisit] = {}
    for unit, why in _full_populations(plan.design, ranked):
        drawn.setdefault(unit.id, _draw_unit(seed, unit, why, ""))
    for quota in plan.design.quotas:
        remaining = [
            unit for unit in ranked if unit.id not in drawn and stratum_value(unit, quota.stratum) == quota.value
        ]
        for unit in remaining[: quota.count]:
            drawn[unit.id] = _draw_unit(seed, unit, "quota", f"{quota.stratum}={quota.value}")
    for name, units in _group_by_strata(plan.design, [unit for unit in ranked if unit.id not in drawn]):
        for unit in units[: stratum_sample_size(plan.design, len(units))]:
            drawn[unit.id] = _draw_unit(seed, unit, "share", name)
    return list(drawn.values())


def rank(seed: str, visit_id: str) -> str:
    return hashlib.sha256(f"{seed}\n{visit_id}".encode()).hexdigest()


def _full_populations(design: Design, ranked: Sequence[Unit]) -> Iterator[tuple[Unit, str]]:
    for name in design.whole:
        for unit in ranked:
            if unit.relative if name == "relative" else unit.complaint:
                yield unit, name


def _draw_unit(seed: str, unit: Unit, why: str, stratum: str) -> DrawnVisit:
    return DrawnVisit(unit.id, why, stratum, rank(seed, unit.id))


def stratum_value(unit: Unit, stratum: Stratum) -> str:
    value: str = getattr(unit, "class_" if stratum == "class" else stratum)
    return value


def _group_by_strata(design: Design, ranked: Sequence[Unit]) -> list[tuple[str, list[Unit]]]:
    groups: dict[str, list[Unit]] = {}
    for unit in ranked:
        name = ", ".join(f"{stratum}={stratum_value(unit, stratum)}" for stratum in design.strata)
        groups.setdefault(name, []).append(unit)
    return sorted(groups.items())


def stratum_sample_size(design: Design, count: int) -> int:
    """Compute with exact fractions: 10 % of 30 is 3, never 4 by rounding of floats."""
    if not design.share_percent:
        return 0
    share = math.ceil(Fraction(str(design.share_percent)) * count / 100)
    return min(count, max(design.least_per_stratum, share))


def population_sha256(plan: PlanFile) -> str:
    """Return the SHA-256 of the plan's canonical JSON (RFC 8785), to publish before the seed is known."""
    return content_hash(msgspec.to_builtins(plan))


def read_plan(path: Path) -> PlanFile:
    """Read a plan file. Raises msgspec.ValidationError when it is not valid."""
    return msgspec.json.decode(path.read_bytes(), type=PlanFile)


def render_draw(plan: PlanFile, seed: str) -> Iterator[str]:
    """Yield the draw as lines of text: what it was drawn from, then one visit per line."""
    drawn = draw(plan, seed)
    yield f"# {METHOD}"
    yield f"# seed {seed}"
    yield f"# population {len(plan.population)}, sha256 {population_sha256(plan)}"
    yield f"# drawn {len(drawn)}"
    for visit in drawn:
        yield "\t".join((visit.id, visit.why, visit.stratum, visit.rank[:16]))
