"""The columns of sealed values, found by their names: each value is bound to the primary key of its row."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Table, and_

from server.core.database import Base

SEALED_SUFFIX = "_sealed"


class SealedColumn(NamedTuple):
    """A column of sealed values, which are bound to the primary key of its table."""

    table: Table
    column: Column[Any]
    keys: tuple[Column[Any], ...]

    @property
    def name(self) -> str:
        """The name that `Encryption.seal` is called with."""
        return f"{self.table.name}.{self.column.name.removesuffix(SEALED_SUFFIX)}"

    def matches(self, key: Sequence[Any]) -> Any:
        return and_(*(column == value for column, value in zip(self.keys, key, strict=True)))


def sealed_columns() -> Iterator[SealedColumn]:
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if column.name.endswith(SEALED_SUFFIX):
                yield SealedColumn(table, column, tuple(table.primary_key.columns))


def join_key(key: Sequence[Any]) -> str:
    """Return the row id that a value is bound to: the key's columns, in their order."""
    return "/".join(str(part) for part in key)
