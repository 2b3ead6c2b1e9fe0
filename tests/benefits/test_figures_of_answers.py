"""What answers propose: totals over a period, amounts by month or year, members' own, counts and codes."""

from uuid import UUID

from server.benefits.figures import figure_of_income, figures_within
from server.benefits.figures_of_answers import AnsweredFigure, read_figures
from server.checklists.template import Choice, Column, Question, Section, Template, Text

TEXT = Text("题", "q")
ADA, BEN = "01a22c8c-0000-7000-8000-000000000001", "01a22c8c-0000-7000-8000-000000000002"


def read(answers, *questions):
    template = Template("t", "review", 1, TEXT, (Section("one", TEXT, questions),))
    return read_figures(template, answers, [ADA, BEN])


def row(kind, found, first, last, declared=0):
    return {"kind": kind, "declaredFen": declared, "foundFen": found, "periodFrom": first, "periodTo": last}


def test_a_total_is_over_the_months_of_its_period():
    table = Question("income", "income_table", TEXT, feeds="incomes")
    rows = [
        row("wages", 2_400_00, "2023-11", "2024-10", declared=1_200_00),
        row("business", 100_00, "2024-01", "2024-01"),
        row("property", -50_00, "2023-12", "2024-02"),
        row("transfer", 90_00, "2024-02", "2024-01"),
    ]
    assert read({"income": rows}, table) == [
        AnsweredFigure("wage", "income", None, 2_400_00, 12, None, 1_200_00),
        AnsweredFigure("business", "income", None, 100_00, 1, None, 0),
        AnsweredFigure("property", "income", None, 0, 3, None, 0),
    ]


def test_a_column_goes_to_the_member_and_to_nobody_who_is_none():
    table = Question("who", "member_table", TEXT, columns=(Column("earns", "money", TEXT, feeds="wage_month"),))
    answers = {"who": [{"memberId": ADA, "earns": 80_00}, {"memberId": BEN}, {"memberId": "x", "earns": 9}]}
    assert read(answers, table) == [AnsweredFigure("wage", "who.earns", UUID(ADA), 80_00, 1)]


def test_costs_of_several_questions_are_added_up():
    questions = (
        Question("bus", "money", TEXT, feeds="work_cost_month"),
        Question("tools", "money", TEXT, feeds="work_cost_year"),
    )
    assert read({"bus": 10_00, "tools": 60_00}, *questions) == [
        AnsweredFigure("work_cost", "bus,tools", None, 180_00, 12)
    ]
    assert read({"bus": 10_00}, *questions) == [AnsweredFigure("work_cost", "bus", None, 10_00, 1)]


def test_things_are_counted_and_codes_are_the_registers():
    cars = (Choice("none", TEXT), Choice("car", TEXT, "counted"), Choice("lorry", TEXT, "counted"))
    advice = (Choice("end", TEXT, "stop"), Choice("wait", TEXT))
    questions = (
        Question("cars", "multi_choice", TEXT, choices=cars, feeds="vehicle"),
        Question("shop", "yes_no", TEXT, feeds="business"),
        Question("saved", "money", TEXT, feeds="deposit"),
        Question("advice", "choice", TEXT, choices=advice, feeds="recommendation"),
    )
    answers = {"cars": ["car", "lorry"], "shop": True, "saved": 5_00, "advice": "end"}
    assert [(figure.figure, figure.amount, figure.value) for figure in read(answers, *questions)] == [
        ("vehicle", 2, None),
        ("business_count", 1, None),
        ("deposit", 5_00, None),
        ("recommendation", None, "stop"),
    ]
    assert read({"cars": ["none"], "advice": "wait"}, *questions)[0].amount == 0
    assert len(read({"cars": ["none"], "advice": "wait"}, *questions)) == 1


def test_all_costs_include_those_of_work():
    assert figure_of_income("cost", "work") == "work_cost"
    assert figures_within("cost") == {"cost", "work_cost"}
    assert figures_within("work_cost") == {"work_cost"}
