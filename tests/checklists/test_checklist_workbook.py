import io
import zipfile
from functools import partial

import pytest
from openpyxl import Workbook, load_workbook

from server.checklists import workbook_reader
from server.checklists.shipped import load_shipped
from server.checklists.template import Choice, Column, Question, Section, Template, Text, Tolerance
from server.checklists.template_checks import check_template
from server.checklists.workbook_layout import MAX_ROWS, WorkbookFaults
from server.checklists.workbook_writer import write_workbook
from server.core.spreadsheet_reader import read_sheets

# In this process: tests/core/test_spreadsheet_reader.py has the child process.
read_workbook = partial(workbook_reader.read_workbook, read=read_sheets)
WORDS = Text("题目", "Question")
CHOICES = (Choice("a", Text("甲", "A")), Choice("b", Text("乙", "B")))
SMALL = Template(
    "small",
    "care",
    3,
    WORDS,
    (
        Section(
            "one",
            WORDS,
            (
                Question("has", "yes_no", WORDS, required=True),
                Question(
                    "kind",
                    "choice",
                    WORDS,
                    choices=CHOICES,
                    visible_if={"===": [{"var": "answers.has"}, True]},
                ),
                Question(
                    "paid_fen",
                    "money",
                    Text("=1+1", "+cmd|' /C calc'!A0\nsecond line"),
                    hint=WORDS,
                    minimum=1,
                    maximum=12_345,
                    tolerance=Tolerance(50, 10),
                    constraint={"+": [{"var": "value"}, 1]},
                    constraint_message=WORDS,
                    constraint_severity="notice",
                ),
            ),
        ),
        Section(
            "two",
            WORDS,
            (
                Question(
                    "members",
                    "member_table",
                    WORDS,
                    columns=(Column("school", "choice", WORDS, choices=CHOICES[:1]),),
                ),
            ),
            {"===": [{"var": "visit.remote"}, False]},
        ),
    ),
)


def edit(template=SMALL, *, drop=None, **cells):
    """The workbook with cells changed: edit(问题_B3="x")."""
    book = load_workbook(io.BytesIO(write_workbook(template)))
    for place, value in cells.items():
        sheet, cell = place.split("_")
        book[sheet][cell] = value
    if drop:
        del book[drop]
    return save(book)


def save(book):
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def faults(content):
    with pytest.raises(WorkbookFaults) as caught:
        read_workbook(content)
    return [(fault.sheet, f"{fault.column}{fault.row}", fault.code) for fault in caught.value.faults]


@pytest.mark.parametrize("template", [SMALL, *load_shipped()], ids=lambda item: item.code)
def test_a_workbook_reads_back_as_the_very_same_template(template):
    assert check_template(template) == []
    assert read_workbook(write_workbook(template)) == template


def test_a_label_that_looks_like_a_formula_stays_text():
    cell = load_workbook(io.BytesIO(write_workbook(SMALL)))["问题"]["D5"]
    assert (cell.value, cell.data_type) == ("=1+1", "s")


def test_the_clerk_finds_chinese_headings_frozen_rows_and_drop_downs():
    book = load_workbook(io.BytesIO(write_workbook(SMALL)))
    assert book.sheetnames == ["说明", "走访表", "分节", "问题", "表格列", "选项"]
    sheet = book["问题"]
    assert [cell.value for cell in sheet[1]][:5] == [
        "所属分节",
        "题号",
        "题型",
        "题目（中文）",
        "题目（英文）",
    ]
    assert sheet.freeze_panes == "C3"
    lists = {str(rule.sqref): rule.formula1 for rule in sheet.data_validations.dataValidation}
    assert "文字" in lists["C3:C400"]
    assert "收入表" in lists["C3:C400"]
    assert lists["A3:A400"] == "'分节'!$A$3:$A$400"
    assert sheet["I4"].value == "has = 是", "conditions are written in the clerk's words"
    assert sheet["K5"].value == 123.45, "amounts stand in yuan"


def test_columns_may_be_reordered_and_blank_rows_skipped():
    book = load_workbook(io.BytesIO(write_workbook(SMALL)))
    sheet = book["选项"]
    sheet.insert_rows(4, 3)
    sheet.move_range("B1:B9", cols=5)
    assert read_workbook(save(book)) == SMALL


def test_codes_and_english_words_are_read_as_well_as_the_chinese():
    content = edit(走访表_B3="care", 问题_C3="yes_no", 问题_H3="yes", 问题_N5="notice")
    assert read_workbook(content) == SMALL


def test_all_bad_cells_are_reported_at_once_each_with_sheet_row_and_column():
    content = edit(
        走访表_B3="散步",
        走访表_C3="三",
        分节_C3=None,
        问题_A4="three",
        问题_C3="表情",
        问题_I5="has 大概 是",
        问题_J5="一块",
        表格列_D3=None,
        选项_A4="nothing",
    )
    assert faults(content) == [
        ("走访表", "B3", "workbook.not_listed"),
        ("走访表", "C3", "workbook.not_a_number"),
        ("分节", "C3", "template.text_missing"),
        ("问题", "C3", "workbook.not_listed"),
        ("问题", "A4", "workbook.unknown_reference"),
        ("问题", "I5", "workbook.bad_condition"),
        ("问题", "J5", "workbook.not_money"),
        ("表格列", "D3", "template.text_missing"),
        ("选项", "A4", "workbook.unknown_reference"),
    ]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"问题_B4": "has"}, ("问题", "B4", "template.duplicate_id")),
        ({"问题_I3": "paid_fen 已填"}, ("问题", "I3", "logic.forward_reference")),
        ({"问题_I4": '{"==": [1, 1]}'}, ("问题", "I4", "logic.unknown_operator")),
        ({"问题_I4": "hass = 是"}, ("问题", "I4", "logic.unknown_variable")),
        ({"问题_J5": 900}, ("问题", "J5", "template.bounds_inverted")),
        ({"问题_J5": 0.005}, ("问题", "J5", "workbook.not_money")),
        ({"问题_K5": "107、47万"}, ("问题", "K5", "workbook.not_money")),
        ({"问题_E5": None}, ("问题", "E5", "template.text_missing")),
        ({"问题_H3": "也许"}, ("问题", "H3", "workbook.not_yes_no")),
        ({"问题_O5": None, "问题_P5": None}, ("问题", "O5", "template.message_missing")),
        ({"问题_B3": "=A1"}, ("问题", "B3", "workbook.formula")),
        ({"问题_L5": 9}, ("问题", "L5", "template.length_unexpected")),
        ({"选项_B4": "a"}, ("选项", "B4", "template.duplicate_id")),
        ({"选项_D4": None}, ("选项", "D4", "template.text_missing")),
        ({"表格列_C3": "照片"}, ("表格列", "C3", "template.column_kind")),
        ({"表格列_A3": "has"}, ("问题", "C6", "template.columns_missing")),
        ({"走访表_C3": 0}, ("走访表", "C3", "template.version")),
        ({"走访表_A4": "second"}, ("走访表", "A4", "workbook.one_row")),
        ({"问题_B2": "identifier"}, ("问题", "B2", "workbook.unknown_column")),
        ({"问题_B2": "identifier"}, ("问题", "2", "workbook.missing_column")),
    ],
)
def test_a_bad_cell_is_found_where_it_stands(cells, expected):
    assert expected in faults(edit(**cells))


def test_a_workbook_from_before_the_sheet_was_renamed_is_still_read():
    book = load_workbook(io.BytesIO(write_workbook(SMALL)))
    book["走访表"].title = "清单"
    assert read_workbook(save(book)) == SMALL


def test_a_missing_sheet_is_named():
    assert ("选项", "0", "workbook.missing_sheet") in faults(edit(drop="选项"))


def test_every_sentence_is_whole_in_both_languages():
    with pytest.raises(WorkbookFaults) as caught:
        read_workbook(edit(问题_C3="表情", 问题_A4="x", 问题_I5="?", 选项_B3="A B"))
    for fault in caught.value.faults:
        assert fault.zh
        assert fault.en
        assert "{" not in fault.zh + fault.en


def rezip(content, change):
    """The archive with parts changed; `change` gets the name and bytes of each and gives bytes back."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return file.getvalue()


def add_part(content, name, data):
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return file.getvalue()


DTD = b'<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]>'
GOOD = write_workbook(SMALL)
HOSTILE = {
    "empty": b"",
    "text": "不是工作簿".encode(),
    "old xls": b"\xd0\xcf\x11\xe0" + b"\0" * 600,
    "cut in half": GOOD[: len(GOOD) // 2],
    "too large a file": GOOD + b"\0" * (2 * 1024 * 1024),
    "zip bomb": add_part(GOOD, "xl/media/a.bin", b"\0" * (65 * 1024 * 1024)),
    "macros": add_part(GOOD, "xl/vbaProject.bin", b"macro"),
    "entities": rezip(GOOD, lambda name, data: DTD + data if "sheet4" in name else data),
    "utf-16": rezip(GOOD, lambda name, data: data.decode().encode("utf-16") if "sheet4" in name else data),
    "broken xml": rezip(GOOD, lambda name, data: data[:-9] if "sheet4" in name else data),
    "word document": add_part(b"PK\x05\x06" + b"\0" * 18, "word/document.xml", b"<a/>"),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_file_that_is_no_honest_workbook_is_refused_with_a_reason(content):
    assert faults(content) == [("", "0", "workbook.unreadable")]


def test_a_cell_in_the_last_corner_of_the_sheet_costs_nothing_and_too_many_rows_are_refused():
    assert ("选项", f"{MAX_ROWS + 3}", "workbook.too_many_rows") in faults(edit(选项_XFD1048576="x"))
    assert read_workbook(edit(选项_XFD9="x")) == SMALL


def test_a_plain_empty_workbook_lists_all_its_missing_sheets():
    assert {code for _, _, code in faults(save(Workbook()))} == {"workbook.missing_sheet", "workbook.one_row"}
