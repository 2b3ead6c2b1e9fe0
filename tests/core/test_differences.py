"""What differs between two versions of a document: rows are matched by what names them, not by their place."""

from server.core.differences import find_differences


def differences(before, after):
    return [(item.pointer, item.before, item.after) for item in find_differences(before, after)]


def test_a_row_that_was_put_in_front_changes_no_other():
    wage, rent = {"kind": "wage", "foundFen": 100_00}, {"kind": "rent", "foundFen": 600_00}
    assert differences([wage], [rent, {**wage, "foundFen": 2400_00}]) == [
        ("/wage/foundFen", 100_00, 2400_00),
        ("/rent", None, rent),
    ]


def test_rows_of_members_are_matched_by_their_member():
    before = [{"memberId": "a", "work": "full"}, {"memberId": "b", "work": "none"}]
    after = [{"memberId": "b", "work": "part"}, {"memberId": "a", "work": "full"}]
    assert differences(before, after) == [("/b/work", "none", "part")]


def test_a_photo_that_came_for_another_is_both_by_name():
    assert differences({"photos": ["a", "b"]}, {"photos": ["b", "c"]}) == [
        ("/photos/a", "a", None),
        ("/photos/c", None, "c"),
    ]


def test_rows_with_one_name_twice_or_none_are_matched_by_their_place():
    assert differences([{"kind": "wage", "n": 1}, {"kind": "wage", "n": 2}], [{"kind": "wage", "n": 1}]) == [
        ("/1", {"kind": "wage", "n": 2}, None)
    ]
    assert differences([1, 2], [1, 3]) == [("/1", 2, 3)]
