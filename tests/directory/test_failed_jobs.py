"""Jobs that failed for good stand in a list of their area, with their error, and can be run again, each or all."""

import importlib
import json
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
from sqlalchemy import select, text

from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import CheckVisit
from server.core.paths import ROOT
from server.directory.failed_jobs import UNRECORDED, find_subject
from server.models.audit import AuditEntry
from server.models.evidence import Evidence, Photo
from server.models.households import Household
from server.models.notifications import Notice
from server.models.review import Decision
from server.models.visits import Visit
from server.worker import rescue_stalled
from tests.core.test_rescue import store_lost_job
from tests.phones import make_kit
from tests.photos.test_failed import exhaust
from tests.test_first_path import push_whole
from tests.uploads.tus import store_without


async def fail_job(services, task, arguments, status="failed"):
    """A job that the worker of an older version left failed, without a record."""
    async with open_session(services.sessions) as session:
        return await session.scalar(
            text(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, attempts) VALUES "
                "(:task, :task, CAST(:args AS jsonb), CAST(:status AS procrastinate_job_status), 9) RETURNING id"
            ),
            {"task": task, "args": json.dumps(arguments), "status": status},
        )


async def sweep(services):
    app = jobs.build_worker(services)
    async with app.open_async():
        await rescue_stalled(services, app)


async def listed(desk, **query):
    answer = await desk.http.get("/desk/v1/failed-jobs", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def home_in(services, prefix, besides=""):
    async with services.sessions() as session:
        query = select(Household.id, Household.area_code).where(Household.area_code.startswith(prefix))
        if besides:
            query = query.where(~Household.area_code.startswith(besides))
        return (await session.execute(query.order_by(Household.id).limit(1))).one()


async def status_of(services, job_id):
    async with services.sessions() as session:
        row = await session.execute(
            text("SELECT status::text, attempts FROM procrastinate_jobs WHERE id = :id"), {"id": job_id}
        )
        found = row.one_or_none()
        return None if found is None else tuple(found)


async def test_a_check_that_fails_for_good_stands_with_its_visit_and_error_and_runs_again(
    system, county, services, phone, desk, monkeypatch
):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)

    async def fall_over(_services, _job):
        raise ZeroDivisionError

    sound = jobs.TASKS["review.examine"]
    monkeypatch.setitem(jobs.TASKS, "review.examine", sound._replace(run=fall_over))
    await system.run_jobs()
    assert await listed(desk) == [], "it will be tried again"
    async with open_session(services.sessions) as session:
        await session.execute(text("UPDATE procrastinate_jobs SET attempts = 8, scheduled_at = NULL"))
    before = utc_now() - timedelta(seconds=1)
    await system.run_jobs()
    (line,) = await listed(desk)
    assert (line["task"], line["error"]) == ("review.examine", "ZeroDivisionError")
    assert (line["thingKind"], line["thingId"]) == ("visit", kit.visit["id"])
    assert line["areaCode"].startswith("3399")
    assert line["failedAt"] >= before.isoformat()[:19]

    monkeypatch.setitem(jobs.TASKS, "review.examine", sound)
    assert (await desk.http.post(f"/desk/v1/failed-jobs/{line['id']}/again")).status_code == 204
    assert (await desk.http.post(f"/desk/v1/failed-jobs/{line['id']}/again")).status_code == 404
    assert await listed(desk) == []
    await system.run_jobs()
    async with services.sessions() as session:
        assert (await session.get_one(Visit, UUID(kit.visit["id"]))).state == "under_review"
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "job.tried_again"))
        assert entry is not None
        assert entry.actor_id == desk.id
        assert entry.facts == {
            "task": "review.examine", "error": "ZeroDivisionError", "kind": "visit", "id": kit.visit["id"],
        }  # fmt: skip
    assert await listed(desk) == [], "a job that succeeded stands in no list"


async def test_a_job_whose_workers_died_stands_in_the_list_and_gets_all_its_attempts_again(services, desk):
    home, area = await home_in(services, "3399")
    job_id = await store_lost_job(services, jobs.MAX_RESCUES, {"household_id": str(home)})
    await sweep(services)
    (line,) = await listed(desk)
    assert (line["error"], line["thingKind"], line["thingId"], line["areaCode"]) == (
        "WorkerDied", "household", str(home), area,
    )  # fmt: skip
    assert (await desk.http.post("/desk/v1/failed-jobs/again")).json() == {"retried": 1}
    assert await status_of(services, job_id) == ("todo", 0)
    assert (await desk.http.post("/desk/v1/failed-jobs/again")).json() == {"retried": 0}


async def test_failed_jobs_are_seen_and_retried_in_their_area_alone(system, services, desk):
    town = await system.sign_in_at_desk("panhuaixu", "town_officer")
    inside, area = await home_in(services, "339901001")
    outside, _ = await home_in(services, "339901", besides="339901001")
    near = await fail_job(services, "review.home_changed", {"household_id": str(inside)})
    far = await fail_job(services, "review.home_changed", {"household_id": str(outside)})
    system_wide = await fail_job(services, "audit.seal", {"timestamp": 1})
    await sweep(services)
    assert [(line["thingId"], line["areaCode"]) for line in await listed(town)] == [(str(inside), area)]
    everywhere = {line["thingId"]: line["id"] for line in await listed(desk)}
    assert set(everywhere) == {str(inside), str(outside)}
    assert (await town.http.post(f"/desk/v1/failed-jobs/{everywhere[str(outside)]}/again")).status_code == 404
    assert (await town.http.post("/desk/v1/failed-jobs/again")).json() == {"retried": 1}
    assert await status_of(services, near) == ("todo", 0)
    assert await status_of(services, far) == ("failed", 9)
    assert await status_of(services, system_wide) == ("failed", 9)
    admin = await system.sign_in_at_desk("zhanxinglou", "admin")
    assert {line["task"] for line in await listed(admin)} >= {"audit.seal"}
    phone = await system.sign_in("linhexi", "caseworker")
    assert (await phone.http.get("/desk/v1/failed-jobs")).status_code == 403
    assert (await phone.http.post("/desk/v1/failed-jobs/again")).status_code == 403


async def test_pages_neither_repeat_nor_skip_and_the_file_has_the_same_rows(services, desk):
    home, _ = await home_in(services, "3399")
    for _ in range(7):
        await fail_job(services, "review.home_changed", {"household_id": str(home)})
    await sweep(services)
    seen, cursor = [], None
    while True:
        answer = (
            await desk.http.get("/desk/v1/failed-jobs", params={"limit": 3} | ({"cursor": cursor} if cursor else {}))
        ).json()
        seen += [line["id"] for line in answer["items"]]
        cursor = answer["nextCursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7
    file = (await desk.http.get("/desk/v1/failed-jobs/export", params={"format": "csv"})).text
    assert file.count("review.home_changed") == 7


async def test_a_job_that_failed_before_there_was_a_list_is_found_with_its_time_and_arguments_that_fit_nothing(
    system, services
):
    admin = await system.sign_in_at_desk("zhanxinglou", "admin")
    since = utc_now() - timedelta(days=40)
    odd = await fail_job(services, "review.examine", {"visit_id": "no id at all", "odd": [1]})
    await fail_job(services, "tomorrow.greet", {"whom": "everybody"})
    async with open_session(services.sessions) as session:
        await session.execute(
            text("INSERT INTO procrastinate_events (job_id, type, at) VALUES (:id, 'failed', :at)"),
            {"id": odd, "at": since},
        )
    await sweep(services)
    await sweep(services)
    lines = {line["task"]: line for line in await listed(admin)}
    assert set(lines) == {"review.examine", "tomorrow.greet"}
    assert datetime.fromisoformat(lines["review.examine"]["failedAt"]) == since
    assert {line["error"] for line in lines.values()} == {UNRECORDED}
    async with open_session(services.sessions) as session:
        await session.execute(text("DELETE FROM procrastinate_jobs"))
    assert await listed(admin) == []
    await sweep(services)
    async with services.sessions() as session:
        assert await session.scalar(text("SELECT count(*) FROM failed_job")) == 0


async def test_a_failure_that_could_not_be_recorded_is_found_later(system, services, desk, monkeypatch):
    home, _ = await home_in(services, "3399")

    async def lose_the_database(_services, _failure):
        raise psycopg.OperationalError

    async def fall_over(_services, _job):
        raise ZeroDivisionError

    monkeypatch.setitem(jobs.TASKS, "review.home_changed", jobs.TASKS["review.home_changed"]._replace(run=fall_over))
    job_id = await fail_job(services, "review.home_changed", {"household_id": str(home)}, status="todo")
    with monkeypatch.context() as broken:
        broken.setattr(jobs, "FAILURE_RECORDERS", [lose_the_database])
        await system.run_jobs()
    assert await status_of(services, job_id) == ("failed", 10)
    assert await listed(desk) == []
    await sweep(services)
    assert [line["thingId"] for line in await listed(desk)] == [str(home)]


async def test_all_failed_photos_are_processed_again_by_one_act_and_leave_no_failed_job(
    system, county, services, phone, desk
):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)
    with store_without(services, "run_in_thread"):
        await system.run_jobs()
        await exhaust(system)
    assert len((await desk.http.get("/desk/v1/parked-photos")).json()["items"]) == len(kit.evidence)
    assert {line["thingId"] for line in await listed(desk)} == {kit.visit["id"]}
    assert (await phone.http.post("/desk/v1/parked-photos/again")).status_code == 403
    answer = await desk.http.post("/desk/v1/parked-photos/again")
    assert answer.json() == {"retried": len(kit.evidence)}
    assert (await desk.http.get("/desk/v1/parked-photos")).json()["items"] == []
    assert await listed(desk) == []
    async with services.sessions() as session:
        tried = select(AuditEntry.thing_id).where(AuditEntry.action == "evidence.tried_again")
        assert set(await session.scalars(tried)) == {item["id"] for item in kit.evidence}
        assert await session.scalar(text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'")) == 0
    assert (await desk.http.post("/desk/v1/parked-photos/again")).json() == {"retried": 0}
    await system.run_jobs()
    async with services.sessions() as session:
        states = select(Evidence.state).where(Evidence.visit_id == UUID(kit.visit["id"]))
        assert set(await session.scalars(states)) == {"verified"}


async def test_a_photos_job_that_is_run_again_takes_it_off_the_list_of_failed_photos(
    system, county, services, phone, desk
):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)
    with store_without(services, "run_in_thread"):
        await system.run_jobs()
        await exhaust(system)
    assert (await desk.http.post("/desk/v1/failed-jobs/again")).json() == {"retried": len(kit.evidence)}
    assert (await desk.http.get("/desk/v1/parked-photos")).json()["items"] == []
    await system.run_jobs()
    async with services.sessions() as session:
        assert await session.scalar(select(Photo.sha256).where(Photo.parked_at.is_not(None))) is None


async def test_every_job_about_a_thing_finds_its_area(services, system, county, phone, desk):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)
    async with services.sessions() as session:
        visit = await session.get_one(Visit, UUID(kit.visit["id"]))
        photo = await session.get_one(Evidence, UUID(kit.evidence[0]["id"]))
        notice = await session.scalar(select(Notice).limit(1))
        case_id, home = (await session.execute(text("SELECT id, household_id FROM case_file LIMIT 1"))).one()
        decided = await session.scalar(select(Decision).limit(1))
        subjects = {
            "visit_id": visit.id,
            "sha256": photo.sha256,
            "photo_ids": [str(photo.id)],
            "case_id": case_id,
            "household_id": home,
            "county_code": "339901",
        }
        if notice is not None:
            subjects["notice_id"] = notice.id
        if decided is not None:
            subjects["decision_id"] = decided.id
        for name, value in subjects.items():
            subject = await find_subject(session, {name: value if isinstance(value, list) else str(value)})
            assert subject.area_code.startswith("3399"), name
            assert subject.kind is not None
            gone = [str(new_id())] if isinstance(value, list) else str(new_id())
            if name != "county_code":
                assert (await find_subject(session, {name: gone})).area_code == ""


def test_every_task_with_arguments_names_a_thing_whose_area_is_found():
    from server.directory.failed_jobs import _FINDERS

    for name, registered in jobs.TASKS.items():
        fields = set(registered.job_type.__struct_fields__)
        assert not fields or fields & set(_FINDERS), f"{name} is about nothing that has an area"
    assert CheckVisit.task_name in jobs.TASKS


async def test_a_job_about_which_nothing_will_be_done_is_dismissed_with_a_reason(services, desk, system):
    home, _ = await home_in(services, "3399")
    job_id = await fail_job(services, "review.home_changed", {"household_id": str(home)})
    await sweep(services)
    (line,) = await listed(desk)
    path = f"/desk/v1/failed-jobs/{line['id']}/dismiss"
    for empty in ("", " ", "x"):
        assert (await desk.http.post(path, json={"reason": empty})).status_code == 400
    worker = await system.sign_in("linhexi", "caseworker")
    assert (await worker.http.post(path, json={"reason": "家庭已迁出"})).status_code == 403
    assert (await desk.http.post(path, json={"reason": "家庭已迁出"})).status_code == 204
    assert await listed(desk) == []
    assert (await status_of(services, job_id))[0] == "cancelled"
    await sweep(services)
    assert await listed(desk) == []
    async with services.sessions() as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "job.dismissed"))
    assert entry is not None
    assert (entry.actor_id, entry.facts["reason"], entry.facts["id"]) == (desk.id, "家庭已迁出", str(home))
    assert (await desk.http.post(path, json={"reason": "家庭已迁出"})).status_code == 404


async def test_visits_whose_examination_failed_before_it_was_mended_are_examined_again(services):
    (file,) = (ROOT / "migrations" / "versions").glob("*_two_people_for_settings.py")
    migration = importlib.import_module(f"migrations.versions.{file.stem}")
    examine = await fail_job(services, "review.examine", {"visit_id": str(new_id())})
    other = await fail_job(services, "review.home_changed", {"household_id": str(new_id())})
    async with open_session(services.sessions) as session:
        await session.execute(text(migration.EXAMINE_AGAIN))
    assert await status_of(services, examine) == ("todo", 0)
    assert await status_of(services, other) == ("failed", 9)
