"""Keyset pagination with opaque cursors: pages neither repeat nor skip rows while rows are inserted."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from server.core.errors import Fault, Problem
from server.core.http import ResponseBody

T = TypeVar("T")
R = TypeVar("R")
Cursor = list[str]
_PARSERS: Mapping[type, Callable[[str], Any]] = {
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    int: int,
    str: str,
    UUID: UUID,
}


class Page(ResponseBody, Generic[T]):
    """`next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None


class Keyset:
    """The order of a list: its key columns, all ascending or all descending.

    The columns identify a row together and are never NULL in the list's rows. Their types give the parsers of the
    cursor's parts.
    """

    def __init__(self, *columns: InstrumentedAttribute[Any], descending: bool = False) -> None:
        self.columns = columns
        self._is_descending = descending
        self._parsers = [_PARSERS[column.type.python_type] for column in columns]

    def sort(self) -> list[ColumnElement[Any]]:
        """Return the arguments of ORDER BY."""
        return [column.desc() if self._is_descending else column.asc() for column in self.columns]

    def is_after(self, *values: Any) -> ColumnElement[bool]:
        """Return the condition for rows after the row with these key values."""
        keys: Any = tuple_(*self.columns)
        condition: ColumnElement[bool] = keys < values if self._is_descending else keys > values
        return condition

    def read_cursor(self, cursor: str | None) -> tuple[Any, ...] | None:
        """Return the key values in a cursor. Raise `request.invalid`."""
        return decode_cursor(cursor, *self._parsers)


async def fetch_page(
    session: AsyncSession,
    query: Select[*tuple[Any, ...]],
    order: Keyset,
    cursor: str | None,
    limit: int,
) -> tuple[list[tuple[Any, ...]], str | None]:
    """Return the rows of a page and the cursor of the next page, None on the last. One query.

    Raise `request.invalid` for a cursor that is not of this list.
    """
    after = order.read_cursor(cursor)
    if after is not None:
        query = query.where(order.is_after(*after))
    # The keys are read as columns of their own, since the query need not select their entities.
    width = len(order.columns)
    rows = await session.execute(query.add_columns(*order.columns).order_by(*order.sort()).limit(limit + 1))
    page, next_cursor = slice_page(rows.all(), limit, lambda row: row[-width:])
    return [tuple(row[:-width]) for row in page], next_cursor


def slice_page(rows: Sequence[R], limit: int, keys_of: Callable[[R], Sequence[Any]]) -> tuple[Sequence[R], str | None]:
    """Split `limit + 1` rows into the page and the cursor of the next page, None on the last."""
    page = rows[:limit]
    return page, encode_cursor(keys_of(page[-1])) if rows[limit:] else None


def encode_cursor(keys: Sequence[Any]) -> str:
    parts = [key.isoformat() if isinstance(key, date) else str(key) for key in keys]
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def decode_cursor(text: str | None, *parsers: Callable[[str], Any]) -> tuple[Any, ...] | None:
    """Decode a cursor and convert its parts. Raise `request.invalid` for one that `encode_cursor` did not write."""
    if text is None:
        return None
    try:
        parts = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Cursor)
        return tuple(parse(part) for parse, part in zip(parsers, parts, strict=True))
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        raise Problem("request.invalid", faults=[Fault("/cursor", "cursor.invalid", "cursor")]) from None
