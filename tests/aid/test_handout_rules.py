"""What a record of a handout means for the ledger, by plain rules."""

from datetime import date, datetime, timedelta

import pytest

from server.aid.phone_records import find_given_day, judge_record
from server.core.clock import CHINA
from server.models.aid import AidBatch
from server.models.records import Record
from server.records.handouts import DueLine, find_signature, read_given
from tests.makers.cases import VILLAGE


@pytest.mark.parametrize(
    ("batch", "line", "stands", "is_given", "outcome"),
    [
        ("released", "planned", False, True, "entered"),
        ("released", "not_handed_out", False, True, "entered"),
        ("released", "planned", False, False, "entered"),
        ("released", "handed_out", False, True, "repeated"),
        ("closed", "handed_out", False, True, "repeated"),
        ("released", "handed_out", False, False, "overtaken"),
        ("released", "handed_out", True, True, "entered"),
        ("released", "handed_out", True, False, "contrary"),
        ("closed", "handed_out", True, True, "late"),
        ("closed", "not_handed_out", False, True, "late"),
        ("released", "left_out", False, True, "late"),
        ("released", "taken_back", True, True, "late"),
    ],
)
def test_what_becomes_of_a_record_depends_on_what_the_ledger_says(batch, line, stands, is_given, outcome):
    assert judge_record(batch, line, stands=stands, is_given=is_given) == outcome


def test_another_quantity_is_exact_and_money_never_more_than_agreed():
    coal, money = (
        DueLine(VILLAGE, is_money=False, planned_milli=3000, planned_fen=None),
        DueLine(VILLAGE, is_money=True, planned_milli=None, planned_fen=300_00),
    )

    def read(line, text):
        return read_given(line, {"given_quantity": text})

    assert [read(coal, text) for text in ("2.5", "0.005", "4", "0", "1.2345", "一吨", None)] == [
        2500, 5, 4000, None, None, None, None,
    ]  # fmt: skip
    assert [read(money, text) for text in ("300", "299.99", "300.01", "12.345", "-1")] == [
        300_00, 299_99, None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ended", "amended", "was_given", "day"),
    [
        (3, None, None, 3),  # begun on the first, handed out and sent on the third
        (None, None, None, 1),
        (40, None, None, 1),  # after today
        (-4, None, None, 1),  # before it was begun
        (1, 6, False, 6),  # nobody was met, and the same record says later that it was handed out
        (3, 6, True, 3),
        (1, 40, False, 7),  # a clock that nobody believes: when it arrived
    ],
)
def test_the_day_of_a_handout_is_that_on_which_it_was_said(ended, amended, was_given, day):
    def at(number):
        return datetime(2025, 5, 1, 12, tzinfo=CHINA) + timedelta(days=number - 1)

    def document(outcome, amended_at=None):
        said = {"answers": {"given_outcome": outcome}, "endedAt": at(ended).isoformat() if ended else None}
        return said | ({"amendment": {"amendedAt": at(amended_at).isoformat()}} if amended_at else {})

    newest = document("handed_out", amended)
    earlier = [] if was_given is None else [document("handed_out" if was_given else "not_handed_out")]
    record = Record(document=newest, started_at=at(1), submitted_at=at(7), received_at=at(7))
    assert find_given_day(AidBatch(month=date(2025, 5, 1)), record, earlier, date(2025, 5, 8)) == date(2025, 5, day)


def test_only_a_picture_that_the_signed_document_lists_is_a_signature():
    listed = [("aa-1", "11" * 32)]
    signed = {"sign_recipient": [{"evidenceId": "AA-1"}]}
    assert find_signature(signed, listed) == "11" * 32
    assert find_signature({"signed_how": "thumb", "photo_thumb": ["aa-1"]}, listed) == "11" * 32
    assert find_signature(signed, []) is None
    assert find_signature({"signed_how": "thumb", **signed}, listed) is None
