"""Staff of an area, with their roles and the number of households they hold."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.core.access import DIRECTORY_ROLES, Caller, Role, in_areas, require_role
from server.core.clock import today as today_in_china
from server.core.http import ResponseBody
from server.core.normalise import name_key, sql_name_key
from server.core.paging import Keyset, Page, fetch_page
from server.identity.accounts import may_grant
from server.identity.identities import list_linked
from server.models.areas import Area
from server.models.households import Caseload
from server.models.people import Device, Staff, StaffRole
from server.models.review import SpotCheck
from server.policy.resolver import load_policy_values

_BY_LOGIN = Keyset(Staff.login)
_HOMES_MOST = "staff.homes_most"
_COUNTY_DIGITS = 6


class RoleLine(ResponseBody):
    """A role over an area and everything below it. `area_name` is null for the whole country. `deputy_for`: the person
    on leave for whom it is held.
    """

    role: Role
    area_code: str
    area_name: str | None
    ends_on: date | None
    deputy_for: str | None


class StaffLine(ResponseBody):
    """`holds` counts the households of the person's caseload, `unsent` the rows that their phones had not sent at the
    last contact. `holds_too_many`: more than the setting `staff.homes_most` of the person's area. `may_manage`: the
    caller may change the account.
    """

    id: UUID
    login: str
    name: str
    phone_mask: str | None
    roles: list[RoleLine]
    holds: int
    holds_too_many: bool
    unsent: int
    signed_in_at: datetime | None
    is_wechat_linked: bool
    may_manage: bool
    disabled_at: datetime | None


class _Devices(NamedTuple):
    unsent: int = 0
    signed_in_at: datetime | None = None


async def list_staff(
    session: AsyncSession, caller: Caller, *, area: str | None, q: str | None, cursor: str | None, limit: int
) -> Page[StaffLine]:
    """List staff with a role in the caller's areas by login. `q` is part of a name or login.

    Five queries, and one for each county.
    """
    require_role(caller, DIRECTORY_ROLES)
    in_reach = select(StaffRole.staff_id).where(
        StaffRole.revoked_at.is_(None), in_areas(StaffRole.area_code, caller, DIRECTORY_ROLES)
    )
    if area is not None:
        in_reach = in_reach.where(StaffRole.area_code.startswith(area, autoescape=True))
    rows = select(Staff).where(Staff.id.in_(in_reach))
    if q:
        by_name = sql_name_key(Staff.name).contains(name_key(q), autoescape=True)
        rows = rows.where(or_(by_name, Staff.login.contains(q.strip().lower(), autoescape=True)))
    page, next_cursor = await fetch_page(session, rows, _BY_LOGIN, cursor, limit)
    staff: list[Staff] = [member for (member,) in page]
    roles, holds = await _load_roles(session, staff), await _count_caseloads(session, staff)
    devices = await _load_devices(session, staff)
    limits = await _load_limits(session, {role.area_code for member in staff for role in roles[member.id]})
    linked = await list_linked(session, [member.id for member in staff])
    items = [
        _staff_line(
            caller,
            member,
            roles[member.id],
            holds.get(member.id, 0),
            devices.get(member.id, _Devices()),
            limits,
            is_linked=member.id in linked,
        )
        for member in staff
    ]
    return Page(items=items, next_cursor=next_cursor)


async def _load_roles(session: AsyncSession, staff: Sequence[Staff]) -> dict[UUID, list[RoleLine]]:
    absent = aliased(Staff)
    rows = await session.execute(
        select(StaffRole, Area.name, absent.name)
        .outerjoin(Area, Area.code == StaffRole.area_code)
        .outerjoin(absent, absent.id == StaffRole.deputy_for)
        .where(StaffRole.staff_id.in_([member.id for member in staff]), StaffRole.revoked_at.is_(None))
        .order_by(StaffRole.area_code)
    )
    roles: dict[UUID, list[RoleLine]] = defaultdict(list)
    for row, name, deputy_for in rows:
        role = RoleLine(
            role=Role(row.role), area_code=row.area_code, area_name=name, ends_on=row.ends_on, deputy_for=deputy_for
        )
        roles[row.staff_id].append(role)
    return roles


async def _load_limits(session: AsyncSession, areas: Collection[str]) -> dict[str, int]:
    """Return how many homes a person may hold, by county."""
    counties = {area[:_COUNTY_DIGITS] for area in areas}
    rules = {county: await load_policy_values(session, county, today_in_china(), [_HOMES_MOST]) for county in counties}
    return {county: int(values[_HOMES_MOST]) for county, values in rules.items()}


async def _count_caseloads(session: AsyncSession, staff: Sequence[Staff]) -> dict[UUID, int]:
    rows: Any = await session.execute(
        select(Caseload.staff_id, func.count())
        .where(
            Caseload.staff_id.in_([member.id for member in staff]),
            Caseload.revoked_at.is_(None),
            Caseload.deputyship_id.is_(None),
            SpotCheck.is_no_team(Caseload.id),
        )
        .group_by(Caseload.staff_id)
    )
    return dict(rows.all())


async def _load_devices(session: AsyncSession, staff: Sequence[Staff]) -> dict[UUID, _Devices]:
    unsent = func.coalesce(func.sum(Device.pending_rows).filter(Device.ended_at.is_(None)), 0)
    rows: Any = await session.execute(
        select(Device.staff_id, unsent, func.max(Device.created_at))
        .where(Device.staff_id.in_([member.id for member in staff]))
        .group_by(Device.staff_id)
    )
    return {staff_id: _Devices(int(unsent), signed_in_at) for staff_id, unsent, signed_in_at in rows}


def _staff_line(
    caller: Caller,
    member: Staff,
    roles: list[RoleLine],
    holds: int,
    devices: _Devices,
    limits: dict[str, int],
    *,
    is_linked: bool,
) -> StaffLine:
    most = max((limits[role.area_code[:_COUNTY_DIGITS]] for role in roles), default=holds)
    return StaffLine(
        id=member.id,
        login=member.login,
        name=member.name,
        phone_mask=member.phone_mask,
        roles=roles,
        holds=holds,
        holds_too_many=holds > most,
        unsent=devices.unsent,
        signed_in_at=devices.signed_in_at,
        is_wechat_linked=is_linked,
        may_manage=all(may_grant(caller, role.role, role.area_code) for role in roles),
        disabled_at=member.disabled_at,
    )
