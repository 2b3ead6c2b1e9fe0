"""Households as a register one searches, and what happened at one of them: its visits and its cases."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import field
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import Caller, found, readable
from server.core.http import ResponseBody
from server.core.paging import Page, read_cursor, write_cursor
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.households import Caseload, Household, HouseholdMember
from server.models.people import Staff
from server.models.visits import Visit

LONGEST_PAGE = 200
MOST_VISITS = 200
HouseholdClass = Literal["A", "B", "C"]


class HomeLine(ResponseBody):
    id: UUID
    number: str
    head_name: str
    area_code: str
    area_name: str
    class_: str | None = field(name="class")
    members: int
    monthly_amount_fen: int | None
    held_by: list[str]


class VisitLine(ResponseBody):
    id: UUID
    kind: str
    state: str
    started_at: datetime | None
    author_name: str


class CaseOfHome(ResponseBody):
    id: UUID
    application_number: str
    state: str
    applied_on: date


class HomeRecord(ResponseBody):
    """Newest first."""

    visits: list[VisitLine]
    cases: list[CaseOfHome]


async def list_homes(
    session: AsyncSession,
    caller: Caller,
    *,
    area: str | None,
    class_: HouseholdClass | None,
    q: str | None,
    cursor: str | None,
    limit: int,
) -> Page[HomeLine]:
    """Homes in the caller's scope by archive number; found by a part of the number or of the head's name."""
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = readable(Household, caller).order_by(Household.number).limit(limit + 1)
    if area is not None:
        rows = rows.where(Household.area_code.startswith(area, autoescape=True))
    if class_ is not None:
        rows = rows.where(Household.class_ == class_)
    if q:
        rows = rows.where(
            or_(Household.head_name.contains(q, autoescape=True), Household.number.contains(q, autoescape=True))
        )
    if (after := read_cursor(cursor, str)) is not None:
        rows = rows.where(Household.number > after[0])
    homes = list(await session.scalars(rows))
    items = await _lines(session, homes[:limit])
    return Page(items=items, next_cursor=write_cursor([items[-1].number]) if len(homes) > limit else None)


async def open_record(session: AsyncSession, caller: Caller, household_id: UUID) -> HomeRecord:
    """Raises `thing.not_found`. The look is logged."""
    home: Household = found(await session.scalar(readable(Household, caller).where(Household.id == household_id)))
    visits = await session.execute(
        readable(Visit, caller)
        .join(Staff, Staff.id == Visit.author_id)
        .add_columns(Staff.name)
        .where(Visit.household_id == home.id)
        .order_by(Visit.started_at.desc().nulls_last())
        .limit(MOST_VISITS)
    )
    cases = await session.scalars(
        readable(CaseFile, caller).where(CaseFile.household_id == home.id).order_by(CaseFile.applied_on.desc())
    )
    audit.record(session, caller, "household.opened", "household", home.id, area_code=home.area_code)
    return HomeRecord(
        visits=[_visit(one, name) for one, name in visits],
        cases=[
            CaseOfHome(id=one.id, application_number=one.number, state=one.state, applied_on=one.applied_on)
            for one in cases
        ],
    )


def _visit(one: Visit, author_name: str) -> VisitLine:
    return VisitLine(id=one.id, kind=one.kind, state=one.state, started_at=one.started_at, author_name=author_name)


async def _lines(session: AsyncSession, homes: Sequence[Household]) -> list[HomeLine]:
    ids = [one.id for one in homes]
    names: dict[str, str] = _pairs(
        await session.execute(select(Area.code, Area.name).where(Area.code.in_({one.area_code for one in homes})))
    )
    members: dict[UUID, int] = _pairs(
        await session.execute(
            select(HouseholdMember.household_id, func.count())
            .where(HouseholdMember.household_id.in_(ids))
            .group_by(HouseholdMember.household_id)
        )
    )
    holders: dict[UUID, list[str]] = defaultdict(list)
    for household_id, name in await session.execute(
        select(Caseload.household_id, Staff.name)
        .join(Staff, Staff.id == Caseload.staff_id)
        .where(Caseload.household_id.in_(ids), Caseload.revoked_at.is_(None))
        .order_by(Staff.name)
    ):
        holders[household_id].append(name)
    return [
        HomeLine(
            id=one.id,
            number=one.number,
            head_name=one.head_name,
            area_code=one.area_code,
            area_name=names[one.area_code],
            class_=one.class_,
            members=members.get(one.id, 0),
            monthly_amount_fen=one.monthly_amount_fen,
            held_by=holders[one.id],
        )
        for one in homes
    ]


def _pairs(rows: Any) -> Any:
    return dict(rows.all())
