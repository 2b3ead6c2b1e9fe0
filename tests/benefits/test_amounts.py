"""The amount, line by line: standards, steps, uplifts, gradual exit, single cover. Figures: docs/domain.md#office-figures."""

from datetime import date
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.benefits.amounts import calculate_amount
from server.benefits.programmes import programme_of_area
from server.benefits.sheet import BenefitFormula, IncomeFacts, MemberFacts, PropertyFacts, Receiving

MONTH = date(2026, 12, 1)
NOT_COUNTED = ["veteran_benefit", "family_planning", "scholarship", "bravery"]


def rules(**changes):
    values = {
        "standard_fen": {"urban": 260_00, "rural": 140_00},
        "method": "differential",
        "steps": [{"untilFen": None, "perHeadFen": 0}],
        "uplifts": {},
        "uplifts_combine": "highest",
        "aged_from": 70,
        "work_cost_percent": 100,
        "disregard_months": 0,
        "disregard_percent": 300,
        "exit_grace_months": 0,
        "single_person_percent": 150,
        "edge_property_limits": {},
        "grave_illnesses": [],
        "single_disabled_adult": True,
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


def calculate(members, incomes=(), programme="urban", month=MONTH, paid=None, properties=(), **changes):
    return calculate_amount(
        members, list(incomes), rules(**changes), month=month, programme=programme, receiving=paid,
        properties=properties,
    )  # fmt: skip


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
    assert "amount.single_person_percent" in {line.rule for line in answer.lines}


def test_an_uplift_is_for_those_who_are_paid_and_not_for_who_is_at_the_standard():
    aged = people(1, born_on=date(1950, 1, 1))
    assert calculate(aged, [income(260_00)], uplifts=UPLIFTS).covered == []
    assert calculate(aged, [income(259_99)], uplifts=UPLIFTS).amount_fen == 1 + 26_00


@pytest.mark.parametrize(("month", "counted"), [(date(2025, 12, 1), 0), (date(2026, 1, 1), 120_00)])
def test_the_basic_pension_is_left_out_until_the_end_of_its_years_and_counts_afterwards(month, counted):
    """57 §13: the central basic pension for 2021 to 2025."""
    left_out = [*NOT_COUNTED, {"code": "basic_pension", "since": "2021-01-01", "until": "2025-12-31"}]
    pension = income(120_00, "transfer", category="basic_pension")
    assert calculate(people(1), [pension], month=month, not_counted=left_out).amount_fen == 260_00 - counted


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


def test_from_which_age_people_are_old_is_the_areas_and_minors_are_a_category_of_the_law():
    table = {"aged": {"fen": 40_00}, "minor": {"fen": 60_00}}
    aged, child = people(1, born_on=date(1964, 1, 1)), people(1, born_on=date(2018, 1, 1))
    assert calculate(aged, uplifts=table, aged_from=60).amount_fen == 300_00
    assert calculate(aged, uplifts=table).amount_fen == 260_00
    assert calculate(child, uplifts=table).amount_fen == 320_00


@pytest.mark.parametrize(
    ("heads", "income_fen", "difference_fen"),
    [(1, 430_00, 287_00), (2, 179_00, 1076_00), (1, 179_00, 538_00), (3, 430_00, 861_00), (3, 495_00, 666_00)],
)
def test_the_differences_of_a_districts_posting_come_out(heads, income_fen, difference_fen):
    """Standard 717. The posting has 860 for the fourth (rounded down) and 840 for the last, which is wrong."""
    incomes = [income(income_fen * heads)]
    assert calculate(people(heads), incomes, standard_fen=717_00).amount_fen == difference_fen


def test_a_child_counts_as_a_single_parents_only_with_one_grown_up():
    parent, child = people(1)[0], MemberFacts(id=UUID(int=9), name="孩子", born_on=date(2018, 1, 1), relation="son")
    assert calculate([parent, child], uplifts=UPLIFTS).amount_fen == 520_00 + 30_00
    assert calculate([*people(2), child], uplifts=UPLIFTS).amount_fen == 780_00


# --- three rules about work


def test_costs_of_work_come_off_work_income_alone():
    """57 §13, by hand: wage 300 − fares 80 = 220; a pension of 100 stays whole, whatever the work costs."""
    wage, pension = income(300_00), income(100_00, "transfer")
    assert calculate(people(2), [wage, pension, work_cost(80_00)]).amount_fen == 520_00 - 320_00
    assert calculate(people(2), [wage, pension, work_cost(900_00)]).amount_fen == 520_00 - 100_00
    assert calculate(people(2), [pension, work_cost(80_00)]).amount_fen == 520_00 - 100_00


def test_costs_of_work_come_off_what_their_member_earns_and_together_off_no_more_than_that():
    earner, other = people(2)
    wages = [income(100_00, member_id=earner.id), income(100_00, member_id=other.id)]
    costs = [work_cost(60_00, member_id=earner.id), work_cost(90_00, member_id=earner.id), work_cost(500_00)]
    assert calculate([earner, other], [*wages, *costs[:1]]).amount_fen == 520_00 - 140_00
    assert calculate([earner, other], [*wages, *costs[:2]]).amount_fen == 520_00 - 100_00
    assert calculate([earner, other], [*wages, *costs]).amount_fen == 520_00


def test_an_area_caps_the_costs_of_work_at_a_part_of_the_wages():
    answer = calculate(people(2), [income(300_00), work_cost(200_00)], work_cost_percent=30)
    assert answer.amount_fen == 520_00 - (300_00 - 90_00)
    assert any(line.rule == "amount.work_cost_percent" for line in answer.lines)


def work_cost(amount_fen, **changes):
    return income(amount_fen, "cost", category="work", **changes)


PAID = Receiving(since=date(2025, 1, 1), amount_fen=260_00)


@pytest.mark.parametrize(("month", "counted"), [(3, 0), (5, 0), (6, 200_00)])
def test_a_province_disregards_the_wage_of_a_new_job_for_its_months(month, counted):
    job = income(200_00, started_on=date(2026, 3, 10))
    answer = calculate(people(1), [job], month=date(2026, month, 1), paid=PAID, disregard_months=3)
    assert answer.amount_fen == 260_00 - counted


def test_no_wage_is_disregarded_where_no_province_says_so():
    job = income(200_00, started_on=date(2026, 3, 10))
    assert calculate(people(1), [job], month=date(2026, 3, 1), paid=PAID).amount_fen == 60_00


def test_what_a_new_job_earns_above_three_standards_counts_at_once():
    """Cap 3 × 260 = 780: of 900 the rest of 120 counts."""
    job = income(900_00, started_on=date(2026, 3, 10))
    answer = calculate(people(1), [job], month=date(2026, 4, 1), paid=PAID, disregard_months=6)
    assert answer.amount_fen == 140_00


def test_a_job_held_before_the_household_received_counts_at_once():
    job = income(200_00, started_on=date(2026, 11, 1))
    assert calculate(people(1), [job], disregard_months=6).amount_fen == 60_00
    later = Receiving(since=date(2026, 12, 1), amount_fen=260_00)
    assert calculate(people(1), [job], paid=later, disregard_months=6).amount_fen == 60_00


@pytest.mark.parametrize(("month", "paid_on"), [(3, True), (8, True), (9, False)])
def test_above_the_standard_through_work_the_amount_is_paid_on_for_the_months_of_grace(month, paid_on):
    """57 §33, six months from March: until August."""
    job = income(700_00, started_on=date(2026, 3, 10))
    answer = calculate(people(2), [job], month=date(2026, month, 1), paid=PAID, exit_grace_months=6)
    assert (answer.eligible, answer.amount_fen) == (paid_on, 260_00 if paid_on else 0)
    assert len(answer.covered) == (2 if paid_on else 0)
    assert any(line.rule == "amount.exit_grace_months" for line in answer.lines)


def test_the_grace_is_for_work_and_not_for_other_income_nor_for_who_was_never_paid():
    job = income(700_00, started_on=date(2026, 3, 10))
    pension = income(700_00, "transfer", started_on=date(2026, 3, 10))
    month = date(2026, 4, 1)
    assert not calculate(people(2), [pension], month=month, paid=PAID, exit_grace_months=6).eligible
    assert not calculate(people(2), [pension, job], month=month, paid=PAID, exit_grace_months=6).eligible
    assert not calculate(people(2), [job], month=month, exit_grace_months=6).eligible


def test_the_grace_begins_with_the_job_that_lifted_the_household_and_after_the_disregard():
    first = income(300_00, started_on=date(2026, 1, 5))
    second = income(300_00, started_on=date(2026, 6, 5))
    for month, paid_on in ((11, True), (12, False)):
        answer = calculate(people(2), [first, second], month=date(2026, month, 1), paid=PAID, exit_grace_months=6)
        assert answer.eligible is paid_on
    job, rules_ = income(700_00, started_on=date(2026, 1, 5)), {"disregard_months": 3, "exit_grace_months": 6}
    assert calculate(people(2), [job], month=date(2026, 9, 1), paid=PAID, **rules_).eligible
    assert not calculate(people(2), [job], month=date(2026, 10, 1), paid=PAID, **rules_).eligible


def test_an_income_that_has_ended_no_longer_counts():
    assert calculate(people(1), [income(200_00, ended_on=date(2026, 11, 30))]).amount_fen == 260_00


# --- 单人保


def member(number, **changes):
    return MemberFacts(id=UUID(int=number), name=f"成员{number}", **({"born_on": date(1980, 1, 1)} | changes))


def edge(special, **more):
    """A household of 325 a head against 260, with this member in it; the limit is 390."""
    earner = member(20, work="employed")
    return calculate([earner, special], [income(650_00, member_id=earner.id)], **more)


def test_a_gravely_ill_member_is_insured_alone_under_one_and_a_half_standards():
    ill = member(8, health="serious_illness")
    well = people(1)[0]
    answer = calculate([well, ill], [income(700_00, member_id=well.id), income(40_00, "transfer", member_id=ill.id)])
    assert (answer.covered, answer.amount_fen) == ([ill.id], 220_00)
    assert not calculate([well, ill], [income(780_00)]).eligible  # 390 a head is 1.5 × 260, no longer under it


@pytest.mark.parametrize(
    ("facts", "insured"),
    [
        ({"disability_grade": 1, "disability_kind": "physical"}, True),
        ({"disability_grade": 2, "disability_kind": "visual"}, True),
        ({"disability_grade": 3, "disability_kind": "mental"}, True),
        ({"disability_grade": 3, "disability_kind": "intellectual"}, True),
        ({"disability_grade": 3, "disability_kind": "physical"}, False),
        ({"disability_grade": 4, "disability_kind": "mental"}, False),
        ({"health": "severely_disabled"}, False),  # without the grade of a card
        ({"health": "disabled"}, False),
    ],
)
def test_the_grade_of_the_disability_decides_who_of_an_edge_household_is_insured_alone(facts, insured):
    special = member(21, born_on=date(2015, 1, 1), **facts)
    assert edge(special).covered == ([special.id] if insured else [])


@pytest.mark.parametrize(
    ("properties", "is_edge"),
    [
        ([], True),
        ([PropertyFacts(kind="home", amount=1), PropertyFacts(kind="deposit", amount=40_000_00)], True),
        ([PropertyFacts(kind="home", amount=1), PropertyFacts(kind="home", amount=1)], False),
        ([PropertyFacts(kind="vehicle", amount=1)], False),
        ([PropertyFacts(kind="deposit", amount=40_000_01)], False),
    ],
)
def test_property_over_the_areas_limits_is_no_edge_household(properties, is_edge):
    limits = {"home": 1, "vehicle": 0, "depositPerHeadFen": 20_000_00}
    ill = member(21, health="serious_illness")
    assert edge(ill, properties=properties, edge_property_limits=limits).eligible is is_edge


def test_without_limits_of_property_none_is_compared_and_the_calculation_says_so():
    answer = edge(member(21, health="serious_illness"), properties=[PropertyFacts(kind="vehicle", amount=3)])
    assert answer.eligible
    assert any(line.rule == "amount.edge_property_limits" and "未设" in line.zh for line in answer.lines)


def test_an_area_with_a_list_of_illnesses_insures_those_of_the_list_alone():
    listed = {"grave_illnesses": ["尿毒症", "恶性肿瘤"]}
    assert edge(member(21, health="serious_illness", illness="尿毒症"), **listed).eligible
    assert not edge(member(21, health="serious_illness", illness="高血压"), **listed).eligible
    assert not edge(member(21, health="serious_illness"), **listed).eligible


def test_a_gravely_disabled_adult_without_work_is_insured_alone_whatever_the_household_has():
    """83 一(一): 1,000 a head and a car."""
    rich, car = member(20, work="employed"), [PropertyFacts(kind="vehicle", amount=1)]

    def covered(special, *incomes, **more):
        all_incomes = [income(2_000_00, member_id=rich.id), *incomes]
        return calculate([rich, special], all_incomes, properties=car, **more).covered

    adult = member(21, disability_grade=2, disability_kind="physical", work="unemployed")
    assert covered(adult) == [adult.id]
    assert covered(adult, single_disabled_adult=False) == []
    assert covered(adult, income(50_00, member_id=adult.id)) == []
    assert covered(member(21, disability_grade=2, work="employed")) == []
    assert covered(member(21, disability_grade=3, disability_kind="mental", work="unemployed")) == []
    assert covered(member(21, disability_grade=1, born_on=date(2010, 1, 1))) == []


def test_a_family_that_qualifies_is_insured_whole_and_never_in_part():
    special = member(21, disability_grade=1, work="unemployed")
    for fen in (0, 300_00, 519_99):
        answer = calculate([member(20), special], [income(fen)])
        assert len(answer.covered) == 2
        assert answer.amount_fen == 520_00 - fen


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
