"""Sheets on paper: printed from what happened, and from nothing else; what people type stays text."""

import pytest

from server.core.printing import Notice, draw_qr, print_notice
from tests.cases.makers import done
from tests.cases.test_hearings import at_hearing, call, count
from tests.cases.test_postings import drafted, to_posting


async def printed(desk, path):
    answer = await desk.http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    return answer.content


async def test_each_notice_is_printed_once_its_step_was_taken_and_not_before(office):
    case_id, town = await to_posting(office)
    county, resident = await office.person("county_officer"), await office.resident()
    path = f"/desk/v1/cases/{case_id}/notices"
    for kind in ("refused", "confirmed", "papers"):
        assert (await town.http.get(f"{path}/{kind}")).json()["code"] == "case.not_now"
    await printed(town, f"{path}/accepted")
    await printed(town, f"{path}/calculation")
    await office.system_step(case_id, "posting_ended")
    await done(county, case_id, "confirmed")
    await printed(county, f"{path}/confirmed")
    own = f"/resident/v1/cases/{case_id}/notices"
    for kind in ("accepted", "calculation", "confirmed"):
        await printed(resident, f"{own}/{kind}")
    stranger = await office.resident(1)
    assert (await stranger.http.get(f"{own}/confirmed")).json()["code"] == "thing.not_found"
    assert (await town.http.get(f"{path}/anything")).status_code == 400


async def test_the_poster_is_printed_from_the_draft_for_it_hangs_before_it_starts(office):
    await to_posting(office)
    posting = await drafted(office)
    worker = await office.person("caseworker")
    await printed(worker, f"/desk/v1/postings/{posting['id']}/poster")


async def test_minutes_are_printed_after_the_count(office):
    case_id, town = await at_hearing(office)
    hearing = (await call(town, case_id)).json()
    path = f"/desk/v1/cases/{case_id}/hearings/{hearing['id']}/minutes"
    assert (await town.http.get(path)).json()["code"] == "case.not_now"
    await count(town, case_id, hearing, 5, 2)
    await printed(town, path)


@pytest.mark.parametrize("typed", ["#panic()", "$x", "*_`", '#read("/etc/passwd")', "<a> @b", "\\", "]"])
async def test_what_people_type_is_never_read_as_markup(typed):
    sheet = Notice(
        title=typed, number=typed, to=typed, paragraphs=[typed], office=typed, date=typed, columns=["a"], rows=[[typed]]
    )
    assert (await print_notice(sheet)).startswith(b"%PDF-")


async def test_the_same_facts_give_the_same_bytes():
    sheet = Notice(title="通知", number="1", to="甲", paragraphs=["乙"], office="丙", date="丁")
    assert await print_notice(sheet) == await print_notice(sheet)


def test_a_qr_code_is_drawn_without_the_net():
    assert draw_qr("https://zoufang.test/public/v1/postings/" + "x" * 43).startswith("<svg")
