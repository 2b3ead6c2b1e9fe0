"""Nothing is ever paid twice: over months of decisions, homes left out, answers lost, repeated, and partial."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.policy.values import AnswerColumns
from server.rosters.bank_answers import AnswerRow, judge_row
from server.rosters.corrections import plan_again
from server.rosters.parts import Owed, Part, add_months, list_months, plan_parts

FIRST = date(2025, 1, 1)
WORDS = AnswerColumns(reference="编号", yuan="金额", result="结果", paid=["成功"], returned=["失败"])


def allot(parts: list[Part], allotted: dict[date, int]) -> None:
    for part in parts:
        allotted[part.month] = allotted.get(part.month, 0) + part.amount_fen


def plan(amounts, allotted, place, left_out=()):
    months = list_months(FIRST, add_months(FIRST, place))
    owed = {month: Owed(amount, "决定") for month, amount in zip(months, amounts, strict=False)}
    return plan_parts(owed, allotted, left_out, month=months[-1])


def test_months_are_counted_over_the_end_of_a_year():
    assert list_months(date(2025, 11, 1), date(2026, 2, 1)) == [
        date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1),
    ]  # fmt: skip
    assert add_months(date(2025, 1, 1), -1) == date(2024, 12, 1)


def test_a_recovery_takes_no_more_than_the_line_pays_and_the_rest_later():
    allotted = {FIRST: 300}
    parts = plan([0, 100], allotted, 1)
    assert [(part.kind, part.amount_fen) for part in parts] == [("due", 100), ("recovery", -100)]
    allot(parts, allotted)
    parts = plan([0, 100, 500], allotted, 2)
    assert [(part.kind, part.amount_fen) for part in parts] == [("due", 500), ("recovery", -200)]
    allot(parts, allotted)
    assert plan([0, 100, 500], allotted, 2) == []


amounts_of_a_year = st.lists(st.integers(0, 1000_00), min_size=6, max_size=6)


@given(
    decisions=st.lists(amounts_of_a_year, min_size=6, max_size=6),
    left_out=st.sets(st.integers(0, 4)),
    repeats=st.lists(st.integers(1, 3), min_size=6, max_size=6),
)
def test_every_month_is_paid_what_it_owes_once_however_decisions_change_and_drafts_repeat(decisions, left_out, repeats):
    """In each month the decisions may say something else of every month. A draft that is repeated allots nothing more."""
    allotted: dict[date, int] = {}
    skipped: set[date] = set()
    for place, amounts in enumerate(decisions):
        for _ in range(repeats[place]):
            parts = plan(amounts, allotted, place, skipped)
            if place in left_out:
                skipped.add(add_months(FIRST, place))
                break
            assert sum(part.amount_fen for part in parts) >= 0
            allot(parts, allotted)
            # Nothing above what is owed, but for what is still to recover; nothing below it.
            owed = dict(zip(list_months(FIRST, add_months(FIRST, place)), amounts, strict=False))
            short = [month for month, amount in owed.items() if allotted.get(month, 0) < amount]
            assert not short
            assert plan(amounts, allotted, place, skipped) == [] or any(
                allotted[month] > owed[month] for month in allotted
            )


results = st.sampled_from(["成功", "失败", "处理中", ""])
answers = st.lists(st.tuples(st.integers(0, 3), results, st.booleans()), max_size=30)


@given(files=st.lists(answers, max_size=6))
def test_a_line_is_paid_or_returned_once_and_money_sent_is_paid_returned_or_awaited(files):
    """Lost answers, repeats, partial files, contradictions, wrong amounts, what comes back days after it was paid.

    Returned lines are sent again once each.
    """
    totals = [300_00, 250_50, 1, 999_99]
    chains: list[list[str]] = [["sent"] for _ in totals]
    for rows in files:
        for place, result, is_right in rows:
            chain = chains[place]
            before = list(chain)
            row = AnswerRow("A1", str(place), totals[place] + (not is_right), result, "")
            moved = judge_row(chain[-1], totals[place], row, WORDS)
            if moved in {"paid", "returned"}:
                chain[-1] = moved
            # What was answered never changes, but for what comes back; what came back is never paid by an answer.
            for now, then in zip(chain, before, strict=True):
                assert then == now or (then, now) in {("sent", "paid"), ("sent", "returned"), ("paid", "returned")}
        for chain in chains:
            # A correction: of what was returned alone, once each.
            if chain[-1] == "returned":
                chain.append("sent")
            # Of all that was ever sent of a line, the home holds it at most once.
            assert sum(state in {"paid", "sent"} for state in chain) <= 1
    for chain in chains:
        assert set(chain[:-1]) <= {"returned"}
    sent = sum(total * len(chain) for total, chain in zip(totals, chains, strict=True))
    by_state = {
        state: sum(total * chain.count(state) for total, chain in zip(totals, chains, strict=True))
        for state in ("paid", "returned", "sent")
    }
    assert sent == sum(by_state.values())


@pytest.mark.parametrize(
    ("state", "fen", "result", "moved"),
    [
        ("sent", 100, "成功", "paid"),
        ("sent", 100, "失败", "returned"),
        ("paid", 100, "成功", "repeated"),
        ("returned", 100, "成功", "contradicts"),
        ("paid", 100, "失败", "returned"),
        ("sent", 101, "成功", "amount_differs"),
        ("sent", None, "成功", "amount_differs"),
        ("sent", 100, "处理中", "unknown_result"),
        ("frozen", 100, "成功", "not_sent"),
        ("left_out", 100, "成功", "not_sent"),
    ],
)
def test_what_a_row_of_the_bank_does(state, fen, result, moved):
    assert judge_row(state, 100, AnswerRow("A1", "r", fen, result, ""), WORDS) == moved


def test_what_the_bank_sent_back_is_neither_missing_nor_taken_back():
    """June came back, and the case was stopped from June: September owes nothing for what nobody received."""
    months = list_months(FIRST, add_months(FIRST, 3))
    owed = dict(zip(months, [Owed(amount, "决定") for amount in (0, 0, 0, 300)], strict=True))
    allotted, unreceived = {FIRST: 500}, {FIRST: 500}
    parts = plan_parts(owed, allotted, (), month=months[-1], unreceived=unreceived)
    assert [(part.kind, part.amount_fen) for part in parts] == [("due", 300)]
    partly = plan_parts(owed, allotted, (), month=months[-1], unreceived={FIRST: 400})
    assert [(part.kind, part.amount_fen) for part in partly] == [("due", 300), ("recovery", -100)]
    still_owed = plan_parts({FIRST: Owed(500, "决定")}, allotted, (), month=FIRST, unreceived=unreceived)
    assert still_owed == []  # a correction pays it


@given(
    source=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 500)), max_size=4, unique_by=lambda pair: pair[0]),
    taken=st.integers(0, 300),
    owed=st.lists(st.integers(0, 600), min_size=5, max_size=5),
    others=st.lists(st.integers(0, 600), min_size=5, max_size=5),
)
def test_a_correction_pays_no_month_more_than_it_is_owed_nor_more_than_came_back(source, taken, owed, others):
    months = list_months(FIRST, add_months(FIRST, 4))
    parts = [Part(months[place], "due", amount, "", "") for place, amount in source]
    taken = min(taken, sum(part.amount_fen for part in parts))
    if taken:
        parts.append(Part(months[4], "recovery", -taken, "overpaid", ""))
    due, elsewhere = dict(zip(months, owed, strict=True)), dict(zip(months, others, strict=True))
    again = plan_again(parts, due, elsewhere, {})
    assert sum(part.amount_fen for part in again) >= 0
    before = {(part.month, part.kind): part.amount_fen for part in parts}
    for part in again:
        assert abs(part.amount_fen) <= abs(before[part.month, part.kind])
        if part.kind == "due":
            assert elsewhere[part.month] + part.amount_fen <= due[part.month]
        else:
            assert elsewhere[part.month] + part.amount_fen >= due[part.month]
    if all(elsewhere[part.month] + part.amount_fen == due[part.month] for part in parts):
        assert again == parts


def test_only_what_is_above_what_any_case_owes_is_taken_back():
    owed = {FIRST: Owed(0, "另案"), add_months(FIRST, 1): Owed(600, "新增")}
    month = add_months(FIRST, 1)
    assert [part.kind for part in plan_parts(owed, {FIRST: 500}, (), month=month, owed_by_any={FIRST: 500})] == ["due"]
    parts = plan_parts(owed, {FIRST: 500}, (), month=month, owed_by_any={FIRST: 450})
    assert [(part.kind, part.amount_fen) for part in parts] == [("due", 600), ("recovery", -50)]
