import re
from datetime import date

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.checklists.answers import MAX_TEXT_LENGTH, is_acceptable, read_answers, validate_answers
from server.checklists.facts import Facts, MemberFacts
from server.checklists.shipped import load_shipped
from server.checklists.template import Choice, Column, Question, Section, Template, Text
from server.checklists.template_checks import check_template

WORDS = Text("题目", "Question")
TODAY = date(2026, 6, 15)
PHOTO = "0197a1b2-0000-7000-8000-00000000000{}"
CHOICES = (Choice("a", WORDS), Choice("b", WORDS))
MESSAGE = Text("不能晚于今天", "Not later than today")


def question(name="q", kind="text", **more):
    return Question(name, kind, WORDS, **more)


def check(answers, *questions, stage="submitted", members=("m1", "m2"), facts=None):
    template = Template("t", "intake", 1, WORDS, (Section("s", WORDS, questions),))
    assert check_template(template) == []
    found = validate_answers(template, answers, member_ids=members, facts=facts or Facts(TODAY), stage=stage)
    return [(found_item.pointer, found_item.code) for found_item in found]


def sign(number=1, **more):
    return {
        "evidenceId": PHOTO.format(number),
        "signerName": "林小满",
        "signedAt": "2026-06-15T10:00:00+08:00",
    } | more


def income(**more):
    row = {"declaredFen": 0, "foundFen": 0, "periodFrom": "2025-06", "periodTo": "2026-05"} | more
    return [{"kind": kind} | row for kind in ("wages", "business", "property", "transfer")]


GOOD = {
    "text": "平房三间",
    "integer": 3,
    "money": 120_000,
    "date": "2026-02-28",
    "choice": "a",
    "multi_choice": ["a", "b"],
    "yes_no": False,
    "geopoint": {
        "latitude": 34.2,
        "longitude": 108.9,
        "datum": "gcj02",
        "accuracyM": 15,
        "capturedAt": "2026-06-15T02:00:00Z",
    },
    "photo": [PHOTO.format(1)],
    "signature": [sign()],
    "income_table": income(),
}
CHOOSY = {"choice", "multi_choice"}


def of_kind(kind, **more):
    return question("q", kind, choices=CHOICES if kind in CHOOSY else (), **more)


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_a_good_answer_of_each_kind_has_no_fault(kind):
    assert check({"q": GOOD[kind]}, of_kind(kind, required=True)) == []


@pytest.mark.parametrize("stage", ["draft", "submitted"])
@pytest.mark.parametrize(
    ("kind", "answer", "place"),
    [
        ("text", 5, ""),
        ("integer", "5", ""),
        ("integer", 5.0, ""),
        ("integer", True, ""),
        ("integer", 2**53, ""),
        ("money", 12.5, ""),
        ("date", "2026-02-30", ""),
        ("date", "2026-2-3", ""),
        ("date", "2026-02-28T00:00:00", ""),
        ("choice", ["a"], ""),
        ("multi_choice", "a", ""),
        ("multi_choice", [1], ""),
        ("yes_no", "yes", ""),
        ("yes_no", 1, ""),
        ("geopoint", {"latitude": 34.2, "longitude": 108.9}, ""),
        ("geopoint", {"latitude": 91, "longitude": 108.9, "datum": "wgs84"}, "/latitude"),
        ("geopoint", {"latitude": float("nan"), "longitude": 1, "datum": "wgs84"}, "/latitude"),
        ("geopoint", {"latitude": 1, "longitude": 1, "datum": "mars"}, "/datum"),
        ("photo", ["not-an-id"], "/0"),
        ("photo", PHOTO.format(1), ""),
        ("signature", [{"evidenceId": PHOTO.format(1)}], "/0"),
        ("signature", [sign(signedAt="2026-06-15T10:00:00")], "/0/signedAt"),
        ("income_table", [{"kind": "lottery"}], "/0/kind"),
        ("income_table", [{"kind": "wages", "foundFen": 1.5}], "/0/foundFen"),
        ("income_table", [{"kind": "wages", "periodFrom": "2025-13"}], "/0/periodFrom"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_named_at_its_place_even_in_a_draft(kind, answer, place, stage):
    assert check({"q": answer}, of_kind(kind, required=True), stage=stage) == [
        (f"/answers/q{place}", "answer.wrong_kind")
    ]


def test_an_empty_draft_has_no_fault_and_an_empty_submission_names_what_is_required():
    request = (question("a", required=True), question("b"), of_kind("photo", required=True))
    assert check({}, *request, stage="draft") == []
    missing = [("/answers/a", "answer.required"), ("/answers/q", "answer.required")]
    assert check({}, *request) == missing
    assert check({"a": "　 ", "q": []}, *request) == missing
    assert check({"a": None, "q": None}, *request) == missing


@pytest.mark.parametrize(
    ("kind", "answer", "bounds", "fault"),
    [
        ("integer", 4, {"maximum": 3}, ("/answers/q", "answer.out_of_range")),
        ("money", -1, {"minimum": 0}, ("/answers/q", "answer.out_of_range")),
        ("text", "四个字呀", {"max_length": 3}, ("/answers/q", "answer.too_long")),
        ("text", "字" * 2001, {}, ("/answers/q", "answer.too_long")),
        ("choice", "c", {}, ("/answers/q", "answer.not_a_choice")),
        ("multi_choice", ["a", "c"], {}, ("/answers/q/1", "answer.not_a_choice")),
        ("multi_choice", ["a", "a"], {}, ("/answers/q/1", "answer.duplicate")),
        ("multi_choice", ["a"], {"minimum": 2}, ("/answers/q", "answer.too_many")),
        ("photo", [PHOTO.format(1)], {"minimum": 2}, ("/answers/q", "answer.too_many")),
        ("photo", [PHOTO.format(1), PHOTO.format(1)], {}, ("/answers/q/1", "answer.duplicate")),
        ("signature", [sign(), sign()], {"minimum": 2}, ("/answers/q/1", "answer.duplicate")),
        ("income_table", income()[:3], {}, ("/answers/q", "answer.missing_income_kind")),
        ("income_table", income(periodTo="2025-05"), {}, ("/answers/q/0/periodTo", "answer.period_inverted")),
        ("income_table", income(foundFen=None), {}, ("/answers/q/3/foundFen", "answer.required")),
        ("income_table", [*income(), *income()[:1]], {}, ("/answers/q/4/kind", "answer.duplicate")),
        (
            "income_table",
            income(declaredFen=-1),
            {"minimum": 0},
            ("/answers/q/0/declaredFen", "answer.out_of_range"),
        ),
    ],
)
def test_content_is_judged_at_submission_and_not_in_a_draft(kind, answer, bounds, fault):
    assert fault in check({"q": answer}, of_kind(kind, **bounds))
    assert check({"q": answer}, of_kind(kind, **bounds), stage="draft") == []


def test_a_question_that_is_not_in_the_checklist_is_named_with_an_escaped_pointer():
    assert check({"a/b~c": 1}, question(), stage="draft") == [("/answers/a~1b~0c", "answer.unknown_question")]


NOT_LATER = {"<=": [{"var": "value"}, {"var": "today"}]}


def test_a_broken_constraint_says_the_sentence_of_its_author():
    request = question(kind="date", constraint=NOT_LATER, constraint_message=MESSAGE)
    template = Template("t", "intake", 1, WORDS, (Section("s", WORDS, (request,)),))
    (found,) = validate_answers(template, {"q": "2026-06-16"}, member_ids=[], facts=Facts(TODAY), stage="submitted")
    assert (found.code, found.zh, found.en) == ("answer.constraint", "不能晚于今天", "Not later than today")
    assert not is_acceptable([found])
    assert check({"q": "2026-06-15"}, request) == []
    assert check({}, request) == [], "a constraint is not asked of an empty answer"


def test_a_soft_constraint_is_noticed_and_blocks_nothing():
    request = question(kind="date", constraint=NOT_LATER, constraint_message=MESSAGE, constraint_severity="notice")
    template = Template("t", "intake", 1, WORDS, (Section("s", WORDS, (request,)),))
    found = validate_answers(template, {"q": "2027-01-01"}, member_ids=[], facts=Facts(TODAY), stage="submitted")
    assert [found_item.severity for found_item in found] == ["notice"]
    assert is_acceptable(found)


HAS = question("has", "yes_no")
PLATE = question("plate", required=True, visible_if={"===": [{"var": "answers.has"}, True]})
COLOUR = question("colour", required=True, visible_if={"!==": [{"var": "answers.plate"}, None]})


def test_a_hidden_question_is_not_required_and_its_answer_is_only_noticed():
    assert check({"has": False}, HAS, PLATE, COLOUR) == []
    assert check({"has": True}, HAS, PLATE, COLOUR) == [("/answers/plate", "answer.required")]
    hidden = check({"has": False, "plate": "陕A"}, HAS, PLATE, COLOUR)
    assert hidden == [("/answers/plate", "answer.hidden")]


def test_a_hidden_answer_counts_as_unanswered_for_the_questions_behind_it():
    answers = {"has": False, "plate": "陕A", "colour": "红"}
    template = Template("t", "intake", 1, WORDS, (Section("s", WORDS, (HAS, PLATE, COLOUR)),))
    reading = read_answers(template, answers, member_ids=[], facts=Facts(TODAY), stage="submitted")
    assert [fault.pointer for fault in reading.faults] == ["/answers/plate", "/answers/colour"]
    assert is_acceptable(reading.faults)
    assert reading.shown == {"has": False}
    assert answers == {"has": False, "plate": "陕A", "colour": "红"}, "what the phone sent is kept as it was"


def test_a_section_hides_all_its_questions():
    rule = {"===": [{"var": "visit.remote"}, False]}
    template = Template("t", "intake", 1, WORDS, (Section("s", WORDS, (question(required=True),), rule),))
    for remote, expected in ((True, []), (False, ["answer.required"])):
        found = validate_answers(template, {}, member_ids=[], facts=Facts(TODAY, remote=remote), stage="submitted")
        assert [found_item.code for found_item in found] == expected


TABLE = question(
    "members",
    "member_table",
    required=True,
    columns=(
        Column("school", "choice", WORDS, required=True, choices=CHOICES),
        Column("pay", "money", WORDS, required=True, minimum=0, visible_if={">=": [{"var": "member.age"}, 16]}),
    ),
)
FAMILY = Facts(TODAY, (MemberFacts("m1", age=40), MemberFacts("m2", age=9)))


def test_each_member_has_one_row_and_each_fault_points_at_its_cell():
    good = [{"memberId": "m1", "school": "a", "pay": 5}, {"memberId": "m2", "school": "b"}]
    assert check({"members": good}, TABLE, facts=FAMILY) == []
    assert check({"members": good[:1]}, TABLE, facts=FAMILY) == [("/answers/members", "answer.missing_member")]
    assert check({"members": [good[0], good[0], good[1]]}, TABLE, facts=FAMILY) == [
        ("/answers/members/1/memberId", "answer.duplicate")
    ]
    wrong = [
        {"memberId": "m1", "school": 1, "pay": -1},
        {"memberId": "m2", "pay": 5, "extra": 1},
        {"memberId": "m9", "school": "c"},
    ]
    assert sorted(check({"members": wrong}, TABLE, facts=FAMILY)) == [
        ("/answers/members/0/pay", "answer.out_of_range"),
        ("/answers/members/0/school", "answer.wrong_kind"),
        ("/answers/members/1/extra", "answer.unknown_question"),
        ("/answers/members/1/pay", "answer.hidden"),
        ("/answers/members/1/school", "answer.required"),
        ("/answers/members/2/memberId", "answer.unknown_member"),
        ("/answers/members/2/school", "answer.not_a_choice"),
    ]


@pytest.mark.parametrize("rows", ["m1", [1], [{}], [{"memberId": 7}]])
def test_rows_without_a_member_are_of_the_wrong_kind(rows):
    found = check({"members": rows}, TABLE, stage="draft")
    assert [code for _, code in found] == ["answer.wrong_kind"]


def deep(levels):
    answer = []
    for _ in range(levels):
        answer = [answer]
    return answer


@pytest.mark.parametrize(
    "answers",
    [
        {"q": deep(100_000)},
        {"q": "x" * (MAX_TEXT_LENGTH + 1)},
        {"q": list(range(30_000))},
        {str(number): 1 for number in range(30_000)},
        {"x" * 30_000: 1},
    ],
)
def test_answers_beyond_the_limits_are_refused_whole(answers):
    assert check(answers, question(), stage="draft") == [("/answers", "answer.too_large")]


def test_the_number_of_faults_is_bounded():
    assert len(check({str(number): 1 for number in range(5000)}, question())) == 300


@pytest.mark.parametrize("answers", [None, [], "text", 5])
def test_answers_that_are_no_object_are_one_fault(answers):
    assert check(answers, question(), stage="draft") == [("/answers", "answer.wrong_kind")]


SHIPPED = load_shipped()
NAMES = sorted({item.id for template in SHIPPED for section in template.sections for item in section.questions})
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["yes", "none", "2026-01-01", "m1"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=6) | st.sampled_from(["memberId", "kind", "health", "latitude", "evidenceId"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    template=st.sampled_from(SHIPPED),
    answers=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=9), anything, max_size=12),
    stage=st.sampled_from(["draft", "submitted"]),
)
def test_hostile_answers_never_raise_and_every_fault_can_be_sent(template, answers, stage):
    found = validate_answers(template, answers, member_ids=["m1"], facts=Facts(TODAY), stage=stage)
    for found_item in found:
        msgspec.json.encode(found_item)
        assert re.fullmatch(r"/answers(/([^/~]|~[01])*)*", found_item.pointer)
