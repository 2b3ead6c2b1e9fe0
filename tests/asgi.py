"""The app as a transport of httpx, without a network."""

from typing import Any

import httpx
from litestar import Litestar
from litestar.types import ASGIApp


def transport_to(app: Litestar | ASGIApp, **options: Any) -> httpx.ASGITransport:
    """httpx declares an ASGI message as a mapping and Litestar as typed dicts, which no type checker can reconcile."""
    untyped: Any = app
    return httpx.ASGITransport(untyped, **options)
