"""Files as banks want them: separated, fixed width and workbooks, GBK, control sums, so many lines a file."""

import io

import msgspec
import openpyxl
import pytest

from server.core.age_files import AgeReader, read_private_key
from server.core.errors import Problem
from server.policy.values import BankForm
from server.rosters.bank_files import FileLine, build_files, read_sums
from server.rosters.reconcile import reconcile
from tests import days
from tests.core.test_age_files import PRIVATE as PRIVATE_KEY
from tests.core.test_age_files import PUBLIC
from tests.makers.rosters import PILOT

PUBLIC_KEY = PUBLIC.decode()
ANSWER = {"reference": "编号", "yuan": "金额", "result": "结果", "paid": ["成功"], "returned": ["失败"]}
NAMES = {"code": "a", "zh": "某行", "en": "A bank"}
LINES = [
    FileLine(1, "FF1-00001", "安平", "6222020000000000001", "农商行", "低保金202611", 300_00),
    FileLine(2, "FF1-00002", "和康·宁", "6222020000000000002", "农商行", "低保金202611", 250_05),
    FileLine(3, "FF1-00003", "福禄", "6222020000000000003", "农商行", "低保金202611", 1),
]


def form(**more):
    return msgspec.convert(NAMES | {"answer": ANSWER} | more, BankForm)


SEPARATED = {
    "format": "csv",
    "separator": "|",
    "headings": False,
    "control": "yuan",
    "columns": [{"field": "reference"}, {"field": "account"}, {"field": "payee"}, {"field": "yuan"}],
}
FIXED = {
    "format": "fixed",
    "encoding": "gbk",
    "control": "fen",
    "columns": [
        {"field": "position", "width": 6, "align": "right", "pad": "0"},
        {"field": "account", "width": 40},
        {"field": "payee", "width": 25},
        {"field": "fen", "width": 12, "align": "right", "pad": "0"},
        {"field": "constant", "constant": "01", "width": 2},
    ],
}


def test_a_separated_file_begins_with_the_number_of_lines_and_their_sum():
    (content,) = build_files(form(**SEPARATED), LINES)
    texts = content.decode().split("\r\n")
    assert texts[:2] == ["3|550.06", "FF1-00001|6222020000000000001|安平|300.00"]
    assert read_sums(form(**SEPARATED), content).total_fen == 550_06


def test_a_column_of_fixed_width_counts_the_bytes_of_gbk():
    (content,) = build_files(form(**FIXED), LINES)
    control, first, *_ = content.split(b"\r\n")
    assert control == b"3|55006"
    assert {len(line) for line in content.split(b"\r\n")[1:-1]} == {6 + 40 + 25 + 12 + 2}
    assert first[46:71].decode("gbk").rstrip() == "安平"
    assert first[71:83] == b"000000030000"


def test_a_workbook_holds_exact_numbers_and_accounts_as_text():
    workbook = form(
        format="xlsx", columns=[{"field": "account", "heading": "账号"}, {"field": "yuan", "heading": "金额"}]
    )
    (content,) = build_files(workbook, LINES)
    rows = list(openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True))
    assert rows[1] == ("6222020000000000001", 300)
    assert sum(round(row[1] * 100) for row in rows[1:]) == 550_06


def test_a_file_has_no_more_lines_than_the_bank_takes_and_the_sums_are_of_all():
    files = build_files(form(**SEPARATED, mostLines=2), LINES)
    assert [content.decode().split("\r\n")[0] for content in files] == ["2|550.05", "1|0.01"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"payee": "很长" * 13}, "too long"),
        ({"payee": "安𠮷"}, "encoding lacks"),
    ],
)
def test_what_a_banks_form_cannot_hold_gives_no_file(change, why):
    line = msgspec.structs.replace(LINES[0], **change)
    with pytest.raises(Problem) as refused:
        build_files(form(**FIXED), [line])
    assert why in refused.value.facts["why_en"]


def test_a_value_with_the_separator_gives_no_file():
    with pytest.raises(Problem):
        build_files(form(**SEPARATED), [msgspec.structs.replace(LINES[0], payee="安|平")])


def test_a_key_that_no_file_can_be_sealed_to_is_refused_with_the_form():
    for key in (PUBLIC_KEY[:-1] + "p", "age1", PRIVATE_KEY.decode()):
        with pytest.raises(msgspec.ValidationError):
            form(**SEPARATED, publicKey=key)


async def test_where_the_bank_gives_a_key_its_files_leave_sealed_and_it_alone_opens_them(pay, services):
    columns = [{"field": "reference"}, {"field": "account"}, {"field": "yuan"}]
    bank = NAMES | {"format": "csv", "answer": ANSWER, "columns": columns, "publicKey": PUBLIC_KEY}
    await pay.office.rule("roster.bank_forms", [bank], area=PILOT[:6])
    roster = await pay.sent(days.month())
    answer = await pay.county.http.get(f"/desk/v1/rosters/{roster}/file")
    assert answer.headers["content-disposition"].endswith('-1.csv.age"')
    cards = [home.card.encode() for home in pay.homes]
    assert not any(card in answer.content for card in cards)
    opened = AgeReader(io.BytesIO(answer.content), read_private_key(PRIVATE_KEY)).read()
    assert all(card in opened for card in cards)
    async with services.sessions() as session:
        assert (await reconcile(session, services.encryption)).faults == []
