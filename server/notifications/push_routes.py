"""Where WeChat pushes its events (消息推送): `/wechat/v1/push/service-account` and `…/mini-program`.

They are WeChat's to call and answer as it wants, so that they are not in openapi.json.
"""

from typing import Any, Literal

from litestar import MediaType, Request, Response, Router, get, post
from litestar.params import FromPath

from server.core.clock import utc_now
from server.core.errors import Problem
from server.core.http import ServicesDep, Session
from server.core.log import log
from server.core.services import Services
from server.core.settings import Settings
from server.core.wechat_push import LARGEST_BODY, PushRefused, check_echo, read_event
from server.http.reads import NOTHING_PERSONAL
from server.models.people import WechatApp
from server.notifications.receipts import ReceiptTooEarly, apply_event

Push = Literal["service-account", "mini-program"]
AnyRequest = Request[Any, Any, Any]


@get("/{pushed_by:str}", opt=NOTHING_PERSONAL, include_in_schema=False)
async def prove_push_address(pushed_by: FromPath[Push], request: AnyRequest, services: ServicesDep) -> Response[str]:
    """Answer WeChat's question whether this address is ours."""
    token = _require_token(services)
    _find_app(services.settings, pushed_by)
    try:
        echo = check_echo(token, dict(request.query_params), utc_now())
    except PushRefused:
        raise Problem("auth.forbidden", roles="WeChat") from None
    return Response(echo, media_type=MediaType.TEXT)


@post("/{pushed_by:str}", status_code=200, include_in_schema=False, request_max_body_size=LARGEST_BODY)
async def take_wechat_event(
    pushed_by: FromPath[Push], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[str]:
    """Apply an event once, and answer as WeChat wants, or it pushes the event again."""
    token = _require_token(services)
    app, app_id = _find_app(services.settings, pushed_by)
    body = await request.body()
    try:
        event = read_event(
            token, services.settings.wechat_push_key, app_id, dict(request.query_params), body, utc_now()
        )
    except PushRefused as refused:
        log.warning("wechat.push_refused", why=str(refused))
        raise Problem("auth.forbidden", roles="WeChat") from None
    try:
        await apply_event(session, app, event, utc_now())
    except ReceiptTooEarly:  # rolled back, so that WeChat's next push of it is the first
        raise Problem("server.busy") from None
    return Response("success", media_type=MediaType.TEXT)


def _require_token(services: Services) -> str:
    """Without a key the signature covers the time and not the content: who saw one could forge events."""
    if not (services.settings.wechat_push_token and services.settings.wechat_push_key):
        raise Problem("request.not_found")
    return services.settings.wechat_push_token


def _find_app(settings: Settings, pushed_by: Push) -> tuple[WechatApp, str]:
    if pushed_by == "service-account":
        return "service_account", settings.wechat_service_app_id
    if pushed_by == "mini-program":
        return "miniprogram", settings.wechat_app_id
    raise Problem("request.not_found")


router = Router("/wechat/v1/push", route_handlers=[prove_push_address, take_wechat_event], tags=["notices"])
