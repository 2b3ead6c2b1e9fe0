"""A small county's months, from the visits to the bank's answers, with the books of every month compared."""

from dataclasses import replace
from datetime import date

import pytest
from click.testing import CliRunner

from bench import __main__ as command
from bench.rows import NotProven, Row
from bench.year import running
from bench.year.bank import Bank
from bench.year.books import HomeMonth, find_gap
from bench.year.county import NONE_URBAN, invent_homes
from bench.year.replay import Replay

MONTH = date(2025, 3, 1)


async def test_of_a_small_countys_months_no_fen_is_unexplained(services, system):
    replay = Replay(services, system, homes=60, months=3, every_urban=NONE_URBAN)
    books = [month async for month in replay.run()]
    assert [month.faults for month in books] == [[], [], []]
    assert replay.proof.faults == []
    assert all(month.paid_fen and month.sent_fen == month.paid_fen + month.returned_fen for month in books)


@pytest.mark.parametrize(
    ("owed_fen", "allotted_fen", "is_left_out", "is_paid_now", "gap"),
    [
        (300_00, 300_00, False, True, ("", 0)),
        (300_00, 0, True, False, ("left_out", 300_00)),
        (300_00, 299_99, False, True, ("unexplained", 1)),
        (0, 300_00, False, False, ("overpaid", 300_00)),
        (250_00, 300_00, False, True, ("unexplained", 50_00)),
    ],
)
def test_only_who_was_left_out_or_is_paid_nothing_may_differ(owed_fen, allotted_fen, is_left_out, is_paid_now, gap):
    assert find_gap(HomeMonth("溪1", MONTH, owed_fen, allotted_fen, is_left_out, is_paid_now)) == gap


def test_the_bank_names_a_wrong_control_sum_and_what_is_ordered_or_credited_twice():
    homes = invent_homes(2, MONTH, NONE_URBAN)
    bank = Bank.of(homes)
    lines = [f"FF-{home.place}|{home.head}|{home.card}|300" for home in homes]
    orders = bank.take(["\r\n".join(["2|600", *lines, ""]).encode("gbk")])
    bank.answer(orders)
    assert (bank.faults, bank.credited) == ([], {"FF-0": 300, "FF-1": 300})
    bank.take(["\r\n".join(["2|601", *lines, ""]).encode("gbk")])
    bank.answer([replace(orders[0])])
    assert bank.faults == [
        "control sum 2|601", "FF-0 was ordered twice", "FF-1 was ordered twice", "FF-0 was credited twice",
    ]  # fmt: skip


def test_the_command_fails_when_a_fen_is_unexplained_or_an_error_passes(monkeypatch):
    def measure(*_, **__):
        yield Row("a year", "1 fen unexplained")
        raise NotProven(["planted error passed: 同一人"])

    monkeypatch.setattr(running, "measure", measure)
    result = CliRunner().invoke(command.main, ["--only", "year"])
    assert (result.exit_code, "planted error passed: 同一人" in result.output) == (1, True)
