"""What a phone says of rows that it took over: whatever it names, the checks come to an end."""

import pytest

from server.review.checks.answers import _is_all_unchanged


@pytest.mark.parametrize(
    "answer", ["none", 3, None, True, ["a", "b"], [1, None], [{"kind": "wage"}], {"memberId": "m"}, []]
)
def test_a_question_without_members_counts_as_not_taken_over(answer):
    document = {"answers": {"q": answer}, "unchanged": [{"questionId": "q", "memberId": "m"}]}
    assert not _is_all_unchanged(document)


def test_all_rows_of_members_taken_over_count():
    rows = [{"memberId": "a"}, {"memberId": "b"}]
    taken = [{"questionId": "q", "memberId": member} for member in ("a", "b")]
    assert _is_all_unchanged({"answers": {"q": rows}, "unchanged": taken})
    assert not _is_all_unchanged({"answers": {"q": rows}, "unchanged": taken[:1]})
