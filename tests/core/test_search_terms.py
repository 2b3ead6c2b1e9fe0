"""How names are spelled and which terms find them."""

import pytest

from server.core.search_terms import list_name_terms, list_number_terms, spell_for_search, to_query, to_vector

pytestmark = pytest.mark.unit


def test_a_surname_with_several_readings_is_spelled_in_each():
    words = spell_for_search("单雄").split()
    assert {"danxiong", "shanxiong", "dx", "sx"} <= set(words)
    assert len(words) == len(set(words))


@pytest.mark.parametrize("word", ["张三丰", "三丰", "丰", "zhangsanfeng", "sanfeng", "zsf", "sf"])
def test_every_part_of_a_name_and_of_its_pinyin_is_a_term(word):
    assert word in list_name_terms("张三丰")


def test_the_parts_of_a_minoritys_name_are_found_across_the_dot():
    terms = list_name_terms("古丽·买买提")
    assert {"买买提", "古丽·买买提", "maimaiti", "gulimaimaiti"} <= terms


def test_a_character_without_a_reading_is_left_out_of_the_spelling():
    assert spell_for_search("·") == ""
    assert spell_for_search("张·三") == spell_for_search("张三") == "zhangsan zs"


def test_a_number_is_found_without_its_dash_from_any_place():
    assert {"yq0176", "0176"} <= list_number_terms("YQ-0176")


def test_what_people_type_is_quoted():
    assert to_query("o'b\\c") == "'o''b\\\\c':* | 'ob\\\\c':*"
    assert to_query("\u200b") is None
    assert to_vector(["b'", "a", ""]) == "'a' 'b'''"
