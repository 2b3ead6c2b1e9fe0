"""Handouts that phones recorded become lines of the ledger, each once.

A record is never lost and never overwrites another: what the ledger can't take stays as a record, its caseworker reads
why, and a finding puts it before a person.
"""

import itertools
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import exists, select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.aid.examine import examine_batch
from server.aid.handouts import Handout, HandoutFix, write_handout
from server.aid.phone_tasks import send_handout_tasks
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.device_times import ReportedTime, storable_times
from server.core.errors import Problem
from server.core.free_text import mask_numbers
from server.core.job_types import EnterHandouts
from server.core.location import usable_fix
from server.core.log import log
from server.core.services import Services
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.aid import AidBatch, AidLine, AidLineRecord
from server.models.records import Record, RecordVersion
from server.records.handouts import KIND, DueLine, find_signature, read_given, says_given
from server.sync_feed.publish import publish_change

AidOutcome = Literal["entered", "repeated", "late", "contrary", "overtaken", "unreadable"]
# What fails again however often it is tried. Any other error, such as a lost connection, is the job's to try again.
_FAILS_FOR_GOOD = (Problem, DataError, IntegrityError, ArithmeticError, LookupError, TypeError, ValueError)


@jobs.task(EnterHandouts)
async def enter_handouts(services: Services, _: EnterHandouts) -> None:
    """Enter all that waits, each batch in a transaction of its own. Idempotent.

    A batch that fails keeps no other waiting; the job fails afterwards, and is tried again.
    """
    async with open_session(services.sessions) as session:
        waiting = select(AidLine.batch_id).distinct().join(Record, Record.subject_id == AidLine.id)
        batch_ids = list(await session.scalars(waiting.where(*_is_waiting()).order_by(AidLine.batch_id)))
    failed: Exception | None = None
    for batch_id in batch_ids:
        try:
            async with open_session(services.sessions) as session:
                await enter_batch(session, batch_id, utc_now())
        except Exception as error:  # noqa: BLE001  raised below, once the others are done
            log.error("aid.batch_failed", batch=str(batch_id), why=type(error).__name__)
            failed = failed or error
    if failed is not None:
        raise failed


def _is_waiting() -> tuple[Any, ...]:
    """Submitted, and not looked at in this version."""
    looked_at = exists().where(AidLineRecord.record_id == Record.id, AidLineRecord.version == Record.version)
    return Record.kind == KIND, Record.state.in_(["submitted", "amended"]), ~looked_at


async def enter_batch(session: AsyncSession, batch_id: UUID, now: datetime) -> None:
    """Enter the records of a batch in the order in which they arrived."""
    batch: AidBatch = (await session.scalars(select(AidBatch).where(AidBatch.id == batch_id).with_for_update())).one()
    await enter_waiting(session, batch, now)


async def enter_waiting(session: AsyncSession, batch: AidBatch, now: datetime, *, is_closing: bool = False) -> int:
    """Enter the records of the locked batch. Return how many findings wait for a person."""
    rows = await session.execute(
        select(Record, AidLine)
        .join(AidLine, AidLine.id == Record.subject_id)
        .where(AidLine.batch_id == batch.id, *_is_waiting())
        .order_by(Record.submitted_at, Record.id)
    )
    looked_at: list[tuple[Record, AidLine]] = []
    for record, line in rows.all():
        try:
            async with session.begin_nested():
                await _enter(session, batch, line, record, now)
        except _FAILS_FOR_GOOD as error:
            # One record that can't be read must not keep the others, and is put before a person.
            await session.refresh(line)
            log.warning("aid.record_failed", record=str(record.id), why=type(error).__name__)
            await _write_outcome(session, line, record, "unreadable", now)
        looked_at.append((record, line))
    waiting = await examine_batch(session, batch, now, is_closing=is_closing)
    await publish_change(session, "records", [record.id for record, _ in looked_at])
    await send_handout_tasks(session, batch, {line.area_code for _, line in looked_at})
    return waiting


async def enter_late_records(
    session: AsyncSession, caller: Caller, batch: AidBatch, line_ids: Collection[UUID], now: datetime
) -> None:
    """Enter what phones say was handed out of lines that the closed batch has as not handed out.

    Whoever closed the batch, wrote that nothing was handed out, or recorded that it was, is not who says which is so.
    Raise `aid.second_person`, `case.own_relative`.
    """
    rows = await session.execute(
        select(Record, AidLine, AidLineRecord)
        .join(AidLine, AidLine.id == Record.subject_id)
        .join(AidLineRecord, AidLineRecord.record_id == Record.id)
        .where(AidLine.batch_id == batch.id, AidLine.id.in_(line_ids), AidLineRecord.outcome == "late")
        .order_by(Record.submitted_at, Record.id)
    )
    late = [row for row in rows.all() if says_given(row[0].document)]
    await require_no_conflict_of_interest(session, caller, *{line.household_id for _, line, _ in late})
    for record, line, entry in late:
        if any(caller.acts_as(person) for person in (batch.closed_by, line.recorded_by, record.author_id)):
            raise Problem("aid.second_person")
        entry.outcome, entry.looked_at = "repeated", now
        if line.state == "not_handed_out":
            earlier = await _load_earlier(session, record)
            handout = read_handout(batch, line, record, earlier, day_of(now))
            write_handout(line, handout, record.author_id, now, record.id)
            _record_entry(session, batch, record, handout, caller)
            entry.outcome = "entered"
    await session.flush()  # the findings are looked for in the table
    await publish_change(session, "records", [record.id for record, *_ in late])


async def _enter(session: AsyncSession, batch: AidBatch, line: AidLine, record: Record, now: datetime) -> None:
    earlier = await _load_earlier(session, record)
    handout = read_handout(batch, line, record, earlier, day_of(now))
    stands = line.record_id == record.id
    outcome = judge_record(batch.state, line.state, stands=stands, is_given=handout.state == "handed_out")
    is_changed = False
    if outcome == "entered":
        was_given = line.state == "handed_out"
        changed = write_handout(line, handout, record.author_id, now, record.id)
        is_changed = (was_given and changed) or (
            # An amendment may be here before the ledger looks at what it amends.
            handout.state != "handed_out" and any(says_given(document) for document in earlier)
        )
        if changed:
            _record_entry(session, batch, record, handout)
    await _write_outcome(session, line, record, outcome, now, is_changed=is_changed)


async def _load_earlier(session: AsyncSession, record: Record) -> list[dict[str, Any]]:
    """Return the documents that amendments have superseded, the newest first."""
    if record.version == 1:
        return []
    earlier = select(RecordVersion.document).where(RecordVersion.record_id == record.id)
    return list(await session.scalars(earlier.order_by(RecordVersion.number.desc())))


async def _write_outcome(
    session: AsyncSession,
    line: AidLine,
    record: Record,
    outcome: AidOutcome,
    now: datetime,
    *,
    is_changed: bool = False,
) -> None:
    entry = await session.get(AidLineRecord, record.id)
    if entry is None:
        entry = AidLineRecord(record_id=record.id, line_id=line.id, is_changed=False)
        session.add(entry)
    entry.version, entry.outcome, entry.looked_at = record.version, outcome, now
    entry.is_changed = entry.is_changed or is_changed
    await session.flush()  # what the tables refuse is this record's failure, not that of its batch


def judge_record(batch_state: str, line_state: str, *, stands: bool, is_given: bool) -> AidOutcome:
    """Say what becomes of a record. `stands`: what the line says is this record's own word.

    What was handed out is changed by an amendment of the same record alone, and never into nothing: taking back is an
    act of the desk.
    """
    if line_state == "handed_out" and not stands:
        return "repeated" if is_given else "overtaken"
    if batch_state != "released" or line_state not in {"planned", "not_handed_out", "handed_out"}:
        return "late"
    if line_state == "handed_out" and not is_given:
        return "contrary"
    return "entered"


def read_handout(
    batch: AidBatch, line: AidLine, record: Record, earlier: Sequence[dict[str, Any]], today: date
) -> Handout:
    """Read a record as a handout of the ledger. Its picture is the one that the signed document lists.

    The record keeps every word as it was signed; in the ledger, which is read by more people, identity and card numbers
    in them are masked.
    """
    answers = record.document["answers"]
    if answers["given_outcome"] == "not_handed_out":
        return Handout(line_id=line.id, state="not_handed_out", reason=_read_text(answers["not_given_reason"], 1000))
    due = DueLine(line.area_code, batch.form == "money", line.planned_milli, line.planned_fen)
    given = None if answers.get("given_as_agreed") is True else read_given(due, answers)
    listed: Sequence[dict[str, str]] = record.document.get("photos") or []
    return Handout(
        line_id=line.id,
        state="handed_out",
        given_on=find_given_day(batch, record, earlier, today),
        milli=None if due.is_money else given,
        fen=given if due.is_money else None,
        recipient=answers["given_to"],
        recipient_name=_read_text(answers.get("recipient_name"), 40),
        relation=_read_text(answers.get("recipient_relation"), 40),
        signature_sha256=find_signature(answers, [(photo["id"].lower(), photo["sha256"]) for photo in listed]),
        fix=_read_fix(record.document.get("fix")),
    )


def find_given_day(batch: AidBatch, record: Record, earlier: Sequence[dict[str, Any]], today: date) -> date:
    """Return the day on which the record, or the amendment that first said so, was completed.

    A draft may have been begun days before. A phone that puts it before the month of the batch, before its beginning or
    after today has a wrong clock.
    """
    said = [record.document, *itertools.takewhile(says_given, earlier)][-1]
    amendment = said.get("amendment")
    began_on, arrived_at = day_of(record.started_at), record.submitted_at or record.received_at
    completed = _read_time(amendment["amendedAt"] if amendment else said.get("endedAt"), arrived_at)
    if completed is not None and max(batch.month, began_on) <= day_of(completed) <= today:
        return day_of(completed)
    return began_on if not amendment and batch.month <= began_on <= today else day_of(arrived_at)


def _read_time(text: str | None, received_at: datetime) -> datetime | None:
    at = msgspec.convert(text, ReportedTime) if text else None
    return at if at is not None and storable_times(received_at).contain(at) else None


def _read_text(text: object, most: int) -> str:
    return mask_numbers(str(text or ""))[:most]


def _read_fix(reported: dict[str, Any] | None) -> HandoutFix | None:
    """Read where it was, without what no sensor can give: iOS says -1 for an accuracy that it does not know."""
    fix = usable_fix(reported)
    if fix is None:
        return None
    return HandoutFix(latitude=fix.latitude, longitude=fix.longitude, datum=fix.datum, accuracy_m=fix.accuracy_m)


def _record_entry(
    session: AsyncSession, batch: AidBatch, record: Record, handout: Handout, caller: Caller | None = None
) -> None:
    is_given = handout.state == "handed_out"
    audit.record(
        session, caller, Action.AID_HANDED_OUT, "aid_batch", batch.id, area_code=batch.area_code, record=str(record.id),
        staff=str(record.author_id), handed_out=int(is_given), not_handed_out=int(not is_given),
    )  # fmt: skip
