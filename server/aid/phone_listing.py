"""What came of a batch from phones, and what is still open where: for the page of the batch."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, readable, require_found, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.aid import AID_READERS, DEAD_AID_STATES, AidBatch, AidLine, AidLineRecord
from server.models.areas import Area
from server.models.evidence import RECORD, Evidence
from server.models.households import Caseload
from server.models.people import Staff
from server.models.records import Record, Task
from server.records.handouts import BATCH, find_signature, says_given

_NEWEST_RECORD = Keyset(Record.submitted_at, Record.id, descending=True)
AidRecordOutcome = Literal["entered", "repeated", "late", "contrary", "overtaken", "unreadable"]


class AidPhoneRecord(ResponseBody):
    """A phone's record of a line. `signature`: the state of its picture, `missing` while the bytes are not announced.

    `photos`: how many pictures it lists, the signature among them. `version` above 1: it was amended.
    """

    record_id: UUID
    line_id: UUID
    household_number: str
    head_name: str
    area_name: str
    author_name: str
    started_at: datetime
    submitted_at: datetime
    given: bool
    outcome: AidRecordOutcome
    version: int
    signature: Literal["none", "missing", "announced", "received", "verified", "refused"]
    photos: int


class AidVillage(ResponseBody):
    """A village of a batch: whose phones hold its homes, and how many homes wait, have it, have not, came by phone."""

    area_code: str
    area_name: str
    caseworkers: list[str]
    # Null: no phone was asked.
    due_on: date | None
    waiting: int
    given: int
    not_given: int
    by_phone: int


async def list_phone_records(
    session: AsyncSession, caller: Caller, batch_id: UUID, *, cursor: str | None, limit: int
) -> Page[AidPhoneRecord]:
    """List what phones recorded of a batch, the newest first. Three queries for any page."""
    await _require_batch(session, caller, batch_id)
    rows = (
        select(Record, AidLineRecord, AidLine, Area.name, Staff.name)
        .join(AidLineRecord, AidLineRecord.record_id == Record.id)
        .join(AidLine, AidLine.id == AidLineRecord.line_id)
        .join(Area, Area.code == AidLine.area_code)
        .join(Staff, Staff.id == Record.author_id)
        .where(AidLine.batch_id == batch_id)
    )
    page, next_cursor = await fetch_page(session, rows, _NEWEST_RECORD, cursor, limit)
    states = await _load_photo_states(session, [record.id for record, *_ in page])
    return Page(items=[_view(row, states) for row in page], next_cursor=next_cursor)


async def _require_batch(session: AsyncSession, caller: Caller, batch_id: UUID) -> AidBatch:
    require_role(caller, AID_READERS)
    batch: AidBatch = require_found(await session.scalar(readable(AidBatch, caller).where(AidBatch.id == batch_id)))
    return batch


async def _load_photo_states(session: AsyncSession, record_ids: Sequence[UUID]) -> dict[tuple[UUID, str], Any]:
    rows = await session.execute(
        select(Evidence.subject_id, Evidence.sha256, Evidence.state).where(
            Evidence.subject_kind == RECORD, Evidence.subject_id.in_(record_ids)
        )
    )
    return {(record_id, sha256): state for record_id, sha256, state in rows if record_id}


def _view(row: Sequence[Any], states: Mapping[tuple[UUID, str], Any]) -> AidPhoneRecord:
    record, entry, line, area_name, author_name = row
    answers = record.document["answers"]
    listed = record.document.get("photos") or []
    sha256 = find_signature(answers, [(photo["id"].lower(), photo["sha256"]) for photo in listed])
    return AidPhoneRecord(
        record_id=record.id,
        line_id=line.id,
        household_number=line.household_number,
        head_name=line.head_name,
        area_name=area_name,
        author_name=author_name,
        started_at=record.started_at,
        submitted_at=record.submitted_at or record.received_at,
        given=says_given(record.document),
        outcome=entry.outcome,
        version=record.version,
        signature=states.get((record.id, sha256), "missing") if sha256 else "none",
        photos=len(listed),
    )


async def list_villages(session: AsyncSession, caller: Caller, batch_id: UUID) -> list[AidVillage]:
    """List the villages of a batch, those with the most homes that wait on top. Two queries."""
    await _require_batch(session, caller, batch_id)

    def count(*states: str) -> Any:
        return func.count().filter(AidLine.state.in_(states))

    counted = await session.execute(
        select(
            AidLine.area_code, Area.name, func.max(Task.due_on), count("planned"),
            count("handed_out", "taken_back"), count("not_handed_out"), func.count(AidLine.record_id),
        )
        .join(Area, Area.code == AidLine.area_code)
        .outerjoin(
            Task,
            and_(Task.subject_kind == BATCH, Task.subject_id == AidLine.batch_id, Task.area_code == AidLine.area_code),
        )
        .where(AidLine.batch_id == batch_id, AidLine.state.not_in(DEAD_AID_STATES))
        .group_by(AidLine.area_code, Area.name)
        .order_by(count("planned").desc(), AidLine.area_code)
    )  # fmt: skip
    names = await session.execute(
        select(AidLine.area_code, Staff.name)
        .distinct()
        .join(Caseload, and_(Caseload.household_id == AidLine.household_id, Caseload.revoked_at.is_(None)))
        .join(Staff, Staff.id == Caseload.staff_id)
        .where(AidLine.batch_id == batch_id, AidLine.state.not_in(DEAD_AID_STATES))
        .order_by(AidLine.area_code, Staff.name)
    )
    holders: dict[str, list[str]] = {}
    for area_code, name in names:
        holders.setdefault(area_code, []).append(name)
    return [
        AidVillage(
            area_code=area_code, area_name=area_name, caseworkers=holders.get(area_code, []), due_on=due_on,
            waiting=waiting, given=given, not_given=not_given, by_phone=by_phone,
        )
        for area_code, area_name, due_on, waiting, given, not_given, by_phone in counted
    ]  # fmt: skip
