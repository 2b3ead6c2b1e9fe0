"""Cross-checks of households that are paid: asked for by office and interval; what is found waits for a person."""

import io
from datetime import timedelta

from openpyxl import load_workbook
from sqlalchemy import func, select, update

from server.core.database import open_session
from server.core.ids import new_id
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile
from server.models.crosschecks import CrossCheck, CrossCheckBatch
from server.models.households import Assignment
from tests import days
from tests.benefits.test_changes import in_force
from tests.crosschecks.test_answer_files import sheet
from tests.crosschecks.test_crosschecks import batch, import_, request_file
from tests.makers.cases import done, look

INBOX = "/desk/v1/recheck-differences"
WAGE = "月工资薪金(元)"


async def paid(office, services):
    """The first application, in force, with its consent."""
    case_id, county = await in_force(office)
    async with open_session(services.sessions) as session:
        await session.execute(update(CaseFile).where(CaseFile.id == case_id).values(consented_on=days.in_days(-10)))
    return case_id, county


async def tax_file(town, batch_id, entered):
    rows = load_workbook(io.BytesIO(await request_file(town, batch_id))).active.iter_rows(values_only=True)
    numbers = [row[2] for row in rows][1:]
    return sheet([[numbers[0], entered], *([number, "无"] for number in numbers[1:])], headings=("身份证号", WAGE))


async def found(office, services, entered="3000"):
    """What the tax office found of the head of a household that is paid."""
    case_id, county = await paid(office, services)
    town, body, answer = await batch(office, ofThosePaid=True)
    assert answer.status_code == 201, answer.text
    imported = await import_(town, body["id"], await tax_file(town, body["id"], entered))
    assert imported.status_code == 200, imported.text
    return case_id, town, county, answer.json()


async def inbox(desk, **query):
    return (await desk.http.get(INBOX, params=query)).json()["items"]


async def settle(desk, line, settlement="explained", note="一次性收入，已核实"):
    path = f"/desk/v1/cross-checks/lines/{line['line']['id']}/settlement"
    return await desk.http.post(path, json={"settlement": settlement, "note": note})


async def test_a_list_of_those_paid_has_its_own_due_day_and_moves_no_case(office, services):
    case_id, _ = await paid(office, services)
    before = (await look(await office.person("county_officer"), case_id))["version"]
    _, _, answer = await batch(office, ofThosePaid=True)
    made = answer.json()
    assert (made["ofThosePaid"], made["dueOn"] > days.in_days(0).isoformat()) == (True, True)
    assert (await look(await office.person("county_officer"), case_id))["version"] == before
    assert (await batch(office, ofThosePaid=True))[2].json()["code"] == "case.nothing_to_check"
    assert (await batch(office, "deaths", ofThosePaid=True))[2].status_code == 201


async def test_after_the_interval_the_same_office_is_asked_again(office, services):
    await paid(office, services)
    await batch(office, ofThosePaid=True)
    async with open_session(services.sessions) as session:
        year_ago = CrossCheckBatch.made_at - timedelta(days=366)
        await session.execute(update(CrossCheckBatch).values(made_at=year_ago))
    assert (await batch(office, ofThosePaid=True))[2].status_code == 201


async def test_who_has_not_consented_is_not_asked_about(office):
    await in_force(office)
    assert (await batch(office, ofThosePaid=True))[2].json()["code"] == "case.nothing_to_check"


async def test_a_difference_waits_in_the_inbox_with_a_day_and_nothing_follows_by_itself(office, services):
    case_id, town, county, _ = await found(office, services)
    (line,) = await inbox(town)
    assert (line["caseId"], line["isOverdue"], line["settlement"]) == (str(case_id), False, None)
    assert line["dueOn"] > days.in_days(0).isoformat()
    assert [line["line"]["id"] for line in await inbox(county)] == [line["line"]["id"]]
    case = await look(county, case_id)
    assert (case["state"], case["amountFen"]) == ("in_force", line["amountFen"])
    async with services.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(BenefitChange)) == 1
        await session.rollback()
    async with open_session(services.sessions) as session:
        await session.execute(update(CrossCheck).values(due_on=days.in_days(-1)).where(CrossCheck.due_on.is_not(None)))
    assert [line["isOverdue"] for line in await inbox(town)] == [True]
    assert "是" in (await town.http.get(f"{INBOX}/export?format=csv")).content.decode("utf-8-sig")


async def test_whoever_looks_writes_what_was_done_once(office, services):
    _, town, county, made = await found(office, services)
    (line,) = await inbox(town)
    assert (await settle(town, line, note=" ")).json()["code"] == "case.reason_required"
    assert (await settle(town, line)).status_code == 200
    assert (await settle(town, line)).status_code == 200
    assert (await settle(county, line, note="另一说法")).json()["code"] == "case.check_settled"
    assert await inbox(town) == []
    assert [done["settledNote"] for done in await inbox(town, settled=True)] == ["一次性收入，已核实"]
    again = await import_(town, made["id"], b"")
    assert again.json()["code"] == "case.check_answered"


async def test_a_visit_is_ordered_where_somebody_says_so(office, services):
    case_id, town, _, _ = await found(office, services)
    (line,) = await inbox(town)
    assert (await settle(town, line, "visit", "入户核实工资")).status_code == 200
    async with services.sessions() as session:
        ordered = select(Assignment).where(Assignment.case_id == case_id, Assignment.kind == "review")
        assert (await session.scalars(ordered)).first() is not None


async def test_nothing_is_settled_where_nothing_was_found_or_elsewhere(office, services):
    _, town, _, _ = await found(office, services, entered="0")
    assert await inbox(town) == []
    async with services.sessions() as session:
        check_id = await session.scalar(select(CrossCheck.id).limit(1))
    assert (await settle(town, {"line": {"id": str(check_id)}})).json()["code"] == "case.check_nothing_due"
    assert (await settle(town, {"line": {"id": str(new_id())}})).status_code == 404


async def test_a_corrected_file_is_refused_only_where_something_rests_on_the_answer(office, services):
    case_id, town, _, made = await found(office, services)
    await done(town, case_id, "notice_delivered", delivery="邮寄")
    corrected = await import_(town, made["id"], await tax_file(town, made["id"], "2000"))
    assert corrected.status_code == 200, corrected.text
    await done(town, case_id, "stop_proposed", reason="税务核对收入超标", ground="income")
    again = await import_(town, made["id"], await tax_file(town, made["id"], "1000"))
    assert again.json()["code"] == "case.check_answered"
