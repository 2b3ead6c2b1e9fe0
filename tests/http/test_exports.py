"""Every list of the desk can be saved: the same people, filters, rows and masks as the list, and a row of the trail."""

import csv
import io
import json
import re

import openpyxl
import pytest
from sqlalchemy import select, text

import server.http.exports
from server.core.access import Caller
from server.core.database import open_session
from server.core.ids import new_id
from server.core.paging import Page
from server.core.paths import OPENAPI
from server.http.exports import stream_list
from server.models.audit import AuditEntry
from server.models.households import Household

PATHS = json.loads(OPENAPI.read_text())["paths"]
SCHEMAS = json.loads(OPENAPI.read_text())["components"]["schemas"]
# Lists that no file is made of, and why.
NO_FILE = {
    "/desk/v1/import-kinds": "what may be brought, not what is",
    "/desk/v1/areas": "one looks an area up, level by level; the register itself is loaded from a file",
    "/desk/v1/notices/consents": "one's own",
    "/desk/v1/notices": "one's own",
    "/desk/v1/problem-reports/own": "one's own",
    "/desk/v1/queue/views": "one's own",
    "/desk/v1/aid-kinds": "what may be chosen, as the settings have it",
    "/desk/v1/roster-programs": "what may be chosen, as the settings have it",
    "/desk/v1/stop-grounds": "what may be chosen, as the settings have it",
    "/desk/v1/rules/kinds": "what may be written, not what is",
    "/desk/v1/rules/{key}/history": "one setting's, on the page of all",
    "/desk/v1/cross-checks/{batch_id}/lines": "goes to the office asked, as /cross-checks/{batch_id}/file",
    "/desk/v1/cases/{case_id}/calculations": "of one case, on its page",
    "/desk/v1/cases/{case_id}/cross-checks": "of one case, on its page",
    "/desk/v1/cases/{case_id}/hearings": "of one case, on its page",
    "/desk/v1/households/{household_id}/bindings": "of one home, on its page",
    "/desk/v1/households/{household_id}/versions": "of one home, on its page",
    "/desk/v1/visits/{visit_id}/findings/history": "of one visit, in its bundle",
    "/desk/v1/spot-checks/{spot_check_id}/comparison": "of one visit, on its page",
}
# Former addresses: the list, and the filters that the address applies by itself.
FORMER = {
    "/desk/v1/case-exports/cases": ("/desk/v1/cases", {}),
    "/desk/v1/case-exports/due": ("/desk/v1/cases/due", {}),
    "/desk/v1/case-exports/benefit-changes": ("/desk/v1/benefit-changes", {}),
    "/desk/v1/case-exports/stops": ("/desk/v1/benefit-changes", {"kind": "stopped"}),
    "/desk/v1/complaint-export": ("/desk/v1/complaints", {}),
    "/desk/v1/exports/queue": ("/desk/v1/queue", {}),
    "/desk/v1/exports/areas": ("/desk/v1/overview/work", {"by": "area"}),
    "/desk/v1/exports/caseworkers": ("/desk/v1/overview/work", {"by": "caseworker"}),
    "/desk/v1/exports/findings": ("/desk/v1/overview/findings", {}),
    "/desk/v1/exports/points": ("/desk/v1/overview/points", {}),
}


def _is_list(operation):
    result = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    result = SCHEMAS[result["$ref"].rsplit("/", 1)[1]] if "$ref" in result else result
    return result.get("type") == "array" or {"items", "nextCursor"} <= set(result.get("properties", {}))


LISTS = [
    path
    for path, item in PATHS.items()
    if path.startswith("/desk/v1/") and _is_list(item.get("get", {"responses": {}}))
]
EXPORTED = {path: f"{path}/export" for path in LISTS if path not in NO_FILE}


def test_every_list_of_the_desk_has_a_file_or_a_reason_for_none():
    assert len(LISTS) > 35
    assert set(NO_FILE) <= set(LISTS)
    assert [path for path in EXPORTED.values() if path not in PATHS] == []


@pytest.mark.parametrize("listed", EXPORTED)
def test_a_file_is_asked_by_the_filters_of_its_list(listed):
    assert _parameters(EXPORTED[listed]) == _parameters(listed) - {"cursor", "limit"} | {"format", "as"}


def test_former_addresses_and_the_former_parameter_are_marked_as_deprecated():
    deprecated = {path for path, item in PATHS.items() if item.get("get", {}).get("deprecated")}
    assert deprecated == set(FORMER)
    for path, (listed, fixed) in FORMER.items():
        assert _parameters(path) == _parameters(EXPORTED[listed]) - set(fixed)
    for path in (*EXPORTED.values(), *FORMER):
        assert _parameter(path, "as")["schema"]["deprecated"]
        assert "deprecated" not in _parameter(path, "format")["schema"]


def _parameter(path, name):
    return next(item for item in PATHS[path]["get"]["parameters"] if item["name"] == name)


def _parameters(path):
    return {item["name"] for item in PATHS[path]["get"].get("parameters", [])}


@pytest.fixture
async def people(system):
    return {
        "supervisor": await system.sign_in_at_desk("zhuyanhui", "supervisor"),
        "town_officer": await system.sign_in_at_desk("panhuaixu", "town_officer"),
        "admin": await system.sign_in_at_desk("zhanxinglou", "admin"),
        "caseworker": await system.sign_in_at_desk("linhexi", "caseworker"),
    }


async def test_who_may_read_a_list_may_save_it_and_nobody_else(people):
    for listed, saved in EXPORTED.items():
        if "{" in listed:
            continue  # a list of one thing: its own room tests who may read it
        for role, person in people.items():
            answer = await person.http.get(listed)
            file = await person.http.get(saved)
            assert file.status_code == answer.status_code, (listed, role)


@pytest.mark.parametrize("former", FORMER)
async def test_a_former_address_answers_the_same_file(people, former):
    listed, fixed = FORMER[former]
    for form in ("csv", "xlsx"):
        current = await people["supervisor"].http.get(EXPORTED[listed], params={"format": form, **fixed})
        assert current.status_code == 200, current.text
        for name in ("as", "format"):
            answer = await people["supervisor"].http.get(former, params={name: form})
            assert answer.headers["content-type"] == current.headers["content-type"]
            assert answer.headers["content-disposition"].endswith(f'.{form}"')
            assert _cells(answer, form) == _cells(current, form)
            assert len(_cells(answer, form)[0]) > 4


async def test_an_export_takes_its_format_by_the_new_and_by_the_former_name(people):
    for params, start in (({}, b"\xef\xbb\xbf"), ({"format": "xlsx"}, b"PK"), ({"as": "xlsx"}, b"PK")):
        answer = await people["supervisor"].http.get("/desk/v1/staff/export", params=params)
        assert answer.content.startswith(start), params
    refused = await people["supervisor"].http.get("/desk/v1/staff/export", params={"format": "ods"})
    assert refused.json()["code"] == "request.invalid"


@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_a_file_holds_every_page_of_its_list(people, services, form):
    for role in ("supervisor", "town_officer"):
        for path, key, heading in (("households", "number", "户编号"), ("staff", "login", "登录名")):
            rows = await saved(people[role], f"/desk/v1/{path}/export", form)
            assert [row[heading] for row in rows] == [page[key] for page in await pages(people[role], path)]
    async with services.sessions() as session:
        homes = len(list(await session.scalars(select(Household.id))))
    assert len(await saved(people["supervisor"], "/desk/v1/households/export", form)) == homes > 200


async def test_a_file_of_homes_keeps_filters_and_masks(people):
    rows = await saved(people["supervisor"], "/desk/v1/households/export", "csv", **{"class": "A", "area": "339901001"})
    assert rows
    assert {row["类别"] for row in rows} == {"A"}
    assert {row["行政区划代码"].lstrip("\t")[:9] for row in rows} == {"339901001"}
    staff = await people["supervisor"].http.get("/desk/v1/staff/export")
    assert re.search(r"1\d{2}\*{4}\d{4}", staff.text)
    assert not re.search(r"\b1\d{10}\b", staff.text)


async def test_saving_the_trail_is_written_to_the_trail_and_nothing_typed_is(people, services):
    await people["supervisor"].http.get("/desk/v1/audit/export", params={"action": "session"})
    await people["supervisor"].http.get("/desk/v1/households/export", params={"q": "王", "format": "xlsx"})
    async with services.sessions() as session:
        rows = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == "list.exported")))
    assert [(row.thing_id, row.facts) for row in rows] == [
        ("audit", {"form": "csv", "asked": {"action": "session"}}),
        ("households", {"form": "xlsx", "asked": {}}),
    ]
    result = await saved(people["supervisor"], "/desk/v1/audit/export", "csv", action="list.exported")
    assert [item["对象编号"] for item in result] == ["households", "audit"]


async def test_a_list_too_long_for_excel_says_so_and_is_saved_as_csv(people, monkeypatch):
    monkeypatch.setattr(server.http.exports, "MAX_XLSX_ROWS", 250)
    answer = await people["supervisor"].http.get("/desk/v1/households/export", params={"format": "xlsx"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "export.too_long"
    assert len(await saved(people["supervisor"], "/desk/v1/households/export", "csv")) == 300


PAGES = [Page(items=[n], next_cursor=str(n + 1) if n < 4 else None) for n in range(5)]


async def _answer(services, session, form, read):
    columns = {"数": lambda line: line}
    caller = Caller(id=new_id(), name="试", device_id=new_id(), grants=())
    return await stream_list(services, session, caller, "numbers", columns, form, read, {}, None)


async def test_a_long_list_goes_out_page_by_page_and_holds_no_connection_meanwhile(services):
    request = []

    async def read(session, cursor):
        await session.execute(text("SELECT 1"))
        request.append(cursor)
        return PAGES[int(cursor or 0)]

    async with open_session(services.sessions) as session:
        stream = await _answer(services, session, "csv", read)
    assert request == [None]
    sent = []
    async for piece in stream.iterator:
        sent.append(piece)
        assert len(request) == len(sent)
        stats = services.connections.get_stats()
        assert stats["pool_available"] == stats["pool_size"]
    assert b"".join(sent).decode("utf-8-sig").split() == ["数", "0", "1", "2", "3", "4"]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_while_a_list_is_read_nothing_is_written_that_would_hold_back_the_phones(services, form):
    written = []

    async def read(session, cursor):
        written.append(await session.scalar(text("SELECT pg_current_xact_id_if_assigned()")))
        return PAGES[int(cursor or 0)]

    async with open_session(services.sessions) as session:
        stream = await _answer(services, session, form, read)
        async for _ in stream.iterator:
            pass
    assert written == [None] * len(PAGES)
    async with services.sessions() as session:
        assert (
            await session.scalar(select(AuditEntry.thing_id).where(AuditEntry.action == "list.exported")) == "numbers"
        )


async def saved(person, path, form, **request):
    answer = await person.http.get(path, params={"format": form, **request})
    assert answer.status_code == 200, answer.text
    name = path.rsplit("/", 2)[1]
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}.{form}"'
    headings, *rows = _cells(answer, form)
    return [dict(zip(headings, row, strict=True)) for row in rows]


def _cells(answer, form):
    if form == "csv":
        return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    return [list(row) for row in openpyxl.load_workbook(io.BytesIO(answer.content)).active.iter_rows(values_only=True)]


async def pages(person, path):
    items, cursor = [], None
    while True:
        request = {"limit": 90} | ({"cursor": cursor} if cursor else {})
        page = (await person.http.get(f"/desk/v1/{path}", params=request)).json()
        items += page["items"]
        if (cursor := page["nextCursor"]) is None:
            return items
