"""The photos of a visit are looked at together, each once, whatever is cut short meanwhile."""

import asyncio
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from media.store import ObjectStore, original_key, rendition_key
from server.__main__ import main
from server.core import jobs
from server.core.database import open_session
from server.core.job_types import ProcessVisitPhotos
from tests.conftest import environment
from tests.phones import make_kit
from tests.uploads.tus import evidence_of


@pytest.fixture
async def announced(system, county, phone):
    """A visit with everything but its photos."""
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    assert await phone.push("evidence", *kit.evidence) == await phone.push("visits", kit.visit) == []
    assert await partner.push("attestations", kit.attestation) == []
    return kit


async def send(phone, kit, *numbers):
    for number in numbers:
        item = kit.evidence[number]["id"]
        assert (await phone.upload(item, kit.photos[item])).status_code == 200


async def waiting(services, task="evidence.examine_visit"):
    async with services.sessions() as session:
        rows = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = :task AND status = 'todo'"
        return await session.scalar(text(rows), {"task": task})


async def states(services, kit):
    return [(await evidence_of(services, item["id"])).state for item in kit.evidence]


async def audits(services, kit):
    async with services.sessions() as session:
        rows = "SELECT count(*) FROM audit_entry WHERE action = 'evidence.verified' AND thing_id = ANY(:ids)"
        return await session.scalar(text(rows), {"ids": [item["id"] for item in kit.evidence]})


async def test_all_photos_of_a_visit_wait_for_one_job(system, services, phone, announced):
    await send(phone, announced, 0, 1, 2, 3)
    assert await waiting(services) == 1
    await system.run_jobs()
    assert await states(services, announced) == ["verified"] * 4
    assert await audits(services, announced) == 4
    held = (await phone.pull("evidence")).values()
    assert {item["server"]["state"] for item in held if item["visitId"] == announced.visit["id"]} == {"verified"}


async def test_a_photo_that_comes_while_its_visit_is_looked_at_is_looked_at_next(
    system, services, phone, announced, monkeypatch
):
    """The job under way has read what waits, and can't see it any more."""
    await send(phone, announced, 0)
    whole, began, may_end = ObjectStore.run_in_thread, asyncio.Event(), asyncio.Event()

    async def slow(self, work):
        began.set()
        await may_end.wait()
        return await whole(self, work)

    monkeypatch.setattr(ObjectStore, "run_in_thread", slow)
    running = asyncio.create_task(system.run_jobs())
    await began.wait()
    await send(phone, announced, 1, 2)
    assert await waiting(services) == 1
    may_end.set()
    await running
    assert await states(services, announced) == ["verified", "verified", "verified", "announced"]
    assert await audits(services, announced) == 3, "each of them once"


async def test_a_job_does_not_begin_before_what_it_is_to_see_is_there(services, announced):
    """An upload that finds a job waiting holds it until it is committed itself."""
    visit_id = announced.visit["id"]
    job, turn = ProcessVisitPhotos(visit_id=UUID(visit_id)), f"photos:{visit_id}"
    async with open_session(services.sessions) as session:
        await jobs.defer(session, job, in_turn=turn)
    take = text("SELECT id FROM procrastinate_fetch_job_v2(NULL, NULL)")
    async with services.sessions() as upload:
        await jobs.defer(upload, job, in_turn=turn)
        async with services.sessions() as worker:
            assert await worker.scalar(take) is None
        await upload.commit()
    assert await waiting(services) == 1
    async with services.sessions() as worker:
        assert await worker.scalar(take) is not None


async def test_a_look_cut_short_is_begun_again_with_the_same_result(system, services, phone, announced, monkeypatch):
    await send(phone, announced, 0, 1, 2, 3)
    with monkeypatch.context() as cut:
        cut.setattr("server.photos.process.write_features", _fail)
        await system.run_jobs()
    assert await states(services, announced) == ["received"] * 4, "nothing is noted by halves"
    async with open_session(services.sessions) as session:
        await session.execute(text("UPDATE procrastinate_jobs SET scheduled_at = NULL"))
    await system.run_jobs()
    assert await states(services, announced) == ["verified"] * 4
    assert await audits(services, announced) == 4
    assert all([await services.store.exists(rendition_key(item["sha256"], "320")) for item in announced.evidence])
    visit = UUID(announced.visit["id"])
    async with services.sessions() as session:
        state = await session.scalar(text("SELECT state FROM visit WHERE id = :id"), {"id": visit})
    assert state == "under_review"


async def _fail(*_):
    raise RuntimeError("cut short")


async def test_a_photo_that_fails_keeps_no_other_waiting_and_is_tried_by_itself(system, services, phone, announced):
    await send(phone, announced, 0, 1, 2, 3)
    await services.store.remove(original_key(announced.evidence[2]["sha256"]))
    await system.run_jobs()
    assert await states(services, announced) == ["verified", "verified", "received", "verified"]
    assert (await waiting(services), await waiting(services, "evidence.examine")) == (0, 1)


async def test_photos_from_before_looks_were_kept_get_theirs(system, services, settings, phone, announced):
    def run():
        return CliRunner().invoke(main, ["fill-in-looks"], env=environment(settings))

    await send(phone, announced, 0, 1)
    await system.run_jobs()
    looks = text("SELECT sha256, look FROM photo WHERE state = 'verified'")
    async with open_session(services.sessions) as session:
        before = dict((await session.execute(looks)).all())
        await session.execute(text("UPDATE photo SET look = NULL"))
    await services.store.remove(original_key(announced.evidence[0]["sha256"]))
    result = await asyncio.to_thread(run)
    assert (result.exit_code, announced.evidence[0]["sha256"] in result.output) == (1, True), result.output
    async with services.sessions() as session:
        after = dict((await session.execute(looks)).all())
    assert after == before | {announced.evidence[0]["sha256"]: None}
