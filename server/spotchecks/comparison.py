"""Two teams' answers to the same questions, field by field, with the tolerance that the checklist gives each.

Free words, pictures, signatures and places are not compared: two honest teams never give the same.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from server.checklists.template import INCOME_KINDS, Column, Template, Text, Tolerance, questions_of
from server.checklists.wording import say_income

NOT_COMPARED = frozenset({"text", "photo", "signature", "geopoint"})
Answers = dict[str, Any]


class Compared(Struct, rename="camel", frozen=True):
    """`question` is its id, with the column's or the income's kind after a dot."""

    question: str
    member_id: str | None
    agrees: bool
    first: Any
    second: Any


def compare(template: Template, first: Answers, second: Answers) -> list[Compared]:
    """One entry for each question that either team answered; one team's silence is a difference."""
    return [
        entry
        for question in questions_of(template)
        for entry in _compare(
            question, getattr(question, "columns", ()), first.get(question.id), second.get(question.id)
        )
    ]


def _compare(question: Column, columns: tuple[Column, ...], first: Any, second: Any) -> Iterator[Compared]:
    if question.kind == "member_table":
        yield from _members(question, columns, first or [], second or [])
    elif question.kind == "income_table":
        yield from _incomes(question, first or [], second or [])
    elif question.kind not in NOT_COMPARED and not (first is None and second is None):
        yield Compared(question.id, None, agree(question, first, second), first, second)


def _members(
    table: Column, columns: tuple[Column, ...], first: list[Answers], second: list[Answers]
) -> Iterator[Compared]:
    by_member = [{row["memberId"]: row for row in rows} for rows in (first, second)]
    for member_id in sorted(by_member[0].keys() | by_member[1].keys()):
        one, other = (rows.get(member_id, {}) for rows in by_member)
        for column in columns:
            a, b = one.get(column.id), other.get(column.id)
            if column.kind not in NOT_COMPARED and not (a is None and b is None):
                yield Compared(f"{table.id}.{column.id}", member_id, agree(column, a, b), a, b)


def _incomes(table: Column, first: list[Answers], second: list[Answers]) -> Iterator[Compared]:
    """By kind of income, what was found of it a month; the months of the two tables need not be the same."""
    one, other = _monthly(first), _monthly(second)
    for kind in sorted(one.keys() | other.keys()):
        a, b = one.get(kind, 0), other.get(kind, 0)
        yield Compared(f"{table.id}.{kind}", None, within(table.tolerance, a, b), a, b)


def _monthly(rows: list[Answers]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        amount = row["foundFen"] if row.get("foundFen") is not None else row.get("declaredFen") or 0
        first, last = row.get("periodFrom"), row.get("periodTo")
        months = (int(last[:4]) - int(first[:4])) * 12 + int(last[5:]) - int(first[5:]) + 1 if first and last else 1
        found[row["kind"]] = found.get(row["kind"], 0) + round(amount / max(1, months))
    return found


def agree(cell: Column, first: Any, second: Any) -> bool:
    if first is None or second is None:
        return False
    if cell.kind in {"money", "integer"}:
        return within(cell.tolerance, first, second)
    if cell.kind == "multi_choice":
        return set(first) == set(second)
    return bool(first == second)


def within(tolerance: Tolerance | None, first: int, second: int) -> bool:
    """`absolute` in the question's unit, `percent` of the first answer; the larger counts."""
    if tolerance is None:
        return first == second
    return abs(first - second) * 100 <= max(tolerance.absolute * 100, abs(first) * tolerance.percent)


def name_cells(template: Template) -> dict[str, Column]:
    """What a comparison's `question` may name, each with its label and the kind that says its answers."""
    cells: dict[str, Column] = {}
    for question in questions_of(template):
        cells[question.id] = question
        for column in question.columns:
            cells[f"{question.id}.{column.id}"] = replace(column, label=_under(question, column.label))
        if question.kind == "income_table":
            for kind in INCOME_KINDS:
                cells[f"{question.id}.{kind}"] = Column(
                    kind, "money", _under(question, say_income(kind)), tolerance=question.tolerance
                )
    return cells


def _under(table: Column, label: Text) -> Text:
    return Text(f"{table.label.zh} · {label.zh}", f"{table.label.en} · {label.en}")
