"""The code of `wx.login`, exchanged for the account that gave it."""

from server.core.errors import Problem
from server.core.services import Services
from server.core.wechat import WechatRefused, WechatSession, WechatUnavailable


async def load_account(services: Services, code: str) -> WechatSession:
    """Return the account of a `wx.login` code. Refusals of WeChat become error codes of ours."""
    try:
        return await services.wechat.code2session(code)
    except WechatRefused as refused:
        raise Problem(_ERROR_CODES.get(refused.kind, "wechat.unavailable")) from None
    except WechatUnavailable:
        raise Problem("wechat.unavailable") from None


_ERROR_CODES = {"bad_code": "wechat.code_invalid", "too_many": "wechat.too_many", "blocked": "wechat.blocked"}
