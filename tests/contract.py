"""Holds every answer a test sees to the committed openapi.json."""

import re
from typing import Any

import httpx
import jsonschema_rs
import msgspec

from server.core.paths import OPENAPI
from server.openapi.examples import Exchange
from tests.recording import record

_SCHEMA: dict[str, Any] = msgspec.json.decode(OPENAPI.read_bytes())
_ROUTES = [
    (re.compile("^" + re.sub(r"\{[^}]+\}", "[^/]+", path) + "$"), path, item) for path, item in _SCHEMA["paths"].items()
]
_VALIDATORS: dict[str, Any] = {}
# With `--record-examples`: whether exchanges are kept, and the best of each operation so far.
RECORDING: list[bool] = []
RECORDED: dict[str, Exchange] = {}
# What the framework itself answers anywhere: it has the one error shape, and no route lists it.
ANYWHERE = {400, 404, 405, 413, 415, 500, 503}
# Or asked for again each time, as what a phone pulls is.
KEPT_NOWHERE = {"no-store", "no-cache", "private, no-cache"}


async def hold_to_contract(response: httpx.Response) -> None:
    """Fails the test when an answer's status or body is not what openapi.json says, or a cache might keep it."""
    await response.aread()
    assert response.headers.get("cache-control") in KEPT_NOWHERE, f"{response.request.url.path} may be kept on a disk"
    path = response.request.url.path
    method = _method_of(response.request).lower()
    template, operation = next(
        ((template, item[method]) for pattern, template, item in _ROUTES if pattern.match(path) and method in item),
        ("", None),
    )
    if operation is None:
        assert response.status_code in ANYWHERE, f"{method} {path} is not in openapi.json"
        return
    if RECORDING:
        record(response, template, operation, RECORDED)
    status = str(response.status_code)
    result = operation["responses"].get(status)
    if result is None:
        assert response.status_code in ANYWHERE, (
            f"{operation['operationId']} answers {status}, which openapi.json lacks"
        )
        assert response.headers["content-type"] == "application/problem+json"
        _check("#/components/schemas/ProblemBody", response)
        return
    if method == "head":
        return  # RFC 9110 §9.3.2: it has the status and the headers, never a body
    for media_type, content in result.get("content", {}).items():
        if "json" in media_type and "schema" in content:
            assert response.headers["content-type"].split(";")[0] == media_type, operation["operationId"]
            _check_schema(f"{operation['operationId']} {status}", content["schema"], response)


def _method_of(request: httpx.Request) -> str:
    """The method that counts: at a tus address the one a header names, save where a POST for that has a route."""
    named = request.headers.get("X-HTTP-Method-Override")
    is_tus = request.url.path.startswith("/uploads")
    has_route = request.method == "POST" and request.url.path.count("/") > 1
    return named if named and is_tus and not has_route else request.method


def _check(reference: str, response: httpx.Response) -> None:
    _check_schema(reference, {"$ref": reference}, response)


def _check_schema(name: str, schema: dict[str, Any], response: httpx.Response) -> None:
    validator = _VALIDATORS.get(name)
    if validator is None:
        validator = jsonschema_rs.Draft202012Validator({**schema, "components": _SCHEMA["components"]})
        _VALIDATORS[name] = validator
    errors = [
        f"{'/'.join(map(str, iter_error.instance_path))}: {iter_error.message}"
        for iter_error in validator.iter_errors(response.json())
    ]
    assert not errors, f"{name}: {errors[:3]}"


def tags() -> dict[str, str]:
    """The first tag of each operation."""
    operations = (operation for item in _SCHEMA["paths"].values() for operation in item.values())
    return {operation["operationId"]: operation["tags"][0] for operation in operations}
