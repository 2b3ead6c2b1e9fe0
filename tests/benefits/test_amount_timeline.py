"""One line of amounts by month for a case: no gaps, no overlaps, and every decision explains its difference."""

from datetime import date
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from server.benefits.amount_timeline import amount_to_show, build_timeline
from server.benefits.changes import month_after
from server.models.benefits import BenefitChange
from tests import days
from tests.benefits.test_changes import earns, in_force
from tests.makers.cases import calculated, look, settled

FIRST = date(2025, 1, 1)
MONTHS = 24


def month_of(place: int) -> date:
    return date(FIRST.year + place // 12, place % 12 + 1, 1)


def decision(place: int, amount_fen: int, number: int) -> BenefitChange:
    """A decision on what is paid from a month on; the number says in which order they were made."""
    return BenefitChange(
        id=UUID(int=number),
        kind="stopped" if amount_fen == 0 else "raised",
        month=month_of(place),
        amount_fen=amount_fen,
        reason=f"{number}",
        decided_on=FIRST,
    )


DECISIONS = st.lists(
    st.tuples(st.integers(0, MONTHS - 1), st.sampled_from([0, 200_00, 300_00, 360_00])), min_size=1, max_size=8
).map(lambda rows: [decision(place, fen, number) for number, (place, fen) in enumerate(rows)])


def paid_in(decisions: list[BenefitChange], month: date) -> int:
    """What a month is paid, by the rule alone: the last decision that counts from this month or before it."""
    return next((item.amount_fen for item in reversed(decisions) if item.month <= month), 0)


@given(DECISIONS)
def test_the_spans_follow_one_another_without_a_gap_or_an_overlap(decisions):
    spans = build_timeline(decisions).spans
    assert (spans[0].from_month, spans[0].before_fen) == (min(item.month for item in decisions), 0)
    assert [span.until_month for span in spans[:-1]] == [span.from_month for span in spans[1:]]
    assert spans[-1].until_month is None
    assert all(span.until_month is None or span.from_month < span.until_month for span in spans)


@given(DECISIONS)
def test_every_month_has_the_amount_of_the_last_decision_that_counts_for_it(decisions):
    spans = build_timeline(decisions).spans
    for month in map(month_of, range(MONTHS)):
        within = [
            span
            for span in spans
            if span.from_month <= month and (span.until_month is None or month < span.until_month)
        ]
        assert len(within) <= 1
        assert (within[0].amount_fen if within else 0) == paid_in(decisions, month)
        assert amount_to_show(spans, month) in {span.amount_fen for span in spans if span.amount_fen} | {None}


@given(DECISIONS)
def test_every_decision_explains_its_difference_or_is_named_as_overtaken(decisions):
    timeline = build_timeline(decisions)
    before = 0
    for span in timeline.spans:
        made = next(item for item in decisions if item.id == span.change_id)
        assert (span.before_fen, span.amount_fen, span.reason) == (before, made.amount_fen, made.reason)
        before = span.amount_fen
    named = [span.change_id for span in timeline.spans] + [item.change_id for item in timeline.overtaken]
    assert sorted(named) == [item.id for item in decisions]


async def test_a_cut_that_a_stop_overtakes_is_nothing_that_the_household_reads_as_paid(office):
    case_id, county = await in_force(office)
    resident = await office.resident()
    paid = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()["status"]["amountFen"]
    next_month = month_after(days.in_days(0))
    await earns(office, case_id, 50_00)
    cut = (await calculated(county, case_id, next_month.isoformat()))["amountFen"]
    await settled(office, case_id, "amount_changed", reason="新增收入")
    status = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()["status"]
    assert status["amountFen"] == paid
    assert [(span["beforeFen"], span["amountFen"]) for span in status["amounts"]] == [(0, paid), (paid, cut)]

    await settled(office, case_id, "stopped", reason="迁出", ground="moved", fromMonth=next_month.isoformat())
    status = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()["status"]
    assert status["amountFen"] == paid
    assert [(span["kind"], span["beforeFen"], span["amountFen"]) for span in status["amounts"]] == [
        ("granted", 0, paid),
        ("stopped", paid, 0),
    ]
    assert cut not in {span["amountFen"] for span in status["amounts"]}
    shown = await look(county, case_id)
    assert [(item["kind"], item["amountFen"]) for item in shown["overtaken"]] == [("cut", cut)]
    assert shown["amounts"] == status["amounts"]


def test_a_grant_that_was_stopped_before_it_was_paid_shows_no_amount():
    changes = [decision(3, 360_00, 0), decision(3, 0, 1)]
    assert amount_to_show(build_timeline(changes).spans, month_of(5)) is None
