"""Figures of real offices, entered as they are written: what agrees is said, what does not is flagged."""

import pytest

from server.core.figures import check_figures

# docs/domain.md#office-figures and real papers of offices, group by group, and what becomes of each statement.
PAPERS = {
    "classes of a county": [("206 + 823 + 3,731 = 4,760", "agrees")],
    "a year's changes": [
        ("355 - 254 = 101", "agrees"),
        ("65,575 - 33,459 + 4,277 - 14,081 = 22,312", "agrees"),
    ],
    "quarters": [
        ("36,960 + 43,512 + 42,288 + 43,437 = 166,197", "agrees"),
        ("36,960/85/3; 43,512/86/3; 42,288/43/3; 43,437/85/3", "differs"),
        ("42,288/43/3 = 327.81", "rounded"),
    ],
    "stops announced": [("21 + 9 + 5 = 35", "agrees"), ("18 = 2 + 12 + 2 + 4", "differs")],
    "homes given something": [
        ("24 × 46 = 1,104", "agrees"),
        ("12 × 46 = 552", "agrees"),
        ("30 × 246 = 7,380", "agrees"),
        ("300 × 46 = 13,800", "agrees"),
        ("27 × 3 = 81", "agrees"),
    ],
    "a year of a county": [("7,136,513/4,242/12 = 140.20", "rounded"), ("165 + 2,861 = 3,026", "agrees")],
    "1 a district's posting": [
        ("860 = (717 - 430) × 3 ± 1.5", "agrees"),
        ("1,000 = 860 + 140", "agrees"),
        ("287 = 717 - 430", "agrees"),
        ("1,276 = (717 - 179) × 2 + 200", "agrees"),
        ("1,236 = (717 - 179) × 2 + 160", "agrees"),
        ("598 = 717 - 179 + 60", "agrees"),
        ("840 = (717 - 495) × 3 ± 1.5", "differs"),
        ("1,000 + 287 + 1,276 + 1,236 + 598 + 1,040 + 598 = 6,035", "agrees"),
        ("6,035 = 5,215 + 820", "agrees"),
    ],
    "2 a county town": [
        ("90 + 80 + 3 = 173", "agrees"),
        ("171 + 137 + 3 = 311", "agrees"),
        ("42 + 32 + 146 + 91 = 311", "agrees"),
        ("65 + 120 + 73 + 0 + 18 + 35 = 311", "agrees"),
        ("1,138,579 + 824,233 + 21,550 = 1,984,362", "agrees"),
        ("110,989 + 84,484 + 2,155 = 197,628", "agrees"),
        ("197,328/311 = 634", "rounded"),
        # its header says 万元
        ("197,328万/311 = 634", "differs"),
    ],
    "3 people without support": [
        ("713 + 5 = 718", "agrees"),
        ("45 + 213 + 460 = 718", "agrees"),
        ("41 × 1,006 = 41,246", "agrees"),
        ("718 × 1,006 = 722,618", "differs"),
    ],
    "4 a town": [
        ("1 - 3 = -2", "agrees"),
        ("820 - 1,640 + 740 = -80", "agrees"),
    ],
    "5 a sub-district": [
        ("100 + 131 = 231", "agrees"),
        ("162 + 201 = 363", "agrees"),
        ("76 × 1,804 = 137,104", "agrees"),
    ],
    "6 a year by the head": [
        ("118 × 506.4 × 12 = 717,062", "rounded"),
        ("1,325 × 368.6 × 12 = 5,860,740", "agrees"),
        ("67 + 707 = 774", "agrees"),
    ],
    "7 a yearly standard": [
        ("395 + 8,778 = 9,173", "agrees"),
        ("177 × 5,418.08 = 959,000", "rounded"),
        ("177 × 5,418.08 = 95.9万", "rounded"),
        ("3,832.03/12 = 319.34", "rounded"),
    ],
    "8 at least 1.3 and 1.5 of the standard": [
        ("740 × 1.5 = 1110", "agrees"),
        ("494 × 1.3 = 643", "rounded_up"),
        ("643 ≥ 494 × 1.3", "agrees"),
        ("594 ≥ 457 × 1.3", "differs"),
    ],
    "9 a province's month": [
        ("155,811.8 + 663,088.8 = 818,900.6", "agrees"),
        ("304,865.8 + 1,109,439.7 + 87,561.1 + 7,007.2 + 19,000.6 = 1,527,874.4", "agrees"),
        ("264,909.5 + 966,753.0 + 76,963.1 + 6,286.5 + 16,558.5 = 1,332,120.3", "differs"),
        ("1,527,874.4/1,332,120.3 × 100 - 100 = 14.74", "differs"),
        ("1,527,874.4/1,331,470.6 × 100 - 100 = 14.75", "rounded"),
    ],
    "10 a country's month": [
        ("52.9亿/2,335.3万 = 226.5", "rounded"),
        ("52.9亿/2,335.3万 = 227", "rounded"),
        ("107.7亿/970.3万 = 1,109.9", "cut"),
    ],
    "11 a standard a month that must be a year's": [("2673.2; 319.34; 336.5; 341", "differs")],
    "12 a village list": [("10,395/106 = 98.07", "rounded")],
    "slips": [
        ("107、47万 = 1,074,700", "agrees"),
        ("65.06万 = 650,600", "agrees"),
        ("1、234、5 = 2", "unreadable"),
        ("12 =", "unreadable"),
        ("1 = 1 = 1", "unreadable"),
        ("5/0 = 1", "unreadable"),
        ("(1 + 2 = 3", "unreadable"),
        ("__import__('os') = 1", "unreadable"),
    ],
}


@pytest.mark.parametrize(
    ("statement", "verdict"), [pair for pairs in PAPERS.values() for pair in pairs], ids=lambda value: value
)
def test_each_statement_of_a_paper_agrees_or_is_flagged(statement, verdict):
    (checked,) = check_figures(statement)
    assert (checked.statement, checked.verdict) == (statement, verdict), checked


def test_the_odd_part_of_a_series_is_named():
    (checked,) = check_figures("36,960/85/3；43,512/86/3；42,288/43/3；43,437/85/3")
    assert checked.odd == [3]


def test_a_difference_says_how_much_and_nothing_is_corrected():
    stops, pay = check_figures("18 = 2 + 12 + 2 + 4\n\n718 × 1,006 = 722,618")
    assert (stops.left, stops.right, stops.difference) == ("18", "20", "-2")
    assert (pay.left, pay.right, pay.difference) == ("722,308", "722,618", "-310")
