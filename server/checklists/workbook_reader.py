"""Read a checklist template from an Excel workbook, and report every invalid cell."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from server.checklists.conditions import ConditionError, parse_condition
from server.checklists.faults import Fault
from server.checklists.feeds import FEED_LABELS, PROPOSED_LABELS
from server.checklists.template import Choice, Column, Question, Section, Template, Text, Tolerance
from server.checklists.template_checks import check_template
from server.checklists.workbook_layout import (
    FIRST_ROW,
    NO,
    QUESTION_KIND_LABELS,
    SEVERITY_LABELS,
    SHEETS,
    VISIT_KIND_LABELS,
    YES,
    CellFault,
    WorkbookFaults,
)
from server.checklists.workbook_loader import FORMULA, LoadedRows, ReadSheets, SheetRow, load_rows, make_row_fault
from server.core.spreadsheets import read_spreadsheet


def read_workbook(content: bytes, read: ReadSheets = read_spreadsheet) -> Template:
    """Return the template of a workbook; raise WorkbookFaults with all invalid cells of all sheets.

    `read` reads the cells: in a child process, unless the caller made the file itself.
    """
    reader = _TemplateReader(load_rows(content, read))
    template = reader.read_template()
    if not reader.lacks_structure:
        reader.add_template_faults(check_template(template))
    if reader.faults:
        raise WorkbookFaults(sorted(reader.faults, key=_sheet_order))
    return template


def _sheet_order(cell_fault: CellFault) -> tuple[int, int, int, str]:
    sheets = list(SHEETS)
    return (
        sheets.index(cell_fault.sheet) if cell_fault.sheet in sheets else -1,
        cell_fault.row,
        len(cell_fault.column),
        cell_fault.column,
    )


class _TemplateReader:
    """Build the template row by row. Invalid cells get a placeholder, so that the rest can be checked too."""

    def __init__(self, sheets: LoadedRows) -> None:
        self.rows = sheets.rows
        self.faults = sheets.faults
        self.lacks_structure = bool(sheets.faults) and any(fault.row in {0, 2} for fault in sheets.faults)
        self.rows_by_pointer: dict[str, SheetRow] = {}

    def read_template(self) -> Template:
        heads = self.rows.get("走访表", [])
        if len(heads) != 1:
            self.lacks_structure = True
            self._add_fault(heads[1] if heads else SheetRow("走访表", FIRST_ROW, {}, {}), "code", "workbook.one_row")
            return Template("x", "intake", 1, Text("", ""), ())
        head = heads[0]
        self.rows_by_pointer[""] = head
        return Template(
            self.read_id(head, "code"),
            self.read_code(head, "kind", dict(VISIT_KIND_LABELS), "intake"),
            self.read_int(head, "version") or 0,
            self.read_text(head, "title") or Text("", ""),
            tuple(self._sections()),
        )

    def _add_fault(self, cells: SheetRow, name: str, code: str, **params: Any) -> None:
        self.faults.append(make_row_fault(cells, name, code, **params))

    # the sheets

    def _sections(self) -> Iterator[Section]:
        rows = self.rows.get("分节", [])
        section_ids = {self._peek_id(row, "id") for row in rows}
        question_ids = {self._peek_id(row, "id") for row in self.rows.get("问题", [])}
        column_rows = self.rows.get("表格列", [])
        column_ids = {f"{self._peek_id(row, 'table')}.{self._peek_id(row, 'id')}" for row in column_rows}
        questions = self._group_by_owner("问题", "section", section_ids, ("分节", "section"))
        columns = self._group_by_owner("表格列", "table", question_ids, ("题目", "question"))
        choices = self._group_by_owner("选项", "owner", question_ids | column_ids, ("题目", "question"))
        for index, row in enumerate(rows):
            at = f"/sections/{index}"
            self.rows_by_pointer[at] = row
            section = self.read_id(row, "id")
            yield Section(
                section,
                self.read_text(row, "title") or Text("", ""),
                tuple(
                    self._question(question, f"{at}/questions/{i}", columns, choices)
                    for i, question in enumerate(questions.pop(section, []))
                ),
                self.read_condition(row, "visible_if"),
            )

    def _group_by_owner(
        self, sheet: str, name: str, owners: set[str], owner_label: tuple[str, str]
    ) -> dict[str, list[SheetRow]]:
        groups: dict[str, list[SheetRow]] = {}
        for row in self.rows.get(sheet, []):
            owner = self.read_id(row, name)
            if owner not in owners or not owner:
                self._add_fault(
                    row, name, "workbook.unknown_reference", id=owner[:60], zh=owner_label[0], en=owner_label[1]
                )
            groups.setdefault(owner, []).append(row)
        return groups

    def _question(
        self, row: SheetRow, at: str, columns: dict[str, list[SheetRow]], choices: dict[str, list[SheetRow]]
    ) -> Question:
        name = self._peek_id(row, "id")
        table_columns = [
            Column(**self._cell(column, f"{at}/columns/{i}", choices.pop(f"{name}.{self._peek_id(column, 'id')}", [])))
            for i, column in enumerate(columns.pop(name, []))
        ]
        return Question(**self._cell(row, at, choices.pop(name, [])), columns=tuple(table_columns))

    def _cell(self, row: SheetRow, at: str, choices: list[SheetRow]) -> dict[str, Any]:
        self.rows_by_pointer[at] = row
        kind = self.read_code(row, "kind", dict(QUESTION_KIND_LABELS), "text")
        read_number = self.read_fen if kind in {"money", "income_table"} else self.read_int
        tolerance = Tolerance(read_number(row, "tolerance") or 0, self.read_int(row, "tolerance_percent") or 0)
        return {
            "id": self.read_id(row, "id"),
            "kind": kind,
            "label": self.read_text(row, "label") or Text("", ""),
            "hint": self.read_text(row, "hint"),
            "required": self.read_yes_no(row, "required"),
            "visible_if": self.read_condition(row, "visible_if"),
            "constraint": self.read_condition(row, "constraint"),
            "constraint_message": self.read_text(row, "message"),
            "constraint_severity": self.read_code(row, "severity", SEVERITY_LABELS, "error", blank="error"),
            "choices": tuple(self._choice(choice, f"{at}/choices/{i}") for i, choice in enumerate(choices)),
            "minimum": read_number(row, "minimum"),
            "maximum": read_number(row, "maximum"),
            "max_length": self.read_int(row, "max_length"),
            "tolerance": None if tolerance == Tolerance() else tolerance,
            "feeds": self._optional_code(row, "feeds", dict(FEED_LABELS)),
        }

    def _choice(self, row: SheetRow, at: str) -> Choice:
        self.rows_by_pointer[at] = row
        proposes = self._optional_code(row, "proposes", dict(PROPOSED_LABELS))
        return Choice(self.read_id(row, "code"), self.read_text(row, "label") or Text("", ""), proposes)

    def _optional_code(self, row: SheetRow, name: str, labels: dict[Any, str]) -> Any:
        return None if row.values.get(name) is None else self.read_code(row, name, labels, None)

    # the cells

    def _peek_id(self, row: SheetRow, name: str) -> str:
        """Return an id without reporting faults, to resolve references."""
        return (_as_text(row.values.get(name)) or "").strip()

    def read_id(self, row: SheetRow, name: str) -> str:
        return (self._read_raw_text(row, name) or "").strip()

    def _read_raw_text(self, row: SheetRow, name: str) -> str | None:
        value = row.values.get(name)
        text = _as_text(value)
        if value is not None and text is None and value is not FORMULA:
            self._add_fault(row, name, "workbook.not_text")
        return text

    def read_text(self, row: SheetRow, name: str) -> Text | None:
        zh, en = self._read_raw_text(row, f"{name}_zh"), self._read_raw_text(row, f"{name}_en")
        return None if zh is None and en is None else Text(zh or "", en or "")

    def read_code(self, row: SheetRow, name: str, labels: dict[Any, str], fallback: Any, *, blank: Any = None) -> Any:
        """Return the code of a dropdown value, given as its Chinese label or the code itself."""
        value = row.values.get(name)
        text = (_as_text(value) or "").strip()
        if blank is not None and not text and value is not FORMULA:
            return blank
        for code, label in labels.items():
            if text in {code, label}:
                return code
        if value is not FORMULA:
            self._add_fault(row, name, "workbook.not_listed", value=text[:60], allowed="、".join(labels.values()))
        return fallback

    def read_yes_no(self, row: SheetRow, name: str) -> bool:
        text = (_as_text(row.values.get(name)) or "").strip().lower()
        if text not in YES | NO:
            self._add_fault(row, name, "workbook.not_yes_no")
        return text in YES

    def read_int(self, row: SheetRow, name: str) -> int | None:
        return self._number(row, name, 1, "workbook.not_a_number")

    def read_fen(self, row: SheetRow, name: str) -> int | None:
        return self._number(row, name, 100, "workbook.not_money")

    def _number(self, row: SheetRow, name: str, scale: int, code: str) -> int | None:
        value = row.values.get(name)
        if value is None or value is FORMULA:
            return None
        number = _as_decimal(value)
        if number is None or (number * scale) % 1 != 0:
            self._add_fault(row, name, code)
            return None
        return int(number * scale)

    def read_condition(self, row: SheetRow, name: str) -> dict[str, Any] | None:
        text = self._read_raw_text(row, name)
        if text is None:
            return None
        try:
            return parse_condition(text)
        except ConditionError:
            self._add_fault(row, name, "workbook.bad_condition")
            return None

    # faults of check_template, mapped to cells

    def add_template_faults(self, faults: list[Fault]) -> None:
        """Add the faults, except in rows that already have one: a placeholder may have caused them."""
        faulty_rows = {(fault.sheet, fault.row) for fault in self.faults}
        for fault in faults:
            cells, name = self._locate(fault.pointer)
            if (cells.sheet, cells.row) not in faulty_rows:
                self.faults.append(
                    CellFault(
                        cells.sheet,
                        cells.row,
                        cells.letters.get(name, ""),
                        fault.code,
                        fault.zh,
                        fault.en,
                        fault.params,
                    )
                )

    def _locate(self, pointer: str) -> tuple[SheetRow, str]:
        prefix, rest = pointer, ""
        while prefix not in self.rows_by_pointer:
            prefix, _, last = prefix.rpartition("/")
            rest = last
        cells = self.rows_by_pointer[prefix]
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
    """Return the text of a cell. An integer, which Excel makes of a numeric code, becomes text; a date doesn't."""
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
    "feeds": "feeds",
    "proposes": "proposes",
}
_TEXT_COLUMNS: Final = {"label": "label", "title": "title", "hint": "hint", "constraintMessage": "message"}


def _column_name(field: str, cells: SheetRow) -> str:
    if field in _TEXT_COLUMNS:
        name = _TEXT_COLUMNS[field]
        return f"{name}_en" if cells.values.get(f"{name}_zh") is not None else f"{name}_zh"
    return _FIELD_COLUMNS.get(field, "code" if "code" in cells.letters else "id")
