"""Routes of the web sign-in by WeChat (网页授权) and of linking it, under `/auth/v1`."""

from typing import Any

from litestar import Request, Response, Router, post
from litestar.params import FromQuery, JSONBody

from server.core.access import require_staff
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
from server.identity import js_config, web_sign_in
from server.identity.cookies import WebApp, build_wechat_response, find_wechat_browser
from server.identity.js_config import JsConfig, SignPage
from server.identity.step_up import StepUpHeader, require_step_up
from server.identity.web_sign_in import (
    BeginWechat,
    ConsentAddress,
    LinkedWechat,
    WechatReturn,
    WechatSignedIn,
    WechatSignInReturn,
)

AnyRequest = Request[Any, Any, Any]
_STATE = error_responses(
    "wechat.state_invalid", "wechat.state_expired", "wechat.state_used", "wechat.web_code_invalid", "wechat.snapshot",
    "wechat.declined", "wechat.blocked", "wechat.too_many", "wechat.unavailable",
)  # fmt: skip
_SECOND_FACTOR = error_responses(
    "auth.wechat_not_linked", "auth.second_factor_required", "auth.second_factor_wrong", "request.rate_limited"
)


@post(
    "/wechat/begin",
    status_code=200,
    responses=error_responses("wechat.web_not_set_up", "request.rate_limited"),
    description="Begin a web sign-in by WeChat. Answers the address at which WeChat asks the person, and sets a cookie "
    "that binds the sign-in to this browser for five minutes.",
)
async def begin_wechat_sign_in(
    data: JSONBody[BeginWechat], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[ConsentAddress]:
    begun = await web_sign_in.begin_sign_in(
        session, services, data, origin=_origin(request), address=client_address(request), now=utc_now()
    )
    return _answer_begun(begun, data.web_app, services, request)


@post(
    "/wechat/sign-in",
    status_code=200,
    responses=_STATE | _SECOND_FACTOR,
    description="End a web sign-in by WeChat with what WeChat added to the address of the page. A person who is not "
    "known yet may be sent to WeChat once more, to be recognized as the mini-program's.",
)
async def finish_wechat_sign_in(
    data: JSONBody[WechatSignInReturn], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[WechatSignedIn]:
    browser = find_wechat_browser(data.web_app, request.cookies)
    result, further = await web_sign_in.finish_sign_in(
        session, services, data, browser, origin=_origin(request), now=utc_now()
    )
    signed_in = result.signed_in
    result.signed_in = signed_in and signed_in.without_refresh_token()
    return build_wechat_response(
        result, signed_in, data.web_app, services.settings, host=_host(request), browser=further
    )


@post(
    "/staff/link-wechat/begin",
    status_code=200,
    security=BEARER,
    responses=SIGNED_IN_ERRORS | error_responses("auth.step_up_required", "wechat.web_not_set_up"),
    description="Begin to link the caller's own WeChat on the web. Needs a step-up.",
)
async def begin_wechat_link(
    data: JSONBody[BeginWechat],
    caller: CallerDep,
    request: AnyRequest,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> Response[ConsentAddress]:
    require_staff(caller)
    require_step_up(services, caller, proof)
    begun = web_sign_in.begin_link(session, services, caller, data, origin=_origin(request), now=utc_now())
    return _answer_begun(begun, data.web_app, services, request)


@post(
    "/staff/link-wechat/finish",
    status_code=200,
    security=BEARER,
    responses=SIGNED_IN_ERRORS | _STATE | error_responses("auth.wechat_linked_elsewhere"),
    description="Link the WeChat account that came back to the caller who began. It signs them in from then on.",
)
async def finish_wechat_link(
    app: FromQuery[WebApp],
    data: JSONBody[WechatReturn],
    caller: CallerDep,
    request: AnyRequest,
    session: Session,
    services: ServicesDep,
) -> Response[LinkedWechat]:
    require_staff(caller)
    browser = find_wechat_browser(app, request.cookies)
    linked = await web_sign_in.finish_link(session, services, caller, data, browser, utc_now())
    return build_wechat_response(linked, None, app, services.settings, host=_host(request), browser=None)


@post(
    "/wechat/js-config",
    status_code=200,
    security=BEARER,
    responses=SIGNED_IN_ERRORS | error_responses("wechat.web_not_set_up", "wechat.unavailable"),
    description="Sign the address of a page of ours for WeChat's JS-SDK (`wx.config`).",
)
async def sign_page_for_wechat(
    data: JSONBody[SignPage],
    caller: CallerDep,  # noqa: ARG001  for whoever is signed in
    request: AnyRequest,
    session: Session,
    services: ServicesDep,
) -> JsConfig:
    return await js_config.sign_page(session, services, data, origin=_origin(request), now=utc_now())


def _answer_begun(
    begun: web_sign_in.Begun, web_app: WebApp, services: ServicesDep, request: AnyRequest
) -> Response[ConsentAddress]:
    return build_wechat_response(
        ConsentAddress(url=begun.url), None, web_app, services.settings, host=_host(request), browser=begun.browser
    )


def _origin(request: AnyRequest) -> str:
    return str(request.base_url).rstrip("/")


def _host(request: AnyRequest) -> str:
    return request.url.hostname or ""


router = Router(
    "/auth/v1",
    route_handlers=[
        begin_wechat_sign_in,
        finish_wechat_sign_in,
        begin_wechat_link,
        finish_wechat_link,
        sign_page_for_wechat,
    ],
    tags=["sign-in"],
)
