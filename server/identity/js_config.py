"""The signature with which a page may use WeChat's JS-SDK: location, camera and scanning inside WeChat's browser.

WeChat gives few tickets a day, so that one stands in the database for all replicas until it is about to expire.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.services import Services
from server.core.wechat import WechatRefused, WechatUnavailable
from server.models.sign_in import WechatTicket

# A page that was just signed is used for some minutes more.
_RENEW_BEFORE = timedelta(minutes=10)


class SignPage(RequestBody):
    """`url` is the address of the page as the browser shows it, with its query. What is behind # is left out."""

    url: Annotated[str, Meta(pattern="^https?://", max_length=1000)]


class JsConfig(ResponseBody):
    """Goes into `wx.config` as it is."""

    app_id: str
    timestamp: int
    nonce_str: str
    signature: str


async def sign_page(
    session: AsyncSession, services: Services, data: SignPage, *, origin: str, now: datetime
) -> JsConfig:
    """Raises `wechat.web_not_set_up`, `request.invalid` for a page that is not ours, or `wechat.unavailable`."""
    settings = services.settings
    if not settings.wechat_service_app_id:
        raise Problem("wechat.web_not_set_up")
    url = data.url.partition("#")[0]
    if not url.startswith(f"{settings.public_origin or origin}/"):
        raise Problem("request.invalid")
    ticket = await _load_ticket(session, services, now)
    nonce, timestamp = secrets.token_hex(8), int(now.timestamp())
    return JsConfig(
        app_id=settings.wechat_service_app_id,
        timestamp=timestamp,
        nonce_str=nonce,
        signature=compute_js_signature(ticket, nonce, timestamp, url),
    )


def compute_js_signature(ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """Return WeChat's signature of one address: the fields in this order, the address as it is."""
    text = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}"
    return hashlib.sha1(text.encode()).hexdigest()  # noqa: S324  WeChat's choice


async def _load_ticket(session: AsyncSession, services: Services, now: datetime) -> str:
    app_id = services.settings.wechat_service_app_id
    row = await session.scalar(select(WechatTicket).where(WechatTicket.app_id == app_id))
    if row is not None and row.expires_at > now + _RENEW_BEFORE:
        return row.ticket
    await session.commit()  # only read so far: hold no connection while WeChat is asked
    try:
        ticket, lifetime_s = await services.wechat_service.jsapi_ticket()
    except (WechatRefused, WechatUnavailable):
        raise Problem("wechat.unavailable") from None
    values = {"ticket": ticket, "expires_at": now + timedelta(seconds=lifetime_s)}
    statement = insert(WechatTicket).values(app_id=app_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["app_id"], set_=values))
    return ticket
