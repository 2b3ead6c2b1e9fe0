"""The standing list of who receives in a village (长期公示): name, members, amount, and a way to report.

It is reckoned at each look from what is paid now, so that who no longer receives is gone with their last month.
Whoever lacks the address finds nothing, and no search engine keeps a page.
"""

import secrets
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import Caller, Role, found, readable, require
from server.core.database import advisory_lock
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.money import plain_yuan
from server.core.paging import Page, cut_page, read_cursor
from server.core.pdf import Poster, draw_qr, print_poster, say_date
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.households import Household, HouseholdMember
from server.models.postings import Disclosure
from server.postings.postings import HANGERS, LONGEST_PAGE
from server.postings.public import NOT_INDEXED

KEEPERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
_LOOKERS = HANGERS | KEEPERS | {Role.SUPERVISOR}


class OpenDisclosure(RequestBody):
    area_code: Annotated[str, Meta(pattern="^[0-9]{12}$")]


class DisclosurePage(ResponseBody):
    """`page` is for the village, `key` for programs: `/public/v1/disclosures/{key}`."""

    id: UUID
    area_code: str
    area_name: str
    key: str
    page: str
    made_at: datetime
    households: int


class PublicHousehold(ResponseBody):
    """The law allows name, number of members and amount, and no more."""

    name: str
    members: int
    amount_fen: int


class PublicDisclosure(ResponseBody):
    """`area_code` is what a report at `/public/v1/complaints` names."""

    area_name: str
    area_code: str
    as_of: date
    households: list[PublicHousehold]


async def open_disclosure(session: AsyncSession, caller: Caller, area_code: str) -> DisclosurePage:
    """The village's standing list; made when there is none. Raises `auth.forbidden` outside the caller's areas."""
    require(caller, KEEPERS)
    if not caller.covers(area_code, KEEPERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(KEEPERS)))
    if await session.get(Area, area_code) is None:
        raise Problem("request.invalid", faults=[Fault("/areaCode", "area.unknown", area_code)])
    await advisory_lock(session, f"disclosure:{area_code}")  # there is one address
    standing = await session.scalar(
        readable(Disclosure, caller).where(Disclosure.area_code == area_code, Disclosure.ended_at.is_(None))
    )
    (page,) = await _pages(session, [standing or await _make(session, caller, area_code)])
    return page


async def _make(session: AsyncSession, caller: Caller, area_code: str) -> Disclosure:
    one = Disclosure(id=new_id(), area_code=area_code, key=secrets.token_urlsafe(32), made_by=caller.id)
    session.add(one)
    audit.record(session, caller, "disclosure.opened", "disclosure", one.id, area_code=area_code)
    await session.flush()  # its time is the database's
    await session.refresh(one, ["made_at"])
    return one


async def renew_disclosure(session: AsyncSession, caller: Caller, disclosure_id: UUID, now: datetime) -> DisclosurePage:
    """A new address; the old one is gone at once. Of one that was renewed before, the address that stands."""
    require(caller, KEEPERS)
    one: Disclosure = found(
        await session.scalar(readable(Disclosure, caller).where(Disclosure.id == disclosure_id).with_for_update())
    )
    if one.ended_at is None:
        one.ended_at = now
        await session.flush()  # one address a village
    return await open_disclosure(session, caller, one.area_code)


async def list_disclosures(
    session: AsyncSession, caller: Caller, *, cursor: str | None, limit: int
) -> Page[DisclosurePage]:
    """Those of the caller's areas that stand, by area. Two queries for any page."""
    require(caller, _LOOKERS)
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = readable(Disclosure, caller).where(Disclosure.ended_at.is_(None)).order_by(Disclosure.area_code)
    # A village has one that stands, so its code is a place in the list.
    if (after := read_cursor(cursor, str)) is not None:
        rows = rows.where(Disclosure.area_code > after[0])
    standing = list(await session.scalars(rows.limit(limit + 1)))
    page, next_cursor = cut_page(standing, limit, lambda one: [one.area_code])
    return Page(items=await _pages(session, page), next_cursor=next_cursor)


async def _pages(session: AsyncSession, standing: Sequence[Disclosure]) -> list[DisclosurePage]:
    disclosed = _disclosed()
    counted = (
        select(Area.code, Area.name, func.count(Household.id))
        .outerjoin(Household, and_(Household.area_code == Area.code, _receives(disclosed)))
        .where(Area.code.in_([one.area_code for one in standing]))
        .group_by(Area.code, Area.name)
    )
    told = {code: (name, households) for code, name, households in await session.execute(counted)}
    return [
        DisclosurePage(
            id=one.id,
            area_code=one.area_code,
            area_name=told[one.area_code][0],
            key=one.key,
            page=f"/l/{one.key}",
            made_at=one.made_at,
            households=told[one.area_code][1],
        )
        for one in standing
    ]


def _disclosed() -> Any:
    """What was granted and disclosed and is paid from the next month."""
    return (
        select(CaseFile.amount_fen)
        .where(CaseFile.household_id == Household.id, CaseFile.state == "published")
        .limit(1)
        .correlate(Household)
        .scalar_subquery()
    )


def _receives(disclosed: Any) -> ColumnElement[bool]:
    return or_(Household.monthly_amount_fen > 0, disclosed > 0)


def _receiving(area_code: str) -> Any:
    """What is paid this month; and what was granted and disclosed and is paid from the next."""
    disclosed = _disclosed()
    members = (
        select(func.count()).where(HouseholdMember.household_id == Household.id).correlate(Household).scalar_subquery()
    )
    return (
        select(
            Household.head_name.label("name"),
            members.label("members"),
            func.coalesce(Household.monthly_amount_fen, disclosed).label("amount_fen"),
        )
        .where(Household.area_code == area_code, _receives(disclosed))
        .order_by(Household.number)
    )


async def read_disclosure(session: AsyncSession, key: str, now: datetime) -> PublicDisclosure:
    one = await session.scalar(select(Disclosure).where(Disclosure.key == key, Disclosure.ended_at.is_(None)))
    if one is None:
        raise Problem("thing.not_found", headers=NOT_INDEXED)
    area = await session.get_one(Area, one.area_code)
    rows = await session.execute(_receiving(one.area_code))
    return PublicDisclosure(
        area_name=area.name,
        area_code=one.area_code,
        as_of=day_of(now),
        households=[PublicHousehold(name=name, members=members, amount_fen=fen) for name, members, fen in rows],
    )


async def print_disclosure(
    session: AsyncSession, caller: Caller, disclosure_id: UUID, base_url: str, now: datetime
) -> bytes:
    """The list as it stands today, to hang in the village, with the code of its page."""
    require(caller, _LOOKERS)
    one: Disclosure = found(
        await session.scalar(
            readable(Disclosure, caller).where(Disclosure.id == disclosure_id, Disclosure.ended_at.is_(None))
        )
    )
    told = await read_disclosure(session, one.key, now)
    town = await session.get(Area, one.area_code[:9])
    audit.record(session, caller, "disclosure.printed", "disclosure", one.id, area_code=one.area_code)
    today = say_date(told.as_of)
    return await print_poster(
        Poster(
            title="最低生活保障对象长期公示",
            subtitle=told.area_name,
            intro=f"截至{today}，以下家庭正在享受最低生活保障，现予公示。",
            rows=[
                [str(place), one.name, str(one.members), plain_yuan(one.amount_fen)]
                for place, one in enumerate(told.households, start=1)
            ],
            objections="对名单有疑问或要反映情况的，请扫码，或向乡镇（街道）反映。可以匿名，凭编号和查询码查看答复。",
            qr=draw_qr(f"{base_url.rstrip('/')}/l/{one.key}"),
            office=f"{town.name if town else ''}人民政府（办事处）",
            date=today,
            amount_heading="保障金额（元/月）",
        )
    )
