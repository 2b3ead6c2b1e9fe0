"""Checks of a submission: complete, within limits, and consistent with the members of the household."""

from collections.abc import Collection, Iterator
from typing import Any

from server.checklists.answer_kinds import MAX_ROWS
from server.checklists.facts import build_row_data, is_shown
from server.checklists.faults import Fault, make_fault, make_pointer
from server.checklists.logic import MAX_SAFE_INTEGER, is_true
from server.checklists.template import COUNT_KINDS, INCOME_KINDS, Column, Question, Template

DEFAULT_MAX_LENGTH = 2000
"""Characters (code points) of a text whose question sets no limit of its own."""


def check_submission(template: Template, data: dict[str, Any], member_ids: Collection[str]) -> Iterator[Fault]:
    """Yield the faults of the well-formed answers in `data`; hidden questions are skipped."""
    for section in template.sections:
        if section.visible_if is not None and not is_true(section.visible_if, data):
            continue
        for question in section.questions:
            at = make_pointer("answers", question.id)
            yield from _check_cell(question, data["answers"].get(question.id), data, at)
            yield from _check_table(question, data, set(member_ids), at)


def _check_cell(cell: Column, answer: Any, data: dict[str, Any], at: str) -> Iterator[Fault]:
    if not is_shown(cell, data):
        return
    if _is_blank(answer):
        if cell.required:
            yield make_fault(at, "answer.required")
        return
    yield from _check_content(cell, answer, at)
    if cell.constraint is not None and not is_true(cell.constraint, {**data, "value": answer}):
        message = cell.constraint_message
        assert message is not None, "check_template requires a message for each constraint"
        yield make_fault(at, "answer.constraint", severity=cell.constraint_severity, zh=message.zh, en=message.en)


def _is_blank(answer: Any) -> bool:
    return answer is None or answer == [] or (isinstance(answer, str) and not answer.strip())


def _check_content(cell: Column, answer: Any, at: str) -> Iterator[Fault]:
    if cell.kind == "text":
        limit = cell.max_length or DEFAULT_MAX_LENGTH
        if len(answer) > limit:
            yield make_fault(at, "answer.too_long", maxLength=limit)
    elif cell.kind in {"integer", "money"}:
        yield from _check_range(cell, answer, at)
    elif cell.kind == "choice":
        yield from _check_codes(cell, [answer], [at])
    elif cell.kind == "multi_choice":
        yield from _check_codes(cell, answer, [f"{at}/{index}" for index in range(len(answer))])
    elif cell.kind == "income_table":
        yield from _check_income(cell, answer, at)
    if cell.kind in COUNT_KINDS:
        yield from _check_items(cell, answer, at)


def _check_range(cell: Column, amount: int, at: str) -> Iterator[Fault]:
    minimum = -MAX_SAFE_INTEGER if cell.minimum is None else cell.minimum
    maximum = MAX_SAFE_INTEGER if cell.maximum is None else cell.maximum
    if not minimum <= amount <= maximum:
        yield make_fault(at, "answer.out_of_range", minimum=minimum, maximum=maximum)


def _check_codes(cell: Column, codes: list[str], pointers: list[str]) -> Iterator[Fault]:
    valid_codes = {choice.code for choice in cell.choices}
    for code, at in zip(codes, pointers, strict=True):
        if code not in valid_codes:
            yield make_fault(at, "answer.not_a_choice", value=code.encode("utf-8", "replace").decode()[:60])


def _check_items(cell: Column, items: list[Any], at: str) -> Iterator[Fault]:
    """Check the number of items, and that no photo, signature or code is repeated."""
    minimum = 0 if cell.minimum is None else cell.minimum
    maximum = MAX_ROWS if cell.maximum is None else cell.maximum
    if not minimum <= len(items) <= maximum:
        yield make_fault(at, "answer.too_many", minimum=minimum, maximum=maximum, count=len(items))
    keys = [item["evidenceId"] if isinstance(item, dict) else item for item in items]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            yield make_fault(f"{at}/{index}", "answer.duplicate")


def _check_income(cell: Column, rows: list[dict[str, Any]], at: str) -> Iterator[Fault]:
    kinds = [row["kind"] for row in rows]
    for kind, (zh, en) in INCOME_KINDS.items():
        if kind not in kinds:
            yield make_fault(at, "answer.missing_income_kind", kind=kind, zh=zh, en=en)
    for index, row in enumerate(rows):
        row_at = f"{at}/{index}"
        if row["kind"] in kinds[:index]:
            yield make_fault(row_at + "/kind", "answer.duplicate")
        yield from _check_income_row(cell, row, row_at)


def _check_income_row(cell: Column, row: dict[str, Any], at: str) -> Iterator[Fault]:
    for field in ("declaredFen", "foundFen", "periodFrom", "periodTo"):
        if row.get(field) is None:
            yield make_fault(f"{at}/{field}", "answer.required")
        elif field.endswith("Fen"):
            yield from _check_range(cell, row[field], f"{at}/{field}")
    start, end = row.get("periodFrom"), row.get("periodTo")
    if start is not None and end is not None and end < start:
        yield make_fault(at + "/periodTo", "answer.period_inverted")


def _check_table(question: Question, data: dict[str, Any], members: set[str], at: str) -> Iterator[Fault]:
    rows = data["answers"].get(question.id)
    if question.kind != "member_table" or rows is None:
        return
    seen: set[str] = set()
    for index, row in enumerate(rows):
        row_at = f"{at}/{index}"
        if row["memberId"] in seen:
            yield make_fault(row_at + "/memberId", "answer.duplicate")
        elif row["memberId"] not in members:
            yield make_fault(row_at + "/memberId", "answer.unknown_member")
        seen.add(row["memberId"])
        row_data = build_row_data(data, row)
        for column in question.columns:
            yield from _check_cell(column, row.get(column.id), row_data, row_at + make_pointer(column.id))
    if question.required and rows:
        for missing in sorted(members - seen):
            yield make_fault(at, "answer.missing_member", memberId=missing)
