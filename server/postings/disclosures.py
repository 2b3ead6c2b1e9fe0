"""The standing public list of the households that receive dibao in a village (长期公示).

The list is computed at each read, so that a household disappears with its last paid month. The address contains a
secret key, and search engines are told not to index it.
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
from server.audit.actions import Action
from server.core.access import Caller, Role, readable, require_found, require_role
from server.core.database import advisory_lock
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.money import format_yuan
from server.core.paging import Keyset, Page, fetch_page
from server.core.pdf import Poster, format_date_zh, render_poster, render_qr_svg
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.households import Household, HouseholdMember
from server.models.postings import Disclosure
from server.postings.detail import DISPLAY_ROLES
from server.postings.public import NOT_INDEXED

MANAGE_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
_READ_ROLES = DISPLAY_ROLES | MANAGE_ROLES | {Role.SUPERVISOR}
# A village has one open list, so the area code is a unique sort key.
_BY_AREA = Keyset(Disclosure.area_code)


class OpenDisclosure(RequestBody):
    area_code: Annotated[str, Meta(pattern="^[0-9]{12}$")]


class DisclosureDetail(ResponseBody):
    """`page` is the path of the HTML page; `key` is for clients of `/public/v1/disclosures/{key}`."""

    id: UUID
    area_code: str
    area_name: str
    key: str
    page: str
    made_at: datetime
    households: int


class PublicHousehold(ResponseBody):
    """The law allows the name, the number of members and the amount, and no more."""

    name: str
    members: int
    amount_fen: int


class PublicDisclosure(ResponseBody):
    """`area_code` goes into a report to `/public/v1/complaints`."""

    area_name: str
    area_code: str
    as_of: date
    households: list[PublicHousehold]


async def open_disclosure(session: AsyncSession, caller: Caller, area_code: str) -> DisclosureDetail:
    """Return the village's standing list, created on demand. Raises `auth.forbidden` outside the caller's areas."""
    require_role(caller, MANAGE_ROLES)
    if not caller.covers(area_code, MANAGE_ROLES):
        raise Problem("auth.forbidden", roles=", ".join(sorted(MANAGE_ROLES)))
    if await session.get(Area, area_code) is None:
        raise Problem("request.invalid", faults=[Fault("/areaCode", "area.unknown", area_code)])
    await advisory_lock(session, f"disclosure:{area_code}")  # a village has one address
    disclosure = await session.scalar(
        readable(Disclosure, caller).where(Disclosure.area_code == area_code, Disclosure.ended_at.is_(None))
    )
    (detail,) = await _build_details(session, [disclosure or await _create_disclosure(session, caller, area_code)])
    return detail


async def _create_disclosure(session: AsyncSession, caller: Caller, area_code: str) -> Disclosure:
    disclosure = Disclosure(id=new_id(), area_code=area_code, key=secrets.token_urlsafe(32), made_by=caller.id)
    session.add(disclosure)
    audit.record(session, caller, Action.DISCLOSURE_OPENED, "disclosure", disclosure.id, area_code=area_code)
    await session.flush()  # the database sets `made_at`
    await session.refresh(disclosure, ["made_at"])
    return disclosure


async def renew_disclosure(
    session: AsyncSession, caller: Caller, disclosure_id: UUID, now: datetime
) -> DisclosureDetail:
    """Replace the address; the old one stops working at once. For an ended list, return the current one."""
    require_role(caller, MANAGE_ROLES)
    disclosure: Disclosure = require_found(
        await session.scalar(readable(Disclosure, caller).where(Disclosure.id == disclosure_id).with_for_update())
    )
    if disclosure.ended_at is None:
        disclosure.ended_at = now
        await session.flush()  # the unique index allows one open list per village
    return await open_disclosure(session, caller, disclosure.area_code)


async def list_disclosures(
    session: AsyncSession, caller: Caller, *, cursor: str | None, limit: int
) -> Page[DisclosureDetail]:
    """List the open lists of the caller's areas by area. Two queries for any page."""
    require_role(caller, _READ_ROLES)
    rows = readable(Disclosure, caller).where(Disclosure.ended_at.is_(None))
    page, next_cursor = await fetch_page(session, rows, _BY_AREA, cursor, limit)
    return Page(items=await _build_details(session, [disclosure for (disclosure,) in page]), next_cursor=next_cursor)


async def _build_details(session: AsyncSession, disclosures: Sequence[Disclosure]) -> list[DisclosureDetail]:
    disclosed = _select_disclosed_amount()
    query = (
        select(Area.code, Area.name, func.count(Household.id))
        .outerjoin(Household, and_(Household.area_code == Area.code, _is_receiving(disclosed)))
        .where(Area.code.in_([disclosure.area_code for disclosure in disclosures]))
        .group_by(Area.code, Area.name)
    )
    areas = {code: (name, households) for code, name, households in await session.execute(query)}
    return [
        DisclosureDetail(
            id=disclosure.id,
            area_code=disclosure.area_code,
            area_name=areas[disclosure.area_code][0],
            key=disclosure.key,
            page=f"/l/{disclosure.key}",
            made_at=disclosure.made_at,
            households=areas[disclosure.area_code][1],
        )
        for disclosure in disclosures
    ]


async def read_disclosure(session: AsyncSession, key: str, now: datetime) -> PublicDisclosure:
    disclosure = await session.scalar(select(Disclosure).where(Disclosure.key == key, Disclosure.ended_at.is_(None)))
    if disclosure is None:
        raise Problem("thing.not_found", headers=NOT_INDEXED)
    area = await session.get_one(Area, disclosure.area_code)
    rows = await session.execute(_select_receiving_households(disclosure.area_code))
    return PublicDisclosure(
        area_name=area.name,
        area_code=disclosure.area_code,
        as_of=day_of(now),
        households=[PublicHousehold(name=name, members=members, amount_fen=fen) for name, members, fen in rows],
    )


async def print_disclosure(
    session: AsyncSession, caller: Caller, disclosure_id: UUID, base_url: str, now: datetime
) -> bytes:
    """Print today's list as a poster with the QR code of its page."""
    require_role(caller, _READ_ROLES)
    disclosure: Disclosure = require_found(
        await session.scalar(
            readable(Disclosure, caller).where(Disclosure.id == disclosure_id, Disclosure.ended_at.is_(None))
        )
    )
    content = await read_disclosure(session, disclosure.key, now)
    town = await session.get(Area, disclosure.area_code[:9])
    audit.record(
        session, caller, Action.DISCLOSURE_PRINTED, "disclosure", disclosure.id, area_code=disclosure.area_code
    )
    today = format_date_zh(content.as_of)
    return await render_poster(
        Poster(
            title="最低生活保障对象长期公示",
            subtitle=content.area_name,
            intro=f"截至{today}，以下家庭正在享受最低生活保障，现予公示。",
            rows=[
                [str(position), household.name, str(household.members), format_yuan(household.amount_fen)]
                for position, household in enumerate(content.households, start=1)
            ],
            objections="对名单有疑问或要反映情况的，请扫码，或向乡镇（街道）反映。可以匿名，凭编号和查询码查看答复。",
            qr=render_qr_svg(f"{base_url.rstrip('/')}/l/{disclosure.key}"),
            office=f"{town.name if town else ''}人民政府（办事处）",
            date=today,
            amount_heading="保障金额（元/月）",
        )
    )


def _select_receiving_households(area_code: str) -> Any:
    """Select the households paid this month, and those with a published grant paid from the next month."""
    disclosed = _select_disclosed_amount()
    members = (
        select(func.count()).where(HouseholdMember.household_id == Household.id).correlate(Household).scalar_subquery()
    )
    return (
        select(
            Household.head_name.label("name"),
            members.label("members"),
            func.coalesce(Household.monthly_amount_fen, disclosed).label("amount_fen"),
        )
        .where(Household.area_code == area_code, _is_receiving(disclosed))
        .order_by(Household.number)
    )


def _select_disclosed_amount() -> Any:
    """Select the amount of a published grant, which is paid from the next month."""
    return (
        select(CaseFile.amount_fen)
        .where(CaseFile.household_id == Household.id, CaseFile.state == "published")
        .limit(1)
        .correlate(Household)
        .scalar_subquery()
    )


def _is_receiving(disclosed: Any) -> ColumnElement[bool]:
    return or_(Household.monthly_amount_fen > 0, disclosed > 0)
