"""A checklist as an Excel workbook: written for an office clerk, read back with every bad cell named.

Sheets: 说明 (how to fill it in), 走访表 (the template, one row), 分节 (sections), 问题 (questions), 表格列 (the
columns of member tables), 选项 (choices). Row 1 is the Chinese heading, row 2 the name by which the column is
read, data begins in row 3. Amounts stand in yuan. Reading takes values only: formulas are never evaluated,
macros and oversized or hostile archives are refused before the parser sees them.
"""

import io
import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple, get_args

import msgspec
from openpyxl import Workbook, load_workbook
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from server.checklists.conditions import ConditionError, format_condition, parse_condition
from server.checklists.faults import MESSAGES, Fault
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
    check_template,
)

MAX_WORKBOOK_BYTES = 2 * 1024 * 1024
MAX_UNPACKED_BYTES = 20 * 1024 * 1024
MAX_ARCHIVE_PARTS = 200
MAX_ROWS = 3000
MAX_WIDTH = 40
FIRST_ROW = 3


class CellFault(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """One bad cell. `row` counts from 1 as Excel does; 0 and an empty column mean the sheet or the file."""

    sheet: str
    row: int
    column: str
    code: str
    zh: str
    en: str
    params: dict[str, Any] = {}


class WorkbookFaults(Exception):
    """The workbook can't become a template; `faults` are all the reasons, in the order of sheets."""

    def __init__(self, faults: list[CellFault]) -> None:
        super().__init__("; ".join(f"{fault.sheet}!{fault.column}{fault.row} {fault.en}" for fault in faults[:5]))
        self.faults = faults


class _Heading(NamedTuple):
    name: str
    zh: str
    width: int
    optional: bool = False


_CELL_HEADINGS: Final = (
    _Heading("id", "题号", 24),
    _Heading("kind", "题型", 12),
    _Heading("label_zh", "题目（中文）", 36),
    _Heading("label_en", "题目（英文）", 36),
    _Heading("hint_zh", "填写提示（中文）", 28, optional=True),
    _Heading("hint_en", "填写提示（英文）", 28, optional=True),
    _Heading("required", "必填", 7, optional=True),
    _Heading("visible_if", "显示条件", 30, optional=True),
    _Heading("minimum", "最小值/最少", 12, optional=True),
    _Heading("maximum", "最大值/最多", 12, optional=True),
    _Heading("max_length", "最多字数", 9, optional=True),
    _Heading("constraint", "校验条件", 30, optional=True),
    _Heading("severity", "不符时", 9, optional=True),
    _Heading("message_zh", "校验提示（中文）", 28, optional=True),
    _Heading("message_en", "校验提示（英文）", 28, optional=True),
    _Heading("tolerance", "允差（数值）", 12, optional=True),
    _Heading("tolerance_percent", "允差（%）", 9, optional=True),
)
# Sheets under the name that earlier versions wrote; an office's own workbooks are still read.
_FORMER_NAMES: Final = {"走访表": "清单"}
_SHEETS: Final[dict[str, tuple[_Heading, ...]]] = {
    "走访表": (
        _Heading("code", "走访表编号", 24),
        _Heading("kind", "走访类型", 14),
        _Heading("version", "版本号", 9),
        _Heading("title_zh", "名称（中文）", 36),
        _Heading("title_en", "名称（英文）", 36),
    ),
    "分节": (
        _Heading("id", "分节编号", 24),
        _Heading("title_zh", "名称（中文）", 36),
        _Heading("title_en", "名称（英文）", 36),
        _Heading("visible_if", "显示条件", 40, optional=True),
    ),
    "问题": (_Heading("section", "所属分节", 18), *_CELL_HEADINGS),
    "表格列": (_Heading("table", "所属成员表（题号）", 22), *_CELL_HEADINGS),
    "选项": (
        _Heading("owner", "所属题号（表格列写：题号.列号）", 34),
        _Heading("code", "选项代码", 22),
        _Heading("label_zh", "选项（中文）", 36),
        _Heading("label_en", "选项（英文）", 36),
    ),
}

_VISITS: Final[dict[VisitKind, str]] = {
    "intake": "入户调查",
    "review": "定期复核",
    "neighbour": "邻里走访",
    "complaint": "举报核查",
    "spot_check": "抽查",
    "care": "慰问走访",
}
_KINDS: Final[dict[QuestionKind, str]] = {
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
_SEVERITIES: Final = {"error": "不能提交", "notice": "只作提示"}
_YES: Final = frozenset({"是", "yes", "true", "1"})
_NO: Final = frozenset({"否", "no", "false", "0", ""})

_HELP: Final = (
    "本工作簿是一份走访表。改好后保存为 .xlsx，用 import-checklist 导入；有错的单元格会逐个列出。",
    "每张表第 1 行是中文表头，第 2 行是列名（请勿改动），从第 3 行开始填写。空行会被跳过，列的先后可以调换。",
    "【走访表】只填一行。已发布的版本不能改；修改后把版本号加 1 再导入。",
    "【分节】按先后顺序列出。【问题】每行一题，“所属分节”写分节编号；同一分节内按行的先后提问。",
    "编号、题号、选项代码：小写英文字母开头，只用小写字母、数字、下划线。",
    "同一题在各走访表中用同一题号，抽查时才能逐项比对。",
    "题型：" + "、".join(_KINDS.values()) + "。",
    "成员表：每位家庭成员一行，各列在【表格列】中定义。",
    "收入表：固定四行（工资性、经营净、财产净、转移净），分别填申报数、查实数和起止月份，不用另设列。",
    "最小值、最大值：整数题和金额题是数值的范围；多选、照片、签名是数量的范围。金额一律以元为单位。",
    "允差：两次走访的数字相差不超过允差时，不算不一致（数值和百分比取较大者）。",
    "不符时：“不能提交”会拦住提交；“只作提示”只提醒，原样保留，交审核人判断。",
    "条件的写法：题号、比较符、值，中间可用“ 且 ”或“ 或 ”（两侧留空格）连接，但两者不能混用。",
    "　例：has_vehicle = 是　　｜　　housing_tenure 属于 rented|borrowed",
    "　例：high_spending 含 luxury_goods　｜　vehicles 不含 none　　｜　　与另一题比较：found_fen > @declared_fen",
    "　例：本题 >= 200元　｜　new_job_start <= 今天　｜　debt_fen 已填　｜　远程走访 = 否",
    "　例（只用于表格列）：成员.age >= 16 且 本行.works = 是",
    "　写法不够用时，可直接写 JsonLogic（以“{”开头）。显示条件只能引用排在前面的题。",
    "This workbook is one checklist. Row 2 names the columns; data begins in row 3; amounts are in yuan.",
    "A condition is ID, sign, value (是/否 = true/false), joined by 且 (and) or 或 (or), or JsonLogic.",
)


# -- writing -------------------------------------------------------------------------------------------------


def write_workbook(template: Template) -> bytes:
    """The workbook of a template that passed `check_template`; `read_workbook` gives an equal one back."""
    book = Workbook()
    help_sheet = book.active
    assert isinstance(help_sheet, Worksheet)
    _write_help(help_sheet)
    for name, rows in _rows_of(template).items():
        _write_sheet(book.create_sheet(name), _SHEETS[name], rows)
    _add_dropdowns(book)
    book.active = book.index(book["问题"])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


_Row = dict[str, Any]


def _rows_of(template: Template) -> dict[str, list[_Row]]:
    questions = [(section, question) for section in template.sections for question in section.questions]
    tables = [(question, column) for _, question in questions for column in question.columns]
    owners: list[tuple[str, Column]] = [(question.id, question) for _, question in questions]
    owners += [(f"{question.id}.{column.id}", column) for question, column in tables]
    head = {"code": template.code, "kind": _VISITS[template.kind], "version": template.version}
    return {
        "走访表": [head | _texts("title", template.title)],
        "分节": [
            {"id": section.id, "visible_if": _condition(section.visible_if)} | _texts("title", section.title)
            for section in template.sections
        ],
        "问题": [{"section": section.id} | _cell_row(question) for section, question in questions],
        "表格列": [{"table": question.id} | _cell_row(column) for question, column in tables],
        "选项": [
            {"owner": owner, "code": choice.code} | _texts("label", choice.label)
            for owner, cell in owners
            for choice in cell.choices
        ],
    }


def _cell_row(cell: Column) -> _Row:
    in_yuan = cell.kind in {"money", "income_table"}
    tolerance = cell.tolerance or Tolerance()
    return {
        "id": cell.id,
        "kind": _KINDS[cell.kind],
        "required": "是" if cell.required else None,
        "visible_if": _condition(cell.visible_if),
        "minimum": _yuan(cell.minimum) if in_yuan else cell.minimum,
        "maximum": _yuan(cell.maximum) if in_yuan else cell.maximum,
        "max_length": cell.max_length,
        "constraint": _condition(cell.constraint),
        "severity": _SEVERITIES[cell.constraint_severity] if cell.constraint else None,
        "tolerance": _yuan(tolerance.absolute or None) if in_yuan else tolerance.absolute or None,
        "tolerance_percent": tolerance.percent or None,
        **_texts("label", cell.label),
        **_texts("hint", cell.hint),
        **_texts("message", cell.constraint_message),
    }


def _texts(name: str, text: Text | None) -> _Row:
    return {f"{name}_zh": text and text.zh, f"{name}_en": text and text.en}


def _condition(rule: dict[str, Any] | None) -> str | None:
    return None if rule is None else format_condition(rule)


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


def _write_sheet(sheet: Worksheet, headings: tuple[_Heading, ...], rows: list[_Row]) -> None:
    for number, heading in enumerate(headings, start=1):
        top, name = sheet.cell(1, number, heading.zh), sheet.cell(2, number, heading.name)
        top.font, top.fill, top.alignment = _BOLD, _BLUE, _WRAP
        name.font, name.fill = _GREY, _PALE
        sheet.column_dimensions[get_column_letter(number)].width = heading.width
    for row_number, row in enumerate(rows, start=FIRST_ROW):
        for number, heading in enumerate(headings, start=1):
            _write_cell(sheet, row_number, number, row.get(heading.name))
        lines = max(_lines(row.get(heading.name), heading.width) for heading in headings)
        sheet.row_dimensions[row_number].height = 16 * min(lines, 12)
    frozen = next((i for i, heading in enumerate(headings, start=1) if heading.name in {"id", "code"}), 1)
    sheet.freeze_panes = f"{get_column_letter(frozen + 1)}{FIRST_ROW}"
    sheet.print_title_rows = "1:1"
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", sheet.PAPERSIZE_A4
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)


def _lines(value: Any, width: int) -> int:
    """How many lines a wrapped cell takes, a Chinese character being twice as wide as a letter."""
    if not isinstance(value, str):
        return 1
    widths = [sum(1 + (letter > "\u2e7f") for letter in line) for line in value.split("\n")]
    return sum(max(1, math.ceil(item / (width - 2))) for item in widths)


def _write_cell(sheet: Worksheet, row: int, column: int, value: Any) -> None:
    cell = sheet.cell(row, column, value)
    if isinstance(value, str):
        cell.data_type = "s"  # a label that begins with "=" must not become a formula
        cell.number_format = "@"
    cell.font, cell.alignment, cell.border = _INK, _WRAP, _LINE


def _add_dropdowns(book: Workbook) -> None:
    _offer(book, "走访表", "kind", list(_VISITS.values()))
    for sheet in ("问题", "表格列"):
        kinds = list(_KINDS.values()) if sheet == "问题" else [_KINDS[kind] for kind in list(_KINDS)[:7]]
        _offer(book, sheet, "kind", kinds)
        _offer(book, sheet, "required", ["是", "否"])
        _offer(book, sheet, "severity", list(_SEVERITIES.values()))
    _offer_ids(book, "问题", "section", "分节", "id")
    _offer_ids(book, "表格列", "table", "问题", "id")


def _offer(book: Workbook, sheet: str, name: str, words: list[str]) -> None:
    formula = '"' + ",".join(words) + '"'
    _validate(book, sheet, name, formula, f"请从列表中选择：{'、'.join(words)}")


def _offer_ids(book: Workbook, sheet: str, name: str, source: str, source_name: str) -> None:
    letter = _letter(source, source_name)
    _validate(book, sheet, name, f"'{source}'!${letter}${FIRST_ROW}:${letter}$400", f"请选择“{source}”表中的编号")


def _validate(book: Workbook, sheet: str, name: str, formula: str, error: str) -> None:
    rule = DataValidation("list", formula1=formula, allow_blank=True, showErrorMessage=True)
    rule.errorTitle, rule.error = "填写有误", error
    letter = _letter(sheet, name)
    rule.add(f"{letter}{FIRST_ROW}:{letter}400")
    book[sheet].add_data_validation(rule)


def _letter(sheet: str, name: str) -> str:
    names = [heading.name for heading in _SHEETS[sheet]]
    letter: str = get_column_letter(names.index(name) + 1)
    return letter


# -- reading -------------------------------------------------------------------------------------------------


def read_workbook(content: bytes) -> Template:
    """The template in a workbook; raises WorkbookFaults with every bad cell of every sheet."""
    reading = _Reading(_load_rows(content))
    template = reading.template()
    if not reading.hopeless:
        reading.add_template_faults(check_template(template))
    if reading.faults:
        raise WorkbookFaults(sorted(reading.faults, key=_reading_order))
    return template


def _reading_order(cell_fault: CellFault) -> tuple[int, int, int, str]:
    sheets = list(_SHEETS)
    return (
        sheets.index(cell_fault.sheet) if cell_fault.sheet in sheets else -1,
        cell_fault.row,
        len(cell_fault.column),
        cell_fault.column,
    )


class _Cells(msgspec.Struct):
    """One row of a sheet: its values, and where each stands."""

    sheet: str
    row: int
    values: dict[str, Any]
    letters: dict[str, str]


class _Sheets(NamedTuple):
    rows: dict[str, list[_Cells]]
    faults: list[CellFault]


def _load_rows(content: bytes) -> _Sheets:
    refusal = _refuse_archive(content)
    if refusal is not None:
        raise WorkbookFaults([_cell_fault("", 0, "", "workbook.unreadable", zh=refusal[0], en=refusal[1])])
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
        return _collect(book)
    except WorkbookFaults:
        raise
    except Exception as error:  # openpyxl raises whatever the broken XML made it raise
        reason = {"zh": "文件已损坏或不是 Excel 工作簿。", "en": "the file is damaged or no Excel workbook."}
        raise WorkbookFaults([_cell_fault("", 0, "", "workbook.unreadable", **reason)]) from error


def _refuse_archive(content: bytes) -> tuple[str, str] | None:
    if len(content) > MAX_WORKBOOK_BYTES:
        return "文件超过 2 MB。", "the file is larger than 2 MB."
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        return (
            "是旧版 .xls 或加密的文件，请另存为不加密的 .xlsx。",
            "it is an old .xls or encrypted; save as .xlsx.",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _refuse_parts(archive)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, RuntimeError, zlib.error):
        return "不是 .xlsx 文件。", "it is no .xlsx file."


def _refuse_parts(archive: zipfile.ZipFile) -> tuple[str, str] | None:
    parts = archive.infolist()
    if len(parts) > MAX_ARCHIVE_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
        return "解压后过大。", "it unpacks to too much."
    for part in parts:
        if part.filename.lower().endswith("vbaproject.bin"):
            return "含有宏，请另存为不带宏的 .xlsx。", "it carries macros; save it as .xlsx without them."
        if part.filename.lower().endswith((".xml", ".rels")) and not _is_plain_xml(archive.read(part)):
            return "内含不允许的 XML 声明。", "it declares XML entities or another encoding than UTF-8."
    return None


def _is_plain_xml(text: bytes) -> bool:
    """No DTD (entities that multiply), and no encoding in which one could hide from this look."""
    declared = re.match(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*encoding\s*=\s*[\"']([\w-]+)", text[:200])
    encoding = declared[1].lower() if declared else b"utf-8"
    return encoding in {b"utf-8", b"ascii", b"us-ascii"} and b"<!DOCTYPE" not in text and b"\x00" not in text[:400]


def _collect(book: Workbook) -> _Sheets:
    found: _Sheets = _Sheets({}, [])
    for name, headings in _SHEETS.items():
        title = name if name in book.sheetnames else _FORMER_NAMES.get(name, name)
        if title not in book.sheetnames:
            found.faults.append(_cell_fault(name, 0, "", "workbook.missing_sheet", name=name))
            continue
        grid = list(book[title].iter_rows(max_row=MAX_ROWS + FIRST_ROW, max_col=MAX_WIDTH))
        letters = _read_headings(name, headings, grid[1] if len(grid) > 1 else (), found.faults)
        found.rows[name] = _read_grid(name, grid, letters, found.faults)
    return found


def _read_headings(sheet: str, headings: tuple[_Heading, ...], row: Any, faults: list[CellFault]) -> dict[str, str]:
    letters: dict[str, str] = {}
    for number, cell in enumerate(row, start=1):
        name = "" if cell.value is None else str(cell.value).strip()
        if name in {heading.name for heading in headings}:
            letters.setdefault(name, get_column_letter(number))
        elif name:
            faults.append(_cell_fault(sheet, 2, get_column_letter(number), "workbook.unknown_column", name=name[:60]))
    for heading in headings:
        missing = heading.name not in letters and not heading.optional
        if missing:
            faults.append(_cell_fault(sheet, 2, "", "workbook.missing_column", zh=heading.zh, name=heading.name))
    return letters


def _read_grid(sheet: str, grid: list[Any], letters: dict[str, str], faults: list[CellFault]) -> list[_Cells]:
    if len(grid) >= MAX_ROWS + FIRST_ROW:
        faults.append(_cell_fault(sheet, MAX_ROWS + FIRST_ROW, "", "workbook.too_many_rows", limit=MAX_ROWS))
        return []
    rows = []
    numbers = {get_column_letter(number): number - 1 for number in range(1, MAX_WIDTH + 1)}
    for row_number, row in enumerate(grid[FIRST_ROW - 1 :], start=FIRST_ROW):
        cells = _Cells(sheet, row_number, {}, letters)
        for name, letter in letters.items():
            cell = row[numbers[letter]] if numbers[letter] < len(row) else None
            cells.values[name] = _plain_value(cell, cells, name, faults)
        if any(value is not None for value in cells.values.values()):
            rows.append(cells)
    return rows


def _plain_value(cell: Any, cells: _Cells, name: str, faults: list[CellFault]) -> Any:
    if cell is None or cell.value is None or (isinstance(cell.value, str) and not cell.value.strip()):
        return None
    if cell.data_type == "f":
        faults.append(_at(cells, name, "workbook.formula"))
        return _FORMULA
    return cell.value


_FORMULA: Final = object()
"""Stands for the value of a formula, which is reported once and not complained about again."""


def _at(cells: _Cells, name: str, code: str, **params: Any) -> CellFault:
    return _cell_fault(cells.sheet, cells.row, cells.letters.get(name, ""), code, **params)


def _cell_fault(sheet: str, row: int, column: str, code: str, **params: Any) -> CellFault:
    zh, en = MESSAGES[code]
    return CellFault(sheet, row, column, code, zh.format(**params), en.format(**params), params)


class _Reading:
    """Builds the template row by row; a bad cell gets a stand-in so that the rest can be judged too."""

    def __init__(self, sheets: _Sheets) -> None:
        self.rows = sheets.rows
        self.faults = sheets.faults
        self.hopeless = bool(sheets.faults) and any(fault.row in {0, 2} for fault in sheets.faults)
        self.places: dict[str, _Cells] = {}

    def template(self) -> Template:
        heads = self.rows.get("走访表", [])
        if len(heads) != 1:
            self.hopeless = True
            self._complain(heads[1] if heads else _Cells("走访表", FIRST_ROW, {}, {}), "code", "workbook.one_row")
            return Template("x", "intake", 1, Text("", ""), ())
        head = heads[0]
        self.places[""] = head
        return Template(
            self.read_id(head, "code"),
            self.read_word(head, "kind", dict(_VISITS), "intake"),
            self.read_int(head, "version") or 0,
            self.read_text(head, "title") or Text("", ""),
            tuple(self._sections()),
        )

    def _complain(self, cells: _Cells, name: str, code: str, **params: Any) -> None:
        self.faults.append(_at(cells, name, code, **params))

    # the sheets

    def _sections(self) -> Iterator[Section]:
        rows = self.rows.get("分节", [])
        questions = self._group("问题", "section", {self.peek(row, "id") for row in rows}, ("分节", "section"))
        tables = {self.peek(row, "id") for row in self.rows.get("问题", [])}
        columns = self._group("表格列", "table", tables, ("题目", "question"))
        owners = tables | {f"{self.peek(row, 'table')}.{self.peek(row, 'id')}" for row in self.rows.get("表格列", [])}
        choices = self._group("选项", "owner", owners, ("题目", "question"))
        for index, row in enumerate(rows):
            at = f"/sections/{index}"
            self.places[at] = row
            section = self.read_id(row, "id")
            mine = questions.pop(section, [])
            yield Section(
                section,
                self.read_text(row, "title") or Text("", ""),
                tuple(self._question(item, f"{at}/questions/{i}", columns, choices) for i, item in enumerate(mine)),
                self.read_condition(row, "visible_if"),
            )

    def _group(self, sheet: str, name: str, existing: set[str], what: tuple[str, str]) -> dict[str, list[_Cells]]:
        groups: dict[str, list[_Cells]] = {}
        for row in self.rows.get(sheet, []):
            owner = self.read_id(row, name)
            if owner not in existing or not owner:
                self._complain(row, name, "workbook.unknown_reference", id=owner[:60], zh=what[0], en=what[1])
            groups.setdefault(owner, []).append(row)
        return groups

    def _question(
        self, row: _Cells, at: str, columns: dict[str, list[_Cells]], choices: dict[str, list[_Cells]]
    ) -> Question:
        name = self.peek(row, "id")
        inside = [
            Column(**self._cell(item, f"{at}/columns/{i}", choices.pop(f"{name}.{self.peek(item, 'id')}", [])))
            for i, item in enumerate(columns.pop(name, []))
        ]
        return Question(**self._cell(row, at, choices.pop(name, [])), columns=tuple(inside))

    def _cell(self, row: _Cells, at: str, choices: list[_Cells]) -> dict[str, Any]:
        self.places[at] = row
        kind = self.read_word(row, "kind", dict(_KINDS), "text")
        read_number = self.read_fen if kind in {"money", "income_table"} else self.read_int
        tolerance = Tolerance(read_number(row, "tolerance") or 0, self.read_int(row, "tolerance_percent") or 0)
        return {
            "id": self.read_id(row, "id"),
            "kind": kind,
            "label": self.read_text(row, "label") or Text("", ""),
            "hint": self.read_text(row, "hint"),
            "required": self.read_yes(row, "required"),
            "visible_if": self.read_condition(row, "visible_if"),
            "constraint": self.read_condition(row, "constraint"),
            "constraint_message": self.read_text(row, "message"),
            "constraint_severity": self.read_word(row, "severity", _SEVERITIES, "error", blank="error"),
            "choices": tuple(self._choice(choice, f"{at}/choices/{i}") for i, choice in enumerate(choices)),
            "minimum": read_number(row, "minimum"),
            "maximum": read_number(row, "maximum"),
            "max_length": self.read_int(row, "max_length"),
            "tolerance": None if tolerance == Tolerance() else tolerance,
        }

    def _choice(self, row: _Cells, at: str) -> Choice:
        self.places[at] = row
        return Choice(self.read_id(row, "code"), self.read_text(row, "label") or Text("", ""))

    # the cells

    def peek(self, row: _Cells, name: str) -> str:
        """An id without a complaint, for finding who refers to whom."""
        return (_as_text(row.values.get(name)) or "").strip()

    def read_id(self, row: _Cells, name: str) -> str:
        return (self._words(row, name) or "").strip()

    def _words(self, row: _Cells, name: str) -> str | None:
        value = row.values.get(name)
        text = _as_text(value)
        if value is not None and text is None and value is not _FORMULA:
            self._complain(row, name, "workbook.not_text")
        return text

    def read_text(self, row: _Cells, name: str) -> Text | None:
        zh, en = self._words(row, f"{name}_zh"), self._words(row, f"{name}_en")
        return None if zh is None and en is None else Text(zh or "", en or "")

    def read_word(self, row: _Cells, name: str, words: dict[Any, str], fallback: Any, *, blank: Any = None) -> Any:
        """A word of a dropdown, in Chinese or as its code."""
        value = row.values.get(name)
        text = (_as_text(value) or "").strip()
        if blank is not None and not text and value is not _FORMULA:
            return blank
        for code, word in words.items():
            if text in {code, word}:
                return code
        if value is not _FORMULA:
            self._complain(row, name, "workbook.not_listed", value=text[:60], allowed="、".join(words.values()))
        return fallback

    def read_yes(self, row: _Cells, name: str) -> bool:
        text = (_as_text(row.values.get(name)) or "").strip().lower()
        if text not in _YES | _NO:
            self._complain(row, name, "workbook.not_yes_no")
        return text in _YES

    def read_int(self, row: _Cells, name: str) -> int | None:
        return self._number(row, name, 1, "workbook.not_a_number")

    def read_fen(self, row: _Cells, name: str) -> int | None:
        return self._number(row, name, 100, "workbook.not_money")

    def _number(self, row: _Cells, name: str, scale: int, code: str) -> int | None:
        value = row.values.get(name)
        if value is None or value is _FORMULA:
            return None
        number = _as_decimal(value)
        if number is None or (number * scale) % 1 != 0:
            self._complain(row, name, code)
            return None
        return int(number * scale)

    def read_condition(self, row: _Cells, name: str) -> dict[str, Any] | None:
        text = self._words(row, name)
        if text is None:
            return None
        try:
            return parse_condition(text)
        except ConditionError:
            self._complain(row, name, "workbook.bad_condition")
            return None

    # what check_template found, put back into its cell

    def add_template_faults(self, faults: list[Fault]) -> None:
        """Leaves out what stands in a row that has a bad cell already: it may come from the stand-in."""
        spoiled = {(fault.sheet, fault.row) for fault in self.faults}
        for item in faults:
            cells, name = self._locate(item.pointer)
            if (cells.sheet, cells.row) not in spoiled:
                self.faults.append(
                    CellFault(
                        cells.sheet,
                        cells.row,
                        cells.letters.get(name, ""),
                        item.code,
                        item.zh,
                        item.en,
                        item.params,
                    )
                )

    def _locate(self, pointer: str) -> tuple[_Cells, str]:
        prefix, rest = pointer, ""
        while prefix not in self.places:
            prefix, _, last = prefix.rpartition("/")
            rest = last
        cells = self.places[prefix]
        return cells, _column_name(rest, cells)


_MAX_DIGITS: Final = 13


def _as_decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and number.adjusted() <= _MAX_DIGITS else None


def _as_text(value: Any) -> str | None:
    """Text of a cell; a whole number that Excel made out of a code is text again, a date is not."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return None


_FIELD_COLUMNS: Final = {
    "visibleIf": "visible_if",
    "constraint": "constraint",
    "minimum": "minimum",
    "maximum": "maximum",
    "maxLength": "max_length",
    "tolerance": "tolerance",
    "kind": "kind",
    "version": "version",
    "choices": "kind",
    "columns": "kind",
}
_TEXT_COLUMNS: Final = {"label": "label", "title": "title", "hint": "hint", "constraintMessage": "message"}


def _column_name(field: str, cells: _Cells) -> str:
    if field in _TEXT_COLUMNS:
        name = _TEXT_COLUMNS[field]
        return f"{name}_en" if cells.values.get(f"{name}_zh") is not None else f"{name}_zh"
    return _FIELD_COLUMNS.get(field, "code" if "code" in cells.letters else "id")


assert set(_VISITS) == set(get_args(VisitKind)), "a kind of visit has no Chinese word"
assert set(_KINDS) == set(get_args(QuestionKind)), "a kind of question has no Chinese word"
