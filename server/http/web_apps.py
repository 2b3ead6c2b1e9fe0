"""The three web apps (`web/`), served as they were built: `/m/` phone, `/r/` resident, `/desk/` desk.

An address inside an app that names no file is one of the app's own screens and gets its page. Names with a hash in
them are kept for good; the page itself is asked for again each time, so that a new version is seen at once.
"""

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from litestar import MediaType, Request, Response, get
from litestar.response import Redirect
from msgspec import Struct

from server.core.errors import Problem
from server.core.paths import WEB
from server.core.settings import Settings

APPS = ("m", "r", "desk")
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_TYPES = {".js": "text/javascript", ".webmanifest": "application/manifest+json", ".html": "text/html"}


class BuiltFile(Struct, frozen=True):
    """One file of the build; `encoded` by the name of the content coding."""

    content: bytes
    media_type: str
    cache: str
    encoded: Mapping[str, bytes]


def build_handlers(settings: Settings, folder: Path = WEB) -> list[Any]:
    """The handlers of the apps. A folder without a build gives handlers that answer 404, as for any unknown address."""
    files = {app: _read(folder / app) for app in APPS}
    headers = _headers(settings)

    def answer(app: str, request: Request[Any, Any, Any]) -> Response[bytes]:
        path = str(request.path_params.get("path", ""))
        built = files[app].get(path.strip("/"))
        if built is None and not Path(path).suffix:
            built = files[app].get("index.html")
        if built is None:
            raise Problem("request.not_found")
        return _answer(built, headers, request)

    @get(["/m", "/m/{path:path}"], include_in_schema=False, sync_to_thread=False)
    def get_phone_app(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answer("m", request)

    @get(["/r", "/r/{path:path}"], include_in_schema=False, sync_to_thread=False)
    def get_resident_app(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answer("r", request)

    @get(["/desk", "/desk/{path:path}"], include_in_schema=False, sync_to_thread=False)
    def get_desk_app(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answer("desk", request)

    @get("/", include_in_schema=False, sync_to_thread=False)
    def get_front_door() -> Redirect:
        return Redirect("/m/")

    return [get_phone_app, get_resident_app, get_desk_app, get_front_door]


def _read(folder: Path) -> dict[str, BuiltFile]:
    """Every file by its address; a few megabytes that need no disk afterwards."""
    return {
        file.relative_to(folder).as_posix(): _built(folder, file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix not in {".br", ".gz"}
    }


def _built(folder: Path, file: Path) -> BuiltFile:
    hashed = file.relative_to(folder).parts[0] == "assets"
    guessed = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or MediaType.TEXT
    encoded = {name: twin.read_bytes() for name, end in _ENCODINGS if (twin := Path(f"{file}{end}")).exists()}
    return BuiltFile(file.read_bytes(), guessed, _FOR_GOOD if hashed else _ASK_AGAIN, encoded)


def _answer(built: BuiltFile, headers: Mapping[str, str], request: Request[Any, Any, Any]) -> Response[bytes]:
    accepted = {part.partition(";")[0].strip() for part in request.headers.get("Accept-Encoding", "").split(",")}
    encoding = next((name for name in built.encoded if name in accepted), "")
    params = {**headers, "Cache-Control": built.cache, "Vary": "Accept-Encoding"}
    if encoding:
        params["Content-Encoding"] = encoding
    return Response(built.encoded.get(encoding, built.content), media_type=built.media_type, headers=params)


def _headers(settings: Settings) -> dict[str, str]:
    """Nothing from elsewhere but photos out of the store and the map tiles that a setting names; no script but ours.

    Styles in attributes are allowed: components place things with them, and they run nothing.
    """
    store = _origin(settings.s3_public_endpoint or settings.s3_endpoint)
    tiles = _origin(settings.map_tiles)
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
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
