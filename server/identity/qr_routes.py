"""Routes of the sign-in by QR code, under `/auth/v1/qr`."""

from typing import Any

from litestar import Request, Response, Router, post
from litestar.params import JSONBody

from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    SIGNED_IN_ERRORS,
    CallerDep,
    ServicesDep,
    Session,
    client_address,
    error_responses,
)
from server.identity import qr_sign_in
from server.identity.cookies import build_qr_response, find_qr_browser
from server.identity.qr_sign_in import BeginQr, ConfirmQr, FinishQr, QrCode, QrRequest, QrResult, QrSecret
from server.identity.step_up import StepUpHeader, require_step_up

AnyRequest = Request[Any, Any, Any]
_CODE = SIGNED_IN_ERRORS | error_responses("qr.invalid", "qr.ended")


@post(
    "/begin",
    status_code=200,
    responses=error_responses("request.rate_limited"),
    description="Begin a sign-in by QR code. Sets a cookie that binds it to this browser for two minutes.",
)
async def begin_qr_sign_in(
    data: JSONBody[BeginQr], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[QrCode]:
    origin = str(request.base_url).rstrip("/")
    begun = await qr_sign_in.begin_qr(
        session, services, data, origin=origin, address=client_address(request), now=utc_now()
    )
    host = request.url.hostname or ""
    return build_qr_response(begun.code, None, data.web_app, services.settings, host=host, browser=begun.browser)


@post(
    "/look",
    status_code=200,
    security=BEARER,
    responses=_CODE,
    description="What a code would sign in, for whoever scanned it.",
)
async def look_at_qr_code(
    data: JSONBody[QrSecret], caller: CallerDep, request: AnyRequest, session: Session, services: ServicesDep
) -> QrRequest:
    return await qr_sign_in.look_at_qr(session, services, caller, data, address=client_address(request), now=utc_now())


@post(
    "/confirm",
    status_code=204,
    security=BEARER,
    responses=_CODE | error_responses("qr.number_wrong", "auth.wechat_not_linked", "auth.step_up_required"),
    description="Let the browser that shows the code sign in as the caller. Wants the number beside the code; a wrong "
    "one ends it. Staff need a step-up.",
)
async def confirm_qr_code(
    data: JSONBody[ConfirmQr],
    caller: CallerDep,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> None:
    if not caller.is_resident:  # a stolen access token must not become a session of its own
        require_step_up(services, caller, proof)
    await qr_sign_in.confirm_qr(session, caller, data, utc_now())


@post("/decline", status_code=204, security=BEARER, responses=_CODE, description="Refuse a code, which ends it.")
async def decline_qr_code(data: JSONBody[QrSecret], caller: CallerDep, session: Session) -> None:
    await qr_sign_in.decline_qr(session, caller, data, utc_now())


@post(
    "/finish",
    status_code=200,
    responses=error_responses(
        "qr.invalid", "qr.ended", "auth.wechat_not_linked", "auth.second_factor_required",
        "auth.second_factor_wrong", "request.rate_limited",
    ),
    description="Ask whether the code of this browser was confirmed, and sign in then. The cookie says which code.",
)  # fmt: skip
async def finish_qr_sign_in(
    data: JSONBody[FinishQr], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[QrResult]:
    browser = find_qr_browser(data.web_app, request.cookies)
    result = await qr_sign_in.finish_qr(session, services, data, browser, utc_now())
    signed_in = result.signed_in
    result.signed_in = signed_in and signed_in.without_refresh_token()
    host = request.url.hostname or ""
    kept = None if result.state == "waiting" else ""
    return build_qr_response(result, signed_in, data.web_app, services.settings, host=host, browser=kept)


router = Router(
    "/auth/v1/qr",
    route_handlers=[begin_qr_sign_in, look_at_qr_code, confirm_qr_code, decline_qr_code, finish_qr_sign_in],
    tags=["sign-in"],
)
