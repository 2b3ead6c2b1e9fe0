"""Routes of identity: `/auth/v1` signs staff and residents in and out, `/desk/v1` manages residents' bindings."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta

from server.core.access import Grant, Role, require_role
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    NO_CONTENT,
    CallerDep,
    FieldStaff,
    RequestBody,
    ResponseBody,
    ServicesDep,
    Session,
    ShortText,
    client_address,
    error_responses,
)
from server.http.reads import NOTHING_PERSONAL, reads
from server.identity import bindings, counter_binding, devices, phone_binding, refresh, sign_in
from server.identity.bindings import BindingLine, EndBinding, OwnBinding
from server.identity.cookies import (
    WebApp,
    build_sign_out_response,
    build_token_response,
    find_refresh_token,
    read_refresh_token,
)
from server.identity.counter_binding import BindAtCounter, ShownCode
from server.identity.devices import DeviceInfo, SignedIn
from server.identity.phone_binding import PhoneBinding
from server.identity.step_up import StepUpHeader, require_step_up

AnyRequest = Request[Any, Any, Any]
Password = Annotated[str, Meta(min_length=1, max_length=200)]
_SIGN_IN = error_responses(
    "request.invalid", "auth.sign_in_failed", "auth.second_factor_required", "auth.second_factor_wrong",
    "request.rate_limited",
)  # fmt: skip
_WECHAT = error_responses(
    "wechat.code_invalid", "wechat.blocked", "auth.wechat_not_linked", "auth.second_factor_required",
    "auth.second_factor_wrong", "request.rate_limited", "wechat.too_many", "wechat.unavailable",
)  # fmt: skip
_SIGNED = error_responses("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended")
_HOUSEHOLD = _SIGNED | error_responses("auth.forbidden", "thing.not_found", "case.own_relative")


class StaffSignIn(RequestBody):
    """With `webApp` the refresh token is set as a cookie that scripts cannot read, and is not in the body."""

    sealed_fields = frozenset({"login", "password", "second_factor"})

    login: ShortText
    password: Password
    device: DeviceInfo
    web_app: WebApp | None = None
    # A code, once the server has answered `auth.second_factor_required`.
    second_factor: ShortText | None = None


class WechatSignIn(RequestBody):
    """`code` is the result of `wx.login`. It is valid for five minutes and for one use."""

    code: ShortText
    device: DeviceInfo
    web_app: WebApp | None = None
    # Of staff with a second factor, once the server has answered `auth.second_factor_required`.
    second_factor: ShortText | None = None


class Binding(RequestBody):
    sealed_fields = frozenset({"id_number", "application_number"})

    id_number: ShortText
    application_number: ShortText


class Unbinding(RequestBody):
    case_id: UUID


class RefreshRequest(RequestBody):
    """Either the token itself, or the web app whose cookie contains it."""

    sealed_fields = frozenset({"refresh_token"})

    refresh_token: ShortText | None = None
    web_app: WebApp | None = None


class Me(ResponseBody):
    """`second_factor_due`: the area requires a second factor; until it is set there are no roles."""

    person_id: UUID
    device_id: UUID
    name: str
    roles: list[Grant]
    second_factor_due: bool


@post(
    "/staff/sign-in",
    status_code=200,
    responses=_SIGN_IN,
    description="Sign in with name and password. Answers a pair of tokens for this device; an unknown name and a "
    "wrong password get the same answer.",
)
async def sign_in_staff(
    data: JSONBody[StaffSignIn], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[SignedIn]:
    signed_in = await sign_in.sign_in_with_password(
        session, services, data.login, data.password, data.device, code=data.second_factor,
        address=client_address(request), now=utc_now(),
    )  # fmt: skip
    return build_token_response(signed_in, data.web_app, services.settings, host=_host(request))


@post(
    "/staff/sign-in-wechat",
    status_code=200,
    responses=_WECHAT,
    description="Sign in with the code of `wx.login`, once the account is linked to WeChat.",
)
async def sign_in_staff_with_wechat(
    data: JSONBody[WechatSignIn], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[SignedIn]:
    signed_in = await sign_in.sign_in_staff_with_wechat(
        session, services, data.code, data.second_factor, data.device, utc_now()
    )
    return build_token_response(signed_in, data.web_app, services.settings, host=_host(request))


@post(
    "/resident/sign-in-wechat",
    status_code=200,
    responses=_WECHAT,
    description="Sign a resident in with the code of `wx.login`. The first time makes an account that sees nothing "
    "until it is bound.",
)
async def sign_in_resident(
    data: JSONBody[WechatSignIn], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[SignedIn]:
    signed_in = await sign_in.sign_in_resident(session, services, data.code, data.device, utc_now())
    return build_token_response(signed_in, data.web_app, services.settings, host=_host(request))


@post(
    "/resident/bind",
    status_code=200,
    security=BEARER,
    responses=_SIGNED | error_responses("auth.forbidden", "auth.binding_failed", "request.rate_limited"),
    description="Bind the resident to a household of which they are a member. Both numbers must fit one application; "
    "the answer does not say which is wrong.",
)
async def bind_resident(
    data: JSONBody[Binding], caller: CallerDep, session: Session, services: ServicesDep
) -> sign_in.BindingReceipt:
    require_role(caller, {Role.RESIDENT})
    return await sign_in.bind_resident(
        session, services, caller, data.id_number, data.application_number, now=utc_now()
    )


@post(
    "/resident/bind-phone",
    status_code=200,
    security=BEARER,
    responses=_SIGNED
    | error_responses(
        "auth.forbidden", "auth.binding_failed", "request.rate_limited", "wechat.code_invalid", "wechat.too_many",
        "wechat.blocked", "wechat.unavailable",
    ),
    description="Bind the resident to the household with the telephone that WeChat names (`getPhoneNumber` of the "
    "mini-program), if the ID number is that of one of its members. The household is told.",
)  # fmt: skip
async def bind_by_phone(
    data: JSONBody[PhoneBinding], caller: CallerDep, session: Session, services: ServicesDep
) -> sign_in.BindingReceipt:
    require_role(caller, {Role.RESIDENT})
    return await phone_binding.bind_by_phone(session, services, caller, data, utc_now())


@post(
    "/resident/unbind",
    status_code=204,
    security=BEARER,
    responses=_SIGNED | error_responses("auth.forbidden", "thing.not_found"),
    description="End the caller's own binding to the household of a case. A new binding is needed to see it again.",
)
async def unbind_resident(data: JSONBody[Unbinding], caller: CallerDep, session: Session) -> None:
    require_role(caller, {Role.RESIDENT})
    await bindings.end_own_bindings(session, caller, data.case_id, utc_now())


@get(
    "/resident/bindings",
    opt=reads("binding"),
    security=BEARER,
    responses=_SIGNED | error_responses("auth.forbidden"),
    description="The households that the caller follows, by their latest application. `unbind` ends one.",
)
async def list_own_bindings(caller: CallerDep, session: Session) -> list[OwnBinding]:
    require_role(caller, {Role.RESIDENT})
    return await bindings.list_own_bindings(session, caller)


@post(
    "/resident/binding-code",
    status_code=200,
    security=BEARER,
    responses=_SIGNED | error_responses("auth.forbidden"),
    description="A code to show at the counter, where an officer binds the caller. It ends after ten minutes, or with "
    "the next one.",
)
async def show_binding_code(caller: CallerDep, session: Session, services: ServicesDep) -> ShownCode:
    require_role(caller, {Role.RESIDENT})
    return await counter_binding.show_binding_code(session, services, caller, utc_now())


@post(
    "/refresh",
    status_code=200,
    responses=error_responses("auth.refresh_invalid", "auth.refresh_reused", "auth.device_ended"),
    description="Exchange a refresh token for the next pair. Repeat it with the same token after a lost answer; once "
    "the next token was used, the earlier one ends the device.",
)
async def refresh_tokens(
    data: JSONBody[RefreshRequest], request: AnyRequest, services: ServicesDep
) -> Response[SignedIn]:
    token = read_refresh_token(data.refresh_token, data.web_app, request.cookies)
    signed_in = await refresh.refresh_tokens(services, token, utc_now())
    return build_token_response(signed_in, data.web_app, services.settings, host=_host(request))


@post(
    "/sign-out",
    status_code=204,
    security=BEARER,
    responses=_SIGNED,
    description="End the caller's device. Its access token stops working at once.",
)
async def sign_out(caller: CallerDep, session: Session) -> None:
    await devices.end_device(session, caller, caller.device_id, utc_now(), "signed_out")


@delete(
    "/refresh",
    status_code=204,
    responses=error_responses() | NO_CONTENT,
    description="Sign a web app out: end the device of its refresh cookie and clear the cookie. It needs no access "
    "token, so that a sign-out without a network ends the session at the next contact. Repeating it changes nothing.",
)
async def end_web_session(
    app: FromQuery[WebApp], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[None]:
    if token := find_refresh_token(app, request.cookies):
        await refresh.end_session(session, services, token, utc_now())
    return build_sign_out_response(app, host=_host(request))


def _host(request: AnyRequest) -> str:
    return request.url.hostname or ""


@get(
    "/me",
    opt=NOTHING_PERSONAL,
    security=BEARER,
    responses=_SIGNED,
    description="The caller: name, device, and the roles with their areas.",
)
async def who_am_i(caller: CallerDep) -> Me:
    return Me(
        person_id=caller.id, device_id=caller.device_id, name=caller.name, roles=list(caller.grants),
        second_factor_due=caller.second_factor_due,
    )  # fmt: skip


@get(
    "/households/{household_id:uuid}/bindings",
    opt=reads("binding"),
    responses=_HOUSEHOLD,
    description="Who follows the household by WeChat, and who did; the latest first.",
)
async def list_bindings(household_id: FromPath[UUID], field_staff: FieldStaff, session: Session) -> list[BindingLine]:
    return await bindings.list_bindings(session, field_staff, household_id)


@post(
    "/households/{household_id:uuid}/bindings",
    status_code=200,
    responses=_HOUSEHOLD
    | error_responses(
        "binding.code_invalid", "binding.not_a_member", "binding.no_application", "binding.another_household",
        "auth.step_up_required",
        "request.rate_limited",
    ),
    description="Bind, at the counter, the account whose code a person shows to the member with this ID number. The "
    "household is told. Needs a step-up.",
)  # fmt: skip
async def bind_at_counter(
    household_id: FromPath[UUID],
    data: JSONBody[BindAtCounter],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> list[BindingLine]:
    require_step_up(services, field_staff, proof)
    return await counter_binding.bind_at_counter(session, services, field_staff, household_id, data, utc_now())


@post(
    "/households/{household_id:uuid}/bindings/{binding_id:uuid}/end",
    status_code=200,
    responses=_HOUSEHOLD,
    description="End a resident's binding: nothing of the household is shown to them from now on. Repeating it "
    "changes nothing.",
)
async def end_binding(
    household_id: FromPath[UUID],
    binding_id: FromPath[UUID],
    data: JSONBody[EndBinding],
    field_staff: FieldStaff,
    session: Session,
) -> list[BindingLine]:
    return await bindings.end_binding(session, field_staff, household_id, binding_id, data, utc_now())


router = Router(
    "/auth/v1",
    route_handlers=[
        sign_in_staff,
        sign_in_staff_with_wechat,
        sign_in_resident,
        bind_resident,
        bind_by_phone,
        unbind_resident,
        list_own_bindings,
        show_binding_code,
        refresh_tokens,
        sign_out,
        end_web_session,
        who_am_i,
    ],
    tags=["sign-in"],
)
desk_router = Router(
    "/desk/v1", route_handlers=[list_bindings, bind_at_counter, end_binding], tags=["cases"], security=BEARER
)
