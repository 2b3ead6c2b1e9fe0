"""Accounts of staff: made, changed, given roles, disabled and reset by administrators and, in their area, by officers.

Nobody changes their own roles. An administrator grants every role; a county officer those of towns and villages
within the county; a town officer those of the town's villages. What ends how somebody signs in ends their devices.
"""

import re
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import FIELD_ROLES, Caller, Role, require_found, require_role
from server.core.clock import today as today_in_china
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.encryption import Encryption
from server.core.errors import Fault, Problem
from server.core.http import LongText, RequestBody, ResponseBody, ShortText
from server.core.id_numbers import mask_phone
from server.core.job_types import EndRoles
from server.core.services import Services
from server.households.caseload import CASELOAD_ROLES, ReassignHouseholds, RevokeHouseholds, reassign, revoke
from server.http.rate_limit import unlock
from server.identity.deputies import align_lent_roles, end_deputyships_of, send_checklists, send_tasks
from server.identity.identities import end_wechat_links
from server.identity.links import NewLink, end_all_devices, make_link
from server.identity.second_factor import delete_second_factor
from server.models.areas import Area
from server.models.households import Caseload
from server.models.people import Staff, StaffRole

# Which roles the holder of a role may grant and end, within the area of their own.
GRANTS: dict[Role, frozenset[Role]] = {
    Role.ADMIN: frozenset(Role) - {Role.RESIDENT},
    Role.COUNTY_OFFICER: frozenset({Role.CASEWORKER, Role.PANELIST, Role.TOWN_OFFICER}),
    Role.TOWN_OFFICER: frozenset({Role.CASEWORKER, Role.PANELIST}),
}
MANAGERS = frozenset(GRANTS)
# A role reaches at least this deep: a town officer of a whole county would be a county officer.
_LEAST_DIGITS = {Role.TOWN_OFFICER: 9, Role.CASEWORKER: 9, Role.PANELIST: 9, Role.COUNTY_OFFICER: 6}
LEAST_ADMINS = 2
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{2,39}")


class RoleBody(RequestBody):
    """`ends_on` is the last day, for a deputy."""

    role: Role
    area_code: Annotated[str, Meta(pattern="^[0-9]{0,12}$")]
    ends_on: date | None = None


class NewStaff(RequestBody):
    """`login`: 3 to 40 small letters, digits, points and dashes; it can't be changed later."""

    id: UUID
    login: ShortText
    name: ShortText
    roles: Annotated[list[RoleBody], Meta(min_length=1, max_length=20)]
    phone: Annotated[str, Meta(max_length=30)] | None = None


class ChangeStaff(RequestBody):
    """Without a phone number the stored one stays."""

    name: ShortText
    phone: Annotated[str, Meta(max_length=30)] | None = None


class DisableStaff(RequestBody):
    """`hand_to` receives the homes; without it an officer leaves them without this holder."""

    reason: Annotated[LongText, Meta(min_length=1)]
    hand_to: UUID | None = None


class Disabled(ResponseBody):
    """`unsent`: rows that the person's phones had not sent at their last contact; they wait on the phones, sealed."""

    households: int
    unsent: int
    admins: int


async def create_staff(
    session: AsyncSession, encryption: Encryption, caller: Caller | None, body: NewStaff, now: datetime
) -> NewLink:
    """Create an account and the link that sets its password. The command line has no caller and may grant anything.

    Raise `staff.login_taken`, `staff.login_invalid`, `auth.forbidden` for a role beyond the caller's.
    """
    login = body.login.strip().lower()
    if not _LOGIN.fullmatch(login):
        raise Problem("staff.login_invalid")
    if await session.get(Staff, body.id) is not None:
        raise Problem("request.invalid", faults=[Fault("/id", "id.taken", str(body.id))])
    if await session.scalar(select(Staff.id).where(Staff.login == login)) is not None:
        raise Problem("staff.login_taken", login=login)
    staff = Staff(id=body.id, login=login, name=body.name, password_hash=None)
    _set_phone(encryption, staff, body.phone)
    session.add(staff)
    await session.flush()  # roles and the link refer to it
    audit.record(session, caller, Action.STAFF_CREATED, "staff", staff.id, login=login)
    for role in body.roles:
        await ensure_role(session, caller, staff, role)
    return await make_link(session, caller, staff, now)


async def change_staff(
    session: AsyncSession, encryption: Encryption, caller: Caller, staff_id: UUID, body: ChangeStaff
) -> None:
    change_details(session, encryption, caller, await find_managed(session, caller, staff_id), body)


def change_details(
    session: AsyncSession, encryption: Encryption, caller: Caller | None, staff: Staff, body: ChangeStaff
) -> None:
    staff.name = body.name
    _set_phone(encryption, staff, body.phone)
    audit.record(session, caller, Action.STAFF_CHANGED, "staff", staff.id)


async def grant_role(session: AsyncSession, caller: Caller, staff_id: UUID, body: RoleBody) -> None:
    """Grant a role. Granting it again sets its last day.

    Raise `staff.own_roles`, and `auth.forbidden` for a role or area beyond the caller's.
    """
    await ensure_role(session, caller, await _find_other(session, caller, staff_id), body)


async def revoke_role(session: AsyncSession, caller: Caller, staff_id: UUID, body: RoleBody, now: datetime) -> None:
    """End a role at once. Ending it again changes nothing."""
    staff = await _find_other(session, caller, staff_id)
    _require_may_grant(caller, body)
    row = await session.scalar(_current_role(staff.id, body))
    if row is not None:
        row.revoked_at = now
        await session.flush()  # what is lent of it, and its tasks, follow
        await align_lent_roles(session, staff.id, now)
        if body.role in FIELD_ROLES:
            await send_tasks(session, body.area_code)
        _record_role(session, caller, Action.STAFF_ROLE_REVOKED, staff.id, body.role, body.area_code)


async def disable_staff(
    session: AsyncSession, caller: Caller, staff_id: UUID, body: DisableStaff, now: datetime
) -> Disabled:
    """End the account and all devices of a person who leaves, and hand their homes over. Raise `staff.own_roles`.

    An administrator, who decides on no caseload, leaves the homes in the person's name: an officer hands them over.
    """
    staff = await _find_other(session, caller, staff_id)
    held = await session.scalar(
        select(func.count())
        .select_from(Caseload)
        .where(Caseload.staff_id == staff.id, Caseload.revoked_at.is_(None), Caseload.deputyship_id.is_(None))
    )
    if held and (body.hand_to is not None or caller.roles & CASELOAD_ROLES):
        if body.hand_to is not None:
            move = ReassignHouseholds(from_staff_id=staff.id, to_staff_id=body.hand_to, reason=body.reason)
            await reassign(session, caller, move, now)
        else:
            await revoke(session, caller, RevokeHouseholds(from_staff_id=staff.id, reason=body.reason), now)
    unsent = await end_account(session, caller, staff, body.reason, now)
    return Disabled(households=held or 0, unsent=unsent, admins=await count_admins(session))


async def end_account(session: AsyncSession, caller: Caller | None, staff: Staff, reason: str, now: datetime) -> int:
    """Disable an account, end its devices and return the rows they had not sent. Homes stay with the person."""
    staff.disabled_at = staff.disabled_at or now
    await end_deputyships_of(session, caller, staff.id, now)
    audit.record(session, caller, Action.STAFF_DISABLED, "staff", staff.id, reason=reason)
    return await end_all_devices(session, staff.id, now, "disabled")


async def enable_staff(session: AsyncSession, caller: Caller, staff_id: UUID, now: datetime) -> NewLink:
    """Enable an account again; it needs a new password, and its homes are given anew."""
    staff = await _find_other(session, caller, staff_id)
    staff.disabled_at, staff.password_hash = None, None
    audit.record(session, caller, Action.STAFF_ENABLED, "staff", staff.id)
    return await make_link(session, caller, staff, now)


async def reset_password(session: AsyncSession, caller: Caller, staff_id: UUID, now: datetime) -> NewLink:
    """Void password and second factor, end all devices, and make a link that sets a new password.

    It is the way back for a lost phone with lost recovery codes. Raise `staff.own_roles`.
    """
    staff = await _find_other(session, caller, staff_id)
    staff.password_hash = None
    await delete_second_factor(session, staff.id)
    await end_all_devices(session, staff.id, now, "password_reset")
    return await make_link(session, caller, staff, now)


async def unlink_wechat(session: AsyncSession, caller: Caller, staff_id: UUID, now: datetime) -> None:
    """Unlink a lost or shared WeChat account and end all devices."""
    staff = await _find_other(session, caller, staff_id)
    if await end_wechat_links(session, staff, now):
        await end_all_devices(session, staff.id, now, "wechat_unlinked")
        audit.record(session, caller, Action.STAFF_WECHAT_UNLINKED, "staff", staff.id)


async def unlock_staff(
    session: AsyncSession, encryption: Encryption, caller: Caller, staff_id: UUID, now: datetime
) -> None:
    """Let a person sign in again at once who mistyped the password or a code too often."""
    staff = await _find_other(session, caller, staff_id)
    subjects = [f"login:{staff.login}", f"code:{staff.id}", f"step-up:{staff.id}"]
    await unlock(session, encryption, staff.login, subjects, now)
    audit.record(session, caller, Action.STAFF_UNLOCKED, "staff", staff.id)


async def end_staff_devices(session: AsyncSession, caller: Caller, staff_id: UUID, now: datetime) -> int:
    """Sign a person out everywhere, as for a lost phone; return the rows that were not sent."""
    staff = await _find_other(session, caller, staff_id)
    audit.record(session, caller, Action.DEVICE_ENDED, "staff", staff.id, reason="ended_by_officer")
    return await end_all_devices(session, staff.id, now, "ended_by_officer")


async def count_admins(session: AsyncSession) -> int:
    """Count the people who are administrators of any area; an office needs two."""
    rows = (
        select(func.count(StaffRole.staff_id.distinct()))
        .join(Staff, Staff.id == StaffRole.staff_id)
        .where(StaffRole.role == Role.ADMIN, StaffRole.revoked_at.is_(None), Staff.disabled_at.is_(None))
    )
    return await session.scalar(rows) or 0


async def find_managed(session: AsyncSession, caller: Caller, staff_id: UUID) -> Staff:
    """Return a person all of whose roles the caller could grant, or raise `thing.not_found`."""
    require_role(caller, MANAGERS)
    staff: Staff = require_found(await session.scalar(select(Staff).where(Staff.id == staff_id).with_for_update()))
    roles = await session.execute(
        select(StaffRole.role, StaffRole.area_code).where(
            StaffRole.staff_id == staff_id, StaffRole.revoked_at.is_(None)
        )
    )
    if not all(may_grant(caller, Role(role), area_code) for role, area_code in roles):
        raise Problem("thing.not_found")
    return staff


async def _find_other(session: AsyncSession, caller: Caller, staff_id: UUID) -> Staff:
    if staff_id == caller.id:
        raise Problem("staff.own_roles")
    return await find_managed(session, caller, staff_id)


async def ensure_role(session: AsyncSession, caller: Caller | None, staff: Staff, body: RoleBody) -> bool:
    """Grant a role, or set the last day of one that is held; return whether it is new."""
    if caller is not None:
        _require_may_grant(caller, body)
    if len(body.area_code) < _LEAST_DIGITS.get(body.role, 0):
        raise Problem("request.invalid", faults=[Fault("/areaCode", "area.too_wide", body.area_code)])
    if body.area_code and await session.get(Area, body.area_code) is None:
        raise Problem("request.invalid", faults=[Fault("/areaCode", "area.unknown", body.area_code)])
    row = await session.scalar(_current_role(staff.id, body))
    is_new = row is None
    if row is None:
        row = StaffRole(staff_id=staff.id, role=body.role, area_code=body.area_code)
        session.add(row)
        await session.flush()  # the checklists are sent to those who have it
        _record_role(session, caller, Action.STAFF_ROLE_GRANTED, staff.id, body.role, body.area_code)
        if body.role in FIELD_ROLES:
            await send_checklists(session, staff.id, body.area_code)
            await send_tasks(session, body.area_code)
    row.ends_on = body.ends_on
    await session.flush()  # what is lent of it follows
    await align_lent_roles(session, staff.id, utc_now())
    return is_new


def _require_may_grant(caller: Caller, body: RoleBody) -> None:
    if not may_grant(caller, body.role, body.area_code):
        raise Problem("auth.forbidden", roles=", ".join(sorted(role for role in GRANTS if body.role in GRANTS[role])))


def may_grant(caller: Caller, role: Role, area_code: str) -> bool:
    return any(caller.covers(area_code, {own}) for own, roles in GRANTS.items() if role in roles)


def _current_role(staff_id: UUID, body: RoleBody) -> Select[StaffRole]:
    return select(StaffRole).where(
        StaffRole.staff_id == staff_id,
        StaffRole.role == body.role,
        StaffRole.area_code == body.area_code,
        StaffRole.revoked_at.is_(None),
        StaffRole.deputy_for.is_(None),
    )


def _set_phone(encryption: Encryption, staff: Staff, phone: str | None) -> None:
    if phone:
        staff.phone_sealed = encryption.seal("staff.phone", staff.id, phone)
        staff.phone_mask = mask_phone(phone)


def _record_role(
    session: AsyncSession, caller: Caller | None, action: Action, staff_id: UUID, role: Role | str, area_code: str
) -> None:
    audit.record(session, caller, action, "staff", staff_id, area_code=area_code or None, role=str(role))


@jobs.task(EndRoles, cron="5 16 * * *")
async def end_roles(services: Services, _: EndRoles) -> None:
    """Run just after China's midnight: end the roles whose last day is over. Sign-in refuses them already."""
    async with open_session(services.sessions) as session:
        await end_roles_of_before(session, today_in_china(), utc_now())


async def end_roles_of_before(session: AsyncSession, today: date, now: datetime) -> int:
    ended = await session.execute(
        update(StaffRole)
        .where(StaffRole.ends_on < today, StaffRole.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(StaffRole.staff_id, StaffRole.role, StaffRole.area_code)
    )
    rows = ended.all()
    for staff_id, role, area_code in rows:
        _record_role(session, None, Action.STAFF_ROLE_REVOKED, staff_id, role, area_code)
    for staff_id in {staff_id for staff_id, _, _ in rows}:
        await align_lent_roles(session, staff_id, now)
    for area_code in {area_code for _, role, area_code in rows if role in FIELD_ROLES}:
        await send_tasks(session, area_code)
    return len(rows)
