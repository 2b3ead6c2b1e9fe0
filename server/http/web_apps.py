"""Static files of the three web apps (`web/`): `/m/` phone, `/r/` resident, `/desk/` desk.

A path inside an app that names no file is a route of the app and returns its index.html. Files with a hash in their
name are cached forever; index.html is revalidated at each load, so that a new version is used at once.
"""

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from litestar import MediaType, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect
from msgspec import Struct

from server.core.errors import Problem
from server.core.paths import WEB
from server.core.settings import Settings

APPS = ("m", "r", "desk")
_JS_SDK = "https://res.wx.qq.com"
_IN_WECHAT = "MicroMessenger"
_IMMUTABLE = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_TYPES = {".js": "text/javascript", ".webmanifest": "application/manifest+json", ".html": "text/html"}


class BuiltFile(Struct, frozen=True):
    """A file of the build; `encoded` holds its compressed forms by content coding."""

    content: bytes
    media_type: str
    cache: str
    encoded: Mapping[str, bytes]


def build_handlers(settings: Settings, folder: Path = WEB) -> list[Any]:
    """Build the handlers of the apps. Without a build they answer 404, as for any unknown path."""
    files = {app: _read_files(folder / app) for app in APPS}
    headers = _headers(settings, scripts="'self'")
    inside_wechat = _headers(settings, scripts=f"'self' {_JS_SDK}")

    def serve(app: str, request: Request[Any, Any, Any]) -> Response[bytes]:
        path = str(request.path_params.get("path", ""))
        built = files[app].get(path.strip("/"))
        if built is None and not Path(path).suffix:
            built = files[app].get("index.html")
        if built is None:
            raise Problem("request.not_found")
        # The phone app takes its position by WeChat's JS-SDK, residents agree to messages: both inside WeChat alone.
        takes_sdk = (
            app != "desk" and settings.wechat_service_app_id and _IN_WECHAT in request.headers.get("User-Agent", "")
        )
        return _respond(built, inside_wechat if takes_sdk else headers, request)

    @get(["/m", "/m/{path:path}"], include_in_schema=False, sync_to_thread=False)
    def get_phone_app(request: Request[Any, Any, Any]) -> Response[bytes]:
        return serve("m", request)

    @get(["/r", "/r/{path:path}"], include_in_schema=False, sync_to_thread=False)
    def get_resident_app(request: Request[Any, Any, Any]) -> Response[bytes]:
        return serve("r", request)

    @get(["/desk", "/desk/{path:path}"], include_in_schema=False, sync_to_thread=False)
    def get_desk_app(request: Request[Any, Any, Any]) -> Response[bytes]:
        return serve("desk", request)

    @get("/", include_in_schema=False, sync_to_thread=False)
    def redirect_to_phone_app() -> Redirect:
        return Redirect("/m/")

    return [_build_wechat_verification(settings), get_phone_app, get_resident_app, get_desk_app, redirect_to_phone_app]


def _build_wechat_verification(settings: Settings) -> HTTPRouteHandler:
    files_of_wechat = dict(pair.split("=") for pair in settings.wechat_verification.split(",") if pair)

    @get([f"/{name}" for name in files_of_wechat] or "/MP_verify.txt", include_in_schema=False, sync_to_thread=False)
    def get_wechat_verification(request: Request[Any, Any, Any]) -> Response[str]:
        """Prove to WeChat that this host is ours: it looks for the file before it sends people back here."""
        content = files_of_wechat.get(request.url.path.lstrip("/"))
        if content is None:
            raise Problem("request.not_found")
        return Response(content, media_type=MediaType.TEXT)

    return get_wechat_verification


def _read_files(folder: Path) -> dict[str, BuiltFile]:
    """Read all files of an app into memory, by path; a few megabytes."""
    return {
        file.relative_to(folder).as_posix(): _read_file(folder, file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix not in {".br", ".gz"}
    }


def _read_file(folder: Path, file: Path) -> BuiltFile:
    has_hash = file.relative_to(folder).parts[0] == "assets"
    media_type = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or MediaType.TEXT
    encoded = {name: path.read_bytes() for name, end in _ENCODINGS if (path := Path(f"{file}{end}")).exists()}
    return BuiltFile(file.read_bytes(), media_type, _IMMUTABLE if has_hash else _REVALIDATE, encoded)


def _respond(built: BuiltFile, headers: Mapping[str, str], request: Request[Any, Any, Any]) -> Response[bytes]:
    accepted = {part.partition(";")[0].strip() for part in request.headers.get("Accept-Encoding", "").split(",")}
    encoding = next((name for name in built.encoded if name in accepted), "")
    params = {**headers, "Cache-Control": built.cache, "Vary": "Accept-Encoding"}
    if encoding:
        params["Content-Encoding"] = encoding
    return Response(built.encoded.get(encoding, built.content), media_type=built.media_type, headers=params)


def _headers(settings: Settings, *, scripts: str) -> dict[str, str]:
    """Return the security headers. Only photos of the store and the configured map tiles may have another origin.

    Style attributes are allowed, because components position elements with them and they can't run code.
    """
    store = _origin(settings.s3_public_endpoint or settings.s3_endpoint)
    tiles = _origin(settings.map_tiles)
    policy = {
        "default-src": "'none'",
        "script-src": scripts,
        "style-src": "'self'",
        "style-src-attr": "'unsafe-inline'",
        "img-src": f"'self' data: blob: {store} {tiles}",
        "media-src": "'self' blob:",
        "font-src": "'self'",
        "connect-src": f"'self' {store}",
        "manifest-src": "'self'",
        "worker-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value.strip()}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(self), geolocation=(self), microphone=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
