"""The differences between two versions of a document, as JSON pointers, for people who compare them."""

from typing import Any

from server.core.http import ResponseBody


class Difference(ResponseBody):
    """A place where a version differs from the previous one: a JSON pointer (RFC 6901) and both values."""

    pointer: str
    before: Any
    after: Any


def find_differences(before: Any, after: Any, pointer: str = "") -> list[Difference]:
    """Return the places that differ. Items of a list that have an `id` are matched by it, so order does not count."""
    if isinstance(before, list) and isinstance(after, list):
        before, after = _by_id(before), _by_id(after)
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [
            difference
            for key in keys
            for difference in find_differences(before.get(key), after.get(key), f"{pointer}/{key}")
        ]
    return [] if before == after else [Difference(pointer=pointer, before=before, after=after)]


def _by_id(items: list[Any]) -> dict[str, Any]:
    return {
        str(item.get("id", index)) if isinstance(item, dict) else str(index): item for index, item in enumerate(items)
    }
