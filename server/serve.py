"""What the HTTP server process loads: the app, from the environment."""

import gc
import os
from ipaddress import ip_network

from granian.utils.proxies import wrap_asgi_with_proxy_headers
from litestar.types import ASGIApp

from server.core.settings import SettingsError, load_settings


def create() -> ASGIApp:
    # Next to nothing that an import makes is garbage, and looking for it would take a fifth of the start.
    gc.disable()
    from server.app import create_app  # noqa: PLC0415
    from server.core.log import set_up_logging  # noqa: PLC0415

    settings = load_settings(os.environ)
    set_up_logging(settings.log_format)
    app = trust_proxies(create_app(settings), settings.trusted_proxies)
    # What stands now stands for good: the collector need not look through it again and again.
    gc.freeze()
    gc.enable()
    return app


def trust_proxies(app: ASGIApp, trusted: str) -> ASGIApp:
    """With the client's own address where a trusted proxy names it, since limits are counted by address.

    Behind one proxy a whole county would else share one limit; a header from anybody else is not believed.
    """
    networks = [part.strip() for part in trusted.split(",") if part.strip()]
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise SettingsError(f"ZOUFANG_TRUSTED_PROXIES can't be read: {error}") from None
    wrapped: ASGIApp = wrap_asgi_with_proxy_headers(app, networks) if networks else app
    return wrapped
