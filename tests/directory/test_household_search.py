"""Households are found by what somebody knows of them."""

from datetime import datetime, time

import pytest
from sqlalchemy import insert, select

from server.core import clock
from server.core.database import open_session
from server.demo.records import County
from server.models.areas import PolicySetting
from server.models.audit import AuditEntry
from server.models.households import Household, HouseholdMember
from server.models.people import AttemptWindow


async def find(desk, q: str) -> set[str]:
    answer = await desk.http.get("/desk/v1/households", params={"q": q, "limit": 200})
    assert answer.status_code == 200, answer.text
    return {line["number"] for line in answer.json()["items"]}


@pytest.fixture
def household(county: County):
    """A household of the first town with several members."""
    return next(item for item in county.households if len(item.members) > 2)


async def test_a_household_is_found_by_any_member_in_any_writing(county_desk, services, household):
    async with open_session(services.sessions) as session:
        rows = await session.execute(
            select(HouseholdMember.name, HouseholdMember.pinyin)
            .join(Household, Household.id == HouseholdMember.household_id)
            .where(Household.number == household.number)
        )
        members = rows.all()
    assert len(members) == len(household.members)
    for name, pinyin in members:
        whole, *_, initials = pinyin.split()
        for word in (name, name[1:], whole, whole.upper(), initials):
            assert household.number in await find(county_desk, word), word


async def test_a_household_is_found_by_its_number_however_it_is_written(county_desk, household):
    bare = household.number.replace("-", "")
    wide = household.number.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})
    for word in (household.number, bare, bare.lower(), wide, household.number.split("-")[1]):
        assert household.number in await find(county_desk, word), word


async def test_whole_numbers_find_by_their_blind_index_alone(county_desk, household):
    person = household.members[-1]
    assert await find(county_desk, person.id_number) == {household.number}
    assert await find(county_desk, person.id_number[:-1]) == set()
    assert household.number in await find(county_desk, f"+86{household.phone}")
    assert household.number not in await find(county_desk, household.phone[:-1])


async def test_words_narrow_each_other_and_a_village_is_a_word(county_desk, county, household):
    village = next(area.name for area in county.areas if area.code == household.area_code)
    name = household.members[0].name
    both = await find(county_desk, f"{village} {name}")
    assert household.number in both
    assert both == await find(county_desk, village) & await find(county_desk, name)
    elsewhere = next(area for area in county.areas if len(area.code) == 12 and area.name != village)
    assert household.number not in await find(county_desk, f"{elsewhere.name} {name}")


async def test_a_search_stays_within_the_callers_areas(town_desk, county_desk, county):
    own = town_desk.signed_in["roles"][0]["area_code"]
    numbers = {item.number for item in county.households if item.area_code.startswith(own)}
    assert numbers
    surname = county.households[0].head_name[0]
    assert await find(town_desk, surname) <= numbers
    assert not await find(county_desk, surname) <= numbers


async def test_what_is_changed_is_found_by_its_new_name_and_no_longer_by_the_old(county_desk, services, household):
    async with open_session(services.sessions) as session:
        member = await session.scalar(
            select(HouseholdMember)
            .join(Household, Household.id == HouseholdMember.household_id)
            .where(Household.number == household.number, HouseholdMember.position == 1)
        )
        member.name = "欧阳测一"
    assert await find(county_desk, "oyc") == {household.number}
    assert await find(county_desk, "ouyangceyi") == {household.number}
    assert household.number not in await find(county_desk, household.members[1].name + "不在")


@pytest.mark.parametrize("word", ["'", "\\", "a'b | c:*", "!", "&", "%", "_", ":*", "(", "\u200b", "张" * 60])
async def test_no_sign_that_people_type_breaks_a_search(county_desk, word):
    assert await find(county_desk, word) is not None


async def test_searches_for_whole_numbers_count_as_checks_of_a_number_and_end(county_desk, services, county, household):
    """A mask and a birth date leave few numbers open: nobody tries them out by searching."""
    async with open_session(services.sessions) as session:
        setting = select(PolicySetting.value).where(PolicySetting.key == "household.id_checks_per_day")
        limit = (await session.scalars(setting)).one()
        await session.execute(
            insert(AttemptWindow).values(
                subject=f"id-check:{county_desk.id}",
                window_start=datetime.combine(clock.today(), time(), clock.CHINA),
                attempts=limit - 2,
            )
        )
    numbers = [household.members[0].id_number, household.phone, county.households[-1].members[0].id_number]
    assert [bool(await find(county_desk, number)) for number in numbers[:2]] == [True, True]
    for number in numbers:
        refused = await county_desk.http.get("/desk/v1/households", params={"q": number})
        assert (refused.status_code, refused.json()["code"]) == (429, "household.id_checks_spent")
    assert household.number in await find(county_desk, household.members[0].name)
    async with open_session(services.sessions) as session:
        trail = await session.scalars(
            select(AuditEntry.facts).where(
                AuditEntry.actor_id == county_desk.id, AuditEntry.action == "household.id_number_checked"
            )
        )
        assert trail.all() == [{}, {}]
