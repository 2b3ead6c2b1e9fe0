"""Keyset pagination with opaque cursors: pages neither repeat nor skip rows while rows are inserted."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from server.core.errors import Fault, Problem
from server.core.http import ResponseBody

T = TypeVar("T")
Cursor = list[str]


class Page(ResponseBody, Generic[T]):
    """`next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None


def encode_cursor(parts: Cursor) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def decode_cursor(text: str | None, kind: Callable[[str], Any], *more: Callable[[str], Any]) -> tuple[Any, ...] | None:
    """Decode a cursor and convert its parts. Raise `request.invalid` for one that `encode_cursor` did not write."""
    if text is None:
        return None
    try:
        parts = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Cursor)
        return tuple(convert(part) for convert, part in zip((kind, *more), parts, strict=True))
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        raise Problem("request.invalid", faults=[Fault("/cursor", "cursor.invalid", "cursor")]) from None


K = TypeVar("K")


def decode_keyset_cursor(text: str | None, kind: Callable[[str], K]) -> tuple[K, UUID] | None:
    """Decode the cursor of a list ordered by one key and then by id. Raise `request.invalid`."""
    keyset: tuple[K, UUID] | None = decode_cursor(text, kind, UUID)
    return keyset


R = TypeVar("R")


def slice_page(rows: Sequence[R], limit: int, cursor_of: Callable[[R], Cursor]) -> tuple[Sequence[R], str | None]:
    """Split `limit + 1` rows into the page and the cursor of the next page, None on the last."""
    page = rows[:limit]
    return page, encode_cursor(cursor_of(page[-1])) if rows[limit:] else None
