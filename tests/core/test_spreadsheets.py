import csv
import io

import pytest
from openpyxl import load_workbook

from server.core.normalise import normalise_id
from server.core.spreadsheets import BYTE_ORDER_MARK, write_csv, write_xlsx

LONG = ["110105194912310028", "11010519491231002X", "6200001234567890123", "339901001001"]
SHORT = ["339901", "19900008888", "360.00", "YQ-0001", "", "1×110105194912310028"]


def test_no_long_number_stands_bare_in_a_csv_where_a_spreadsheet_would_round_it():
    content = write_csv(["号码"], [[value] for value in LONG + SHORT]).removeprefix(BYTE_ORDER_MARK).decode()
    cells = [row[0] if row else "" for row in csv.reader(io.StringIO(content))][1:]
    for value, cell in zip(LONG, cells[: len(LONG)], strict=True):
        with pytest.raises(ValueError, match="bare"):
            read_as_excel(value)
        assert read_as_excel(cell) == cell
        assert normalise_id(cell) == value  # the way back in
    assert cells[len(LONG) :] == SHORT


def test_a_workbook_holds_long_numbers_as_text():
    sheet = load_workbook(io.BytesIO(write_xlsx("表", ["号码"], [[value] for value in LONG]))).worksheets[0]
    assert [(cell.data_type, cell.value) for cell in next(sheet.iter_cols(min_row=2))] == [("s", v) for v in LONG]


def read_as_excel(cell):
    """Refuse what Excel takes for a number of more digits than it shows."""
    if cell.rstrip("Xx").isdigit() and len(cell) >= 12:
        raise ValueError(f"a bare number: {cell}")
    return cell
