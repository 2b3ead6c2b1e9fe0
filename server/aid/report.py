"""Aid by kind, area and month: homes, person-times, money, quantity.

Each row is the sum of ledger lines that were handed out, and of roster lines that are with the bank or paid; a line
that came back, was returned or was taken back counts nowhere. So the totals are the sums of the lines by construction.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Select, func, literal, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, require_role
from server.core.errors import Fault, Problem
from server.core.http import ResponseBody
from server.models.aid import AID_READERS, AidBatch, AidLine
from server.models.areas import Area
from server.models.rosters import Roster, RosterLine

_LONGEST_MONTHS = 36
_MONTHS_A_YEAR = 12


class AidReportRow(ResponseBody):
    """`origin`: `aid` of this ledger, `roster` paid by rosters. `milli` is null for money."""

    month: date
    area_code: str
    area_name: str
    origin: str
    kind: str
    kind_zh: str
    kind_en: str
    unit_zh: str
    unit_en: str
    homes: int
    people: int
    fen: int
    milli: int | None


async def report_aid(
    session: AsyncSession, caller: Caller, *, since: date, until: date, area: str | None, kind: str | None, digits: int
) -> list[AidReportRow]:
    """Return a row for each month, area of so many digits and kind. Raise `request.invalid` for too many months."""
    require_role(caller, AID_READERS)
    since, until = since.replace(day=1), until.replace(day=1)
    months = (until.year - since.year) * _MONTHS_A_YEAR + until.month - since.month
    if not 0 <= months < _LONGEST_MONTHS:
        raise Problem("request.invalid", faults=[Fault("/until", "field.invalid", until.isoformat())])
    parts = union_all(_sum_aid(caller, digits), _sum_rosters(caller, digits)).subquery()
    rows = select(parts, Area.name).outerjoin(Area, Area.code == parts.c.area).where(
        parts.c.month >= since, parts.c.month <= until
    )  # fmt: skip
    if area:
        rows = rows.where(parts.c.area.startswith(area, autoescape=True))
    if kind is not None:
        rows = rows.where(parts.c.kind == kind)
    rows = rows.order_by(parts.c.month.desc(), parts.c.area, parts.c.origin, parts.c.kind)
    return [_to_row(row) for row in await session.execute(rows)]


def _sum_aid(caller: Caller, digits: int) -> Select[Any]:
    area = func.left(AidLine.area_code, digits)
    return (
        select(
            AidLine.month.label("month"),
            area.label("area"),
            literal("aid").label("origin"),
            AidLine.kind.label("kind"),
            func.max(AidBatch.kind_zh).label("kind_zh"),
            func.max(AidBatch.kind_en).label("kind_en"),
            AidBatch.unit_zh.label("unit_zh"),
            AidBatch.unit_en.label("unit_en"),
            func.count(AidLine.household_id.distinct()).label("homes"),
            func.sum(AidLine.people).label("people"),
            func.coalesce(func.sum(AidLine.given_fen), 0).label("fen"),
            func.sum(AidLine.given_milli).label("milli"),
        )
        .join(AidBatch, AidBatch.id == AidLine.batch_id)
        .where(AidLine.in_scope(caller), AidLine.state == "handed_out")
        .group_by(AidLine.month, area, AidLine.kind, AidBatch.unit_zh, AidBatch.unit_en)
    )


def _sum_rosters(caller: Caller, digits: int) -> Select[Any]:
    area = func.left(RosterLine.area_code, digits)
    return (
        select(
            RosterLine.month.label("month"),
            area.label("area"),
            literal("roster").label("origin"),
            RosterLine.program.label("kind"),
            func.max(Roster.program_zh).label("kind_zh"),
            func.max(Roster.program_en).label("kind_en"),
            literal("元").label("unit_zh"),
            literal("yuan").label("unit_en"),
            func.count(RosterLine.household_id.distinct()).label("homes"),
            func.sum(RosterLine.people).label("people"),
            func.sum(RosterLine.total_fen).label("fen"),
            null().label("milli"),
        )
        .join(Roster, Roster.id == RosterLine.roster_id)
        .where(RosterLine.in_scope(caller), RosterLine.state.in_(["sent", "paid"]))
        .group_by(RosterLine.month, area, RosterLine.program)
    )


def _to_row(row: Sequence[Any]) -> AidReportRow:
    month, area, origin, kind, kind_zh, kind_en, unit_zh, unit_en, homes, people, fen, milli, name = row
    return AidReportRow(
        month=month,
        area_code=area,
        area_name=name or area,
        origin=origin,
        kind=kind,
        kind_zh=kind_zh,
        kind_en=kind_en,
        unit_zh=unit_zh,
        unit_en=unit_en,
        homes=homes,
        people=int(people),
        fen=int(fen),
        milli=None if milli is None else int(milli),
    )
