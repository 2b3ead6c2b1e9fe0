"""A look without signing in: nothing of others, the same answer and time whether the case exists or not."""

import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from server.cases.look_up_slips import SHARED_FACTOR
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.http.rate_limit import SLOW_INTERVAL
from server.models.cases import CaseEvent, CaseFile
from server.residents.public_status import ANSWER_AFTER_S, LookUp, find_public_case


async def look_up(system, number, pin):
    started = time.monotonic()
    answer = await system.client().post("/public/v1/cases/look-up", json={"applicationNumber": number, "pin": pin})
    return answer, time.monotonic() - started


async def test_number_and_pin_tell_where_the_case_stands_and_name_nobody(system, county):
    first = county.residents[0]
    answer, _ = await look_up(system, first.application_number.lower(), first.look_up_pin)
    assert answer.status_code == 200, answer.text
    assert answer.json()["stateZh"] == "已受理"
    home = next(household for household in county.households if household.number == first.household_number)
    for member in home.members:
        assert member.name not in answer.text
        assert member.id_number not in answer.text
    assert home.address not in answer.text


async def test_its_days_are_days_in_china(system, services, county):
    first = county.residents[0]
    async with open_session(services.sessions) as session:
        case = select(CaseFile.id).where(CaseFile.number == first.application_number).scalar_subquery()
        midnight = datetime(2025, 11, 30, 16, 5, tzinfo=UTC)  # five past twelve on the first of December
        await session.execute(update(CaseEvent).where(CaseEvent.case_id == case).values(at=midnight))
    answer, _ = await look_up(system, first.application_number, first.look_up_pin)
    assert {item["on"] for item in answer.json()["timeline"]} == {"2025-12-01"}


async def test_wrong_and_right_take_the_same_time_and_all_wrongs_say_the_same(system, county):
    first, second = county.residents[:2]
    right, right_s = await look_up(system, first.application_number, first.look_up_pin)
    wrong, wrong_s = await look_up(system, first.application_number, second.look_up_pin)
    number, number_s = await look_up(system, "YQ2026-999999", first.look_up_pin)
    assert right.status_code == 200
    assert {**wrong.json(), "requestId": ""} == {**number.json(), "requestId": ""}
    assert (wrong.status_code, wrong.json()["code"]) == (404, "case.lookup_failed")
    # Never before the moment that each answer waits for: what lies beyond is the machine's, not the case's.
    assert min(right_s, wrong_s, number_s) >= ANSWER_AFTER_S


async def test_guessing_a_pin_bars_the_number_for_the_guessers_address_alone(system, services, county, monkeypatch):
    monkeypatch.setattr("server.residents.public_status.ANSWER_AFTER_S", 0.05)
    first, second = county.residents[:2]
    for _ in range(services.settings.sign_in_attempts):
        await look_up(system, first.application_number, "0000")
    braked, took_s = await look_up(system, first.application_number, first.look_up_pin)
    assert (braked.status_code, braked.json()["code"]) == (429, "request.rate_limited")
    assert took_s >= 0.05
    other, _ = await look_up(system, second.application_number, second.look_up_pin)
    assert other.status_code == 200  # a village office stands behind one address
    # Who comes from elsewhere is let in, also to the number that was guessed at.
    lines = [LookUp(application_number=item.application_number, pin=item.look_up_pin) for item in (first, second)]
    for line in lines:
        assert (await find_public_case(services, line, address="203.0.113.9", now=utc_now())).state_zh


async def test_successes_count_for_nothing_however_many_stand_behind_one_address(system, services, county, monkeypatch):
    monkeypatch.setattr("server.residents.public_status.ANSWER_AFTER_S", 0)
    first = county.residents[0]
    for _ in range(services.settings.sign_in_attempts + 2):
        answer, _ = await look_up(system, first.application_number, first.look_up_pin)
        assert answer.status_code == 200


async def test_guesses_from_everywhere_slow_a_number_down_and_never_lock_it(services, county, monkeypatch):
    monkeypatch.setattr("server.residents.public_status.ANSWER_AFTER_S", 0)
    first = county.residents[0]
    now = utc_now()
    for attempt in range(services.settings.sign_in_attempts * SHARED_FACTOR):
        guess = LookUp(application_number=first.application_number, pin="0000")
        with pytest.raises(Problem, match=r"case\.lookup_failed"):
            await find_public_case(services, guess, address=f"203.0.113.{attempt}", now=now)
    right = LookUp(application_number=first.application_number, pin=first.look_up_pin)
    assert (await find_public_case(services, right, address="198.51.100.1", now=now)).state_zh
    with pytest.raises(Problem) as slowed:
        await find_public_case(services, right, address="198.51.100.2", now=now)
    assert int(slowed.value.headers["Retry-After"]) <= SLOW_INTERVAL.total_seconds() + 1
    later = now + SLOW_INTERVAL
    assert (await find_public_case(services, right, address="198.51.100.2", now=later)).state_zh
