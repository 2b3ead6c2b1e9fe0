"""Read the figures that a visit's answers propose, as its checklist says in `feeds`. Pure functions, no database."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from server.checklists.feeds import COUNTED, PROPERTY_COUNTS, count_months, read_period
from server.checklists.template import Column, Question, Template, iter_questions

_INCOME_FIGURES = {"wages": "wage", "business": "business", "property": "property", "transfer": "transfer"}
_PROPERTY_FIGURES = {"home": "home", "vehicle": "vehicle", "business": "business_count", "deposit": "deposit"}
_COSTS = frozenset({"cost", "work_cost"})


class AnsweredFigure(NamedTuple):
    """An amount in fen over `months`, a sum or count without months, or a code in `value`."""

    figure: str
    question_id: str
    member_id: UUID | None = None
    amount: int | None = None
    months: int | None = None
    value: str | None = None
    declared: int | None = None


def read_figures(template: Template, answers: dict[str, Any], member_ids: Collection[str]) -> list[AnsweredFigure]:
    """Return one figure for each that the answers feed; costs from several questions are added up.

    A net loss is an income of 0: the register holds no negative ones.
    """
    figures: list[AnsweredFigure] = []
    costs: dict[str, list[AnsweredFigure]] = {}
    for figure in _read_all(template, answers, frozenset(member_ids)):
        if figure.figure in _COSTS:
            costs.setdefault(figure.figure, []).append(figure)
        else:
            figures.append(figure)
    return figures + [_add_up(parts) for parts in costs.values()]


def _read_all(template: Template, answers: dict[str, Any], member_ids: frozenset[str]) -> Iterator[AnsweredFigure]:
    for question in iter_questions(template):
        answer = answers.get(question.id)
        if answer is None:
            continue
        if question.kind == "member_table":
            yield from _read_rows(question, answer, member_ids)
        elif question.feeds == "incomes":
            yield from _read_incomes(question, answer)
        elif question.feeds is not None:
            yield from _read_cell(question, question.id, answer, None)


def _read_rows(table: Question, rows: list[dict[str, Any]], member_ids: frozenset[str]) -> Iterator[AnsweredFigure]:
    for row in rows:
        if row["memberId"] not in member_ids:
            continue
        for column in table.columns:
            if column.feeds is not None and (cell := row.get(column.id)) is not None:
                yield from _read_cell(column, f"{table.id}.{column.id}", cell, UUID(row["memberId"]))


def _read_incomes(question: Question, rows: list[dict[str, Any]]) -> Iterator[AnsweredFigure]:
    """Totals of a household over the months of their period."""
    for row in rows:
        found, months = row.get("foundFen"), count_months(row.get("periodFrom"), row.get("periodTo"))
        if found is None or months is None:
            continue  # no submission lacks them
        yield AnsweredFigure(
            _INCOME_FIGURES[row["kind"]],
            question.id,
            amount=max(0, found),
            months=months,
            declared=row.get("declaredFen"),
        )


def _read_cell(cell: Column, question_id: str, answer: Any, member_id: UUID | None) -> Iterator[AnsweredFigure]:
    assert cell.feeds is not None
    period = read_period(cell.feeds)
    if period is not None:
        yield AnsweredFigure(period.figure, question_id, member_id, amount=max(0, answer), months=period.months)
    elif cell.feeds in _PROPERTY_FIGURES:
        count = _count_things(cell, answer) if cell.feeds in PROPERTY_COUNTS else max(0, answer)
        yield AnsweredFigure(_PROPERTY_FIGURES[cell.feeds], question_id, amount=count)
    else:
        value = next((choice.proposes for choice in cell.choices if choice.code == answer), None)
        if value is not None:
            yield AnsweredFigure(cell.feeds, question_id, member_id, value=value)


def _count_things(cell: Column, answer: Any) -> int:
    if isinstance(answer, list):
        counted = {choice.code for choice in cell.choices if choice.proposes == COUNTED}
        return len(counted & set(answer))
    return max(0, int(answer))


def _add_up(parts: Sequence[AnsweredFigure]) -> AnsweredFigure:
    """Add costs up, by month if all are, otherwise by year."""
    months = max(part.months or 1 for part in parts)
    amount = sum((part.amount or 0) * months // (part.months or 1) for part in parts)
    questions = ",".join(part.question_id for part in parts)
    return AnsweredFigure(parts[0].figure, questions, amount=amount, months=months)
