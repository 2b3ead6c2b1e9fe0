"""Sheets on paper: printed from what happened, and from nothing else; what people type stays text."""

import pytest

from server.core.money import format_fen
from server.core.pdf import Notice, render_notice, render_qr_svg
from tests.cases.test_hearings import at_hearing, call, count
from tests.households.test_register import apply
from tests.makers.cases import calculated, done, look
from tests.pdf import words
from tests.postings.test_postings import drafted, to_posting


async def printed(desk, path):
    answer = await desk.http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    return words(answer.content)


async def test_each_notice_is_printed_once_its_step_was_taken_and_not_before(office, services):
    case_id, town = await to_posting(office)
    case = await look(town, case_id)
    county, resident = await office.person("county_officer"), await office.resident()
    path = f"/desk/v1/cases/{case_id}/notices"
    for kind in ("refused", "confirmed", "papers"):
        assert (await town.http.get(f"{path}/{kind}")).json()["code"] == "case.not_now"
    assert [notice["kind"] for notice in case["notices"]] == ["accepted", "calculation"]
    accepted = await printed(town, f"{path}/accepted")
    assert "最低生活保障申请受理通知书" in accepted
    assert "3个工作日内开始入户调查，30个工作日内办结" in accepted
    calculated = await printed(town, f"{path}/calculation")
    assert f"每月保障金额为{format_fen(case['amountFen'])}" in calculated
    lines = (await town.http.get(f"/desk/v1/cases/{case_id}/calculations")).json()[0]["lines"]
    for line in lines:  # each with its sum and the source of its rule
        assert "".join(line["zh"].split()) in calculated
        assert "".join(line["source"].split()) in calculated
    await office.system_step(case_id, "posting_ended")
    await done(county, case_id, "confirmed")
    granted = await printed(county, f"{path}/confirmed")
    result = await look(county, case_id)
    assert [notice["kind"] for notice in result["notices"]] == ["accepted", "confirmed", "calculation"]
    assert result["headName"] in granted
    assert result["applicationNumber"] in granted
    year, month, _ = result["paidFrom"].split("-")
    assert f"每月保障金{format_fen(case['amountFen'])}，自{year}年{int(month)}月起发放" in granted
    assert "申请行政复议" in granted
    own = f"/resident/v1/cases/{case_id}/notices"
    for kind in ("accepted", "calculation", "confirmed"):
        await printed(resident, f"{own}/{kind}")
    stranger = await office.resident(1)
    assert (await stranger.http.get(f"{own}/confirmed")).json()["code"] == "thing.not_found"
    assert (await town.http.get(f"{path}/anything")).status_code == 400


async def test_a_resident_reads_no_reckoning_before_the_town_has_opined(office):
    case_id, town, resident = await office.case(), await office.person("town_officer"), await office.resident()
    await office.rule("amount.standard_fen", 36000)
    await calculated(town, case_id)
    assert (await town.http.get(f"/desk/v1/cases/{case_id}/notices/calculation")).status_code == 200
    own = await resident.http.get(f"/resident/v1/cases/{case_id}/notices/calculation")
    assert own.json()["code"] == "case.not_now"
    assert (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()["calculation"] is None


async def test_the_notice_of_acceptance_says_the_limits_that_run_in_their_own_unit(office):
    await office.rule("case.decided_by", "town")
    await office.rule("case.survey_start_working_days", {"count": 4, "unit": "days"})
    case_id, town = await office.case(), await office.person("town_officer")
    (total,) = [deadline for deadline in (await look(town, case_id))["deadlines"] if deadline["kind"] == "total"]
    result = await printed(town, f"/desk/v1/cases/{case_id}/notices/accepted")
    assert total["count"] == 20
    assert "4日内开始入户调查，20个工作日内办结" in result


async def test_the_poster_is_printed_from_the_draft_for_it_hangs_before_it_starts(office):
    await to_posting(office)
    posting = await drafted(office)
    worker = await office.person("caseworker")
    poster = await printed(worker, f"/desk/v1/postings/{posting['id']}/poster")
    line = posting["entries"][0]
    amount = f"{line['amountFen'] // 100}.{line['amountFen'] % 100:02d}"
    assert "最低生活保障审核公示" in poster
    assert f"1{line['name']}{line['members']}{amount}" in poster
    assert "可以匿名" in poster


async def test_minutes_are_printed_after_the_count(office):
    case_id, town = await at_hearing(office)
    hearing = (await call(town, case_id)).json()
    path = f"/desk/v1/cases/{case_id}/hearings/{hearing['id']}/minutes"
    assert (await town.http.get(path)).json()["code"] == "case.not_now"
    await count(town, case_id, hearing, 5, 2)
    minutes = await printed(town, path)
    assert "同意5票，不同意2票，弃权0票" in minutes
    assert "结果：通过" in minutes
    for seat in hearing["panel"]:
        assert seat["name"] in minutes


async def test_missing_papers_and_a_refusal_are_told_with_all_that_is_missing_and_why(office):
    worker, town = await office.person("caseworker"), await office.person("town_officer")
    answer, _ = await apply(worker)
    case_id = answer.json()["id"]
    await done(worker, case_id, "papers_missing")
    path = f"/desk/v1/cases/{case_id}/notices"
    request = await printed(town, f"{path}/papers")
    assert "补正材料一次性告知书" in request
    for paper in answer.json()["papers"]:
        assert paper["zh"] in request
    await done(town, case_id, "not_accepted", reason="户籍不在本县，请向户籍地申请")
    refusal = await printed(town, f"{path}/refused")
    assert "申请不予受理通知书" in refusal
    assert "不予确认" not in refusal
    assert "禾汀街道人民政府（办事处）" in refusal
    assert "户籍不在本县，请向户籍地申请" in refusal


async def test_a_decision_is_signed_by_the_town_where_the_county_has_delegated_it(office, services):
    await office.rule("case.decided_by", "town")
    case_id, _ = await to_posting(office)
    await office.system_step(case_id, "posting_ended")
    second = await office.second_town_officer()
    await done(second, case_id, "refused", reason="名下有车")
    sheet = await printed(second, f"/desk/v1/cases/{case_id}/notices/refused")
    assert "禾汀街道人民政府（办事处）" in sheet
    assert "民政局" not in sheet


@pytest.mark.parametrize("typed", ["#panic()", "$x", "*_`", '#read("/etc/passwd")', "<a> @b", "\\", "]"])
async def test_what_people_type_is_never_read_as_markup(typed):
    sheet = Notice(
        title=typed, number=typed, to=typed, paragraphs=[typed], office=typed, date=typed, columns=["a"], rows=[[typed]]
    )
    assert (await render_notice(sheet)).startswith(b"%PDF-")


async def test_the_same_facts_give_the_same_bytes():
    sheet = Notice(title="通知", number="1", to="甲", paragraphs=["乙"], office="丙", date="丁")
    assert await render_notice(sheet) == await render_notice(sheet)


def test_a_qr_code_is_drawn_without_the_net():
    assert render_qr_svg("https://zoufang.test/public/v1/postings/" + "x" * 43).startswith("<svg")
