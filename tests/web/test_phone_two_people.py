"""Two people on one phone: what one of them recorded is never sent as the other, and waits for its author."""

import asyncio
from collections import Counter

import pytest
from playwright.async_api import expect
from sqlalchemy import func, select

from server.core.clock import today
from server.core.database import open_session
from server.demo.staff import DEMO_PASSWORDS
from server.models.evidence import Evidence
from server.models.feed import QuarantinedRow
from server.models.visits import Visit
from tests.phones import answers_for, step_up
from tests.web.browser import PIN, fill_checklist, find_faults, shoot
from tests.web.conftest import in_one_loop
from tests.web.sealed_store import UNSEAL

# What the app of an earlier version did to the store when a second person signed in: the server's refusal came down
# into it, and the photos were announced by the second person.
_MIX = """async ([personId, problem]) => {
  const open = (name) => new Promise((done, fail) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
  });
  const all = (store) => new Promise((done) => (store.getAll().onsuccess = (event) => done(event.target.result)));
  const change = async (collection, server) => {
    const database = await open(`rxdb-dexie-zoufang-${personId}--0--${collection}`);
    const store = database.transaction('docs', 'readwrite').objectStore('docs');
    const documents = (await all(store)).filter((document) => !document.server); // not sent yet
    for (const document of documents) store.put({ ...document, server });
    await new Promise((done) => (store.transaction.oncomplete = done));
    database.close();
    return documents;
  };
  await change('visits', { state: 'quarantined', problem });
  const evidence = await change('evidence', { state: 'announced' });
  const local = await open(`zoufang-local-${personId}`);
  const repairs = local.transaction('repairs', 'readwrite').objectStore('repairs');
  repairs.clear();
  await new Promise((done) => (repairs.transaction.oncomplete = done));
  local.close();
  return evidence.map(({ id, visitId, questionId, sha256, sizeBytes, mediaType, capturedAt, fix, note }) =>
    ({ id, visitId, questionId, sha256, sizeBytes, mediaType, capturedAt, fix, note, _deleted: false }));
}"""


@pytest.fixture
def other_login(county, due):
    """A caseworker who has nothing to do with the visit."""
    team = {due.caseworker_login, due.partner_login}
    return next(member.login for member in county.staff if member.role == "caseworker" and member.login not in team)


@in_one_loop
async def homes(phone):
    """Homes of the caseworker at which one visit is due, with a partner: one for each test, with its checklist."""
    held, checklists = await phone.pull("households"), (await phone.pull("checklists")).values()
    assignments = (await phone.pull("assignments")).values()
    times = Counter(item["householdId"] for item in assignments)
    return [
        (held[item["householdId"]], next(form for form in checklists if form["code"] == item["checklistCode"]))
        for item in sorted(assignments, key=lambda item: held[item["householdId"]]["number"])
        if item["partnerId"] and times[item["householdId"]] == 1
    ]


async def submit_offline(handset, login, home, checklist, pictures):
    """A visit by telephone, submitted without a network."""
    page = await handset.sign_in(login)
    await page.get_by_text(home["headName"]).first.click()
    await expect(page.get_by_role("button", name="开始走访")).to_be_visible()
    await handset.offline()
    await page.get_by_role("button", name="开始走访").click()
    await page.locator("label.choice", has_text="电话").click()
    await page.get_by_role("button", name="开始走访").click()
    await fill_checklist(page, checklist["body"], answers_for(checklist, home, [], today()), pictures)
    await page.locator(".steps button", has_text="到户").click()
    await page.locator("textarea").fill("山洪冲断道路，村里无法进入。")
    await page.locator(".steps button", has_text="离户提交").click()
    await page.locator("label.choice:has(input[type=checkbox])").first.click()
    await page.get_by_role("button", name="提交", exact=True).click()
    await expect(page.get_by_text("待上传").first).to_be_visible()
    return page


async def until_all_is_its_authors(services, phone, home) -> None:
    """Until the visit and all its photos are with the server, as its author's."""
    async with asyncio.timeout(60):
        while True:
            async with open_session(services.sessions) as session:
                visit = await session.scalar(select(Visit).where(Visit.household_id == home["id"]))
                photos = await session.scalars(select(Evidence).where(Evidence.author_id == phone.id))
                sent = {str(photo.id) for photo in photos if photo.state in {"received", "verified"}}
            if visit is not None and {photo["id"] for photo in visit.document["photos"]} <= sent:
                break
            await asyncio.sleep(0.2)
    assert (visit.author_id, visit.state) == (phone.id, "submitted")
    assert visit.document["photos"]


async def test_a_second_person_on_the_phone_sends_nothing_of_the_first_who_goes_on_later(
    handset, system, services, phone, due, homes, other_login, pictures
):
    home, checklist = homes[0]
    page = await submit_offline(handset, due.caseworker_login, home, checklist, pictures)
    proof = await step_up(phone.http, DEMO_PASSWORDS["caseworker"])
    for device in (await phone.http.get("/auth/v1/devices")).json():
        if not device["isThisOne"]:
            ended = await phone.http.delete(f"/auth/v1/devices/{device['id']}", headers=proof)
            assert ended.status_code == 204
    await handset.offline(is_offline=False)
    await page.get_by_role("button", name="重新登录").click()
    pushed = []
    page.on("request", lambda sent: pushed.append(sent.url) if sent.method == "POST" and "/push" in sent.url else None)
    await page.fill("input[name=login]", other_login)
    await page.fill("input[name=password]", DEMO_PASSWORDS["caseworker"])
    await page.click("button[type=submit]")
    await expect(page.locator(".plan")).to_be_visible()
    await expect(page.get_by_text("已同步")).to_be_visible()
    other = await system.sign_in(other_login, "caseworker")
    await expect(page.get_by_text(f"全部 {len(await other.pull('households'))} 户")).to_be_visible()
    await page.goto(f"{handset.url}/m/outbox")
    await expect(page.get_by_text("全部已上传")).to_be_visible()
    assert "undefined" not in await page.inner_text("body")
    assert pushed == []

    await page.goto(f"{handset.url}/m/me")
    await page.get_by_role("button", name="退出登录").click()
    await page.locator(".t-dialog").get_by_text("退出登录", exact=True).last.click()
    await expect(page.locator("input[name=login]")).to_be_visible()
    await page.goto(f"{handset.url}/m/outbox")
    await page.route("**/uploads/**", lambda route: route.fulfill(status=502, body="<html>502 Bad Gateway</html>"))
    await page.fill("input[name=login]", due.caseworker_login)
    await page.fill("input[name=password]", DEMO_PASSWORDS["caseworker"])
    await page.click("button[type=submit]")

    # A proxy's error page and a busy server are no refusal: the photos come again by themselves.
    await expect(page.get_by_text("服务器正忙").first).to_be_visible(timeout=30_000)
    await expect(page.get_by_text("会自动再试").first).to_be_visible()
    assert "502" not in await page.inner_text("body")
    assert await find_faults(page) == []
    await shoot(page, "phone-upload-waits", full_page=False)
    await page.unroute("**/uploads/**")
    await page.evaluate("dispatchEvent(new Event('online'))")
    await until_all_is_its_authors(services, phone, home)
    async with open_session(services.sessions) as session:
        assert await session.scalar(select(func.count()).select_from(QuarantinedRow)) == 0
    await expect(page.get_by_text("全部已上传")).to_be_visible(timeout=30_000)


async def test_a_visit_that_was_sent_as_another_person_goes_up_again_as_its_authors(
    handset, system, services, phone, due, homes, other_login, pictures
):
    """The store as an earlier version of the app left it; the server holds the photos as the second person's."""
    home, checklist = homes[1]
    page = await submit_offline(handset, due.caseworker_login, home, checklist, pictures)
    await page.goto(f"{handset.url}/m/manifest.webmanifest")  # the same origin, without the app
    refusal = {"code": "visit.household_unknown", "title": "住户不在您的名单中", "detail": "", "errors": []}
    await page.evaluate(UNSEAL, [str(phone.id), PIN])
    evidence = await page.evaluate(_MIX, [str(phone.id), {"zh": refusal, "en": refusal}])
    other = await system.sign_in(other_login, "caseworker")
    assert evidence
    assert await other.push("evidence", *evidence) == []
    await handset.offline(is_offline=False)
    await page.goto(f"{handset.url}/m/outbox")
    await expect(page.locator(".tabs")).to_be_visible()  # once the PIN is set
    await until_all_is_its_authors(services, phone, home)
    await expect(page.get_by_text("全部已上传")).to_be_visible(timeout=30_000)


async def test_what_a_colleague_left_is_named_and_cannot_be_sent(handset, system, phone, due, homes, other_login):
    """The server shows a quarantined row to whoever's token carried it."""
    other = await system.sign_in(other_login, "caseworker")
    visit = {"id": "01900000-0000-7000-8000-000000000777", "householdId": homes[0][0]["id"], "kind": "intake"}
    await other.push("visits", {**visit, "investigatorIds": [str(phone.id)], "state": "submitted"})
    page = await handset.sign_in(other_login)
    await page.goto(f"{handset.url}/m/outbox")
    await expect(page.get_by_text("同事留在这部手机上的")).to_be_visible()
    await expect(page.get_by_text("全部已上传")).to_be_visible()
    await expect(page.locator("a", has_text="入户调查")).to_have_count(0)
    assert "undefined" not in await page.inner_text("body")
    assert await find_faults(page) == []
    await shoot(page, "phone-left")


async def test_the_sign_in_page_of_a_network_is_no_empty_list_of_homes(handset, due):
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.locator(".row").first).to_be_visible()
    await page.route(
        "**/field/v1/**", lambda route: route.fulfill(status=200, content_type="text/html", body="<html></html>")
    )
    await page.get_by_role("button", name="立即同步").click()
    await expect(page.get_by_text("这个网络要先登录或认证")).to_be_visible()
    await expect(page.locator(".row").first).to_be_visible()
    assert await find_faults(page) == []
