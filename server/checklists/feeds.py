"""Which figure of the register an answer proposes (`feeds`), and the check that a checklist says so without ambiguity.

An accepted visit proposes these figures; a person takes them over or writes why not. An office that writes its own
form says in the workbook what its questions feed, so that the form works without a change of the program.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

from server.checklists.faults import Fault, make_fault

if TYPE_CHECKING:
    from server.checklists.template import Column, Question, Template

Feed = Literal[
    "incomes",
    "wage_month",
    "wage_year",
    "business_month",
    "business_year",
    "property_month",
    "property_year",
    "transfer_month",
    "transfer_year",
    "cost_month",
    "cost_year",
    "work_cost_month",
    "work_cost_year",
    "deposit",
    "home",
    "vehicle",
    "business",
    "health",
    "labour_ability",
    "recommendation",
]
FEED_LABELS: Final[dict[Feed, str]] = {
    "incomes": "四类收入",
    "wage_month": "工资性收入（月）",
    "wage_year": "工资性收入（年）",
    "business_month": "经营净收入（月）",
    "business_year": "经营净收入（年）",
    "property_month": "财产净收入（月）",
    "property_year": "财产净收入（年）",
    "transfer_month": "转移净收入（月）",
    "transfer_year": "转移净收入（年）",
    "cost_month": "全部扣减支出（月）",
    "cost_year": "全部扣减支出（年）",
    "work_cost_month": "就业成本（月）",
    "work_cost_year": "就业成本（年）",
    "deposit": "存款等金融资产",
    "home": "住房套数",
    "vehicle": "车辆数",
    "business": "经营实体数",
    "health": "成员健康状况",
    "labour_ability": "成员劳动能力",
    "recommendation": "复核建议",
}
assert set(FEED_LABELS) == set(get_args(Feed)), "a feed has no label"

COUNTED: Final = "counted"
"""The value of a choice that counts as a thing owned, such as a car among the answers about vehicles."""
PROPOSED_LABELS: Final[dict[str, str]] = {
    "healthy": "健康",
    "chronic": "慢性病",
    "serious_illness": "重病",
    "disabled": "残疾",
    "severely_disabled": "重度残疾",
    "full": "有劳动能力",
    "partial": "部分丧失劳动能力",
    "none": "无劳动能力",
    "keep": "维持",
    "raise": "增发",
    "cut": "减发",
    "stop": "停发",
    "check": "进一步核查",
    "urgent": "急需救助",
    COUNTED: "计入",
}
"""The register's values that a choice may stand for, with the words of the workbook."""
_VALUES: Final[dict[str, frozenset[str]]] = {
    "health": frozenset({"healthy", "chronic", "serious_illness", "disabled", "severely_disabled"}),
    "labour_ability": frozenset({"full", "partial", "none"}),
    "recommendation": frozenset({"keep", "raise", "cut", "stop", "check", "urgent"}),
}
PROPERTY_COUNTS: Final = frozenset({"home", "vehicle", "business"})
_OF_MEMBERS: Final = frozenset({"health", "labour_ability"})
_COSTS: Final = frozenset({"cost", "work_cost"})
"""Figures that several questions may feed: their amounts are added up. All costs include the costs of work."""


_MONTHS_PER_YEAR: Final = 12


class Period(NamedTuple):
    """The figure that a money feed proposes, and the months that its amount covers."""

    figure: str
    months: int


def read_period(feed: Feed) -> Period | None:
    """Return figure and months of an amount by month or year, None for another feed."""
    figure, _, unit = feed.rpartition("_")
    months = {"month": 1, "year": 12}.get(unit)
    return Period(figure, months) if figure and months else None


def count_months(first: str | None, last: str | None) -> int | None:
    """Return the months from one `YYYY-MM` to another, both included; None for a period that ends before it begins."""
    if first is None or last is None:
        return None
    (from_year, from_month), (to_year, to_month) = (map(int, month.split("-")) for month in (first, last))
    months = (to_year - from_year) * _MONTHS_PER_YEAR + to_month - from_month + 1
    return months if months > 0 else None


def check_feeds(template: "Template") -> Iterator[Fault]:
    """Yield faults of feeds: a kind that can't answer it, the wrong place, a figure that is fed twice."""
    fed: set[str] = set()
    for i, section in enumerate(template.sections):
        for j, question in enumerate(section.questions):
            at = f"/sections/{i}/questions/{j}"
            for cell, cell_at, is_column in _list_cells(question, at):
                yield from _check_cell(cell, cell_at, is_column=is_column)
                yield from _check_fed_once(cell, cell_at, fed)


def _list_cells(question: "Question", at: str) -> Iterator[tuple["Column", str, bool]]:
    yield question, at, False
    for index, column in enumerate(question.columns):
        yield column, f"{at}/columns/{index}", True


def _check_cell(cell: "Column", at: str, *, is_column: bool) -> Iterator[Fault]:
    if cell.feeds is None:
        if any(choice.proposes for choice in cell.choices):
            yield make_fault(f"{at}/feeds", "template.proposes_unexpected")
        return
    label = FEED_LABELS[cell.feeds]
    if cell.kind not in _kinds_for(cell.feeds):
        yield make_fault(f"{at}/feeds", "template.feed_kind", zh=label, feeds=cell.feeds)
    if not _may_stand(cell.feeds, is_column=is_column):
        yield make_fault(f"{at}/feeds", "template.feed_place", zh=label, feeds=cell.feeds)
    yield from _check_choices(cell, at)


def _kinds_for(feed: Feed) -> frozenset[str]:
    if feed in _VALUES:
        return frozenset({"choice"})
    if feed in PROPERTY_COUNTS:
        return frozenset({"integer", "yes_no", "multi_choice"})
    return frozenset({"income_table" if feed == "incomes" else "money"})


def _may_stand(feed: Feed, *, is_column: bool) -> bool:
    """Health and ability to work stand in a member table, income by kind in either, all else outside."""
    period = read_period(feed)
    if feed in _OF_MEMBERS:
        return is_column
    return not is_column or (period is not None and period.figure not in _COSTS)


def _check_choices(cell: "Column", at: str) -> Iterator[Fault]:
    assert cell.feeds is not None
    allowed = _VALUES.get(cell.feeds, frozenset({COUNTED}) if cell.feeds in PROPERTY_COUNTS else frozenset())
    for index, choice in enumerate(cell.choices):
        if choice.proposes is not None and choice.proposes not in allowed:
            yield make_fault(
                f"{at}/choices/{index}/proposes",
                "template.proposes_unknown",
                value=choice.proposes[:40],
                allowed="、".join(sorted(allowed)),
            )
    if cell.choices and allowed and not any(choice.proposes for choice in cell.choices):
        yield make_fault(f"{at}/feeds", "template.proposes_missing")


def _check_fed_once(cell: "Column", at: str, fed: set[str]) -> Iterator[Fault]:
    """A total and a member's column are the same figure: taken over both, they would be added."""
    if cell.feeds is None:
        return
    period = read_period(cell.feeds)
    figures = ["wage", "business", "property", "transfer"] if cell.feeds == "incomes" else []
    # The property "business" is another figure than the income of that name.
    figures = figures or [period.figure if period else f"={cell.feeds}"]
    for figure in figures:
        clashes = _COSTS - {figure} if figure in _COSTS else {figure}
        if clashes & fed:
            yield make_fault(f"{at}/feeds", "template.fed_twice", zh=FEED_LABELS[cell.feeds], feeds=cell.feeds)
        fed.add(figure)


def warn_about_feeds(template: "Template") -> list[Fault]:
    """Return a notice when no answer of the checklist proposes a figure: its visits can't change an amount."""
    for section in template.sections:
        for question in section.questions:
            if any(cell.feeds for cell, _, _ in _list_cells(question, "")):
                return []
    return [make_fault("/sections", "template.feeds_nothing", severity="notice")]
