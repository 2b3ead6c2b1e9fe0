"""The household reads what a visit recorded, confirms or disputes it, and reports what changes at home."""

from datetime import date, datetime, time

from server.core.clock import CHINA, utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.areas import PolicySetting
from server.models.cases import CaseFile
from server.models.visits import Visit
from tests.makers.cases import look
from tests.phones import make_kit
from tests.test_first_path import push_whole


async def visited(office, county):
    """A visit by two, pushed whole from the phone, to the home of the first application."""
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    phone = await office.system.sign_in(due.caseworker_login, "caseworker")
    partner = await office.system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)
    place = next(
        n for n, resident in enumerate(county.residents) if resident.application_number == due.application_number
    )
    resident = await office.resident(place)
    case_id = (await resident.http.get("/resident/v1/cases")).json()[0]["id"]
    return case_id, kit, resident


async def test_what_was_not_asked_or_is_not_of_its_kind_is_not_shown(office, services, county):
    """Hidden answers are kept as the phone sent them, and nobody has looked at what they hold."""
    case_id, kit, resident = await visited(office, county)
    path = f"/resident/v1/cases/{case_id}/visits"
    result = (await resident.http.get(path)).json()[0]["answers"]
    table = next(item["questionId"] for item in result if item["kind"] == "income_table")
    async with open_session(services.sessions) as session:
        visit = await session.get_one(Visit, kit.visit["id"])
        visit.document = visit.document | {"answers": visit.document["answers"] | {table: ["x", {"kind": []}]}}
    answer = await resident.http.get(path)
    assert answer.status_code == 200
    assert {item["questionId"] for item in answer.json()[0]["answers"]} == {item["questionId"] for item in result} - {
        table
    }


async def test_a_visit_is_read_confirmed_or_disputed_and_staff_read_that(office, county):
    case_id, kit, resident = await visited(office, county)
    path = f"/resident/v1/cases/{case_id}/visits"
    read = (await resident.http.get(path)).json()
    assert [(item["id"], len(item["visitors"]), item["stance"]) for item in read] == [(kit.visit["id"], 2, None)]
    shown = {answer["questionId"] for answer in read[0]["answers"]}
    assert shown < set(kit.visit["answers"])
    assert not {answer["kind"] for answer in read[0]["answers"]} & {"photo", "signature", "geopoint"}
    assert all(answer["zh"] for answer in read[0]["answers"])
    tables = {answer["kind"]: answer["rows"] for answer in read[0]["answers"] if answer["rows"]}
    head = county.residents[0].name
    assert head in {row["zh"] for row in tables["member_table"]}
    wages = next(row for row in tables["income_table"] if row["zh"] == "工资性收入")
    assert [(cell["zh"], cell["en"]) for cell in wages["cells"][:2]] == [("申报", "declared"), ("查实", "found")]
    assert wages["cells"][0]["saidZh"].endswith(" 元")

    word = f"{path}/{kit.visit['id']}/word"
    silent = await resident.http.post(word, json={"stance": "disputed"})
    assert silent.json()["code"] == "case.reason_required"
    for _ in range(2):
        result = await resident.http.post(word, json={"stance": "disputed", "text": "收入写多了"})
        assert result.json()[0]["stance"] == "disputed"
    desk = await office.person("county_officer")
    said = [item for item in (await look(desk, case_id))["timeline"] if item["step"] == "resident_disputed"]
    assert [item["reason"] for item in said] == ["收入写多了"]
    confirmed = await resident.http.post(word, json={"stance": "confirmed"})
    assert confirmed.json()[0]["stance"] == "confirmed"

    stranger = await office.resident(7)
    for answer in (
        await stranger.http.get(path),
        await stranger.http.post(word, json={"stance": "confirmed"}),
        await resident.http.post(f"{path}/{new_id()}/word", json={"stance": "confirmed"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "thing.not_found")


async def test_what_the_investigators_think_waits_for_the_decision_unless_the_area_shows_it(office, services, county):
    case_id, kit, resident = await visited(office, county)
    path = f"/resident/v1/cases/{case_id}/visits"
    shown = {answer["questionId"] for answer in (await resident.http.get(path)).json()[0]["answers"]}
    assert {"conclusion", "opinion"} <= set(kit.visit["answers"])
    assert not {"conclusion", "opinion"} & shown
    async with open_session(services.sessions) as session:
        rule = {"key": "resident.opinion_before_decision", "value": True, "source": "test"}
        session.add(PolicySetting(id=new_id(), area_code="339901", effective_from=date(2020, 1, 2), **rule))
    assert {"conclusion", "opinion"} <= {
        answer["questionId"] for answer in (await resident.http.get(path)).json()[0]["answers"]
    }


async def test_a_visit_early_on_the_day_of_the_application_is_shown(office, services, county):
    case_id, kit, resident = await visited(office, county)
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        visit = await session.get_one(Visit, kit.visit["id"])
        visit.started_at = datetime.combine(case.applied_on, time(7), tzinfo=CHINA)
    assert len((await resident.http.get(f"/resident/v1/cases/{case_id}/visits")).json()) == 1


async def test_what_was_looked_into_behind_a_complaint_is_not_shown_to_the_household(office, services, county):
    case_id, kit, resident = await visited(office, county)
    path = f"/resident/v1/cases/{case_id}/visits"
    for kind in ("complaint", "neighbour", "spot_check"):
        async with open_session(services.sessions) as session:
            (await session.get_one(Visit, kit.visit["id"])).kind = kind
        assert (await resident.http.get(path)).json() == []
        word = await resident.http.post(f"{path}/{kit.visit['id']}/word", json={"stance": "confirmed"})
        assert word.json()["code"] == "thing.not_found"


async def test_a_change_at_home_may_be_told_before_the_application_is_taken_on(office):
    case_id = await office.case(state="materials")
    resident = await office.resident()
    body = {"id": str(new_id()), "kind": "job_lost", "text": "工厂停工"}
    assert (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()["mayReport"]
    answer = await resident.http.post(f"/resident/v1/cases/{case_id}/changes", json=body)
    assert answer.status_code == 204, answer.text


async def test_a_change_at_home_is_kept_once_on_the_case_and_not_after_it_was_withdrawn(office):
    case_id = await office.case()
    resident, town = await office.resident(), await office.person("town_officer")
    path, body = f"/resident/v1/cases/{case_id}/changes", {"id": str(new_id()), "kind": "birth", "text": "添一女"}
    for _ in range(2):
        assert (await resident.http.post(path, json=body)).status_code == 204
    lines = [item for item in (await look(town, case_id))["timeline"] if item["step"] == "change_reported"]
    assert [(item["reason"], item["facts"]["kind"]) for item in lines] == [("添一女", "birth")]
    assert lines[0]["at"] <= utc_now().isoformat()
    await resident.http.post(f"/resident/v1/cases/{case_id}/withdraw", json={"reason": "不申请了"})
    late = await resident.http.post(path, json=body | {"id": str(new_id())})
    assert late.json()["code"] == "case.closed"
