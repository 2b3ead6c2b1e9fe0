"""An answer as a person would say it, in both languages: what the household and the desk read of a visit.

A choice by its label, money in yuan, a table row by row under the member's name. A code that the checklist no
longer has is said as it stands: what was recorded is never hidden.
"""

from collections.abc import Mapping
from typing import Any, Final

from server.checklists.template import INCOME_KINDS, Column, Question, Text

_YES, _NO, _NOTHING = Text("是", "yes"), Text("否", "no"), Text("–", "–")
_STRANGER = Text("(名单外成员)", "(no longer listed)")
_INCOME_COLUMNS: Final = (
    Column("declaredFen", "money", Text("申报", "declared")),
    Column("foundFen", "money", Text("查实", "found")),
    Column("periodFrom", "text", Text("起", "from")),
    Column("periodTo", "text", Text("止", "to")),
    Column("note", "text", Text("备注", "note")),
)
_VISITS: Final[Mapping[str, Text]] = {
    "intake": Text("入户调查", "first survey"),
    "review": Text("定期复核", "periodic review"),
    "neighbour": Text("邻里走访", "visit to neighbours"),
    "complaint": Text("举报核查", "look into a complaint"),
    "spot_check": Text("抽查", "spot check"),
    "care": Text("慰问走访", "care visit"),
}
Row = tuple[Text, list[tuple[Text, Text]]]


def say_answer(cell: Column, value: Any) -> Text:
    """One cell, whatever it holds."""
    if value is None or value in ("", []):
        return _NOTHING
    if cell.kind == "yes_no":
        return _YES if value else _NO
    if cell.kind == "money" and isinstance(value, int):
        return Text(f"{value / 100:,.2f} 元", f"{value / 100:,.2f} yuan")
    labels = {choice.code: choice.label for choice in cell.choices}
    if cell.kind == "multi_choice" and isinstance(value, list):
        said = [labels.get(item, Text(str(item), str(item))) for item in value]
        return Text("、".join(item.zh for item in said), ", ".join(item.en for item in said))
    return labels.get(str(value), Text(str(value), str(value)))


def say_rows(question: Question, value: Any, names: Mapping[str, str]) -> list[Row]:
    """A table's rows: whose or of what, and each filled cell under its label. Nothing for other questions."""
    rows = value if isinstance(value, list) else []
    if question.kind == "member_table":
        return [(_member(row.get("memberId"), names), _cells(question.columns, row)) for row in rows]
    if question.kind == "income_table":
        return [(say_income(row.get("kind")), _cells(_INCOME_COLUMNS, row)) for row in rows]
    return []


def say_visit(kind: str) -> Text:
    return _VISITS.get(kind, Text(kind, kind))


def say_income(kind: Any) -> Text:
    zh, en = {**INCOME_KINDS}.get(kind, (str(kind), str(kind)))
    return Text(zh, en)


def _member(member_id: Any, names: Mapping[str, str]) -> Text:
    name = names.get(str(member_id))
    return Text(name, name) if name else _STRANGER


def _cells(columns: tuple[Column, ...], row: dict[str, Any]) -> list[tuple[Text, Text]]:
    return [(column.label, say_answer(column, row[column.id])) for column in columns if row.get(column.id) is not None]
