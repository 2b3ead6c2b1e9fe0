"""The refresh token of a browser: in a cookie that scripts cannot read and that is sent to one path only.

Each of the three web apps has its own cookie, because one browser may run a caseworker's phone app and an officer's
desk. SameSite=Strict and a JSON body keep other sites from using it.
"""

from typing import Any, Literal

from litestar import Response
from litestar.datastructures import Cookie

from server.core.errors import Problem
from server.core.settings import Settings
from server.identity.devices import SignedIn

WebApp = Literal["phone", "resident", "desk"]
# Longer than a sign-in may take, so that one which is late is refused as late.
_WECHAT_SECONDS = 3600
_QR_SECONDS = 900
REFRESH_PATH = "/auth/v1/refresh"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def build_token_response(
    signed_in: SignedIn, web_app: WebApp | None, settings: Settings, *, host: str
) -> Response[SignedIn]:
    """Return both tokens in the body; for a web app the refresh token goes into its cookie instead."""
    if web_app is None or signed_in.refresh_token is None:
        return Response(signed_in, status_code=200)
    cookie = _build_cookie(
        web_app, host, value=signed_in.refresh_token, max_age=settings.refresh_token_days * 24 * 3600
    )
    return Response(signed_in.without_refresh_token(), status_code=200, cookies=[cookie])


def build_wechat_response(
    result: Any, signed_in: SignedIn | None, web_app: WebApp, settings: Settings, *, host: str, browser: str | None
) -> Response[Any]:
    """Return a step of the web sign-in by WeChat, with the cookie that binds it to this browser or, at its end, the
    refresh token's.
    """
    cookies = [
        _build_browser_cookie(web_app, "wechat", host, value=browser or "", max_age=_WECHAT_SECONDS if browser else 0)
    ]
    if signed_in is not None and signed_in.refresh_token is not None:
        max_age = settings.refresh_token_days * 24 * 3600
        cookies.append(_build_cookie(web_app, host, value=signed_in.refresh_token, max_age=max_age))
    return Response(result, status_code=200, cookies=cookies)


def build_qr_response(
    result: Any, signed_in: SignedIn | None, web_app: WebApp, settings: Settings, *, host: str, browser: str | None
) -> Response[Any]:
    """Return a step of the sign-in by QR code. `browser`: the secret to keep, "" to forget it, None to leave it."""
    cookies = []
    if browser is not None:
        max_age = _QR_SECONDS if browser else 0
        cookies.append(_build_browser_cookie(web_app, "qr", host, value=browser, max_age=max_age))
    if signed_in is not None and signed_in.refresh_token is not None:
        max_age = settings.refresh_token_days * 24 * 3600
        cookies.append(_build_cookie(web_app, host, value=signed_in.refresh_token, max_age=max_age))
    return Response(result, status_code=200, cookies=cookies)


def find_qr_browser(web_app: WebApp, cookies: dict[str, str]) -> str:
    return cookies.get(f"{_cookie_name(web_app)}-qr", "")


def find_wechat_browser(web_app: WebApp, cookies: dict[str, str]) -> str:
    """Return the secret of the browser that began; empty where it did not begin here."""
    return cookies.get(f"{_cookie_name(web_app)}-wechat", "")


def build_sign_out_response(web_app: WebApp, *, host: str) -> Response[None]:
    """Clear the web app's cookie."""
    return Response(None, status_code=204, cookies=[_build_cookie(web_app, host, value="", max_age=0)])


def read_refresh_token(token: str | None, web_app: WebApp | None, cookies: dict[str, str]) -> str:
    """Return the token of the web app's cookie or of the body. Raises `auth.refresh_invalid` if there is none."""
    refresh_token = find_refresh_token(web_app, cookies) if web_app else token
    if not refresh_token:
        raise Problem("auth.refresh_invalid")
    return refresh_token


def find_refresh_token(web_app: WebApp, cookies: dict[str, str]) -> str | None:
    return cookies.get(_cookie_name(web_app))


def _build_cookie(web_app: WebApp, host: str, *, value: str, max_age: int) -> Cookie:
    # Only loopback works without TLS: elsewhere the cookie must be secure.
    secure = host not in _LOOPBACK
    return Cookie(
        _cookie_name(web_app),
        path=REFRESH_PATH,
        value=value,
        max_age=max_age,
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def _build_browser_cookie(web_app: WebApp, flow: str, host: str, *, value: str, max_age: int) -> Cookie:
    """Bind a sign-in that has begun to the browser in which it did."""
    return Cookie(
        f"{_cookie_name(web_app)}-{flow}",
        path="/auth/v1",
        value=value,
        max_age=max_age,
        secure=host not in _LOOPBACK,
        httponly=True,
        samesite="strict",
    )


def _cookie_name(web_app: WebApp) -> str:
    return f"zoufang-{web_app}"
