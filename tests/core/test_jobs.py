"""Jobs over a rolling deploy: an old worker leaves to the new ones what it does not know; a new one runs old jobs."""

import asyncio
import contextlib
import inspect
import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from server.core import job_types, jobs
from server.core.database import open_session
from server.worker import run_worker

ID, OTHER_ID, THIRD_ID = (str(UUID(int=number)) for number in (1, 2, 3))
# Every task with the arguments that a released version may have queued. Add lines, change none: a job that is in
# somebody's queue must run.
STORED: list[tuple[str, dict[str, Any]]] = [
    ("audit.head", {"timestamp": 1}),
    ("attempts.purge", {"timestamp": 1}),
    ("postings.seal_objections", {"timestamp": 1}),
    ("complaints.key_reply_codes", {"timestamp": 1}),
    ("audit.purge_reads", {"timestamp": 1}),
    ("audit.seal", {"timestamp": 1}),
    ("cases.complained", {"household_id": ID}),
    ("cases.keep", {"timestamp": 1}),
    ("cases.recompute_deadlines", {}),
    ("cases.objection_answered", {"case_id": ID, "objection_id": OTHER_ID, "actor_id": THIRD_ID, "ended_posting_id": None}),
    ("cases.objection_answered", {"case_id": ID, "objection_id": OTHER_ID, "actor_id": THIRD_ID, "ended_posting_id": ID}),
    ("cases.objection_made", {"case_id": ID, "objection_id": OTHER_ID}),
    ("cases.posting_ended", {"case_id": ID, "posting_id": OTHER_ID}),
    ("cases.visit_decided", {"decision_id": ID}),
    ("cases.ask_for_proofs", {"timestamp": 1}),
    ("cases.find_grace_ends", {"timestamp": 1}),
    ("cases.preview_raise", {"raise_id": ID}),
    ("cases.apply_raise", {"raise_id": ID}),
    ("cases.undo_raise", {"raise_id": ID}),
    ("complaints.remind", {"timestamp": 1}),
    ("evidence.adopt", {"photo_ids": [ID]}),
    ("evidence.examine", {"sha256": "0" * 64}),
    ("evidence.examine_visit", {"visit_id": ID}),
    ("field.settle_waiting", {"timestamp": 1}),
    ("directory.apply_area_changes", {"timestamp": 1}),
    ("directory.apply_area_changes", {}),
    ("households.find_duplicates", {"timestamp": 1}),
    ("households.find_duplicates", {}),
    ("identity.end_roles", {"timestamp": 1}),
    ("identity.turn_deputies", {"timestamp": 1}),
    ("identity.purge", {"timestamp": 1}),
    ("imports.apply", {"batch_id": ID}),
    ("notifications.send", {"notice_id": ID}),
    ("packages.write", {"export_id": ID}),
    ("packages.remove", {"timestamp": 1}),
    ("notifications.send_text", {"announcement_id": ID}),
    ("notifications.check_text", {"delivery_id": ID, "tries": 2}),
    ("residents.send_sign_in_code", {"code_id": ID}),
    (
        "notifications.tell",
        {
            "kind": "assigned",
            "thing": f"assignment:{ID}",
            "area_code": "339901001",
            "assignment_id": ID,
            "facts": {"count": 1, "on": "2026-11-30"},
        },
    ),
    (
        "notifications.tell",
        {
            "kind": "visit_blocked",
            "thing": f"blocked:{ID}",
            "area_code": "339901001",
            "staff_ids": [ID, OTHER_ID],
            "facts": {"count": 1, "what": "入户", "whatEn": "visit", "caseId": None},
        },
    ),
    (
        "notifications.tell",
        {
            "kind": "posted",
            "thing": f"posting:{ID}",
            "area_code": "339901001",
            "household_id": ID,
            "facts": {"caseId": OTHER_ID},
        },
    ),
    ("notifications.tell", {"kind": "complaint_due", "thing": "c", "area_code": "339901001", "staff_ids": [], "facts": {}}),
    ("aid.enter_handouts", {}),
    ("postings.end", {"timestamp": 1}),
    ("postings.hang", {"timestamp": 1}),
    ("review.examine", {"visit_id": ID}),
    ("review.fold_counts", {"timestamp": 1}),
    ("review.home_changed", {"household_id": ID}),
    ("review.look_again", {"visit_id": ID}),
    ("review.look_again", {"visit_id": ID, "codes": ["photo.swapped"]}),
    ("review.rule_changed", {"key": "visit.shortest_min", "area_code": "339901", "effective_from": "2026-11-30"}),
    ("review.rule_changed", {"key": "visit.shortest_min", "area_code": "", "effective_from": "2026-11-30", "beyond": ID}),
    ("review.tell_returned", {"decision_id": ID}),
    ("rosters.draft", {"roster_id": ID}),
    ("rosters.payday", {"roster_id": ID}),
    ("spotchecks.compare", {"visit_id": ID}),
    ("uploads.clear", {"upload_id": "ab" * 16}),
    ("uploads.sweep", {"timestamp": 1}),
    ("workload.place_blocked", {"kind": "review", "area_code": ""}),
    ("workload.remind", {"timestamp": 1}),
    ("workload.schedule", {"timestamp": 1}),
    ("workload.schedule_county", {"county_code": "339901"}),
]  # fmt: skip
# Handlers that require their row: a job without it fails, as such a job always did.
REQUIRE_ROW = {
    "cases.apply_raise",
    "cases.complained",
    "cases.objection_answered",
    "cases.objection_made",
    "cases.posting_ended",
    "cases.preview_raise",
    "cases.undo_raise",
    "cases.visit_decided",
    "evidence.examine",
    "imports.apply",
    "notifications.check_text",
    "notifications.send",
    "notifications.send_text",
    "residents.send_sign_in_code",
    "review.examine",
    "review.look_again",
    "review.tell_returned",
    "spotchecks.compare",
}


class Greet(jobs.Job, frozen=True):
    task_name = "tomorrow.greet"
    whom: str


def declared_jobs():
    return {
        declared for _, declared in inspect.getmembers(job_types, inspect.isclass)
        if issubclass(declared, jobs.Job) and declared is not jobs.Job
    }  # fmt: skip


def test_every_declared_job_has_one_handler_and_every_handler_a_declared_job():
    assert {registered.job_type for registered in jobs.TASKS.values()} == declared_jobs()
    assert {name: name for name in jobs.TASKS} == {
        name: registered.job_type.task_name for name, registered in jobs.TASKS.items()
    }
    assert len({declared.task_name for declared in declared_jobs()}) == len(declared_jobs())


def test_a_scheduled_job_has_no_arguments():
    scheduled = [registered.job_type for registered in jobs.TASKS.values() if registered.cron]
    assert scheduled
    assert [msgspec.structs.fields(job_type) for job_type in scheduled] == [()] * len(scheduled)


def test_every_task_is_among_the_stored_jobs():
    assert {name for name, _ in STORED} == set(jobs.TASKS)


@pytest.mark.parametrize(("name", "arguments"), [stored for stored in STORED if "timestamp" not in stored[1]])
def test_the_arguments_of_a_stored_job_survive_decoding_and_encoding(name, arguments):
    job = jobs.decode_job(jobs.TASKS[name].job_type, arguments)
    assert [value for value in msgspec.structs.astuple(job) if isinstance(value, str) and value == ID] == []
    encoded = msgspec.to_builtins(job)
    assert encoded == {key: value for key, value in arguments.items() if value not in (None, [], {})}


async def store_job(services, name, arguments):
    """Queue a job as the SQL of a former version did."""
    async with open_session(services.sessions) as session:
        await session.execute(
            text(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status)"
                " VALUES (:name, :name, CAST(:args AS jsonb), 'todo')"
            ),
            {"name": name, "args": json.dumps(arguments)},
        )


async def failures(services):
    """Return the tasks of the jobs that failed or wait for another attempt."""
    async with services.sessions() as session:
        rows = text(
            "SELECT task_name FROM procrastinate_jobs WHERE status = 'failed' OR attempts > 0 AND status = 'todo'"
        )
        return set(await session.scalars(rows))


async def test_a_queue_of_stored_jobs_is_drained(system, services, monkeypatch):
    """A handler is called with every job, and fails only where it requires a row that is not there."""
    decoded = []
    for name, registered in jobs.TASKS.items():

        async def run(services, job, name=name, registered=registered):
            decoded.append(name)
            await registered.run(services, job)

        monkeypatch.setitem(jobs.TASKS, name, registered._replace(run=run))
    for name, arguments in STORED:
        await store_job(services, name, arguments)
    await system.run_jobs()
    stored = [name for name, _ in STORED]
    assert not {name for name in stored if decoded.count(name) < stored.count(name)}
    assert await failures(services) == REQUIRE_ROW


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"visit_id": "no uuid"}, "review.examine: Invalid UUID - at `$.visit_id`"),
        ({}, "review.examine: Object missing required field `visit_id`"),
        ({"visit_id": ID, "newer": 1}, "review.examine: Object contains unknown field `newer`"),
    ],
)
async def test_a_job_that_cannot_be_decoded_fails_like_any_other(system, services, arguments, message):
    with pytest.raises(jobs.InvalidJob) as refused:
        jobs.decode_job(job_types.CheckVisit, arguments)
    assert str(refused.value) == message
    await store_job(services, "review.examine", arguments)
    await system.run_jobs()
    assert (await queued(services))["review.examine"] == ("todo", 1), "it is retried"
    async with open_session(services.sessions) as session:
        await session.execute(text("UPDATE procrastinate_jobs SET attempts = 8, scheduled_at = NULL"))
    await system.run_jobs()
    assert (await queued(services))["review.examine"][0] == "failed"


async def test_a_failed_photo_is_not_marked_by_a_job_that_names_none(system, services):
    """The last failure of an undecodable job has no job to report."""
    await store_job(services, "evidence.examine", {"photo": "x"})
    async with open_session(services.sessions) as session:
        await session.execute(text("UPDATE procrastinate_jobs SET attempts = 8"))
    await system.run_jobs()
    assert (await queued(services))["evidence.examine"][0] == "failed"


async def queued(services):
    async with services.sessions() as session:
        rows = await session.execute(text("SELECT task_name, status::text, attempts FROM procrastinate_jobs"))
        return {name: (status, attempts) for name, status, attempts in rows}


@pytest.fixture
async def new_and_old_job(services):
    async with open_session(services.sessions) as session:
        await jobs.defer(session, Greet(whom="甘禾"))
        await jobs.defer(session, job_types.SealAuditLog())


async def test_a_job_of_a_newer_version_waits_for_a_worker_that_knows_it(
    system, services, new_and_old_job, monkeypatch
):
    await system.run_jobs()
    assert (await queued(services))["tomorrow.greet"] == ("todo", 0)
    greeted = []

    async def greet(services, job):
        greeted.append(job.whom)

    monkeypatch.setitem(jobs.TASKS, "tomorrow.greet", jobs.RegisteredTask(Greet, greet))
    await system.run_jobs()
    assert greeted == ["甘禾"]
    assert (await queued(services))["tomorrow.greet"][0] == "succeeded"


async def test_the_worker_process_does_what_it_knows_and_leaves_the_rest(services, new_and_old_job):
    worker = asyncio.create_task(run_worker(services.settings))
    async with asyncio.timeout(20):
        while "audit.seal" in await queued(services):  # noqa: ASYNC110  the database tells of no end
            await asyncio.sleep(0.1)
    assert (await queued(services))["tomorrow.greet"] == ("todo", 0)
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker


async def test_what_was_queued_before_each_task_had_a_queue_is_still_done(system, services, new_and_old_job):
    async with open_session(services.sessions) as session:
        await session.execute(text("UPDATE procrastinate_jobs SET queue_name = 'default'"))
        await session.execute(text("DELETE FROM procrastinate_jobs WHERE task_name = 'tomorrow.greet'"))
    await system.run_jobs()
    assert (await queued(services))["audit.seal"][0] == "succeeded"
