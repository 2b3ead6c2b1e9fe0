"""The entry point of the HTTP server process: the ASGI app, configured from the environment."""

import contextlib
import gc
import os
from ipaddress import ip_network

from granian.utils.proxies import wrap_asgi_with_proxy_headers
from litestar.types import ASGIApp

from server.core.settings import SettingsError, load_settings


def create() -> ASGIApp:
    # Imports make almost no garbage, and collecting it would take a fifth of the start-up time.
    gc.disable()
    from server.app import create_app  # noqa: PLC0415
    from server.core.log import set_up_logging  # noqa: PLC0415

    _raise_open_files()
    settings = load_settings(os.environ)
    set_up_logging(settings.log_format)
    app = trust_proxies(create_app(settings), settings.trusted_proxies)
    # Objects made so far live as long as the process, so exclude them from later collections.
    gc.freeze()
    gc.enable()
    return app


def _raise_open_files() -> None:
    """Use all open files that the system grants: each idle phone holds some, and the usual default is 1,024."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limit; macOS may refuse its own
        import resource  # noqa: PLC0415  Unix alone

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def trust_proxies(app: ASGIApp, trusted: str) -> ASGIApp:
    """Take the client's address from `X-Forwarded-For` of trusted proxies, because rate limits count by address.

    Otherwise a whole county behind one proxy would share one limit. The header of any other sender is ignored.
    """
    networks = [part.strip() for part in trusted.split(",") if part.strip()]
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise SettingsError(f"ZOUFANG_TRUSTED_PROXIES can't be read: {error}") from None
    wrapped: ASGIApp = wrap_asgi_with_proxy_headers(app, networks) if networks else app
    return wrapped
