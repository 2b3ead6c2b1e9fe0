"""What a kind of import says of itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, Role
from server.core.services import Services
from server.imports.columns import CellFault, Column, Line

Outcome = Literal["new", "changed", "unchanged", "doubtful", "refused"]


class PlannedLine(msgspec.Struct, kw_only=True):
    """What a line would do. `title` is shown in the preview and names no number; `plan` is what `apply` needs.

    `doubtful` lines are applied only if the person who confirms chooses them; `refused` ones never.
    """

    line: Line
    title: str
    outcome: Outcome
    faults: list[CellFault] = []
    plan: dict[str, Any] | None = None
    brings_money: bool = False


class PlanToApply(msgspec.Struct):
    """A confirmed line. `apply` sets `thing_id`, and in `before` whatever `undo` needs."""

    position: int
    plan: dict[str, Any]
    thing_id: str | None = None
    before: dict[str, Any] | None = None


class Work(msgspec.Struct, frozen=True):
    """What the functions of a kind work with. `actor_id` uploads, confirmed or undoes; a job has no `caller`."""

    session: AsyncSession
    services: Services
    caller: Caller | None
    actor_id: UUID
    area_code: str
    now: datetime


class ImportKind(Protocol):
    """A kind of file. Lines are applied and undone in steps, each a transaction; both must be repeatable."""

    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> Sequence[Column]: ...
    @property
    def roles(self) -> frozenset[Role]:
        """Who may upload, confirm and undo, within their areas."""

    @property
    def makes_accounts(self) -> bool:
        """Confirming takes a proof of identity, as making a single account does: a stolen token is not enough."""

    @property
    def counts_everywhere(self) -> bool:
        """What it brings holds in every county of the installation: it takes somebody whose roles cover all of them,
        and a second one, an administrator or a county officer, to confirm it.
        """

    async def plan(self, work: Work, lines: Sequence[Line]) -> list[PlannedLine]:
        """Compare all lines with what is there. Writes nothing."""

    async def apply(self, work: Work, plans: Sequence[PlanToApply]) -> None: ...

    async def find_acted_upon(self, work: Work, plans: Sequence[PlanToApply]) -> int:
        """Count the things on which somebody has acted since they were applied, so that they can't be undone."""

    async def undo(self, work: Work, plans: Sequence[PlanToApply]) -> None: ...


def refuse_if_faulty(line: Line, title: str) -> PlannedLine | None:
    """Return a refused line if reading it found faults."""
    return PlannedLine(line=line, title=title, outcome="refused", faults=line.faults) if line.faults else None


def refuse_repeats(lines: Sequence[PlannedLine], key: str) -> None:
    """Refuse every later line with the same value of `plan[key]`."""
    first: dict[Any, Line] = {}
    for planned in lines:
        value = (planned.plan or {}).get(key)
        if value is None:
            continue
        if value in first:
            earlier = f"{first[value].sheet} {first[value].number}"
            planned.line.add_fault(key, "line.twice", f"与第 {earlier} 行重复", f"the same as row {earlier}")
            planned.outcome, planned.faults, planned.plan = "refused", planned.line.faults, None
        else:
            first[value] = planned.line
