"""Routes of the sign-in of residents without WeChat, under `/auth/v1`."""

from typing import Any

from litestar import Request, Response, Router, post
from litestar.params import JSONBody

from server.core.clock import utc_now
from server.core.http import ServicesDep, client_address, error_responses
from server.identity.cookies import build_token_response
from server.identity.devices import SignedIn
from server.residents import sign_in
from server.residents.sign_in import RequestCode, ResidentSignIn


@post(
    "/resident/sign-in-code",
    status_code=204,
    responses=error_responses("sms.not_set_up", "request.rate_limited"),
    description="Ask for a code by SMS to the phone that is registered for the household. The answer is the same "
    "whether the two numbers match or not.",
)
async def request_sign_in_code(
    data: JSONBody[RequestCode], request: Request[Any, Any, Any], services: ServicesDep
) -> None:
    await sign_in.request_code(services, data, address=client_address(request), now=utc_now())


@post(
    "/resident/sign-in",
    status_code=200,
    responses=error_responses("auth.resident_sign_in_failed", "request.rate_limited"),
    description="Sign a resident in without WeChat, by both numbers and the PIN of the slip or a code by SMS. They are "
    "bound to the household, which is told. Every mismatch has the same answer.",
)
async def sign_in_without_wechat(
    data: JSONBody[ResidentSignIn], request: Request[Any, Any, Any], services: ServicesDep
) -> Response[SignedIn]:
    signed_in = await sign_in.sign_in_without_wechat(services, data, address=client_address(request), now=utc_now())
    return build_token_response(signed_in, data.web_app, services.settings, host=request.url.hostname or "")


router = Router("/auth/v1", route_handlers=[request_sign_in_code, sign_in_without_wechat], tags=["sign-in"])
