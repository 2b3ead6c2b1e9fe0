"""Identity and card numbers are found in free text, however they are typed, and nothing else is taken for one."""

from datetime import date

import pytest

from server.core.free_text import holds_number, mask_numbers
from server.core.id_numbers import make_id_number
from server.core.ids import new_id

# Of invented people and of the test range of cards.
ID = make_id_number("339901", date(1970, 3, 4), 11)
ID_WITH_X = next(
    number for sequence in range(1, 99) if (number := make_id_number("339901", date(1951, 1, 2), sequence))[-1] == "X"
)
FULL_WIDTH = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")


def luhn(first):
    return next(first + str(digit) for digit in range(10) if holds_number(f"卡{first}{digit}"))


CARDS = [luhn("620000123456789"), luhn("620000001234567890")]


@pytest.mark.parametrize("number", [ID, ID_WITH_X, ID_WITH_X.lower(), *CARDS])
@pytest.mark.parametrize(
    "spelled",
    [
        str,
        lambda number: number.translate(FULL_WIDTH),
        lambda number: " ".join(number[at : at + 4] for at in range(0, len(number), 4)),
        lambda number: "-".join(number[at : at + 4] for at in range(0, len(number), 4)),
        "\u200b".join,
        lambda number: f"\u202a{number}\u202c",
    ],
)
def test_a_number_is_found_and_masked_however_it_is_typed(number, spelled):
    text = f"身份证号{spelled(number)}，住村口"
    assert holds_number(text)
    masked = mask_numbers(text)
    assert not any(sign.isdigit() for sign in masked)
    assert masked.startswith("身份证号")
    assert masked.endswith("，住村口")
    assert mask_numbers(masked) == masked


@pytest.mark.parametrize("spelled", ["{0[0]} {0[1]} {0[2]}", "{0[0]}-{0[1]}-{0[2]}", "{0[0]}·{0[1]}·{0[2]}"])
def test_an_identity_number_is_found_in_its_own_groups(spelled):
    assert holds_number(spelled.format((ID[:6], ID[6:14], ID[14:])))


def test_two_numbers_beside_each_other_are_both_found():
    assert set(mask_numbers(f"{ID} {CARDS[0]}")) == {"*", " "}
    assert set(mask_numbers(f"{CARDS[0]} {ID_WITH_X}")) == {"*", " "}


@pytest.mark.parametrize(
    "text",
    [
        "云栖县禾汀街道桐荫社区99号",
        "电话 13812345678 13912345678",
        "2025-11-30 13812345678",
        "2025-11-30T12:00:00.123456+08:00",
        "户编号 339901-000123，案件 SQ3399012025-000017",
        "339901001001",
        ID[:-1] + ("0" if ID[-1] != "0" else "1"),
        "6200001234567890",
        "0000000000000000",
        "12" * 32,
        "110105194912310021ab9c",
        "",
    ],
)
def test_what_is_no_such_number_stays(text):
    assert mask_numbers(text) == text


def test_ids_and_hashes_of_ours_are_never_taken_for_numbers():
    for _ in range(2000):
        assert not holds_number(str(new_id()))
