"""Postings: proven places, a page that shows what the law allows, gone on time; objections stop the decision."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, text, update

from server.cases.event_handlers import on_objection_answered, on_objection_made
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import MoveCaseAfterAnswer, MoveCaseAfterObjection, SealObjections
from server.core.working_days import day_of
from server.models.audit import AuditEntry
from server.models.cases import CaseFile, RelativeOnStaff
from server.models.postings import Objection, Posting, PostingEntry
from server.postings.objections import seal_objections
from server.postings.postings import end_due_postings
from tests.makers.cases import VILLAGE, calculated, done, look, refused, step, with_both_waiting
from tests.pdf import words
from tests.phones import tiny_photo


async def to_posting(office):
    case_id = await office.case()
    town = await office.person("town_officer")
    await office.rule("amount.standard_fen", 36000)
    await done(town, case_id, "cross_check_begun")
    await office.system_step(case_id, "survey_done")
    await calculated(town, case_id)
    await done(town, case_id, "opinion_grant")
    return case_id, town


async def hang_up(desk, posting_id, number, *, photo=None, name=None):
    fix = {
        "latitude": 28.9,
        "longitude": 118.9,
        "datum": "gcj02",
        "accuracyM": 9,
        "capturedAt": utc_now().isoformat(),
    }
    place = json.dumps({"name": name or f"第{number}处公示栏", "fix": fix})
    content = photo if photo is not None else tiny_photo(number)
    return await desk.http.post(
        f"/desk/v1/postings/{posting_id}/places",
        data={"place": place},
        files={"file": ("p.jpg", content, "image/jpeg")},
    )


async def drafted(office, *, round_=1):
    town = await office.person("town_officer")
    answer = await town.http.post("/desk/v1/postings", json={"id": str(new_id()), "areaCode": VILLAGE, "round": round_})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def opened(office, *, round_=1):
    posting = await drafted(office, round_=round_)
    worker = await office.person("caseworker")
    for number in range(3):
        answer = await hang_up(worker, posting["id"], number)
        assert answer.status_code == 201, answer.text
    town = await office.person("town_officer")
    answer = await town.http.post(f"/desk/v1/postings/{posting['id']}/start")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def read(office, key):
    return await office.system.client().get(f"/public/v1/postings/{key}")


async def end(office, posting_id):
    """The last day passes."""
    async with open_session(office.services.sessions) as session:
        ends = await session.scalar(select(Posting.ends_on).where(Posting.id == posting_id))
    async with open_session(office.services.sessions) as session:
        await end_due_postings(session, datetime(ends.year, ends.month, ends.day, 16, 1, tzinfo=UTC))
    await office.system.run_jobs()


async def test_the_public_page_shows_name_members_amount_and_nothing_else(office):
    case_id, town = await to_posting(office)
    posting = await opened(office)
    page = await read(office, posting["key"])
    assert page.status_code == 200
    body = page.json()
    assert set(body) == {"areaName", "round", "startsOn", "objectUntil", "households"}
    assert set(body["households"][0]) == {"position", "name", "members", "amountFen"}
    case = await look(town, case_id)
    assert body["households"][0]["name"] == case["headName"]
    assert body["households"][0]["amountFen"] == case["amountFen"]
    for secret in (str(case_id), case["applicationNumber"], case["householdId"]):
        assert secret not in page.text
    assert "noindex" in page.headers["x-robots-tag"]
    assert len(posting["key"]) >= 43


async def test_it_hangs_seven_days_and_is_gone_with_the_eighth(office, services):
    case_id, town = await to_posting(office)
    posting = await opened(office)
    async with services.sessions() as session:
        item = await session.get_one(Posting, posting["id"])
        assert item.ends_on - item.starts_on == timedelta(days=7)
        last_evening = datetime(item.ends_on.year, item.ends_on.month, item.ends_on.day, 15, 59, tzinfo=UTC)
    async with open_session(services.sessions) as session:
        assert await end_due_postings(session, last_evening) == 0
        assert await end_due_postings(session, last_evening + timedelta(minutes=2)) == 1
    await office.system.run_jobs()
    gone, never = await read(office, posting["key"]), await read(office, "x" * 43)
    assert (gone.status_code, gone.json()["code"]) == (404, "thing.not_found")
    assert {**gone.json(), "requestId": ""} == {**never.json(), "requestId": ""}
    assert "noindex" in gone.headers["x-robots-tag"]
    assert (await look(town, case_id))["state"] == "county"


async def test_a_page_past_its_day_is_gone_even_before_the_hourly_job(office, services):
    await to_posting(office)
    posting = await opened(office)
    async with open_session(services.sessions) as session:
        yesterday = (utc_now() - timedelta(days=2)).date()
        await session.execute(update(Posting).values(starts_on=yesterday, ends_on=yesterday))
    assert (await read(office, posting["key"])).status_code == 404


async def test_on_its_last_day_a_list_still_hangs_and_is_objected_to(office, services):
    await to_posting(office)
    posting = await opened(office)
    async with open_session(services.sessions) as session:
        await session.execute(update(Posting).values(ends_on=day_of(utc_now())))
    assert (await read(office, posting["key"])).status_code == 200
    assert (await object_to(office, posting["key"])).status_code == 201


async def test_a_case_somebody_objects_to_is_not_sent_on_with_the_list(office, services):
    """Not even while the job that is to stop it has not run yet."""
    await to_posting(office)
    posting = await opened(office)
    await object_to(office, posting["key"])
    async with open_session(services.sessions) as session:
        ends = await session.scalar(select(Posting.ends_on))
        assert await end_due_postings(session, datetime(ends.year, ends.month, ends.day, 16, 1, tzinfo=UTC)) == 1
    async with services.sessions() as session:
        waiting = set(await session.scalars(text("SELECT task_name FROM procrastinate_jobs WHERE status = 'todo'")))
    assert "cases.objection_made" in waiting
    assert "cases.posting_ended" not in waiting
    assert posting["state"] == "open"


async def test_three_places_are_needed_each_with_its_own_photo(office):
    await to_posting(office)
    posting, town = await drafted(office), await office.person("town_officer")
    start = f"/desk/v1/postings/{posting['id']}/start"
    photo = tiny_photo(1)
    await hang_up(town, posting["id"], 1, photo=photo)
    again = await hang_up(town, posting["id"], 2, photo=photo)
    assert len(again.json()["places"]) == 1
    await hang_up(town, posting["id"], 3, name="第1处公示栏")
    missing = await town.http.post(start)
    assert (missing.status_code, missing.json()["code"]) == (422, "posting.places_missing")
    assert (await read(office, posting["key"])).status_code == 404
    no_photo = await hang_up(town, posting["id"], 4, photo=b"not a picture at all")
    assert no_photo.json()["code"] == "photo.not_an_image"
    for number in (5, 6):
        await hang_up(town, posting["id"], number)
    for _ in range(2):
        assert (await town.http.post(start)).json()["state"] == "open"


async def object_to(office, key, **more):
    body = {"position": 1, "text": "该户有轿车一辆", "contact": "19900001111"} | more
    return await office.system.client().post(f"/public/v1/postings/{key}/objections", json=body)


async def test_an_objection_stops_the_decision_until_it_is_answered(office, services):
    case_id, town = await to_posting(office)
    posting = await opened(office)
    body = (await object_to(office, posting["key"])).json()
    await office.system.run_jobs()
    assert (await look(town, case_id))["state"] == "objection"
    follow = {"number": body["number"], "code": body["code"]}
    client = office.system.client()
    assert (await client.post("/public/v1/objections/look-up", json=follow)).json()["answer"] is None
    wrong = await client.post("/public/v1/objections/look-up", json=follow | {"code": "00000000"})
    assert wrong.status_code == 404

    await end(office, posting["id"])
    assert (await look(town, case_id))["state"] == "objection"

    listed = (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["objections"]
    assert (listed[0]["text"], listed[0]["hasContact"]) == ("该户有轿车一辆", True)
    answer = {"outcome": "dismissed", "answer": "经查车辆登记在他人名下"}
    path = f"/desk/v1/objections/{listed[0]['id']}/answer"
    for _ in range(2):
        assert (await town.http.post(path, json=answer)).status_code == 204
    other = await town.http.post(path, json=answer | {"outcome": "upheld"})
    assert (other.status_code, other.json()["code"]) == (409, "objection.answered")
    await office.system.run_jobs()
    steps = [item["step"] for item in (await look(town, case_id))["timeline"]]
    assert steps[-3:] == ["objection_made", "objection_answered", "posting_ended"]
    followed = (await client.post("/public/v1/objections/look-up", json=follow)).json()
    assert followed["answer"] == answer["answer"]
    async with services.sessions() as session:
        row = (await session.scalars(select(Objection))).one()
        assert b"19900001111" not in row.contact_sealed
        assert hashlib.sha256(body["code"].encode()).digest() not in row.code_hash


async def test_an_objection_that_is_dismissed_before_the_case_heard_of_it_stops_nothing(office, services):
    case_id, town = await to_posting(office)
    posting = await opened(office)
    await object_to(office, posting["key"])
    (listed,) = (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["objections"]
    answer = {"outcome": "dismissed", "answer": "经查车辆登记在他人名下"}
    assert (await town.http.post(f"/desk/v1/objections/{listed['id']}/answer", json=answer)).status_code == 204
    objection_id = UUID(listed["id"])
    await on_objection_answered(
        services, MoveCaseAfterAnswer(case_id=case_id, objection_id=objection_id, actor_id=town.id)
    )
    await on_objection_made(services, MoveCaseAfterObjection(case_id=case_id, objection_id=objection_id))
    assert (await look(town, case_id))["state"] == "posting"


async def test_an_objection_that_overturns_leads_to_a_new_survey_and_the_line_comes_down(office):
    case_id, town = await to_posting(office)
    posting = await opened(office)
    await object_to(office, posting["key"])
    await office.system.run_jobs()
    listed = (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["objections"]
    body = {"outcome": "upheld", "answer": "属实，将重新调查"}
    await town.http.post(f"/desk/v1/objections/{listed[0]['id']}/answer", json=body)
    assert (await read(office, posting["key"])).json()["households"] == []
    await office.system.run_jobs()
    result = await done(town, case_id, "survey_ordered", reason="异议属实")
    assert (result["state"], result["amountFen"]) == ("survey", None)
    await end(office, posting["id"])
    assert (await look(town, case_id))["state"] == "survey"
    await office.system_step(case_id, "survey_done")
    await done(town, case_id, "opinion_refuse", reason="名下有车")
    county = await office.person("county_officer")
    assert (await done(county, case_id, "refused", reason="名下有车"))["state"] == "refused"


async def test_an_opinion_anew_takes_down_the_line_that_still_hangs_from_the_one_before(office):
    case_id, town = await to_posting(office)
    first = await opened(office)
    await object_to(office, first["key"])
    await office.system.run_jobs()
    await done(town, case_id, "survey_ordered", reason="重新核实")
    listed = (await town.http.get(f"/desk/v1/postings/{first['id']}")).json()["objections"]
    body = {"outcome": "dismissed", "answer": "经重新调查不属实"}
    await town.http.post(f"/desk/v1/objections/{listed[0]['id']}/answer", json=body)
    await office.system_step(case_id, "survey_done")
    await calculated(town, case_id)
    await done(town, case_id, "opinion_grant")
    assert (await read(office, first["key"])).json()["households"] == []
    await end(office, first["id"])
    assert (await look(town, case_id))["state"] == "posting"
    second = await opened(office)
    await end(office, second["id"])
    assert (await look(town, case_id))["state"] == "county"


async def declare_relative(office, case_id, name):
    async with open_session(office.services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        session.add(
            RelativeOnStaff(
                household_id=case.household_id, name=name, office="街道", relation="表亲", declared_on=case.applied_on
            )
        )


async def test_a_relative_starts_no_list_with_the_household_and_answers_no_objection_to_it(office, services):
    case_id, town = await to_posting(office)
    posting = await drafted(office)
    for number in range(3):
        await hang_up(town, posting["id"], number)
    start = f"/desk/v1/postings/{posting['id']}/start"
    await declare_relative(office, case_id, town.signed_in["name"])
    refusal = await town.http.post(start)
    assert (refusal.status_code, refusal.json()["code"]) == (403, "case.own_relative")
    assert (await read(office, posting["key"])).status_code == 404
    async with open_session(services.sessions) as session:
        await session.execute(update(RelativeOnStaff).values(name="别人"))
    assert (await town.http.post(start)).json()["state"] == "open"

    await object_to(office, posting["key"])
    await office.system.run_jobs()
    listed = (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["objections"]
    await declare_relative(office, case_id, town.signed_in["name"])
    answer = {"outcome": "dismissed", "answer": "经查车辆登记在他人名下"}
    path = f"/desk/v1/objections/{listed[0]['id']}/answer"
    refusal = await town.http.post(path, json=answer)
    assert (refusal.status_code, refusal.json()["code"]) == (403, "case.own_relative")
    assert (await look(town, case_id))["state"] == "objection"


async def test_a_relative_drafts_no_list_with_the_household_and_hangs_it_up_nowhere(office, services):
    case_id, town = await to_posting(office)
    await declare_relative(office, case_id, town.signed_in["name"])
    params = {"id": str(new_id()), "areaCode": VILLAGE, "round": 1}
    refusal = await town.http.post("/desk/v1/postings", json=params)
    assert (refusal.status_code, refusal.json()["code"]) == (403, "case.own_relative")
    async with open_session(services.sessions) as session:
        assert await session.scalar(select(func.count(Posting.id))) == 0
        await session.execute(update(RelativeOnStaff).values(name="别人"))
    posting = (await town.http.post("/desk/v1/postings", json=params)).json()
    worker = await office.person("caseworker")
    await declare_relative(office, case_id, worker.signed_in["name"])
    refusal = await hang_up(worker, posting["id"], 0)
    assert (refusal.status_code, refusal.json()["code"]) == (403, "case.own_relative")
    assert len((await hang_up(town, posting["id"], 0)).json()["places"]) == 1


async def objected(office, **more):
    case_id, town = await to_posting(office)
    posting = await opened(office)
    await object_to(office, posting["key"], **more)
    (listed,) = (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["objections"]
    return case_id, f"/desk/v1/objections/{listed['id']}/reveal"


async def test_only_who_may_answer_an_objection_reads_it_and_no_relative(office, services, county):
    case_id, town = await to_posting(office)
    posting = await opened(office)
    await object_to(office, posting["key"])
    path = f"/desk/v1/postings/{posting['id']}"
    readers = {
        role: await office.person(role) for role in ("town_officer", "county_officer", "caseworker", "supervisor")
    }
    seen = {role: (await who.http.get(path)).json()["objections"] for role, who in readers.items()}
    assert {role: [line["text"] for line in lines] for role, lines in seen.items()} == {
        "town_officer": ["该户有轿车一辆"],
        "county_officer": ["该户有轿车一辆"],
        "caseworker": [],
        "supervisor": [],
    }
    await declare_relative(office, case_id, town.signed_in["name"])
    assert (await town.http.get(path)).json()["objections"] == []


async def test_what_an_objection_says_stands_nowhere_in_clear_and_a_text_from_before_is_sealed(office, services):
    _, town = await to_posting(office)
    posting = await opened(office)
    await object_to(office, posting["key"])
    async with open_session(services.sessions) as session:
        objection = (await session.scalars(select(Objection))).one()
        assert objection.text is None
        assert objection.text_sealed is not None
        assert "轿车".encode() not in objection.text_sealed
        objection.text, objection.text_sealed = "该户有货车一辆", None
    path = f"/desk/v1/postings/{posting['id']}"
    assert [line["text"] for line in (await town.http.get(path)).json()["objections"]] == ["该户有货车一辆"]
    await seal_objections(services, SealObjections())
    async with open_session(services.sessions) as session:
        assert (await session.scalars(select(Objection.text))).one() is None
    assert [line["text"] for line in (await town.http.get(path)).json()["objections"]] == ["该户有货车一辆"]


LOOK = {"reason": "电话核实车辆归属"}


async def test_who_answers_an_objection_opens_the_contact_with_a_reason_that_is_kept(office, services):
    _, path = await objected(office)
    town, county = await office.person("town_officer"), await office.person("county_officer")
    assert (await town.http.post(path, json={"reason": "看"})).status_code == 400
    for who in (town, county):
        assert (await who.http.post(path, json=LOOK)).json() == {"value": "19900001111"}
    async with services.sessions() as session:
        rows = list(
            await session.scalars(
                select(AuditEntry).where(AuditEntry.action == "objection.contact_revealed").order_by(AuditEntry.id)
            )
        )
    assert [(row.actor_id, row.area_code, row.facts) for row in rows] == [
        (who.id, VILLAGE, LOOK) for who in (town, county)
    ]


async def test_a_contact_is_opened_for_nobody_else_and_for_no_relative(office, county, services):
    case_id, path = await objected(office)
    other = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and staff_member.area_code not in VILLAGE
    )
    roles = [await office.person(role) for role in ("caseworker", "supervisor")]
    lines = [await who.http.post(path, json=LOOK) for who in [*roles, await office.sign_in(other)]]
    assert [item.json()["code"] for item in lines] == ["auth.forbidden", "auth.forbidden", "thing.not_found"]
    town = await office.person("town_officer")
    await declare_relative(office, case_id, town.signed_in["name"])
    refusal = await town.http.post(path, json=LOOK)
    assert (refusal.status_code, refusal.json()["code"]) == (403, "case.own_relative")
    async with services.sessions() as session:
        kept = select(func.count(AuditEntry.id)).where(AuditEntry.action == "objection.contact_revealed")
        assert await session.scalar(kept) == 0


async def test_where_no_contact_was_left_there_is_none_to_open(office):
    _, path = await objected(office, contact=None)
    town = await office.person("town_officer")
    assert (await town.http.post(path, json=LOOK)).json()["code"] == "thing.not_found"


async def test_whoever_opens_contacts_by_the_dozen_is_braked(office):
    await office.rule("reveal.per_day", 3)
    _, path = await objected(office)
    town = await office.person("town_officer")
    answers = [await town.http.post(path, json=LOOK) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    assert answers[-1].json()["code"] == "reveal.limit_reached"
    assert int(answers[-1].headers["Retry-After"]) <= 86_400


async def test_two_rounds_where_an_area_posts_twice(office):
    await office.rule("case.posting_rounds", 2)
    case_id, town = await to_posting(office)
    first = await opened(office)
    await end(office, first["id"])
    assert (await look(town, case_id))["state"] == "posting"
    again = await town.http.post("/desk/v1/postings", json={"id": str(new_id()), "areaCode": VILLAGE, "round": 1})
    assert again.json()["code"] == "posting.not_now"
    second = await opened(office, round_=2)
    await end(office, second["id"])
    assert (await look(town, case_id))["state"] == "county"


async def test_a_withdrawn_case_hangs_no_longer(office):
    case_id, town = await to_posting(office)
    posting = await opened(office)
    assert (await step(town, case_id, "withdrawn", reason="本人要求")).status_code == 200
    assert (await read(office, posting["key"])).json()["households"] == []
    assert (await object_to(office, posting["key"])).status_code == 404


async def test_a_withdrawn_case_is_not_printed_before_the_list_hangs_or_after(office):
    case_id, town = await to_posting(office)
    name = (await look(town, case_id))["headName"]
    draft = await drafted(office)
    poster = f"/desk/v1/postings/{draft['id']}/poster"
    assert name in words((await town.http.get(poster)).content)
    await done(town, case_id, "withdrawn", reason="本人撤回")
    assert name not in words((await town.http.get(poster)).content)
    async with open_session(office.services.sessions) as session:
        day = {"starts_on": draft_day(), "ends_on": draft_day(), "state": "ended", "ended_at": utc_now()}
        await session.execute(update(Posting).where(Posting.id == draft["id"]).values(**day))
    assert name not in words((await town.http.get(poster)).content)


def draft_day():
    return day_of(utc_now()) - timedelta(days=1)


async def test_two_officers_at_once_list_a_case_once(office, services, monkeypatch):
    await to_posting(office)
    town = await office.person("town_officer")
    with_both_waiting(monkeypatch, "server.postings.postings._lock_waiting_cases")
    bodies = [{"id": str(new_id()), "areaCode": VILLAGE, "round": 1} for _ in range(2)]
    answers = await asyncio.gather(*(town.http.post("/desk/v1/postings", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    async with services.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(PostingEntry)) == 1


async def test_strangers_are_braked(office):
    await to_posting(office)
    posting = await opened(office)
    for _ in range(20):
        assert (await object_to(office, posting["key"], position=99)).status_code == 404
    braked = await object_to(office, posting["key"])
    assert (braked.status_code, braked.json()["code"]) == (429, "request.rate_limited")


async def test_nobody_hangs_up_lists_of_another_town(office, county):
    await to_posting(office)
    posting = await drafted(office)
    other = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and staff_member.area_code != "339901001"
    )
    desk = await office.sign_in(other)
    assert (await desk.http.get(f"/desk/v1/postings/{posting['id']}")).status_code == 404
    body = {"id": str(new_id()), "areaCode": VILLAGE}
    assert (await desk.http.post("/desk/v1/postings", json=body)).json()["code"] == "auth.forbidden"


async def test_another_towns_officer_sees_no_list_and_answers_no_objection(office, county):
    await to_posting(office)
    posting = await opened(office)
    await object_to(office, posting["key"])
    town = await office.person("town_officer")
    (listed,) = (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["objections"]
    other = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and not VILLAGE.startswith(staff_member.area_code)
    )
    stranger = await office.sign_in(other)
    assert (await stranger.http.get("/desk/v1/postings")).json()["items"] == []
    answer = {"outcome": "dismissed", "answer": "经查车辆登记在他人名下"}
    result = await stranger.http.post(f"/desk/v1/objections/{listed['id']}/answer", json=answer)
    assert (result.status_code, result.json()["code"]) == (404, "thing.not_found")


async def test_a_case_that_is_not_to_be_posted_is_on_no_list(office, services):
    await office.case()
    town = await office.person("town_officer")
    body = {"id": str(new_id()), "areaCode": VILLAGE}
    assert (await town.http.post("/desk/v1/postings", json=body)).json()["code"] == "posting.not_now"
    async with services.sessions() as session:
        assert await session.scalar(select(CaseFile.state).where(CaseFile.state == "posting")) is None
    assert await refused(town, (await office.case()), "published") == "case.not_now"
