"""Accounts of staff: made, given roles, disabled, reset; the one-time link; the first hour of an empty installation."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from server.__main__ import main
from server.core.clock import utc_now
from server.core.database import open_session
from server.identity.accounts import end_roles_of_before
from server.identity.password_policy import is_common
from server.models.areas import PolicySetting
from server.models.audit import AuditEntry
from server.models.people import Device, Staff, StaffRole
from server.models.sign_in import SignInLink
from tests.conftest import environment
from tests.makers.identities import give_wechat
from tests.pdf import words
from tests.phones import staff_id

GOOD = "木棉花开在三月里"
COUNTY, TOWN, VILLAGE = "339901", "339901001", "339901001001"
DEVICE = {"label": "test phone"}


def new_staff(login, role="caseworker", area=VILLAGE, **more):
    return {"id": str(uuid4()), "login": login, "name": "穆清和", "roles": [{"role": role, "areaCode": area}], **more}


async def create(desk, body, status=201):
    await desk.prove()
    answer = await desk.http.post("/desk/v1/staff", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def set_password(system, token, password=GOOD):
    return await system.client().post("/auth/v1/staff/set-password", json={"token": token, "password": password})


async def sign_in(system, login, password=GOOD):
    body = {"login": login, "password": password, "device": DEVICE}
    return await system.client().post("/auth/v1/staff/sign-in", json=body)


async def test_a_new_caseworker_sets_a_password_by_the_link_and_finds_the_checklists_on_the_phone(system, town_desk):
    link = await create(town_desk, new_staff("muqinghe", phone="13900000001"))
    assert (await sign_in(system, "muqinghe")).status_code == 401
    assert (await set_password(system, link["token"])).json() == {"login": "muqinghe"}
    phone = await system.open_phone("muqinghe", GOOD)
    assert {checklist["kind"] for checklist in (await phone.pull("checklists")).values()} >= {"intake", "review"}
    page = (await town_desk.http.get("/desk/v1/staff", params={"q": "muqinghe"})).json()
    assert [(line["phoneMask"], line["roles"][0]["role"]) for line in page["items"]] == [("139****0001", "caseworker")]


async def test_a_link_works_once_and_a_newer_one_replaces_it(system, services, town_desk):
    body = new_staff("muqinghe")
    first = await create(town_desk, body)
    second = (await town_desk.http.post(f"/desk/v1/staff/{body['id']}/reset")).json()
    assert (await set_password(system, first["token"])).json()["code"] == "auth.link_invalid"
    assert (await set_password(system, second["token"])).status_code == 200
    assert (await set_password(system, second["token"])).status_code == 410
    third = (await town_desk.http.post(f"/desk/v1/staff/{body['id']}/reset")).json()
    assert (await sign_in(system, "muqinghe")).status_code == 401  # the old password is void at once
    async with open_session(services.sessions) as session:
        await session.execute(update(SignInLink).values(expires_at=SignInLink.created_at - timedelta(seconds=1)))
    assert (await set_password(system, third["token"])).status_code == 410


@pytest.mark.parametrize(
    "password", ["abc", "12345678", "minzheng2026", "Password!1", "aaaaaaaaaa", "muqinghe-99", "穆清和穆清和a"]
)
async def test_a_weak_password_is_refused_with_a_reason(system, town_desk, password):
    link = await create(town_desk, new_staff("muqinghe"))
    refused = await set_password(system, link["token"], password)
    assert (refused.status_code, refused.json()["code"]) == (422, "auth.password_weak")
    assert refused.json()["detail"]
    assert (await set_password(system, link["token"])).status_code == 200  # the link is not used up


@pytest.mark.parametrize("password", ["correct horse battery", "三月里的木棉花", "vK2#mmQz81", "dibao-at-the-river"])
def test_a_password_that_nobody_guesses_first_is_not_called_common(password):
    assert not is_common(password.casefold())


async def test_officers_grant_only_lower_roles_in_their_own_area_and_nobody_their_own(
    system, services, admin, town_desk, county_desk
):
    for desk, body in (
        (town_desk, new_staff("aaa-1", "town_officer", TOWN)),
        (town_desk, new_staff("aaa-2", "caseworker", "339901002001")),
        (county_desk, new_staff("aaa-3", "county_officer", COUNTY)),
        (county_desk, new_staff("aaa-4", "supervisor", COUNTY)),
        (county_desk, new_staff("aaa-5", "admin", "")),
    ):
        assert (await create(desk, body, 403))["code"] == "auth.forbidden"
    await create(county_desk, new_staff("bbb-1", "town_officer", TOWN))
    await create(admin, new_staff("bbb-2", "admin", COUNTY))
    own = {"role": "supervisor", "areaCode": COUNTY}
    mine = await admin.http.post(f"/desk/v1/staff/{admin.id}/roles", json=own)
    assert (mine.status_code, mine.json()["code"]) == (403, "staff.own_roles")
    county_officer = await staff_id(services, "maohetang")
    above = await town_desk.http.post(f"/desk/v1/staff/{county_officer}/reset")
    assert above.status_code == 404


async def test_who_leaves_is_signed_out_and_the_homes_go_to_a_colleague(system, services, county, county_desk):
    leaving, staying = [
        person.login for person in county.staff if person.role == "caseworker" and person.area_code.startswith(TOWN)
    ][:2]
    phone = await system.sign_in(leaving, "caseworker")
    homes = set(await phone.pull("households"))
    other = await system.sign_in(staying, "caseworker")
    url = f"/desk/v1/staff/{phone.id}/disable"
    answer = await county_desk.http.post(url, json={"reason": "调离", "handTo": str(other.id)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["households"] == len(homes)
    assert homes <= set(await other.pull("households"))
    assert (await phone.http.get("/auth/v1/me")).json()["code"] == "auth.device_ended"
    assert (await sign_in(system, leaving, "x")).status_code == 401


async def test_an_administrator_disables_a_holder_whose_homes_wait_for_an_officer(system, county, services, admin):
    login = next(person.login for person in county.staff if person.role == "caseworker")
    phone = await system.sign_in(login, "caseworker")
    homes = len(await phone.pull("households"))
    answer = await admin.http.post(f"/desk/v1/staff/{phone.id}/disable", json={"reason": "手机被盗"})
    assert answer.status_code == 200, answer.text
    assert (await phone.http.get("/auth/v1/me")).json()["code"] == "auth.device_ended"
    line = (await admin.http.get("/desk/v1/staff", params={"q": login})).json()["items"][0]
    assert (line["holds"], line["disabledAt"] is None) == (homes, False)


async def test_the_list_says_who_may_be_managed_what_is_unsent_and_a_deputys_last_day(
    system, services, county, town_desk, today
):
    until = (today + timedelta(days=9)).isoformat()
    body = new_staff("muqinghe")
    body["roles"][0]["endsOn"] = until
    link = await create(town_desk, body)
    await set_password(system, link["token"])
    phone = await system.open_phone("muqinghe", GOOD)
    async with open_session(services.sessions) as session:
        await session.execute(update(Device).where(Device.staff_id == phone.id).values(pending_rows=3))
    lines = {line["login"]: line for line in (await town_desk.http.get("/desk/v1/staff?limit=200")).json()["items"]}
    line = lines["muqinghe"]
    assert (line["roles"][0]["endsOn"], line["unsent"], line["mayManage"]) == (until, 3, True)
    assert (line["isWechatLinked"], line["signedInAt"] is None) == (False, False)
    peers = [line for line in lines.values() if any(role["role"] == "town_officer" for role in line["roles"])]
    assert peers
    assert not any(line["mayManage"] for line in peers)


async def test_a_deputys_role_ends_with_its_last_day(system, services, county_desk, today):
    body = new_staff("muqinghe")
    body["roles"] = [{"role": "caseworker", "areaCode": VILLAGE, "endsOn": (today - timedelta(days=1)).isoformat()}]
    link = await create(county_desk, body)
    await set_password(system, link["token"])
    assert (await sign_in(system, "muqinghe")).json()["roles"] == []
    async with open_session(services.sessions) as session:
        assert await end_roles_of_before(session, today, utc_now()) == 1
        held = await session.scalars(
            select(StaffRole.revoked_at).join(StaffRole.staff).where(Staff.login == "muqinghe")
        )
        assert None not in held.all()


async def test_a_stolen_token_makes_no_account_no_link_and_no_role(town_desk):
    body = new_staff("muqinghe")
    role = {"role": "panelist", "areaCode": TOWN}
    url = f"/desk/v1/staff/{body['id']}"
    for path, content in (
        ("/desk/v1/staff", body),
        (f"{url}/roles", role),
        (f"{url}/reset", None),
        (f"{url}/enable", None),
        ("/desk/v1/staff/slips", {"staffIds": [body["id"]]}),
    ):
        answer = await town_desk.http.post(path, json=content)
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.step_up_required"), path


async def test_slips_carry_the_login_and_a_new_link_for_each(system, town_desk):
    body = new_staff("muqinghe")
    first = await create(town_desk, body)
    sheet = await town_desk.http.post("/desk/v1/staff/slips", json={"staffIds": [body["id"]]})
    assert sheet.headers["content-type"] == "application/pdf"
    text = words(sheet.content)
    assert "muqinghe" in text
    token = text.partition("set-password#")[2][:32]
    assert (await set_password(system, first["token"])).status_code == 410
    assert (await set_password(system, token)).status_code == 200


def test_an_empty_installation_is_set_up_by_one_command_and_says_what_comes_next(empty_settings):
    def run(*arguments):
        return CliRunner().invoke(main, list(arguments), env=environment(empty_settings))

    refused = run("setup", "--county", "339901")
    assert refused.exit_code == 1
    assert "--names" in refused.output
    done = run("setup", "--county", "339901", "--names", "浙江省/砚州市/云栖县")
    assert done.exit_code == 0, done.output
    assert "set-password#" in done.output
    again = run("setup", "--county", "339901")
    assert (again.exit_code, "set-password#" in again.output) == (0, False)
    second = run("create-admin", "second-admin")
    assert (second.exit_code, "set-password#" in second.output) == (0, True)
    demo = run("load-demo")
    assert demo.exit_code == 1
    assert "of its own" in demo.output


async def test_an_account_is_changed_given_roles_unlinked_and_enabled_again(system, services, county_desk, county):
    body = new_staff("muqinghe")
    link = await create(county_desk, body)
    await set_password(system, link["token"])
    url = f"/desk/v1/staff/{body['id']}"
    assert (await county_desk.http.put(url, json={"name": "穆清荷", "phone": "13900000003"})).status_code == 204
    role = {"role": "panelist", "areaCode": TOWN}
    assert (await county_desk.http.post(f"{url}/roles", json=role)).status_code == 204
    assert {held["role"] for held in await roles_of(county_desk)} == {"caseworker", "panelist"}
    assert (await county_desk.http.post(f"{url}/roles/end", json=role)).status_code == 204
    assert {held["role"] for held in await roles_of(county_desk)} == {"caseworker"}
    phone = await system.open_phone("muqinghe", GOOD)
    async with open_session(services.sessions) as session:
        member = (await session.scalars(select(Staff).where(Staff.login == "muqinghe"))).one()
        await give_wechat(session, member, "stolen")
    assert (await county_desk.http.post(f"{url}/unlink-wechat")).status_code == 204
    assert (await phone.http.get("/auth/v1/me")).status_code == 401
    again = await system.open_phone("muqinghe", GOOD)
    assert (await county_desk.http.post(f"{url}/end-devices")).json() == {"unsent": 0}
    assert (await again.http.get("/auth/v1/me")).status_code == 401
    assert (await county_desk.http.post(f"{url}/disable", json={"reason": "调离"})).json()["households"] == 0
    assert (await sign_in(system, "muqinghe")).status_code == 401
    enabled = (await county_desk.http.post(f"{url}/enable")).json()
    assert (await set_password(system, enabled["token"])).status_code == 200


async def roles_of(desk):
    page = (await desk.http.get("/desk/v1/staff", params={"q": "muqinghe"})).json()
    return page["items"][0]["roles"]


async def test_an_officer_unlocks_a_colleague_who_mistyped_too_often_and_guessing_is_braked_anew(
    system, services, county_desk, town_desk
):
    body = new_staff("muqinghe")
    await set_password(system, (await create(county_desk, body))["token"])
    for _ in range(services.settings.sign_in_attempts):
        await sign_in(system, "muqinghe", "guess")
    assert (await sign_in(system, "muqinghe", GOOD)).status_code == 429
    url = f"/desk/v1/staff/{body['id']}/unlock"
    assert (await town_desk.http.post(f"/desk/v1/staff/{county_desk.id}/unlock")).status_code == 404
    own = await county_desk.http.post(f"/desk/v1/staff/{county_desk.id}/unlock")
    assert own.json()["code"] == "staff.own_roles"
    assert (await county_desk.http.post(url)).status_code == 204
    assert (await sign_in(system, "muqinghe", GOOD)).status_code == 200
    for _ in range(services.settings.sign_in_attempts):
        await sign_in(system, "muqinghe", "guess")
    assert (await sign_in(system, "muqinghe", GOOD)).status_code == 429
    async with services.sessions() as session:
        actions = select(AuditEntry.actor_id).where(AuditEntry.action == "staff.unlocked")
        assert list(await session.scalars(actions)) == [county_desk.id]


async def test_who_holds_more_homes_than_the_areas_limit_is_marked(services, county, county_desk):
    async with open_session(services.sessions) as session:
        session.add(
            PolicySetting(
                key="staff.homes_most", area_code=COUNTY, effective_from=date(2020, 1, 2), value=5, source="测试"
            )
        )
    lines = (await county_desk.http.get("/desk/v1/staff", params={"limit": 200})).json()["items"]
    assert {line["holdsTooMany"] for line in lines if line["holds"] > 5} == {True}
    assert {line["holdsTooMany"] for line in lines if line["holds"] <= 5} == {False}
