"""Frauds of known truth in a small county; `make bench` prints the same for a larger one."""

from server.review.rules import RULES
from tests.review.frauds import plant

# What these tests plant elsewhere: a second visit to compare with, a question of the intake's checklist.
PLANTED_ELSEWHERE = {"visit.differs_at_spot_check", "visit.relative_not_declared"}


async def test_every_planted_fraud_is_found_and_honest_visits_are_left_alone(ground, system):
    scores = {one.code: one for one in await plant(ground, honest=12, each=1, run_jobs=system.run_jobs)}
    assert {code for code, one in scores.items() if not one.planted} == PLANTED_ELSEWHERE
    assert scores.keys() == {rule.code for rule in RULES}
    missed = {code: (one.found, one.planted) for code, one in scores.items() if one.found < one.planted}
    assert missed == {}
    assert {code: one.wrong for code, one in scores.items() if one.wrong} == {}
