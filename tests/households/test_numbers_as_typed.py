"""Numbers and names find each other on every way in, however they were typed; and a mask completes no number."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, text, update

from server.cli.migrate import alembic_config, upgrade
from server.core.clock import utc_now
from server.core.database import async_url, open_session
from server.core.id_numbers import check_digit
from server.core.ids import new_id
from server.models.cases import RelativeOnStaff
from server.models.people import Staff
from tests.households.test_register import accept_account, apply, household, id_number
from tests.makers.cases import VILLAGE, look, refused

WRAPPED = "\u202a{}\u202c"


def as_pasted(number):
    """Full-width, with an apostrophe, a zero-width space and the direction marks that a phone's dialler adds."""
    wide = "".join(chr(ord(c) + 0xFEE0) for c in number.lower())
    return WRAPPED.format(f"'{wide[:6]}\u200b{wide[6:]}")


async def test_numbers_are_stored_in_one_spelling_whatever_was_pasted(office, services):
    town = await office.person("town_officer")
    number = id_number(sequence=33)
    member = {"id": str(new_id()), "name": "古丽 • 买买提\u200b", "relation": "head", "idNumber": as_pasted(number)}
    body = household(
        members=[member],
        phone="+86 199－0000－8888",
        bank={"holderName": "古丽．买买提", "bankName": "农商行", "card": as_pasted("6200001234567890")},
    )
    answer, sent = await apply(town, household=body)
    assert answer.status_code == 201, answer.text
    path = f"/desk/v1/households/{sent['householdId']}"
    await accept_account(office)
    page = (await town.http.get(path)).json()
    assert (page["members"][0]["name"], page["bankHolder"]) == ("古丽·买买提", "古丽·买买提")
    for what, value in (("id_number", number), ("phone", "19900008888"), ("card", "6200001234567890")):
        ask = {"what": what, "reason": "核对登记", "memberId": member["id"] if what == "id_number" else None}
        assert (await town.http.post(f"{path}/reveal", json=ask)).json() == {"value": value}

    for query in ("古丽・买买提", "古丽.买买提", page["number"].replace("-", ""), as_pasted(page["number"])):
        found = (await town.http.get("/desk/v1/households", params={"q": query})).json()
        assert sent["householdId"] in {line["id"] for line in found["items"]}, query

    again, _ = await apply(town, household=household(members=[{**member, "id": str(new_id()), "idNumber": number}]))
    assert again.json()["code"] == "household.member_known"
    assert number[-4:] not in again.text


async def test_a_resident_binds_with_numbers_as_a_phone_pastes_them(system, county):
    item = county.residents[0]
    anybody = system.client()
    code = {"code": f"demo-{item.wechat_suffix}-t", "device": {"label": "t"}}
    token = (await anybody.post("/auth/v1/resident/sign-in-wechat", json=code)).json()["accessToken"]
    body = {
        "idNumber": as_pasted(item.id_number),
        "applicationNumber": as_pasted(item.application_number.replace("-", "")),
    }
    answer = await anybody.post("/auth/v1/resident/bind", json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text


async def test_a_declared_relative_is_excluded_whatever_the_dot_in_their_name(office, services):
    town, case_id = await office.person("town_officer"), await office.case()
    household_id = (await look(town, case_id))["householdId"]
    async with open_session(services.sessions) as session:
        await session.execute(update(Staff).where(Staff.id == town.id).values(name="阿依·古丽"))
        session.add(
            RelativeOnStaff(
                household_id=household_id,
                name="阿依 ．古丽",
                office="街道",
                relation="姐",
                declared_on=utc_now().date(),
            )
        )
    assert await refused(town, case_id, "papers_missing") == "case.own_relative"


async def test_the_author_of_a_complaint_finds_the_answer_without_the_dash(system):
    anybody = system.client()
    body = {"areaCode": VILLAGE, "text": "有人说已经搬走了", "against": ["阿依 • 古丽"]}
    receipt = (await anybody.post("/public/v1/complaints", json=body)).json()
    for number in (receipt["number"].replace("-", ""), as_pasted(receipt["number"])):
        ask = {"number": number, "code": f" {receipt['code'].lower()}\u200b"}
        answer = await anybody.post("/public/v1/complaints/look-up", json=ask)
        assert answer.json().get("number") == receipt["number"], answer.text


def rebuild(mask, born_on, sex, area):
    """List the numbers that fit a mask, the birth date and the sex, in the area where the person lives."""
    numbers = (f"{area}{born_on:%Y%m%d}{sequence:03d}" for sequence in range(999))
    made = [first_17 + check_digit(first_17) for first_17 in numbers]
    return [
        number
        for number in made
        if (int(number[16]) % 2 == 1) == (sex == "male")
        and len(number) == len(mask)
        and all(shown in {"*", digit} for shown, digit in zip(mask, number, strict=True))
    ]


async def test_what_a_caseworkers_phone_and_the_desk_show_completes_no_number(office, phone, services, county):
    members = {member.id_number: member for home in county.households for member in home.members}
    documents = await phone.pull("households")
    shown = [member for document in documents.values() for member in document["members"]]
    town = await office.person("town_officer")
    for household_id in list(documents)[:5]:
        shown += (await town.http.get(f"/desk/v1/households/{household_id}")).json()["members"]
    masks = [member["idNumberMask"] for member in shown if member["idNumberMask"]]
    assert len(masks) > 20
    for mask in masks:
        assert set(mask[1:-1]) == {"*"}
    of_area = [number for number in members if number.startswith("339901")]
    left = [
        len(rebuild(number[0] + "*" * 16 + number[-1], members[number].born_on, members[number].sex, number[:6]))
        for number in of_area[:20]
    ]
    assert min(left) > 30  # with the former mask it was one


@pytest.fixture
def url(postgres, template):
    name = f"masks_{os.urandom(4).hex()}"
    yield postgres.create_database(name, template=template)
    postgres.drop_database(name)


def test_stored_masks_lose_what_they_showed_in_tables_and_in_kept_versions(url):
    (migration,) = Path("migrations/versions").glob("*_masks_that_complete_no_number.py")
    command.downgrade(alembic_config(url), f"{int(migration.name[:4]) - 1:04d}")
    engine = create_engine(async_url(url))
    former = "339901********587X"
    with engine.begin() as connection:
        connection.execute(text("UPDATE household_member SET id_number_mask = :mask"), {"mask": former})
        body = {"members": [{"name": "甲", "idNumberMask": former}, {"name": "乙", "idNumberMask": None}], "version": 1}
        connection.execute(
            text(
                "INSERT INTO household_version (id, household_id, version, at, reason, body) "
                "SELECT gen_random_uuid(), id, 1, :at, '变更', CAST(:body AS jsonb) FROM household ORDER BY id LIMIT 1"
            ),
            {"at": utc_now() - timedelta(days=1), "body": json.dumps(body)},
        )
        before = connection.scalar(text("SELECT max(xid) FROM feed WHERE collection = 'households'"))
    upgrade(url)
    with engine.connect() as connection:
        masks = set(connection.scalars(text("SELECT DISTINCT id_number_mask FROM household_member")))
        kept = connection.scalar(text("SELECT body FROM household_version"))
        after = connection.scalar(text("SELECT min(xid) FROM feed WHERE collection = 'households' AND NOT is_deleted"))
    engine.dispose()
    assert masks == {"3****************X"}
    assert [(member["name"], member["idNumberMask"]) for member in kept["members"]] == [
        ("甲", "3****************X"),
        ("乙", None),
    ]
    assert before is None or int(after) > int(before)  # phones receive the documents again
