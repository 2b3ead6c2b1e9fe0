"""Every checklist is printed as an empty form: all its questions in words, nothing of a household."""

import pytest

from server.checklists.blank_form import build_blank_form
from server.checklists.shipped import load_shipped
from server.checklists.template import INCOME_KINDS, iter_questions
from server.core.pdf import render_blank_form
from tests.pdf import words


@pytest.mark.parametrize("template", load_shipped(), ids=lambda template: template.code)
async def test_every_question_of_a_shipped_checklist_is_on_its_form(template):
    printed = words(await render_blank_form(build_blank_form(template)))
    for number, question in enumerate(iter_questions(template), 1):
        assert f"{number}.{''.join(question.label.zh.split())}" in printed
        for choice in question.choices:
            assert "".join(choice.label.zh.split()) in printed
    for zh, _ in INCOME_KINDS.values():
        assert (zh in printed) == any(question.kind == "income_table" for question in iter_questions(template))
    assert f"{template.code}第{template.version}版" in printed
    assert "签名" in printed


def test_conditions_are_said_by_the_numbers_on_the_paper():
    notes = [
        question.note
        for template in load_shipped()
        for section in build_blank_form(template).sections
        for question in section.questions
    ]
    said = [note for note in notes if "仅当" in note]
    assert said
    assert not any(name in note for note in said for name in ("_", "{", "|"))


async def test_a_blank_form_is_printed_at_the_desk_by_whoever_reads_checklists(county_desk, phone):
    line = (await county_desk.http.get("/desk/v1/checklists")).json()[0]
    path = f"/desk/v1/checklists/{line['code']}/{line['version']}/blank-form"
    answer = await county_desk.http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF")
    assert (await phone.http.get(path)).status_code == 403
    assert (await county_desk.http.get("/desk/v1/checklists/no_such/1/blank-form")).status_code == 404
