"""Spreadsheets from elsewhere: what stands in the cells, and files that are made to exhaust the server."""

import io
import os
import random
import zipfile
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from datetime import date
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import psutil
import pytest
from openpyxl import Workbook

from server.core.child_process import ChildFailed, ChildLimits, ChildProcess
from server.core.spreadsheet_reader import MAX_CELLS, SpreadsheetRefused
from server.core.spreadsheets import read_spreadsheet

MEGABYTE = 1024 * 1024
# A small register in BIFF8, as Excel 97 to 2003 and WPS write it. Made by xlwt 1.3: it never computes a formula.
OLD_WORKBOOK = Path(__file__).parent / "files" / "office.xls"
SHARED_STRINGS_TYPE = (
    b'<Override PartName="/xl/sharedStrings.xml" '
    b'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/>'
)


def save(book: Workbook) -> bytes:
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def replace_part(content: bytes, name: str, text: bytes) -> bytes:
    """The same archive with another text of one part."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, text if part.filename == name else old.read(part))
    return out.getvalue()


def small_book() -> Workbook:
    book = Workbook()
    book.active.append(["姓名", "金额"])
    return book


def with_shared_strings(pieces: Iterable[bytes]) -> bytes:
    """A workbook whose shared strings are these."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(save(small_book()))) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for part in old.infolist():
            new.writestr(part.filename, old.read(part).replace(b"</Types>", SHARED_STRINGS_TYPE + b"</Types>"))
        with new.open("xl/sharedStrings.xml", "w") as shared:
            shared.write(
                b'<?xml version="1.0"?><sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            )
            for piece in pieces:
                shared.write(piece)
            shared.write(b"</sst>")
    return out.getvalue()


def large_strings() -> bytes:
    return with_shared_strings(repeat(b"<si><t>" + b"A" * (MEGABYTE - 32) + b"</t></si>", 300))


def many_small_strings() -> bytes:
    """Within the limit of bytes, and many times as large in memory."""
    return with_shared_strings(repeat(b"<si><t/></si>" * 80_000, 31))


def wide_merge() -> bytes:
    book = small_book()
    book.active.append(["王秀英", 1])
    content = save(book)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    merged = b'</sheetData><mergeCells count="1"><mergeCell ref="A2:XFD1048576"/></mergeCells>'
    return replace_part(content, "xl/worksheets/sheet1.xml", sheet.replace(b"</sheetData>", merged))


def peak_mb_of_children() -> float:
    return max((child.memory_info().rss for child in psutil.Process().children(recursive=True)), default=0) / MEGABYTE


def test_a_cell_has_its_value_its_address_and_whether_it_was_merged_or_computed():
    book = Workbook()
    sheet: Any = book.active
    sheet["A1"], sheet["B1"], sheet["C1"] = "证件号码", "余额", "日期"
    sheet["A2"], sheet["B2"], sheet["C2"] = "甲", 300, date(2024, 2, 29)
    sheet["B3"], sheet["C5"] = 88000.5, "=1+1"
    sheet.merge_cells("A2:A3")
    (read,) = read_spreadsheet(save(book), "answers.xlsx")
    cells = {cell.address: cell for row in read.rows for cell in row.cells}
    assert [row.number for row in read.rows] == [1, 2, 3, 5]
    assert (cells["A3"].value, cells["A3"].merged_from) == ("甲", "A2")
    assert (cells["B2"].value, cells["B3"].value, cells["C2"].value) == (300, 88000.5, date(2024, 2, 29))
    assert (cells["B2"].text, cells["C2"].text, cells["A5"].text) == ("300", "2024-02-29", "")
    assert (cells["C5"].has_formula, cells["C5"].formula_without_value) == (True, True)
    assert not cells["B2"].has_formula


def test_a_formula_that_excel_has_computed_has_its_value():
    content = save(small_book())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    computed = b'<row r="2"><c r="B2"><f>40+2</f><v>42</v></c></row></sheetData>'
    content = replace_part(content, "xl/worksheets/sheet1.xml", sheet.replace(b"</sheetData>", computed))
    cell = read_spreadsheet(content, "a.xlsx")[0].rows[1].cells[1]
    assert (cell.value, cell.has_formula, cell.formula_without_value) == (42, True, False)


@pytest.mark.parametrize("name", ["office.xls", "office.et"])
def test_an_old_workbook_has_its_values_addresses_and_merged_cells_and_shows_which_numbers_are_rounded(name: str):
    (read,) = read_spreadsheet(OLD_WORKBOOK.read_bytes(), name)
    cells = {cell.address: cell for row in read.rows for cell in row.cells}
    assert (read.name, [row.number for row in read.rows]) == ("名册", [1, 2, 3, 4, 5])
    assert (cells["A4"].value, cells["A4"].merged_from) == ("X-1", "A3")
    assert (cells["G3"].value, cells["G3"].text, cells["H3"].value) == (300, "300", date(2019, 5, 1))
    assert (cells["D3"].text, cells["D3"].is_rounded) == (id_text(cells["D3"]), False)
    assert cells["D5"].is_rounded
    assert cells["G5"].value is None  # a formula that nobody has computed: it can't be told from an empty cell


def id_text(cell: Any) -> str:
    assert isinstance(cell.value, str)
    assert len(cell.value) == 18
    return cell.value


def test_a_damaged_old_workbook_ends_a_child_at_most():
    content, luck = OLD_WORKBOOK.read_bytes(), random.Random(3)
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(8):
            damaged[luck.randrange(len(damaged))] = luck.randrange(256)
        with suppress(SpreadsheetRefused):
            read_spreadsheet(bytes(damaged), "office.xls")
    assert read_spreadsheet(content, "office.xls")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_of_any_chinese_office_is_read(encoding: str, delimiter: str):
    lines = [["姓名", "证件号码", "余额"], ["", "", ""], ["王秀英", '="340123199001011234"', "300.00"]]
    content = "\r\n".join(delimiter.join(line) for line in lines).encode(encoding)
    (sheet,) = read_spreadsheet(content, "answers.csv")
    assert [row.number for row in sheet.rows] == [1, 3]
    assert [cell.value for cell in sheet.rows[1].cells] == ["王秀英", "340123199001011234", "300.00"]
    assert sheet.rows[1].cells[1].address == "B3"


@pytest.mark.parametrize(
    ("content", "filename", "reason"),
    [
        (b"\xd0\xcf\x11\xe0" + bytes(600), "a.xls", "damaged"),
        (b"\xd0\xcf\x11\xe0" + bytes(600) + "_VBA_PROJECT".encode("utf-16-le"), "a.xls", "macros"),
        (b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "a.xlsx", "encrypted"),
        (b"<html><table></table></html>", "a.xls", "web page"),
        (b"PK\x03\x04" + bytes(50), "a.xlsx", "damaged"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "a.csv", "neither"),
        (b"a,b", "a.xlsx", "not an .xlsx"),
        (b"," * 500_001, "a.csv", "too large"),
    ],
)
def test_what_is_no_table_is_refused_with_its_reason(content: bytes, filename: str, reason: str):
    with pytest.raises(SpreadsheetRefused) as refused:
        read_spreadsheet(content, filename)
    assert reason in refused.value.en


@pytest.mark.parametrize(
    "make", [large_strings, many_small_strings], ids=["300 MB of shared strings", "two million empty strings"]
)
def test_a_workbook_that_unpacks_to_much_more_fills_neither_this_process_nor_a_child(make: Callable[[], bytes]):
    content = make()
    before = psutil.Process().memory_info().rss
    with pytest.raises(SpreadsheetRefused, match="too large"):
        read_spreadsheet(content, "answers.xlsx")
    assert psutil.Process().memory_info().rss - before < 64 * MEGABYTE
    assert peak_mb_of_children() < 1024


def test_a_merged_range_as_large_as_a_sheet_costs_no_more_than_its_cells():
    (sheet,) = read_spreadsheet(wide_merge(), "answers.xlsx")
    assert [[cell.value for cell in row.cells] for row in sheet.rows] == [["姓名", "金额"], ["王秀英", "王秀英"]]


def test_cells_in_the_last_column_of_excel_are_read_until_there_are_too_many_before_them():
    book = small_book()
    sheet: Any = book.active
    sheet["XFD1048576"].number_format = "0.00"
    assert len(read_spreadsheet(save(book), "a.xlsx")[0].rows) == 1
    sheet["XFD1048575"] = "x"
    assert read_spreadsheet(save(book), "a.xlsx")[0].rows[-1].cells[-1].address == "XFD1048575"
    for row in range(2, 2 + MAX_CELLS // 16384):
        sheet.cell(row, 16384, "x")
    with pytest.raises(SpreadsheetRefused, match="too large"):
        read_spreadsheet(save(book), "a.xlsx")


# -- the child process


def fill_memory(megabytes: int) -> int:
    return len(bytearray(megabytes * MEGABYTE))


def never_end() -> None:
    while True:
        pass


def read_environment() -> dict[str, str]:
    return dict(os.environ)


def test_a_child_without_memory_fails_its_own_call_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ZOUFANG_BLIND_INDEX_KEY", "secret")
    with closing(ChildProcess(ChildLimits(memory_mb=512, seconds=60))) as child:
        for work, reason in ((partial(fill_memory, 1024), "memory"), (os.abort, "died")):
            with pytest.raises(ChildFailed) as failed:
                child.run(work)
            assert failed.value.reason == reason
        assert child.run(fill_memory, 1) == MEGABYTE
        assert not [name for name in child.run(read_environment) if name.startswith("ZOUFANG_")]
        with pytest.raises(ZeroDivisionError):
            child.run(divmod, 1, 0)


def test_a_child_that_does_not_end_in_time_is_ended():
    with closing(ChildProcess(ChildLimits(memory_mb=512, seconds=2))) as child:
        with pytest.raises(ChildFailed) as failed:
            child.run(never_end)
        assert failed.value.reason == "time"
