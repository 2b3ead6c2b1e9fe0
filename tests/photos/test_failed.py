"""A photo that can't be examined waits for a person, and says why."""

from sqlalchemy import text

from media.store import original_key
from tests.phones import make_kit
from tests.test_first_path import push_whole
from tests.uploads.tus import evidence_of, store_without


async def exhaust(system, attempts=8):
    """Every attempt but the last has failed."""
    async with system.services.sessions() as session:
        await session.execute(
            text(
                "UPDATE procrastinate_jobs SET attempts = :attempts, scheduled_at = NULL "
                "WHERE task_name = 'evidence.examine'"
            ),
            {"attempts": attempts},
        )
        await session.commit()
    await system.run_jobs()


async def test_a_photo_parks_with_its_error_and_is_tried_again_from_the_desk(system, county, services, phone, desk):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)
    first = kit.evidence[0]["id"]
    with store_without(services, "run_in_thread"):
        await system.run_jobs()
        assert (await desk.http.get("/desk/v1/parked-photos")).json()["items"] == [], "it will be tried again"
        await exhaust(system)
    answer = await desk.http.get("/desk/v1/parked-photos")
    assert answer.status_code == 200, answer.text
    parked = answer.json()["items"]
    assert {item["evidenceId"] for item in parked} == {item["id"] for item in kit.evidence}
    assert {(item["visitId"], item["error"]) for item in parked} == {(kit.visit["id"], "StoreUnavailable")}
    assert (await evidence_of(services, first)).state == "received"

    for entry in kit.evidence:
        assert (await desk.http.post(f"/desk/v1/parked-photos/{entry['id']}/again")).status_code == 204
    assert (await desk.http.post(f"/desk/v1/parked-photos/{first}/again")).status_code == 404
    await system.run_jobs()
    assert (await evidence_of(services, first)).state == "verified"
    assert (await desk.http.get("/desk/v1/parked-photos")).json()["items"] == []


async def test_bytes_that_the_store_altered_are_never_examined(system, county, services, phone, desk):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)
    await services.store.put(original_key(kit.evidence[0]["sha256"]), b"other", 5, "image/jpeg")
    await system.run_jobs()
    states = [(await evidence_of(services, item["id"])).state for item in kit.evidence]
    assert states == ["received", "verified", "verified", "verified"], "the others do not wait for it"
    await exhaust(system)
    parked = (await desk.http.get("/desk/v1/parked-photos")).json()["items"]
    assert [(item["evidenceId"], item["error"]) for item in parked] == [(kit.evidence[0]["id"], "OtherBytes")]
    assert (await phone.http.get("/desk/v1/parked-photos")).status_code == 403
