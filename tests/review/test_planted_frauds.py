"""Frauds of known truth in a small county; `make bench` prints the same for a larger one."""

from server.review.checks.registry import CHECKS
from tests.makers.cunning_frauds import ALL, plant_tricks
from tests.makers.frauds import plant
from tests.makers.honest_visits import SCENARIOS, plant_honest


async def test_every_planted_fraud_is_found_and_honest_visits_are_left_alone(ground, system):
    scores = {item.code: item for item in await plant(ground, honest=12, each=1, run_jobs=system.run_jobs)}
    assert [code for code, item in scores.items() if not item.planted] == []
    assert scores.keys() == {rule.code for rule in CHECKS}
    missed = {code: (item.found, item.planted) for code, item in scores.items() if item.found < item.planted}
    assert missed == {}
    assert {code: item.wrong for code, item in scores.items() if item.wrong} == {}


async def test_what_lies_just_beyond_a_limit_is_found_and_what_lies_just_within_is_left_alone(ground, system):
    tricks = await plant_tricks(ground, each=1, run_jobs=system.run_jobs)
    expected = {trick.name: trick.planted if trick.must == ALL else 0 for trick in tricks if trick.must is not None}
    assert {trick.name: trick.found for trick in tricks if trick.must is not None} == expected


async def test_honest_visits_near_the_limits_are_left_alone_but_for_what_the_domain_asks(ground, system):
    heard = await plant_honest(ground, each=3, run_jobs=system.run_jobs)
    # Each of them says what the domain asks for: a scenario that raises nothing any more measures nothing.
    expected = {scenario.name for scenario in SCENARIOS if scenario.may}
    assert {item.name for item in heard if item.raised} == expected
    assert {item.name: dict(item.wrong) for item in heard if item.wrong} == {}
