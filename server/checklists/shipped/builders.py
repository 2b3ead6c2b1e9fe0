"""Builders for questions, sections and conditions, so that the shipped checklists read like paper forms."""

from typing import Any

from server.checklists.template import (
    ChecklistKind,
    Choice,
    Column,
    Question,
    QuestionKind,
    Section,
    Template,
    Text,
    Tolerance,
)

Translation = tuple[str, str]
"""Chinese, English."""
Condition = dict[str, Any]


def question(
    kind: QuestionKind, name: str, zh: str, en: str, *, columns: tuple[Column, ...] = (), **fields: Any
) -> Question:
    return Question(**_cell(kind, name, zh, en, fields), columns=columns)


def column(kind: QuestionKind, name: str, zh: str, en: str, **fields: Any) -> Column:
    return Column(**_cell(kind, name, zh, en, fields))


def _cell(kind: QuestionKind, name: str, zh: str, en: str, fields: dict[str, Any]) -> dict[str, Any]:
    choices: dict[str, Translation] = fields.pop("choices", {})
    for key in ("hint", "constraint_message"):
        if key in fields:
            fields[key] = Text(*fields[key])
    if "tolerance" in fields:
        fields["tolerance"] = Tolerance(*fields["tolerance"])
    proposed: dict[str, str] = fields.pop("proposes", {})
    choice_list = tuple(Choice(code, Text(*label), proposed.get(code)) for code, label in choices.items())
    return {"id": name, "kind": kind, "label": Text(zh, en), "choices": choice_list, "required": True} | fields


def section(name: str, zh: str, en: str, *questions: Question, visible_if: Condition | None = None) -> Section:
    return Section(name, Text(zh, en), questions, visible_if)


def checklist(kind: ChecklistKind, zh: str, en: str, *sections: Section, version: int = 1) -> Template:
    """Return a shipped checklist. A change of its content needs a higher version: offices have published the former."""
    return Template(f"{kind}_standard", kind, version, Text(zh, en), sections)


def answer_variable(name: str) -> Condition:
    return {"var": f"answers.{name}"}


def is_yes(name: str) -> Condition:
    return {"===": [answer_variable(name), True]}


def is_no(name: str) -> Condition:
    return {"===": [answer_variable(name), False]}


def equals(name: str, code: str) -> Condition:
    return {"===": [answer_variable(name), code]}


def contains(name: str, code: str) -> Condition:
    return {"in": [code, answer_variable(name)]}


IN_PERSON: Condition = {"===": [{"var": "visit.remote"}, False]}
NOT_AFTER_TODAY: Condition = {"<=": [{"var": "value"}, {"var": "today"}]}
NOT_AFTER_TODAY_MESSAGE: Translation = ("日期不能晚于今天。", "The date can't lie in the future.")
MUST_BE_YES: Condition = {"===": [{"var": "value"}, True]}
