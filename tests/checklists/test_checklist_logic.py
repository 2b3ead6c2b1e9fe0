import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.checklists.logic import MAX_CONDITION_NODES, OPERATOR_ARGUMENTS, VariableScope, check_condition, evaluate

TABLE = json.loads((Path(__file__).parent / "logic_table.json").read_text("utf-8"))
NAMES = VariableScope(
    frozenset({"answers.a", "answers.b", "today"}),
    {"answers.rows": frozenset({"memberId", "works"}), "answers.codes": frozenset()},
    later=frozenset({"answers.later"}),
)


def same(left, right):
    """Equal as JSON: true is not 1, but 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def codes(rule, names=NAMES):
    return [code for code, _ in check_condition(rule, names)]


def operators_in(part):
    if isinstance(part, dict):
        yield from part
        for inner in part.values():
            yield from operators_in(inner)
    if isinstance(part, list):
        for inner in part:
            yield from operators_in(inner)


def test_every_case_of_the_shared_table_gives_the_clients_result():
    wrong = [case for case in TABLE["cases"] if not same(evaluate(case["rule"], case["data"]), case["result"])]
    assert wrong == []


def test_the_shared_table_tries_every_operator_that_is_allowed_and_no_other():
    tried = {name for case in TABLE["cases"] for name in operators_in(case["rule"])}
    assert tried == set(OPERATOR_ARGUMENTS) == set(TABLE["operators"])


@pytest.mark.parametrize(
    "rule",
    [
        {"===": [{"var": "answers.a"}, True]},
        {"and": [{">": [{"var": "answers.a"}, 1]}, {"!": {"var": "answers.b"}}]},
        {"some": [{"var": "answers.rows"}, {"===": [{"var": "works"}, True]}]},
        {"all": [{"var": "answers.codes"}, {"in": [{"var": ""}, ["x", "y"]]}]},
        {"reduce": [{"var": "answers.rows"}, {"+": [{"var": "accumulator"}, 1]}, 0]},
        {"<": [{"var": "answers.rows.length"}, 9]},
        {"some": [{"filter": [{"var": "answers.rows"}, {"var": "works"}]}, {"var": "memberId"}]},
    ],
)
def test_a_sound_rule_has_no_fault(rule):
    assert codes(rule) == []


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (True, "logic.not_a_rule"),
        ([], "logic.not_a_rule"),
        ({}, "logic.not_a_rule"),
        ({"!": 1, "!!": 2}, "logic.not_a_rule"),
        ({"===": [{"var": "answers.a"}, 10**40]}, "logic.not_a_rule"),
        ({"==": [1, 1]}, "logic.unknown_operator"),
        ({"log": "x"}, "logic.unknown_operator"),
        ({"/": [1, 0]}, "logic.unknown_operator"),
        ({"and": [{"cat": ["a", "b"]}]}, "logic.unknown_operator"),
        ({"<": [1, 2, 3]}, "logic.bad_arguments"),
        ({"if": [1, 2]}, "logic.bad_arguments"),
        ({"var": 1}, "logic.bad_arguments"),
        ({"var": [{"var": "answers.a"}]}, "logic.bad_arguments"),
        ({"reduce": [{"var": "answers.rows"}, {"var": "accumulator"}, "x"]}, "logic.bad_arguments"),
        ({"!": {"var": "answers.missing"}}, "logic.unknown_variable"),
        ({"!": {"var": "answers.a.length"}}, "logic.unknown_variable"),
        ({"!": {"var": "__proto__"}}, "logic.unknown_variable"),
        ({"some": [{"var": "answers.rows"}, {"var": "answers.a"}]}, "logic.unknown_variable"),
        ({"!": {"var": "answers.later"}}, "logic.forward_reference"),
        ({"some": [{"var": "answers.later"}, True]}, "logic.forward_reference"),
        ({"some": [{"var": "answers.a"}, True]}, "logic.not_a_list"),
        ({"some": [["a"], True]}, "logic.bad_arguments"),
        ({"some": [{"var": "answers.rows"}, {"some": [{"var": "works"}, True]}]}, "logic.list_not_allowed"),
        ({"and": [[1] * MAX_CONDITION_NODES]}, "logic.too_large"),
    ],
)
def test_a_rule_that_clients_might_read_otherwise_is_refused(rule, code):
    assert code in codes(rule)


def test_a_rule_nested_a_hundred_thousand_deep_is_refused_and_not_followed():
    rule: dict[str, Any] = {"var": "answers.a"}
    for _ in range(100_000):
        rule = {"!": rule}
    assert codes(rule) == ["logic.too_large"]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
rules = st.recursive(
    scalars | st.sampled_from(["a", "b.c", "a.length"]).map(lambda n: {"var": n}),
    lambda inner: st.sampled_from(sorted(set(OPERATOR_ARGUMENTS) - {"var"})).flatmap(
        lambda op: st.lists(inner, min_size=OPERATOR_ARGUMENTS[op][0], max_size=max(OPERATOR_ARGUMENTS[op][0], 3)).map(
            lambda args: {op: args[: OPERATOR_ARGUMENTS[op][1]]}
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(rules, st.dictionaries(st.sampled_from(["a", "b"]), anything))
def test_no_data_makes_a_rule_raise(rule, data):
    evaluate(rule, data)
