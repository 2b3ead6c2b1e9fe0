import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.checklists.conditions import ConditionError, format_condition, parse_condition


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("has_vehicle = 是", {"===": [{"var": "answers.has_vehicle"}, True]}),
        ("a ≠ 否", {"!==": [{"var": "answers.a"}, False]}),
        ("本题 >= 200元", {">=": [{"var": "value"}, 20_000]}),
        ("本题 < 0.5元", {"<": [{"var": "value"}, 50]}),
        ("本题 > -3.05 元", {">": [{"var": "value"}, -305]}),
        ("start <= 今天", {"<=": [{"var": "answers.start"}, {"var": "today"}]}),
        ("found > @declared", {">": [{"var": "answers.found"}, {"var": "answers.declared"}]}),
        ("tenure 属于 rented|borrowed", {"in": [{"var": "answers.tenure"}, ["rented", "borrowed"]]}),
        ("spending 含 travel", {"in": ["travel", {"var": "answers.spending"}]}),
        ("vehicles 不含 none", {"!": {"in": ["none", {"var": "answers.vehicles"}]}}),
        ("debt 已填", {"!==": [{"var": "answers.debt"}, None]}),
        ("debt 未填", {"===": [{"var": "answers.debt"}, None]}),
        ("远程走访 = 否", {"===": [{"var": "visit.remote"}, False]}),
        (
            "成员.age >= 16 且 本行.works = 是",
            {"and": [{">=": [{"var": "member.age"}, 16]}, {"===": [{"var": "row.works"}, True]}]},
        ),
        (
            "a = x 或 b = y",
            {"or": [{"===": [{"var": "answers.a"}, "x"]}, {"===": [{"var": "answers.b"}, "y"]}]},
        ),
        ('{"!": {"var": "answers.a"}}', {"!": {"var": "answers.a"}}),
    ],
)
def test_a_clerk_s_words_stand_for_one_rule_and_back(text, rule):
    assert parse_condition(text) == rule
    assert parse_condition(format_condition(rule)) == rule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "是",
        "a =",
        "= 3",
        "a ~ 3",
        "a = 1 且 b",
        "{",
        '{"a": NaN}',
        "[1]",
        "a = 1.5",
        "x" * 5000,
        "{" * 3000,
    ],
)
def test_what_can_not_be_read_is_refused(text):
    with pytest.raises(ConditionError):
        parse_condition(text)


values = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["是", "今天", "a", "5"])
variables = st.sampled_from(["answers.a", "row.b", "member.age", "today", "value", "visit.remote", "odd", "a.b.c"]).map(
    lambda name: {"var": name}
)
clauses = st.builds(
    lambda sign, left, right: {sign: [left, right]},
    st.sampled_from(["===", "!==", "<", ">=", "in", "+", "!"]),
    variables | values,
    values | variables | st.lists(values, max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(
    clauses | st.builds(lambda op, parts: {op: parts}, st.sampled_from(["and", "or"]), st.lists(clauses, max_size=3))
)
def test_every_rule_survives_being_written_into_a_cell(rule):
    assert parse_condition(format_condition(rule)) == rule
