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
        is_named = _are_named(before) and _are_named(after)
        before, after = _by_name(before, is_named=is_named), _by_name(after, is_named=is_named)
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [
            difference
            for key in keys
            for difference in find_differences(before.get(key), after.get(key), f"{pointer}/{key}")
        ]
    return [] if before == after else [Difference(pointer=pointer, before=before, after=after)]


_NAMES = ("id", "memberId", "kind")


def _are_named(items: list[Any]) -> bool:
    names = [_name(item) for item in items]
    return None not in names and len(set(names)) == len(names)


def _by_name(items: list[Any], *, is_named: bool) -> dict[str, Any]:
    return {(_name(item) or "") if is_named else str(index): item for index, item in enumerate(items)}


def _name(item: Any) -> str | None:
    if isinstance(item, str):
        return item
    if not isinstance(item, dict):
        return None
    return next((str(item[key]) for key in _NAMES if item.get(key) is not None), None)
