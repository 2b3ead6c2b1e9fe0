"""Asks every route of openapi.json for what nobody should send, one wrong value at a time.

A body is built from the schema, with ids and areas that exist, so that what is wrong comes as deep as it can; then
each value in it, each part of the path and of the query is replaced by what does not belong there.
"""

import itertools
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple
from uuid import uuid4

Json = Any
Place = tuple[str | int, ...]

# Values as JSON's own text, since some of them are what no honest serialiser writes.
_NUL, _SURROGATE, _LONG = '"a\\u0000b"', '"\\ud800"', '"' + "长" * 70_000 + '"'
_STRINGS = ("null", "7", "[]", "{}", '""', _NUL, _SURROGATE, _LONG, '"\\u202e%_\'--"', "NaN")
_NUMBERS = ("null", '"x"', "-1", "0", "1e400", "NaN", "Infinity", "9223372036854775808", "-9223372036854775809", "0.5")
_DATES = ("null", '"0001-01-01"', '"9999-12-31"', '"2026-02-30"', "20260101", _NUL)
_TIMES = ('"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-12:00"', '"2026-11-23T09:00:00"', "1", _NUL)
_IDS = ("null", "7", '"no-uuid"', '"00000000-0000-0000-0000-000000000000"', _NUL)
_LISTS = ("null", "{}", "[]", "[null]", "[[]]", '["x"]', "[7]")
_OBJECTS = ("null", "[]", '"x"', "{}", '{"nobodyKnowsThis": 1}')
_POISONS = {
    "integer": _NUMBERS,
    "number": _NUMBERS,
    "date": _DATES,
    "date-time": _TIMES,
    "uuid": _IDS,
    "array": _LISTS,
    "object": _OBJECTS,
    "boolean": ("null", '"x"', "7"),
}
_BODIES = (b"", b"{", b"\xff\xfe", b"null", b"7", b"[" * 5000, b'{"a":' * 5000)
_TEXTS = (
    "",
    "\0",
    "a\0b",
    "\ud800",
    "长" * 3000,
    "%",
    "'--",
    "-1",
    "9" * 30,
    "NaN",
    "0001-01-01",
    "9999-12-31",
    "null",
)
_MARK = "\ue000"


class Attack(NamedTuple):
    """One request; `what` is wrong with it, and nothing where it is as it should be."""

    method: str
    route: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    what: str


class KnownIds(NamedTuple):
    """What exists, by the snake_case name of a field or parameter; `of_route` where a name means something else."""

    values: dict[str, Any]
    of_route: dict[str, dict[str, Any]]

    def of(self, name: str, route: str = "") -> Any:
        words = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
        return self.of_route.get(route, {}).get(words, self.values.get(words))


def attacks(schema: Json, existing: KnownIds, *, every: int) -> Iterator[Attack]:
    """Of the wrong values for a place each time the next in turn, one in `every`; and each route as it should be."""
    turn = itertools.count()
    for route, methods in schema["paths"].items():
        for method, operation in methods.items():
            for attack in _Route(schema, existing, route, method, operation).attacks():
                if not attack.what or next(turn) % every == 0:
                    yield attack


class _Route(NamedTuple):
    schema: Json
    known_ids: KnownIds
    route: str
    method: str
    operation: Json

    def attacks(self) -> Iterator[Attack]:
        yield self._ask("")
        for item in self.operation.get("parameters", []):
            where, name = item["in"], item["name"]
            for text in (*_TEXTS, self.known_ids.of("household_id")):
                if where != "header" or (text.isascii() and text.isprintable()):
                    yield self._ask(f"{where} {name}={text[:20]!a}", None, **{where: {name: text}})
        result = self._body_schema()
        if result is None:
            return
        body = self._value("", result)
        for broken in _BODIES:
            yield self._ask(f"body {broken[:12]!r}", broken)
        for place, kind in self._places(result, body):
            for poison in _POISONS.get(kind, _STRINGS):
                yield self._ask(f"{'/'.join(map(str, place))}={poison[:24]}", _poisoned(body, place, poison))
        if isinstance(body, dict):
            yield self._ask("an unknown field", json.dumps({**body, "nobodyKnowsThis": 1}).encode())

    def _ask(self, what: str, body: bytes | None = None, **changed: dict[str, str]) -> Attack:
        result = {where: {**self._parameters(where), **changed.get(where, {})} for where in ("path", "query", "header")}
        path = self.route
        for name, value in result["path"].items():
            path = path.replace("{" + name + "}", _quoted(value) or "%20")
        query = "&".join(f"{name}={_quoted(value)}" for name, value in result["query"].items())
        if body is None and (schema := self._body_schema()) is not None:
            body = json.dumps(self._value("", schema)).encode()
        headers = result["header"] | ({} if body is None else {"Content-Type": "application/json"})
        return Attack(self.method, self.route, path + (f"?{query}" if query else ""), headers, body, what)

    def _parameters(self, where: str) -> dict[str, str]:
        return {
            item["name"]: value
            for item in self.operation.get("parameters", [])
            if item["in"] == where and (item.get("required") or where == "path")
            for value in [str(self._value(item["name"], item["schema"]))]
            if value.isascii() or where != "header"
        }

    def _body_schema(self) -> Json | None:
        content = self.operation.get("requestBody", {}).get("content", {})
        return content.get("application/json", {}).get("schema")

    def _resolve(self, result: Json) -> Json:
        while "$ref" in result:
            result = self.schema["components"]["schemas"][result["$ref"].rsplit("/", 1)[1]]
        for item in result.get("oneOf", result.get("anyOf", [])):
            if item.get("type") != "null":
                return self._resolve(item)
        return result

    def _value(self, name: str, result: Json) -> Any:
        there = self.known_ids.of(name, self.route)
        result = self._resolve(result)
        if there is not None:
            return there
        if result.get("enum"):
            return result["enum"][0]
        match _kind(result):
            case "object":
                return {key: self._value(key, item) for key, item in result.get("properties", {}).items()}
            case "array":
                return [self._value(name.removesuffix("s"), result.get("items", {}))]
            case "integer" | "number":
                return result.get("minimum", 1)
            case "boolean":
                return True
            case "uuid":
                return str(uuid4())
            case "date":
                return "2026-11-23"
            case "date-time":
                return "2026-11-23T09:00:00+08:00"
        digits = re.search(r"\[0-9(?:a-f)?(?:Xx)?\]\{(?:0,)?(\d+)", result.get("pattern", ""))
        return "3" * int(digits[1]) if digits else "字" * max(result.get("minLength", 2), 2)

    def _places(self, result: Json, body: Any, here: Place = ()) -> Iterator[tuple[Place, str]]:
        result = self._resolve(result)
        if here:
            yield here, _kind(result)
        if isinstance(body, dict):
            for key, value in body.items():
                yield from self._places(result.get("properties", {}).get(key, {}), value, (*here, key))
        elif isinstance(body, list):
            for n, value in enumerate(body):
                yield from self._places(result.get("items", {}), value, (*here, n))


def _kind(result: Json) -> str:
    kind = result.get("type", "object" if "properties" in result else "any")
    if isinstance(kind, list):
        kind = next(item for item in kind if item != "null")
    return str(result.get("format", kind) if kind == "string" else kind)


def _quoted(text: str) -> str:
    result = text.encode("utf-8", "surrogatepass")
    return "".join(
        chr(item) if (chr(item).isalnum() and item < 128) or item in b"-_." else f"%{item:02X}" for item in result
    )


def _poisoned(body: Any, place: Place, poison: str) -> bytes:
    copy = deepcopy(body)
    at = copy
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = _MARK
    return json.dumps(copy, ensure_ascii=False).replace(f'"{_MARK}"', poison).encode("utf-8", "surrogatepass")
