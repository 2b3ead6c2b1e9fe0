"""Layout of a checklist workbook: sheets, headings and Chinese terms, shared by its writer and its reader.

Sheets: 说明 (how to fill it in), 走访表 (the template, one row), 分节 (sections), 问题 (questions), 表格列 (columns of
member tables), 选项 (choices). Row 1 has Chinese headings, row 2 the column names that the reader uses; data starts in
row 3. Amounts are in yuan.
"""

from typing import Any, Final, NamedTuple, get_args

import msgspec

from server.checklists.faults import MESSAGES
from server.checklists.template import ChecklistKind, QuestionKind, RecordKind, VisitKind

MAX_ROWS = 3000
FIRST_ROW = 3


class CellFault(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """An invalid cell. `row` counts from 1 as Excel does; row 0 and an empty column mean the sheet or the file."""

    sheet: str
    row: int
    column: str
    code: str
    zh: str
    en: str
    params: dict[str, Any] = {}


class WorkbookFaults(Exception):
    """The workbook is invalid; `faults` has all reasons, in the order of the sheets."""

    def __init__(self, faults: list[CellFault]) -> None:
        super().__init__("; ".join(f"{fault.sheet}!{fault.column}{fault.row} {fault.en}" for fault in faults[:5]))
        self.faults = faults


def make_cell_fault(sheet: str, row: int, column: str, code: str, **params: Any) -> CellFault:
    zh, en = MESSAGES[code]
    return CellFault(sheet, row, column, code, zh.format(**params), en.format(**params), params)


class Heading(NamedTuple):
    name: str
    zh: str
    width: int
    optional: bool = False


_CELL_HEADINGS: Final = (
    Heading("id", "题号", 24),
    Heading("kind", "题型", 12),
    Heading("label_zh", "题目（中文）", 36),
    Heading("label_en", "题目（英文）", 36),
    Heading("hint_zh", "填写提示（中文）", 28, optional=True),
    Heading("hint_en", "填写提示（英文）", 28, optional=True),
    Heading("required", "必填", 7, optional=True),
    Heading("visible_if", "显示条件", 30, optional=True),
    Heading("minimum", "最小值/最少", 12, optional=True),
    Heading("maximum", "最大值/最多", 12, optional=True),
    Heading("max_length", "最多字数", 9, optional=True),
    Heading("constraint", "校验条件", 30, optional=True),
    Heading("severity", "不符时", 9, optional=True),
    Heading("message_zh", "校验提示（中文）", 28, optional=True),
    Heading("message_en", "校验提示（英文）", 28, optional=True),
    Heading("tolerance", "允差（数值）", 12, optional=True),
    Heading("tolerance_percent", "允差（%）", 9, optional=True),
    Heading("feeds", "提供给登记", 18, optional=True),
)
# Names that earlier versions wrote; offices still have such workbooks.
FORMER_SHEET_NAMES: Final = {"走访表": "清单"}
SHEETS: Final[dict[str, tuple[Heading, ...]]] = {
    "走访表": (
        Heading("code", "走访表编号", 24),
        Heading("kind", "走访类型", 14),
        Heading("version", "版本号", 9),
        Heading("title_zh", "名称（中文）", 36),
        Heading("title_en", "名称（英文）", 36),
    ),
    "分节": (
        Heading("id", "分节编号", 24),
        Heading("title_zh", "名称（中文）", 36),
        Heading("title_en", "名称（英文）", 36),
        Heading("visible_if", "显示条件", 40, optional=True),
    ),
    "问题": (Heading("section", "所属分节", 18), *_CELL_HEADINGS),
    "表格列": (Heading("table", "所属成员表（题号）", 22), *_CELL_HEADINGS),
    "选项": (
        Heading("owner", "所属题号（表格列写：题号.列号）", 34),
        Heading("code", "选项代码", 22),
        Heading("label_zh", "选项（中文）", 36),
        Heading("label_en", "选项（英文）", 36),
        Heading("proposes", "对应登记值", 18, optional=True),
    ),
}

VISIT_KIND_LABELS: Final[dict[ChecklistKind, str]] = {
    "intake": "入户调查",
    "review": "定期复核",
    "neighbour": "邻里走访",
    "complaint": "举报核查",
    "spot_check": "抽查",
    "care": "慰问走访",
    "housing": "廉租房核查",
    "publicity": "政策宣传",
    "meeting": "评议小组会议",
    "posting": "张贴公示",
    "handout": "救助发放",
    "application": "上门申请",
}
QUESTION_KIND_LABELS: Final[dict[QuestionKind, str]] = {
    "text": "文字",
    "integer": "整数",
    "money": "金额",
    "date": "日期",
    "choice": "单选",
    "multi_choice": "多选",
    "yes_no": "是否",
    "member_table": "成员表",
    "income_table": "收入表",
    "geopoint": "定位",
    "photo": "照片",
    "signature": "签名",
}
SEVERITY_LABELS: Final = {"error": "不能提交", "notice": "只作提示"}
YES: Final = frozenset({"是", "yes", "true", "1"})
NO: Final = frozenset({"否", "no", "false", "0", ""})

assert set(VISIT_KIND_LABELS) == {*get_args(VisitKind), *get_args(RecordKind)}, "a kind of visit has no Chinese label"
assert set(QUESTION_KIND_LABELS) == set(get_args(QuestionKind)), "a kind of question has no Chinese label"
