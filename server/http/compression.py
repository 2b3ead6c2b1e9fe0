"""Response compression with the best encoding that the client accepts: zstd, else br, else gzip.

Phones on 2G wait for bytes, so all three are offered. Each level was chosen so that the next one would cost more
server time than it saves on such a link. Compressed files and streams are not compressed.
"""

from dataclasses import replace
from io import BytesIO

import zstandard
from litestar.config.compression import CompressionConfig
from litestar.datastructures import Headers
from litestar.middleware.compression.brotli_facade import BrotliCompression
from litestar.middleware.compression.facade import CompressionFacade
from litestar.middleware.compression.gzip_facade import GzipCompression
from litestar.middleware.compression.middleware import CompressionMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

MINIMUM_BYTES = 1000
ZSTD_LEVEL = 3
BROTLI_QUALITY = 4
GZIP_LEVEL = 4


class ZstdCompression(CompressionFacade):
    encoding = "zstd"

    def __init__(self, buffer: BytesIO, compression_encoding: str, config: CompressionConfig) -> None:
        del compression_encoding, config
        self.writer = zstandard.ZstdCompressor(level=ZSTD_LEVEL).stream_writer(buffer, closefd=False)

    def write(self, body: bytes) -> None:
        self.writer.write(body)
        self.writer.flush(zstandard.FLUSH_BLOCK)

    def close(self) -> None:
        self.writer.close()  # type: ignore[no-untyped-call]  # untyped in its stub


FACADES: dict[str, type[CompressionFacade]] = {
    "zstd": ZstdCompression,
    "br": BrotliCompression,
    "gzip": GzipCompression,
}


class BestCompression(CompressionMiddleware):
    """Select among several encodings; Litestar's own middleware supports one and gzip."""

    def __init__(self, app: ASGIApp, config: CompressionConfig) -> None:
        super().__init__(app, config)
        self.middlewares = {
            name: CompressionMiddleware(app, _single_encoding(config, facade)) for name, facade in FACADES.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = accepted_encodings(Headers.from_scope(scope).get("accept-encoding", ""))
        name = next((facade for facade in FACADES if facade in accepted), None)
        if name is not None:
            send = self.middlewares[name].create_compression_send_wrapper(
                send=send, compression_encoding=name, scope=scope
            )
        await self.app(scope, receive, send)


def _single_encoding(config: CompressionConfig, facade: type[CompressionFacade]) -> CompressionConfig:
    single = replace(config)
    single.compression_facade = facade
    single.gzip_fallback = False
    return single


def accepted_encodings(header: str) -> set[str]:
    """Return the encodings in an Accept-Encoding header (RFC 9110 §12.5.3), without those of weight 0."""
    names: set[str] = set()
    for part in header.lower().split(","):
        name, _, parameters = part.strip().partition(";")
        if parameters.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
            names.add(name.strip())
    return names - {""}


def compression_config(*, exclude: str) -> CompressionConfig:
    return CompressionConfig(
        backend="gzip",
        minimum_size=MINIMUM_BYTES,
        gzip_compress_level=GZIP_LEVEL,
        brotli_quality=BROTLI_QUALITY,
        middleware_class=BestCompression,
        exclude=exclude,
    )
