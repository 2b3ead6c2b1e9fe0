"""A row as it lies in a package, and as it is stored: numbers in clear there, sealed with the keys of this system here.

A sealed value opens in its own row alone, and a blind index is made with the key of one installation. So a package,
which is sealed as a whole, holds the values themselves, and whoever reads it in seals and indexes them anew.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Table

from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.normalise import name_key, normalise_card, normalise_id
from server.models.sealed_columns import SEALED_SUFFIX, join_key
from server.packages.selection import INDEX_SUFFIX, is_index
from server.packages.tables import WITHHELD, WITHHELD_OF_TRAIL

Row = dict[str, Any]
# What each blind index is made of: its kind, and how the number is spelled for it.
_INDEXES: dict[str, tuple[str, Callable[[str], str]]] = {
    "bank_account.card_index": ("bank_card", normalise_card),
    "household.phone_index": ("phone", str),
    "household_member.id_number_index": ("id_number", normalise_id),
    "roster_line.account_index": ("bank_card", normalise_card),
}
# A frozen roster is hashed over the blind indexes of its accounts, so its hashes are of one installation.
KEYED_HASHES: dict[str, str] = {"roster": "lines_hash", "roster_line": "hash"}
_AGAINST = "against"
_SENSITIVE_THINGS = frozenset({"complaint", "objection"})


class RowRefused(Exception):
    """A value can't be opened; the message names its column and row."""


class Names(NamedTuple):
    """The names of staff by their blind index, by which a complaint knows whom it is about."""

    by_index: Mapping[str, str]


def index_names(encryption: Encryption, names: list[str]) -> Names:
    return Names({encryption.index("staff_name", name_key(name)).hex(): name for name in names})


def open_row(encryption: Encryption, names: Names, table: Table, row: Row) -> Row:
    """Return the row of a package. Raise RowRefused for a value that was altered or moved."""
    row_id = join_key([row[key.name] for key in table.primary_key.columns if key.name in row])
    opened = {}
    for name, value in row.items():
        if not name.endswith(SEALED_SUFFIX):
            opened[name] = value
        elif value is None:
            # A text from before it was sealed stands in a column of its own.
            opened.setdefault(name.removesuffix(SEALED_SUFFIX), None)
        else:
            opened[name.removesuffix(SEALED_SUFFIX)] = _open(encryption, table, name, row_id, _bytes(value))
    if table.name == "proposal":
        opened["document"] = _open_proposed_card(encryption, opened)
    if table.name == "complaint":
        opened[_AGAINST] = [names.by_index.get(index, index) for index in opened[_AGAINST]]
    return opened


def _open(encryption: Encryption, table: Table, column: str, row_id: str, sealed: bytes) -> str:
    name = f"{table.name}.{column.removesuffix(SEALED_SUFFIX)}"
    try:
        return encryption.open(name, row_id, sealed)
    except Problem:
        raise RowRefused(f"{name} of {row_id} can't be opened: see `verify-backup` and `reseal`") from None


def seal_row(encryption: Encryption, names: Names, table: Table, row: Row) -> Row:
    """Return the row to store of a row of a package."""
    row_id = join_key([row[key.name] for key in table.primary_key.columns if key.name in row])
    stored = dict(row)
    for column in table.columns:
        if column.name.endswith(SEALED_SUFFIX):
            plain = stored.pop(column.name.removesuffix(SEALED_SUFFIX), None)
            name = f"{table.name}.{column.name.removesuffix(SEALED_SUFFIX)}"
            stored[column.name] = None if plain is None else _hex(encryption.seal(name, row_id, plain))
            if column.name.removesuffix(SEALED_SUFFIX) in table.columns:
                stored[column.name.removesuffix(SEALED_SUFFIX)] = None
        elif is_index(table, column):
            kind, spell = _INDEXES[f"{table.name}.{column.name}"]
            plain = row[column.name.removesuffix(INDEX_SUFFIX)]
            stored[column.name] = None if plain is None else _hex(encryption.index(kind, spell(plain)))
    if table.name == "proposal":
        stored["document"] = _seal_proposed_card(encryption, row)
    if table.name == "complaint":
        stored[_AGAINST] = [
            encryption.index("staff_name", name_key(name)).hex() if name in names.by_index.values() else name
            for name in row[_AGAINST]
        ]
    return stored


def withhold(table: Table, row: Row) -> Row:
    """Return the row as an export from the desk holds it."""
    if table.name == "audit_entry":
        return row | dict.fromkeys(WITHHELD_OF_TRAIL) if row["thing_kind"] in _SENSITIVE_THINGS else row
    return row | dict.fromkeys(WITHHELD.get(table.name, ()))


def without_keyed_hashes(table: Table, row: Row) -> Row:
    """Return what two installations with different keys hold alike."""
    keyed = KEYED_HASHES.get(table.name)
    return {name: value for name, value in row.items() if name != keyed}


def _open_proposed_card(encryption: Encryption, row: Row) -> Any:
    """A proposed account holds the number sealed inside its document (households/guarded_changes.py)."""
    bank = _proposed_account(row)
    if bank is None or "cardSealed" not in bank:
        return row["document"]
    card = encryption.open("bank_account.card", row["household_id"], base64.b64decode(bank["cardSealed"]))
    kept = {name: value for name, value in bank.items() if name not in {"cardSealed", "cardIndex"}}
    return _with_account(row, kept | {"card": card})


def _seal_proposed_card(encryption: Encryption, row: Row) -> Any:
    bank = _proposed_account(row)
    if bank is None or "card" not in bank:
        return row["document"]
    sealed = base64.b64encode(encryption.seal("bank_account.card", row["household_id"], bank["card"])).decode()
    kept = {name: value for name, value in bank.items() if name != "card"}
    index = encryption.index("bank_card", bank["card"]).hex()
    return _with_account(row, kept | {"cardSealed": sealed, "cardIndex": index})


def _proposed_account(row: Row) -> dict[str, Any] | None:
    return row["document"]["changes"]["bank"] if row["guards"] == "bank" else None


def _with_account(row: Row, account: dict[str, Any]) -> Any:
    return row["document"] | {"changes": row["document"]["changes"] | {"bank": account}}


def _bytes(value: str) -> bytes:
    """Read bytes as PostgreSQL writes them into JSON."""
    return bytes.fromhex(value.removeprefix("\\x"))


def _hex(value: bytes) -> str:
    return f"\\x{value.hex()}"
