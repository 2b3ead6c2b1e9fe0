"""The differences between two versions of a document, as JSON pointers, for people who compare them."""

from typing import Any

from server.core.http import ResponseBody


class Difference(ResponseBody):
    """A place where a version differs from the previous one: a JSON pointer (RFC 6901) and both values."""

    pointer: str
    before: Any
    after: Any


def find_differences(before: Any, after: Any, pointer: str = "") -> list[Difference]:
    """Return the places that differ.

    Items of a list are matched by what names them, so order does not count: an `id`, the member or the kind of a row of
    answers, a text by itself.
    """
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


_NAMES = ("id", "memberId", "kind")


def _by_id(items: list[Any]) -> dict[str, Any]:
    names = [_name(item) for item in items]
    if None in names or len(set(names)) < len(names):
        return {str(index): item for index, item in enumerate(items)}
    return dict(zip(map(str, names), items, strict=True))


def _name(item: Any) -> str | None:
    if isinstance(item, str):
        return item
    if not isinstance(item, dict):
        return None
    return next((str(item[key]) for key in _NAMES if item.get(key) is not None), None)
