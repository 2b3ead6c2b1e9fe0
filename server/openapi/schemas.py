"""JSON Schemas of what travels, made by msgspec: the same definitions that read a body also describe it.

Litestar's own schemas lose bounds of nullable values and of list items, and what a body refuses. A schema is named by
its Struct, so moving a file renames nothing; two Structs of one name are refused. A Struct that is renamed keeps its
name on the wire by `schema_name: ClassVar[str]`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from litestar.datastructures import UploadFile
from msgspec import inspect

from server.core.http import AnyOf, ResponseBody

Schema = dict[str, Any]
_REF = "#/components/schemas/"


class NameTwice(Exception):
    """Two Structs would share a schema's name: one of them needs another."""


class Schemas:
    """The schema of each type that requests and answers carry, and the components that these refer to."""

    def __init__(self, bodies: Iterable[Any], answers: Iterable[Any]) -> None:
        sent, answered = list(bodies), list(answers)
        found = list(_types([*sent, *answered]))
        unions = [found_item for found_item in found if issubclass(found_item, AnyOf)]
        parts = [part for union in unions for part in union.kinds]
        own = _own_names(found)
        names = _final_names(own)
        schemas, components = msgspec.json.schema_components(
            [*sent, *answered, *parts], schema_hook=_of_foreign, ref_template=_REF + "{name}"
        )
        refs = dict(zip(map(str, [*sent, *answered, *parts]), schemas, strict=True))
        components |= {union.__name__: {"anyOf": [refs[str(part)] for part in union.kinds]} for union in unions}
        read = set(_types(sent))
        for kind in found:
            if issubclass(kind, ResponseBody) and kind not in read and not kind.__struct_config__.omit_defaults:
                _require_all(kind, components[own[kind]])
        self._by_type: dict[str, Schema] = {key: _polish(schema, names) for key, schema in refs.items()}
        self.components = {
            _renamed(key, names): _polish(item, names) | {"title": _renamed(key, names)}
            for key, item in sorted(components.items())
        }

    def of(self, kind: Any) -> Schema:
        return self._by_type[str(kind)]


def of_value(kind: Any) -> Schema:
    """The schema of a type that names no component: of a parameter."""
    schema: Schema = _polish(msgspec.json.schema(kind), {})
    return schema


def _of_foreign(kind: Any) -> Schema:
    if issubclass(kind, AnyOf):
        return {"$ref": _REF + kind.__name__}
    if issubclass(kind, UploadFile):
        return {"type": "string", "format": "binary"}
    raise NotImplementedError(kind)


def _types(kinds: Iterable[Any]) -> Iterator[type]:
    """Every Struct and every `AnyOf` within these types, once each."""
    seen: set[Any] = set()
    waiting = list(inspect.multi_type_info(list(kinds)))
    while waiting:
        info = waiting.pop()
        kind = getattr(info, "cls", None)
        if isinstance(info, inspect.StructType | inspect.CustomType):
            if kind in seen:
                continue
            seen.add(kind)
            if isinstance(kind, type) and issubclass(kind, AnyOf):
                waiting += inspect.multi_type_info(kind.kinds)
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct | AnyOf):
                yield kind
        waiting += _within(info)


def _within(info: inspect.Type) -> list[inspect.Type]:
    match info:
        case inspect.StructType():
            return [field.type for field in info.fields]
        case inspect.UnionType():
            return list(info.types)
        case inspect.DictType():
            return [info.key_type, info.value_type]
        case inspect.Metadata():
            return [info.type]
        case inspect.TupleType():
            return list(info.item_types)
    item = getattr(info, "item_type", None)
    return [item] if item is not None else []


def _own_names(found: Iterable[type]) -> dict[type, str]:
    """What msgspec calls the schema of each type: by its path where two share a name."""
    kinds = list(found)
    shared = Counter(kind.__name__ for kind in kinds)
    return {
        kind: f"{kind.__module__}.{kind.__qualname__}" if shared[kind.__name__] > 1 else kind.__name__ for kind in kinds
    }


def _final_names(own: Mapping[type, str]) -> dict[str, str]:
    """The name that each schema keeps on the wire, by what msgspec calls it. Raises `NameTwice`."""
    owners: dict[str, type] = {}
    for kind in own:
        name = getattr(kind, "schema_name", kind.__name__)
        if owners.setdefault(name, kind) is not kind:
            raise NameTwice(f"{name}: {owners[name].__module__} and {kind.__module__}")
    return {own[kind]: name for name, kind in owners.items()}


def _renamed(name: str, names: dict[str, str]) -> str:
    """`Page_VisitLine_`, as msgspec writes a generic one, reads `PageOfVisitLine`."""
    if name in names:
        return names[name]
    outer, is_generic, inner = name.partition("_")
    return f"{outer}Of{_renamed(_last(inner), names)}" if is_generic else name


def _last(path: str) -> str:
    """The type itself, of `server.core.http.PulledVisit_`."""
    return path.removesuffix("_").rpartition(".")[2]


def _require_all(kind: type[msgspec.Struct], schema: Schema) -> None:
    """The server says every field, also where its default is the value; only what is unset is left out."""
    unset = {field.encode_name for field in msgspec.structs.fields(kind) if field.default is msgspec.UNSET}
    schema["required"] = [name for name in schema["properties"] if name not in unset]
    for item in schema["properties"].values():
        item.pop("default", None)


def _polish(schema: Any, names: dict[str, str]) -> Any:
    """Final names; the type beside an enum, for generators that need it; no default that only says: left out."""
    if isinstance(schema, list):
        return [_polish(item, names) for item in schema]
    if not isinstance(schema, dict):
        return schema
    polished = {key: _polish(value, names) for key, value in schema.items()}
    if isinstance(ref := polished.get("$ref"), str):
        polished["$ref"] = _REF + _renamed(ref.removeprefix(_REF), names)
    if isinstance(values := polished.get("enum"), list) and all(isinstance(value, str) for value in values):
        polished["type"] = "string"
    if polished.get("type") == "object" and not polished.keys() & {"properties", "additionalProperties"}:
        polished["additionalProperties"] = True  # some generators take an object without any for an empty one
    if "default" in polished and polished["default"] is None:
        del polished["default"]
    return polished
