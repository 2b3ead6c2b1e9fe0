"""Validate a phone's answers against their checklist on the server.

Answers are a JSON object keyed by question id and are never changed here: `Reading.shown` has the visible, well-formed
ones, and all others become faults with JSON pointers. Drafts are checked for the kinds alone. An answer to a question
that other answers hide is **not** an error: the questions may have been answered in another order, and a refusal would
lose a visit. It gets the notice `answer.hidden` and counts as unanswered in all conditions and calculations.
"""

from collections.abc import Collection, Iterator
from typing import Any, Final, Literal

import msgspec

from server.checklists.answer_checks import check_submission
from server.checklists.answer_kinds import MAX_ROWS, check_kind, wrong_kind_fault
from server.checklists.facts import Facts, build_condition_data, build_row_data, is_shown
from server.checklists.faults import Fault, make_fault, make_pointer
from server.checklists.logic import is_true
from server.checklists.template import Question, Template, iter_questions
from server.core.ids import canonical_ids

Stage = Literal["draft", "submitted"]

MAX_VALUES = 20_000
MAX_DEPTH = 8
MAX_TEXT_LENGTH = 20_000
MAX_FAULTS = 300


class Reading(msgspec.Struct):
    """Answers read against their template. `shown` has only visible, well-formed answers."""

    shown: dict[str, Any]
    faults: list[Fault]


def validate_answers(
    template: Template, answers: Any, *, member_ids: Collection[str], facts: Facts, stage: Stage
) -> list[Fault]:
    """Return all faults of the answers; a submission is acceptable if none has severity `error`.

    The template must have passed `check_template`. Never raises, whatever the answers are.
    """
    return read_answers(template, answers, member_ids=member_ids, facts=facts, stage=stage).faults


def read_answers(
    template: Template, answers: Any, *, member_ids: Collection[str], facts: Facts, stage: Stage
) -> Reading:
    """Return the faults and the answers that count, for sums and comparisons."""
    if not isinstance(answers, dict):
        return Reading({}, [wrong_kind_fault("/answers", "member_table")])
    if not _is_bounded(answers):
        return Reading({}, [make_fault("/answers", "answer.too_large")])
    answers = canonical_ids(answers)
    data = build_condition_data(facts, member_ids)
    faults = [*_check_unknown(template, answers), *_read_sections(template, answers, data)]
    if stage == "submitted":
        faults += _drop_redundant(check_submission(template, data, member_ids), faults)
    else:
        faults = [fault for fault in faults if fault.code in _DRAFT_CODES]
    return Reading(data["answers"], faults[:MAX_FAULTS])


_DRAFT_CODES: Final = frozenset({"answer.wrong_kind", "answer.unknown_question", "answer.too_large"})


def _drop_redundant(submission_faults: Iterator[Fault], form_faults: list[Fault]) -> Iterator[Fault]:
    """Drop "required" where an answer exists and only its form is wrong."""
    malformed = [fault.pointer + "/" for fault in form_faults if fault.severity == "error"]
    for fault in submission_faults:
        if fault.code != "answer.required" or not any(at.startswith(fault.pointer + "/") for at in malformed):
            yield fault


def is_acceptable(faults: list[Fault]) -> bool:
    """Whether no fault blocks a submission."""
    return all(fault.severity != "error" for fault in faults)


def _is_bounded(answers: dict[str, Any]) -> bool:
    """Check size and depth without recursion; stop at the first limit exceeded."""
    stack: list[tuple[Any, int]] = [(answers, 1)]
    values = 0
    while stack:
        value, depth = stack.pop()
        values += 1
        if values > MAX_VALUES or depth > MAX_DEPTH or (isinstance(value, str) and len(value) > MAX_TEXT_LENGTH):
            return False
        if isinstance(value, dict):
            stack.extend((inner, depth + 1) for pair in value.items() for inner in pair)
        elif isinstance(value, list):
            stack.extend((inner, depth + 1) for inner in value)
    return True


def _check_unknown(template: Template, answers: dict[str, Any]) -> Iterator[Fault]:
    question_ids = {question.id for question in iter_questions(template)}
    for name in answers:
        if name not in question_ids:
            yield make_fault(make_pointer("answers", name), "answer.unknown_question")


def _read_sections(template: Template, answers: dict[str, Any], data: dict[str, Any]) -> Iterator[Fault]:
    """Fill `data["answers"]` in the order of the questions, so that conditions see all earlier answers."""
    for section in template.sections:
        is_section_shown = section.visible_if is None or is_true(section.visible_if, data)
        for question in section.questions:
            answer = answers.get(question.id)
            if answer is None:
                continue
            if not is_section_shown or not is_shown(question, data):
                yield make_fault(make_pointer("answers", question.id), "answer.hidden", severity="notice")
                continue
            yield from _read_question(question, answer, data)


def _read_question(question: Question, answer: Any, data: dict[str, Any]) -> Iterator[Fault]:
    at = make_pointer("answers", question.id)
    if question.kind == "member_table":
        yield from _read_rows(question, answer, data, at)
        return
    faults = list(check_kind(question, answer, at))
    yield from faults
    if not faults:
        data["answers"][question.id] = answer


def _read_rows(table: Question, answer: Any, data: dict[str, Any], at: str) -> Iterator[Fault]:
    if not isinstance(answer, list):
        yield wrong_kind_fault(at, table.kind)
        return
    if len(answer) > MAX_ROWS:
        yield make_fault(at, "answer.too_large")
        return
    shown_rows: list[dict[str, Any]] = []
    for index, row in enumerate(answer):
        row_at = f"{at}/{index}"
        if not isinstance(row, dict) or not isinstance(row.get("memberId"), str):
            yield wrong_kind_fault(row_at, table.kind)
            continue
        shown_rows.append({"memberId": row["memberId"]})
        yield from _read_row(table, row, shown_rows[-1], data, row_at)
    data["answers"][table.id] = shown_rows


def _read_row(
    table: Question, row: dict[str, Any], shown_row: dict[str, Any], data: dict[str, Any], at: str
) -> Iterator[Fault]:
    column_ids = {"memberId", *(column.id for column in table.columns)}
    for name in row:
        if name not in column_ids:
            yield make_fault(at + make_pointer(name), "answer.unknown_question")
    row_data = build_row_data(data, shown_row)
    for column in table.columns:
        cell = row.get(column.id)
        if cell is None:
            continue
        if not is_shown(column, row_data):
            yield make_fault(at + make_pointer(column.id), "answer.hidden", severity="notice")
            continue
        faults = list(check_kind(column, cell, at + make_pointer(column.id)))
        yield from faults
        if not faults:
            shown_row[column.id] = cell
