"""The desk's list of records, and the villages in which no policy was made known for months."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Date, Integer, and_, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.core.access import DESK_ROLES, Caller, in_areas, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of
from server.models.areas import Area, PolicySetting
from server.models.people import Staff
from server.models.records import Record

SUBMITTED = ("submitted", "amended")
VILLAGE_DIGITS = 12
_LATEST_FIRST = Keyset(Record.started_at, Record.id, descending=True)
_BY_AREA = Keyset(Area.code)


class RecordLine(ResponseBody):
    """`people` and `photos` are numbers of what the record lists."""

    id: UUID
    kind: str
    state: str
    area_code: str
    area_name: str
    author_name: str
    started_at: datetime
    submitted_at: datetime
    people: int
    photos: int


class PublicityGap(ResponseBody):
    """`last_on` null: never. `months`: the area's setting `publicity.months`, with its source."""

    area_code: str
    area_name: str
    town_name: str | None
    last_on: date | None
    months: int
    source: str


async def list_records(
    session: AsyncSession,
    caller: Caller,
    *,
    kind: str | None,
    area: str | None,
    since: date | None,
    cursor: str | None,
    limit: int,
) -> Page[RecordLine]:
    """List submitted records of the caller's area, latest first. One query per page."""
    require_role(caller, DESK_ROLES)
    rows = (
        select(Record, Area.name, Staff.name)
        .join(Area, Area.code == Record.area_code)
        .join(Staff, Staff.id == Record.author_id)
        .where(in_areas(Record.area_code, caller, DESK_ROLES), Record.state.in_(SUBMITTED))
    )
    if kind:
        rows = rows.where(Record.kind == kind)
    if area:
        rows = rows.where(Record.area_code.startswith(area, autoescape=True))
    if since:
        rows = rows.where(_day(Record.started_at) >= since)
    page, next_cursor = await fetch_page(session, rows, _LATEST_FIRST, cursor, limit)
    return Page(items=[_line(*row) for row in page], next_cursor=next_cursor)


def _day(at: Any) -> ColumnElement[date]:
    return cast(func.timezone("Asia/Shanghai", at), Date)


def _line(record: Record, area_name: str, author_name: str) -> RecordLine:
    return RecordLine(
        id=record.id,
        kind=record.kind,
        state=record.state,
        area_code=record.area_code,
        area_name=area_name,
        author_name=author_name,
        started_at=record.started_at,
        submitted_at=record.submitted_at or record.received_at,
        people=len(record.document.get("people") or []),
        photos=len(record.document.get("photos") or []),
    )


async def list_publicity_gaps(
    session: AsyncSession, caller: Caller, *, area: str | None, cursor: str | None, limit: int, now: datetime
) -> Page[PublicityGap]:
    """List the villages in which no publicity was recorded for as many months as their area allows."""
    require_role(caller, DESK_ROLES)
    today = day_of(now)
    town = aliased(Area)
    last_on: Any = (
        select(_day(func.max(Record.started_at)))
        .where(Record.area_code == Area.code, Record.kind == "publicity", Record.state.in_(SUBMITTED))
        .correlate(Area)
        .scalar_subquery()
    )
    months = _setting(cast(PolicySetting.value, Integer), today)
    too_long = last_on < cast(cast(today, Date) - func.make_interval(0, months), Date)
    rows = (
        select(Area, town.name, last_on, months, _setting(PolicySetting.source, today))
        .outerjoin(town, town.code == Area.parent_code)
        .where(
            func.length(Area.code) == VILLAGE_DIGITS,
            or_(Area.valid_until.is_(None), Area.valid_until >= today),
            in_areas(Area.code, caller, DESK_ROLES),
            or_(last_on.is_(None), too_long),
        )
    )
    if area:
        rows = rows.where(Area.code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _BY_AREA, cursor, limit)
    return Page(items=[_gap(*row) for row in page], next_cursor=next_cursor)


def _setting(column: Any, today: date) -> Any:
    """Select a column of the row of `publicity.months` that holds in the area of the outer query."""
    return (
        select(column)
        .where(
            and_(PolicySetting.key == "publicity.months", PolicySetting.effective_from <= today),
            Area.code.startswith(PolicySetting.area_code),
        )
        .order_by(func.length(PolicySetting.area_code).desc(), PolicySetting.effective_from.desc())
        .limit(1)
        .correlate(Area)
        .scalar_subquery()
    )


def _gap(village: Area, town_name: str | None, last_on: date | None, months: int, source: str) -> PublicityGap:
    return PublicityGap(
        area_code=village.code,
        area_name=village.name,
        town_name=town_name,
        last_on=last_on,
        months=months,
        source=source,
    )
