"""Jobs that failed for good: a list by area for officers and administrators, who retry one or all, or dismiss one.

The worker records each failed job with what it is about, so that the list needs no look into a job's arguments.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from msgspec import Meta
from sqlalchemy import Select, String, cast, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit.actions import Action
from server.audit.trail import actor_params, audit_cte
from server.core import jobs
from server.core.access import DIRECTORY_ROLES, Caller, readable, require_found, require_role
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.job_types import ProcessPhoto
from server.core.jobs import FinalFailure
from server.core.paging import Keyset, Page, fetch_page
from server.core.services import Services
from server.models.cases import CaseFile, PaperPhoto
from server.models.evidence import Evidence
from server.models.households import Household
from server.models.imports import ImportBatch
from server.models.jobs import FailedJob
from server.models.notifications import Announcement, MessageDelivery, Notice
from server.models.packages import AreaExport
from server.models.raises import StandardRaise
from server.models.review import Decision
from server.models.rosters import Roster
from server.models.sign_in import SignInCode
from server.models.uploads import Upload
from server.models.visits import Visit

# The error of a job that was found failed, and whose error nobody recorded.
UNRECORDED = "NotRecorded"
# Failed jobs that one round of the worker records; the next round takes the next ones.
_BATCH = 500
_LATEST_FIRST = Keyset(FailedJob.failed_at, FailedJob.id, descending=True)
# A recorded job may have been retried or removed by other means since.
_IS_STILL_FAILED = text(
    "EXISTS (SELECT FROM procrastinate_jobs WHERE procrastinate_jobs.id = failed_job.job_id AND status = 'failed')"
)


class FailedJobLine(ResponseBody):
    """`thing_kind` and `thing_id` say what the job is about, null if that is the whole installation.

    `area_code` is empty then. `error` is the kind of fault, for the system's administrators.
    """

    id: UUID
    task: str
    thing_kind: str | None
    thing_id: str | None
    area_code: str
    error: str
    failed_at: datetime


class Retried(ResponseBody):
    retried: int


async def list_failed_jobs(
    session: AsyncSession, caller: Caller, *, cursor: str | None, limit: int
) -> Page[FailedJobLine]:
    """List the failed jobs of the caller's areas, latest first. One query."""
    require_role(caller, DIRECTORY_ROLES)
    page, next_cursor = await fetch_page(session, _failed(caller), _LATEST_FIRST, cursor, limit)
    return Page(items=[_line(row) for (row,) in page], next_cursor=next_cursor)


async def retry_job(session: AsyncSession, caller: Caller, failed_id: UUID) -> None:
    """Queue a failed job again, with a new set of attempts. Raises `thing.not_found` if it has not failed."""
    require_role(caller, DIRECTORY_ROLES)
    found = require_found(await session.scalar(_failed(caller).where(FailedJob.id == failed_id)))
    await _retry(session, caller, [found.id])


async def retry_all_jobs(session: AsyncSession, caller: Caller) -> Retried:
    """Queue all failed jobs of the caller's areas again."""
    require_role(caller, DIRECTORY_ROLES)
    ids = (await session.scalars(_failed(caller).with_only_columns(FailedJob.id))).all()
    return Retried(retried=await _retry(session, caller, ids))


class DismissJob(RequestBody):
    """Why nothing will be done about the job; it goes into the audit trail."""

    reason: Annotated[str, Meta(min_length=2, max_length=200, pattern="\\S.*\\S")]


async def dismiss_job(session: AsyncSession, caller: Caller, failed_id: UUID, data: DismissJob) -> None:
    """Take a failed job off the list without running it again. Raises `thing.not_found` if it has not failed."""
    require_role(caller, DIRECTORY_ROLES)
    found = require_found(await session.scalar(_failed(caller).where(FailedJob.id == failed_id)))
    connection = await session.connection()
    params = {"id": found.id, "reason": data.reason.strip(), "now": utc_now(), **actor_params(caller)}
    await connection.exec_driver_sql(_DISMISS, params)


def _failed(caller: Caller) -> Select[FailedJob]:
    return readable(FailedJob, caller).where(_IS_STILL_FAILED)


def _line(row: FailedJob) -> FailedJobLine:
    return FailedJobLine(
        id=row.id,
        task=row.task,
        thing_kind=row.thing_kind,
        thing_id=row.thing_id,
        area_code=row.area_code,
        error=row.error,
        failed_at=row.failed_at,
    )


_AUDIT = audit_cte(
    Action.JOB_TRIED_AGAIN,
    """SELECT 'job', job_id::text, NULLIF(area_code, ''), jsonb_build_object(
        'task', task, 'error', error, 'kind', thing_kind, 'id', thing_id) FROM taken""",
)
# A job that waits under the same queueing lock does not stand in the way: the retried one gives its lock up, and at
# worst the work is done twice. A photo that the job had marked as failed is waiting again.
_RETRY = f"""
WITH again AS (
    UPDATE procrastinate_jobs SET status = 'todo', attempts = 0, scheduled_at = NULL, queueing_lock = NULL
    WHERE status = 'failed' AND id IN (SELECT job_id FROM failed_job WHERE id = ANY(%(ids)s))
    RETURNING id, task_name, args
), waiting AS (
    UPDATE photo SET parked_at = NULL, parked_error = NULL FROM again
    WHERE again.task_name = '{ProcessPhoto.task_name}' AND photo.sha256 = again.args ->> 'sha256'
), taken AS (
    DELETE FROM failed_job USING again WHERE failed_job.job_id = again.id RETURNING failed_job.*
), {_AUDIT}
SELECT count(*) FROM taken
"""  # noqa: S608  the names are constants


_DISMISSAL = audit_cte(
    Action.JOB_DISMISSED,
    """SELECT 'job', job_id::text, NULLIF(area_code, ''), jsonb_build_object('task', task, 'error', error,
        'kind', thing_kind, 'id', thing_id, 'reason', %(reason)s::text) FROM taken""",
)
# The job stays in the queue's table, cancelled.
_DISMISS = f"""
WITH gone AS (
    UPDATE procrastinate_jobs SET status = 'cancelled'
    WHERE status = 'failed' AND id = (SELECT job_id FROM failed_job WHERE id = %(id)s) RETURNING id
), taken AS (
    DELETE FROM failed_job USING gone WHERE failed_job.job_id = gone.id RETURNING failed_job.*
), {_DISMISSAL}
SELECT count(*) FROM taken
"""  # noqa: S608  the parts are constants


async def _retry(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> int:
    connection = await session.connection()
    params = {"ids": list(ids), "now": utc_now(), **actor_params(caller)}
    retried: int = (await connection.exec_driver_sql(_RETRY, params)).scalar_one()
    return retried


# -- recording


class Subject(NamedTuple):
    kind: str | None
    id: str | None
    area_code: str


_NOTHING_KNOWN = Subject(None, None, "")


@jobs.record_failures
async def record_failure(services: Services, failure: FinalFailure) -> None:
    """Record a failed job with what it is about, or its latest error if it had failed before."""
    async with open_session(services.sessions) as session:
        subject = await find_subject(session, failure.arguments)
        row = insert(FailedJob).values(
            id=new_id(),
            job_id=failure.job_id,
            task=failure.task_name,
            thing_kind=subject.kind,
            thing_id=subject.id,
            area_code=subject.area_code,
            error=failure.error,
            failed_at=failure.at or utc_now(),
        )
        news = {name: row.excluded[name] for name in ("thing_kind", "thing_id", "area_code", "error", "failed_at")}
        await session.execute(row.on_conflict_do_update(index_elements=["job_id"], set_=news))


async def find_subject(session: AsyncSession, arguments: Mapping[str, Any]) -> Subject:
    """Find what a job is about by the names of its arguments, the nearest thing first."""
    for name, find in _FINDERS.items():
        if not arguments.get(name):
            continue
        try:
            query = find(arguments[name])
        except (ValueError, TypeError):
            continue  # a job whose arguments don't fit its type is about nothing known
        row = (await session.execute(query.limit(1))).first()
        if row is not None:
            return Subject._make(row)
    return _NOTHING_KNOWN


def _id(value: Any) -> UUID:
    return UUID(str(value))


def _found(kind: str, thing_id: Any, area_code: Any) -> Select[str, str, str]:
    return select(literal(kind), cast(thing_id, String), area_code)


def _of_photos(*conditions: Callable[[Any], Any]) -> Select[str, str, str]:
    """The visit or the case that has the photos."""
    of_visit = (
        _found("visit", Visit.id, Visit.area_code)
        .join_from(Evidence, Visit, Visit.id == Evidence.visit_id)
        .where(*(condition(Evidence) for condition in conditions))
    )
    of_case = (
        _found("case", CaseFile.id, Household.area_code)
        .join_from(PaperPhoto, CaseFile, CaseFile.id == PaperPhoto.case_id)
        .join(Household, Household.id == CaseFile.household_id)
        .where(*(condition(PaperPhoto) for condition in conditions))
    )
    both = of_visit.union_all(of_case).subquery()
    return select(both)


def _with_hash(sha256: str) -> Select[str, str, str]:
    return _of_photos(lambda table: table.sha256 == str(sha256))


def _with_ids(ids: Collection[Any]) -> Select[str, str, str]:
    chosen = [_id(value) for value in ids]
    return _of_photos(lambda table: table.id.in_(chosen))


def _of_upload(upload_id: str) -> Select[str, str, str]:
    photo: Any = select(Upload.evidence_id).where(Upload.id == str(upload_id)).scalar_subquery()
    return _of_photos(lambda table: table.id == photo)


_FINDERS: Mapping[str, Callable[[Any], Select[str, str, str]]] = {
    "visit_id": lambda value: _found("visit", Visit.id, Visit.area_code).where(Visit.id == _id(value)),
    "decision_id": lambda value: (
        _found("visit", Visit.id, Visit.area_code)
        .join_from(Decision, Visit, Visit.id == Decision.visit_id)
        .where(Decision.id == _id(value))
    ),
    "case_id": lambda value: (
        _found("case", CaseFile.id, Household.area_code)
        .join_from(CaseFile, Household, Household.id == CaseFile.household_id)
        .where(CaseFile.id == _id(value))
    ),
    "household_id": lambda value: _found("household", Household.id, Household.area_code).where(
        Household.id == _id(value)
    ),
    "sha256": _with_hash,
    "photo_ids": _with_ids,
    "upload_id": _of_upload,
    "announcement_id": lambda value: _found("announcement", Announcement.id, Announcement.area_code).where(
        Announcement.id == _id(value)
    ),
    "delivery_id": lambda value: (
        _found("announcement", Announcement.id, Announcement.area_code)
        .join_from(MessageDelivery, Announcement, Announcement.id == MessageDelivery.announcement_id)
        .where(MessageDelivery.id == _id(value))
    ),
    "notice_id": lambda value: _found("notice", Notice.id, Notice.area_code).where(Notice.id == _id(value)),
    "export_id": lambda value: _found("package", AreaExport.id, AreaExport.area_code).where(
        AreaExport.id == _id(value)
    ),
    "batch_id": lambda value: _found("import", ImportBatch.id, ImportBatch.area_code).where(
        ImportBatch.id == _id(value)
    ),
    "raise_id": lambda value: _found("area", StandardRaise.area_code, StandardRaise.area_code).where(
        StandardRaise.id == _id(value)
    ),
    "roster_id": lambda value: _found("area", Roster.area_code, Roster.area_code).where(Roster.id == _id(value)),
    "code_id": lambda value: (
        _found("household", Household.id, Household.area_code)
        .join_from(SignInCode, Household, Household.id == SignInCode.household_id)
        .where(SignInCode.id == _id(value))
    ),
    "county_code": lambda value: _found("area", literal(str(value)), literal(str(value))),
    "area_code": lambda value: _found("area", literal(str(value)), literal(str(value))),
}

_UNRECORDED = """
SELECT job.id, job.task_name, job.args,
    (SELECT max(at) FROM procrastinate_events WHERE job_id = job.id AND type = 'failed') AS failed_at
FROM procrastinate_jobs job
WHERE status = 'failed' AND NOT EXISTS (SELECT FROM failed_job WHERE failed_job.job_id = job.id)
ORDER BY job.id LIMIT %(batch)s
"""
# A job is recorded a moment before it is marked as failed.
_FORGET = """
DELETE FROM failed_job WHERE NOT EXISTS (
    SELECT FROM procrastinate_jobs WHERE id = job_id AND status IN ('failed', 'doing')
) RETURNING job_id
"""


async def report_unrecorded(services: Services) -> None:
    """Report failed jobs that nobody recorded: from an older version, or while the database was lost."""
    await services.autocommit.run(_FORGET, {})
    for row in await services.autocommit.run(_UNRECORDED, {"batch": _BATCH}):
        await jobs.report_final_failure(
            services, FinalFailure(row.id, row.task_name, row.args, UNRECORDED, row.failed_at)
        )
