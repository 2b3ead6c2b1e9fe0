"""What no rule keeps any more: shown first, deleted when told to, and told of ever after."""

import asyncio
import io
import zipfile
from datetime import datetime, time, timedelta

import msgspec
import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from media.store import StoreUnavailable, original_key
from server.__main__ import main
from server.core.clock import CHINA, utc_now
from server.core.database import open_session
from server.evidence.verify import verify_bundle
from server.models.areas import PolicySetting
from server.models.audit import AuditEntry
from server.models.cases import CaseFile
from server.models.evidence import Evidence, Photo, PhotoTombstone
from server.models.households import Household
from server.models.people import StaffRole
from server.models.review import Finding, SeenPhoto
from server.photos import retention
from server.photos.retention import preview, sweep
from server.photos.store_check import check_store
from tests import days
from tests.conftest import environment
from tests.phones import make_kit, tiny_photo
from tests.test_first_path import push_whole
from tests.uploads.tus import store_without

YEARS = timedelta(days=1100)


async def end_aid(services, household_id, *, days_ago=0):
    """The household has withdrawn and receives nothing, as it stands since so many days."""
    at = utc_now() - timedelta(days=days_ago)
    async with open_session(services.sessions) as session:
        await session.execute(update(Household).where(Household.id == household_id).values(class_=None))
        cases = update(CaseFile).where(CaseFile.household_id == household_id)
        await session.execute(cases.values(state="withdrawn", updated_at=at))


async def rows_of(services, kind, *which):
    async with services.sessions() as session:
        return list(await session.scalars(select(kind).where(*which)))


def ignore(item):
    del item


@pytest.fixture
async def ended(services, kit):
    await end_aid(services, kit.visit["householdId"])
    return kit


async def test_photos_of_who_receives_aid_or_applies_are_kept_whatever_their_age(services, kit):
    assert await preview(services.sessions, utc_now() + 20 * YEARS) == []
    assert await sweep(services, utc_now() + 20 * YEARS, ignore) == 0


async def test_a_preview_says_what_and_why_and_changes_nothing(services, settings, ended):
    assert await preview(services.sessions, utc_now() + timedelta(days=1000)) == []
    (line,) = await preview(services.sessions, utc_now() + YEARS)
    assert (line.rule, line.kept_days, line.photos) == ("retention.visit_photo_days", 1096, 4)
    assert line.size_bytes == sum(item["sizeBytes"] for item in ended.evidence)
    assert "个人信息保护法" in line.source
    assert (await check_store(services, deep=True)).found == []
    assert len(await rows_of(services, Photo)) == 4


async def test_a_rule_holds_from_its_days_midnight_in_china(services, ended):
    on = days.in_days(100)
    async with open_session(services.sessions) as session:
        params = {"key": "retention.visit_photo_days", "value": 30, "effective_from": on, "source": "test"}
        session.add(PolicySetting(area_code="339901", **params))
    midnight = datetime.combine(on, time(), tzinfo=CHINA)
    assert await preview(services.sessions, midnight - timedelta(seconds=1)) == []
    assert [item.kept_days for item in await preview(services.sessions, midnight)] == [30]


async def test_a_sweep_deletes_photos_with_all_copies_and_leaves_tombstones(services, bucket, settings, ended):
    result, now = [], utc_now() + YEARS
    assert await sweep(services, now, result.append) == 4
    assert {item.sha256 for item in result} == {item["sha256"] for item in ended.evidence}
    assert [item.object_name for item in bucket.list_objects(settings.s3_bucket, recursive=True)] == []
    stones = await rows_of(services, PhotoTombstone)
    assert {stone.sha256 for stone in stones} == {item["sha256"] for item in ended.evidence}
    assert {(stone.rule, stone.erased_at, stone.removed_at) for stone in stones} == {
        ("retention.visit_photo_days", now, now)
    }
    claims = await rows_of(services, Evidence)
    assert {(claim.state, claim.erased_at) for claim in claims} == {("verified", now)}
    assert await rows_of(services, Photo) == await rows_of(services, SeenPhoto) == []
    logged = await rows_of(services, AuditEntry, AuditEntry.action == "photo.erased")
    assert {item.thing_id for item in logged} == {item["id"] for item in ended.evidence}
    assert (await check_store(services, deep=True)).found == []
    assert await sweep(services, now, result.append) == 0


async def test_a_link_and_the_bundle_say_that_the_photo_was_deleted_and_why(services, desk, ended, tmp_path):
    now = utc_now() + YEARS
    await sweep(services, now, ignore)
    url = f"/desk/v1/visits/{ended.visit['id']}"
    answer = await desk.http.get(f"{url}/photos/{ended.evidence[0]['id']}/link", params={"rendition": "320"})
    assert (answer.status_code, answer.json()["code"]) == (410, "photo.erased")
    bundle = (await desk.http.get(f"{url}/bundle")).content
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        photos = msgspec.json.decode(archive.read("manifest.json"))["photos"]
        assert not any(name.startswith(("photos/", "renditions/")) for name in archive.namelist())
    assert {(photo["held"], photo["original"], photo["rendition"]) for photo in photos} == {("erased", None, None)}
    assert {photo["erased"]["rule"] for photo in photos} == {"retention.visit_photo_days"}
    assert [photo["facts"] for photo in photos] == [None] * 4
    file = tmp_path / "bundle.zip"
    file.write_bytes(bundle)
    assert verify_bundle(file).faults == []


async def test_a_photo_that_another_home_claims_too_stays(system, services, phone, county, ended):
    """The same bytes stand in a visit to a home that receives aid."""
    partner = await system.sign_in(
        next(assignment for assignment in county.assignments if assignment.kind == "intake").partner_login, "caseworker"
    )
    shared = next(iter(ended.photos.values()))
    other = await make_kit(phone, partner.id, kind="review", photos=[shared, tiny_photo(1)])
    await push_whole(phone, partner, other)
    await system.run_jobs()
    assert await sweep(services, utc_now() + YEARS, ignore) == 3
    assert await services.store.exists(original_key(other.evidence[0]["sha256"]))
    assert {
        item.erased_at for item in await rows_of(services, Evidence, Evidence.sha256 == other.evidence[0]["sha256"])
    } == {None}


async def test_photos_that_are_needed_again_while_a_sweep_runs_stay(services, ended, monkeypatch):
    """The household applies anew after the sweep has listed its photos, and before it deletes the first."""
    erase = retention._erase

    async def apply_and_erase(sessions, item, now):
        async with open_session(services.sessions) as session:
            cases = update(CaseFile).where(CaseFile.household_id == ended.visit["householdId"])
            await session.execute(cases.values(state="preliminary"))
        return await erase(sessions, item, now)

    monkeypatch.setattr(retention, "_erase", apply_and_erase)
    assert await sweep(services, utc_now() + YEARS, ignore) == 0
    assert await rows_of(services, PhotoTombstone) == []
    for item in ended.evidence:
        assert await services.store.exists(original_key(item["sha256"]))


async def test_bytes_that_come_again_after_their_deletion_are_taken_in_anew(system, services, phone, county, ended):
    await sweep(services, utc_now() + YEARS, ignore)
    partner = await system.sign_in(
        next(assignment for assignment in county.assignments if assignment.kind == "intake").partner_login, "caseworker"
    )
    again = next(iter(ended.photos.values()))
    other = await make_kit(phone, partner.id, kind="review", photos=[again, tiny_photo(1)])
    await push_whole(phone, partner, other)
    await system.run_jobs()
    claim = (await rows_of(services, Evidence, Evidence.id == other.evidence[0]["id"]))[0]
    assert (claim.state, claim.erased_at) == ("verified", None)
    assert await services.store.read(original_key(claim.sha256)) == again
    codes = {item.code for item in await rows_of(services, Finding, Finding.visit_id == other.visit["id"])}
    assert codes & {"photo.reused", "signature.twice"}, (
        "that it was used before is known though the picture was deleted"
    )
    assert (await check_store(services, deep=True)).keys("missing") == []


@pytest.mark.parametrize("call", ["remove", "list_keys"])
async def test_a_sweep_cut_short_by_the_store_is_ended_by_the_next(services, bucket, settings, ended, call):
    with store_without(services, call), pytest.raises(StoreUnavailable):
        await sweep(services, utc_now() + YEARS, ignore)
    half_done = await rows_of(services, PhotoTombstone)
    assert [item.removed_at for item in half_done] == [None]
    assert await services.store.exists(original_key(half_done[0].sha256))
    assert await sweep(services, utc_now() + YEARS, ignore) == 3
    assert list(bucket.list_objects(settings.s3_bucket, recursive=True)) == []
    assert all(item.removed_at for item in await rows_of(services, PhotoTombstone))


async def test_photos_of_no_visit_and_bytes_kept_aside_have_rules_of_their_own(system, services, phone, kit):
    other = await make_kit(phone, phone.id, kind="review")
    await phone.push("evidence", *other.evidence)
    assert (await phone.upload(other.evidence[0]["id"], other.photos[other.evidence[0]["id"]])).status_code == 200
    assert (await phone.upload(other.evidence[1]["id"], b"something else")).status_code == 422
    await system.run_jobs()
    lines = await preview(services.sessions, utc_now() + timedelta(days=366))
    assert [(line.rule, line.photos) for line in lines] == [
        ("retention.mismatched_days", 1),
        ("retention.unsubmitted_photo_days", 1),
    ]
    assert await sweep(services, utc_now() + timedelta(days=100), ignore) == 1
    assert [key async for key in services.store.list_keys("mismatched/")] == []
    assert [item.shelf for item in await rows_of(services, PhotoTombstone)] == ["mismatched"]
    assert (await check_store(services, deep=True)).found == []


async def test_an_area_may_keep_its_photos_longer(services, ended):
    async with open_session(services.sessions) as session:
        household = await session.get_one(Household, ended.visit["householdId"])
        rule = {"key": "retention.visit_photo_days", "area_code": household.area_code[:6], "source": "county"}
        session.add(PolicySetting(**rule, effective_from=utc_now().date(), value=5000))
    assert await preview(services.sessions, utc_now() + YEARS) == []
    (line,) = await preview(services.sessions, utc_now() + timedelta(days=5001))
    assert (line.kept_days, line.source) == (5000, "county")


async def test_the_command_shows_first_and_deletes_when_told_to(services, settings, ended):
    def run(*arguments):
        return CliRunner().invoke(main, ["sweep-photos", *arguments], env=environment(settings) | {"COLUMNS": "160"})

    kept = await asyncio.to_thread(run, "--delete")
    assert (kept.exit_code, "0 photos deleted" in kept.output) == (0, True), kept.output
    async with open_session(services.sessions) as session:
        rule = PolicySetting.key == "retention.visit_photo_days"
        await session.execute(update(PolicySetting).where(rule).values(value=0))
    shown = await asyncio.to_thread(run)
    assert shown.exit_code == 0, shown.output
    assert "retention.visit_photo_days" in shown.output
    assert "Nothing was changed" in shown.output
    assert len(await rows_of(services, Photo)) == 4
    deleted = await asyncio.to_thread(run, "--delete")
    assert "4 photos deleted" in deleted.output
    assert await rows_of(services, Photo) == []


@pytest.fixture
async def admin(system, county):
    return await system.sign_in_at_desk(
        next(staff_member.login for staff_member in county.staff if staff_member.role == "admin"), "admin"
    )


async def shown(admin, path="", **query):
    answer = await admin.http.get(f"/desk/v1/retention{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_administrator_sees_what_would_go_by_rule_and_one_by_one(services, admin, ended, monkeypatch):
    then = (utc_now() + YEARS).isoformat()
    assert await shown(admin) == (await shown(admin, "/photos"))["items"] == []
    (line,) = await shown(admin, at=then)
    assert (line["rule"], line["keptDays"], line["photos"]) == ("retention.visit_photo_days", 1096, 4)
    assert line["sizeBytes"] == sum(item["sizeBytes"] for item in ended.evidence)

    monkeypatch.setattr("server.photos.retention.PAGE", 3)
    first = await shown(admin, "/photos", at=then)
    rest = await shown(admin, "/photos", at=then, cursor=first["nextCursor"])
    items = first["items"] + rest["items"]
    assert (len(first["items"]), len(items), rest["nextCursor"]) == (3, 4, None)
    assert {item["sha256"] for item in items} == {item["sha256"] for item in ended.evidence}
    assert {(item["shelf"], item["claims"], item["rule"]) for item in items} == {
        ("photos", 1, "retention.visit_photo_days")
    }
    assert all(item["keptSince"] < item["endedAt"] <= then for item in items)
    assert len(await rows_of(services, Photo)) == 4, "looking changes nothing"


async def test_what_would_go_is_shown_of_ones_own_areas_and_to_administrators_alone(services, admin, desk, ended):
    then = (utc_now() + YEARS).isoformat()
    async with open_session(services.sessions) as session:
        (role,) = await session.scalars(select(StaffRole).where(StaffRole.staff_id == admin.id))
        role.area_code = "339902"
    assert await shown(admin, at=then) == (await shown(admin, "/photos", at=then))["items"] == []
    for path in ("", "/photos"):
        assert (await desk.http.get(f"/desk/v1/retention{path}")).status_code == 403
    assert (await admin.http.get("/desk/v1/retention/photos", params={"cursor": "nonsense"})).status_code == 400
