"""What this server takes of each collection, for phones that are newer than it."""

from collections.abc import Iterator

from msgspec import inspect

from field_api.sync.collections import Collection
from server.core.http import ResponseBody

# The server's own part of a document: a phone does not write it.
_OURS = {"server"}


class Advertised(ResponseBody):
    """A collection: the schema version that is served, whether phones write it, and the fields that it takes.

    A field inside another is written with a dot, `startFix.accuracyM`; of a list, the fields of its items.
    """

    name: str
    schema_version: int
    writable: bool
    fields: list[str]


def advertise(name: str, collection: Collection) -> Advertised:
    document = collection.document
    fields = sorted(_fields(inspect.type_info(document))) if document is not None else []
    return Advertised(name=name, schema_version=collection.version, writable=document is not None, fields=fields)


def _fields(kind: inspect.Type, at: str = "") -> Iterator[str]:
    match kind:
        case inspect.StructType():
            for field in kind.fields:
                if field.encode_name not in _OURS:
                    yield at + field.encode_name
                    yield from _fields(field.type, f"{at}{field.encode_name}.")
        case inspect.ListType():
            yield from _fields(kind.item_type, at)
        case inspect.UnionType():
            for part in kind.types:
                yield from _fields(part, at)
        case inspect.Metadata():
            yield from _fields(kind.type, at)
