"""What the village reads: plain pages behind an address nobody guesses, saying what the law allows and nothing else."""

import re

import httpx
import pytest
from sqlalchemy import func, select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.working_days import day_of
from server.models.audit import AuditEntry
from server.models.households import Household
from server.models.postings import Posting
from tests.benefits.test_changes import household_of, in_force
from tests.makers.cases import VILLAGE, look, settled
from tests.pdf import words
from tests.phones import tiny_photo
from tests.postings.test_postings import drafted, end, hang_up, opened, to_posting
from tests.sync.test_pull import counted


@pytest.fixture
async def browser(office):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(office.system.app, raise_app_exceptions=False), base_url="http://zoufang.test"
    ) as client:
        yield client


async def standing_list(office, **more):
    town = await office.person("town_officer")
    answer = await town.http.post("/desk/v1/disclosures", json={"areaCode": VILLAGE} | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def read_list(office, key):
    return await office.system.client().get(f"/public/v1/disclosures/{key}")


# --- the posting's page


async def test_the_code_on_the_poster_opens_a_page_where_one_objects_and_reads_the_answer(office, browser):
    case_id, town = await to_posting(office)
    posting = await opened(office)
    page = await browser.get(f"/p/{posting['key']}")
    case = await look(town, case_id)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert case["headName"] in page.text
    assert f"{case['amountFen'] / 100:.2f}" in page.text
    assert '<meta name="robots" content="noindex' in page.text
    assert "noindex" in page.headers["x-robots-tag"]
    assert "script" not in page.text
    for secret in (str(case_id), case["applicationNumber"], case["householdId"]):
        assert secret not in page.text

    taken = await browser.post(
        f"/p/{posting['key']}", data={"position": "1", "text": "该户有<轿车>一辆", "contact": ""}
    )
    number, code = re.search(r"编号：(\S+?)<br>查询码：(\S+?)<", taken.text).groups()
    await office.system.run_jobs()
    assert (await look(town, case_id))["state"] == "objection"
    listed = (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["objections"][0]
    assert (listed["text"], listed["hasContact"]) == ("该户有<轿车>一辆", False)
    body = {"outcome": "dismissed", "answer": "经查<属>他人"}
    await town.http.post(f"/desk/v1/objections/{listed['id']}/answer", json=body)
    answer = await browser.post("/answers/objection", data={"number": number, "code": code})
    assert "经查&lt;属&gt;他人" in answer.text

    await end(office, posting["id"])
    gone = await browser.get(f"/p/{posting['key']}")
    assert (gone.status_code, "此页已不可用" in gone.text) == (404, True)
    assert case["headName"] not in gone.text


async def test_a_form_that_says_too_little_is_answered_by_a_page_and_changes_nothing(office, browser):
    case_id, town = await to_posting(office)
    posting = await opened(office)
    for body in ({"position": "1", "text": "短"}, {"position": "x", "text": "该户有轿车一辆"}, {}):
        answer = await browser.post(f"/p/{posting['key']}", data=body)
        assert (answer.status_code, answer.headers["content-type"][:9]) == (400, "text/html")
    await office.system.run_jobs()
    assert (await look(town, case_id))["state"] == "posting"


# --- the standing list


async def test_the_standing_list_shows_who_is_paid_and_nothing_else(office, services):
    case_id, _ = await in_force(office)
    household = await household_of(office, case_id)
    opened_list = await standing_list(office)
    assert (await standing_list(office))["key"] == opened_list["key"]
    result = await read_list(office, opened_list["key"])
    assert set(result.json()) == {"areaName", "areaCode", "asOf", "households"}
    lines = result.json()["households"]
    assert {frozenset(line) for line in lines} == {frozenset({"name", "members", "amountFen"})}
    mine = [line for line in lines if line["name"] == household.head_name]
    assert [item["amountFen"] for item in mine] == [household.monthly_amount_fen]
    async with services.sessions() as session:
        paid = await session.scalar(
            select(func.count()).where(Household.area_code == VILLAGE, Household.monthly_amount_fen > 0)
        )
    assert len(lines) == paid == opened_list["households"]
    assert "noindex" in result.headers["x-robots-tag"]
    assert len(opened_list["key"]) >= 43


async def test_who_is_stopped_is_gone_from_the_list_with_the_month(office, browser):
    case_id, _ = await in_force(office)
    name = (await household_of(office, case_id)).head_name
    listed, this_month = await standing_list(office), day_of(utc_now()).replace(day=1).isoformat()
    assert name in (await browser.get(f"/l/{listed['key']}")).text
    await settled(office, case_id, "stopped", reason="收入超标", ground="income", fromMonth=this_month)
    assert name not in (await browser.get(f"/l/{listed['key']}")).text
    assert name not in (await read_list(office, listed["key"])).text


async def test_a_renewed_address_ends_the_old_one(office, browser):
    first, town = await standing_list(office), await office.person("town_officer")
    second = (await town.http.post(f"/desk/v1/disclosures/{first['id']}/renew")).json()
    assert second["key"] != first["key"]
    again = (await town.http.post(f"/desk/v1/disclosures/{first['id']}/renew")).json()
    assert again["key"] == second["key"]
    gone, never = await read_list(office, first["key"]), await read_list(office, "x" * 43)
    assert {**gone.json(), "requestId": ""} == {**never.json(), "requestId": ""}
    assert (await browser.get(f"/l/{first['key']}")).status_code == 404
    assert [item["key"] for item in (await town.http.get("/desk/v1/disclosures")).json()["items"]] == [second["key"]]


async def test_a_report_from_the_list_is_a_complaint_with_number_and_code(office, browser):
    listed, town = await standing_list(office), await office.person("town_officer")
    body = {"text": "名单上有人住在城里", "reporterName": "", "contact": "19900003333"}
    taken = await browser.post(f"/l/{listed['key']}", data=body)
    number, code = re.search(r"编号：(\S+?)<br>查询码：(\S+?)<", taken.text).groups()
    lines = (await town.http.get("/desk/v1/complaints")).json()["items"]
    assert [(line["number"], line["isNamed"], line["areaCode"]) for line in lines] == [(number, False, VILLAGE)]
    await town.http.post(f"/desk/v1/complaints/{lines[0]['id']}/register", json={})
    decided = {"finding": "unfounded", "reply": "经查长期居住本村"}
    await town.http.post(f"/desk/v1/complaints/{lines[0]['id']}/decide", json=decided)
    answer = await browser.post("/answers/complaint", data={"number": number, "code": code})
    assert "情况不属实" in answer.text
    assert decided["reply"] in answer.text
    wrong = await browser.post("/answers/complaint", data={"number": number, "code": "0000000000"})
    assert wrong.status_code == 404


async def test_nobody_opens_the_list_of_another_town_and_its_poster_is_printed(office, county, services):
    listed, town = await standing_list(office), await office.person("town_officer")
    other = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and staff_member.area_code != "339901001"
    )
    stranger = await office.sign_in(other)
    answer = await stranger.http.post("/desk/v1/disclosures", json={"areaCode": VILLAGE})
    assert answer.json()["code"] == "auth.forbidden"
    assert (await stranger.http.post(f"/desk/v1/disclosures/{listed['id']}/renew")).status_code == 404
    assert (await stranger.http.get("/desk/v1/disclosures")).json() == {"items": [], "nextCursor": None}
    async with open_session(services.sessions) as session:
        await session.execute(update(Household).where(Household.number == "YQ-0002").values(monthly_amount_fen=123_45))
    poster = words((await town.http.get(f"/desk/v1/disclosures/{listed['id']}/poster")).content)
    assert "最低生活保障对象长期公示" in poster
    assert "保障金额（元/月）" in poster
    assert "123.45" in poster


# --- places and lists at the desk


async def test_the_photo_of_a_place_is_seen_at_the_desk_by_a_logged_link(office, services):
    await to_posting(office)
    posting, worker = await drafted(office), await office.person("caseworker")
    photo = tiny_photo(1)
    place = (await hang_up(worker, posting["id"], 1, photo=photo)).json()["places"][0]
    desk = await office.person("county_officer")
    path = f"/desk/v1/postings/{posting['id']}/places/{place['id']}/link"
    async with httpx.AsyncClient() as client:
        assert (await client.get((await desk.http.get(path)).json()["url"])).content == photo
        await office.system.run_jobs()
        small = await client.get((await desk.http.get(path)).json()["url"])
    assert small.status_code == 200
    assert small.content != photo
    async with services.sessions() as session:
        looks = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == "photo.linked")))
    assert [(str(item.actor_id), item.thing_id, item.area_code) for item in looks] == [
        (desk.signed_in["personId"], place["id"], VILLAGE)
    ] * 2
    assert [(item.facts["why"], item.facts["rendition"], item.facts["posting_id"]) for item in looks] == [
        ("posting", "original", posting["id"]),
        ("posting", "1280", posting["id"]),
    ]
    elsewhere = f"/desk/v1/postings/{posting['id']}/places/{posting['id']}/link"
    assert (await desk.http.get(elsewhere)).json()["code"] == "thing.not_found"


async def test_postings_are_listed_by_cursor_the_newest_first(office, services):
    await to_posting(office)
    await drafted(office)
    town = await office.person("town_officer")
    async with open_session(services.sessions) as session:
        session.add_all(
            Posting(area_code=VILLAGE, round=1, key=f"key-{place}", made_by=town.id, state="draft")
            for place in range(4)
        )
    listed, cursor = [], None
    for _ in range(3):
        page = (
            await town.http.get("/desk/v1/postings", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        listed += page["items"]
        cursor = page["nextCursor"]
    assert cursor is None
    assert len({item["id"] for item in listed}) == 5
    assert sorted(item["households"] for item in listed) == [0, 0, 0, 0, 1]
    bad = await town.http.get("/desk/v1/postings", params={"cursor": "WyJ4Il0"})
    assert bad.json()["code"] == "request.invalid"


async def test_the_lists_of_a_county_take_as_many_queries_as_that_of_one_village(office, services):
    county = await office.person("county_officer")
    villages = sorted({area.code for area in office.county.areas if area.level == "village"})
    taken = []
    for some in (villages[:1], villages[1:]):
        for village in some:
            assert (await county.http.post("/desk/v1/disclosures", json={"areaCode": village})).status_code == 201
        with counted(services) as statements:
            listed = (await county.http.get("/desk/v1/disclosures")).json()["items"]
        taken.append(len(statements))
    assert {item["areaCode"]: item["areaName"] for item in listed}.keys() == set(villages)
    assert taken[0] == taken[1]


async def test_standing_lists_are_read_page_after_page_to_the_last_village(office):
    county = await office.person("county_officer")
    villages = sorted({area.code for area in office.county.areas if area.level == "village"})
    for village in villages[::-1]:
        assert (await county.http.post("/desk/v1/disclosures", json={"areaCode": village})).status_code == 201
    result, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        request = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await county.http.get("/desk/v1/disclosures", params=request)).json()
        result += [item["areaCode"] for item in page["items"]]
        cursor, pages = page["nextCursor"], pages + 1
    assert result == villages
    assert pages == -(-len(villages) // 2)
    file = (await county.http.get("/desk/v1/disclosures/export")).text
    assert all(village in file for village in villages)
    bad = await county.http.get("/desk/v1/disclosures", params={"cursor": "WzFd"})
    assert (bad.status_code, bad.json()["code"]) == (400, "request.invalid")
