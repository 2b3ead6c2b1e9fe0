from typing import Any

import msgspec
import pytest

from server.checklists.template import (
    Choice,
    Column,
    Question,
    Section,
    Template,
    Text,
    Tolerance,
    digest_template,
    iter_questions,
)
from server.checklists.template_checks import check_template

WORDS = Text("题目", "Question")


def question(name="q", kind="text", **more):
    return Question(name, kind, WORDS, **more)


def column(name="c", kind="text", **more):
    return Column(name, kind, WORDS, **more)


def template(*questions, **more):
    section = Section("s", WORDS, questions)
    fields: dict[str, Any] = {"code": "t", "kind": "intake", "version": 1, "title": WORDS, "sections": (section,)}
    return Template(**(fields | more))


def faults(*questions, **more):
    return [(item.pointer, item.code) for item in check_template(template(*questions, **more))]


AT = "/sections/0/questions/0"
MESSAGE = Text("不对", "Wrong")


def test_a_plain_question_has_no_fault():
    assert faults(question()) == []


def test_the_json_is_camel_case_leaves_out_what_is_empty_and_reads_back_equal():
    made = template(question(max_length=5, visible_if={"var": "today"}, choices=()))
    raw = msgspec.json.encode(made)
    assert msgspec.json.decode(raw)["sections"][0]["questions"][0] == {
        "id": "q",
        "kind": "text",
        "label": {"zh": "题目", "en": "Question"},
        "maxLength": 5,
        "visibleIf": {"var": "today"},
    }
    assert msgspec.json.decode(raw, type=Template) == made


def test_an_unknown_field_is_refused_and_a_published_template_can_not_be_changed():
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"zh":"a","en":"b","de":"c"}', type=Text)
    with pytest.raises(AttributeError):
        template(question()).version = 2


def test_the_digest_tells_one_changed_word():
    item, other = template(question()), template(question(hint=Text("提示", "Hint")))
    assert digest_template(item) == digest_template(template(question()))
    assert digest_template(item) != digest_template(other)


@pytest.mark.parametrize(
    ("bad", "pointer", "code"),
    [
        (question("Bad Id"), f"{AT}/id", "template.bad_id"),
        (question("constructor"), f"{AT}/id", "template.bad_id"),
        (question("x" * 49), f"{AT}/id", "template.bad_id"),
        (Question("q", "text", Text("题", " ")), f"{AT}/label", "template.text_missing"),
        (Question("q", "text", Text("题\x07", "Q")), f"{AT}/label", "template.control_characters"),
        (Question("q", "text", Text("题" * 301, "Q")), f"{AT}/label", "template.too_large"),
        (question(kind="choice"), f"{AT}/choices", "template.choices_missing"),
        (question(choices=(Choice("a", WORDS),)), f"{AT}/choices", "template.choices_unexpected"),
        (
            question(kind="choice", choices=(Choice("a", WORDS), Choice("a", WORDS))),
            f"{AT}/choices/1/code",
            "template.duplicate_id",
        ),
        (question(kind="member_table"), f"{AT}/columns", "template.columns_missing"),
        (question(columns=(column(),)), f"{AT}/columns", "template.columns_unexpected"),
        (
            question(kind="member_table", columns=(column(kind="photo"),)),
            f"{AT}/columns/0/kind",
            "template.column_kind",
        ),
        (
            question(kind="member_table", columns=(column(), column())),
            f"{AT}/columns/1/id",
            "template.duplicate_id",
        ),
        (question(kind="money", minimum=5, maximum=4), f"{AT}/minimum", "template.bounds_inverted"),
        (question(maximum=4), f"{AT}/maximum", "template.bounds_unexpected"),
        (question(kind="photo", minimum=-1), f"{AT}/minimum", "template.bounds_negative"),
        (question(max_length=0), f"{AT}/maxLength", "template.bounds_negative"),
        (question(kind="date", max_length=9), f"{AT}/maxLength", "template.length_unexpected"),
        (question(tolerance=Tolerance(1)), f"{AT}/tolerance", "template.tolerance_unexpected"),
        (question(kind="integer", tolerance=Tolerance(-1)), f"{AT}/tolerance", "template.tolerance_negative"),
        (question(constraint={"var": "value"}), f"{AT}/constraintMessage", "template.message_missing"),
        (question(constraint_message=MESSAGE), f"{AT}/constraintMessage", "template.message_unexpected"),
        (question(visible_if={"var": "answers.q"}), f"{AT}/visibleIf", "logic.forward_reference"),
        (question(visible_if={"var": "answers.z"}), f"{AT}/visibleIf", "logic.unknown_variable"),
        (question(visible_if={"var": "value"}), f"{AT}/visibleIf", "logic.unknown_variable"),
        (question(visible_if={"==": [1, 1]}), f"{AT}/visibleIf", "logic.unknown_operator"),
    ],
)
def test_what_a_question_may_not_be_is_found_at_its_place(bad, pointer, code):
    assert (pointer, code) in faults(bad)


def test_two_questions_that_show_each_other_are_found_as_a_forward_reference():
    first = question("a", "yes_no", visible_if={"var": "answers.b"})
    second = question("b", "yes_no", visible_if={"var": "answers.a"})
    assert faults(first, second) == [(f"{AT}/visibleIf", "logic.forward_reference")]


def test_a_constraint_may_look_ahead_and_at_its_own_value():
    rule = {"<=": [{"var": "value"}, {"var": "answers.later"}]}
    assert (
        faults(
            question("a", "integer", constraint=rule, constraint_message=MESSAGE),
            question("later", "integer"),
        )
        == []
    )


def test_a_column_sees_its_row_and_its_member_and_a_question_does_not():
    rule = {"and": [{">=": [{"var": "member.age"}, 16]}, {"===": [{"var": "row.works"}, True]}]}
    table = question(
        "members",
        "member_table",
        columns=(column("works", "yes_no"), column("pay", "money", visible_if=rule)),
    )
    assert faults(table) == []
    assert {code for _, code in faults(question(visible_if=rule))} == {"logic.unknown_variable"}


def test_a_column_can_not_walk_a_list_for_every_row():
    rule = {"some": [{"var": "members"}, {"var": "age"}]}
    table = question("members", "member_table", columns=(column(visible_if=rule),))
    assert faults(table) == [(f"{AT}/columns/0/visibleIf", "logic.list_not_allowed")]


def test_a_rule_walks_the_rows_of_an_earlier_table_by_its_columns():
    table = question("members", "member_table", columns=(column("works", "yes_no"),))
    good, bad = ({"some": [{"var": "answers.members"}, {"var": name}]} for name in ("works", "wrks"))
    assert faults(table, question(visible_if=good)) == []
    assert faults(table, question(visible_if=bad)) == [("/sections/0/questions/1/visibleIf", "logic.unknown_variable")]


def test_the_same_question_id_in_two_sections_is_a_duplicate():
    sections = (Section("a", WORDS, (question(),)), Section("b", WORDS, (question(),)))
    assert faults(sections=sections) == [("/sections/1/questions/0/id", "template.duplicate_id")]


def test_an_empty_template_is_named_by_what_it_lacks():
    assert faults(sections=(), version=0) == [
        ("/version", "template.version"),
        ("/sections", "template.no_sections"),
    ]
    assert faults(sections=(Section("s", WORDS, ()),)) == [("/sections/0/questions", "template.empty_section")]


def test_a_template_beyond_the_limits_is_refused_before_it_is_walked():
    many = tuple(question(f"q{number}") for number in range(301))
    assert faults(*many) == [("/sections", "template.too_large")]
    heavy = tuple(question(f"q{n}", visible_if={"and": [{"var": "today"}] * 19}) for n in range(150))
    assert faults(*heavy) == [("/sections", "template.too_large")]


def test_a_hostile_depth_in_a_rule_is_a_fault_and_not_a_crash():
    rule: dict[str, Any] = {"var": "today"}
    for _ in range(50_000):
        rule = {"!": rule}
    assert faults(question(visible_if=rule)) == [(f"{AT}/visibleIf", "logic.too_large")]


def test_every_sentence_of_a_fault_is_filled_in_both_languages():
    bad = template(question("Bad"), question("Bad", "choice"), question("x", visible_if={"==": [1, 2]}))
    for item in check_template(bad):
        assert item.zh
        assert item.en
        assert "{" not in item.zh + item.en


def test_questions_come_in_the_order_of_asking():
    assert [item.id for item in iter_questions(template(question("b"), question("a")))] == ["b", "a"]
