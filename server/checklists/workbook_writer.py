"""Write a checklist template as an Excel workbook for office clerks."""

import io
import math
from decimal import Decimal
from typing import Any, Final, get_args

from openpyxl import Workbook
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from server.checklists.conditions import format_condition
from server.checklists.feeds import FEED_LABELS, PROPOSED_LABELS
from server.checklists.template import CellKind, Column, QuestionKind, Template, Text, Tolerance
from server.checklists.workbook_layout import (
    FIRST_ROW,
    QUESTION_KIND_LABELS,
    SEVERITY_LABELS,
    SHEETS,
    VISIT_KIND_LABELS,
    Heading,
)

_HELP: Final = (
    "本工作簿是一份走访表。改好后保存为 .xlsx，用 import-checklist 导入；有错的单元格会逐个列出。",
    "每张表第 1 行是中文表头，第 2 行是列名（请勿改动），从第 3 行开始填写。空行会被跳过，列的先后可以调换。",
    "【走访表】只填一行。已发布的版本不能改；修改后把版本号加 1 再导入。",
    "【分节】按先后顺序列出。【问题】每行一题，“所属分节”写分节编号；同一分节内按行的先后提问。",
    "编号、题号、选项代码：小写英文字母开头，只用小写字母、数字、下划线。",
    "同一题在各走访表中用同一题号，抽查时才能逐项比对。",
    "题型：" + "、".join(QUESTION_KIND_LABELS.values()) + "。",
    "成员表：每位家庭成员一行，各列在【表格列】中定义。",
    "收入表：固定四行（工资性、经营净、财产净、转移净），分别填申报数、查实数和起止月份，不用另设列。",
    "最小值、最大值：整数题和金额题是数值的范围；多选、照片、签名是数量的范围。金额一律以元为单位。",
    "允差：两次走访的数字相差不超过允差时，不算不一致（数值和百分比取较大者）。",
    "不符时：“不能提交”会拦住提交；“只作提示”只提醒，原样保留，交审核人判断。",
    "提供给登记：走访审核通过后，这一题的答案作为哪一项登记数据的查实数（可填：见下拉）。没有一题填写的走访表到不了测算。",
    "　收入金额按题意选“月”或“年”；同一项只能由一题提供。健康、劳动能力写在成员表的列里。",
    "　单选题在【选项】的“对应登记值”写明每个选项对应什么；车辆等多选题，算一件的选项写“计入”。",
    "条件的写法：题号、比较符、值，中间可用“ 且 ”或“ 或 ”（两侧留空格）连接，但两者不能混用。",
    "　例：has_vehicle = 是　　｜　　housing_tenure 属于 rented|borrowed",
    "　例：high_spending 含 luxury_goods　｜　vehicles 不含 none　　｜　　与另一题比较：found_fen > @declared_fen",
    "　例：本题 >= 200元　｜　new_job_start <= 今天　｜　debt_fen 已填　｜　远程走访 = 否",
    "　例（只用于表格列）：成员.age >= 16 且 本行.works = 是",
    "　写法不够用时，可直接写 JsonLogic（以“{”开头）。显示条件只能引用排在前面的题。",
    "This workbook is one checklist. Row 2 names the columns; data begins in row 3; amounts are in yuan.",
    "A condition is ID, sign, value (是/否 = true/false), joined by 且 (and) or 或 (or), or JsonLogic.",
)


def write_workbook(template: Template) -> bytes:
    """Return the workbook of a template that passed `check_template`; `read_workbook` returns an equal template."""
    book = Workbook()
    help_sheet = book.active
    assert isinstance(help_sheet, Worksheet)
    _write_help(help_sheet)
    for name, rows in _build_rows(template).items():
        _write_sheet(book.create_sheet(name), SHEETS[name], rows)
    _add_dropdowns(book)
    book.active = book.index(book["问题"])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


_Row = dict[str, Any]


def _build_rows(template: Template) -> dict[str, list[_Row]]:
    questions = [(section, question) for section in template.sections for question in section.questions]
    tables = [(question, column) for _, question in questions for column in question.columns]
    owners: list[tuple[str, Column]] = [(question.id, question) for _, question in questions]
    owners += [(f"{question.id}.{column.id}", column) for question, column in tables]
    head = {"code": template.code, "kind": VISIT_KIND_LABELS[template.kind], "version": template.version}
    return {
        "走访表": [head | _texts("title", template.title)],
        "分节": [
            {"id": section.id, "visible_if": _condition(section.visible_if)} | _texts("title", section.title)
            for section in template.sections
        ],
        "问题": [{"section": section.id} | _cell_row(question) for section, question in questions],
        "表格列": [{"table": question.id} | _cell_row(column) for question, column in tables],
        "选项": [
            {"owner": owner, "code": choice.code, "proposes": PROPOSED_LABELS.get(choice.proposes or "")}
            | _texts("label", choice.label)
            for owner, cell in owners
            for choice in cell.choices
        ],
    }


def _cell_row(cell: Column) -> _Row:
    in_yuan = cell.kind in {"money", "income_table"}
    tolerance = cell.tolerance or Tolerance()
    return {
        "id": cell.id,
        "kind": QUESTION_KIND_LABELS[cell.kind],
        "required": "是" if cell.required else None,
        "visible_if": _condition(cell.visible_if),
        "minimum": _yuan(cell.minimum) if in_yuan else cell.minimum,
        "maximum": _yuan(cell.maximum) if in_yuan else cell.maximum,
        "max_length": cell.max_length,
        "constraint": _condition(cell.constraint),
        "severity": SEVERITY_LABELS[cell.constraint_severity] if cell.constraint else None,
        "tolerance": _yuan(tolerance.absolute or None) if in_yuan else tolerance.absolute or None,
        "tolerance_percent": tolerance.percent or None,
        "feeds": FEED_LABELS[cell.feeds] if cell.feeds else None,
        **_texts("label", cell.label),
        **_texts("hint", cell.hint),
        **_texts("message", cell.constraint_message),
    }


def _texts(name: str, text: Text | None) -> _Row:
    return {f"{name}_zh": text and text.zh, f"{name}_en": text and text.en}


def _condition(condition: dict[str, Any] | None) -> str | None:
    return None if condition is None else format_condition(condition)


def _yuan(fen: int | None) -> int | Decimal | None:
    if fen is None or fen % 100 == 0:
        return None if fen is None else fen // 100
    return Decimal(fen) / 100


_INK: Final = Font(name="微软雅黑", size=10)
_BOLD: Final = Font(name="微软雅黑", size=10, bold=True, color="FFFFFF")
_GREY: Final = Font(name="Consolas", size=9, color="666666")
_BLUE: Final = PatternFill("solid", fgColor="2F5D8A")
_PALE: Final = PatternFill("solid", fgColor="E8EEF5")
_WRAP: Final = Alignment(wrap_text=True, vertical="top")
_LINE: Final = Border(bottom=Side("thin", color="D9D9D9"))


def _write_help(sheet: Worksheet) -> None:
    sheet.title = "说明"
    sheet.column_dimensions["A"].width = 110
    for number, line in enumerate(_HELP, start=1):
        cell = sheet.cell(number, 1, line)
        cell.font, cell.alignment = _INK, _WRAP


def _write_sheet(sheet: Worksheet, headings: tuple[Heading, ...], rows: list[_Row]) -> None:
    for number, heading in enumerate(headings, start=1):
        top, name = sheet.cell(1, number, heading.zh), sheet.cell(2, number, heading.name)
        top.font, top.fill, top.alignment = _BOLD, _BLUE, _WRAP
        name.font, name.fill = _GREY, _PALE
        sheet.column_dimensions[get_column_letter(number)].width = heading.width
    for row_number, row in enumerate(rows, start=FIRST_ROW):
        for number, heading in enumerate(headings, start=1):
            _write_cell(sheet, row_number, number, row.get(heading.name))
        lines = max(_count_lines(row.get(heading.name), heading.width) for heading in headings)
        sheet.row_dimensions[row_number].height = 16 * min(lines, 12)
    frozen = next((i for i, heading in enumerate(headings, start=1) if heading.name in {"id", "code"}), 1)
    sheet.freeze_panes = f"{get_column_letter(frozen + 1)}{FIRST_ROW}"
    sheet.print_title_rows = "1:1"
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", sheet.PAPERSIZE_A4
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)


def _count_lines(value: Any, width: int) -> int:
    """Estimate the lines of a wrapped cell; a Chinese character is twice as wide as a letter."""
    if not isinstance(value, str):
        return 1
    widths = [sum(1 + (letter > "\u2e7f") for letter in line) for line in value.split("\n")]
    return sum(max(1, math.ceil(line_width / (width - 2))) for line_width in widths)


def _write_cell(sheet: Worksheet, row: int, column: int, value: Any) -> None:
    cell = sheet.cell(row, column, value)
    if isinstance(value, str):
        cell.data_type = "s"  # a label that starts with "=" is no formula
        cell.number_format = "@"
    cell.font, cell.alignment, cell.border = _INK, _WRAP, _LINE


def _add_dropdowns(book: Workbook) -> None:
    _add_choice_list(book, "走访表", "kind", list(VISIT_KIND_LABELS.values()))
    for sheet, kinds in (("问题", get_args(QuestionKind)), ("表格列", get_args(CellKind))):
        _add_choice_list(book, sheet, "kind", [QUESTION_KIND_LABELS[kind] for kind in kinds])
        _add_choice_list(book, sheet, "required", ["是", "否"])
        _add_choice_list(book, sheet, "severity", list(SEVERITY_LABELS.values()))
        _add_choice_list(book, sheet, "feeds", list(FEED_LABELS.values()))
    _add_choice_list(book, "选项", "proposes", list(PROPOSED_LABELS.values()))
    _add_id_list(book, "问题", "section", "分节", "id")
    _add_id_list(book, "表格列", "table", "问题", "id")


def _add_choice_list(book: Workbook, sheet: str, name: str, labels: list[str]) -> None:
    formula = '"' + ",".join(labels) + '"'
    _add_validation(book, sheet, name, formula, f"请从列表中选择：{'、'.join(labels)}")


def _add_id_list(book: Workbook, sheet: str, name: str, source: str, source_name: str) -> None:
    letter = _column_letter(source, source_name)
    _add_validation(book, sheet, name, f"'{source}'!${letter}${FIRST_ROW}:${letter}$400", f"请选择“{source}”表中的编号")


def _add_validation(book: Workbook, sheet: str, name: str, formula: str, error: str) -> None:
    validation = DataValidation("list", formula1=formula, allow_blank=True, showErrorMessage=True)
    validation.errorTitle, validation.error = "填写有误", error
    letter = _column_letter(sheet, name)
    validation.add(f"{letter}{FIRST_ROW}:{letter}400")
    book[sheet].add_data_validation(validation)


def _column_letter(sheet: str, name: str) -> str:
    names = [heading.name for heading in SHEETS[sheet]]
    letter: str = get_column_letter(names.index(name) + 1)
    return letter
