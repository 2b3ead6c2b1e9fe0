"""Answers as a person would say them."""

import pytest

from server.checklists.template import Choice, Column, Question, Text
from server.checklists.wording import answer_text, render_rows

LABEL = Text("题", "question")
WORK = (Choice("casual", Text("零工", "casual work")), Choice("farming", Text("务农", "farming")))


@pytest.mark.parametrize(
    ("cell", "value", "zh", "en"),
    [
        (Column("a", "money", LABEL), 123456, "1,234.56 元", "1,234.56 yuan"),
        (Column("a", "money", LABEL), 0, "0.00 元", "0.00 yuan"),
        (Column("a", "yes_no", LABEL), False, "否", "no"),
        (Column("a", "choice", LABEL, choices=WORK), "farming", "务农", "farming"),
        (Column("a", "choice", LABEL, choices=WORK), "gone", "gone", "gone"),
        (Column("a", "multi_choice", LABEL, choices=WORK), ["casual", "farming"], "零工、务农", "casual work, farming"),
        (Column("a", "text", LABEL), "", "–", "–"),
    ],
)
def test_a_cell_is_said_in_both_languages(cell, value, zh, en):
    assert answer_text(cell, value) == Text(zh, en)


def test_a_member_table_is_said_row_by_row_and_who_left_is_not_hidden():
    table = Question(
        "t", "member_table", LABEL, columns=(Column("work", "choice", Text("就业", "Work"), choices=WORK),)
    )
    rows = [{"memberId": "m", "work": "casual"}, {"memberId": "gone", "work": "farming"}]
    assert render_rows(table, rows, {"m": "宋荷岚"}) == [
        (Text("宋荷岚", "宋荷岚"), [(Text("就业", "Work"), Text("零工", "casual work"))]),
        (Text("(名单外成员)", "(no longer listed)"), [(Text("就业", "Work"), Text("务农", "farming"))]),
    ]
