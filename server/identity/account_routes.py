"""`/desk/v1/staff`: accounts of staff; `/auth/v1/staff/set-password`: the one-time link."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    CallerDep,
    PageLimit,
    RequestBody,
    ResponseBody,
    SearchText,
    ServicesDep,
    Session,
    ShortText,
    error_responses,
)
from server.core.paging import Page
from server.core.pdf import PDF
from server.http.exports import ROLE_LABELS, build_export_route
from server.http.reads import reads
from server.identity import accounts, links, staff_list
from server.identity.accounts import ChangeStaff, Disabled, DisableStaff, NewStaff, RoleBody
from server.identity.links import NewLink
from server.identity.slips import render_slips
from server.identity.staff_list import StaffLine
from server.identity.step_up import StepUpHeader, require_step_up

_MANAGED = LOOKUP_ERRORS | error_responses("staff.own_roles")
# Whoever holds a stolen token must not make accounts or links with it.
_PROVEN = _MANAGED | error_responses("auth.step_up_required")


class SetPassword(RequestBody):
    token: ShortText
    password: Annotated[str, Meta(min_length=1, max_length=200)]


class PasswordSet(ResponseBody):
    """Sign in with this login and the new password."""

    login: str


class MakeSlips(RequestBody):
    staff_ids: Annotated[list[UUID], Meta(min_length=1, max_length=500)]


class Unsent(ResponseBody):
    """Rows that the ended devices had not sent at their last contact."""

    unsent: int


@get(
    "/staff",
    opt=reads("staff"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Staff with a role in the caller's areas, by login; found by a part of the name or login.",
)
async def list_staff(
    caller: CallerDep,
    session: Session,
    area: AreaFilter = None,
    q: SearchText = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[StaffLine]:
    return await staff_list.list_staff(session, caller, area=area, q=q, cursor=cursor, limit=limit)


export_staff = build_export_route(
    list_staff,
    "staff",
    {
        "登录名": lambda member: member.login,
        "姓名": lambda member: member.name,
        "电话": lambda member: member.phone_mask,
        "角色": lambda member: [f"{ROLE_LABELS[role.role]}（{role.area_name or '全国'}）" for role in member.roles],
        "负责户数": lambda member: member.holds,
        "户数过多": lambda member: "是" if member.holds_too_many else "",
        "停用时间": lambda member: member.disabled_at,
    },
)


@post(
    "/staff",
    responses=SIGNED_IN_ERRORS | error_responses("staff.login_taken", "staff.login_invalid", "auth.step_up_required"),
    description="Create an account with its roles. The answer's link sets its password, once.",
)
async def create_staff(
    data: JSONBody[NewStaff], caller: CallerDep, session: Session, services: ServicesDep, proof: StepUpHeader = None
) -> NewLink:
    require_step_up(services, caller, proof)
    return await accounts.create_staff(session, services.encryption, caller, data, utc_now())


@put("/staff/{staff_id:uuid}", status_code=204, responses=LOOKUP_ERRORS, description="Change name and phone number.")
async def change_staff(
    staff_id: FromPath[UUID], data: JSONBody[ChangeStaff], caller: CallerDep, session: Session, services: ServicesDep
) -> None:
    await accounts.change_staff(session, services.encryption, caller, staff_id, data)


@post(
    "/staff/{staff_id:uuid}/roles",
    status_code=204,
    responses=_PROVEN,
    description="Grant a role in an area, for a deputy with its last day. Granting it again sets that day.",
)
async def grant_role(
    staff_id: FromPath[UUID],
    data: JSONBody[RoleBody],
    caller: CallerDep,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> None:
    require_step_up(services, caller, proof)
    await accounts.grant_role(session, caller, staff_id, data)


@post(
    "/staff/{staff_id:uuid}/roles/end",
    status_code=204,
    responses=_MANAGED,
    description="End a role in an area at once.",
)
async def revoke_role(staff_id: FromPath[UUID], data: JSONBody[RoleBody], caller: CallerDep, session: Session) -> None:
    await accounts.revoke_role(session, caller, staff_id, data, utc_now())


@post(
    "/staff/{staff_id:uuid}/disable",
    status_code=200,
    responses=_MANAGED,
    description="Disable the account of a person who leaves: all devices end, the homes go to a named colleague. The "
    "answer says what is unsent on the phones, and how many administrators are left.",
)
async def disable_staff(
    staff_id: FromPath[UUID], data: JSONBody[DisableStaff], caller: CallerDep, session: Session
) -> Disabled:
    return await accounts.disable_staff(session, caller, staff_id, data, utc_now())


@post(
    "/staff/{staff_id:uuid}/enable",
    status_code=200,
    responses=_PROVEN,
    description="Enable an account again; its password is set anew by the link.",
)
async def enable_staff(
    staff_id: FromPath[UUID], caller: CallerDep, session: Session, services: ServicesDep, proof: StepUpHeader = None
) -> NewLink:
    require_step_up(services, caller, proof)
    return await accounts.enable_staff(session, caller, staff_id, utc_now())


@post(
    "/staff/{staff_id:uuid}/reset",
    status_code=200,
    responses=_PROVEN,
    description="Void the password and end all devices; the answer's link sets a new password.",
)
async def reset_password(
    staff_id: FromPath[UUID], caller: CallerDep, session: Session, services: ServicesDep, proof: StepUpHeader = None
) -> NewLink:
    require_step_up(services, caller, proof)
    return await accounts.reset_password(session, caller, staff_id, utc_now())


@post(
    "/staff/{staff_id:uuid}/unlink-wechat",
    status_code=204,
    responses=_MANAGED,
    description="Unlink the WeChat account and end all devices.",
)
async def unlink_wechat(staff_id: FromPath[UUID], caller: CallerDep, session: Session) -> None:
    await accounts.unlink_wechat(session, caller, staff_id, utc_now())


@post(
    "/staff/{staff_id:uuid}/unlock",
    status_code=204,
    responses=_MANAGED,
    description="Forget the failed attempts to sign in of this quarter of an hour, at every address.",
)
async def unlock_staff(staff_id: FromPath[UUID], caller: CallerDep, session: Session, services: ServicesDep) -> None:
    await accounts.unlock_staff(session, services.encryption, caller, staff_id, utc_now())


@post(
    "/staff/{staff_id:uuid}/end-devices",
    status_code=200,
    responses=_MANAGED,
    description="Sign a person out everywhere, as for a lost phone.",
)
async def end_staff_devices(staff_id: FromPath[UUID], caller: CallerDep, session: Session) -> Unsent:
    return Unsent(unsent=await accounts.end_staff_devices(session, caller, staff_id, utc_now()))


@post(
    "/staff/slips",
    status_code=200,
    media_type=PDF,
    responses=_PROVEN | error_responses("print.characters_missing"),
    description="A sheet of tear-off slips, one a person, each with the QR code of a new one-time link; earlier links "
    "of these people no longer work.",
)
async def print_slips(
    data: JSONBody[MakeSlips],
    caller: CallerDep,
    session: Session,
    request: Request[Any, Any, Any],
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> Response[bytes]:
    require_step_up(services, caller, proof)
    made = await _make_links(session, caller, data.staff_ids, utc_now())
    content = await render_slips(made, str(request.base_url))
    return Response(content, media_type=PDF, headers={"Cache-Control": "no-store"})


async def _make_links(session: AsyncSession, caller: Caller, staff_ids: list[UUID], now: datetime) -> list[NewLink]:
    people = [await accounts.find_managed(session, caller, staff_id) for staff_id in dict.fromkeys(staff_ids)]
    return [await links.make_link(session, caller, staff, now) for staff in people]


@post(
    "/staff/set-password",
    status_code=200,
    responses=error_responses("request.invalid", "auth.link_invalid", "auth.password_weak"),
    description="Set the password of a new or reset account by its one-time link. All devices of the person end.",
)
async def set_password(data: JSONBody[SetPassword], session: Session) -> PasswordSet:
    return PasswordSet(login=await links.set_password_by_link(session, data.token, data.password, utc_now()))


router = Router(
    "/desk/v1",
    route_handlers=[
        list_staff,
        export_staff,
        create_staff,
        change_staff,
        grant_role,
        revoke_role,
        disable_staff,
        enable_staff,
        reset_password,
        unlink_wechat,
        unlock_staff,
        end_staff_devices,
        print_slips,
    ],
    tags=["staff"],
    security=BEARER,
)
link_router = Router("/auth/v1", route_handlers=[set_password], tags=["sign-in"])
