"""Web sign-in by WeChat (网页授权): begun in one browser, sent to WeChat, taken back once within five minutes.

`state` is random, stored as a hash and bound to a cookie of the browser that began, so that nobody can bring somebody
else's sign-in to an end or have theirs ended for them. The page to return to is kept in the row, never in the address.
A sign-in asks for `snsapi_base`, which shows nothing. Who is unknown by it is asked for `snsapi_userinfo` once, where
the mini-program may know them by their unionid.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple
from urllib.parse import quote
from uuid import UUID

from msgspec import Meta
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.ids import new_id
from server.core.services import Services
from server.core.wechat import WebAccount, WechatSession
from server.http.rate_limit import count_attempt
from server.identity.cookies import WebApp
from server.identity.devices import DeviceInfo, SignedIn, open_device
from server.identity.identities import find_owner
from server.identity.sign_in import find_or_create_resident, find_staff, link_account, sign_in_linked_staff
from server.identity.wechat_code import load_web_account
from server.models.people import Resident, Staff
from server.models.sign_in import WechatFlow

LIFETIME = timedelta(minutes=5)
# Sign-ins that one address may begin in a quarter of an hour: a mobile network puts many people behind one.
MAX_BEGUN = 300
_FOLDERS: dict[WebApp, str] = {"phone": "m", "resident": "r", "desk": "desk"}
_BASE, _USERINFO = "snsapi_base", "snsapi_userinfo"


class BeginWechat(RequestBody):
    """`target` is the page of the web app to show afterwards."""

    web_app: WebApp
    target: Annotated[str, Meta(pattern=r"^/(m|r|desk)/[A-Za-z0-9/_.?=&-]*$", max_length=300)]


class WechatReturn(RequestBody):
    """What WeChat added to the address of the page: no code if the person declined.

    Where a second factor is set, the same `state` again with `second_factor` and without the code, which is spent.
    """

    sealed_fields = frozenset({"state", "code"})

    state: ShortText
    code: ShortText | None = None


class WechatSignInReturn(WechatReturn, kw_only=True):
    sealed_fields = WechatReturn.sealed_fields | {"second_factor"}

    web_app: WebApp
    device: DeviceInfo
    second_factor: ShortText | None = None


class ConsentAddress(ResponseBody):
    """Open `url`, where WeChat asks the person."""

    url: str


class WechatSignedIn(ResponseBody):
    """Signed in, with the page to show; or the address of a further consent, which is asked for once."""

    target: str
    signed_in: SignedIn | None = None
    consent_url: str | None = None


class LinkedWechat(ResponseBody):
    target: str


class Begun(NamedTuple):
    """Where to send the browser, and the secret of its cookie."""

    url: str
    browser: str


async def begin_sign_in(
    session: AsyncSession, services: Services, data: BeginWechat, *, origin: str, address: str, now: datetime
) -> Begun:
    """Raises `wechat.web_not_set_up`, `request.invalid` for a page of another app, or `request.rate_limited`."""
    await count_attempt(session, services.encryption, [f"wechat:{address}"], MAX_BEGUN, now)
    return begin_flow(session, services, data, scope=_BASE, origin=origin, now=now)


def begin_link(
    session: AsyncSession, services: Services, caller: Caller, data: BeginWechat, *, origin: str, now: datetime
) -> Begun:
    """Begin to link the caller's WeChat. With the mini-program beside it, by a consent that shows the unionid."""
    scope = _USERINFO if services.settings.wechat_app_id else _BASE
    return begin_flow(session, services, data, scope=scope, origin=origin, now=now, staff_id=caller.id)


def begin_flow(
    session: AsyncSession,
    services: Services,
    data: BeginWechat,
    *,
    scope: str,
    origin: str,
    now: datetime,
    staff_id: UUID | None = None,
    account: WechatSession | None = None,
) -> Begun:
    settings, folder = services.settings, _FOLDERS[data.web_app]
    if not settings.wechat_service_app_id:
        raise Problem("wechat.web_not_set_up")
    if not data.target.startswith(f"/{folder}/") or "//" in data.target:
        raise Problem("request.invalid")
    state, browser = secrets.token_hex(24), secrets.token_urlsafe(32)
    session.add(
        WechatFlow(
            id=new_id(),
            state_hash=_hash(state),
            browser_hash=_hash(browser),
            web_app=data.web_app,
            scope=scope,
            staff_id=staff_id,
            target=data.target,
            begun_at=now,
            expires_at=now + LIFETIME,
            openid=account.openid if account else None,
        )
    )
    redirect = quote(f"{settings.public_origin or origin}/{folder}/wechat", safe="")
    # WeChat refuses other orders of these parameters.
    query = (
        f"appid={settings.wechat_service_app_id}&redirect_uri={redirect}&response_type=code&scope={scope}&state={state}"
    )
    return Begun(f"{settings.wechat_authorize_url}/connect/oauth2/authorize?{query}#wechat_redirect", browser)


async def finish_sign_in(
    session: AsyncSession, services: Services, data: WechatSignInReturn, browser: str, *, origin: str, now: datetime
) -> tuple[WechatSignedIn, str | None]:
    """Sign in whom WeChat has identified. The second value is the cookie of a further consent.

    Raises `wechat.state_invalid`, `wechat.state_expired`, `wechat.state_used`, what WeChat refuses, `wechat.snapshot`
    and, for staff, `auth.wechat_not_linked` and the errors of a second factor.
    """
    flow = await _take_flow(session, data.state, browser, now, is_repeated=data.second_factor is not None)
    if flow.web_app != data.web_app or flow.staff_id is not None:
        raise Problem("wechat.state_invalid")
    account = await _identify(session, services, flow, data.code, now)
    begin = BeginWechat(web_app=data.web_app, target=flow.target)
    if flow.scope == _BASE and services.settings.wechat_app_id and not await _is_known(session, flow, account):
        flow.done_at = now
        begun = begin_flow(session, services, begin, scope=_USERINFO, origin=origin, now=now, account=account)
        return WechatSignedIn(target=flow.target, consent_url=begun.url), begun.browser
    if data.web_app == "resident":
        resident = await find_or_create_resident(session, "service_account", account, now)
        signed_in = await open_device(session, services, resident, data.device, now)
    else:
        staff = await find_staff(session, "service_account", account, now)
        signed_in = await sign_in_linked_staff(
            session, services, staff, account.openid, data.second_factor, data.device, now
        )
    flow.done_at = now
    return WechatSignedIn(target=flow.target, signed_in=signed_in), None


async def finish_link(
    session: AsyncSession, services: Services, caller: Caller, data: WechatReturn, browser: str, now: datetime
) -> LinkedWechat:
    """Link the account that WeChat has identified to the caller, who must be the one that began."""
    flow = await _take_flow(session, data.state, browser, now)
    if flow.staff_id != caller.id:
        raise Problem("wechat.state_invalid")
    account = await _identify(session, services, flow, data.code, now)
    target = flow.target
    flow.done_at = now
    await link_account(session, caller, "service_account", account, now)
    return LinkedWechat(target=target)


async def _take_flow(
    session: AsyncSession, state: str, browser: str, now: datetime, *, is_repeated: bool = False
) -> WechatFlow:
    """Return the flow of this state and browser, which is taken once; again only for a code of a second factor."""
    flow = await session.scalar(select(WechatFlow).where(WechatFlow.state_hash == _hash(state)).with_for_update())
    if flow is None or not hmac.compare_digest(flow.browser_hash, _hash(browser)):
        raise Problem("wechat.state_invalid")
    if flow.done_at is not None or (flow.used_at is not None and not (is_repeated and flow.openid is not None)):
        raise Problem("wechat.state_used")
    if flow.expires_at <= now:
        raise Problem("wechat.state_expired")
    return flow


async def _identify(
    session: AsyncSession, services: Services, flow: WechatFlow, code: str | None, now: datetime
) -> WebAccount:
    """Return the account of a flow, for which the code is exchanged the first time."""
    if flow.used_at is not None:
        assert flow.openid is not None
        return WebAccount(openid=flow.openid, unionid=flow.unionid)
    flow.used_at = now
    await session.commit()  # taken, whatever becomes of it; and WeChat is called without a connection held
    if code is None:
        # Who declined to show the unionid is still whom the first consent has shown.
        if flow.openid is None:
            raise Problem("wechat.declined")
        return WebAccount(openid=flow.openid)
    account = await load_web_account(services, code)
    if account.is_virtual:
        raise Problem("wechat.snapshot")
    if flow.openid not in {None, account.openid}:
        raise Problem("wechat.state_invalid")
    flow.openid, flow.unionid = account.openid, account.unionid
    await session.commit()  # a second factor may follow, and the code is spent
    return account


async def _is_known(session: AsyncSession, flow: WechatFlow, account: WechatSession) -> bool:
    if flow.web_app == "resident":
        return await find_owner(session, Resident, "service_account", account.openid) is not None
    return await find_owner(session, Staff, "service_account", account.openid) is not None


async def purge_flows(session: AsyncSession, now: datetime) -> None:
    """Delete what was begun more than a day ago; what it led to stands elsewhere."""
    await session.execute(delete(WechatFlow).where(WechatFlow.expires_at < now - timedelta(days=1)))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
