"""Where a browser keeps its refresh token: a cookie that scripts can't read and that goes to one address alone.

Each of the three web apps has its own, since one browser may hold a caseworker's phone app and an officer's desk.
Strict same-site and a JSON body keep other sites from spending it.
"""

from typing import Literal

import msgspec
from litestar import Response
from litestar.datastructures import Cookie

from server.core.errors import Problem
from server.core.settings import Settings
from server.identity.devices import SignedIn

WebApp = Literal["phone", "resident", "desk"]
REFRESH_PATH = "/auth/v1/refresh"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def answer_with_tokens(
    signed_in: SignedIn, web_app: WebApp | None, settings: Settings, *, host: str
) -> Response[SignedIn]:
    """The pair in the body, as programs want it; for a web app the refresh token goes into its cookie instead."""
    if web_app is None or signed_in.refresh_token is None:
        return Response(signed_in, status_code=200)
    cookie = _cookie(web_app, host, value=signed_in.refresh_token, max_age=settings.refresh_token_days * 24 * 3600)
    return Response(msgspec.structs.replace(signed_in, refresh_token=None), status_code=200, cookies=[cookie])


def read_refresh_token(token: str | None, web_app: WebApp | None, cookies: dict[str, str]) -> str:
    """Raises `auth.refresh_invalid` when there is none in the place that was named."""
    found = cookies.get(_name(web_app)) if web_app else token
    if not found:
        raise Problem("auth.refresh_invalid")
    return found


def _cookie(web_app: WebApp, host: str, *, value: str, max_age: int) -> Cookie:
    # Without TLS only on one's own machine: elsewhere a browser would not even keep it.
    secure = host not in _LOOPBACK
    return Cookie(
        _name(web_app),
        path=REFRESH_PATH,
        value=value,
        max_age=max_age,
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def _name(web_app: WebApp) -> str:
    return f"zoufang-{web_app}"
