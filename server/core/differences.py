"""Where two versions of a thing differ, as JSON pointers: for people who look at what has changed."""

from typing import Any

from server.core.http import ResponseBody


class Difference(ResponseBody):
    """One place where a version differs from the one before: a JSON pointer (RFC 6901), and both values."""

    pointer: str
    before: Any
    after: Any


def find_differences(before: Any, after: Any, pointer: str = "") -> list[Difference]:
    """Places that differ; lists of things with an `id` are compared by it, so a new order is no difference."""
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
        str(item.get("id", place)) if isinstance(item, dict) else str(place): item for place, item in enumerate(items)
    }
