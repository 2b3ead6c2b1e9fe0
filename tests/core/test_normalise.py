"""Numbers and names are the same however they were typed, pasted or imported."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from server.core.database import open_session
from server.core.id_numbers import check_id
from server.core.normalise import (
    DASHES,
    INVISIBLE,
    MIDDLE_DOTS,
    QUOTES,
    SPACES,
    bare_number,
    clean_name,
    name_key,
    normalise_card,
    normalise_id,
    normalise_phone,
    same_name,
    sql_name_key,
)

NUMBER = "11010519491231002X"
NOISE = st.text(st.sampled_from(INVISIBLE + SPACES + DASHES + QUOTES), max_size=3)
FULL_WIDTH = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}
# Signs that belong to a following numeral in Arabic or Egyptian script: visible, and in no number of ours.
VISIBLE_FORMATS = {"ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN"}


@st.composite
def spelled(draw, number):
    """A number as somebody might paste it: any character full-width or lower case, with noise around each."""
    characters = [draw(st.sampled_from([c, c.lower(), FULL_WIDTH[c], FULL_WIDTH[c].lower()])) for c in number]
    return draw(NOISE) + "".join(c + draw(NOISE) for c in characters)


@settings(deadline=None)  # a busy machine is no failure
@given(spelled(NUMBER))
def test_an_identity_number_is_the_same_however_it_was_pasted(entered):
    assert (normalise_id(entered), check_id(entered).problem) == (NUMBER, None)


@settings(deadline=None)
@given(st.sampled_from(["SQ3399012026-000123", "YY3399012026-00004", "XF3399012026-00005", "339901-000006"]), st.data())
def test_a_number_of_ours_is_the_same_with_and_without_its_dash(number, data):
    assert bare_number(data.draw(spelled(number.replace("-", "")))) == number.replace("-", "")
    assert bare_number(data.draw(spelled(number))) == number.replace("-", "")


@settings(deadline=None)
@given(spelled("13800001234"), spelled("6200001234567890123"))
def test_phone_and_card_numbers_are_the_same_in_any_groups(phone, card):
    assert normalise_phone(phone) == "13800001234"
    assert normalise_card(card) == "6200001234567890123"


@pytest.mark.parametrize(
    ("entered", "phone"),
    [
        ("+86 138-0000-1234", "13800001234"),
        ("0086 13800001234", "13800001234"),
        ("8613800001234", "13800001234"),
        ("（0999）8234-5678", "099982345678"),
        ("+852 9123 4567", "+85291234567"),
    ],
)
def test_a_chinese_mobile_number_loses_its_country_code_and_others_keep_theirs(entered, phone):
    assert normalise_phone(entered) == phone


@pytest.mark.parametrize(
    "entered", ["'11010519491231002x", '="11010519491231002X"', "11010519491231002×", "11010519491231002Х"]
)
def test_what_spreadsheets_and_other_keyboards_make_of_a_number_is_undone(entered):
    assert normalise_id(entered) == NUMBER


def test_every_dash_and_every_invisible_character_of_unicode_is_known():
    for code in range(0x110000):
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Pd":
            assert character in DASHES, hex(code)
        if category == "Cf" and unicodedata.name(character, "?").split()[0] not in VISIBLE_FORMATS:
            assert character in INVISIBLE, hex(code)
        if character.isspace():
            assert character in SPACES, hex(code)


@settings(deadline=None)
@given(st.sampled_from(MIDDLE_DOTS), NOISE.filter(lambda noise: not set(noise) & set(DASHES + QUOTES)))
def test_names_compare_equal_whatever_the_dot_between_their_parts(dot, noise):
    assert name_key(f"古丽{noise}{dot}买买提{noise}") == name_key("古丽·买买提")
    assert clean_name(f" 古丽{dot}买买提\u200b ") == "古丽·买买提"


def test_different_names_stay_different_and_latin_initials_keep_their_dots():
    assert name_key("古丽·买买提") != name_key("古丽·买买")
    assert name_key("王—兰") != name_key("王兰")
    assert clean_name("J.R. Li") == "J.R. Li"


async def test_the_database_compares_names_as_the_program_does(services):
    names = [f"古丽{dot} 买买提\u200f" for dot in MIDDLE_DOTS] + [
        "ＬＩ Lei",
        "葛\U000e0100城",
        "\u3000王 小兰",
        "豈\ufa0e",
    ]
    async with open_session(services.sessions) as session:
        for name in names:
            assert await session.scalar(select(sql_name_key(name))) == name_key(name)
            assert await session.scalar(select(same_name(sql_name_key(name), name_key(name))))
