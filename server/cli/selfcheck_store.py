"""The store's part of the self-check: rights of our key and of nobody, encryption at rest, its clock."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import parsedate_to_datetime

from media.store import ObjectStore, RawAnswer
from server.cli.selfcheck_lines import Line, judge_clock
from server.core.clock import utc_now

_REFUSED = frozenset({400, 401, 403})
_ENCRYPTED = "x-amz-server-side-encryption"
# `Date` counts in whole seconds.
_PRECISION = timedelta(seconds=1)


async def check_store(store: ObjectStore) -> AsyncIterator[Line]:
    await store.check()
    key = f"conformance/{secrets.token_hex(8)}"
    try:
        put = await store.try_request("PUT", key)
        yield _judge_put(put)
        yield _judge_encryption(put)
        yield await _judge_strangers(store, key)
        yield await _judge_reach(store)
        yield _judge_store_clock(put)
    finally:
        await store.remove(key)


def _judge_put(put: RawAnswer) -> Line:
    if put.status == 200:  # noqa: PLR2004  HTTP
        return Line("store", "ok", "our key writes to the bucket")
    return Line("store", "bad", f"our key can't write to the bucket: {put.status}", "see deploy/store-policy.json")


def _judge_encryption(put: RawAnswer) -> Line:
    if _ENCRYPTED in put.headers:
        return Line("store", "ok", f"the server encrypts at rest ({put.headers[_ENCRYPTED]})")
    advice = "switch on the server's SSE, or make sure that its disk is encrypted: that can't be asked from here"
    return Line("store", "warn", "the server does not say that it encrypts at rest", advice)


async def _judge_strangers(store: ObjectStore, key: str) -> Line:
    """Nothing may be reached without a signature: neither an object nor the list of them."""
    for method, target in (("GET", key), ("HEAD", key), ("GET", ""), ("PUT", f"{key}-unsigned")):
        answer = await store.try_request(method, target or "?list-type=2", signed=False)
        if answer.status not in _REFUSED:
            seen = f"{method} without a signature is answered with {answer.status}"
            return Line("store", "bad", seen, "remove the bucket's public policy: photos show people and homes")
    return Line("store", "ok", "nothing is reached without a signature")


async def _judge_reach(store: ObjectStore) -> Line:
    """A key of one bucket is refused elsewhere; one that may do everything learns that nothing is there."""
    answer = await store.try_request("HEAD", "x", bucket=f"selfcheck-{secrets.token_hex(8)}")
    if answer.status in _REFUSED:
        return Line("store", "ok", "our key is refused outside its bucket")
    advice = "make a key for this bucket alone: deploy/store-policy.json"
    return Line("store", "warn", f"our key reaches beyond its bucket (status {answer.status})", advice)


def _judge_store_clock(put: RawAnswer) -> Line:
    if "date" not in put.headers:
        return Line("store", "warn", "it does not say what time it is", "synchronize its clock (NTP)")
    difference = parsedate_to_datetime(put.headers["date"]) - utc_now()
    return judge_clock("store", max(abs(difference) - _PRECISION, timedelta()))
