"""Which of several calculations a month is paid by, and what a change backwards leaves to be paid."""

from datetime import date

from server.benefits.amounts import EffectiveAmount, amount_in_month, arrears_fen


def test_a_later_calculation_counts_from_its_month_and_leaves_the_earlier_months():
    history = [EffectiveAmount(date(2026, 1, 1), 1, 260_00), EffectiveAmount(date(2026, 7, 1), 2, 360_00)]
    assert [amount_in_month(date(2026, month, 1), history) for month in (6, 7, 12)] == [260_00, 360_00, 360_00]
    assert amount_in_month(date(2025, 12, 1), history) is None


def test_a_standard_raised_backwards_is_paid_as_arrears_and_a_corrected_one_is_seen():
    history = [EffectiveAmount(date(2026, 1, 1), 1, 260_00)]
    raised = EffectiveAmount(date(2026, 7, 1), 2, 360_00)
    assert arrears_fen(history, raised, date(2026, 9, 1)) == 3 * 100_00
    assert arrears_fen([*history, raised], EffectiveAmount(date(2026, 7, 1), 3, 350_00), date(2026, 8, 1)) == -2 * 10_00
    assert amount_in_month(date(2026, 7, 1), history) == 260_00
