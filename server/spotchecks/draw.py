"""Drawing a sample that anyone can draw again: from the published population, the seed and these few lines.

The method, as it is published with each draw (METHOD):

1. The rank of a visit is SHA-256 over the seed, a line feed and the visit's id, all in UTF-8, as lower-case hex.
   Visits are always taken in ascending rank. No random generator of any language or version takes part.
2. Whole populations: every visit to a home with a declared relative, every complaint, if the plan says so.
3. Quotas, in the plan's order: of the visits that match and are not yet drawn, so many.
4. Shares: the visits not yet drawn are grouped by the plan's strata. Of each group of N visits
   max(least, ceil(N x share / 100)) are drawn, never more than N.

Nothing here reads a clock, a database or a file but the one given: the same file and seed give the same list
on any machine.
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
Whole = Literal["relative", "complaint"]
Count = Annotated[int, Meta(ge=0, le=100_000)]


class Quota(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """`count` of the visits whose stratum has this value, such as 20 of caseworker X."""

    stratum: Stratum
    value: Annotated[str, Meta(max_length=80)]
    count: Count


class Design(Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    share_percent: Annotated[float, Meta(ge=0, le=100)] = 0
    strata: Annotated[list[Stratum], Meta(max_length=4)] = []
    least_per_stratum: Count = 1
    quotas: Annotated[list[Quota], Meta(max_length=100)] = []
    whole: Annotated[list[Whole], Meta(max_length=2)] = []


class Unit(Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One visit of the population: what the strata need of it, and nobody's name. `id` is the visit's."""

    id: str
    village: str
    class_: str = msgspec.field(name="class")
    caseworker: str
    # Whether anything was doubted about it when the population was written down: "yes" or "no".
    finding: str
    relative: bool
    complaint: bool


class PlanFile(Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is published before the draw, and all that a draw needs beside the seed."""

    design: Design
    population: list[Unit]


class Drawn(Struct, rename="camel", frozen=True):
    id: str
    # `relative`, `complaint`, `quota` or `share`.
    why: str
    stratum: str
    rank: str


def draw(plan: PlanFile, seed: str) -> list[Drawn]:
    """The sample in the order in which it is drawn."""
    ranked = sorted(plan.population, key=lambda one: (rank(seed, one.id), one.id))
    drawn: dict[str, Drawn] = {}
    for unit, why in _whole(plan.design, ranked):
        drawn.setdefault(unit.id, _drawn(seed, unit, why, ""))
    for quota in plan.design.quotas:
        left = [one for one in ranked if one.id not in drawn and stratum_value(one, quota.stratum) == quota.value]
        for one in left[: quota.count]:
            drawn[one.id] = _drawn(seed, one, "quota", f"{quota.stratum}={quota.value}")
    for name, units in _groups(plan.design, [one for one in ranked if one.id not in drawn]):
        for one in units[: share_of(plan.design, len(units))]:
            drawn[one.id] = _drawn(seed, one, "share", name)
    return list(drawn.values())


def rank(seed: str, visit_id: str) -> str:
    return hashlib.sha256(f"{seed}\n{visit_id}".encode()).hexdigest()


def _whole(design: Design, ranked: Sequence[Unit]) -> Iterator[tuple[Unit, str]]:
    for name in design.whole:
        for one in ranked:
            if one.relative if name == "relative" else one.complaint:
                yield one, name


def _drawn(seed: str, unit: Unit, why: str, stratum: str) -> Drawn:
    return Drawn(unit.id, why, stratum, rank(seed, unit.id))


def stratum_value(unit: Unit, stratum: Stratum) -> str:
    value: str = getattr(unit, "class_" if stratum == "class" else stratum)
    return value


def _groups(design: Design, ranked: Sequence[Unit]) -> list[tuple[str, list[Unit]]]:
    groups: dict[str, list[Unit]] = {}
    for one in ranked:
        name = ", ".join(f"{stratum}={stratum_value(one, stratum)}" for stratum in design.strata)
        groups.setdefault(name, []).append(one)
    return sorted(groups.items())


def share_of(design: Design, count: int) -> int:
    """Exact: a share of 10 % of 30 is 3, and never 4 for a rounding of floats."""
    if not design.share_percent:
        return 0
    wanted = math.ceil(Fraction(str(design.share_percent)) * count / 100)
    return min(count, max(design.least_per_stratum, wanted))


def population_sha256(plan: PlanFile) -> str:
    """SHA-256 of the canonical JSON (RFC 8785) of design and population: what is promised before the seed is known."""
    return content_hash(msgspec.to_builtins(plan))


def read_plan(path: Path) -> PlanFile:
    """Raises msgspec.ValidationError for a file that is no plan."""
    return msgspec.json.decode(path.read_bytes(), type=PlanFile)


def print_draw(plan: PlanFile, seed: str) -> Iterator[str]:
    """The draw as lines of text: what it was drawn from, then one visit a line."""
    drawn = draw(plan, seed)
    yield f"# {METHOD}"
    yield f"# seed {seed}"
    yield f"# population {len(plan.population)}, sha256 {population_sha256(plan)}"
    yield f"# drawn {len(drawn)}"
    for one in drawn:
        yield "\t".join((one.id, one.why, one.stratum, one.rank[:16]))
