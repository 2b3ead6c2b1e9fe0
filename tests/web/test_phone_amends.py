"""A returned visit on the phone: open at exactly what was questioned, mended, and sent again."""

import asyncio
import contextlib
import json

from playwright.async_api import Error, expect

from tests.phones import make_kit, tiny_photo
from tests.review.test_paper_visits import attest, enter, fill_form
from tests.test_first_path import push_whole
from tests.web.browser import fill_question, find_faults, shoot
from tests.web.conftest import in_one_loop, jobs_done


@in_one_loop
async def returned(system, phone, desk, due):
    """A visit made from another device of the same caseworker, and returned by a supervisor."""
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, photos=[tiny_photo(1), tiny_photo(2)])
    await push_whole(phone, partner, kit)
    await jobs_done(system)
    claim = (await desk.http.post(f"/desk/v1/queue/{kit.visit['id']}/claim")).json()
    params = {
        "outcome": "returned",
        "reason": "谈话记录和意见不一致，请核对后补正。",
        "questioned": [
            {"questionId": "opinion", "reason": "理由写得太简单"},
            {"questionId": "photo_outside", "reason": "看不清门牌", "evidenceId": kit.evidence[0]["id"]},
        ],
    }
    answer = await desk.http.post(
        f"/desk/v1/visits/{kit.visit['id']}/decision", json=params, headers={"If-Match": f'"{claim["version"]}"'}
    )
    assert answer.status_code == 200, answer.text
    return kit


async def test_a_returned_visit_opens_at_what_was_questioned_and_is_amended(returned, handset, phone, due, pictures):
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.get_by_text("退回补正")).to_be_visible()
    await page.get_by_text("谈话记录和意见不一致").click()
    await expect(page.get_by_text("理由写得太简单")).to_be_visible()
    await expect(page.locator(".question")).to_have_count(2)
    assert await find_faults(page) == []
    await shoot(page, "phone-amend")

    await page.fill("#in-opinion", "核对银行流水后，收入低于标准，建议纳入。")
    await fill_question(page.locator("#q-photo_outside"), {"id": "photo_outside", "kind": "photo"}, None, pictures)
    await expect(page.get_by_role("button", name="提交补正")).to_be_disabled()  # without saying why
    await page.fill("[name=amendReason]", "按审核意见补正")
    await _pause_fail_and_retry(page, handset)

    amended = (await phone.pull("visits"))[returned.visit["id"]]
    assert amended["server"]["version"] == 2
    assert amended["amendment"]["reason"] == "按审核意见补正"
    assert amended["answers"]["opinion"].startswith("核对银行流水")
    assert len(amended["photos"]) == len(returned.visit["photos"]) + 1
    assert amended["startFix"] == returned.visit["startFix"]


@in_one_loop
async def returned_form(system, phone, desk, due, county):
    """A form on paper that the county entered, attested by both, and returned by the supervisor."""
    partner = await system.sign_in(due.partner_login, "caseworker")
    login = next(member.login for member in county.staff if member.role == "county_officer")
    county_desk = await system.sign_in_at_desk(login, "county_officer")
    body, photo = await fill_form(phone, partner)
    assert (await enter(county_desk, body)).status_code == 200
    page = {"evidenceId": body["formPhotos"][0]["id"]}
    sent = await county_desk.http.post("/field/v1/photos", data=page, files={"file": ("a.jpg", photo, "image/jpeg")})
    assert sent.status_code == 200, sent.text
    await attest(phone, body["id"])
    await attest(partner, body["id"])
    await jobs_done(system)
    claim = (await desk.http.post(f"/desk/v1/queue/{body['id']}/claim")).json()
    params = {
        "outcome": "returned",
        "reason": "意见和谈话记录不一致。",
        "questioned": [{"questionId": "opinion", "reason": "理由写得太简单"}],
    }
    answer = await desk.http.post(
        f"/desk/v1/visits/{body['id']}/decision", json=params, headers={"If-Match": f'"{claim["version"]}"'}
    )
    assert answer.status_code == 200, answer.text
    return body


async def test_a_returned_form_is_mended_without_photos_and_keeps_its_page(returned_form, handset, phone, due):
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_text("意见和谈话记录不一致").click()
    await expect(page.locator(".question")).to_have_count(1)
    await page.fill("#in-opinion", "再次核对谈话记录后，建议纳入。")
    await page.fill("[name=amendReason]", "按审核意见补正")
    async with page.expect_response("**/visits/1/push"):
        await page.get_by_role("button", name="提交补正").click()
    amended = (await phone.pull("visits"))[returned_form["id"]]
    assert (amended["server"]["version"], amended["server"]["fromPaper"]) == (2, True)
    assert [photo["id"] for photo in amended["photos"]] == [returned_form["formPhotos"][0]["id"]]


async def _pause_fail_and_retry(page, handset) -> None:
    """The new photo goes up in pieces: paused in mid-way it stays where it is, fails, and goes on when asked to."""
    sent: list[str] = []
    broken: list[str] = []

    async def piece(route):
        if route.request.method != "PATCH":
            return await route.continue_()
        sent.append(route.request.headers["upload-offset"])
        if broken:
            code = "photo.truncated"
            problem = {"type": f"urn:zoufang:problem:{code}", "code": code, "title": "传输中有损坏", "status": 422}
            return await route.fulfill(status=422, content_type="application/problem+json", body=json.dumps(problem))
        await asyncio.sleep(0.5)
        with contextlib.suppress(Error):  # paused meanwhile
            return await route.continue_()

    await page.route("**/uploads/**", piece)
    await page.get_by_role("button", name="提交补正").click()
    await expect(page.get_by_text("提交补正")).to_have_count(0)
    await page.locator("a", has_text="返回").click()
    await page.locator("a", has_text="返回").click()
    await page.locator(".tabs").get_by_text("待上传").click()
    photo = page.locator(".photo")
    bar = photo.get_by_role("progressbar")
    await expect(bar).not_to_have_attribute("aria-valuenow", "0", timeout=30_000)
    await photo.get_by_role("button", name="暂停").click()
    await expect(photo).to_contain_text("已暂停")
    paused_at, pieces = await bar.get_attribute("aria-valuenow"), len(sent)
    assert paused_at != "100"
    await shoot(page, "phone-upload-paused", full_page=False)
    assert await find_faults(page) == []
    await page.reload()  # and it stays so when the app was closed in between
    await expect(photo).to_contain_text("已暂停")
    await page.wait_for_timeout(1_000)
    assert (await bar.get_attribute("aria-valuenow"), len(sent)) == (paused_at, pieces)
    await _fail_and_retry(page, sent, broken)


async def _fail_and_retry(page, sent: list[str], broken: list[str]) -> None:
    """The server refuses the next piece, and takes it when asked again."""
    photo = page.locator(".photo")
    broken.append("yes")
    await photo.get_by_role("button", name="继续").click()
    await expect(photo).to_contain_text("上传失败")
    await expect(photo).to_contain_text("传输中有损坏")  # in words, not by its code
    await shoot(page, "phone-upload-failed", full_page=False)
    assert await find_faults(page) == []
    broken.clear()
    sent.clear()
    await photo.get_by_role("button", name="重试").click()
    await expect(page.get_by_text("全部已上传")).to_be_visible(timeout=30_000)
    assert int(sent[0]) > 0  # on from where it stopped, not from the beginning
