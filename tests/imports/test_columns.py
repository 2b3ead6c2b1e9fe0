"""Cells of any file from outside: what is stored in clear holds no identity or card number."""

from datetime import date

from server.core.id_numbers import make_id_number
from server.core.spreadsheet_reader import Cell, Row, Sheet
from server.imports.columns import Line
from server.policy.values import AnswerColumns
from server.rosters.bank_answers import read_rows

NUMBER, CARD = make_id_number("110105", date(1961, 4, 2), 201), "6222020200112233445"


def test_a_number_is_read_in_its_own_column_and_masked_in_any_other_and_in_what_is_wrong():
    keys = ("id_number", "card", "address", "ground", "day")
    texts = (NUMBER, CARD, f"三组 18 号 {NUMBER}", f"卡\u200b{NUMBER}", NUMBER)
    line = Line(
        "表", 2, {key: Cell(text, f"A{place}") for place, (key, text) in enumerate(zip(keys, texts, strict=True))}, {}
    )
    assert (line.text("id_number"), line.text("card")) == (NUMBER, CARD)
    assert line.text("address") == f"三组 18 号 {'*' * 18}"
    assert line.day("day") is None
    line.add_fault("id_number", "id.check_digit", NUMBER, NUMBER)
    assert line.faults
    assert NUMBER not in str([line.text("ground"), line.faults])


def test_what_a_bank_says_of_a_payment_is_kept_without_numbers():
    words = AnswerColumns(reference="编号", yuan="金额", result="结果", reason="原因", paid=["成功"], returned=["失败"])
    cells = [["编号", "金额", "结果", "原因"], ["R-1", "88.30", "失败", f"户名不符 {NUMBER}"]]
    rows = [Row(place, [Cell(text, f"A{place}") for text in texts]) for place, texts in enumerate(cells, 1)]
    [row] = read_rows([Sheet("表", rows)], words)
    assert (row.fen, row.reason) == (8830, f"户名不符 {'*' * 18}")
