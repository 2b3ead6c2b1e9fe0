"""The check that a checklist is consistent: sizes, ids and texts, the fields that a kind may have, conditions."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

from server.checklists.faults import Fault, make_fault, make_pointer
from server.checklists.feeds import check_feeds
from server.checklists.logic import VariableScope, check_condition, count_nodes
from server.checklists.template import (
    CELL_KINDS,
    CHOICE_KINDS,
    COUNT_KINDS,
    LIST_KINDS,
    NUMBER_KINDS,
    Column,
    Question,
    Template,
    Text,
    iter_questions,
)

MAX_SECTIONS = 40
MAX_QUESTIONS = 300
MAX_COLUMNS = 30
MAX_CHOICES = 100
MAX_LABEL_LENGTH = 300
MAX_TOTAL_CONDITION_NODES = 4000

MEMBER_FACTS: Final = frozenset({"memberId", "age", "sex", "relation"})
VISIT_FACTS: Final = frozenset({"today", "visit.remote", "household.class", "household.residence"})
INCOME_FIELDS: Final = frozenset({"kind", "declaredFen", "foundFen", "periodFrom", "periodTo", "note"})
GEOPOINT_FIELDS: Final = ("latitude", "longitude", "datum", "accuracyM", "capturedAt")
SIGNATURE_FIELDS: Final = frozenset({"evidenceId", "signerName", "memberId", "signedAt"})


def check_template(template: Template) -> list[Fault]:
    """Return all faults that prevent publication; their pointers are into the template's JSON."""
    too_large = list(_check_size(template))
    if too_large:
        return too_large
    return [
        *_check_head(template),
        *_check_ids(template),
        *_check_questions(template),
        *_check_conditions(template),
        *check_feeds(template),
    ]


# -- shape -------------------------------------------------------------------------------------------------


def _check_size(template: Template) -> Iterator[Fault]:
    questions = list(iter_questions(template))
    widest = max((len(question.columns) for question in questions), default=0)
    cells = [*questions, *(column for question in questions for column in question.columns)]
    most_choices = max((len(cell.choices) for cell in cells), default=0)
    conditions = [
        condition for cell in cells for condition in (cell.visible_if, cell.constraint) if condition is not None
    ]
    nodes = sum(count_nodes(condition) for condition in conditions)
    for count, limit, zh, en in (
        (len(template.sections), MAX_SECTIONS, "分节", "sections"),
        (len(questions), MAX_QUESTIONS, "题目", "questions"),
        (widest, MAX_COLUMNS, "表格列", "columns in a table"),
        (most_choices, MAX_CHOICES, "选项", "choices of a question"),
        (nodes, MAX_TOTAL_CONDITION_NODES, "条件项", "parts of conditions"),
    ):
        if count > limit:
            yield make_fault("/sections", "template.too_large", what=zh, limit=limit, whatEn=en)


def _check_head(template: Template) -> Iterator[Fault]:
    yield from _check_id(template.code, "/code")
    yield from _check_text(template.title, "/title")
    if template.version < 1:
        yield make_fault("/version", "template.version")
    if not template.sections:
        yield make_fault("/sections", "template.no_sections")
    for index, section in enumerate(template.sections):
        at = make_pointer("sections", index)
        yield from _check_text(section.title, at + "/title")
        if not section.questions:
            yield make_fault(at + "/questions", "template.empty_section")


def _check_ids(template: Template) -> Iterator[Fault]:
    """Question ids are unique in the whole template, since answers are keyed by them."""
    yield from _check_unique((section.id, make_pointer("sections", i)) for i, section in enumerate(template.sections))
    yield from _check_unique((question.id, at) for question, at in _iter_with_pointers(template))
    for question, at in _iter_with_pointers(template):
        yield from _check_unique((column.id, f"{at}/columns/{i}") for i, column in enumerate(question.columns))


def _check_unique(ids: Iterator[tuple[str, str]]) -> Iterator[Fault]:
    seen: set[str] = set()
    for name, at in ids:
        yield from _check_id(name, at + "/id")
        if name in seen:
            yield make_fault(at + "/id", "template.duplicate_id", id=name)
        seen.add(name)


_ID = re.compile(r"[a-z][a-z0-9_]{0,47}")
_RESERVED_IN_JAVASCRIPT = frozenset({"constructor", "length"})


def _check_id(name: str, at: str) -> Iterator[Fault]:
    if not _ID.fullmatch(name) or name in _RESERVED_IN_JAVASCRIPT:
        yield make_fault(at, "template.bad_id", id=name[:60])


def _check_text(text: Text | None, at: str) -> Iterator[Fault]:
    if text is None:
        return
    if not text.zh.strip() or not text.en.strip():
        yield make_fault(at, "template.text_missing")
    if any(unicodedata.category(letter) in {"Cc", "Cs"} and letter != "\n" for letter in text.zh + text.en):
        yield make_fault(at, "template.control_characters")
    if max(len(text.zh), len(text.en)) > MAX_LABEL_LENGTH:
        yield make_fault(at, "template.too_large", what="字数", whatEn="characters in a text", limit=MAX_LABEL_LENGTH)


def _iter_with_pointers(template: Template) -> Iterator[tuple[Question, str]]:
    for i, section in enumerate(template.sections):
        for j, question in enumerate(section.questions):
            yield question, make_pointer("sections", i, "questions", j)


# -- fields that a kind may have -----------------------------------------------------------------------------


def _check_questions(template: Template) -> Iterator[Fault]:
    for question, at in _iter_with_pointers(template):
        yield from _check_cell(question, at)
        yield from _check_columns(question, at)


def _check_columns(question: Question, at: str) -> Iterator[Fault]:
    if question.kind != "member_table":
        if question.columns:
            yield make_fault(at + "/columns", "template.columns_unexpected")
        return
    if not question.columns:
        yield make_fault(at + "/columns", "template.columns_missing")
    for index, column in enumerate(question.columns):
        column_at = f"{at}/columns/{index}"
        if column.kind not in CELL_KINDS:
            yield make_fault(column_at + "/kind", "template.column_kind", kind=column.kind)
        yield from _check_cell(column, column_at)


def _check_cell(cell: Column, at: str) -> Iterator[Fault]:
    yield from _check_text(cell.label, at + "/label")
    yield from _check_text(cell.hint, at + "/hint")
    yield from _check_text(cell.constraint_message, at + "/constraintMessage")
    yield from _check_choices(cell, at)
    yield from _check_bounds(cell, at)
    yield from _check_tolerance(cell, at)
    if cell.constraint is not None and cell.constraint_message is None:
        yield make_fault(at + "/constraintMessage", "template.message_missing")
    if cell.constraint is None and cell.constraint_message is not None:
        yield make_fault(at + "/constraintMessage", "template.message_unexpected")


def _check_choices(cell: Column, at: str) -> Iterator[Fault]:
    if cell.kind in CHOICE_KINDS and not cell.choices:
        yield make_fault(at + "/choices", "template.choices_missing")
    if cell.kind not in CHOICE_KINDS and cell.choices:
        yield make_fault(at + "/choices", "template.choices_unexpected")
    seen: set[str] = set()
    for index, choice in enumerate(cell.choices):
        choice_at = f"{at}/choices/{index}"
        yield from _check_id(choice.code, choice_at + "/code")
        yield from _check_text(choice.label, choice_at + "/label")
        if choice.code in seen:
            yield make_fault(choice_at + "/code", "template.duplicate_id", id=choice.code)
        seen.add(choice.code)


def _check_bounds(cell: Column, at: str) -> Iterator[Fault]:
    bounds = [bound for bound in (cell.minimum, cell.maximum) if bound is not None]
    bound_at = at + ("/minimum" if cell.minimum is not None else "/maximum")
    if bounds and cell.kind not in NUMBER_KINDS | COUNT_KINDS:
        yield make_fault(bound_at, "template.bounds_unexpected")
    elif cell.kind in COUNT_KINDS and any(bound < 0 for bound in bounds):
        yield make_fault(bound_at, "template.bounds_negative")
    if cell.minimum is not None and cell.maximum is not None and cell.minimum > cell.maximum:
        yield make_fault(at + "/minimum", "template.bounds_inverted")
    if cell.max_length is not None and cell.kind != "text":
        yield make_fault(at + "/maxLength", "template.length_unexpected")
    elif cell.max_length is not None and cell.max_length < 1:
        yield make_fault(at + "/maxLength", "template.bounds_negative")


def _check_tolerance(cell: Column, at: str) -> Iterator[Fault]:
    if cell.tolerance is None:
        return
    if cell.kind not in NUMBER_KINDS:
        yield make_fault(at + "/tolerance", "template.tolerance_unexpected")
    if min(cell.tolerance.absolute, cell.tolerance.percent) < 0:
        yield make_fault(at + "/tolerance", "template.tolerance_negative")


# -- conditions ----------------------------------------------------------------------------------------------


def _check_conditions(template: Template) -> Iterator[Fault]:
    """A `visibleIf` may use only earlier questions, so that conditions never depend on each other in a circle."""
    everything = list(iter_questions(template))
    earlier: list[Question] = []
    for i, section in enumerate(template.sections):
        yield from _check_condition(
            section.visible_if, _scope(earlier, everything), make_pointer("sections", i, "visibleIf")
        )
        for j, question in enumerate(section.questions):
            at = make_pointer("sections", i, "questions", j)
            yield from _check_condition(question.visible_if, _scope(earlier, everything), at + "/visibleIf")
            yield from _check_condition(
                question.constraint, _with_value(_scope(everything, []), question), at + "/constraint"
            )
            yield from _check_column_conditions(question, _scope(earlier, everything), _scope(everything, []), at)
            earlier.append(question)


def _check_column_conditions(
    question: Question, earlier: VariableScope, complete: VariableScope, at: str
) -> Iterator[Fault]:
    for index, column in enumerate(question.columns):
        column_at = f"{at}/columns/{index}"
        before, after = question.columns[:index], question.columns[index:]
        yield from _check_condition(column.visible_if, _in_row(earlier, before, after), column_at + "/visibleIf")
        inside = _with_value(_in_row(complete, question.columns, ()), column)
        yield from _check_condition(column.constraint, inside, column_at + "/constraint")


def _check_condition(condition: dict[str, Any] | None, scope: VariableScope, at: str) -> Iterator[Fault]:
    if condition is not None:
        for code, params in check_condition(condition, scope):
            yield make_fault(at, code, **params)


def _scope(available: list[Question], everything: list[Question]) -> VariableScope:
    scalars = set(VISIT_FACTS)
    lists: dict[str, frozenset[str]] = {"members": MEMBER_FACTS}
    for question in available:
        path = f"answers.{question.id}"
        if question.kind in LIST_KINDS:
            lists[path] = _fields(question)
        else:
            scalars.add(path)
        if question.kind == "geopoint":
            scalars.update(f"{path}.{field}" for field in GEOPOINT_FIELDS)
    available_ids = {question.id for question in available}
    later = frozenset(f"answers.{question.id}" for question in everything if question.id not in available_ids)
    return VariableScope(frozenset(scalars), lists, later)


def _fields(question: Column) -> frozenset[str]:
    """Return the fields of an item of a list answer; none for lists of codes and photos."""
    if isinstance(question, Question) and question.kind == "member_table":
        return frozenset({"memberId", *(column.id for column in question.columns)})
    return {"income_table": INCOME_FIELDS, "signature": SIGNATURE_FIELDS}.get(question.kind, frozenset())


def _in_row(scope: VariableScope, columns: tuple[Column, ...], later: tuple[Column, ...]) -> VariableScope:
    scalars = {f"row.{column.id}" for column in columns if column.kind != "multi_choice"}
    lists = {f"row.{column.id}": frozenset[str]() for column in columns if column.kind == "multi_choice"}
    return VariableScope(
        scope.scalars | scalars | {f"member.{field}" for field in MEMBER_FACTS},
        {**scope.lists, **lists},
        scope.later | {f"row.{column.id}" for column in later},
        allows_lists=False,
    )


def _with_value(scope: VariableScope, cell: Column) -> VariableScope:
    if cell.kind in LIST_KINDS:
        lists = {**scope.lists, "value": _fields(cell)}
        return VariableScope(scope.scalars, lists, scope.later, scope.allows_lists)
    return VariableScope(scope.scalars | {"value"}, scope.lists, scope.later, scope.allows_lists)
