"""Short ways to write a question, so that the checklists here read like the forms they replace."""

from typing import Any

from server.checklists.template import (
    Choice,
    Column,
    Question,
    QuestionKind,
    Section,
    Template,
    Text,
    Tolerance,
    VisitKind,
)

Words = tuple[str, str]
"""Chinese, English."""
Rule = dict[str, Any]


def ask(kind: QuestionKind, name: str, zh: str, en: str, *, columns: tuple[Column, ...] = (), **more: Any) -> Question:
    return Question(**_cell(kind, name, zh, en, more), columns=columns)


def column(kind: QuestionKind, name: str, zh: str, en: str, **more: Any) -> Column:
    return Column(**_cell(kind, name, zh, en, more))


def _cell(kind: QuestionKind, name: str, zh: str, en: str, more: dict[str, Any]) -> dict[str, Any]:
    choices: dict[str, Words] = more.pop("choices", {})
    for key in ("hint", "constraint_message"):
        if key in more:
            more[key] = Text(*more[key])
    if "tolerance" in more:
        more["tolerance"] = Tolerance(*more["tolerance"])
    listed = tuple(Choice(code, Text(*label)) for code, label in choices.items())
    return {"id": name, "kind": kind, "label": Text(zh, en), "choices": listed, "required": True} | more


def section(name: str, zh: str, en: str, *questions: Question, visible_if: Rule | None = None) -> Section:
    return Section(name, Text(zh, en), questions, visible_if)


def checklist(kind: VisitKind, zh: str, en: str, *sections: Section) -> Template:
    return Template(f"{kind}_standard", kind, 1, Text(zh, en), sections)


def answer(name: str) -> Rule:
    return {"var": f"answers.{name}"}


def yes(name: str) -> Rule:
    return {"===": [answer(name), True]}


def no(name: str) -> Rule:
    return {"===": [answer(name), False]}


def equals(name: str, code: str) -> Rule:
    return {"===": [answer(name), code]}


def contains(name: str, code: str) -> Rule:
    return {"in": [code, answer(name)]}


IN_PERSON: Rule = {"===": [{"var": "visit.remote"}, False]}
NOT_AFTER_TODAY: Rule = {"<=": [{"var": "value"}, {"var": "today"}]}
NOT_AFTER_TODAY_WORDS: Words = ("日期不能晚于今天。", "The date can't lie in the future.")
MUST_BE_YES: Rule = {"===": [{"var": "value"}, True]}
