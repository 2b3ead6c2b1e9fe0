"""The language in which a checklist is written, and the check that a checklist holds together.

A template is a published, numbered, frozen document: phones carry it offline, a draft finishes on the
version it began with, and a change is a new version. A question is **one flat Struct** for all kinds, with
fields that a kind doesn't use left out, and not a union of twelve: it is a single type in TypeScript and in
OpenAPI, RxDB's schemas have no good `oneOf`, and a question is a row of the Excel workbook. What a kind may
carry is held by `check_template`, which says it in words, where a failed union says "no variant matched".
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args

import msgspec

from server.checklists.faults import Fault, Severity, fault, pointer
from server.checklists.logic import Names, check_rule, count_nodes

VisitKind = Literal["intake", "review", "neighbour", "complaint", "spot_check", "care"]
CellKind = Literal["text", "integer", "money", "date", "choice", "multi_choice", "yes_no"]
"""What fits into one cell: the kinds that a column of a member table may have."""
QuestionKind = Literal[
    "text",
    "integer",
    "money",
    "date",
    "choice",
    "multi_choice",
    "yes_no",
    "member_table",
    "income_table",
    "geopoint",
    "photo",
    "signature",
]
IncomeKind = Literal["wages", "business", "property", "transfer"]

INCOME_KINDS: Final[dict[IncomeKind, tuple[str, str]]] = {
    "wages": ("工资性收入", "wages"),
    "business": ("经营净收入", "net business income"),
    "property": ("财产净收入", "net property income"),
    "transfer": ("转移净收入", "net transfer income"),
}
"""The four kinds of income that the law counts (docs/domain.md#income)."""

CELL_KINDS: Final[frozenset[str]] = frozenset(get_args(CellKind))
CHOICE_KINDS: Final = frozenset({"choice", "multi_choice"})
NUMBER_KINDS: Final = frozenset({"integer", "money", "income_table"})
COUNT_KINDS: Final = frozenset({"multi_choice", "photo", "signature"})
"""Kinds whose minimum and maximum count items."""
LIST_KINDS: Final = frozenset({"multi_choice", "member_table", "income_table", "photo", "signature"})

MAX_SECTIONS = 40
MAX_QUESTIONS = 300
MAX_COLUMNS = 30
MAX_CHOICES = 100
MAX_LABEL_LENGTH = 300
MAX_RULE_NODES_ALTOGETHER = 4000

MEMBER_FACTS: Final = frozenset({"memberId", "age", "sex", "relation"})
VISIT_FACTS: Final = frozenset({"today", "visit.remote", "household.class", "household.residence"})
INCOME_FIELDS: Final = frozenset({"kind", "declaredFen", "foundFen", "periodFrom", "periodTo", "note"})
GEOPOINT_FIELDS: Final = ("latitude", "longitude", "datum", "accuracyM", "capturedAt")
SIGNATURE_FIELDS: Final = frozenset({"evidenceId", "signerName", "memberId", "signedAt"})


class Text(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What a person reads, in both languages."""

    zh: str
    en: str


class Choice(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    code: str
    label: Text


class Tolerance(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """How far two answers may lie apart before a comparison calls them different; the larger counts.

    `absolute` is in the unit of the question (fen for money); `percent` is of the first answer.
    """

    absolute: int = 0
    percent: int = 0


class Column(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """What every question has; by itself, one column of a member table.

    `minimum` and `maximum` bound an integer, an amount in fen, or how many choices, photos or signatures.
    `visible_if` and `constraint` are JsonLogic over `answers.ID`, `members`, `today`, `visit.remote` and
    `household`; in a column also over `row.ID` and `member`; a constraint also over its own `value`.
    A constraint is not asked of a question without an answer. One of severity `notice` never blocks.
    """

    id: str
    kind: QuestionKind
    label: Text
    hint: Text | None = None
    required: bool = False
    visible_if: dict[str, Any] | None = None
    constraint: dict[str, Any] | None = None
    constraint_message: Text | None = None
    constraint_severity: Severity = "error"
    choices: tuple[Choice, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    max_length: int | None = None
    tolerance: Tolerance | None = None


class Question(Column, rename="camel", forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A question of a checklist; only a member table has columns, and it has one row per household member."""

    columns: tuple[Column, ...] = ()


class Section(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    id: str
    title: Text
    questions: tuple[Question, ...]
    visible_if: dict[str, Any] | None = None


class Template(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """One published version of one checklist."""

    code: str
    kind: VisitKind
    version: int
    title: Text
    sections: tuple[Section, ...]


def questions_of(template: Template) -> Iterator[Question]:
    """Every question in the order in which it is asked."""
    for section in template.sections:
        yield from section.questions


def digest_template(template: Template) -> str:
    """SHA-256 (hex) of the canonical JSON: two templates with one digest ask the same in the same words."""
    return hashlib.sha256(msgspec.json.encode(template, order="deterministic")).hexdigest()


def check_template(template: Template) -> list[Fault]:
    """Everything that keeps this template from being published; the pointers are into its JSON."""
    too_large = list(_check_size(template))
    if too_large:
        return too_large
    return [
        *_check_head(template),
        *_check_ids(template),
        *_check_questions(template),
        *_check_rules(template),
    ]


# -- shape -------------------------------------------------------------------------------------------------


def _check_size(template: Template) -> Iterator[Fault]:
    questions = list(questions_of(template))
    widest = max((len(question.columns) for question in questions), default=0)
    cells = [*questions, *(column for question in questions for column in question.columns)]
    most_choices = max((len(cell.choices) for cell in cells), default=0)
    rules = [rule for cell in cells for rule in (cell.visible_if, cell.constraint) if rule is not None]
    nodes = sum(count_nodes(rule) for rule in rules)
    for count, limit, zh, en in (
        (len(template.sections), MAX_SECTIONS, "分节", "sections"),
        (len(questions), MAX_QUESTIONS, "题目", "questions"),
        (widest, MAX_COLUMNS, "表格列", "columns in a table"),
        (most_choices, MAX_CHOICES, "选项", "choices of a question"),
        (nodes, MAX_RULE_NODES_ALTOGETHER, "条件项", "parts of conditions"),
    ):
        if count > limit:
            yield fault("/sections", "template.too_large", what=zh, limit=limit, whatEn=en)


def _check_head(template: Template) -> Iterator[Fault]:
    yield from _check_id(template.code, "/code")
    yield from _check_text(template.title, "/title")
    if template.version < 1:
        yield fault("/version", "template.version")
    if not template.sections:
        yield fault("/sections", "template.no_sections")
    for index, section in enumerate(template.sections):
        at = pointer("sections", index)
        yield from _check_text(section.title, at + "/title")
        if not section.questions:
            yield fault(at + "/questions", "template.empty_section")


def _check_ids(template: Template) -> Iterator[Fault]:
    """Question ids are one namespace for the whole template: answers are keyed by them."""
    yield from _check_unique((section.id, pointer("sections", i)) for i, section in enumerate(template.sections))
    yield from _check_unique((question.id, at) for question, at in _places(template))
    for question, at in _places(template):
        yield from _check_unique((column.id, f"{at}/columns/{i}") for i, column in enumerate(question.columns))


def _check_unique(ids: Iterator[tuple[str, str]]) -> Iterator[Fault]:
    seen: set[str] = set()
    for name, at in ids:
        yield from _check_id(name, at + "/id")
        if name in seen:
            yield fault(at + "/id", "template.duplicate_id", id=name)
        seen.add(name)


_ID = re.compile(r"[a-z][a-z0-9_]{0,47}")
_TAKEN_BY_JAVASCRIPT = frozenset({"constructor", "length"})


def _check_id(name: str, at: str) -> Iterator[Fault]:
    if not _ID.fullmatch(name) or name in _TAKEN_BY_JAVASCRIPT:
        yield fault(at, "template.bad_id", id=name[:60])


def _check_text(text: Text | None, at: str) -> Iterator[Fault]:
    if text is None:
        return
    if not text.zh.strip() or not text.en.strip():
        yield fault(at, "template.text_missing")
    if any(unicodedata.category(letter) in {"Cc", "Cs"} and letter != "\n" for letter in text.zh + text.en):
        yield fault(at, "template.control_characters")
    if max(len(text.zh), len(text.en)) > MAX_LABEL_LENGTH:
        yield fault(at, "template.too_large", what="字数", whatEn="characters in a text", limit=MAX_LABEL_LENGTH)


def _places(template: Template) -> Iterator[tuple[Question, str]]:
    for i, section in enumerate(template.sections):
        for j, question in enumerate(section.questions):
            yield question, pointer("sections", i, "questions", j)


# -- what each kind may carry --------------------------------------------------------------------------------


def _check_questions(template: Template) -> Iterator[Fault]:
    for question, at in _places(template):
        yield from _check_cell(question, at)
        yield from _check_columns(question, at)


def _check_columns(question: Question, at: str) -> Iterator[Fault]:
    if question.kind != "member_table":
        if question.columns:
            yield fault(at + "/columns", "template.columns_unexpected")
        return
    if not question.columns:
        yield fault(at + "/columns", "template.columns_missing")
    for index, column in enumerate(question.columns):
        place = f"{at}/columns/{index}"
        if column.kind not in CELL_KINDS:
            yield fault(place + "/kind", "template.column_kind", kind=column.kind)
        yield from _check_cell(column, place)


def _check_cell(cell: Column, at: str) -> Iterator[Fault]:
    yield from _check_text(cell.label, at + "/label")
    yield from _check_text(cell.hint, at + "/hint")
    yield from _check_text(cell.constraint_message, at + "/constraintMessage")
    yield from _check_choices(cell, at)
    yield from _check_bounds(cell, at)
    yield from _check_tolerance(cell, at)
    if cell.constraint is not None and cell.constraint_message is None:
        yield fault(at + "/constraintMessage", "template.message_missing")
    if cell.constraint is None and cell.constraint_message is not None:
        yield fault(at + "/constraintMessage", "template.message_unexpected")


def _check_choices(cell: Column, at: str) -> Iterator[Fault]:
    if cell.kind in CHOICE_KINDS and not cell.choices:
        yield fault(at + "/choices", "template.choices_missing")
    if cell.kind not in CHOICE_KINDS and cell.choices:
        yield fault(at + "/choices", "template.choices_unexpected")
    seen: set[str] = set()
    for index, choice in enumerate(cell.choices):
        place = f"{at}/choices/{index}"
        yield from _check_id(choice.code, place + "/code")
        yield from _check_text(choice.label, place + "/label")
        if choice.code in seen:
            yield fault(place + "/code", "template.duplicate_id", id=choice.code)
        seen.add(choice.code)


def _check_bounds(cell: Column, at: str) -> Iterator[Fault]:
    bounds = [bound for bound in (cell.minimum, cell.maximum) if bound is not None]
    place = at + ("/minimum" if cell.minimum is not None else "/maximum")
    if bounds and cell.kind not in NUMBER_KINDS | COUNT_KINDS:
        yield fault(place, "template.bounds_unexpected")
    elif cell.kind in COUNT_KINDS and any(bound < 0 for bound in bounds):
        yield fault(place, "template.bounds_negative")
    if cell.minimum is not None and cell.maximum is not None and cell.minimum > cell.maximum:
        yield fault(at + "/minimum", "template.bounds_inverted")
    if cell.max_length is not None and cell.kind != "text":
        yield fault(at + "/maxLength", "template.length_unexpected")
    elif cell.max_length is not None and cell.max_length < 1:
        yield fault(at + "/maxLength", "template.bounds_negative")


def _check_tolerance(cell: Column, at: str) -> Iterator[Fault]:
    if cell.tolerance is None:
        return
    if cell.kind not in NUMBER_KINDS:
        yield fault(at + "/tolerance", "template.tolerance_unexpected")
    if min(cell.tolerance.absolute, cell.tolerance.percent) < 0:
        yield fault(at + "/tolerance", "template.tolerance_negative")


# -- conditions ----------------------------------------------------------------------------------------------


def _check_rules(template: Template) -> Iterator[Fault]:
    """A `visibleIf` sees only what was asked before it, so no two conditions can wait for each other."""
    everything = list(questions_of(template))
    request: list[Question] = []
    for i, section in enumerate(template.sections):
        earlier = _names(request, everything)
        yield from _check_one(section.visible_if, earlier, pointer("sections", i, "visibleIf"))
        for j, question in enumerate(section.questions):
            at = pointer("sections", i, "questions", j)
            yield from _check_one(question.visible_if, _names(request, everything), at + "/visibleIf")
            yield from _check_one(
                question.constraint, _with_value(_names(everything, []), question), at + "/constraint"
            )
            yield from _check_column_rules(question, _names(request, everything), _names(everything, []), at)
            request.append(question)


def _check_column_rules(question: Question, earlier: Names, anything: Names, at: str) -> Iterator[Fault]:
    for index, column in enumerate(question.columns):
        place = f"{at}/columns/{index}"
        before, after = question.columns[:index], question.columns[index:]
        yield from _check_one(column.visible_if, _in_row(earlier, before, after), place + "/visibleIf")
        inside = _with_value(_in_row(anything, question.columns, ()), column)
        yield from _check_one(column.constraint, inside, place + "/constraint")


def _check_one(rule: dict[str, Any] | None, names: Names, at: str) -> Iterator[Fault]:
    if rule is not None:
        for code, params in check_rule(rule, names):
            yield fault(at, code, **params)


def _names(existing: list[Question], everything: list[Question]) -> Names:
    scalars = set(VISIT_FACTS)
    lists: dict[str, frozenset[str]] = {"members": MEMBER_FACTS}
    for question in existing:
        path = f"answers.{question.id}"
        if question.kind in LIST_KINDS:
            lists[path] = _fields(question)
        else:
            scalars.add(path)
        if question.kind == "geopoint":
            scalars.update(f"{path}.{field}" for field in GEOPOINT_FIELDS)
    known_ids = {question.id for question in existing}
    later = frozenset(f"answers.{question.id}" for question in everything if question.id not in known_ids)
    return Names(frozenset(scalars), lists, later)


def _fields(question: Column) -> frozenset[str]:
    """The names inside one item of a list answer; none for lists of codes and of photos."""
    if isinstance(question, Question) and question.kind == "member_table":
        return frozenset({"memberId", *(column.id for column in question.columns)})
    return {"income_table": INCOME_FIELDS, "signature": SIGNATURE_FIELDS}.get(question.kind, frozenset())


def _in_row(names: Names, columns: tuple[Column, ...], later: tuple[Column, ...]) -> Names:
    plain = {f"row.{column.id}" for column in columns if column.kind != "multi_choice"}
    many = {f"row.{column.id}": frozenset[str]() for column in columns if column.kind == "multi_choice"}
    return Names(
        names.scalars | plain | {f"member.{field}" for field in MEMBER_FACTS},
        {**names.lists, **many},
        names.later | {f"row.{column.id}" for column in later},
        may_walk_lists=False,
    )


def _with_value(names: Names, cell: Column) -> Names:
    if cell.kind in LIST_KINDS:
        lists = {**names.lists, "value": _fields(cell)}
        return Names(names.scalars, lists, names.later, names.may_walk_lists)
    return Names(names.scalars | {"value"}, names.lists, names.later, names.may_walk_lists)
