"""The SQL that finds the rows of an area, made from the conditions of the tables.

`visit_rows` in a condition stands for the packaged rows of `visit`, `named_staff` for the ids of staff that packaged
rows refer to; a name in quotes is a column. Both become subqueries, so nothing is written into the database.
"""

import re
from functools import cache

from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import TSVECTOR

from server.models.sealed_columns import SEALED_SUFFIX
from server.packages.tables import PACKAGED, list_packaged

_PLACEHOLDER = re.compile(r'(?<!["\w])(?:named_(?P<named>[a-z_]+)|(?P<rows>[a-z_]+)_rows)\b')
# Indexes are made of numbers with the key of the installation; they are written anew where the number is read.
INDEX_SUFFIX = "_index"


def select_rows(table: Table) -> str:
    """Select the rows of the area as JSON text, in the order of their keys."""
    keys = ", ".join(f't."{key.name}"{_collation(key)}' for key in _order(table))
    columns = ", ".join(f't."{column.name}"' for column in list_columns(table))
    return (
        f"SELECT row_to_json(r)::text FROM (SELECT {columns} FROM {table.name} t"  # noqa: S608  names of the models
        f" WHERE {_expand(PACKAGED[table.name].condition)} ORDER BY {keys}) r"
    )


def _order(table: Table) -> list[Column[object]]:
    """Return the columns that no two rows share and that are the same in every installation."""
    keys = list(table.primary_key.columns)
    if not {key.name for key in keys} & set(PACKAGED[table.name].left_out):
        return keys
    unique = next(item for item in table.constraints if isinstance(item, UniqueConstraint))
    return list(unique.columns)


def _collation(key: Column[object]) -> str:
    """Text in the order of its bytes, which is the same in every installation."""
    return ' COLLATE "C"' if isinstance(key.type, String) else ""


def list_columns(table: Table) -> list[Column[object]]:
    """Return the columns that a package holds of the table, sealed ones under their sealed name."""
    left_out = PACKAGED[table.name].left_out
    return [
        column
        for column in table.columns
        if column.name not in left_out and column.computed is None and not is_index(table, column)
    ]


def is_index(table: Table, column: Column[object]) -> bool:
    """Tell whether a column is the blind index of a sealed one beside it."""
    sealed = column.name.removesuffix(INDEX_SUFFIX) + SEALED_SUFFIX
    return column.name.endswith(INDEX_SUFFIX) and sealed in table.columns


def is_readable(column: Column[object]) -> bool:
    """Tell whether a column says something to people, and so stands in the CSV."""
    return not isinstance(column.type, LargeBinary | TSVECTOR) or column.name.endswith(SEALED_SUFFIX)


def select_objects() -> str:
    """Select (content, kind, sha256, name) of every photo and copy of the area, by content and key."""
    return _expand("""
        SELECT content, kind, sha256, name FROM (
            SELECT sha256 AS content, 'photo' AS kind, sha256, '' AS name FROM photo_rows
            UNION SELECT sha256, 'photo', sha256, '' FROM posting_place_rows WHERE erased_at IS NULL
            UNION SELECT c.value, 'rendition', sha256, c.key FROM photo_rows, jsonb_each_text(copies) c
            UNION SELECT watermark_sha256, 'watermark', sha256, id::text FROM evidence_rows
                WHERE watermark_sha256 IS NOT NULL AND erased_at IS NULL
        ) objects ORDER BY content COLLATE "C", kind, sha256, name
    """)


def select_frozen_rosters() -> str:
    """Select the ids of the packaged rosters whose lines were hashed."""
    return _expand("SELECT id FROM roster_rows WHERE lines_hash IS NOT NULL ORDER BY id")


def _expand(sql: str) -> str:
    return _PLACEHOLDER.sub(
        lambda found: _list_named(found["named"]) if found["named"] else f"{_rows(found['rows'])} {found[0]}", sql
    )


@cache
def _rows(table: str) -> str:
    return f"(SELECT * FROM {table} t WHERE {_expand(PACKAGED[table].condition)})"  # noqa: S608  names of the models


def _is_alone(key: ForeignKey) -> bool:
    return key.constraint is not None and len(key.constraint.columns) == 1


@cache
def _list_named(table: str) -> str:
    """Return a subquery of the keys of a table that packaged rows name by a foreign key."""
    named = [
        f'SELECT "{column.name}" FROM {child.name}_rows WHERE "{column.name}" IS NOT NULL'  # noqa: S608
        for child in list_packaged()
        if child.name != table and PACKAGED[child.name].is_read_back
        for column in list_columns(child)
        for key in column.foreign_keys
        if key.column.table.name == table and _is_alone(key)
    ]
    found = " UNION ".join(named)
    if table != "area":
        return _expand(f"(SELECT id FROM ({found}) ids (id)) ids")  # noqa: S608
    return _expand(f"""(
        WITH RECURSIVE codes (code) AS (
            SELECT code FROM (SELECT code FROM area WHERE code LIKE :area UNION {found}) found (code)
            UNION SELECT above.code FROM codes JOIN area a ON a.code = codes.code
                CROSS JOIN LATERAL (VALUES (a.parent_code), (a.successor_code)) above (code)
                WHERE above.code IS NOT NULL
        ) SELECT code FROM codes) codes""")  # noqa: S608
