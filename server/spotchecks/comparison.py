"""Compare two teams' answers to the same questions, field by field, within the checklist's tolerances.

Free text, photos, signatures and locations are not compared: two honest teams never give the same.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from server.checklists.template import INCOME_KINDS, Column, Template, Text, Tolerance, iter_questions
from server.checklists.wording import income_kind_text

NOT_COMPARED = frozenset({"text", "photo", "signature", "geopoint"})
Answers = dict[str, Any]


class AnswerComparison(Struct, rename="camel", frozen=True):
    """`question` is the question's id, for a column or kind of income followed by a dot and its id."""

    question: str
    member_id: str | None
    agrees: bool
    first: Any
    second: Any


def compare_answers(template: Template, first: Answers, second: Answers) -> list[AnswerComparison]:
    """Return an entry per question that either team answered; an answer by one team alone is a difference."""
    return [
        entry
        for question in iter_questions(template)
        for entry in _compare(
            question, getattr(question, "columns", ()), first.get(question.id), second.get(question.id)
        )
    ]


def _compare(question: Column, columns: tuple[Column, ...], first: Any, second: Any) -> Iterator[AnswerComparison]:
    if question.kind == "member_table":
        yield from _compare_members(question, columns, first or [], second or [])
    elif question.kind == "income_table":
        yield from _compare_incomes(question, first or [], second or [])
    elif question.kind not in NOT_COMPARED and not (first is None and second is None):
        yield AnswerComparison(question.id, None, answers_agree(question, first, second), first, second)


def _compare_members(
    table: Column, columns: tuple[Column, ...], first: list[Answers], second: list[Answers]
) -> Iterator[AnswerComparison]:
    by_member = [{row["memberId"]: row for row in rows} for rows in (first, second)]
    for member_id in sorted(by_member[0].keys() | by_member[1].keys()):
        first_row, second_row = (rows.get(member_id, {}) for rows in by_member)
        for column in columns:
            a, b = first_row.get(column.id), second_row.get(column.id)
            if column.kind not in NOT_COMPARED and not (a is None and b is None):
                yield AnswerComparison(f"{table.id}.{column.id}", member_id, answers_agree(column, a, b), a, b)


def _compare_incomes(table: Column, first: list[Answers], second: list[Answers]) -> Iterator[AnswerComparison]:
    """Compare the monthly amount found per kind of income; the two tables may cover different months."""
    first_fen, second_fen = _monthly_fen(first), _monthly_fen(second)
    for kind in sorted(first_fen.keys() | second_fen.keys()):
        a, b = first_fen.get(kind, 0), second_fen.get(kind, 0)
        yield AnswerComparison(f"{table.id}.{kind}", None, within_tolerance(table.tolerance, a, b), a, b)


def _monthly_fen(rows: list[Answers]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        amount = row["foundFen"] if row.get("foundFen") is not None else row.get("declaredFen") or 0
        first, last = row.get("periodFrom"), row.get("periodTo")
        months = (int(last[:4]) - int(first[:4])) * 12 + int(last[5:]) - int(first[5:]) + 1 if first and last else 1
        found[row["kind"]] = found.get(row["kind"], 0) + round(amount / max(1, months))
    return found


def answers_agree(cell: Column, first: Any, second: Any) -> bool:
    if first is None or second is None:
        return False
    if cell.kind in {"money", "integer"}:
        return within_tolerance(cell.tolerance, first, second)
    if cell.kind == "multi_choice":
        return set(first) == set(second)
    return bool(first == second)


def within_tolerance(tolerance: Tolerance | None, first: int, second: int) -> bool:
    """Compare within the larger of `absolute`, in the question's unit, and `percent` of the first answer."""
    if tolerance is None:
        return first == second
    return abs(first - second) * 100 <= max(tolerance.absolute * 100, abs(first) * tolerance.percent)


def index_cells(template: Template) -> dict[str, Column]:
    """Return the cells that a comparison's `question` may name, each with its label and kind."""
    cells: dict[str, Column] = {}
    for question in iter_questions(template):
        cells[question.id] = question
        for column in question.columns:
            cells[f"{question.id}.{column.id}"] = replace(column, label=_cell_label(question, column.label))
        if question.kind == "income_table":
            for kind in INCOME_KINDS:
                cells[f"{question.id}.{kind}"] = Column(
                    kind, "money", _cell_label(question, income_kind_text(kind)), tolerance=question.tolerance
                )
    return cells


def _cell_label(table: Column, label: Text) -> Text:
    return Text(f"{table.label.zh} · {label.zh}", f"{table.label.en} · {label.en}")
