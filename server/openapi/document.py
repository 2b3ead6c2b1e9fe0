"""The OpenAPI document: Litestar's from the routes, with msgspec's schemas, examples and what every route shares."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response, Stream
from litestar.typing import FieldDefinition

from server.app import create_app
from server.core.errors import CATALOGUE, PROBLEM_MEDIA_TYPE, ProblemBody
from server.core.http import ANSWER, REQUEST_BODY, ErrorResponse, error_responses
from server.core.paths import OPENAPI
from server.core.settings import Settings
from server.openapi.examples import Examples, read_examples
from server.openapi.schemas import Schema, Schemas, of_value

# What is no JSON, and therefore has no schema of ours.
_BYTES = (bytes, Stream, type(None), None, Any)
_TEXT = ("text/", "application/json")
_EXAMPLE = "#/components/examples/"
_BINARY = {"type": "string", "format": "binary"}


class Route(NamedTuple):
    """An operation of the document beside the handler that it was made from."""

    handler: HTTPRouteHandler
    operation: dict[str, Any]

    @property
    def body(self) -> Any:
        data = self.handler.parsed_fn_signature.parameters.get("data")
        return self.handler.opt.get(REQUEST_BODY, data and data.annotation)

    @property
    def answer(self) -> Any:
        if ANSWER in self.handler.opt:
            return self.handler.opt[ANSWER]
        kind = self.handler.parsed_fn_signature.return_type.raw
        return get_args(kind)[0] if get_origin(kind) is Response else kind


def describe() -> dict[str, Any]:
    app = create_app(Settings())
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    routes = list(_routes(app, document))
    schemas = Schemas(
        [route.body for route in routes if route.body is not None],
        [ProblemBody, *(kind for route in routes for kind in _answers(route).values())],
    )
    examples = read_examples()
    for route in routes:
        if not route.operation.get("deprecated"):
            route.operation.pop("deprecated", None)
        route.operation.setdefault("security", [])
        _describe_body(route, schemas)
        _describe_answers(route, schemas)
        _describe_parameters(route)
        _add_examples(route, examples)
    document["components"] |= {
        "schemas": schemas.components,
        "responses": {"Problem": _any_problem(schemas)},
    }
    used = set(re.findall(rf'"{_EXAMPLE}([a-z_.]+)"', msgspec.json.encode(document).decode()))
    document["components"]["examples"] = {code: item for code, item in examples.of_problems.items() if code in used}
    return document


def write_openapi(*, check: bool) -> bool:
    """Write the file, or with `check` say whether it is as it should be."""
    text = msgspec.json.format(msgspec.json.encode(describe(), order="sorted"), indent=1).decode() + "\n"
    if check:
        return OPENAPI.exists() and OPENAPI.read_text() == text
    OPENAPI.parent.mkdir(exist_ok=True)
    OPENAPI.write_text(text)
    return True


def _routes(app: Litestar, document: dict[str, Any]) -> Iterator[Route]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            item = document["paths"].get(route.path_format or "/", {})
            for method in handler.http_methods:
                operation = item.get(method.lower())
                if handler.resolve_include_in_schema() and operation is not None:
                    yield Route(handler, operation)


def _answers(route: Route) -> dict[str, Any]:
    """The type of each answer that is JSON but no problem, by its status."""
    specs = (route.handler.responses or {}).items()
    said = {
        str(status): spec.data_container
        for status, spec in specs
        if not isinstance(spec, ErrorResponse) and spec.data_container not in _BYTES
    }
    if route.answer not in _BYTES:
        said.setdefault(str(route.handler.status_code), route.answer)
    return said


def _describe_body(route: Route, schemas: Schemas) -> None:
    """The schema of a body, and that it may be too large: the server refuses one beyond its limit anywhere."""
    if route.body is not None:
        media = route.operation.get("requestBody", {}).get("content") or {"application/json": {}}
        content = {media_type: {"schema": schemas.of(route.body)} for media_type in media}
        route.operation["requestBody"] = {"content": content, "required": True}
    if "requestBody" in route.operation:
        for content in route.operation["requestBody"]["content"].values():
            content.setdefault("schema", _BINARY)
        _add_problem(route.operation, "request.too_large")


def _describe_answers(route: Route, schemas: Schemas) -> None:
    for status, kind in _answers(route).items():
        route.operation["responses"][status].setdefault("content", {})["application/json"] = {
            "schema": schemas.of(kind)
        }
    for response in route.operation["responses"].values():
        for media_type, content in response.get("content", {}).items():
            if media_type == PROBLEM_MEDIA_TYPE:
                content["schema"] = schemas.of(ProblemBody)
            elif not media_type.startswith(_TEXT):
                content["schema"] = _BINARY
        for header in response.get("headers", {}).values():
            header.setdefault("schema", {"type": "string"})
    route.operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}


def _any_problem(schemas: Schemas) -> Schema:
    """What the framework or the server itself answers to any request; it lists no codes of one operation."""
    codes = (
        "request.method_not_allowed",
        "request.unsupported_media_type",
        "text.holds_number",
        "server.busy",
        "reads.not_logged",
        "server.error",
    )
    content = {"schema": schemas.of(ProblemBody), "examples": {code: _example_of(code) for code in codes}}
    return {"description": "Any other error: in the one shape.", "content": {PROBLEM_MEDIA_TYPE: content}}


def _example_of(code: str) -> dict[str, str]:
    return {"$ref": _EXAMPLE + code}


def _describe_parameters(route: Route) -> None:
    """Bounds as the handler holds to them; one that may be left out says so by that alone, not by null."""
    fields = route.handler.parsed_fn_signature.parameters
    by_name = {getattr(item.kwarg_definition, "name", None) or name: item for name, item in fields.items()}
    for parameter in route.operation.get("parameters", []):
        field = by_name.get(parameter["name"])
        if field is not None:
            parameter["schema"] = _of_parameter(field)


def _of_parameter(field: FieldDefinition) -> Schema:
    kinds = [arg for arg in get_args(field.annotation) if arg is not type(None)] if field.is_optional else []
    kind: Any = kinds[0] if kinds else field.annotation
    rules = field.kwarg_definition
    bounds = {
        name: getattr(rules, name, None) for name in ("gt", "ge", "lt", "le", "min_length", "max_length", "pattern")
    }
    said = {name: value for name, value in bounds.items() if value is not None}
    schema = of_value(Annotated[kind, msgspec.Meta(**said)] if said else kind)
    if field.has_default and field.default is not None:
        schema["default"] = msgspec.to_builtins(field.default)
    if (getattr(rules, "schema_extra", None) or {}).get("deprecated"):
        schema["deprecated"] = True
    return schema


def _add_problem(operation: dict[str, Any], code: str) -> None:
    """One more code of an operation, among those it has of that status."""
    status = CATALOGUE[code].status
    said = error_responses(code)[status].description
    response = operation["responses"].setdefault(
        str(status), {"content": {PROBLEM_MEDIA_TYPE: {}}, "description": said}
    )
    if f"`{code}`" not in response["description"]:
        response["description"] += f"; {said}"


def _add_examples(route: Route, examples: Examples) -> None:
    for response in route.operation["responses"].values():
        content = response.get("content", {}).get(PROBLEM_MEDIA_TYPE)
        if content is not None:
            codes = re.findall("`([a-z_.]+)`", response["description"])
            content["examples"] = {code: _example_of(code) for code in codes}
    exchange = examples.of_operations.get(route.operation["operationId"])
    if exchange is None:
        return
    for parameter in route.operation.get("parameters", []):
        value = getattr(exchange, parameter["in"]).get(parameter["name"])
        if value is not None:
            parameter["example"] = value
    if exchange.body is not msgspec.UNSET:
        for content in route.operation["requestBody"]["content"].values():
            content["example"] = exchange.body
    answer = route.operation["responses"].get(str(exchange.status), {})
    if exchange.answer is not msgspec.UNSET:
        for content in answer.get("content", {}).values():
            if content["schema"].get("format") != "binary":
                content["example"] = exchange.answer
    for name, header in answer.get("headers", {}).items():
        if name in exchange.answer_headers:
            header["example"] = exchange.answer_headers[name]
