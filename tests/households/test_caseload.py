"""Who holds a household decides what a phone carries, and nothing recorded is lost when that changes."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.audit import AuditEntry
from server.models.feed import QuarantinedRow
from server.models.households import Caseload, Household
from server.models.people import Device, Staff, StaffRole
from server.models.visits import Visit
from tests.phones import make_kit


@pytest.fixture
async def officer(system, county):
    login = next(staff_member.login for staff_member in county.staff if staff_member.role == "county_officer")
    return await system.sign_in_at_desk(login, "county_officer")


@pytest.fixture
async def stranger(system, county, phone):
    """A caseworker of another village who holds nothing of the first one's."""
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    mine = {due.caseworker_login, due.partner_login}
    for staff_member in county.staff:
        if (
            staff_member.role == "caseworker"
            and staff_member.login not in mine
            and staff_member.partner_login not in mine
        ):
            other = await system.sign_in(staff_member.login, "caseworker")
            if due.household_number not in {home["number"] for home in (await other.pull("households")).values()}:
                return other
    raise AssertionError("no such caseworker")


@pytest.fixture
async def kit(system, county, phone):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    return await make_kit(phone, partner.id, photos=[])


async def change(officer, what, status=200, **result):
    answer = await officer.http.post(f"/desk/v1/caseload/{what}", json=result)
    assert answer.status_code == status, answer.text
    return answer.json()


async def lose_earlier(services, phone, kit, **ago):
    """Move the loss of the home into the past."""
    async with services.sessions.begin() as session:
        lost = Caseload.household_id == UUID(kit.visit["householdId"]), Caseload.staff_id == phone.id
        await session.execute(update(Caseload).where(*lost).values(revoked_at=utc_now() - timedelta(**ago)))


def begun_after_loss(kit, hours_ago, *, minutes):
    """A visit that began so many minutes after a loss `hours_ago` ago, by the phone's clock."""
    begun = utc_now() - timedelta(hours=hours_ago) + timedelta(minutes=minutes)
    return kit.visit | {
        "id": str(new_id()),
        "startedAt": begun.isoformat(),
        "endedAt": (begun + timedelta(minutes=30)).isoformat(),
    }


@pytest.mark.parametrize(("minutes", "is_taken"), [(5, True), (59, True), (61, False)])
async def test_a_late_visit_by_a_phone_whose_clock_is_ahead_is_taken(
    officer, phone, stranger, kit, services, minutes, is_taken
):
    """By a phone 15 minutes ahead, ten minutes before its loss: five minutes after it."""
    await hand_over(officer, phone, stranger, kit)
    await lose_earlier(services, phone, kit, hours=4)
    returned = await phone.push("visits", begun_after_loss(kit, 4, minutes=minutes))
    assert (returned == []) is is_taken


async def test_what_was_measured_of_a_phones_clock_counts_beyond_what_its_area_allows(
    officer, phone, stranger, kit, services
):
    await hand_over(officer, phone, stranger, kit)
    await lose_earlier(services, phone, kit, hours=4)
    late = begun_after_loss(kit, 4, minutes=100)
    assert await phone.push("visits", late)
    async with services.sessions.begin() as session:
        device = Device.id == UUID(phone.signed_in["deviceId"])
        await session.execute(update(Device).where(device).values(clock_offset_ms=110 * 60_000))
    assert await phone.push("visits", late) == []


async def hand_over(officer, phone, stranger, kit):
    return await change(
        officer,
        "reassign",
        fromStaffId=str(phone.id),
        toStaffId=str(stranger.id),
        householdIds=[kit.visit["householdId"]],
        reason="on leave",
    )


async def last_told(phone, collection, doc_id):
    answer = await phone.http.get(f"/field/v1/sync/{collection}/1/pull", params={"limit": 1000})
    return next(document for document in answer.json()["documents"] if document["id"] == doc_id)


async def test_a_household_handed_over_leaves_one_phone_with_its_reason_and_comes_whole_to_the_other(
    officer, phone, stranger, kit, services
):
    home, due = kit.visit["householdId"], kit.visit["assignmentId"]
    assert await hand_over(officer, phone, stranger, kit) == {"granted": 1, "revoked": 1}
    assert await last_told(phone, "households", home) == {"id": home, "_deleted": True, "reason": "on leave"}
    assert (await last_told(phone, "assignments", due))["_deleted"]
    assert (await stranger.pull("households"))[home]["members"]
    assert due in await stranger.pull("assignments")
    async with services.sessions() as session:
        actions = await session.scalars(select(AuditEntry.action).where(AuditEntry.thing_id == home))
        assert set(actions) == {"caseload.granted", "caseload.revoked"}
    # The partner, who shares it, keeps it; asked again there is nothing more to do.
    assert await hand_over(officer, phone, stranger, kit) == {"granted": 0, "revoked": 0}


async def test_a_household_lost_and_given_back_comes_back_with_all_that_hangs_on_it(officer, phone, stranger, kit):
    home, due = kit.visit["householdId"], kit.visit["assignmentId"]
    before = set(await phone.pull("households"))
    await hand_over(officer, phone, stranger, kit)
    await change(officer, "assign", toStaffId=str(phone.id), householdIds=[home])
    assert set(await phone.pull("households")) == before
    assert due in await phone.pull("assignments")
    assert home in await stranger.pull("households")


async def test_a_visit_made_before_the_loss_is_accepted_and_marked_and_one_begun_after_it_is_kept_out(
    officer, phone, stranger, kit, services
):
    await hand_over(officer, phone, stranger, kit)
    assert await phone.push("visits", kit.visit) == []
    assert (await phone.pull("visits"))[kit.visit["id"]]["server"]["lateAfterReassignment"] is True

    await lose_earlier(services, phone, kit, hours=3)
    begun = utc_now() - timedelta(hours=1)
    later = kit.visit | {
        "id": str(new_id()),
        "startedAt": begun.isoformat(),
        "endedAt": (begun + timedelta(minutes=30)).isoformat(),
    }
    [returned] = await phone.push("visits", later)
    assert returned["server"]["problem"]["zh"]["code"] == "visit.household_unknown"
    async with services.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Visit)) == 1
        assert await session.scalar(select(func.count()).select_from(QuarantinedRow)) == 1


async def test_a_conflict_shows_nothing_of_another_ones_draft(officer, phone, stranger, kit):
    """The new holder of the household pushes a row with the id of a draft that is not theirs."""
    secret = kit.visit | {"state": "draft", "modeReason": "for my eyes alone"}
    await phone.push("visits", secret)
    await hand_over(officer, phone, stranger, kit)
    [returned] = await stranger.push("visits", kit.visit | {"state": "draft", "answers": {"mine": "x"}})
    assert returned["answers"] == {"mine": "x"}
    assert "for my eyes alone" not in str(returned)
    assert kit.visit["id"] not in await stranger.pull("visits")
    assert (await phone.pull("visits"))[kit.visit["id"]]["modeReason"] == "for my eyes alone"


async def test_a_person_who_leaves_loses_everything_and_nobody_else_anything(officer, phone, stranger, kit):
    others = await stranger.pull("households")
    held = await phone.pull("households")
    result = await change(officer, "revoke", fromStaffId=str(phone.id), reason="left the office")
    assert result == {"granted": 0, "revoked": len(held)}
    assert await phone.pull("households") == await phone.pull("assignments") == {}
    assert await phone.pull("checklists")
    assert await stranger.pull("households") == others


async def test_a_whole_village_changes_hands_at_once(officer, phone, stranger, kit, services):
    async with services.sessions() as session:
        area = await session.scalar(select(Household.area_code).where(Household.id == kit.visit["householdId"]))
    result = await change(officer, "assign", toStaffId=str(stranger.id), areaCode=area)
    assert result["granted"] == 25
    assert sum(item["areaCode"] == area for item in (await stranger.pull("households")).values()) == 25


async def test_an_officer_decides_within_the_area_and_a_supervisor_not_at_all(system, county, desk, phone, kit):
    town = next(staff_member for staff_member in county.staff if staff_member.role == "town_officer")
    officer = await system.sign_in_at_desk(town.login, "town_officer")
    async with system.services.sessions() as session:
        outside = await session.scalar(select(Household.id).where(~Household.area_code.startswith(town.area_code)))
        outsider = await session.scalar(select(Staff.id).where(Staff.login == county.residents[0].wechat_suffix))
        inside = await session.scalar(
            select(Staff.id).where(
                Staff.login.in_(
                    [s.login for s in county.staff if s.role == "caseworker" and s.area_code.startswith(town.area_code)]
                )
            )
        )
    assert outsider is None
    refused = await change(officer, "assign", 404, toStaffId=str(inside), householdIds=[str(outside)])
    assert refused["code"] == "thing.not_found"
    refused = await change(officer, "assign", 422, toStaffId=str(inside))
    assert refused["code"] == "caseload.nothing_named"
    refused = await change(desk, "revoke", 403, fromStaffId=str(phone.id), reason="x")
    assert refused["code"] == "auth.forbidden"


async def test_the_desk_sees_how_each_phone_fares_and_what_was_kept(officer, phone, kit):
    ahead = (utc_now() + timedelta(seconds=90)).isoformat()
    params = {"X-App-Version": "1.4.2", "X-Pending-Rows": "3", "X-Device-Time": ahead}
    answer = await phone.http.get("/field/v1/sync/visits/1/pull", headers=params)
    assert answer.status_code == 200
    page = (await officer.http.get("/desk/v1/devices")).json()
    [mine] = [item for item in page["items"] if item["staffId"] == str(phone.id)]
    assert (mine["appVersion"], mine["pendingRows"]) == ("1.4.2", 3)
    assert 80_000 < mine["clockOffsetMs"] <= 90_000
    assert mine["lastSyncAt"]

    await phone.push("visits", kit.visit | {"investigatorIds": []})
    page = (await officer.http.get("/desk/v1/kept-rows", params={"keptAs": "quarantined"})).json()
    assert [item["docId"] for item in page["items"]] == [kit.visit["id"]]
    assert page["items"][0]["content"]["answers"] == kit.visit["answers"]


async def test_rows_of_somebody_whose_role_ended_are_no_longer_shown(officer, phone, services):
    await phone.push("visits", {"id": str(new_id()), "state": "submitted"})
    assert (await officer.http.get("/desk/v1/kept-rows")).json()["items"]
    async with open_session(services.sessions) as session:
        await session.execute(update(StaffRole).where(StaffRole.staff_id == phone.id).values(revoked_at=utc_now()))
    assert (await officer.http.get("/desk/v1/kept-rows")).json()["items"] == []


async def test_pages_of_kept_rows_are_bounded_in_bytes_and_skip_none(officer, phone, services, monkeypatch):
    monkeypatch.setattr("server.directory.quarantine._MOST_BYTES", 5000)
    async with open_session(services.sessions) as session:
        device = phone.signed_in["deviceId"]
        # Ids of one millisecond have no order.
        ids = sorted(new_id() for _ in range(7))
        for row_id, size in zip(ids, (10, 2000, 2000, 2000, 9000, 9000, 10), strict=True):
            row = {"collection": "visits", "doc_id": str(new_id()), "body": b'"' + b"x" * size + b'"'}
            values = {"id": row_id, "kept_as": "quarantined", "staff_id": phone.id, "device_id": device}
            await session.execute(
                insert(QuarantinedRow).values(received_at=utc_now(), code="row.invalid", **row, **values)
            )
    sizes, cursor = [], None
    while True:
        query = {"cursor": cursor} if cursor else {}
        page = (await officer.http.get("/desk/v1/kept-rows", params=query)).json()
        sizes.append([len(item["content"]) for item in page["items"]])
        if (cursor := page["nextCursor"]) is None:
            break
    assert [size for page in sizes for size in page] == [10, 9000, 9000, 2000, 2000, 2000, 10]
    assert all(len(page) == 1 or sum(page) <= 5000 for page in sizes)
