"""The codes of `wx.login` and of the web sign-in, exchanged for the account that gave it."""

from server.core.errors import Problem
from server.core.services import Services
from server.core.wechat import WebAccount, WechatRefused, WechatSession, WechatUnavailable


async def load_account(services: Services, code: str) -> WechatSession:
    """Return the account of a `wx.login` code. Refusals of WeChat become error codes of ours."""
    try:
        return await services.wechat.code2session(code)
    except WechatRefused as refused:
        raise Problem(_ERROR_CODES.get(refused.kind, "wechat.unavailable")) from None
    except WechatUnavailable:
        raise Problem("wechat.unavailable") from None


# The register holds numbers of mainland China without their country.
_CHINA = "86"


async def load_phone_number(services: Services, code: str) -> str:
    """Return the number of a `getPhoneNumber` code, without its country; empty for a number of another country."""
    try:
        phone = await services.wechat.phone_number(code)
    except WechatRefused as refused:
        raise Problem(_ERROR_CODES.get(refused.kind, "wechat.unavailable")) from None
    except WechatUnavailable:
        raise Problem("wechat.unavailable") from None
    return phone.pure_number if phone.country_code == _CHINA else ""


async def load_web_account(services: Services, code: str) -> WebAccount:
    """Return the account of a code of the web sign-in."""
    try:
        return await services.wechat_service.exchange_web_code(code)
    except WechatRefused as refused:
        raise Problem(_WEB_ERROR_CODES.get(refused.kind, "wechat.unavailable")) from None
    except WechatUnavailable:
        raise Problem("wechat.unavailable") from None


_ERROR_CODES = {
    "bad_code": "wechat.code_invalid",
    "too_many": "wechat.too_many",
    "day_quota": "wechat.too_many",
    "blocked": "wechat.blocked",
}
_WEB_ERROR_CODES = _ERROR_CODES | {"bad_code": "wechat.web_code_invalid"}
