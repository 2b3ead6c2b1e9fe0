"""The public look-up needs what only the household's slip says, and guesses lock for longer and longer."""

import asyncio
import re
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from server.core.application_numbers import (
    ALPHABET,
    compute_check_character,
    draw_application_number,
    read_application_number,
)
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.ids import new_id
from server.http.attempt_locks import FREE_FAILURES, LONGEST_LOCK, begin_attempt, end_locks
from server.models.audit import AuditEntry
from server.models.cases import CaseFile, RelativeOnStaff
from server.models.households import Household
from server.models.people import AttemptLock
from server.residents.public_status import LookUp, find_public_case
from tests.households.test_register import apply, household, id_number
from tests.makers.cases import look
from tests.pdf import words


async def print_slip(desk, case_id):
    return await desk.http.post(f"/desk/v1/cases/{case_id}/look-up-slip")


def read_pin(slip, number):
    found = re.search(rf"{number}(\d{{8}})", words(slip.content))
    assert found
    return found[1]


async def find(services, number, pin, *, address="203.0.113.7", now=None):
    body = LookUp(application_number=number, pin=pin)
    return await find_public_case(services, body, address=address, now=now or utc_now())


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr("server.residents.public_status.ANSWER_AFTER_S", 0.0)


async def test_a_slip_for_a_name_that_the_font_lacks_is_refused_with_the_character_and_ends_no_pin(office, services):
    worker, town = await office.person("caseworker"), await office.person("town_officer")
    answer, _ = await apply(worker, household=household(members=[member(31)]))
    case = answer.json()
    number = case["applicationNumber"]
    first = read_pin(await print_slip(worker, case["id"]), number)
    async with open_session(services.sessions) as session:
        home = await session.get_one(Household, UUID(case["householdId"]))
        home.head_name = "王𠮷"
    refused = await print_slip(town, case["id"])
    assert (refused.status_code, refused.json()["code"]) == (422, "print.characters_missing")
    assert "𠮷" in refused.text
    assert (await find(services, number, first)).application_number == number, "nothing was printed: its PIN counts"


async def test_the_first_slip_is_the_caseworkers_and_the_next_an_officers_and_the_pin_before_it_ends(office, services):
    worker, town = await office.person("caseworker"), await office.person("town_officer")
    answer, _ = await apply(worker, household=household(members=[member(31)]))
    case = answer.json()
    number = case["applicationNumber"]
    slip = await print_slip(worker, case["id"])
    assert (slip.status_code, slip.headers["content-type"]) == (200, "application/pdf")
    first = read_pin(slip, number)
    assert (await find(services, number.lower(), f" {first[:4]}\u200b{first[4:]}")).state_zh
    again = await print_slip(worker, case["id"])
    assert again.json()["code"] == "auth.forbidden"
    second = read_pin(await print_slip(town, case["id"]), number)
    assert second != first
    with pytest.raises(Problem, match=r"case\.lookup_failed"):
        await find(services, number, first)
    assert (await find(services, number, second)).application_number == number
    async with open_session(services.sessions) as session:
        row = (await session.scalars(select(CaseFile).where(CaseFile.number == number))).one()
        assert row.look_up_pin
        assert len(row.look_up_pin) == 32
        assert second.encode() not in row.look_up_pin
        entries = await session.scalars(
            select(AuditEntry.facts).where(AuditEntry.action == "case.look_up_slip_printed").order_by(AuditEntry.id)
        )
        assert [facts["again"] for facts in entries] == [False, True]


async def test_a_relative_prints_no_slip_and_a_case_without_one_answers_nobody(office, services):
    town, case_id = await office.person("town_officer"), await office.case(look_up_pin=None)
    case = await look(town, case_id)
    with pytest.raises(Problem, match=r"case\.lookup_failed"):
        await find(services, case["applicationNumber"], "00000000")
    async with open_session(services.sessions) as session:
        session.add(
            RelativeOnStaff(
                household_id=case["householdId"],
                name=town.signed_in["name"],
                office="街道",
                relation="兄",
                declared_on=utc_now().date(),
            )
        )
    assert (await print_slip(town, case_id)).json()["code"] == "case.own_relative"


def member(sequence):
    return {"id": str(new_id()), "name": "农畦笠", "relation": "head", "idNumber": id_number(sequence=sequence)}


async def test_guesses_lock_a_number_for_their_address_longer_and_longer(services, county):
    first, second = county.residents[:2]
    now, waits = utc_now(), []
    for attempt in range(FREE_FAILURES + 8):
        with pytest.raises(Problem, match=r"case\.lookup_failed"):
            await find(services, first.application_number, "0000", now=now)
        if attempt + 1 < FREE_FAILURES:
            continue
        with pytest.raises(Problem, match=r"request\.rate_limited") as refused:  # even with the right PIN
            await find(services, first.application_number, first.look_up_pin, now=now)
        waits.append(timedelta(seconds=int(refused.value.headers["Retry-After"])))
        # The household itself, from elsewhere, and another at the guesser's address are not concerned.
        assert await find(services, first.application_number, first.look_up_pin, address="198.51.100.1", now=now)
        assert (await find(services, second.application_number, second.look_up_pin, now=now)).state_zh
        now += waits[-1]
    assert waits == sorted(waits)
    assert waits[0] < timedelta(hours=1) < waits[-1] <= LONGEST_LOCK + timedelta(seconds=1)
    assert (await find(services, first.application_number, first.look_up_pin, now=now)).state_zh


async def test_guesses_at_the_same_moment_all_count(services):
    now = utc_now()
    results = await asyncio.gather(
        *(begin_attempt(services.sessions, ["same"], now) for _ in range(20)), return_exceptions=True
    )
    assert sum(result is None for result in results) == FREE_FAILURES
    async with open_session(services.sessions) as session:
        await end_locks(session, ["same"])
    await begin_attempt(services.sessions, ["same"], now)
    async with open_session(services.sessions) as session:
        assert (await session.get_one(AttemptLock, "same")).failures == 1


async def test_guesses_at_a_binding_lock_the_account(system, services, county):
    first, second = county.residents[:2]
    code = {"code": f"demo-{second.wechat_suffix}-t", "device": {"label": "t"}}
    token = (await system.client().post("/auth/v1/resident/sign-in-wechat", json=code)).json()["accessToken"]
    client = system.client(Authorization=f"Bearer {token}")
    wrong = {"idNumber": second.id_number, "applicationNumber": first.application_number}
    codes = [(await client.post("/auth/v1/resident/bind", json=wrong)).json()["code"] for _ in range(FREE_FAILURES + 2)]
    assert codes == ["auth.binding_failed"] * FREE_FAILURES + ["request.rate_limited"] * 2
    right = {"idNumber": second.id_number, "applicationNumber": second.application_number}
    assert (await client.post("/auth/v1/resident/bind", json=right)).json()["code"] == "request.rate_limited"
    async with open_session(services.sessions) as session:
        subjects = list(await session.scalars(select(AttemptLock.subject)))
    assert subjects
    assert all(re.fullmatch("[0-9a-f]{64}", subject) for subject in subjects)  # neither numbers nor accounts


async def test_whoever_is_bound_to_a_household_hears_of_the_next_binding(office, system, services, county):
    resident = await office.resident()
    item = county.residents[0]
    code = {"code": "demo-stranger-t", "device": {"label": "t"}}
    token = (await system.client().post("/auth/v1/resident/sign-in-wechat", json=code)).json()["accessToken"]
    body = {"idNumber": item.id_number, "applicationNumber": item.application_number}
    stranger = system.client(Authorization=f"Bearer {token}")
    for _ in range(2):  # a repeated binding is not another one
        assert (await stranger.post("/auth/v1/resident/bind", json=body)).status_code == 200
    await system.run_jobs()
    notices = (await resident.http.get("/resident/v1/notices")).json()["items"]
    assert [notice["kind"] for notice in notices] == ["bound", "bound"]
    assert "绑定了您家的申请" in notices[0]["zh"]


async def test_application_numbers_can_not_be_guessed_and_a_device_may_draw_one(office):
    worker = await office.person("caseworker")
    drawn = draw_application_number("339901", utc_now().year)
    answers = [
        (
            await apply(
                worker, household=household(members=[member(41 + 2 * n)]), **({"number": drawn} if n == 0 else {})
            )
        )[0]
        for n in range(3)
    ]
    numbers = [answer.json()["applicationNumber"] for answer in answers]
    assert numbers[0] == drawn
    assert len({number[12:] for number in numbers}) == 3
    for number in numbers:
        assert read_application_number(number, "339901") == number
    for wrong in (drawn, drawn[:-1] + ("0" if drawn[-1] != "0" else "1"), "SQ3399012026-000001"):
        refused, _ = await apply(worker, household=household(members=[member(61)]), number=wrong)
        assert refused.json()["errors"][0]["pointer"] == "/number", refused.text


@settings(deadline=None)
@given(st.text(st.sampled_from(ALPHABET), min_size=8, max_size=8), st.integers(0, 8), st.sampled_from(ALPHABET))
def test_a_wrong_character_or_two_swapped_ones_are_found(serial, place, other):
    tail = serial + compute_check_character(f"3399012026{serial}")
    number = f"SQ3399012026-{tail}"
    assert read_application_number(number.replace("-", "").lower(), "339901") == number
    assert read_application_number(number, "339902") is None
    wrong = tail[:place] + other + tail[place + 1 :]
    assert (read_application_number(f"SQ3399012026-{wrong}", "339901") is None) == (wrong != tail)
    place = min(place, 7)
    swapped = tail[:place] + tail[place + 1] + tail[place] + tail[place + 2 :]
    assert (read_application_number(f"SQ3399012026-{swapped}", "339901") is None) == (swapped != tail)


def test_a_number_reads_the_same_in_every_program_that_draws_one():
    assert compute_check_character("339901202600000000") == "C"
    assert read_application_number("sq3399012026 12345678" + compute_check_character("339901202612345678"), "339901")


async def test_a_caseworker_asks_whether_a_number_matches_and_sees_none(office, phone, services):
    documents = await phone.pull("households")
    document = next(iter(documents.values()))
    household_id, person = document["id"], document["members"][0]
    path = f"/field/v1/households/{household_id}/id-number-checks"
    await office.rule("household.id_checks_per_day", 3)
    number = next(
        found.id_number for home in office.county.households if home.number == document["number"] for found in home.members
        if found.name == person["name"]
    )  # fmt: skip
    right = await phone.http.post(path, json={"memberId": person["id"], "idNumber": f"'{number.lower()}\u200b"})
    assert right.json() == {"matches": True, "left": 2}
    wrong = await phone.http.post(path, json={"memberId": person["id"], "idNumber": id_number()})
    assert wrong.json() == {"matches": False, "left": 1}
    elsewhere = await phone.http.post(
        f"/field/v1/households/{new_id()}/id-number-checks", json={"memberId": person["id"], "idNumber": number}
    )
    assert elsewhere.json()["code"] == "thing.not_found"
    await phone.http.post(path, json={"memberId": person["id"], "idNumber": number})
    spent = await phone.http.post(path, json={"memberId": person["id"], "idNumber": number})
    assert (spent.status_code, spent.json()["code"]) == (429, "household.id_checks_spent")
    async with open_session(services.sessions) as session:
        rows = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == "household.id_number_checked")))
    assert sorted(row.facts["matches"] for row in rows) == [False, True, True]
    assert number not in str([row.facts for row in rows])
