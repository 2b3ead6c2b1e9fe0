"""Faults of a checklist, a workbook cell or an answer, and their texts in Chinese and English.

A fault has a stable code for programs, a pointer for the screen and a sentence for the user. Faults are data, not
exceptions, so that a caseworker gets all of them at once.
"""

from functools import lru_cache
from typing import Any, Literal

import msgspec

Severity = Literal["error", "notice"]


class Fault(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """An invalid value. An `error` blocks a submission, a `notice` is stored for the reviewer.

    `pointer` is an RFC 6901 JSON pointer; `zh` and `en` are whole sentences with the params filled in.
    """

    pointer: str
    code: str
    zh: str
    en: str
    params: dict[str, Any] = {}
    severity: Severity = "error"


def make_fault(at: str, code: str, /, *, severity: Severity = "error", **params: Any) -> Fault:
    """Return a fault with the texts of `code` in MESSAGES (KeyError if there is none)."""
    zh, en = MESSAGES[code]
    return Fault(at, code, zh.format(**params), en.format(**params), params, severity)


@lru_cache(maxsize=20_000)
def make_pointer(*parts: str | int) -> str:
    """Return a JSON pointer; `~`, `/` and lone surrogates, which can't be encoded, are replaced."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "".join("/" + part for part in escaped).encode("utf-8", "replace").decode()


MESSAGES: dict[str, tuple[str, str]] = {
    # answers
    "answer.required": ("必填，尚未填写。", "An answer is required."),
    "answer.wrong_kind": (
        "填写内容的类型不对，应为{kind}。",
        "The answer has the wrong form; expected {kind}.",
    ),
    "answer.unknown_question": ("走访表中没有这一题。", "The checklist has no such question."),
    "answer.out_of_range": (
        "超出允许范围（{minimum} 至 {maximum}）。",
        "Outside the allowed range ({minimum} to {maximum}).",
    ),
    "answer.too_many": (
        "数量不对：需要 {minimum} 至 {maximum} 项，现有 {count} 项。",
        "Wrong number of items: {minimum} to {maximum} required, {count} given.",
    ),
    "answer.too_long": ("超过 {maxLength} 个字。", "Longer than {maxLength} characters."),
    "answer.not_a_choice": ("“{value}”不在选项中。", "'{value}' is not one of the choices."),
    "answer.duplicate": ("同一内容填写了两次。", "The same item appears twice."),
    "answer.constraint": ("{zh}", "{en}"),
    "answer.hidden": (
        "按现有答案本题无需填写，内容已保留但不参与计算。",
        "Other answers hide this question; its answer is stored and not used in calculations.",
    ),
    "answer.unknown_member": ("该人不是本户成员。", "This person is not a member of the household."),
    "answer.missing_member": (
        "缺少家庭成员 {memberId} 的一行。",
        "The row of household member {memberId} is missing.",
    ),
    "answer.missing_income_kind": ("缺少收入类别：{zh}。", "This kind of income is missing: {en}."),
    "answer.period_inverted": ("收入期间的结束月份早于开始月份。", "The period ends before it begins."),
    "answer.too_large": ("答案内容过大或嵌套过深。", "The answers are too large or too deeply nested."),
    # templates
    "template.bad_id": (
        "编号“{id}”不合规：用小写英文字母开头，只含小写字母、数字和下划线，最多 48 个字符。",
        "'{id}' can't be an id: lower-case letters, digits and underscores, a letter first, at most 48.",
    ),
    "template.duplicate_id": ("编号“{id}”重复。", "The id '{id}' is used twice."),
    "template.text_missing": (
        "中文和英文文字都要填写。",
        "Both the Chinese and the English text are needed.",
    ),
    "template.control_characters": ("文字中有控制字符。", "The text holds control characters."),
    "template.no_sections": ("走访表至少要有一个分节。", "A checklist needs at least one section."),
    "template.empty_section": ("本分节没有题目。", "This section has no question."),
    "template.version": ("版本号应从 1 开始。", "Versions count from 1."),
    "template.choices_missing": ("选择题至少要有一个选项。", "A question of this kind needs choices."),
    "template.choices_unexpected": ("这种题型不能有选项。", "This kind of question takes no choices."),
    "template.columns_missing": ("成员表至少要有一列。", "A member table needs at least one column."),
    "template.columns_unexpected": ("只有成员表可以有表格列。", "Only a member table takes columns."),
    "template.column_kind": (
        "成员表的列不能用“{kind}”题型。",
        "A column of a table can't be of kind {kind}.",
    ),
    "template.bounds_inverted": ("最小值大于最大值。", "The minimum is above the maximum."),
    "template.bounds_unexpected": ("这种题型没有最小值、最大值。", "This kind of question takes no bounds."),
    "template.bounds_negative": ("数量不能小于零。", "A number of items can't be below zero."),
    "template.length_unexpected": (
        "只有文字题可以限制字数。",
        "Only a text question takes a maximum length.",
    ),
    "template.tolerance_unexpected": (
        "只有数字题、金额题和收入表可以设允差。",
        "Only numbers and money take a tolerance.",
    ),
    "template.tolerance_negative": ("允差不能小于零。", "A tolerance can't be below zero."),
    "template.message_missing": ("有校验条件就要写校验提示。", "A constraint needs a message."),
    "template.message_unexpected": ("有校验提示却没有校验条件。", "There is a message but no constraint."),
    "template.feed_kind": ("这种题型不能提供“{zh}”。", "This kind of question can't feed '{feeds}'."),
    "template.feed_place": (
        "“{zh}”放错了位置：成员的情况写在成员表的列里，全家的数写在单独的题里。",
        "'{feeds}' is in the wrong place: figures of members belong in a member table, totals outside it.",
    ),
    "template.fed_twice": (
        "“{zh}”已由另一题提供，不能重复。",
        "Another question feeds '{feeds}' already.",
    ),
    "template.feeds_nothing": (
        "走访表没有一题提供登记数据：按它走访查实的情况到不了测算。",
        "No question feeds the register: what its visits find never reaches a calculation.",
    ),
    "template.proposes_missing": (
        "请为选项填写对应登记值。",
        "The choices say no value of the register.",
    ),
    "template.proposes_unexpected": (
        "选项写了对应登记值，但本题没有写提供什么。",
        "Choices say values of the register, and the question feeds nothing.",
    ),
    "template.proposes_unknown": (
        "对应登记值“{value}”不认识。可填：{allowed}。",
        "The register knows no '{value}'; one of: {allowed}.",
    ),
    "template.too_large": (
        "走访表过大：{what}最多 {limit}。",
        "The checklist is too large: at most {limit} {whatEn}.",
    ),
    # conditions
    "logic.not_a_rule": ("条件写法不对，无法识别。", "This is not a condition."),
    "logic.unknown_operator": (
        "不支持运算“{operator}”。可用：{allowed}。",
        "The operator '{operator}' is not allowed. Allowed: {allowed}.",
    ),
    "logic.bad_arguments": (
        "运算“{operator}”的参数不对。",
        "The operator '{operator}' has the wrong arguments.",
    ),
    "logic.unknown_variable": (
        "条件引用了不存在的“{name}”。",
        "The condition uses '{name}', which doesn't exist.",
    ),
    "logic.forward_reference": (
        "显示条件只能引用排在前面的题目，“{name}”在后面或就是本题。",
        "A display condition may use only earlier questions; '{name}' is this one or a later one.",
    ),
    "logic.not_a_list": ("“{name}”不是列表。", "'{name}' is not a list."),
    "logic.list_not_allowed": (
        "表格列的条件里不能再逐行计算。",
        "A condition in a row can't use list operators.",
    ),
    "logic.too_large": ("条件过长或嵌套过深。", "The condition is too long or too deeply nested."),
    # workbook cells
    "workbook.unreadable": ("无法读取：{zh}", "Can't be read: {en}"),
    "workbook.missing_sheet": ("缺少工作表“{name}”。", "The sheet '{name}' is missing."),
    "workbook.missing_column": ("缺少“{zh}”（{name}）列。", "The column {name} is missing."),
    "workbook.unknown_column": ("不认识的列“{name}”。", "Unknown column '{name}'."),
    "workbook.too_many_rows": ("行数过多：最多 {limit} 行。", "Too many rows: at most {limit}."),
    "workbook.one_row": ("“走访表”表应当只填一行。", "The sheet 走访表 takes exactly one row."),
    "workbook.formula": (
        "这是公式。请复制后“选择性粘贴—数值”。",
        "This is a formula; paste its value instead.",
    ),
    "workbook.not_text": (
        "应为文字。请把单元格设为“文本”格式后重填。",
        "Text is expected; format the cell as text.",
    ),
    "workbook.not_a_number": ("应为整数。", "A whole number is expected."),
    "workbook.not_money": (
        "应为金额（元，最多两位小数）。",
        "An amount in yuan with at most two decimals is expected.",
    ),
    "workbook.not_yes_no": ("应填“是”或“否”。", "是 or 否 (yes or no) is expected."),
    "workbook.not_listed": (
        "“{value}”不在可选范围内。可填：{allowed}。",
        "'{value}' is not one of: {allowed}.",
    ),
    "workbook.unknown_reference": ("没有编号为“{id}”的{zh}。", "There is no {en} with the id '{id}'."),
    "workbook.bad_condition": (
        "条件写法不对，请看“说明”表。",
        "This condition can't be read; see the sheet 说明.",
    ),
}
