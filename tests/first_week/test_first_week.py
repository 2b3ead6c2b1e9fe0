"""An office starts on Monday: from an empty database to visits at work, by commands and HTTP alone.

Only the worker's timers are called by hand: no minute passes in a test.
"""

from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from litestar.datastructures import State

from server import audit
from server.core.database import open_session
from server.core.id_numbers import make_id_number
from tests import days
from tests.backup.conftest import make_elsewhere, run
from tests.cases.test_whole_case import PLACE
from tests.conftest import hold_services
from tests.households.test_register import household, id_number
from tests.identity.test_accounts import GOOD, set_password
from tests.imports.test_imports import apply, lines_of, preview, workbook
from tests.makers.cases import done
from tests.phones import System, make_kit
from tests.test_first_path import push_whole

COUNTY, TOWN = "339901", "339901001"
VILLAGES = [f"{TOWN}{number:03d}" for number in range(1, 11)]
HOUSEHOLDS, PLANTED = 500, 30
GIVEN = "木竹松梅兰菊荷桂枫榆槐柳"
HEADINGS = [
    "户编号",
    "姓名",
    "与户主关系",
    "身份证号",
    "所在村（社区）",
    "住址",
    "类别",
    "月保障金额（元）",
    "享受开始年月",
    "包户人员",
]
# One of each thirty faults that a register may have: the column, what stands in it, and the code of the fault.
FAULTS = [
    ("身份证号", lambda number: number[:-1] + "0123456789"[(int(number[-2]) + 3) % 10] if number[-1] == "X" else number[:-1] + "X", "id.check_digit"),
    ("身份证号", lambda number: float(number[:17] + "0"), "number.rounded"),
    ("身份证号", lambda number: number[:15], "id.old_15_digits"),
    ("身份证号", lambda number: None, "cell.empty"),
    ("所在村（社区）", lambda _: "没有的村", "area.unknown"),
    ("月保障金额（元）", lambda _: "三百多", "amount.unclear"),
    ("享受开始年月", lambda _: "去年", "cell.not_a_date"),
    ("类别", lambda _: "甲类", "cell.not_listed"),
    ("包户人员", lambda _: "查无此人", "staff.unknown"),
    ("姓名", lambda _: None, "cell.empty"),
]  # fmt: skip


@pytest.fixture
async def office(app, empty_settings):
    async for services in hold_services(empty_settings):
        app.state = State({"services": services})
        yield System(app, services)


@pytest.fixture
def elsewhere(empty_settings, postgres):
    yield from make_elsewhere(empty_settings, postgres)


async def enter(system, output_or_link, login):
    token = output_or_link if isinstance(output_or_link, str) else output_or_link["token"]
    token = token.rpartition("#")[2].split()[0]
    assert (await set_password(system, token, GOOD)).status_code == 200
    desk = await system.open_desk(login, GOOD)
    await desk.prove()
    return desk


def register(caseworkers):
    """500 households with 1,200 people; every fault stands in a household of its own, and which."""
    rows: list[list[Any]] = [HEADINGS]
    faults = []
    person = 0
    for number in range(HOUSEHOLDS):
        village = number % len(VILLAGES)
        members = 1 + (number % 5 in {1, 3}) + 2 * (number % 5 == 2) + 3 * (number % 5 == 4)
        for place in range(members):
            person += 1
            born = date(1940 + person % 70, 1 + person % 12, 1 + person % 28)
            id_number = make_id_number(COUNTY, born, person % 900 + 1)
            name = "云" + GIVEN[person % 12] + GIVEN[person // 12 % 12]
            row: list[Any] = [f"H-{number:04d}", name, "户主" if place == 0 else "子女", id_number, VILLAGES[village]]
            if place == 0:
                row += [f"{number}号", "ABC"[number % 3], 300, "2019-05", caseworkers[village]]
            rows.append(row)
            if place == 0 and number % (HOUSEHOLDS // PLANTED) == 7 and len(faults) < PLANTED:
                column, spoil, code = FAULTS[len(faults) % len(FAULTS)]
                at = HEADINGS.index(column)
                row[at] = spoil(row[at])
                faults.append((f"{'ABCDEFGHIJ'[at]}{len(rows)}", code))
    return rows, faults


async def a_colleague_leaves(office, first, phone, ids, homes):
    """Friday: the homes go to another, and the phone is signed out."""
    body = {"reason": "调离", "handTo": ids["乡干1"]}
    left = (await first.http.post(f"/desk/v1/staff/{ids['乡干0']}/disable", json=body)).json()
    assert left["households"] == len(homes)
    assert (await phone.http.get("/auth/v1/me")).status_code == 401
    link = (await first.http.post(f"/desk/v1/staff/{ids['乡干1']}/reset")).json()
    await enter(office, link, "worker-1")
    heir = await office.open_phone("worker-1", GOOD)
    assert set(homes) <= set(await heir.pull("households"))
    return heir


async def the_register_comes_in(office, first, second, caseworkers):
    """Wednesday: the register, with thirty faults, all named and no good row among them."""
    rows, planted = register(caseworkers)
    assert (len(planted), len(rows) - 1) == (PLANTED, 1200)
    batch = await preview(first, "register", workbook(*rows, title="云栖县最低生活保障花名册"))
    refused = []
    while len(refused) < batch["counts"]["refused"]:
        refused += await lines_of(first, batch, outcome="refused", limit=200)
    named = {(fault["address"], fault["code"]) for line in refused for fault in line["faults"]}
    assert named == {(f"{address[0]}{int(address[1:]) + 1}", code) for address, code in planted}
    assert batch["counts"] == {"new": HOUSEHOLDS - PLANTED, "refused": PLANTED, "applied": 0}
    done = await apply(office, second, batch)
    assert (done["state"], done["counts"]["applied"]) == ("applied", HOUSEHOLDS - PLANTED)


async def test_a_county_that_began_empty_is_at_work_within_a_week(office, empty_settings, elsewhere, tmp_path):
    # Monday: the operator, then the administrator.
    output = await run(empty_settings, "setup", "--county", COUNTY, "--names", "浙江省/砚州市/云栖县")
    admin = await enter(office, output[output.index("set-password#") :], "admin")
    villages = [["区划代码", "名称"], [TOWN, "禾汀街道"]]
    villages += [[code, f"{place}号村"] for place, code in enumerate(VILLAGES)]
    county_roles = [{"role": "county_officer", "areaCode": COUNTY}]
    officers = []
    for login in ("county-1", "county-2"):
        body = {"id": str(uuid4()), "login": login, "name": login, "roles": county_roles}
        officers.append(await enter(office, (await admin.http.post("/desk/v1/staff", json=body)).json(), login))
    first, second = officers
    assert (await apply(office, first, await preview(first, "areas", workbook(*villages))))["counts"]["applied"] == 11

    # Tuesday: staff, each with a village.
    caseworkers = [f"worker-{place}" for place in range(len(VILLAGES))]
    rows = [["姓名", "登录名", "角色", "所在地"]]
    rows += [
        [f"乡干{place}", login, "专干", code]
        for place, (login, code) in enumerate(zip(caseworkers, VILLAGES, strict=True))
    ]
    batch = await preview(first, "staff", workbook(*rows))
    assert (await apply(office, first, batch))["counts"]["applied"] == len(VILLAGES)

    await the_register_comes_in(office, first, second, caseworkers)

    # Thursday: a caseworker signs in and finds the homes of the village and the checklists.
    ids = {line["title"]: line["thingId"] for line in await lines_of(first, await of_kind(first, "staff"), limit=50)}
    link = (await first.http.post(f"/desk/v1/staff/{ids['乡干0']}/reset")).json()
    await enter(office, link, caseworkers[0])
    phone = await office.open_phone(caseworkers[0], GOOD)
    homes = await phone.pull("households")
    assert {home["areaCode"] for home in homes.values()} == {VILLAGES[0]}
    assert {checklist["kind"] for checklist in (await phone.pull("checklists")).values()} >= {"intake", "review"}

    heir = await a_colleague_leaves(office, first, phone, ids, homes)

    people = await visits_are_ordered_made_and_accepted(office, admin, first, heir)
    await the_server_burns_and_phones_go_on(office, empty_settings, elsewhere, people, homes, tmp_path / "backups")


async def visits_are_ordered_made_and_accepted(office, admin, county, heir):
    """The week after: families apply, their visits are ordered, made by two, and decided by a third."""
    town = await enter(office, await add_staff(county, "town-1", "town_officer", TOWN), "town-1")
    supervisor = await enter(office, await add_staff(admin, "supervisor-1", "supervisor", COUNTY), "supervisor-1")
    partner = await office.open_phone("town-1", GOOD)
    for number in range(2):
        await apply_for_aid(heir, town, VILLAGES[1], number)
    kit = await make_kit(heir, partner.id)
    await push_whole(heir, partner, kit)
    await office.run_jobs()
    await accept(supervisor)
    await office.run_jobs()
    assert (await heir.pull("visits"))[kit.visit["id"]]["server"]["state"] == "accepted"
    return heir, partner, supervisor


async def the_server_burns_and_phones_go_on(office, settings, elsewhere, people, homes, place):
    """A backup in the night; in the morning another visit, and then there is another server."""
    heir, partner, supervisor = people
    before = set(await heir.pull("visits"))
    await seal(office.services)
    await run(settings, "backup", place)
    await run(settings, "verify-backup", place)
    later = await make_kit(heir, partner.id)
    await push_whole(heir, partner, later)
    held = await heir.pull("visits")
    assert set(held) == before | {later.visit["id"]}

    # An empty database, an empty store, the keys. Nobody signs in anew.
    await run(elsewhere.settings, "restore", place)
    async for services in hold_services(elsewhere.settings):
        office.app.state = State({"services": services})
        there = System(office.app, services)
        heir, partner, supervisor = (person.at(there) for person in people)
        token = {"refreshToken": heir.signed_in["refreshToken"]}
        assert (await there.client().post("/auth/v1/refresh", json=token)).status_code == 200
        assert set(homes) <= set(await heir.pull("households"))
        visits = await heir.pull("visits")
        assert {visit_id: visit["server"]["state"] for visit_id, visit in visits.items()} == dict.fromkeys(
            before, "accepted"
        )
        # What the server lacks is a mismatch: the phone loads anew and pushes it again.
        checkpoint = (await heir.pull_page("visits"))["checkpoint"]
        mismatch = await heir.ask_page("visits", checkpoint, digest=heir.digest(held))
        assert mismatch.json()["code"] == "sync.digest_mismatch"
        await push_whole(heir, partner, later)
        await there.run_jobs()
        await accept(supervisor)
        await there.run_jobs()
        visits = await heir.pull("visits")
        assert {visit["server"]["state"] for visit in visits.values()} == {"accepted"}
        assert set(visits) == set(held)


async def add_staff(desk, login, role, area):
    body = {"id": str(uuid4()), "login": login, "name": login, "roles": [{"role": role, "areaCode": area}]}
    answer = await desk.http.post("/desk/v1/staff", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def apply_for_aid(worker, town, village, number):
    """A family applies in the village, brings its papers, and is taken on: the visit is ordered."""
    head = {"id": str(uuid4()), "name": "农畦笠", "relation": "head", "health": "healthy"}
    head["idNumber"] = id_number(950 + number)  # of nobody in the register
    body = {
        "id": str(uuid4()),
        "householdId": str(uuid4()),
        "areaCode": village,
        "household": household(members=[head], place=PLACE, address=f"云栖县禾汀街道2号村{number}号"),
        "consentedOn": days.in_days(-10).isoformat(),
    }
    answer = await worker.http.post("/desk/v1/applications", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    await done(worker, made["id"], "papers_missing")
    for paper in made["papers"]:
        received = {"code": paper["code"], "receivedOn": days.in_days(-7).isoformat()}
        await worker.http.post(f"/desk/v1/cases/{made['id']}/papers", json=received)
    await done(town, made["id"], "accepted")


async def accept(supervisor):
    claim = (await supervisor.http.post("/desk/v1/queue/claim")).json()
    answer = await supervisor.http.post(
        f"/desk/v1/visits/{claim['visitId']}/decision",
        json={"outcome": "accepted", "reason": "已核对"},
        headers={"If-Match": f'"{claim["version"]}"'},
    )
    assert answer.status_code == 200, answer.text


async def seal(services):
    """What the worker does every five minutes."""
    async with open_session(services.sessions) as session:
        assert await audit.seal(session, services.audit_signer)


async def of_kind(desk, kind):
    return (await desk.http.get("/desk/v1/imports", params={"kind": kind})).json()["items"][0]
