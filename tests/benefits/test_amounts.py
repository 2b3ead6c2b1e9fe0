"""The amount, line by line: standards, steps, uplifts, gradual exit, single cover. Figures: docs/domain.md#office-figures."""

from datetime import date
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.benefits.amounts import (
    BenefitFormula,
    EffectiveAmount,
    IncomeFacts,
    MemberFacts,
    amount_in_month,
    arrears_fen,
    calculate_amount,
)
from server.benefits.programmes import programme_of_area

MONTH = date(2026, 12, 1)
NOT_COUNTED = ["veteran_benefit", "family_planning", "scholarship", "bravery"]


def rules(**changes):
    values = {
        "standard_fen": {"urban": 260_00, "rural": 140_00},
        "method": "differential",
        "steps": [{"untilFen": None, "perHeadFen": 0}],
        "uplifts": {},
        "uplifts_combine": "highest",
        "gradual_exit_months": 3,
        "single_person_percent": 150,
        "rounding": {"toFen": 1, "mode": "half_up"},
        "least_fen": 0,
        "not_counted": NOT_COUNTED,
    } | changes
    return {f"amount.{key}": BenefitFormula(value, f"文件：{key}") for key, value in values.items()}


def people(count=1, **changes):
    return [
        MemberFacts(id=UUID(int=n), name=f"成员{n}", **({"born_on": date(1980, 1, 1)} | changes)) for n in range(count)
    ]


def income(amount_fen, kind="wage", **changes):
    return IncomeFacts(**({"kind": kind, "category": "", "period": "month", "amount_fen": amount_fen} | changes))


def calculate(members, incomes=(), programme="urban", month=MONTH, since=None, **changes):
    return calculate_amount(
        members, list(incomes), rules(**changes), month=month, programme=programme, receiving_since=since
    )


@pytest.mark.parametrize(("programme", "standard"), [("urban", 260_00), ("rural", 140_00)])
def test_no_income_is_paid_the_standard_of_the_programme(programme, standard):
    assert calculate(people(3), programme=programme).amount_fen == 3 * standard


@pytest.mark.parametrize(
    ("code", "programme"), [("339901001002", "urban"), ("339901001200", "rural"), ("339901", "urban")]
)
def test_the_villages_code_suggests_town_or_country(code, programme):
    assert programme_of_area(code) == programme


def test_the_difference_is_the_standard_less_income_a_head_times_heads():
    assert calculate(people(3), [income(240_00), income(60_00, "property")]).amount_fen == (260_00 - 100_00) * 3


def test_a_yearly_income_is_divided_only_in_the_sum():
    """1,000 yuan a year among three: 27.777… a head; rounding each step would lose a fen."""
    answer = calculate(people(3), [income(1000_00, period="year")])
    assert answer.amount_fen == 780_00 - 83_33
    assert sum(line.amount_fen or 0 for line in answer.lines[-1:]) == answer.amount_fen


def test_an_income_at_the_standard_gets_nothing_and_the_calculation_says_why():
    answer = calculate(people(1), [income(400_00)])
    assert (answer.amount_fen, answer.eligible, answer.covered) == (0, False, [])
    assert answer.lines[-1].rule == "amount.single_person_percent"


def test_an_uplift_is_for_those_who_are_paid_and_not_for_who_is_at_the_standard():
    aged = people(1, born_on=date(1950, 1, 1))
    assert calculate(aged, [income(260_00)], uplifts=UPLIFTS).covered == []
    assert calculate(aged, [income(259_99)], uplifts=UPLIFTS).amount_fen == 1 + 26_00


def test_some_incomes_are_not_counted_by_law_and_still_leave_a_line():
    answer = calculate(people(1), [income(500_00, "transfer", category="veteran_benefit")])
    assert answer.amount_fen == 260_00
    assert any("不计入" in line.zh for line in answer.lines)


def test_necessary_costs_are_deducted_but_never_below_nothing():
    assert calculate(people(1), [income(200_00), income(150_00, "cost", category="illness")]).amount_fen == 210_00
    assert calculate(people(1), [income(100_00), income(900_00, "cost", category="illness")]).amount_fen == 260_00


STEPS = [{"untilFen": 100_00, "perHeadFen": 246_00}, {"untilFen": None, "perHeadFen": 46_00}]


@pytest.mark.parametrize(
    ("heads", "income_fen", "expected"),
    [(30, 0, 7_380_00), (24, 24 * 100_00, 1_104_00), (12, 12 * 200_00, 552_00), (300, 300 * 259_99, 13_800_00)],
)
def test_steps_give_the_products_of_a_real_office(heads, income_fen, expected):
    """docs/domain.md#office-figures: 30 × 246 = 7,380; 24 × 46 = 1,104; 12 × 46 = 552; 300 × 46 = 13,800."""
    answer = calculate(people(heads), [income(income_fen)], method="stepped", steps=STEPS)
    assert answer.amount_fen == expected


UPLIFTS = {
    "age_70": {"percent": 10},
    "severe_disability": {"fen": 50_00},
    "student": {"percent": 20},
    "single_parent": {"fen": 30_00},
}


def test_a_person_of_two_categories_gets_the_higher_or_both_as_the_area_says():
    aged = people(1, born_on=date(1950, 1, 1), health="severely_disabled")
    assert calculate(aged, uplifts=UPLIFTS).amount_fen == 260_00 + 50_00
    assert calculate(aged, uplifts=UPLIFTS, uplifts_combine="sum").amount_fen == 260_00 + 50_00 + 26_00


def test_seventy_is_reached_in_its_month_and_not_before():
    born = date(1956, 12, 1)
    assert calculate(people(1, born_on=born), uplifts=UPLIFTS, month=date(2026, 12, 1)).amount_fen == 286_00
    assert calculate(people(1, born_on=born), uplifts=UPLIFTS, month=date(2026, 11, 1)).amount_fen == 260_00


def test_a_child_counts_as_a_single_parents_only_with_one_grown_up():
    parent, child = people(1)[0], MemberFacts(id=UUID(int=9), name="孩子", born_on=date(2018, 1, 1), relation="son")
    assert calculate([parent, child], uplifts=UPLIFTS).amount_fen == 520_00 + 30_00
    assert calculate([*people(2), child], uplifts=UPLIFTS).amount_fen == 780_00


@pytest.mark.parametrize(("month", "counted"), [(3, False), (5, False), (6, True)])
def test_a_new_jobs_income_is_not_counted_for_the_months_of_the_rule(month, counted):
    job = income(200_00, started_on=date(2026, 3, 10))
    answer = calculate(people(1), [job], month=date(2026, month, 1), since=date(2025, 1, 1))
    expected = 260_00 - (200_00 if counted else 0)
    if month == 3:
        expected = 260_00  # the job began after the first of the month
    assert answer.amount_fen == expected


def test_a_job_held_before_the_household_received_counts_at_once():
    job = income(200_00, started_on=date(2026, 11, 1))
    assert calculate(people(1), [job]).amount_fen == 60_00
    assert calculate(people(1), [job], since=date(2026, 12, 1)).amount_fen == 60_00


def test_an_income_that_has_ended_no_longer_counts():
    assert calculate(people(1), [income(200_00, ended_on=date(2026, 11, 30))]).amount_fen == 260_00


def test_a_gravely_ill_member_is_insured_alone_under_one_and_a_half_standards():
    ill = MemberFacts(id=UUID(int=8), name="病者", born_on=date(1980, 1, 1), health="serious_illness")
    well = people(1)[0]
    answer = calculate([well, ill], [income(700_00, member_id=well.id), income(40_00, "transfer", member_id=ill.id)])
    assert (answer.covered, answer.amount_fen) == ([ill.id], 220_00)
    assert not calculate([well, ill], [income(780_00)]).eligible  # 390 a head is 1.5 × 260, no longer under it


@pytest.mark.parametrize(("mode", "amount"), [("up", 698_00), ("half_up", 697_00)])
def test_rounding_is_a_rule_with_a_line(mode, amount):
    """780 − 995 ÷ 12 = 697.08 yuan."""
    answer = calculate(people(3), [income(995_00, period="year")], rounding={"toFen": 100, "mode": mode})
    assert answer.amount_fen == amount
    assert answer.lines[-1].rule == "amount.rounding"


def test_the_least_amount_is_paid_where_a_rule_says_so():
    assert calculate(people(1), [income(259_00)], least_fen=30_00).amount_fen == 30_00


def test_every_line_names_its_rule_and_source():
    answer = calculate(people(2, health="severely_disabled"), [income(100_00)], uplifts=UPLIFTS)
    assert all(line.source == f"文件：{line.rule.removeprefix('amount.')}" for line in answer.lines)


@given(
    heads=st.integers(1, 12),
    yearly=st.lists(st.integers(0, 5_000_00), max_size=6),
    standard=st.integers(1, 1_000_00),
)
def test_paid_and_income_together_are_the_standard_to_the_fen(heads, yearly, standard):
    answer = calculate(people(heads), [income(item, period="year") for item in yearly], standard_fen=standard)
    exact = standard * heads - Fraction(sum(yearly), 12)
    if exact > 0:
        assert abs(answer.amount_fen - exact) <= Fraction(1, 2)
    else:
        assert answer.amount_fen == 0


# --- by month, without changing history


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
