"""An office starts on Monday: from an empty database to visits at work, by commands and HTTP alone."""

import asyncio
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from litestar.datastructures import State

from server.__main__ import main
from server.core.id_numbers import make_id_number
from tests.conftest import environment, hold_services
from tests.identity.test_accounts import GOOD, set_password
from tests.imports.test_imports import apply, lines_of, preview, workbook
from tests.phones import System

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


async def run(settings, *arguments):
    done = await asyncio.to_thread(CliRunner().invoke, main, list(arguments), env=environment(settings))
    assert done.exit_code == 0, done.output
    return done.output


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


async def test_a_county_that_began_empty_is_at_work_within_a_week(office, empty_settings):
    # Monday: the operator, then the administrator.
    output = await run(empty_settings, "setup", "--county", COUNTY, "--names", "浙江省/砚州市/云栖县")
    admin = await enter(office, output[output.index("set-password#") :], "admin")
    villages = [
        ["区划代码", "名称"],
        [TOWN, "禾汀街道"],
        *([code, f"{place}号村"] for place, code in enumerate(VILLAGES)),
    ]
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

    # Wednesday: the register, with thirty faults, all named and no good row among them.
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

    # Thursday: a caseworker signs in and finds the homes of the village and the checklists.
    ids = {line["title"]: line["thingId"] for line in await lines_of(first, await of_kind(first, "staff"), limit=50)}
    link = (await first.http.post(f"/desk/v1/staff/{ids['乡干0']}/reset")).json()
    await enter(office, link, caseworkers[0])
    phone = await office.open_phone(caseworkers[0], GOOD)
    homes = await phone.pull("households")
    assert {home["areaCode"] for home in homes.values()} == {VILLAGES[0]}
    assert {checklist["kind"] for checklist in (await phone.pull("checklists")).values()} >= {"intake", "review"}

    # Friday: a colleague leaves; the homes go to another, and the phone is signed out.
    body = {"reason": "调离", "handTo": ids["乡干1"]}
    left = (await first.http.post(f"/desk/v1/staff/{ids['乡干0']}/disable", json=body)).json()
    assert left["households"] == len(homes)
    assert (await phone.http.get("/auth/v1/me")).status_code == 401
    link = (await first.http.post(f"/desk/v1/staff/{ids['乡干1']}/reset")).json()
    await enter(office, link, caseworkers[1])
    heir = await office.open_phone(caseworkers[1], GOOD)
    assert set(homes) <= set(await heir.pull("households"))


async def of_kind(desk, kind):
    return (await desk.http.get("/desk/v1/imports", params={"kind": kind})).json()["items"][0]
