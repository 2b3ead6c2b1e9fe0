"""Routes of one's own account: step-up, password, second factor, WeChat and devices, under `/auth/v1`."""

from typing import Annotated
from uuid import UUID

from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from server.core.access import Caller, require_staff
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    CallerDep,
    RequestBody,
    ServicesDep,
    Session,
    ShortText,
    error_responses,
)
from server.http.reads import NOTHING_PERSONAL
from server.identity import devices, passwords, phone_keys, second_factor, sign_in, step_up
from server.identity.devices import DeviceLine
from server.identity.phone_keys import NewPhoneKey, ReleasedPhoneKey
from server.identity.second_factor import RecoveryCodes, SecondFactorSecret, SecondFactorState
from server.identity.step_up import StepUp, StepUpHeader, StepUpProof, require_step_up

SIGNED = error_responses("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended")
WECHAT = error_responses("wechat.code_invalid", "wechat.blocked", "wechat.too_many", "wechat.unavailable")
_STEPPED_UP = SIGNED | error_responses("auth.step_up_required", "auth.forbidden")


class WechatCode(RequestBody):
    code: ShortText


class NewPassword(RequestBody):
    sealed_fields = frozenset({"password"})

    password: Annotated[str, Meta(min_length=1, max_length=200)]


class FactorCode(RequestBody):
    """The six digits that the authenticator app shows."""

    sealed_fields = frozenset({"code"})

    code: ShortText


@post(
    "/step-up",
    status_code=200,
    responses=SIGNED
    | WECHAT
    | error_responses("auth.step_up_failed", "auth.second_factor_required", "request.rate_limited"),
    description="Confirm that it is you, before a change to how you sign in. The answer is valid for minutes on this "
    "device.",
)
async def confirm_identity(
    data: JSONBody[StepUp], caller: CallerDep, session: Session, services: ServicesDep
) -> StepUpProof:
    return await step_up.confirm_identity(session, services, caller, data, utc_now())


@post(
    "/staff/link-wechat",
    status_code=204,
    responses=_STEPPED_UP | WECHAT | error_responses("auth.wechat_linked_elsewhere"),
    description="Link the caller's staff account to their WeChat, which signs them in from then on. Needs a step-up.",
)
async def link_wechat(
    data: JSONBody[WechatCode],
    caller: CallerDep,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> None:
    _require_staff_step_up(services, caller, proof)
    await sign_in.link_wechat(session, services, caller, data.code, utc_now())


@delete(
    "/staff/link-wechat",
    status_code=204,
    responses=_STEPPED_UP | error_responses("auth.no_other_sign_in"),
    description="End sign-in by WeChat. Needs a step-up.",
)
async def unlink_own_wechat(
    caller: CallerDep, session: Session, services: ServicesDep, proof: StepUpHeader = None
) -> None:
    _require_staff_step_up(services, caller, proof)
    await sign_in.unlink_wechat(session, caller, utc_now())


@post(
    "/staff/password",
    status_code=204,
    responses=_STEPPED_UP | error_responses("auth.password_weak"),
    description="Set a new password and sign all other devices out. Needs a step-up.",
)
async def change_password(
    data: JSONBody[NewPassword],
    caller: CallerDep,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> None:
    _require_staff_step_up(services, caller, proof)
    await passwords.change_password(session, caller, data.password, utc_now())


@get(
    "/staff/second-factor",
    opt=NOTHING_PERSONAL,
    responses=SIGNED | error_responses("auth.forbidden"),
    description="Whether a second factor is set, whether the area requires one, and how many recovery codes are left.",
)
async def get_second_factor(caller: CallerDep, session: Session) -> SecondFactorState:
    require_staff(caller)
    return await second_factor.describe_second_factor(session, caller)


@post(
    "/staff/second-factor",
    status_code=200,
    responses=_STEPPED_UP | error_responses("auth.second_factor_set"),
    description="Make the secret of an authenticator app. It holds once a code is confirmed. Needs a step-up.",
)
async def begin_second_factor(
    caller: CallerDep, session: Session, services: ServicesDep, proof: StepUpHeader = None
) -> SecondFactorSecret:
    _require_staff_step_up(services, caller, proof)
    return await second_factor.begin_second_factor(session, services.encryption, caller)


@post(
    "/staff/second-factor/confirm",
    status_code=200,
    responses=_STEPPED_UP | error_responses("auth.second_factor_wrong", "auth.second_factor_set", "thing.not_found"),
    description="Confirm the app's first code, which sets the second factor, and get the recovery codes. Needs a "
    "step-up.",
)
async def confirm_second_factor(
    data: JSONBody[FactorCode],
    caller: CallerDep,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> RecoveryCodes:
    _require_staff_step_up(services, caller, proof)
    return await second_factor.confirm_second_factor(session, services.encryption, caller, data.code, utc_now())


@post(
    "/staff/second-factor/recovery-codes",
    status_code=200,
    responses=_STEPPED_UP | error_responses("thing.not_found"),
    description="Make new recovery codes; the earlier ones no longer work. Needs a step-up.",
)
async def renew_recovery_codes(
    caller: CallerDep, session: Session, services: ServicesDep, proof: StepUpHeader = None
) -> RecoveryCodes:
    _require_staff_step_up(services, caller, proof)
    return await second_factor.renew_recovery_codes(session, services.encryption, caller, utc_now())


@delete(
    "/staff/second-factor",
    status_code=204,
    responses=_STEPPED_UP,
    description="Remove the second factor and its recovery codes. Needs a step-up.",
)
async def remove_second_factor(
    caller: CallerDep, session: Session, services: ServicesDep, proof: StepUpHeader = None
) -> None:
    _require_staff_step_up(services, caller, proof)
    await second_factor.remove_second_factor(session, caller, utc_now())


@get(
    "/devices",
    opt=NOTHING_PERSONAL,
    responses=SIGNED,
    description="The caller's own devices that are signed in, the latest first.",
)
async def list_devices(caller: CallerDep, session: Session) -> list[DeviceLine]:
    return await devices.list_devices(session, caller)


@delete(
    "/devices/{device_id:uuid}",
    status_code=204,
    responses=SIGNED | error_responses("thing.not_found", "auth.step_up_required"),
    description="End one of the caller's own devices. Its access token stops working at once. Any other than this one "
    "needs a step-up.",
)
async def end_device(
    device_id: FromPath[UUID],
    caller: CallerDep,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> None:
    if device_id != caller.device_id:
        require_step_up(services, caller, proof)
    await devices.end_device(session, caller, device_id, utc_now(), "ended_by_owner")


@post(
    "/phone-keys",
    status_code=204,
    responses=SIGNED | error_responses("auth.forbidden", "request.rate_limited"),
    description="Keep the recovery key of the caller's phone. A key is never replaced; repeating it changes nothing.",
)
async def keep_phone_key(
    data: JSONBody[NewPhoneKey], caller: CallerDep, session: Session, services: ServicesDep
) -> None:
    require_staff(caller)
    await phone_keys.keep_phone_key(session, services.encryption, caller, data, utc_now())


@post(
    "/phone-keys/{key_id:uuid}/release",
    status_code=200,
    responses=_STEPPED_UP | error_responses("thing.not_found"),
    description="Hand out the recovery key of one of the caller's phones, whose PIN was forgotten. Needs a step-up.",
)
async def release_phone_key(
    key_id: FromPath[UUID], caller: CallerDep, session: Session, services: ServicesDep, proof: StepUpHeader = None
) -> ReleasedPhoneKey:
    _require_staff_step_up(services, caller, proof)
    return await phone_keys.release_phone_key(session, services.encryption, caller, key_id)


def _require_staff_step_up(services: ServicesDep, caller: Caller, proof: str | None) -> None:
    require_staff(caller)
    require_step_up(services, caller, proof)


router = Router(
    "/auth/v1",
    route_handlers=[
        confirm_identity,
        link_wechat,
        unlink_own_wechat,
        change_password,
        get_second_factor,
        begin_second_factor,
        confirm_second_factor,
        renew_recovery_codes,
        remove_second_factor,
        list_devices,
        end_device,
        keep_phone_key,
        release_phone_key,
    ],
    tags=["sign-in"],
    security=BEARER,
)
