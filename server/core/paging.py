"""Keyset pages: a cursor is opaque, and pages neither repeat nor skip while rows come in."""

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
    """The parts of a cursor, each read as its kind. Raises `request.invalid` for one this server did not write."""
    if text is None:
        return None
    try:
        parts = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Cursor)
        return tuple(read(part) for read, part in zip((kind, *more), parts, strict=True))
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        raise Problem("request.invalid", faults=[Fault("/cursor", "cursor.invalid", "cursor")]) from None


K = TypeVar("K")


def decode_keyset_cursor(text: str | None, kind: Callable[[str], K]) -> tuple[K, UUID] | None:
    """Where a page ended that is ordered by one key and then by id. Raises `request.invalid`."""
    place: tuple[K, UUID] | None = decode_cursor(text, kind, UUID)
    return place


R = TypeVar("R")


def slice_page(rows: Sequence[R], limit: int, place: Callable[[R], Cursor]) -> tuple[Sequence[R], str | None]:
    """Of rows read one beyond the limit: those of the page, and the cursor to what follows where there is more."""
    page = rows[:limit]
    return page, encode_cursor(place(page[-1])) if rows[limit:] else None
