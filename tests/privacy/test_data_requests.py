"""People ask about their data: in the app or at the counter, answered in time by a person, in writing."""

import io
from datetime import timedelta
from uuid import UUID

import openpyxl
import pytest
from sqlalchemy import select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.working_days import day_of
from server.models.areas import PolicySetting
from server.models.audit import AuditEntry
from server.models.cases import CaseFile
from server.models.households import Household, HouseholdMember
from server.models.people import ResidentBinding
from server.models.privacy import DataRequest, PrivacyConsent
from tests.pdf import words


@pytest.fixture
async def resident(office):
    return await office.resident()


@pytest.fixture
async def bound(resident, services):
    async with services.sessions() as session:
        return await session.scalar(select(ResidentBinding).where(ResidentBinding.resident_id == resident.id))


@pytest.fixture
async def town(office):
    return await office.person("town_officer")


def ask(bound, **changes):
    return {"id": str(new_id()), "householdId": str(bound.household_id), "kind": "copy", "text": ""} | changes


async def answer(desk, request_id, **body):
    return await desk.http.post(f"/desk/v1/data-requests/{request_id}/answer", json=body)


async def test_a_request_has_thirty_days_is_answered_and_read(resident, bound, town):
    body = ask(bound, kind="correct", text="电话换了")
    [taken] = (await resident.http.post("/resident/v1/data-requests", json=body)).json()
    assert (taken["state"], taken["dueOn"]) == ("open", str(day_of(utc_now()) + timedelta(days=30)))
    again = await resident.http.post("/resident/v1/data-requests", json=body)
    assert len(again.json()) == 1
    other = await resident.http.post("/resident/v1/data-requests", json=body | {"kind": "see"})
    assert (other.status_code, other.json()["code"]) == (409, "request.idempotency_key_reused")
    [line] = (await town.http.get("/desk/v1/data-requests", params={"state": "open"})).json()["items"]
    assert (line["request"]["id"], line["atCounter"], line["isLate"]) == (body["id"], False, False)
    done = await answer(town, body["id"], outcome="granted", answer="已更正")
    assert done.status_code == 200, done.text
    [own] = (await resident.http.get("/resident/v1/data-requests")).json()
    assert (own["state"], own["answer"]) == ("granted", "已更正")
    twice = await answer(town, body["id"], outcome="refused", answer="不行", ground="duty")
    assert (twice.status_code, twice.json()["code"]) == (409, "privacy.answered")
    assert (await answer(town, body["id"], outcome="granted", answer="已更正")).status_code == 200


async def test_one_request_of_a_kind_waits_at_a_time(resident, bound, town):
    first = ask(bound)
    await resident.http.post("/resident/v1/data-requests", json=first)
    second = await resident.http.post("/resident/v1/data-requests", json=ask(bound))
    assert (second.status_code, second.json()["code"]) == (409, "privacy.request_open")
    assert (await resident.http.post("/resident/v1/data-requests", json=ask(bound, kind="see"))).status_code == 200
    await answer(town, first["id"], outcome="granted", answer="已复制")
    assert (await resident.http.post("/resident/v1/data-requests", json=ask(bound))).status_code == 200


async def test_who_is_bound_as_two_members_says_whose_data_it_is_about(resident, bound, services):
    async with open_session(services.sessions) as session:
        other = HouseholdMember(
            id=new_id(), household_id=bound.household_id, position=9, name="农畦笠", relation="spouse", sex="female",
            born_on=day_of(utc_now()) - timedelta(days=12_000),
        )  # fmt: skip
        session.add(other)
        await session.flush()
        session.add(ResidentBinding(resident_id=resident.id, household_id=bound.household_id, member_id=other.id))
    unclear = await resident.http.post("/resident/v1/data-requests", json=ask(bound))
    assert (unclear.status_code, unclear.json()["code"]) == (409, "privacy.member_unclear")
    body = ask(bound, memberId=str(other.id))
    assert (await resident.http.post("/resident/v1/data-requests", json=body)).status_code == 200
    async with services.sessions() as session:
        assert await session.scalar(select(DataRequest.member_id)) == other.id
    strangers = ask(bound, memberId=str(new_id()))
    assert (await resident.http.post("/resident/v1/data-requests", json=strangers)).status_code == 404
    own = (await resident.http.get("/resident/v1/privacy")).json()
    assert [entry["memberName"] for entry in own][1] == "农畦笠"
    agree = {"householdId": str(bound.household_id), "memberId": str(other.id), "version": own[1]["notice"]["version"]}
    agreed = (await resident.http.post("/resident/v1/privacy/agree", json=agree)).json()
    assert [entry["agreedAt"] is not None for entry in agreed] == [False, True]


async def test_the_days_are_a_setting_of_the_area_and_lateness_shows(resident, bound, town, services):
    async with open_session(services.sessions) as session:
        session.add(
            PolicySetting(
                key="privacy.answer_days",
                area_code="339901",
                effective_from=day_of(utc_now()),
                value={"count": 5, "unit": "days"},
                source="county",
            )
        )
    [taken] = (await resident.http.post("/resident/v1/data-requests", json=ask(bound))).json()
    assert taken["dueOn"] == str(day_of(utc_now()) + timedelta(days=5))
    async with open_session(services.sessions) as session:
        await session.execute(update(DataRequest).values(due_on=day_of(utc_now()) - timedelta(days=1)))
    [line] = (await town.http.get("/desk/v1/data-requests")).json()["items"]
    assert line["isLate"] is True


async def test_deletion_is_refused_in_writing_while_the_law_keeps_the_file(resident, bound, town, services):
    body = ask(bound, kind="delete", text="请删除我的全部资料")
    await resident.http.post("/resident/v1/data-requests", json=body)
    [line] = (await town.http.get("/desk/v1/data-requests")).json()["items"]
    assert (line["mustKeep"], line["keepsUntil"]) == (True, None)
    granted = await answer(town, body["id"], outcome="granted", answer="已删除")
    assert (granted.status_code, granted.json()["code"]) == (409, "privacy.must_be_kept")
    without = await answer(town, body["id"], outcome="refused", answer="不能删除")
    assert (without.status_code, without.json()["code"]) == (422, "privacy.ground_missing")
    early = await town.http.post(f"/desk/v1/data-requests/{body['id']}/reply")
    assert (early.status_code, early.json()["code"]) == (409, "privacy.not_answered")
    refused = await answer(
        town, body["id"], outcome="refused", answer="档案须保存", ground="retention", eraseContact=True
    )
    assert refused.status_code == 200, refused.text
    # What no file needs is gone all the same.
    async with services.sessions() as session:
        household = await session.get_one(Household, bound.household_id)
        assert (household.phone_sealed, household.phone_mask, household.phone_index) == (None, None, None)
        binding = await session.get_one(ResidentBinding, bound.id)
        assert binding.ended_at is not None
        actions = await session.scalars(select(AuditEntry.action).where(AuditEntry.thing_id == body["id"]))
        assert {"data.requested", "data.answered", "data.erased"} <= set(actions)
    printed = words((await town.http.post(f"/desk/v1/data-requests/{body['id']}/reply")).content)
    assert "个人信息请求答复书" in printed
    assert "保存期限未届满" in printed
    assert "向人民法院提起诉讼" in printed


async def test_deletion_is_granted_once_the_files_are_older_than_the_setting(resident, bound, town, services):
    body = ask(bound, kind="delete")
    await resident.http.post("/resident/v1/data-requests", json=body)
    long_ago = day_of(utc_now()) - timedelta(days=1097)
    async with open_session(services.sessions) as session:
        old = {"state": "withdrawn", "applied_on": long_ago, "decided_on": None, "stopped_from": None}
        await session.execute(update(CaseFile).where(CaseFile.household_id == bound.household_id).values(**old))
        unpaid = update(Household).where(Household.id == bound.household_id).values(monthly_amount_fen=None)
        await session.execute(unpaid)
    [line] = (await town.http.get("/desk/v1/data-requests")).json()["items"]
    assert line["mustKeep"] is False
    assert (await answer(town, body["id"], outcome="granted", answer="已删除联系方式", eraseContact=True)).json()[
        "erasedAt"
    ]


async def test_contact_data_is_deleted_for_deletion_and_restriction_alone(resident, bound, town):
    body = ask(bound, kind="see")
    await resident.http.post("/resident/v1/data-requests", json=body)
    result = await answer(town, body["id"], outcome="granted", answer="请看", eraseContact=True)
    assert (result.status_code, result.json()["code"]) == (422, "privacy.nothing_to_erase")


async def test_a_copy_holds_the_person_and_nobody_else(resident, bound, town, services, office):
    body = ask(bound)
    await resident.http.post("/resident/v1/data-requests", json=body)
    copied = await town.http.post(f"/desk/v1/data-requests/{body['id']}/copy")
    assert copied.status_code == 200, copied.text
    sheet = openpyxl.load_workbook(io.BytesIO(copied.content)).active
    text = "\n".join("|".join(str(cell) for cell in row) for row in sheet.iter_rows(values_only=True))
    async with services.sessions() as session:
        members = list(
            await session.scalars(select(HouseholdMember).where(HouseholdMember.household_id == bound.household_id))
        )
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "data.copied"))
        assert entry is not None
        assert entry.facts["member_id"] == str(bound.member_id)
    me = next(member for member in members if member.id == bound.member_id)
    sealed = services.encryption.open("household_member.id_number", me.id, me.id_number_sealed)
    assert me.name in text
    assert sealed in text
    assert office.application.number in text
    for member in members:
        if member.id != me.id:
            assert member.name not in text
            assert (
                services.encryption.open("household_member.id_number", member.id, member.id_number_sealed) not in text
            )
    other = ask(bound, kind="explain")
    await resident.http.post("/resident/v1/data-requests", json=other)
    refused = await town.http.post(f"/desk/v1/data-requests/{other['id']}/copy")
    assert (refused.status_code, refused.json()["code"]) == (409, "privacy.no_copy_asked")


async def test_a_request_is_entered_at_the_counter_and_by_officers_of_the_area_alone(bound, town, county_desk, phone):
    body = ask(bound, memberId=str(bound.member_id))
    entered = await town.http.post("/desk/v1/data-requests", json=body)
    assert entered.status_code == 200, entered.text
    [line] = (await town.http.get("/desk/v1/data-requests")).json()["items"]
    assert line["atCounter"] is True
    stranger = await town.http.post("/desk/v1/data-requests", json=ask(bound, memberId=str(new_id())))
    assert stranger.status_code == 404
    assert (await phone.http.post("/desk/v1/data-requests", json=body)).status_code == 403
    assert (await phone.http.post(f"/desk/v1/data-requests/{body['id']}/copy")).status_code == 403


async def test_a_resident_asks_of_no_household_but_their_own(resident, bound, services):
    async with services.sessions() as session:
        other = await session.scalar(select(Household.id).where(Household.id != bound.household_id))
    result = await resident.http.post("/resident/v1/data-requests", json=ask(bound, householdId=str(other)))
    assert result.status_code == 404


async def test_the_notice_is_agreed_to_by_version_and_a_new_one_asks_anew(resident, bound, town, services):
    [own] = (await resident.http.get("/resident/v1/privacy")).json()
    assert (own["notice"]["version"], own["agreedAt"]) == ("1", None)
    body = {"householdId": str(bound.household_id), "version": "1"}
    for _ in range(2):
        [own] = (await resident.http.post("/resident/v1/privacy/agree", json=body)).json()
        assert own["agreedAt"]
    async with open_session(services.sessions) as session:
        assert len(list(await session.scalars(select(PrivacyConsent)))) == 1
        notice = {"version": "2", "zh": "新" * 30, "en": "new " * 10}
        session.add(
            PolicySetting(
                key="privacy.notice",
                area_code="339901",
                effective_from=day_of(utc_now()),
                value=notice,
                source="county",
            )
        )
    [own] = (await resident.http.get("/resident/v1/privacy")).json()
    assert (own["notice"]["version"], own["agreedAt"]) == ("2", None)
    late = await resident.http.post("/resident/v1/privacy/agree", json=body)
    assert (late.status_code, late.json()["code"]) == (409, "privacy.notice_replaced")
    paper = {"memberId": str(bound.member_id), "version": "2"}
    path = f"/desk/v1/households/{bound.household_id}/consents"
    assert (await town.http.post(path, json=paper)).status_code == 204
    [own] = (await resident.http.get("/resident/v1/privacy")).json()
    assert own["agreedAt"]
    async with services.sessions() as session:
        assert {row.recorded_by for row in await session.scalars(select(PrivacyConsent))} == {None, UUID(str(town.id))}


async def test_everybody_reads_the_notice_and_the_table_without_signing_in(system):
    stranger = system.client()
    assert (await stranger.get("/public/v1/privacy-notice", params={"area": "339901"})).json()["version"] == "1"
    table = (await stranger.get("/public/v1/retention-table")).json()
    assert any("1096" in line["zh"] for line in table)
