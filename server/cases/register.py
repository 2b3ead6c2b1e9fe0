"""What was granted, raised, cut and stopped, over time: the register of stops (撤销登记) and the sums of a period."""

from datetime import date
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DESK_ROLES, Caller, require
from server.core.paging import Page, read_place, write_cursor
from server.core.wire import Answer
from server.models.areas import Area
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile
from server.models.households import Household
from server.models.people import Staff

LONGEST_PAGE = 1000
Kind = Literal["granted", "raised", "cut", "stopped"]


class BenefitLine(Answer):
    """Money a month. `people`: whom it is for, or of a stop was for."""

    id: UUID
    case_id: UUID
    application_number: str
    household_number: str
    head_name: str
    area_code: str
    area_name: str
    kind: str
    month: date
    before_fen: int
    amount_fen: int
    people: int
    ground: str | None
    reason: str
    decided_on: date
    decided_by_name: str | None


class KindTotal(Answer):
    """`change_fen` a month is signed: less is negative."""

    kind: Kind
    households: int
    people: int
    change_fen: int


class Totals(Answer):
    """By kind, and what all of it comes to: people and money a month."""

    since: date
    until: date
    kinds: list[KindTotal]
    net_households: int
    net_people: int
    net_fen: int


async def list_benefit_changes(
    session: AsyncSession,
    caller: Caller,
    *,
    kind: Kind | None,
    area: str | None,
    since: date | None,
    until: date | None,
    cursor: str | None,
    limit: int,
) -> Page[BenefitLine]:
    """By day of decision, the newest first. One query."""
    require(caller, DESK_ROLES)
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = (
        select(BenefitChange, CaseFile.number, Household.number, Household.head_name, Area.name, Staff.name)
        .join(CaseFile, CaseFile.id == BenefitChange.case_id)
        .join(Household, Household.id == BenefitChange.household_id)
        .join(Area, Area.code == BenefitChange.area_code)
        .outerjoin(Staff, Staff.id == BenefitChange.decided_by)
        .where(*_within(caller, area, since, until))
        .order_by(BenefitChange.decided_on.desc(), BenefitChange.id.desc())
        .limit(limit + 1)
    )
    if kind is not None:
        rows = rows.where(BenefitChange.kind == kind)
    if (after := read_place(cursor, date.fromisoformat)) is not None:
        on, last = after
        rows = rows.where(
            or_(BenefitChange.decided_on < on, and_(BenefitChange.decided_on == on, BenefitChange.id < last))
        )
    found_rows = (await session.execute(rows)).all()
    page = found_rows[:limit]
    last_one = page[-1][0] if found_rows[limit:] else None
    return Page(
        items=[_line(*row) for row in page],
        next_cursor=write_cursor([last_one.decided_on.isoformat(), str(last_one.id)]) if last_one else None,
    )


def _within(caller: Caller, area: str | None, since: date | None, until: date | None) -> list[Any]:
    return [
        BenefitChange.in_scope(caller),
        *([BenefitChange.area_code.startswith(area, autoescape=True)] if area else []),
        *([BenefitChange.decided_on >= since] if since else []),
        *([BenefitChange.decided_on <= until] if until else []),
    ]


def _line(
    one: BenefitChange, case_number: str, household_number: str, head_name: str, area_name: str, decider: str | None
) -> BenefitLine:
    return BenefitLine(
        id=one.id,
        case_id=one.case_id,
        application_number=case_number,
        household_number=household_number,
        head_name=head_name,
        area_code=one.area_code,
        area_name=area_name,
        kind=one.kind,
        month=one.month,
        before_fen=one.before_fen,
        amount_fen=one.amount_fen,
        people=one.people,
        ground=one.ground,
        reason=one.reason,
        decided_on=one.decided_on,
        decided_by_name=decider,
    )


async def sum_up(session: AsyncSession, caller: Caller, *, area: str | None, since: date, until: date) -> Totals:
    """What was decided from `since` to `until`, both included. A raise or a cut changes nobody's number."""
    require(caller, DESK_ROLES)
    rows = await session.execute(
        select(
            BenefitChange.kind,
            func.count(),
            func.coalesce(func.sum(BenefitChange.people), 0),
            func.coalesce(func.sum(BenefitChange.amount_fen - BenefitChange.before_fen), 0),
        )
        .where(*_within(caller, area, since, until))
        .group_by(BenefitChange.kind)
    )
    by_kind = {kind: (households, int(people), int(fen)) for kind, households, people, fen in rows}
    kinds: list[Kind] = ["granted", "raised", "cut", "stopped"]
    totals = [
        KindTotal(kind=one, households=households, people=people, change_fen=fen)
        for one in kinds
        for households, people, fen in [by_kind.get(one, (0, 0, 0))]
    ]
    granted, stopped = totals[0], totals[-1]
    return Totals(
        since=since,
        until=until,
        kinds=totals,
        net_households=granted.households - stopped.households,
        net_people=granted.people - stopped.people,
        net_fen=sum(one.change_fen for one in totals),
    )
