"""What each table and column of a package says, written from the models."""

import re
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import ForeignKeyConstraint

from server.models import Base
from server.models.sealed_columns import SEALED_SUFFIX
from server.packages.selection import list_columns
from server.packages.tables import PACKAGED, list_packaged

HEADINGS = ("table", "table_zh", "table_about", "column", "type", "may_be_empty", "refers_to", "note")
_SEALED_NOTE = "stored sealed; in clear here"
_WITHHELD_NOTE = "left out: only the operator's command `export` gives it"
_WITHHELD_TRAIL_NOTE = f"of complaints and objections {_WITHHELD_NOTE}"


def list_dictionary(withheld: Collection[str]) -> list[tuple[str, ...]]:
    """Return one row for each column of each table."""
    return [row for table in list_packaged() for row in _describe(table, withheld)]


def _describe(table: Table, withheld: Collection[str]) -> Iterator[tuple[str, ...]]:
    about = _ABOUT.get(table.name, "")
    for column in list_columns(table):
        is_sealed = column.name.endswith(SEALED_SUFFIX)
        yield (
            table.name,
            PACKAGED[table.name].zh,
            about,
            column.name.removesuffix(SEALED_SUFFIX),
            "text" if is_sealed else column.type.compile(postgresql.dialect()).lower(),  # type: ignore[no-untyped-call]
            "yes" if column.nullable else "no",
            _refers_to(table, column),
            _note(table, column, withheld),
        )


def _note(table: Table, column: Any, withheld: Collection[str]) -> str:
    if f"{table.name}.{column.name.removesuffix(SEALED_SUFFIX)}" in withheld:
        return _WITHHELD_TRAIL_NOTE if table.name == "audit_entry" else _WITHHELD_NOTE
    return _SEALED_NOTE if column.name.endswith(SEALED_SUFFIX) else _list_choices(table, column)


def _refers_to(table: Table, column: Any) -> str:
    return "; ".join(
        f"{element.column.table.name}.{element.column.name}"
        for constraint in table.constraints
        if isinstance(constraint, ForeignKeyConstraint)
        for element in constraint.elements
        if element.parent is column
    )


def _list_choices(table: Table, column: Any) -> str:
    """Return the values that a check of the database allows, where it lists them."""
    pattern = re.compile(rf"^\W*{column.name} IN \((?P<values>[^)]*)\)$")
    for constraint in table.constraints:
        found = pattern.match(str(getattr(constraint, "sqltext", "")))
        if found:
            return found["values"].replace("'", "")
    return ""


def _first_sentence(model: Any) -> str:
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())


_ABOUT = {mapper.local_table.name: _first_sentence(mapper.class_) for mapper in Base.registry.mappers}  # type: ignore[attr-defined]
