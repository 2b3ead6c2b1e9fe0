"""Whether an S3 server does what this program needs: every way in and out that is used, tried on the real store.

Not among them, because nothing uses them: multipart uploads, server-side copies, POST policies, versions and locks.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import urllib3

from media.store import ObjectMissing, ObjectStore, StoreError

# Enough for several pieces of a stream, and no whole number of them.
_LARGE = secrets.token_bytes(3 * 1024 * 1024 + 17)
_SMALL = "走访".encode()
_LIFETIME = timedelta(minutes=2)
_TEXT = "text/plain"


class ConformanceLine(NamedTuple):
    """`differs`: what is needed works, in another way than S3 describes."""

    way: str
    state: Literal["ok", "differs", "failed"]
    note: str = ""


class _Differs(Exception):
    """It works in another way than S3 describes; the message says how."""


class _Trial:
    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.prefix = f"conformance/{secrets.token_hex(8)}/"
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=30), retries=False)

    def key(self, name: str) -> str:
        return self.prefix + name

    async def request(self, method: str, url: str, **options: object) -> urllib3.BaseHTTPResponse:
        return await asyncio.to_thread(self._http.request, method, url, **options)  # type: ignore[arg-type]

    async def clear(self) -> None:
        async for key in self.store.list_keys(self.prefix):
            await self.store.remove(key)


async def check_conformance(store: ObjectStore) -> list[ConformanceLine]:
    """Try each way once, under a prefix that is removed at the end."""
    lines: list[ConformanceLine] = []
    with TemporaryDirectory(prefix="zoufang-") as folder:
        trial = _Trial(store, Path(folder))
        try:
            for way, attempt in _WAYS.items():
                lines.append(await _try(way, attempt, trial))
        finally:
            await trial.clear()
    return lines


async def _try(way: str, attempt: Callable[[_Trial], Awaitable[None]], trial: _Trial) -> ConformanceLine:
    try:
        await attempt(trial)
    except _Differs as difference:
        return ConformanceLine(way, "differs", str(difference))
    except (StoreError, AssertionError, urllib3.exceptions.HTTPError) as error:
        return ConformanceLine(way, "failed", f"{type(error).__name__} {error}".strip()[:200])
    return ConformanceLine(way, "ok")


def _expect(holds: bool, note: str) -> None:
    if not holds:
        raise AssertionError(note)


async def _bucket(trial: _Trial) -> None:
    await trial.store.ensure_bucket()
    await trial.store.check()


async def _put_small(trial: _Trial) -> None:
    await trial.store.put(trial.key("small"), _SMALL, len(_SMALL), _TEXT)
    _expect(await trial.store.read(trial.key("small")) == _SMALL, "other bytes came back")


async def _put_large(trial: _Trial) -> None:
    source = trial.folder / "source"
    source.write_bytes(_LARGE)
    await trial.store.put_file(trial.key("large"), source, "image/jpeg")
    size = await trial.store.download(trial.key("large"), trial.folder / "copy")
    _expect(size == len(_LARGE) and (trial.folder / "copy").read_bytes() == _LARGE, "other bytes came back")


async def _put_empty(trial: _Trial) -> None:
    await trial.store.put(trial.key("empty"), b"", 0, _TEXT)
    _expect((await trial.store.stat(trial.key("empty"))).size == 0, "it is not empty")


async def _overwrite(trial: _Trial) -> None:
    for content in (b"first", b"second!"):
        await trial.store.put(trial.key("again"), content, len(content), _TEXT)
    _expect(await trial.store.read(trial.key("again")) == b"second!", "the first content came back")


async def _cut(trial: _Trial) -> None:
    """A body that ends early leaves no object."""
    with suppress(StoreError, ValueError):
        await trial.store.put(trial.key("cut"), b"half", 1000, _TEXT)
    _expect(not await trial.store.exists(trial.key("cut")), "an object is there")


async def _stat(trial: _Trial) -> None:
    facts = await trial.store.stat(trial.key("large"))
    _expect(facts.size == len(_LARGE), f"{facts.size} bytes")
    if facts.media_type != "image/jpeg":
        raise _Differs("the type is forgotten; links say it themselves")


async def _missing(trial: _Trial) -> None:
    for call in (trial.store.stat, trial.store.read):
        try:
            await call(trial.key("nothing"))
        except ObjectMissing:
            continue
        raise AssertionError("no NoSuchKey")


async def _join(trial: _Trial) -> None:
    keys = [trial.key("small"), trial.key("large")]
    joined = await trial.store.join(keys, trial.folder / "joined")
    _expect(joined.sha256 == hashlib.sha256(_SMALL + _LARGE).hexdigest(), "another checksum")


async def _list(trial: _Trial) -> None:
    keys = [key async for key in trial.store.list_keys(trial.prefix)]
    _expect(keys == sorted(keys) and trial.key("small") in keys, f"{keys}")
    _expect([key async for key in trial.store.list_keys(trial.key("no-such"))] == [], "the prefix is ignored")


async def _link(trial: _Trial) -> None:
    url = trial.store.link(trial.key("large"), lifetime=_LIFETIME, media_type="image/png", filename="照片.png")
    answer = await trial.request("GET", url)
    _expect(answer.status == 200 and answer.data == _LARGE, f"status {answer.status}")  # noqa: PLR2004  HTTP
    _expect(answer.headers.get("Content-Type") == "image/png", "the signed content type is ignored")
    disposition = answer.headers.get("Content-Disposition", "")
    _expect(disposition.startswith("attachment"), "the signed disposition is ignored")


async def _range(trial: _Trial) -> None:
    url = trial.store.link(trial.key("large"), lifetime=_LIFETIME, media_type="image/png")
    for given, start, end in (("100-199", 100, 200), (f"{len(_LARGE) - 50}-", len(_LARGE) - 50, len(_LARGE))):
        answer = await trial.request("GET", url, headers={"Range": f"bytes={given}"})
        _expect(answer.data == _LARGE[start:end], "other bytes came back")
        _expect(answer.headers.get("Content-Range") == f"bytes {start}-{end - 1}/{len(_LARGE)}", "no Content-Range")
        if answer.status != 206:  # noqa: PLR2004  HTTP: partial content
            raise _Differs(f"the right bytes with status {answer.status} instead of 206")


async def _put_link(trial: _Trial) -> None:
    answer = await trial.request("PUT", trial.store.put_link(trial.key("sent"), _LIFETIME), body=_LARGE)
    _expect(answer.status == 200, f"status {answer.status}")  # noqa: PLR2004  HTTP
    _expect((await trial.store.stat(trial.key("sent"))).size == len(_LARGE), "another size")


async def _forged_link(trial: _Trial) -> None:
    """A link for one object opens no other, and one to read does not write."""
    url = trial.store.link(trial.key("large"), lifetime=_LIFETIME, media_type="image/png")
    for method, forged in (("GET", url.replace("/large?", "/small?")), ("PUT", url), ("DELETE", url)):
        answer = await trial.request(method, forged)
        _expect(answer.status in {400, 401, 403}, f"{method} with another's signature: status {answer.status}")


async def _expired_link(trial: _Trial) -> None:
    url = trial.store.link(trial.key("small"), lifetime=timedelta(seconds=1), media_type=_TEXT)
    await asyncio.sleep(2.5)
    answer = await trial.request("GET", url)
    _expect(answer.status in {400, 401, 403}, f"status {answer.status} after its end")


async def _anonymous(trial: _Trial) -> None:
    url = trial.store.link(trial.key("small"), lifetime=_LIFETIME, media_type=_TEXT).partition("?")[0]
    bucket = url.removesuffix("/" + trial.key("small"))
    for method, address in (("GET", url), ("GET", bucket), ("PUT", url), ("DELETE", url)):
        answer = await trial.request(method, address)
        _expect(answer.status in {400, 401, 403}, f"{method} without a signature: status {answer.status}")


async def _remove(trial: _Trial) -> None:
    for _ in range(2):  # a missing object is a success
        await trial.store.remove(trial.key("small"))
    _expect(not await trial.store.exists(trial.key("small")), "it is still there")


_WAYS: dict[str, Callable[[_Trial], Awaitable[None]]] = {
    "bucket is there": _bucket,
    "put, small": _put_small,
    "put from a file, streamed": _put_large,
    "put, empty": _put_empty,
    "put over what is there": _overwrite,
    "put that ends early leaves nothing": _cut,
    "size and type": _stat,
    "missing object": _missing,
    "download, joined, with checksum": _join,
    "list by prefix, in order": _list,
    "signed link to read": _link,
    "ranges of a signed link": _range,
    "signed link to write": _put_link,
    "forged links are refused": _forged_link,
    "expired link is refused": _expired_link,
    "nothing without a signature": _anonymous,
    "remove, twice": _remove,
}
