"""The data model of a checklist. `template_checks` holds the check that a checklist is consistent.

A template is a published, numbered, immutable document: phones carry it offline, a draft is finished on the version
it began with, and a change is a new version. A question is **one flat Struct** for all kinds and omits fields that its
kind doesn't use. It is not a union of twelve types: one type is simpler in TypeScript and OpenAPI, RxDB's schemas have
no good `oneOf`, and a question is a row of the Excel workbook. `check_template` checks which fields a kind may have and
reports faults in words, where a failed union reports "no variant matched".
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args

import msgspec

from server.checklists.faults import Severity
from server.checklists.feeds import Feed

VisitKind = Literal["intake", "review", "neighbour", "complaint", "spot_check", "care", "housing"]
RecordKind = Literal["publicity", "meeting", "posting", "handout", "application"]
"""Work beside the home visits (`server/records/declarations.py`)."""
ChecklistKind = VisitKind | RecordKind
CellKind = Literal["text", "integer", "money", "date", "choice", "multi_choice", "yes_no"]
"""Kinds that a column of a member table may have."""
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
"""The four legal kinds of income (docs/domain.md#income), in Chinese and English."""

CELL_KINDS: Final[frozenset[str]] = frozenset(get_args(CellKind))
CHOICE_KINDS: Final = frozenset({"choice", "multi_choice"})
NUMBER_KINDS: Final = frozenset({"integer", "money", "income_table"})
COUNT_KINDS: Final = frozenset({"multi_choice", "photo", "signature"})
"""Kinds whose minimum and maximum are numbers of items."""
LIST_KINDS: Final = frozenset({"multi_choice", "member_table", "income_table", "photo", "signature"})


class Text(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A text on screens, in both languages."""

    zh: str
    en: str


class Choice(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    # `proposes`: the register's value that this choice stands for, where its question feeds one.
    code: str
    label: Text
    proposes: str | None = None


class Tolerance(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The difference up to which two answers count as equal; the larger of the two limits applies.

    `absolute` is in the unit of the question (fen for money); `percent` is relative to the first answer.
    """

    absolute: int = 0
    percent: int = 0


class Column(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The fields of every question; used by itself, a column of a member table.

    `minimum` and `maximum` limit an integer, an amount in fen, or the number of choices, photos or signatures.
    `visible_if` and `constraint` are JsonLogic over `answers.ID`, `members`, `today`, `visit.remote` and
    `household`; in a column also over `row.ID` and `member`; in a constraint also over its own `value`.
    Constraints apply only to answered questions. A constraint of severity `notice` never blocks a submission.
    `feeds` is the figure of the register that the answer proposes once the visit is accepted.
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
    feeds: Feed | None = None


class Question(Column, rename="camel", forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """A question. Only a member table has columns; its answer has a row for each household member."""

    columns: tuple[Column, ...] = ()


class Section(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    id: str
    title: Text
    questions: tuple[Question, ...]
    visible_if: dict[str, Any] | None = None


class Template(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """A published version of a checklist."""

    code: str
    kind: ChecklistKind
    version: int
    title: Text
    sections: tuple[Section, ...]


def iter_questions(template: Template) -> Iterator[Question]:
    """Yield all questions in their order."""
    for section in template.sections:
        yield from section.questions


def digest_template(template: Template) -> str:
    """Return the SHA-256 (hex) of the canonical JSON; templates with equal digests are identical."""
    return hashlib.sha256(msgspec.json.encode(template, order="deterministic")).hexdigest()
