from datetime import date

import pytest

from server.checklists.answers import validate_answers
from server.checklists.examples import make_example_answers
from server.checklists.facts import Facts, MemberFacts
from server.checklists.shipped import load_shipped
from server.checklists.template import iter_questions
from server.checklists.template_checks import check_template

SHIPPED = {template.kind: template for template in load_shipped()}
every_template = pytest.mark.parametrize("template", list(SHIPPED.values()), ids=list(SHIPPED))
MEMBERS = ["m1", "m2", "m3"]
FAMILY = Facts(date(2026, 6, 15), (MemberFacts("m1", 66), MemberFacts("m2", 35), MemberFacts("m3", 8)))


def kinds_of(template):
    return {question.kind for question in iter_questions(template)}


def test_there_is_one_checklist_for_each_kind_of_visit():
    assert list(SHIPPED) == ["intake", "review", "neighbour", "complaint", "spot_check", "care", "housing"]


@every_template
def test_a_shipped_checklist_has_no_fault(template):
    assert check_template(template) == []


@every_template
@pytest.mark.parametrize("remote", [False, True])
def test_example_answers_are_complete_and_valid(template, remote):
    for seed in range(4):
        facts = Facts(FAMILY.today, FAMILY.members, remote=remote)
        answers = make_example_answers(template, MEMBERS, seed, facts=facts)
        assert validate_answers(template, answers, member_ids=MEMBERS, facts=facts, stage="submitted") == []
        assert answers == make_example_answers(template, MEMBERS, seed, facts=facts)


@every_template
def test_each_required_answer_is_missed_when_it_is_taken_away(template):
    answers = make_example_answers(template, MEMBERS, 1, facts=FAMILY)
    for question in iter_questions(template):
        if not question.required or question.id not in answers:
            continue
        rest = {name: answer for name, answer in answers.items() if name != question.id}
        found = validate_answers(template, rest, member_ids=MEMBERS, facts=FAMILY, stage="submitted")
        assert (f"/answers/{question.id}", "answer.required") in [
            (found_item.pointer, found_item.code) for found_item in found
        ]


def test_example_answers_take_the_evidence_ids_that_they_are_given():
    ids = [f"0197a1b2-0000-7000-8000-{number:012d}" for number in range(30)]
    answers = make_example_answers(SHIPPED["intake"], MEMBERS, 1, facts=FAMILY, evidence_ids=iter(ids))
    assert answers["photo_outside"][0] in ids
    assert {item["evidenceId"] for item in answers["sign_investigators"]} <= set(ids)


def test_the_intake_asks_always_at_most_forty_questions_and_the_review_at_least_twenty_five():
    always = {kind: sum(item.visible_if is None for item in iter_questions(SHIPPED[kind])) for kind in SHIPPED}
    assert 25 <= always["intake"] <= 40
    assert always["review"] >= 25


@every_template
def test_two_investigators_sign_every_kind_of_visit(template):
    signatures = {item.id: item for item in iter_questions(template) if item.kind == "signature"}
    assert signatures["sign_investigators"].minimum == 2
    assert signatures["sign_investigators"].required


def test_the_intake_uses_the_law_s_members_and_four_incomes_with_photos_place_and_signatures():
    assert {"member_table", "income_table", "photo", "signature", "geopoint"} <= kinds_of(SHIPPED["intake"])


def test_a_question_id_means_the_same_in_every_checklist():
    seen = {}
    for template in SHIPPED.values():
        for item in iter_questions(template):
            first = seen.setdefault(item.id, item)
            assert (item.kind, item.label, item.choices, item.columns) == (
                first.kind,
                first.label,
                first.choices,
                first.columns,
            )


def test_a_spot_check_shares_enough_questions_with_the_first_visit_to_be_compared():
    shared = {item.id for item in iter_questions(SHIPPED["spot_check"])} & {
        item.id for item in iter_questions(SHIPPED["intake"])
    }
    assert {"members", "income", "vehicles", "other_housing", "housing_area_m2", "living_standard"} <= shared


def test_a_visit_by_phone_asks_for_no_photo_of_the_house():
    remote = Facts(FAMILY.today, FAMILY.members, remote=True)
    answers = make_example_answers(SHIPPED["intake"], MEMBERS, 1, facts=remote)
    assert not {"photo_outside", "photo_inside", "home_location", "sign_family"} & set(answers)
