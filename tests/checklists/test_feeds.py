"""What a checklist says of the register: which answer proposes which figure, and what an office is warned of."""

from functools import partial

import msgspec
import pytest
from click.testing import CliRunner

from server.__main__ import main
from server.checklists import workbook_reader
from server.checklists.feeds import read_period, warn_about_feeds
from server.checklists.shipped import load_shipped
from server.checklists.template import Choice, Column, Question, Section, Template, Text, iter_questions
from server.checklists.template_checks import check_template
from server.checklists.workbook_writer import write_workbook
from server.core.spreadsheet_reader import read_sheets
from tests.conftest import environment

read_workbook = partial(workbook_reader.read_workbook, read=read_sheets)
TEXT = Text("题目", "Question")
SHIPPED = {template.kind: template for template in load_shipped()}
HEALTH = (Choice("well", TEXT, "healthy"), Choice("ill", TEXT, "serious_illness"), Choice("other", TEXT))


def form(*questions):
    return Template("t", "review", 1, TEXT, (Section("one", TEXT, questions),))


def table(*columns):
    return Question("members", "member_table", TEXT, columns=columns)


def faults(*questions):
    return [
        (fault.code, fault.pointer.removeprefix("/sections/0/questions/")) for fault in check_template(form(*questions))
    ]


def test_the_shipped_surveys_feed_incomes_property_members_and_a_recommendation():
    fed = {
        kind: {
            cell.feeds for question in iter_questions(template) for cell in (question, *question.columns) if cell.feeds
        }
        for kind, template in SHIPPED.items()
    }
    assert {"incomes", "deposit", "vehicle", "business", "health", "labour_ability", "work_cost_month"} == fed["intake"]
    assert {"incomes", "deposit", "vehicle", "health", "labour_ability", "recommendation"} == fed["review"]
    assert not any(check_template(template) for template in SHIPPED.values())


def test_an_office_reads_and_writes_what_feeds_in_excel():
    own = form(
        Question("earned", "money", TEXT, feeds="wage_year"),
        Question(
            "cars",
            "multi_choice",
            TEXT,
            choices=(Choice("car", TEXT, "counted"), Choice("bike", TEXT)),
            feeds="vehicle",
        ),
        table(Column("health", "choice", TEXT, choices=HEALTH, feeds="health")),
    )
    assert not check_template(own)
    assert read_workbook(write_workbook(own)) == own


def test_a_stored_checklist_without_feeds_reads_as_before():
    stored = {
        "id": "a",
        "kind": "choice",
        "label": {"zh": "题", "en": "q"},
        "choices": [{"code": "x", "label": {"zh": "甲", "en": "x"}}],
    }
    question = msgspec.convert(stored, Question)
    assert (question.feeds, question.choices[0].proposes) == (None, None)
    assert msgspec.json.decode(msgspec.json.encode(question)) == stored


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (Question("a", "text", TEXT, feeds="wage_month"), "template.feed_kind"),
        (Question("a", "money", TEXT, feeds="incomes"), "template.feed_kind"),
        (Question("a", "choice", TEXT, choices=HEALTH, feeds="health"), "template.feed_place"),
        (table(Column("a", "money", TEXT, feeds="deposit")), "template.feed_place"),
        (table(Column("a", "choice", TEXT, choices=HEALTH, feeds="labour_ability")), "template.proposes_unknown"),
        (table(Column("a", "choice", TEXT, choices=HEALTH[2:], feeds="health")), "template.proposes_missing"),
        (Question("a", "choice", TEXT, choices=HEALTH), "template.proposes_unexpected"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_the_figure_is_refused(question, code):
    assert code in [found for found, _ in faults(question)]


def test_a_total_and_a_members_column_are_not_both_the_wage():
    total = Question("income", "income_table", TEXT, feeds="incomes")
    column = table(Column("earns", "money", TEXT, feeds="wage_month"))
    assert faults(total, column) == [("template.fed_twice", "1/columns/0/feeds")]
    costs = [Question(name, "money", TEXT, feeds="cost_month") for name in ("a", "b")]
    assert faults(*costs) == []
    assert faults(costs[0], Question("c", "money", TEXT, feeds="work_cost_year")) == [("template.fed_twice", "1/feeds")]


def test_an_amount_says_its_figure_and_its_months():
    assert (read_period("work_cost_year"), read_period("wage_month"), read_period("home")) == (
        ("work_cost", 12),
        ("wage", 1),
        None,
    )


def test_a_form_that_feeds_nothing_is_published_with_a_warning(settings, tmp_path):
    assert warn_about_feeds(SHIPPED["review"]) == []
    mute = msgspec.structs.replace(form(Question("note", "text", TEXT)), code="mute")
    file = tmp_path / "mute.xlsx"
    file.write_bytes(write_workbook(mute))
    result = CliRunner(env=environment(settings)).invoke(main, ["import-checklist", str(file)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "mute version 1 is published." in result.output
    assert "No question feeds the register" in result.output
