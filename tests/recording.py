"""Keeps exchanges of tests as examples of openapi.json: `pytest -n 0 --record-examples tests/…`.

Only operations without an example are recorded, each with the exchange that tells most. What is long is cut (two items
of a list, three lines of a file), and what is different each time and says nothing (tokens, signatures, hosts) is
replaced. Look at what was written before you commit it.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import msgspec

from server.openapi.examples import EXAMPLES, Exchange, read_examples

Json = dict[str, Any]
LONGEST_LIST = 2
LONGEST_TEXT_LINES = 3
MOST_KEYS = 8
# Objects keyed by what a checklist asks: a few keys show how they look.
_OPEN_OBJECTS = {"answers"}
_REPLACED = {
    "accessToken": "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJzdWIiOiI…fQ.q8Zt…Aw",
    "refreshToken": "zr1.V7uQ…kc",
    "stepUpToken": "eyJhbGciOiJIUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiI…fQ.w2Rk…Ag",
    "secret": "JBSWY3DP…PXP",
    "uri": "otpauth://totp/%E8%B5%B0%E8%AE%BF:panhuaixu?secret=JBSWY3DP…PXP",
    "receipt": "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJ2aXNpdElkIjoi…fQ.0Rz5…Cg",
    "watermarkReceipt": "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJzaGEyNTYiOiI…fQ.7mPq…DA",
    "label": "红米 12",
    "platform": "android",
}
_HOST = re.compile(r"https?://(?:127\.0\.0\.1|localhost|zoufang\.test)(?::\d+)?")
_SIGNATURE = re.compile(r"\?X-Amz-.*")


def record(response: httpx.Response, template: str, operation: Json, found: dict[str, Exchange]) -> None:
    """Keep this exchange where it tells more of its operation than the one kept before."""
    if response.is_success:
        exchange, name = exchange_of(response, template, operation), operation["operationId"]
        if name not in found or worth(exchange) > worth(found[name]):
            found[name] = exchange


def exchange_of(response: httpx.Response, template: str, operation: Json) -> Exchange:
    url = urlsplit(str(response.request.url))
    pattern = "^" + re.sub(r"\{([^}]+)\}", r"(?P<\1>[^/]+)", template) + "$"
    path = re.match(pattern, url.path)
    assert path is not None
    declared = {(item["in"], item["name"]): item["schema"] for item in operation.get("parameters", [])}
    query = dict(parse_qsl(url.query))
    exchange = Exchange(
        status=response.status_code,
        path={name: _typed(unquote(value), declared["path", name]) for name, value in path.groupdict().items()},
        query={
            name: _typed(value, declared["query", name]) for name, value in query.items() if ("query", name) in declared
        },
        header={
            name: response.request.headers[name]
            for where, name in declared
            if where == "header" and name in response.request.headers
        },
        answer_headers={
            name: plain(value, name)
            for name, value in response.headers.items()
            if name.title() in _headers_of(operation, response.status_code)
        },
    )
    # A form is read piece by piece and is no longer there.
    if response.request.headers.get("content-type", "").startswith("application/json"):
        exchange.body = plain(json.loads(response.request.content))
    kind = response.headers.get("content-type", "")
    if response.content and "json" in kind:
        exchange.answer = plain(response.json())
    elif response.content and kind.startswith("text/"):
        exchange.answer = "\n".join(response.text.splitlines()[:LONGEST_TEXT_LINES]) + "\n"
    return exchange


def _headers_of(operation: Json, status: int) -> set[str]:
    return set(operation["responses"].get(str(status), {}).get("headers", {}))


def _typed(value: str, schema: Json) -> Any:
    return json.loads(value) if schema.get("type") in {"integer", "number", "boolean"} else value


def plain(value: Any, key: str = "") -> Any:
    """The value as an example shows it."""
    if isinstance(value, str):
        return _REPLACED.get(key) or _SIGNATURE.sub("?X-Amz-Signature=…", _HOST.sub("https://zoufang.example", value))
    if isinstance(value, list):
        return [plain(item, key) for item in value[:LONGEST_LIST]]
    if isinstance(value, dict):
        names = list(value)[:MOST_KEYS] if key in _OPEN_OBJECTS else list(value)
        return {name: plain(value[name], name) for name in names}
    return value


def worth(exchange: Exchange) -> tuple[bool, int, int]:
    """A request in Chinese tells more than one of letters; an answer with content more than an empty one."""
    body = (
        json.dumps(msgspec.to_builtins(exchange.body), ensure_ascii=False) if exchange.body is not msgspec.UNSET else ""
    )
    answer = msgspec.json.encode(exchange.answer) if exchange.answer is not msgspec.UNSET else b""
    return bool(re.search("[一-鿿]", body)) or not body, min(len(answer), 6000), len(exchange.query)


def write_examples(found: dict[str, Exchange], tags: dict[str, str]) -> None:
    """Add what was found to the files of `openapi/examples/`, one a tag."""
    kept = read_examples().of_operations
    EXAMPLES.mkdir(exist_ok=True)
    all_of = {**found, **kept}
    for tag in sorted({tags[name] for name in all_of if name in tags}):
        exchanges = {name: item for name, item in sorted(all_of.items()) if tags.get(name) == tag}
        text = msgspec.json.format(msgspec.json.encode(exchanges), indent=1).decode() + "\n"
        (EXAMPLES / f"{tag.replace(' ', '-')}.json").write_text(text, "utf-8")
