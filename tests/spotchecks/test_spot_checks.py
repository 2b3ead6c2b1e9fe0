"""A spot check from its plan to the finding, with phones and desks that know only what they should."""

from datetime import datetime, time, timedelta
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import select, update

from server.core.access import Caller, Person
from server.core.clock import CHINA
from server.core.database import open_session
from server.core.errors import Problem
from server.core.ids import new_id
from server.core.job_types import CheckVisit
from server.models.areas import Area
from server.models.cases import RelativeOnStaff
from server.models.checklists import ChecklistTemplate
from server.models.evidence import Evidence
from server.models.households import Assignment, Household
from server.models.people import Staff, StaffRole
from server.models.review import ReviewItem, SpotCheck
from server.models.visits import Visit
from server.review.run_checks import check_visit
from server.spotchecks.blinding import require_not_blinded
from server.spotchecks.draw import PlanFile, draw
from tests import days
from tests.makers.visits import MORNING
from tests.phones import make_kit
from tests.test_first_path import push_whole

PLANS = "/desk/v1/spot-check-plans"
DAY = timedelta(days=1)
FIRST = MORNING.date().replace(day=1)
LAST = days.last_day(FIRST)
PERIOD = {"periodFrom": FIRST.isoformat(), "periodTo": LAST.isoformat()}


async def written_plan(desk, area="339901", **design):
    answer = await desk.http.post(
        PLANS,
        json={
            "areaCode": area,
            "name": "月抽查",
            **PERIOD,
            "design": design,
        },
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def test_a_plan_is_drawn_from_once_and_anyone_can_draw_it_again(ground, desk):
    for n in range(6):
        await ground.examined(n, started_at=MORNING + n * DAY)
    plan = await written_plan(desk, sharePercent=50, strata=["caseworker"])
    drawn = (await desk.http.post(f"{PLANS}/{plan}/draw", json={"seed": "03 11 17"})).json()
    assert (drawn["population"], drawn["drawn"], drawn["seed"]) == (6, 3, "03 11 17")
    again = await desk.http.post(f"{PLANS}/{plan}/draw", json={"seed": "another"})
    assert again.json()["code"] == "spot_check.drawn"
    await ground.examined(9, started_at=MORNING + 9 * DAY)
    published = (await desk.http.get(f"{PLANS}/{plan}/file")).json()
    sample = {item.id for item in draw(msgspec.convert(published, PlanFile), "03 11 17")}
    listed = (await desk.http.get("/desk/v1/spot-checks", params={"planId": plan})).json()["items"]
    assert {item["visitId"] for item in listed} == sample
    assert (await desk.http.get(PLANS)).json()[0]["populationSha256"] == drawn["populationSha256"]


async def test_the_population_is_every_whole_visit_of_the_period_and_what_the_strata_need_of_it(ground, desk):
    """China's days, the last counted; spot checks, other towns and what is not whole are left out."""
    begin, end = (datetime.combine(item, time(), tzinfo=CHINA) for item in (FIRST, LAST + DAY))
    second, night = timedelta(seconds=1), {"minutes": 20}
    first = await ground.examined(0, started_at=begin, **night)
    last = await ground.examined(1, started_at=end - second, **night)
    await ground.examined(2, started_at=begin - second, **night)
    await ground.examined(3, started_at=end, **night)
    await ground.visit(4, started_at=MORNING + 6 * DAY)
    complaint = await ground.examined(5, kind="complaint", started_at=MORNING)  # which nobody ordered: a finding
    await ground.examined(6, kind="spot_check", started_at=MORNING + DAY)
    stripped = [{"facts": {"exif": "none"}}, {}, {}]
    hinted = await ground.examined(7, started_at=MORNING + 2 * DAY, photos=stripped)
    related = await ground.examined(8, started_at=MORNING + 3 * DAY)
    await ground.examined(260, author="shaoquanshi", partner="jiangluting", started_at=MORNING + 4 * DAY)
    async with open_session(ground.services.sessions) as session:
        await session.execute(
            update(Household).where(Household.id == ground.homes[8].id).values(relative_on_staff=True, class_="A")
        )
    plan = await written_plan(desk, area=ground.homes[0].area_code[:9])
    file = (await desk.http.get(f"{PLANS}/{plan}/file")).json()
    result = {item["id"]: item for item in file["population"]}
    assert set(result) == {str(item) for item in (first, last, complaint, hinted, related)}
    assert [result[str(item)]["finding"] for item in (first, complaint, hinted)] == ["yes", "yes", "no"]
    assert [item for item in result if result[item]["relative"]] == [str(related)]
    assert [item for item in result if result[item]["complaint"]] == [str(complaint)]
    assert result[str(related)] | {"id": ""} == {
        "id": "",
        "village": ground.homes[8].area_code,
        "class": "A",
        "caseworker": "linhexi",
        "finding": "no",
        "relative": True,
        "complaint": False,
    }
    assert "linhexi" in str(file)
    assert ground.homes[0].head_name not in str(file)


async def test_only_who_plans_spot_checks_draws(ground, desk, system):
    plan = await written_plan(desk, sharePercent=50)
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    assert (await officer.http.post(f"{PLANS}/{plan}/draw", json={"seed": "1"})).json()["code"] == "auth.forbidden"


async def test_a_county_officer_plans_for_a_town_and_not_for_the_next_county(county_desk, services):
    async with open_session(services.sessions) as session:
        session.add(Area(code="339902", name="邻县", parent_code=None))
    params = {"name": "x", **PERIOD, "design": {}}
    assert (await county_desk.http.post(PLANS, json={"areaCode": "339901001", **params})).status_code == 201
    assert (await county_desk.http.post(PLANS, json={"areaCode": "339902", **params})).json()[
        "code"
    ] == "thing.not_found"


async def test_a_plan_of_another_area_is_not_the_callers_to_write(system):
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    answer = await officer.http.post(
        PLANS,
        json={"areaCode": "339901", "name": "x", **PERIOD, "design": {}},
    )
    assert answer.json()["code"] == "auth.forbidden"


async def drawn_check(ground, visit_id):
    check_id = new_id()
    async with open_session(ground.services.sessions) as session:
        visit = await session.get_one(Visit, visit_id)
        session.add(
            SpotCheck(id=check_id, visit_id=visit_id, area_code=visit.area_code, why="share", stratum="", state="drawn")
        )
    return check_id


def team(ground, *logins):
    people = [str(ground.staff[login]) for login in logins]
    return {"staffId": people[0], "partnerId": people[1], "dueOn": days.in_days(20).isoformat()}


@pytest.mark.parametrize("logins", [("linhexi", "hesuian"), ("hesuian", "hesuian"), ("zhanxinglou", "hesuian")])
async def test_who_was_there_or_alone_or_no_field_worker_is_not_sent(ground, desk, logins):
    check = await drawn_check(ground, await ground.examined())
    answer = await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, *logins))
    assert answer.json()["code"] == "spot_check.team_unfit"


async def _disabled(session, ground, officer):
    (await session.get_one(Staff, ground.staff["hesuian"])).disabled_at = MORNING


async def _without_a_role(session, ground, officer):
    await session.execute(
        update(StaffRole).where(StaffRole.staff_id == ground.staff["hesuian"]).values(revoked_at=MORNING)
    )


async def _no_field_worker(session, ground, officer):
    await session.execute(
        update(StaffRole).where(StaffRole.staff_id == ground.staff["hesuian"]).values(role="panelist")
    )


async def _of_another_county(session, ground, officer):
    session.add(Area(code="339902", name="邻县", parent_code=None))
    await session.flush()
    moved = update(StaffRole).where(StaffRole.staff_id == ground.staff["hesuian"])
    await session.execute(moved.values(area_code="339902"))


async def _named_as_a_relative(session, ground, officer):
    name = (await session.get_one(Staff, ground.staff["hesuian"])).name
    session.add(
        RelativeOnStaff(
            household_id=ground.homes[0].id, name=name, office="街道", relation="侄", declared_on=MORNING.date()
        )
    )


async def _nothing(session, ground, officer):
    pass


@pytest.mark.parametrize(
    "spoil",
    [_nothing, _disabled, _without_a_role, _no_field_worker, _of_another_county, _named_as_a_relative],
    ids=lambda item: item.__name__.strip("_"),
)
async def test_a_team_works_there_and_comes_without_favour(ground, desk, spoil):
    check = await drawn_check(ground, await ground.examined())
    async with open_session(ground.services.sessions) as session:
        await spoil(session, ground, desk)
    answer = await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "xuyuning", "hesuian"))
    assert answer.status_code == (200 if spoil is _nothing else 422)
    if spoil is not _nothing:
        assert answer.json()["code"] == "spot_check.team_unfit"
        return
    again = await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "xuyuning", "hesuian"))
    assert again.json()["code"] == "spot_check.not_open"


READINGS = ("visits/{first}", "visits/{first}/findings/history", "visits/{first}/bundle", "visits/{first}/photos/{photo}/link",
            "visits/{later}", "spot-checks/{other}/comparison")  # fmt: skip


@pytest.mark.parametrize("reading", READINGS)
async def test_who_has_read_the_first_visit_at_a_desk_is_not_sent_to_repeat_it(ground, desk, system, reading):
    """Also beside a later visit, or in the comparison of another check."""
    first = await ground.examined()
    later = await ground.examined(started_at=MORNING + DAY, author="wuyanqiu", partner="zhengtangye")
    check, other = await drawn_check(ground, first), await drawn_check(ground, first)
    async with open_session(ground.services.sessions) as session:
        photo = await session.scalar(select(Evidence.id).where(Evidence.visit_id == first).limit(1))
        (await session.get_one(SpotCheck, other)).state = "compared"
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    path = reading.format(first=first, later=later, photo=photo, other=other)
    assert (await officer.http.get(f"/desk/v1/{path}")).status_code == 200
    sent = await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "panhuaixu", "hesuian"))
    assert sent.json()["code"] == "spot_check.team_unfit"
    assert (await officer.http.post(f"/desk/v1/spot-checks/{check}/team", json={})).status_code in {400, 403}
    sent = await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "xuyuning", "hesuian"))
    assert sent.status_code == 200, sent.text


async def test_only_who_plans_spot_checks_sends_a_team(ground, desk, system):
    check = await drawn_check(ground, await ground.examined())
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    request = team(ground, "xuyuning", "hesuian")
    assert (await officer.http.post(f"/desk/v1/spot-checks/{check}/team", json=request)).json()[
        "code"
    ] == "auth.forbidden"


async def test_a_blind_second_visit_from_the_phone_is_compared_and_comes_back_as_a_finding(ground, desk, system):
    first = await ground.examined()
    await desk.http.post(f"/desk/v1/queue/{first}/claim")
    await desk.http.post(f"/desk/v1/visits/{first}/decision", json={"outcome": "spot_check", "reason": "核实"})
    check = (await desk.http.get("/desk/v1/spot-checks", params={"state": "drawn"})).json()["items"][0]
    assert (check["visitId"], check["why"]) == (str(first), "ordered")
    sent = await desk.http.post(f"/desk/v1/spot-checks/{check['id']}/team", json=team(ground, "hesuian", "xuyuning"))
    assert sent.status_code == 200, sent.text

    phone, partner = await system.sign_in("hesuian", "caseworker"), await system.sign_in("xuyuning", "caseworker")
    holder = await system.sign_in("linhexi", "caseworker")
    due = (await phone.pull("assignments"))[sent.json()["assignmentId"]]
    assert (due["kind"], due["checklistCode"], due["checklistVersion"]) == ("spot_check", "again_review_standard", 2)
    assert await phone.pull("visits") == {}
    assert str(ground.homes[0].id) in await phone.pull("households")
    assert sent.json()["assignmentId"] not in await holder.pull("assignments")
    assert due["partnerId"] == str(partner.id)
    assert sent.json()["assignmentId"] in await partner.pull("assignments")
    assert str(ground.homes[0].id) in await partner.pull("households")

    kit = await make_kit(phone, partner.id, kind="spot_check")
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    assert "visit.differs_at_spot_check" in await ground.codes(first)
    item = await ground.item(first)
    assert item.state == "waiting"
    assert str(ground.homes[0].id) not in await phone.pull("households")
    assert str(ground.homes[0].id) not in await partner.pull("households")
    assert str(ground.homes[0].id) in await holder.pull("households")
    compared = (await desk.http.get(f"/desk/v1/spot-checks/{check['id']}/comparison")).json()
    assert compared[0]["agrees"] is False
    named = {item["question"]: item["label"]["zh"] for item in compared}
    assert set(named) & set(named.values()) == set()
    assert all(item["memberName"] for item in compared if item["memberId"])
    assert {item["firstSaid"]["zh"][-1:] for item in compared if item["question"].endswith(".wages")} == {"元"}
    rates = (await desk.http.get("/desk/v1/spot-checks/agreement", params={"by": "caseworker"})).json()
    assert (rates[0]["key"], rates[0]["compared"]) == ("linhexi", len(compared))


async def test_who_holds_the_home_and_was_not_there_may_check_it_and_holds_it_still(ground, desk, system):
    first = await ground.examined(author="hesuian", partner="xuyuning", answers={"savings_fen": 100_000})
    check = await drawn_check(ground, first)
    sent = await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "linhexi", "yemaizhou"))
    assert sent.status_code == 200, sent.text
    holder, partner = await system.sign_in("linhexi", "caseworker"), await system.sign_in("yemaizhou", "caseworker")
    home = str(ground.homes[0].id)
    assert home in await partner.pull("households")
    await ground.examined(
        kind="spot_check", checklist="again_review_standard", assignment_id=UUID(sent.json()["assignmentId"]),
        author="linhexi", partner="yemaizhou", started_at=MORNING + 9 * DAY,
    )  # fmt: skip
    await system.run_jobs()
    assert home in await holder.pull("households")
    assert home not in await partner.pull("households")


async def test_the_second_visit_asks_by_the_first_ones_version_whatever_was_published_since(ground, desk):
    first = await ground.examined()
    async with open_session(ground.services.sessions) as session:
        item = await session.scalar(select(ChecklistTemplate).where(ChecklistTemplate.code == "review_standard"))
        for version in (3, 4):
            again = {
                "code": item.code,
                "kind": item.kind,
                "area_code": item.area_code,
                "body": item.body | {"version": version},
            }
            session.add(ChecklistTemplate(id=new_id(), version=version, **again))
        await session.flush()
        (await session.get_one(Visit, first)).checklist_version = 3
    check = await drawn_check(ground, first)
    sent = await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "hesuian", "xuyuning"))
    async with ground.services.sessions() as session:
        due = await session.get_one(Assignment, UUID(sent.json()["assignmentId"]))
        request = await session.scalar(
            select(ChecklistTemplate.body).where(ChecklistTemplate.code == due.checklist_code)
        )
    assert (due.checklist_code, due.checklist_version) == ("again_review_standard", 3)
    assert (request["kind"], request["version"]) == ("spot_check", 3)


async def test_the_team_does_not_read_the_first_visit_until_it_has_been_there(ground, desk, system):
    first = await ground.examined()
    check = await drawn_check(ground, first)
    await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "hesuian", "panhuaixu"))
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    async with ground.services.sessions() as session:
        photo = await session.scalar(select(Evidence.id).where(Evidence.visit_id == first).limit(1))
    for path in ("", "/findings/history", f"/photos/{photo}/link", "/bundle"):
        answer = await officer.http.get(f"/desk/v1/visits/{first}{path}")
        assert answer.json()["code"] == "review.blind", path
    assert (await desk.http.get(f"/desk/v1/visits/{first}")).status_code == 200
    assert (await officer.http.get(f"/desk/v1/spot-checks/{check}/comparison")).json() == []
    colleague = Caller(id=new_id(), name="岑夏木", device_id=new_id(), grants=())
    deputy = msgspec.structs.replace(colleague, deputy_for=(Person(officer.id, "潘怀序"),))
    async with ground.services.sessions() as session:
        await require_not_blinded(session, colleague, first)
        with pytest.raises(Problem, match=r"review\.blind"):
            await require_not_blinded(session, deputy, first)


async def test_nothing_at_the_desk_tells_the_team_of_the_first_visit(ground, desk, system):
    """Not the queue, whose lines show doubts, nor the map, nor a later visit's page, nor another check's comparison."""
    first = await ground.examined(minutes=5)
    later = await ground.examined(started_at=MORNING + DAY, author="wuyanqiu", partner="zhengtangye")
    check, other = await drawn_check(ground, first), await drawn_check(ground, first)
    async with open_session(ground.services.sessions) as session:
        (await session.get_one(SpotCheck, other)).comparison = [
            {"question": "savings_fen", "memberId": None, "agrees": True, "first": 100, "second": 100}
        ]
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    month = {"from": FIRST.isoformat(), "to": LAST.isoformat()}

    async def shown():
        listed = (await officer.http.get("/desk/v1/queue")).json()["items"]
        saved = (await officer.http.get("/desk/v1/queue/export")).text
        points = (await officer.http.get("/desk/v1/overview/points", params=month)).json()
        beside = (await officer.http.get(f"/desk/v1/visits/{later}")).json()["previous"]
        compared = await officer.http.get(f"/desk/v1/spot-checks/{other}/comparison")
        counts = (await officer.http.get("/desk/v1/queue/counts")).json()
        return [
            str(first) in {item["visitId"] for item in listed},
            str(first) in saved,
            str(first) in {point["visitId"] for point in points},
            beside is not None,
            compared.status_code == 200,
            "visit.too_short" in counts["byFinding"],
        ]

    assert (await desk.http.get("/desk/v1/queue/counts")).json()["byFinding"] == {"visit.too_short": 1}
    await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "hesuian", "panhuaixu"))
    assert await shown() == [False] * 6
    async with open_session(ground.services.sessions) as session:
        (await session.get_one(SpotCheck, check)).state = "compared"
    assert await shown() == [True] * 6


async def test_the_team_decides_nothing_about_the_first_visit_while_it_is_on_the_way(ground, desk, system):
    first = await ground.examined()
    check = await drawn_check(ground, first)
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "hesuian", "panhuaixu"))
    for act, result in (
        (f"queue/{first}/claim", {}),
        (f"visits/{first}/decision", {"outcome": "accepted"}),
        (f"visits/{first}/decision/undo", {}),
    ):
        assert (await officer.http.post(f"/desk/v1/{act}", json=result)).json()["code"] == "review.blind", act
    assert (await officer.http.post("/desk/v1/queue/claim")).json()["code"] == "review.queue_empty"
    bulk = await officer.http.post("/desk/v1/queue/accept", json={"visitIds": [str(first)]})
    assert bulk.json()[0]["code"] == "thing.not_found"
    await desk.http.post(f"/desk/v1/queue/{first}/claim")
    handed = await desk.http.post(f"/desk/v1/queue/{first}/hand-over", json={"toStaffId": str(officer.id)})
    assert handed.json()["code"] == "review.holder_unfit"


async def test_whose_visit_was_checked_decides_nothing_about_the_check(ground, desk, system):
    first = await ground.examined(partner="panhuaixu")
    check = await drawn_check(ground, first)
    sent = await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "hesuian", "xuyuning"))
    second = await ground.examined(
        kind="spot_check", checklist="again_review_standard", assignment_id=UUID(sent.json()["assignmentId"]),
        author="hesuian", partner="xuyuning", started_at=MORNING + 9 * DAY,
    )  # fmt: skip
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    assert (await officer.http.get("/desk/v1/queue")).json()["items"] == []
    assert (await officer.http.post(f"/desk/v1/queue/{second}/claim")).json()["code"] == "review.own_visit"
    assert (await officer.http.post("/desk/v1/queue/claim")).json()["code"] == "review.queue_empty"
    bulk = await officer.http.post("/desk/v1/queue/accept", json={"visitIds": [str(second)]})
    assert bulk.json()[0]["code"] == "thing.not_found"
    await desk.http.post(f"/desk/v1/queue/{second}/claim")
    handed = await desk.http.post(f"/desk/v1/queue/{second}/hand-over", json={"toStaffId": str(officer.id)})
    assert handed.json()["code"] == "review.holder_unfit"


async def test_whose_visit_is_to_be_checked_hears_of_it_when_it_is_over_and_sends_nobody(ground, desk, system):
    first = await ground.examined(partner="panhuaixu")
    check = await drawn_check(ground, first)
    async with open_session(ground.services.sessions) as session:
        role = {"role": "county_officer", "area_code": "339901"}
        session.add(StaffRole(id=new_id(), staff_id=ground.staff["panhuaixu"], **role))
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    request = team(ground, "hesuian", "xuyuning")
    sent = await officer.http.post(f"/desk/v1/spot-checks/{check}/team", json=request)
    assert sent.json()["code"] == "thing.not_found"
    assert (await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=request)).status_code == 200

    async def visible_to(caller):
        due = (await caller.http.get("/desk/v1/due", params={"kind": "spot_check"})).json()["items"]
        listed = (await caller.http.get("/desk/v1/spot-checks")).json()["items"]
        return [len(due), len(listed)]

    assert await visible_to(desk) == [1, 1]
    assert await visible_to(officer) == [0, 0]
    async with open_session(ground.services.sessions) as session:
        (await session.get_one(SpotCheck, check)).state = "compared"
    assert (await visible_to(officer))[1] == 1


async def test_what_the_second_team_corrects_once_it_may_read_the_first_visit_changes_no_comparison(
    ground, desk, system
):
    check, second = await compared(ground, desk, 0, {"housing_tenure": "owned"}, {"housing_tenure": "rented"})
    await system.run_jobs()
    before = (await desk.http.get(f"/desk/v1/spot-checks/{check}/comparison")).json()
    assert before[0]["agrees"] is False
    async with open_session(ground.services.sessions) as session:
        visit = await session.get_one(Visit, second)
        visit.document = visit.document | {"answers": visit.document["answers"] | {"housing_tenure": "owned"}}
    await check_visit(ground.services, CheckVisit(visit_id=second))
    await system.run_jobs()
    assert (await desk.http.get(f"/desk/v1/spot-checks/{check}/comparison")).json() == before


async def test_two_teams_that_agree_raise_nothing_and_a_team_that_was_there_counts_for_nothing(ground, desk, system):
    answers = {"housing_tenure": "owned", "savings_fen": 100_000}
    first = await ground.examined(answers=answers)
    check = await drawn_check(ground, first)
    sent = await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "hesuian", "xuyuning"))
    second = {
        "kind": "spot_check",
        "checklist": "again_review_standard",
        "assignment_id": UUID(sent.json()["assignmentId"]),
    }

    async def state():
        async with ground.services.sessions() as session:
            return await session.scalar(select(SpotCheck.state))

    await ground.examined(started_at=MORNING + 9 * DAY, author="linhexi", partner="hesuian", answers=answers, **second)
    await system.run_jobs()
    assert await state() == "assigned"
    again = await ground.examined(
        started_at=MORNING + 10 * DAY,
        author="hesuian",
        partner="xuyuning",
        answers={**answers, "savings_fen": 150_000},
        **second,
    )
    await system.run_jobs()
    assert await state() == "compared"
    assert await ground.codes(first) == []
    await check_visit(ground.services, CheckVisit(visit_id=again))
    rates = (await desk.http.get("/desk/v1/spot-checks/agreement")).json()
    assert {rate["percent"] for rate in rates} == {100.0}
    for path, first_column in (("export", "编号"), ("agreement/export?by=caseworker", "代码")):
        file = await desk.http.get(f"/desk/v1/spot-checks/{path}")
        rows = file.text.lstrip("\ufeff").splitlines()
        assert rows[0].startswith(first_column)
        assert len(rows) == 2
    async with ground.services.sessions() as session:
        assert (await session.get_one(ReviewItem, first)).state == "waiting"


async def compared(ground, desk, home, first, second, *, author="linhexi", plan=None):
    """A spot check of one home, made and compared: what the first team and what the second answered."""
    day = MORNING + home * DAY
    partner = "zhoutonglan" if author == "linhexi" else "zhengtangye"
    visit = await ground.examined(home, author=author, partner=partner, started_at=day, answers=first)
    check = await drawn_check(ground, visit)
    async with open_session(ground.services.sessions) as session:
        (await session.get_one(SpotCheck, check)).plan_id = plan
    sent = await desk.http.post(f"/desk/v1/spot-checks/{check}/team", json=team(ground, "hesuian", "xuyuning"))
    again = await ground.examined(
        home, author="hesuian", partner="xuyuning", started_at=day + 30 * DAY, answers=second, kind="spot_check",
        checklist="again_review_standard", assignment_id=UUID(sent.json()["assignmentId"]),
    )  # fmt: skip
    return check, again


async def test_rates_are_of_the_callers_area_and_of_one_plan_where_asked_the_lowest_first(ground, desk, system):
    plan = UUID(await written_plan(desk))
    same, other = {"savings_fen": 100_000, "other_housing": False}, {"savings_fen": 900_000, "other_housing": False}
    await compared(ground, desk, 0, same, same, plan=plan)
    await compared(ground, desk, 1, same, other, author="wuyanqiu")
    await system.run_jobs()
    rates = (await desk.http.get("/desk/v1/spot-checks/agreement", params={"by": "caseworker"})).json()
    assert [rate["key"] for rate in rates] == ["wuyanqiu", "linhexi"]
    assert rates[0]["percent"] < rates[1]["percent"] == 100.0
    by_question = (await desk.http.get("/desk/v1/spot-checks/agreement", params={"by": "question"})).json()
    assert [item["key"] for item in by_question if item["percent"] < 100] == [by_question[0]["key"]] == ["savings_fen"]
    params = {"by": "caseworker", "planId": str(plan)}
    of_the_plan = (await desk.http.get("/desk/v1/spot-checks/agreement", params=params)).json()
    assert [item["key"] for item in of_the_plan] == ["linhexi"]
    elsewhere = await system.sign_in_at_desk("yusonggu", "town_officer")
    assert (await elsewhere.http.get("/desk/v1/spot-checks/agreement", params={"by": "caseworker"})).json() == []


async def test_what_differs_stands_first_in_a_comparison(ground, desk, system):
    first = {"housing_tenure": "owned", "savings_fen": 100_000, "other_housing": False, "vehicles": ["none"]}
    check, _ = await compared(ground, desk, 0, first, first | {"other_housing": True})
    await system.run_jobs()
    lines = (await desk.http.get(f"/desk/v1/spot-checks/{check}/comparison")).json()
    assert [line["agrees"] for line in lines] == sorted(line["agrees"] for line in lines)
    assert [line["question"] for line in lines if not line["agrees"]] == ["other_housing"]


async def test_a_second_visit_on_a_checklist_of_its_own_is_compared_by_what_both_ask(ground, desk, system):
    answers = {"savings_fen": 100_000, "other_housing": False}
    check, again = await compared(ground, desk, 0, answers, answers)
    async with open_session(ground.services.sessions) as session:
        (await session.get_one(Visit, again)).checklist_code = "spot_check_standard"
        query = select(ChecklistTemplate.body).where(ChecklistTemplate.code == "spot_check_standard")
        own = (await session.scalars(query)).one()
    await system.run_jobs()
    both = {question["id"] for section in own["sections"] for question in section["questions"]}
    lines = (await desk.http.get(f"/desk/v1/spot-checks/{check}/comparison")).json()
    assert {line["question"].partition(".")[0] for line in lines} <= both
    assert "members" in both
    assert lines


async def test_a_second_visit_that_nobody_ordered_touches_no_spot_check(ground, desk, system):
    check = await drawn_check(ground, await ground.examined())
    await ground.examined(
        kind="spot_check", checklist="spot_check_standard", author="hesuian", partner="xuyuning",
        started_at=MORNING + DAY,
    )  # fmt: skip
    await system.run_jobs()
    async with ground.services.sessions() as session:
        assert (await session.get_one(SpotCheck, check)).state == "drawn"


async def test_the_calculator_answers_at_the_desk(desk):
    query = {"population": 23_626, "errorPercent": 5}
    body = (await desk.http.get("/desk/v1/spot-checks/sample-size", params=query)).json()
    assert (body["sample"], body["seesErrorPercent"]) == (379, 4.99)
    small = (await desk.http.get("/desk/v1/spot-checks/sample-size", params={**query, "sample": 50})).json()
    assert small["seesErrorPercent"] == 13.84
