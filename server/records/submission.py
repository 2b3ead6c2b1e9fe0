"""Records from a phone: what may be pushed, what a submission needs, and the document that comes back.

As with visits: the same row again changes nothing, a submitted record changes by an amendment alone, and every
version before it stays with its receipt. A clock that stands wrong is no reason to refuse a record.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.checklists.answers import validate_answers
from server.checklists.facts import Facts
from server.checklists.template import Template
from server.core import jobs
from server.core.access import FIELD_ROLES, Caller, readable
from server.core.clock import utc_now
from server.core.device_times import TimeBounds, believe_time, bound_times
from server.core.errors import Fault, Problem
from server.core.services import Services
from server.core.tokens import StatementKind
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.checklists import ChecklistTemplate
from server.models.households import Caseload, Household
from server.models.people import Device, StaffRole
from server.models.postings import Posting
from server.models.records import Record, RecordVersion
from server.policy.resolver import load_policy_values
from server.records import handouts
from server.records.declarations import DECLARATIONS
from server.records.handouts import DueLine
from server.records.task_closing import close_task
from server.sync_feed.documents import RecordDocument
from server.sync_feed.publish import publish_change, withdraw_change
from server.sync_feed.verdicts import Applied, Conflict, Incoming, Quarantine, Verdict, judge

NOT_YET_SUBMITTED = ("draft", "discarded")
# What was recorded on the spot; everything else may be amended.
NOT_AMENDABLE = (
    "kind", "checklistCode", "checklistVersion", "areaCode", "taskId", "subjectKind", "subjectId", "startedAt", "fix",
    "noFixReason",
)  # fmt: skip
# How late a phone may bring what it began after its holder's role or homes had ended, unknown to it.
SYNCS_WITHIN = timedelta(days=90)
_STILL = datetime.max.replace(tzinfo=UTC)
HOUSEHOLD, POSTING = "household", "posting"


class Context(NamedTuple):
    """What the rows of a push are judged by."""

    stored: Mapping[UUID, Record]
    # Villages in which the author works or worked, with their settings, and until when.
    settings: Mapping[str, dict[str, Any]]
    held_until: Mapping[str, datetime]
    # The village of each subject, by its kind and id.
    subjects: Mapping[tuple[str, UUID | None], str]
    checklists: Mapping[tuple[str, int], Template]
    # Lines of the ledger that may be handed out.
    due_lines: Mapping[UUID, DueLine]
    # How far the phone's own clock was measured to be ahead.
    clock_ahead: timedelta
    now: datetime


async def apply_records(
    session: AsyncSession, services: Services, caller: Caller, rows: Sequence[Incoming[RecordDocument]]
) -> list[Verdict]:
    context = await _load_context(session, caller, rows)
    verdicts: list[Verdict] = []
    for row in rows:
        stored = context.stored.get(row.document.id)
        verdict = _judge(context, stored, caller, row)
        verdicts.append(verdict or await _write(session, services, caller, context, stored, row))
    return verdicts


async def _load_context(session: AsyncSession, caller: Caller, rows: Sequence[Incoming[RecordDocument]]) -> Context:
    documents = [row.document for row in rows]
    ids = [document.id for document in documents]
    locked = select(Record).where(Record.id.in_(ids)).order_by(Record.id).with_for_update()
    stored = {record.id: record for record in await session.scalars(locked)}
    now = utc_now()
    areas = await _list_own_areas(session, caller, {document.area_code for document in documents})
    keys = ["field.earliest_day", "field.clock_ahead_min"]
    settings = {area: await load_policy_values(session, area, day_of(now), keys) for area in areas}
    checklists = {(document.checklist_code, document.checklist_version) for document in documents}
    lines = {document.subject_id for document in documents if document.subject_kind == handouts.LINE}
    due_lines = await handouts.load_due_lines(session, caller, [line_id for line_id in lines if line_id])
    return Context(
        stored,
        settings,
        areas,
        await _load_subjects(session, caller, documents)
        | {(handouts.LINE, line_id): line.area_code for line_id, line in due_lines.items()},
        await _load_checklists(session, checklists),
        due_lines,
        await _load_clock_ahead(session, caller) if due_lines else timedelta(),
        now,
    )


async def _load_clock_ahead(session: AsyncSession, caller: Caller) -> timedelta:
    offset_ms = await session.scalar(select(Device.clock_offset_ms).where(Device.id == caller.device_id))
    return timedelta(milliseconds=max(offset_ms or 0, 0))


async def _list_own_areas(session: AsyncSession, caller: Caller, codes: set[str]) -> dict[str, datetime]:
    """Return the villages in which the caller works, worked, or holds or held a home, and until when."""
    roles = select(StaffRole.area_code, StaffRole.revoked_at).where(
        StaffRole.staff_id == caller.id, StaffRole.role.in_(FIELD_ROLES)
    )
    homes = (
        select(Household.area_code, Caseload.revoked_at)
        .join(Caseload, Caseload.household_id == Household.id)
        .where(Caseload.staff_id == caller.id, Household.area_code.in_(codes))
    )
    held = [*await session.execute(roles), *await session.execute(homes)]
    areas: dict[str, datetime] = {}
    for code in await session.scalars(select(Area.code).where(Area.code.in_(codes))):
        ends = [ended_at or _STILL for prefix, ended_at in held if code.startswith(prefix)]
        if ends:
            areas[code] = max(ends)
    return areas


async def _load_subjects(
    session: AsyncSession, caller: Caller, documents: Sequence[RecordDocument]
) -> dict[tuple[str, UUID | None], str]:
    """Return the village of each subject: of homes that the caller may see or held, and of postings."""
    subjects: dict[tuple[str, UUID | None], str] = {}
    for kind, load in ((HOUSEHOLD, _load_own_households), (POSTING, _load_postings)):
        ids = {document.subject_id for document in documents if document.subject_kind == kind and document.subject_id}
        if ids:
            subjects |= {(kind, subject_id): area for subject_id, area in (await load(session, caller, ids)).items()}
    return subjects


async def _load_postings(session: AsyncSession, caller: Caller, ids: set[UUID]) -> dict[UUID, str]:
    """Of any village: the record's own has to be one of the author's, and the same."""
    del caller
    rows = await session.execute(select(Posting.id, Posting.area_code).where(Posting.id.in_(ids)))
    return dict(rows.all())


async def _load_own_households(session: AsyncSession, caller: Caller, ids: set[UUID]) -> dict[UUID, str]:
    held = select(Caseload.household_id).where(Caseload.staff_id == caller.id)
    rows = select(Household.id, Household.area_code).where(
        Household.id.in_(ids), Household.in_scope(caller) | Household.id.in_(held)
    )
    return dict((await session.execute(rows)).all())


async def _load_checklists(session: AsyncSession, versions: set[tuple[str, int]]) -> dict[tuple[str, int], Template]:
    rows = await session.scalars(
        select(ChecklistTemplate).where(tuple_(ChecklistTemplate.code, ChecklistTemplate.version).in_(list(versions)))
    )
    return {(row.code, row.version): msgspec.convert(row.body, Template) for row in rows}


def _judge(context: Context, stored: Record | None, caller: Caller, row: Incoming[RecordDocument]) -> Verdict | None:
    """Return why this row is not written; None when it is."""
    document = row.document
    if stored is not None:
        if stored.author_id != caller.id:
            return Conflict()
        verdict = judge(row, stored.content_hash)
        if verdict is not None:
            return verdict
        if stored.state not in NOT_YET_SUBMITTED:
            refusal = _refuse_amendment(stored, row)
            if refusal is not None:
                return Conflict(refusal)
    try:
        _check_draft(context, document)
        if _is_submitted(document):
            _check_submission(context, document)
    except Problem as problem:
        return Quarantine(problem)
    return None


def _refuse_amendment(stored: Record, row: Incoming[RecordDocument]) -> Problem | None:
    document = row.document
    if document.amendment is None or document.state == "draft" or document.deleted:
        return Problem("record.frozen")
    changed = [name for name in NOT_AMENDABLE if row.raw.get(name) != stored.document.get(name)]
    return Problem("record.amends_the_record", fields=", ".join(changed)) if changed else None


def _is_submitted(document: RecordDocument) -> bool:
    return document.state == "submitted" and not document.deleted


def _check_draft(context: Context, document: RecordDocument) -> None:
    if document.area_code not in context.settings or not _worked_there(context, document):
        raise Problem("record.area_unknown")
    checklist = context.checklists.get((document.checklist_code, document.checklist_version))
    if checklist is None or checklist.kind != document.kind:
        raise Problem("visit.checklist_unknown")
    _check_subject(context, document)


def _worked_there(context: Context, document: RecordDocument) -> bool:
    """A phone may sync late: what was begun while the author worked there, or what comes soon after."""
    held_until = context.held_until[document.area_code]
    return held_until > context.now - SYNCS_WITHIN or _started_at(context, document) <= held_until


def _check_subject(context: Context, document: RecordDocument) -> None:
    declared = DECLARATIONS[document.kind].subject_kind
    if document.subject_kind != declared or (document.subject_id is None) != (declared is None):
        raise Problem("record.subject_unknown")
    if declared is not None and context.subjects.get((declared, document.subject_id)) != document.area_code:
        raise Problem("record.subject_unknown")
    if declared == handouts.LINE and document.subject_id and not _had_home(context, document, document.subject_id):
        raise Problem("record.subject_unknown")


def _had_home(context: Context, document: RecordDocument, line_id: UUID) -> bool:
    """As for visits: of a time that nobody can believe nothing follows, and a phone's clock may be ahead."""
    started_at = document.started_at
    if started_at is None or not _bounds(context, document).contain(started_at):
        return True
    allowed = timedelta(minutes=context.settings[document.area_code]["field.clock_ahead_min"])
    return handouts.was_held(context.due_lines[line_id], started_at, max(context.clock_ahead, allowed))


def _check_submission(context: Context, document: RecordDocument) -> None:
    """Raise the first requirement that the submission breaks, else all faults of its answers at once."""
    if document.started_at is None:
        raise Problem("record.time_missing")
    if document.fix is None and not document.no_fix_reason.strip():
        raise Problem("record.fix_missing")
    if len({photo.id for photo in document.photos}) != len(document.photos):
        raise Problem("visit.photo_listed_twice")
    faults = [*_people_faults(document), *_answer_faults(context, document)]
    if document.kind == handouts.KIND and document.subject_id and not faults:
        faults += handouts.list_handout_faults(document, context.due_lines[document.subject_id])
    if faults:
        raise Problem("visit.answers_invalid", faults=faults)


def _people_faults(document: RecordDocument) -> list[Fault]:
    least = DECLARATIONS[document.kind].people_least
    if len({(person.name, person.member_id) for person in document.people}) >= least:
        return []
    return [Fault("/people", "record.people_missing", f"至少填写 {least} 人")]


def _answer_faults(context: Context, document: RecordDocument) -> list[Fault]:
    template = context.checklists[document.checklist_code, document.checklist_version]
    faults = validate_answers(
        template, document.answers, member_ids=[], facts=Facts(today=_day(context, document)), stage="submitted"
    )
    return [Fault(fault.pointer, fault.code, fault.zh) for fault in faults if fault.severity == "error"]


def _day(context: Context, document: RecordDocument) -> date:
    return day_of(_started_at(context, document))


def _started_at(context: Context, document: RecordDocument) -> datetime:
    """A time that nobody can believe is replaced by that of its arrival; the document keeps what the phone said."""
    return believe_time(document.started_at, _bounds(context, document), context.now) or context.now


def _bounds(context: Context, document: RecordDocument) -> TimeBounds:
    settings = context.settings[document.area_code]
    earliest = date.fromisoformat(settings["field.earliest_day"])
    return bound_times(context.now, earliest, timedelta(minutes=settings["field.clock_ahead_min"]))


async def _write(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    context: Context,
    stored: Record | None,
    row: Incoming[RecordDocument],
) -> Verdict:
    columns = _columns(services, caller, context, stored, row)
    if stored is not None:
        if stored.state not in NOT_YET_SUBMITTED:
            _archive_version(session, stored, context.now)
        for name, value in columns.items():
            setattr(stored, name, value)
    else:
        fresh = insert(Record).values(id=row.document.id, **columns).on_conflict_do_nothing().returning(Record.id)
        if await session.scalar(fresh) is None:
            duplicate = await session.get_one(Record, row.document.id)
            return judge(row, duplicate.content_hash) or Conflict()
    if _is_submitted(row.document):
        action = Action.RECORD_AMENDED if row.document.amendment else Action.RECORD_SUBMITTED
        audit.record(
            session, caller, action, "record", row.document.id, area_code=row.document.area_code, kind=row.document.kind
        )
        if DECLARATIONS[row.document.kind].does_task:
            await close_task(session, row.document.task_id, row.document.kind, caller)
        feeds = DECLARATIONS[row.document.kind].feeds
        if feeds is not None:
            await jobs.defer(session, feeds, in_turn=feeds.task_name)
    await session.flush()  # publish_change reads it
    if row.document.deleted:
        await withdraw_change(session, "records", [row.document.id])
    else:
        await publish_change(session, "records", [row.document.id])
    return Applied()


def _columns(
    services: Services, caller: Caller, context: Context, stored: Record | None, row: Incoming[RecordDocument]
) -> dict[str, Any]:
    document = row.document
    amended = stored if stored is not None and stored.state not in NOT_YET_SUBMITTED else None
    submitted = _is_submitted(document)
    return {
        "kind": document.kind,
        "task_id": document.task_id,
        "area_code": document.area_code,
        "subject_kind": document.subject_kind,
        "subject_id": document.subject_id,
        "checklist_code": document.checklist_code,
        "checklist_version": document.checklist_version,
        "author_id": caller.id,
        "device_id": caller.device_id,
        "state": "discarded" if document.deleted else "amended" if amended else document.state,
        "started_at": amended.started_at if amended else _started_at(context, document),
        "document": row.raw,
        "content_hash": row.content_hash,
        "received_at": amended.received_at if amended else context.now,
        "submitted_at": context.now if submitted else None,
        "receipt": _sign(services, caller, amended, row, context.now) if submitted else None,
        "version": amended.version + 1 if amended else 1,
        "updated_at": context.now,
    }


def _sign(
    services: Services, caller: Caller, amended: Record | None, row: Incoming[RecordDocument], now: datetime
) -> str:
    """Sign the receipt: the record's hash, when it was received, and the version it amends."""
    return services.receipts.sign(
        StatementKind.RECEIPT,
        {
            "recordId": str(row.document.id),
            "sha256": row.content_hash,
            "receivedAt": now.isoformat(),
            "authorId": str(caller.id),
            **({"amends": amended.content_hash} if amended else {}),
        },
    )


def _archive_version(session: AsyncSession, record: Record, now: datetime) -> None:
    """Copy the record to `record_version` before its amendment overwrites it."""
    assert record.receipt is not None
    assert record.submitted_at is not None
    session.add(
        RecordVersion(
            record_id=record.id,
            number=record.version,
            document=record.document,
            content_hash=record.content_hash,
            receipt=record.receipt,
            device_id=record.device_id,
            submitted_at=record.submitted_at,
            superseded_at=now,
        )
    )


async def load_records(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> dict[str, Any]:
    """Load the author's own records with the server's part under `server`."""
    rows = readable(Record, caller).where(Record.id.in_(ids), Record.author_id == caller.id)
    records = list(await session.scalars(rows))
    outcomes = await handouts.load_outcomes(
        session, [record.id for record in records if record.subject_kind == handouts.LINE]
    )
    return {
        str(record.id): {
            "_deleted": False,
            **record.document,
            "server": {
                "state": record.state,
                "receivedAt": record.received_at.isoformat(),
                "submittedAt": record.submitted_at.isoformat() if record.submitted_at else None,
                "receipt": record.receipt,
                "version": record.version,
                **({"outcome": outcomes[record.id]} if record.id in outcomes else {}),
            },
        }
        for record in records
    }
