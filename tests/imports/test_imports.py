"""Imports: read and compared cell by cell, confirmed, applied in steps, undone as a whole."""

import io
import json
from uuid import UUID, uuid4

import pytest
from openpyxl import Workbook, load_workbook

from server.core.job_types import ApplyImport
from server.core.spreadsheet_reader import Cell, Row, Sheet
from server.imports import batches
from server.imports.areas import AreasImport
from server.imports.columns import Column, parse_day, read_lines

COUNTY, TOWN = "339901", "339901001"


def workbook(*rows, title=None):
    book = Workbook()
    sheet = book.active
    if title:
        sheet.append([title])
        sheet.merge_cells("A1:D1")
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


async def upload(desk, kind, content, *, area=COUNTY, import_id=None, mapping=None, name="a.xlsx"):
    data = {"id": import_id or str(uuid4()), "kind": kind, "area": area}
    if mapping is not None:
        data["mapping"] = json.dumps(mapping)
    return await desk.http.post(
        "/desk/v1/imports", data=data, files={"file": (name, content, "application/octet-stream")}
    )


async def preview(desk, kind, content, **more):
    answer = await upload(desk, kind, content, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def lines_of(desk, batch, **query):
    return (await desk.http.get(f"/desk/v1/imports/{batch['id']}/lines", params=query)).json()["items"]


async def apply(system, desk, batch, **body):
    confirmed = await desk.http.post(f"/desk/v1/imports/{batch['id']}/confirm", json=body)
    assert confirmed.status_code == 200, confirmed.text
    await system.run_jobs()
    return (await desk.http.get(f"/desk/v1/imports/{batch['id']}")).json()


VILLAGES = [
    ["区划代码", "名称"],
    ["339901001091", "梅坞村"],
    ["339901001092", "竹径社区"],
    ["339901009999", "无主村"],
    ["3399010010", "短码村"],
    ["339901001091", "又一个梅坞村"],
    ["440101001001", "外县村"],
    [None, "没有代码的村"],
]


async def test_villages_are_shown_line_by_line_and_each_bad_cell_is_named(county_desk):
    batch = await preview(county_desk, "areas", workbook(*VILLAGES, title="云栖县村级区划"))
    assert batch["counts"] == {"new": 2, "refused": 5, "applied": 0}
    refused = await lines_of(county_desk, batch, outcome="refused")
    assert [(line["row"], fault["address"], fault["code"]) for line in refused for fault in line["faults"]] == [
        (5, "A5", "area.no_parent"),
        (6, "A6", "area.not_a_code"),
        (7, "A7", "line.twice"),
        (8, "A8", "area.elsewhere"),
        (9, "A9", "cell.empty"),
    ]


async def test_a_confirmed_import_is_applied_and_can_be_undone(system, county_desk):
    batch = await preview(county_desk, "areas", workbook(*VILLAGES))
    assert await names_under(county_desk) & {"梅坞村", "竹径社区"} == set()
    applied = await apply(system, county_desk, batch)
    assert (applied["state"], applied["counts"]["applied"]) == ("applied", 2)
    assert await names_under(county_desk) >= {"梅坞村", "竹径社区"}
    again = await preview(county_desk, "areas", workbook(*VILLAGES))
    assert again["counts"]["unchanged"] == 2
    undone = await county_desk.http.post(f"/desk/v1/imports/{batch['id']}/undo", json={"reason": "文件有误"})
    assert undone.json()["state"] == "undone"
    assert await names_under(county_desk) & {"梅坞村", "竹径社区"} == set()


async def names_under(desk):
    answer = await desk.http.get("/desk/v1/areas", params={"under": TOWN})
    return {area["name"] for area in answer.json()}


async def test_what_is_in_use_is_not_undone(system, county_desk):
    batch = await preview(county_desk, "areas", workbook(*VILLAGES))
    await apply(system, county_desk, batch)
    person = {
        "id": str(uuid4()),
        "login": "xinren",
        "name": "新人",
        "roles": [{"role": "caseworker", "areaCode": "339901001091"}],
    }
    await county_desk.prove()
    assert (await county_desk.http.post("/desk/v1/staff", json=person)).status_code == 201
    refused = await county_desk.http.post(f"/desk/v1/imports/{batch['id']}/undo", json={"reason": "文件有误"})
    assert (refused.status_code, refused.json()["code"]) == (409, "import.acted_upon")


async def test_an_unknown_heading_is_chosen_by_a_person_and_remembered(county_desk):
    content = workbook(["编码", "村居"], ["339901001091", "梅坞村"])
    batch = await preview(county_desk, "areas", content)
    assert (batch["missing"], batch["headings"], batch["counts"]) == (["区划代码", "名称"], ["编码", "村居"], {})
    refused = await county_desk.http.post(f"/desk/v1/imports/{batch['id']}/confirm", json={})
    assert refused.json()["code"] == "import.columns_missing"
    chosen = await preview(
        county_desk, "areas", content, import_id=batch["id"], mapping={"code": "编码", "name": "村居"}
    )
    assert (chosen["missing"], chosen["counts"]["new"]) == ([], 1)
    assert (await preview(county_desk, "areas", content))["counts"]["new"] == 1


async def test_a_confirmed_import_takes_no_other_file_and_other_areas_none_at_all(system, county_desk, town_desk):
    batch = await preview(county_desk, "areas", workbook(*VILLAGES))
    await apply(system, county_desk, batch)
    other = await upload(county_desk, "areas", workbook(*VILLAGES), import_id=batch["id"])
    assert (other.status_code, other.json()["code"]) == (409, "import.confirmed")
    assert (await upload(town_desk, "areas", workbook(*VILLAGES), area=TOWN)).status_code == 403
    assert (await town_desk.http.get(f"/desk/v1/imports/{batch['id']}")).status_code == 404


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"<html>signed out</html>"])
async def test_a_file_that_is_no_table_is_refused_in_words(county_desk, content):
    answer = await upload(county_desk, "areas", content)
    if answer.status_code == 200:  # an empty CSV has no headings
        assert answer.json()["missing"]
    else:
        assert (answer.status_code, answer.json()["code"]) == (422, "import.unreadable")


STAFF = [
    ["姓名", "手机号", "角色", "所在地", "登录名", "在岗情况"],
    ["甲小满", "13900001111", "专干", "339901001001", "jia-xiaoman", "在岗"],
    ["乙立冬", "13900002222", "村级专干", "339901001002", None, None],
    ["丙春分", "139", "专干", "339901001001", "bing", None],
    ["丁大寒", "13900004444", "皇帝", "339901001001", "ding", None],
    ["戊霜降", "13900005555", "督查", "339901", "wu", None],
    ["己白露", "13900006666", "专干", "没有的村", "ji", None],
    ["甲小满", "13900001111", "专干", "339901001001", "jia-xiaoman", None],
    ["庚谷雨", None, "专干", "339901001001", None, None],
]


async def test_staff_come_in_by_excel_and_sign_in_by_their_slips(system, county_desk):
    batch = await preview(county_desk, "staff", workbook(*STAFF))
    stolen = await county_desk.http.post(f"/desk/v1/imports/{batch['id']}/confirm", json={})
    assert (stolen.status_code, stolen.json()["code"]) == (403, "auth.step_up_required")
    await county_desk.prove()
    assert batch["counts"] == {"new": 2, "refused": 6, "applied": 0}
    refused = await lines_of(county_desk, batch, outcome="refused")
    assert [(line["title"], fault["address"], fault["code"]) for line in refused for fault in line["faults"]] == [
        ("丙春分", "B4", "phone.invalid"),
        ("丁大寒", "C5", "role.unknown"),
        ("戊霜降", "C6", "auth.forbidden"),
        ("己白露", "D7", "area.unknown"),
        ("甲小满", "A8", "line.twice"),
        ("庚谷雨", "E9", "cell.empty"),
    ]
    await apply(system, county_desk, batch)
    ids = [line["thingId"] for line in await lines_of(county_desk, batch, outcome="new")]
    await county_desk.prove()
    sheet = await county_desk.http.post("/desk/v1/staff/slips", json={"staffIds": ids})
    assert sheet.status_code == 200
    again = await preview(county_desk, "staff", workbook(*STAFF))
    assert again["counts"]["unchanged"] == 2
    left = [STAFF[0], ["甲小满", None, "专干", "339901001001", "jia-xiaoman", "离岗"]]
    gone = await preview(county_desk, "staff", workbook(*left))
    assert gone["counts"]["changed"] == 1
    await apply(system, county_desk, gone)
    page = (await county_desk.http.get("/desk/v1/staff", params={"q": "jia-xiaoman"})).json()
    assert page["items"][0]["disabledAt"] is not None


async def test_each_role_sees_the_kinds_of_file_that_it_may_bring(county_desk, town_desk):
    kinds = (await county_desk.http.get("/desk/v1/import-kinds")).json()
    assert {line["kind"] for line in kinds} >= {"areas", "staff", "register"}
    columns = next(line["columns"] for line in kinds if line["kind"] == "areas")
    assert [(column["heading"], column["isRequired"]) for column in columns][:2] == [("区划代码", True), ("名称", True)]
    assert "areas" not in {line["kind"] for line in (await town_desk.http.get("/desk/v1/import-kinds")).json()}


async def test_an_interrupted_import_goes_on_where_it_stopped(system, services, county_desk, monkeypatch):
    monkeypatch.setattr(batches, "_STEP", 1)
    batch = await preview(county_desk, "areas", workbook(*VILLAGES))
    whole, steps = AreasImport.apply, []

    async def fail_at_the_second(self, work, plans):
        steps.append(len(plans))
        if len(steps) == 2:
            raise ConnectionError("the database went away")
        await whole(self, work, plans)

    monkeypatch.setattr(AreasImport, "apply", fail_at_the_second)
    await county_desk.http.post(f"/desk/v1/imports/{batch['id']}/confirm", json={})
    with pytest.raises(ConnectionError):
        await batches.apply_import(services, ApplyImport(batch_id=UUID(batch["id"])))
    half = (await county_desk.http.get(f"/desk/v1/imports/{batch['id']}")).json()
    assert (half["state"], half["counts"]["applied"]) == ("confirmed", 1)
    await system.run_jobs()
    whole_batch = (await county_desk.http.get(f"/desk/v1/imports/{batch['id']}")).json()
    assert (whole_batch["state"], whole_batch["counts"]["applied"], steps) == ("applied", 2, [1, 1, 1])


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2011-11-30", "2011-11-30"),
        ("2011/1/3", "2011-01-03"),
        ("2011.01.03", "2011-01-03"),
        ("2011年1月3日", "2011-01-03"),
        ("2011年1月", "2011-01-01"),
        ("20110103", "2011-01-03"),
        ("201101", "2011-01-01"),
        ("40546", "2011-01-03"),
        ("2011-02-30", None),
        ("11.1.3", None),
        ("去年", None),
    ],
)
def test_dates_are_read_in_every_common_writing(text, day):
    read = parse_day(text)
    assert (read and read.isoformat()) == day


def test_headings_are_found_below_titles_with_stars_spaces_and_brackets():
    rows = [["某县低保家庭花名册"], ["填表人：某某"], ["姓 名 *", "身份证号（18位）"], ["甲", "1"]]
    sheet = Sheet(
        "S",
        [
            Row(number, [Cell(text, f"{'AB'[place]}{number}") for place, text in enumerate(row)])
            for number, row in enumerate(rows, 1)
        ],
    )
    columns = [Column("name", "姓名", (), is_required=True), Column("id", "身份证号码", ("身份证号",))]
    content = read_lines([sheet], columns, {})
    assert [(line.number, line.text("name"), line.text("id")) for line in content.lines] == [(4, "甲", "1")]


async def test_imports_are_listed_their_lines_saved_and_a_template_shows_the_headings(county_desk):
    batch = await preview(county_desk, "areas", workbook(*VILLAGES), name="村级区划.xlsx")
    page = (await county_desk.http.get("/desk/v1/imports", params={"kind": "areas"})).json()
    assert [line["id"] for line in page["items"]] == [batch["id"]]
    saved = await county_desk.http.get(f"/desk/v1/imports/{batch['id']}/lines/export", params={"format": "csv"})
    assert "A4 区划代码：没有上级区划" in saved.text
    template = await county_desk.http.get("/desk/v1/imports/templates/staff")
    sheet = load_workbook(io.BytesIO(template.content)).worksheets[0]
    assert [cell.value for cell in sheet[1]][:2] == ["姓名*", "登录名"]
