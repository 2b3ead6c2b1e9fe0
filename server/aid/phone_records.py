"""Handouts that phones recorded become lines of the ledger, each once.

A record is never lost and never overwrites another: what the ledger can't take stays as a record, its caseworker reads
why, and a finding puts it before a person.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import exists, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.aid.examine import examine_batch
from server.aid.handouts import Handout, HandoutFix, write_handout
from server.aid.phone_tasks import send_handout_tasks
from server.audit.actions import Action
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import EnterHandouts
from server.core.log import log
from server.core.services import Services
from server.core.working_days import day_of
from server.models.aid import AidBatch, AidLine, AidLineRecord
from server.models.records import Record
from server.records.handouts import KIND, DueLine, find_signature, read_given
from server.sync_feed.publish import publish_change

AidOutcome = Literal["entered", "repeated", "late", "contrary", "overtaken"]


@jobs.task(EnterHandouts)
async def enter_handouts(services: Services, _: EnterHandouts) -> None:
    """Enter all that waits, each batch in a transaction of its own. Idempotent."""
    async with open_session(services.sessions) as session:
        waiting = select(AidLine.batch_id).distinct().join(Record, Record.subject_id == AidLine.id)
        batch_ids = list(await session.scalars(waiting.where(*_is_waiting()).order_by(AidLine.batch_id)))
    for batch_id in batch_ids:
        async with open_session(services.sessions) as session:
            await enter_batch(session, batch_id, utc_now())


def _is_waiting() -> tuple[Any, ...]:
    """Submitted, and not looked at in this version."""
    looked_at = exists().where(AidLineRecord.record_id == Record.id, AidLineRecord.version == Record.version)
    return Record.kind == KIND, Record.state.in_(["submitted", "amended"]), ~looked_at


async def enter_batch(session: AsyncSession, batch_id: UUID, now: datetime) -> None:
    """Enter the records of a batch in the order in which they arrived."""
    batch: AidBatch = (await session.scalars(select(AidBatch).where(AidBatch.id == batch_id).with_for_update())).one()
    rows = await session.execute(
        select(Record, AidLine)
        .join(AidLine, AidLine.id == Record.subject_id)
        .where(AidLine.batch_id == batch.id, *_is_waiting())
        .order_by(Record.submitted_at, Record.id)
    )
    entered: list[tuple[Record, AidLine]] = []
    for record, line in rows.all():
        record_id = record.id
        try:
            async with session.begin_nested():
                await _enter(session, batch, line, record, now)
        except (SQLAlchemyError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            # One record that can't be read must not keep the others.
            log.warning("aid.record_failed", record=str(record_id), why=type(error).__name__)
        else:
            entered.append((record, line))
    await examine_batch(session, batch, now)
    await publish_change(session, "records", [record.id for record, _ in entered])
    await send_handout_tasks(session, batch, {line.area_code for _, line in entered})


async def _enter(session: AsyncSession, batch: AidBatch, line: AidLine, record: Record, now: datetime) -> None:
    handout = read_handout(batch, line, record, day_of(now))
    before = await session.get(AidLineRecord, record.id)
    stands = line.record_id == record.id
    outcome = judge_record(batch.state, line.state, stands=stands, is_given=handout.state == "handed_out")
    is_changed = before is not None and before.is_changed
    if outcome == "entered":
        was_given = line.state == "handed_out"
        changed = write_handout(line, handout, record.author_id, now, record.id)
        is_changed = is_changed or (was_given and changed)
        _record_entry(session, batch, record, handout)
    if before is None:
        before = AidLineRecord(record_id=record.id, line_id=line.id)
        session.add(before)
    before.version, before.outcome, before.is_changed, before.looked_at = record.version, outcome, is_changed, now


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


def read_handout(batch: AidBatch, line: AidLine, record: Record, today: date) -> Handout:
    """Read a record as a handout of the ledger. Its picture is the one that the signed document lists."""
    answers = record.document["answers"]
    if answers["given_outcome"] == "not_handed_out":
        return Handout(line_id=line.id, state="not_handed_out", reason=answers["not_given_reason"])
    due = DueLine(line.area_code, batch.form == "money", line.planned_milli, line.planned_fen)
    given = None if answers.get("given_as_agreed") is True else read_given(due, answers)
    given_on = day_of(record.started_at)
    listed: Sequence[dict[str, str]] = record.document.get("photos") or []
    return Handout(
        line_id=line.id,
        state="handed_out",
        # A phone that puts it before the month of the batch, or after today, has a wrong clock.
        given_on=given_on if batch.month <= given_on <= today else day_of(record.submitted_at or record.received_at),
        milli=None if due.is_money else given,
        fen=given if due.is_money else None,
        recipient=answers["given_to"],
        recipient_name=str(answers.get("recipient_name") or "")[:40],
        relation=str(answers.get("recipient_relation") or "")[:40],
        signature_sha256=find_signature(answers, [(photo["id"].lower(), photo["sha256"]) for photo in listed]),
        fix=_read_fix(record.document.get("fix")),
    )


def _read_fix(fix: dict[str, Any] | None) -> HandoutFix | None:
    if not fix:
        return None
    taken = {name: fix[name] for name in ("latitude", "longitude", "datum", "accuracyM") if fix.get(name) is not None}
    return msgspec.convert(taken, HandoutFix)


def _record_entry(session: AsyncSession, batch: AidBatch, record: Record, handout: Handout) -> None:
    is_given = handout.state == "handed_out"
    audit.record(
        session, None, Action.AID_HANDED_OUT, "aid_batch", batch.id, area_code=batch.area_code, record=str(record.id),
        staff=str(record.author_id), handed_out=int(is_given), not_handed_out=int(not is_given),
    )  # fmt: skip
