"""Exchanges as docs/field-contract.md shows them: one walk always gives the same text, whatever the day and the ids."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx

from tests.recording import plain

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(Z|[+-]\d\d:\d\d)")
_DAY = re.compile(r"\b\d{4}-\d\d-\d\d\b(?!T)")
_MONTH = re.compile(r'"\d{4}-\d\d"')
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_COUNTED = re.compile(r'"(rev|lwt|sizeBytes)": ("?)\d+')
# Members were made together, so that their ids have no order: whose row comes first differs from run to run.
_MEMBER = re.compile(r'"memberId": "[0-9a-f-]{36}"')
_KEY = re.compile(r'"(x|kid)": "[^"]+"')
# The last document of a page, which differs from run to run: those of one transaction have no order.
_POSITION = re.compile(r'"id": "[^":]*:[0-9a-f-]{36}"')
Cut = Callable[[Any], Any]


class Scribe:
    """Writes down exchanges; the same id, hash or time is the same sign wherever it stands."""

    def __init__(self) -> None:
        self.blocks: dict[str, str] = {}
        self._signs: dict[str, dict[str, str]] = {}

    def note(self, name: str, response: httpx.Response, *, cut: Cut = plain) -> None:
        """Keep an exchange under a name, its JSON cut to what the page is about."""
        request = response.request
        sent = json.loads(request.content) if "json" in request.headers.get("content-type", "") else None
        query = [f"{request.method} {request.url.raw_path.decode()}"]
        if "authorization" in request.headers:
            query.append("Authorization: Bearer {accessToken}")
        if "content-type" in request.headers:
            query.append(f"Content-Type: {request.headers['content-type'].partition(';')[0]}")
        answered = [f"{response.status_code} {response.reason_phrase}"]
        if response.content:
            answered.append(f"Content-Type: {response.headers['content-type']}")
        parts = ["\n".join([*query, *_body(sent, plain)]), "\n".join([*answered, *_body(response, cut)])]
        self.blocks[name] = "\n\n".join(f"```http\n{self._steady(part)}\n```" for part in parts)

    def _steady(self, text: str) -> str:
        text = _KEY.sub(
            r'"\1": "…"',
            _POSITION.sub('"id": "5d1f:0193a5c0-7d2e-7000-8000-0000000000cc"', _COUNTED.sub(r'"\1": \g<2>4711', text)),
        )
        text = _MEMBER.sub('"memberId": "0193a5c0-7d2e-7000-8000-0000000000aa"', text)
        text = _UUID.sub(lambda found: self._sign("id", found[0], "0193a5c0-7d2e-7000-8000-{:012d}"), text)
        text = _HASH.sub(lambda found: self._sign("hash", found[0], "{:064x}"), text)
        text = _TIME.sub(lambda found: self._sign("time", found[0], "2026-03-16T09:{:02d}:00+08:00"), text)
        text = _DAY.sub("2026-03-20", text)
        return _MONTH.sub('"2026-03"', text)

    def _sign(self, kind: str, value: str, form: str) -> str:
        signs = self._signs.setdefault(kind, {})
        return signs.setdefault(value, form.format(len(signs) + 1))


def _body(result: Any, cut: Cut) -> list[str]:
    if isinstance(result, httpx.Response):
        result = result.json() if result.content else None
    return [] if result is None else ["", json.dumps(cut(result), ensure_ascii=False, indent=2)]
