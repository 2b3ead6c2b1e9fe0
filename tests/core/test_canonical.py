"""RFC 8785: the quick way gives what the whole way gives, and what JavaScript gives."""

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from server.core.canonical import NotCanonical, canonical_json

numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.floats(0, 200)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_the_quick_way_gives_the_bytes_of_the_whole_way(value):
    assert canonical_json(value) == rfc8785.dumps(value)


def test_the_example_of_the_standard():
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": '\u20ac$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    result = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical_json(value).decode() == result


@pytest.mark.parametrize("number", [2**53, -(2**53), float("nan"), float("inf")])
def test_a_number_that_others_would_not_keep_is_refused(number):
    with pytest.raises(NotCanonical):
        canonical_json({"deep": [number]})
