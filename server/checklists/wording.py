"""Render answers as text in both languages, for residents and desks.

Choices become their labels, money yuan, tables rows under the member's name. A code that the checklist doesn't have
any more is shown as it is, so that everything recorded stays visible.
"""

from collections.abc import Mapping
from typing import Any, Final

from server.checklists.template import INCOME_KINDS, Column, Question, Text

_YES, _NO, _NOTHING = Text("是", "yes"), Text("否", "no"), Text("–", "–")
_UNLISTED_MEMBER = Text("(名单外成员)", "(no longer listed)")
_INCOME_COLUMNS: Final = (
    Column("declaredFen", "money", Text("申报", "declared")),
    Column("foundFen", "money", Text("查实", "found")),
    Column("periodFrom", "text", Text("起", "from")),
    Column("periodTo", "text", Text("止", "to")),
    Column("note", "text", Text("备注", "note")),
)
_VISIT_KINDS: Final[Mapping[str, Text]] = {
    "intake": Text("入户调查", "first survey"),
    "review": Text("定期复核", "periodic review"),
    "neighbour": Text("邻里走访", "visit to neighbours"),
    "complaint": Text("举报核查", "look into a complaint"),
    "spot_check": Text("抽查", "spot check"),
    "care": Text("慰问走访", "care visit"),
    "housing": Text("廉租房核查", "check of rental housing"),
    "publicity": Text("政策宣传", "policy publicity"),
    "meeting": Text("评议小组会议", "meeting of the appraisal group"),
    "posting": Text("张贴公示", "hanging up a list"),
    "handout": Text("救助发放", "handing out aid"),
    "application": Text("上门申请", "application at the door"),
}
RenderedRow = tuple[Text, list[tuple[Text, Text]]]


def answer_text(cell: Column, value: Any) -> Text:
    """Render the value of a cell."""
    if value is None or value in ("", []):
        return _NOTHING
    if cell.kind == "yes_no":
        return _YES if value else _NO
    if cell.kind == "money" and isinstance(value, int):
        return Text(f"{value / 100:,.2f} 元", f"{value / 100:,.2f} yuan")
    labels = {choice.code: choice.label for choice in cell.choices}
    if cell.kind == "multi_choice" and isinstance(value, list):
        texts = [labels.get(code, Text(str(code), str(code))) for code in value]
        return Text("、".join(text.zh for text in texts), ", ".join(text.en for text in texts))
    return labels.get(str(value), Text(str(value), str(value)))


def render_rows(question: Question, value: Any, names: Mapping[str, str]) -> list[RenderedRow]:
    """Render a table: for each row its member or kind of income, and its filled cells. Empty for other questions."""
    rows = value if isinstance(value, list) else []
    if question.kind == "member_table":
        return [(_member_text(row.get("memberId"), names), _render_cells(question.columns, row)) for row in rows]
    if question.kind == "income_table":
        return [(income_kind_text(row.get("kind")), _render_cells(_INCOME_COLUMNS, row)) for row in rows]
    return []


def visit_kind_text(kind: str) -> Text:
    return _VISIT_KINDS.get(kind, Text(kind, kind))


def income_kind_text(kind: Any) -> Text:
    zh, en = {**INCOME_KINDS}.get(kind, (str(kind), str(kind)))
    return Text(zh, en)


def _member_text(member_id: Any, names: Mapping[str, str]) -> Text:
    name = names.get(str(member_id))
    return Text(name, name) if name else _UNLISTED_MEMBER


def _render_cells(columns: tuple[Column, ...], row: dict[str, Any]) -> list[tuple[Text, Text]]:
    return [(column.label, answer_text(column, row[column.id])) for column in columns if row.get(column.id) is not None]
