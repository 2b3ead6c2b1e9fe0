"""The cross-check by files: whole numbers out and logged, answers in and compared, nothing corrected by itself."""

import asyncio
import io
import json
from datetime import date
from random import Random

import pytest
from openpyxl import load_workbook
from sqlalchemy import select

from server.core.database import open_session
from server.core.ids import new_id
from server.crosschecks.sources import SOURCES
from server.models.audit import AuditEntry
from server.models.cases import CaseFile, IncomeItem, PropertyItem
from server.models.crosschecks import CrossCheck
from server.models.households import HouseholdMember
from tests import days
from tests.makers import offices
from tests.makers.cases import TOWN, look, with_both_waiting


async def batch(office, source="tax", **changes):
    town = await office.person("town_officer")
    body = {"id": str(new_id()), "source": source, "areaCode": TOWN} | changes
    return town, body, await town.http.post("/desk/v1/cross-checks", json=body)


async def request_file(town, batch_id):
    answer = await town.http.get(f"/desk/v1/cross-checks/{batch_id}/file")
    assert answer.status_code == 200
    return answer.content


async def import_(town, batch_id, content, mapping=None):
    return await town.http.post(
        f"/desk/v1/cross-checks/{batch_id}/answers",
        data={"mapping": json.dumps(mapping or {})},
        files={"file": ("a.xlsx", content, "application/octet-stream")},
    )


async def declare(services, case_id, kind, amount_fen):
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        session.add(
            IncomeItem(household_id=case.household_id, kind=kind, category="", period="month", declared_fen=amount_fen)
        )


async def consenting(office):
    return await office.case(consented_on=days.in_days(-10))


async def test_each_office_is_asked_and_answers(office, county):
    case_id = await consenting(office)
    head = county.residents[0].id_number
    for source in SOURCES:
        town, body, answer = await batch(office, source)
        assert answer.status_code == 201, answer.text
        request = await request_file(town, body["id"])
        result = await import_(town, body["id"], offices.answer(source, request, {head: "2"}))
        assert result.status_code == 200, result.text
        assert (result.json()["unanswered"], result.json()["strangers"], result.json()["differing"]) == (0, 0, 1)
    lines = (await town.http.get(f"/desk/v1/cases/{case_id}/cross-checks")).json()
    assert {line["source"]: line["differences"][0]["found"] for line in lines if line["differences"]} == {
        source: 200 if SOURCES[source].columns[0].kind == "money" else 2 for source in SOURCES
    }
    timeline = (await look(town, case_id))["timeline"]
    assert "cross_check_begun" in {item["step"] for item in timeline}


async def test_two_officers_at_once_ask_an_office_about_a_person_once(office, services, monkeypatch):
    await consenting(office)
    await office.person("town_officer")
    with_both_waiting(monkeypatch, "server.crosschecks.batches._find_unasked_cases")
    answers = [answer for _, _, answer in await asyncio.gather(batch(office), batch(office))]
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    async with services.sessions() as session:
        request = list(await session.scalars(select(CrossCheck.member_id)))
    assert len(request) == len(set(request)) > 0


@pytest.mark.parametrize(("result", "differs"), [("1,500.00", False), ("1500.01", True), ("15、00", True)])
async def test_a_wage_is_held_against_what_was_declared_and_a_doubtful_number_is_shown(
    office, services, county, result, differs
):
    case_id = await consenting(office)
    await declare(services, case_id, "wage", 1_500_00)
    town, body, _ = await batch(office)
    request = await request_file(town, body["id"])
    answer = await import_(town, body["id"], offices.answer("tax", request, {county.residents[0].id_number: result}))
    assert answer.json()["differing"] == int(differs)
    async with services.sessions() as session:
        assert list(await session.scalars(select(IncomeItem.verified_fen))) == [None]


async def test_each_line_an_office_writes_of_a_person_counts(office, services, county):
    await consenting(office)
    head = county.residents[0].id_number
    town, body, _ = await batch(office, "finance")
    request = await request_file(town, body["id"])
    content = offices.answer("finance", request, {head: "600.00"}, extra=[[head, "无"], [head, "500"]])
    assert (await import_(town, body["id"], content)).json()["differing"] == 1
    lines = (await town.http.get(f"/desk/v1/cross-checks/{body['id']}/lines")).json()
    (difference,) = lines[0]["line"]["differences"]
    assert (difference["found"], difference["entered"]) == (1_100_00, "600.00；500")


async def test_a_years_wage_is_held_by_the_month_and_one_that_has_ended_by_nothing(office, services, county):
    case_id = await consenting(office)
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        wage = {"household_id": case.household_id, "kind": "wage", "category": ""}
        session.add(IncomeItem(**wage, period="year", declared_fen=12_000_00))
        session.add(IncomeItem(**wage, period="month", declared_fen=9_000_00, ended_on=date(2025, 1, 1)))
    town, body, _ = await batch(office)
    request = await request_file(town, body["id"])
    await import_(town, body["id"], offices.answer("tax", request, {county.residents[0].id_number: "1000.01"}))
    lines = (await town.http.get(f"/desk/v1/cross-checks/{body['id']}/lines")).json()
    (difference,) = lines[0]["line"]["differences"]
    assert (difference["declared"], difference["found"]) == (1_000_00, 1_000_01)


async def test_nobody_is_asked_about_while_a_case_is_suspended(office):
    await office.case(consented_on=days.in_days(-10), suspended_on=days.in_days(-9))
    _, _, answer = await batch(office)
    assert answer.json()["code"] == "case.nothing_to_check"


async def test_a_damaged_file_is_told_as_such(office):
    await consenting(office)
    town, body, _ = await batch(office)
    whole = offices.answer("tax", await request_file(town, body["id"]), {})
    chance = Random(7)
    for _ in range(40):
        broken = bytearray(whole)
        for _ in range(12):
            broken[chance.randrange(30, len(broken))] ^= 1 + chance.randrange(255)
        answer = await import_(town, body["id"], bytes(broken))
        assert answer.status_code != 500
        if answer.status_code == 200:  # what was hit does not matter to what is read
            break
        assert answer.json()["code"] == "case.check_unreadable"


async def test_what_was_asked_of_whom_is_found_again_with_who_differs_first(office, county):
    case_id = await consenting(office)
    town, housing, _ = await batch(office, "housing")
    town, tax, _ = await batch(office)
    request = await request_file(town, tax["id"])
    await import_(town, tax["id"], offices.answer("tax", request, {county.residents[0].id_number: "9000"}))
    listed = (await town.http.get("/desk/v1/cross-checks", params={"area": TOWN, "limit": 1})).json()
    assert [(item["id"], item["differing"], item["unanswered"]) for item in listed["items"]] == [(tax["id"], 1, 0)]
    after = (await town.http.get("/desk/v1/cross-checks", params={"cursor": listed["nextCursor"]})).json()
    assert [(item["id"], item["answeredAt"]) for item in after["items"]] == [(housing["id"], None)]
    lines = (await town.http.get(f"/desk/v1/cross-checks/{tax['id']}/lines")).json()
    assert len(lines) == listed["items"][0]["people"]
    assert [bool(line["line"]["differences"]) for line in lines] == [True] + [False] * (len(lines) - 1)
    assert (lines[0]["caseId"], lines[0]["line"]["memberName"]) == (str(case_id), county.residents[0].name)
    worker = await office.person("caseworker")
    for path in ("/desk/v1/cross-checks", f"/desk/v1/cross-checks/{tax['id']}/lines"):
        assert (await worker.http.get(path)).json()["code"] == "auth.forbidden"


async def test_only_those_who_consented_are_asked_about_and_only_once(office):
    await office.case()
    _, _, nobody = await batch(office)
    assert nobody.json()["code"] == "case.nothing_to_check"
    await consenting(office)
    town, body, first = await batch(office)
    again = await town.http.post("/desk/v1/cross-checks", json=body)
    assert again.json() == first.json()
    assert (await batch(office))[2].json()["code"] == "case.nothing_to_check"
    assert (await batch(office, "housing"))[2].status_code == 201


async def test_whole_numbers_go_out_only_by_the_file_and_each_export_is_logged(office, services, county):
    await consenting(office)
    town, body, _ = await batch(office)
    rows = list(load_workbook(io.BytesIO(await request_file(town, body["id"]))).active.iter_rows(values_only=True))
    assert county.residents[0].id_number in {row[2] for row in rows}
    as_csv = await town.http.get(f"/desk/v1/cross-checks/{body['id']}/file", params={"form": "csv"})
    assert as_csv.content.startswith(b"\xef\xbb\xbf")
    async with services.sessions() as session:
        logged = await session.scalars(select(AuditEntry.actor_id).where(AuditEntry.action == "cross_check.exported"))
        assert list(logged) == [town.id, town.id]
    worker = await office.person("caseworker")
    assert (await worker.http.get(f"/desk/v1/cross-checks/{body['id']}/file")).json()["code"] == "auth.forbidden"


async def test_a_name_like_a_formula_stays_a_name(office, services):
    case_id = await consenting(office)
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        for member in await session.scalars(
            select(HouseholdMember).where(HouseholdMember.household_id == case.household_id)
        ):
            member.name = "=1+1"
    town, body, _ = await batch(office)
    rows = list(load_workbook(io.BytesIO(await request_file(town, body["id"]))).active.iter_rows(values_only=True))
    assert rows[1][1] == "'=1+1"


async def test_an_office_with_headings_and_encodings_of_its_own_is_understood(office, county):
    await consenting(office)
    town, body, _ = await batch(office)
    theirs = {"身份证号": "证件号码", "月工资薪金(元)": "工资"}
    content = offices.answer(
        "tax", await request_file(town, body["id"]), {county.residents[0].id_number: "9000"}, form="gb18030",
        headings=theirs, extra=[["11010519491231002X", "1"]],
    )  # fmt: skip
    unmapped = await import_(town, body["id"], content)
    assert unmapped.json()["code"] == "case.check_unreadable"
    assert "身份证号" in unmapped.json()["detail"]
    result = (await import_(town, body["id"], content, theirs)).json()
    assert (result["differing"], result["strangers"]) == (1, 1)


async def test_the_same_file_is_read_once_another_replaces_it_and_rubbish_says_why(office, county):
    await consenting(office)
    town, body, _ = await batch(office)
    request = await request_file(town, body["id"])
    for rubbish in (b"", b"PK\x03\x04nothing", b"\xff\xfe\x00"):
        assert (await import_(town, body["id"], rubbish)).json()["code"] in {"case.check_unreadable", "request.invalid"}
    content = offices.answer("tax", request, {})
    first = await import_(town, body["id"], content)
    assert (await import_(town, body["id"], content)).json() == first.json()
    other = offices.answer("tax", request, {county.residents[0].id_number: "5"})
    assert (await import_(town, body["id"], other)).json()["differing"] == 1


async def test_what_the_household_says_to_a_difference_is_kept_beside_it(office, county):
    case_id = await consenting(office)
    town, body, _ = await batch(office, "housing")
    request = await request_file(town, body["id"])
    await import_(town, body["id"], offices.answer("housing", request, {county.residents[0].id_number: "2"}))
    line = next(
        item for item in (await town.http.get(f"/desk/v1/cases/{case_id}/cross-checks")).json() if item["differences"]
    )
    result = await town.http.post(f"/desk/v1/cross-checks/lines/{line['id']}/objection", json={"text": "其一为危房"})
    assert (result.json()["objection"], result.json()["differences"]) == ("其一为危房", line["differences"])


@pytest.mark.parametrize(
    ("source", "kind", "declared", "result", "differs"),
    [
        ("housing", "home", 1, "1", None),
        ("housing", "home", 1, "2", (2, 1)),
        ("public_security", "vehicle", 0, "1", (1, 0)),
        ("market", "business", 1, "1", None),
        ("finance", "deposit", 30_000_00, "30,000.00", None),
        ("finance", "deposit", 30_000_00, "3.1万", (31_000_00, 30_000_00)),
    ],
)
async def test_what_is_owned_is_held_against_what_was_declared_to_be(
    office, services, county, source, kind, declared, result, differs
):
    case_id = await consenting(office)
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        # Income of a business is not a business.
        session.add(
            IncomeItem(
                household_id=case.household_id, kind="business", category="", period="month", declared_fen=9_999_00
            )
        )
        session.add(PropertyItem(household_id=case.household_id, kind=kind, note="", declared=declared))
    town, body, _ = await batch(office, source)
    request = await request_file(town, body["id"])
    await import_(town, body["id"], offices.answer(source, request, {county.residents[0].id_number: result}))
    lines = (await town.http.get(f"/desk/v1/cases/{case_id}/cross-checks")).json()
    found = [(difference["found"], difference["declared"]) for line in lines for difference in line["differences"]]
    assert found == ([differs] if differs else [])


async def test_another_town_neither_reads_a_batch_nor_answers_it(office, county):
    await consenting(office)
    _, body, made = await batch(office)
    assert made.status_code == 201, made.text
    other = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and staff_member.area_code != TOWN
    )
    stranger = await office.sign_in(other)
    path = f"/desk/v1/cross-checks/{body['id']}"
    for answer in (await stranger.http.get(f"{path}/file"), await import_(stranger, body["id"], b"")):
        assert (answer.status_code, answer.json()["code"]) == (404, "thing.not_found")
