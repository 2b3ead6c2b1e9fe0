from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.id_numbers import check_id, luhn_ok, make_id_number, mask_card, mask_id, mask_phone


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014", "34052419800101001X"])
def test_the_known_good_numbers_pass_whatever_their_area(number):
    assert check_id(number).problem is None


def test_a_number_tells_area_birth_date_and_sex():
    checked = check_id("11010519491231002X")
    assert (checked.area_code, checked.born, checked.sex) == ("110105", date(1949, 12, 31), "female")
    assert check_id("440524188001010014").sex == "male"


@pytest.mark.parametrize(
    "entered", ["11010519491231002x", "１１０１０５１９４９１２３１００２Ｘ", " 110105 19491231 002X\n"]
)
def test_ways_of_writing_one_number_become_one_spelling(entered):
    checked = check_id(entered)
    assert (checked.number, checked.problem) == ("11010519491231002X", None)


@pytest.mark.parametrize(
    ("entered", "problem"),
    [
        ("  ", "empty"),
        ("1101051949123100", "length"),
        ("11010519491231002X0", "characters"),
        ("110105194912310021", "check_digit"),
        ("11010519490229002X", "date"),
        ("11010519491331002X", "date"),
        ("110105491231002", "old_15_digits"),
        ("1101O519491231002X", "characters"),
        ("١١٠١٠٥١٩٤٩١٢٣١٠٠٢X", "characters"),
        ("11010549123100X", "length"),
    ],
)
def test_each_fault_has_its_own_reason_and_no_facts(entered, problem):
    checked = check_id(entered)
    assert checked.problem == problem
    assert (checked.area_code, checked.born, checked.sex) == (None, None, None)


def test_a_birth_date_to_come_is_a_problem_only_when_today_is_known():
    number = make_id_number("339901", date(2031, 5, 1), 12)
    assert check_id(number).problem is None
    assert check_id(number, today=date(2026, 11, 23)).problem == "future_date"


@settings(deadline=None)  # a busy machine is no failure
@given(
    area=st.integers(0, 999_999),
    born=st.dates(date(1880, 1, 1), date(2026, 11, 23)),
    sequence=st.integers(0, 999),
)
def test_made_numbers_pass_and_one_wrong_digit_never_does(area, born, sequence):
    number = make_id_number(f"{area:06d}", born, sequence)
    checked = check_id(number)
    assert (checked.problem, checked.born) == (None, born)
    assert checked.sex == ("male" if sequence % 2 else "female")
    wrong = number[:5] + str((int(number[5]) + 1) % 10) + number[6:]
    assert check_id(wrong).problem == "check_digit"


def test_a_checked_number_shows_itself_masked_in_logs():
    assert "19491231" not in repr(check_id("11010519491231002X"))


def test_masks_are_those_of_the_domain():
    assert mask_id("11010519491231002X") == "1****************X"
    assert mask_phone("13800001234") == "138****1234"
    assert mask_card("6200001234567890123") == "***************0123"


@pytest.mark.parametrize(("mask", "short"), [(mask_id, "1101051949"), (mask_phone, "12345"), (mask_card, "62001234")])
def test_what_is_too_short_to_be_such_a_number_is_hidden_whole(mask, short):
    assert mask(short) == "*" * len(short)


def test_a_landline_and_a_foreign_phone_are_masked_too():
    assert mask_phone("82345678") == "******78"
    assert mask_phone("+8613800001234") == "+86138****1234"


def test_luhn_tells_a_card_from_a_passbook():
    assert luhn_ok("6200 0012 3456 7890 126") is luhn_ok("6200001234567890126")
    assert luhn_ok("4111111111111111")
    assert not luhn_ok("4111111111111112")
    assert not luhn_ok("")
    assert not luhn_ok("41111111111x1111")
