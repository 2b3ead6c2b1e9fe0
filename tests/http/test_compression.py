"""Compression: the best way both sides know, and none where the asker wants none."""

import gzip

import brotli
import pytest
import zstandard
from litestar import Litestar, get
from litestar.testing import TestClient

from server.http.compression import accepted_encodings, compression_config

LONG = "走访" * 2000
OPEN = {
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
    "br": brotli.decompress,
    "gzip": gzip.decompress,
}


@get("/long")
async def long() -> str:
    return LONG


@get("/short")
async def short() -> str:
    return "short"


@get("/live/stream")
async def stream() -> str:
    return LONG


@pytest.fixture(scope="module")
def app():
    return Litestar([long, short, stream], compression_config=compression_config(exclude="/stream$"))


def ask(app, path, accepted):
    """The answer as it travels: httpx would open it."""
    with TestClient(app) as client, client.stream("GET", path, headers={"Accept-Encoding": accepted}) as answer:
        return answer.headers, b"".join(answer.iter_raw())


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("GZIP", "gzip"),
        ("zstd;q=0, br;q=0.5", "br"),
        ("deflate", None),
        ("", None),
        ("zstd; q=0.0, identity", None),
    ],
)
def test_the_best_way_that_the_asker_knows_is_taken(app, accepted, chosen):
    headers, body = ask(app, "/long", accepted)
    assert headers.get("content-encoding") == chosen
    assert (OPEN[chosen](body) if chosen else body).decode() == LONG
    assert int(headers["content-length"]) == len(body)
    assert ("accept-encoding" in headers.get("vary", "").lower()) == (chosen is not None)


@pytest.mark.parametrize("path", ["/short", "/live/stream"])
def test_what_is_short_and_what_is_a_stream_is_left_alone(app, path):
    headers, _ = ask(app, path, "zstd, br, gzip")
    assert "content-encoding" not in headers


def test_names_are_read_without_case_and_without_those_refused():
    assert accepted_encodings("ZSTD , br;q=0,gzip;q=1.0,") == {"zstd", "gzip"}
