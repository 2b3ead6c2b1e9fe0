"""A checklist as a form on paper, for days on which no phone works: every question, with room to write.

Paper can't hide a question, so each says in words when it is answered. The form names nobody; what is filled in is
entered at the desk later (`server/review/paper_visits.py`).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from server.checklists.conditions import format_condition
from server.checklists.template import INCOME_KINDS, Column, Question, Section, Template, iter_questions
from server.checklists.wording import visit_kind_text
from server.core.pdf import BlankForm, FormQuestion, FormSection

_HEAD: Final = (
    "户编号",
    "户主",
    "住址",
    "走访方式",
    "走访日期",
    "开始—结束时间",
    "在场家庭成员",
    "无任务走访的原因",
)
_SIGNATURES: Final = ("调查人员（一）", "日期", "调查人员（二）", "日期", "家庭成员", "日期")
_INTRO: Final = (
    "手机无法使用时填写。用黑色水笔当场填写，选项在方框内打“√”，改动处划去重写并签名，不得涂抹。"
    "标有“仅当”的题，条件不符时不填。"
)
_CLOSING: Final = (
    "两名调查人员须当场在家中签名。带回后由办公室补录，并附本表全部页的照片；"
    "两名调查人员再各自在自己的手机上确认。原件按档案规定保存。"
)
_LONG_TEXT = 60
_MEMBER_ROWS = 7
_UNITS: Final[Mapping[str, str]] = {"integer": "（数字）", "money": "元", "date": "（年 / 月 / 日）"}
_NOTES: Final[Mapping[str, str]] = {
    "geopoint": "（纸质表不填定位）",
    "photo": "（如另行拍照，请在此写明张数和内容）",
    "signature": "（请在表末签名）",
}
_INCOME_COLUMNS: Final = ("收入种类", "申报（元）", "查实（元）", "起（年 / 月）", "止（年 / 月）", "备注")
_NAME = re.compile(r"@?[a-z][a-z0-9_]*")
# What the short form of a condition writes, and what a reader understands.
_SIGNS: Final[Mapping[str, str]] = {
    "成员.age": "年龄",
    "本行.": "",
    " != ": " 不是 ",
    " >= ": " ≥ ",
    " <= ": " ≤ ",
    " = ": " 为 ",
    " 属于 ": " 为 ",
}
_FACTS: Final[Mapping[str, str]] = {"visit.remote": "远程走访", "household.class": "保障类别"}


def build_blank_form(template: Template) -> BlankForm:
    words = _words(template)
    kind = visit_kind_text(template.kind).zh
    return BlankForm(
        title=f"{template.title.zh}（纸质）",
        intro=_INTRO,
        edition=f"{kind} · {template.code} 第 {template.version} 版",
        head=list(_HEAD),
        sections=[_section(section, words) for section in template.sections],
        signatures=list(_SIGNATURES),
        closing=_CLOSING,
    )


def _words(template: Template) -> dict[str, str]:
    """Map what conditions name to what stands on the paper: the numbers of questions, the labels of choices."""
    words: dict[str, str] = dict(_FACTS)
    for question in iter_questions(template):
        words |= {choice.code: f"“{choice.label.zh}”" for choice in question.choices}
        for column in question.columns:
            words |= {choice.code: f"“{choice.label.zh}”" for choice in column.choices}
            words[column.id] = f"“{column.label.zh}”"
    words |= {question.id: f"第 {number} 题" for number, question in enumerate(iter_questions(template), 1)}
    return words


def _section(section: Section, words: Mapping[str, str]) -> FormSection:
    title = section.title.zh + (f"　{_when(section.visible_if, words)}" if section.visible_if else "")
    return FormSection(title=title, questions=[_question(question, words) for question in section.questions])


def _question(question: Question, words: Mapping[str, str]) -> FormQuestion:
    columns, rows = _table(question)
    notes = [question.hint.zh if question.hint else "", _NOTES.get(question.kind, "")]
    if question.visible_if:
        notes.append(_when(question.visible_if, words))
    notes += [_column_note(column, words) for column in question.columns]
    return FormQuestion(
        number=words[question.id].removeprefix("第 ").removesuffix(" 题") + ".",
        label=question.label.zh,
        required=question.required and question.kind not in _NOTES,
        note=" ".join(note for note in notes if note),
        choices=_choices(question),
        columns=columns,
        rows=rows,
        lines=_lines(question),
        unit=_UNITS.get(question.kind, ""),
    )


def _choices(cell: Column) -> list[str]:
    if cell.kind == "yes_no":
        return ["是", "否"]
    return [choice.label.zh for choice in cell.choices]


def _table(question: Question) -> tuple[list[str], list[str]]:
    if question.kind == "income_table":
        return list(_INCOME_COLUMNS), [zh for zh, _ in INCOME_KINDS.values()]
    if question.kind == "member_table":
        return ["姓名", *(column.label.zh for column in question.columns)], [""] * _MEMBER_ROWS
    return [], []


def _column_note(column: Column, words: Mapping[str, str]) -> str:
    """The choices of a table's column, which has no room for boxes."""
    parts = " / ".join(_choices(column)) or _UNITS.get(column.kind, "")
    when = _when(column.visible_if, words) if column.visible_if else ""
    return f"{column.label.zh}：{parts}{when}。" if parts or when else ""


def _lines(question: Question) -> int:
    if question.kind == "text":
        return 1 if question.max_length and question.max_length <= _LONG_TEXT else 3
    return 1 if question.kind == "photo" else 0


def _when(condition: dict[str, Any], words: Mapping[str, str]) -> str:
    """Say a condition in words; one that is too intricate for the short form is left to the interviewer."""
    text = format_condition(condition)
    if text.startswith("{"):
        return "（不适用时不填）"
    for sign, word in _SIGNS.items():
        text = text.replace(sign, word)
    text = "".join(_translate(part, words) for part in re.split(r"(\s+)", text))
    return f"（仅当 {text}）"


def _translate(part: str, words: Mapping[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        name = match.group().removeprefix("@")
        return words.get(name, match.group())

    return _NAME.sub(replace, part.replace("|", " 或 "))
