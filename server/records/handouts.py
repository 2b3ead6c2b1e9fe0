"""Handouts on a phone: the homes of a batch that a caseworker holds, and what a record of one has to say.

One record a home: a phone that is killed, amends or meets another phone touches no home but that one. What the ledger
makes of a record is decided in its own room (`server/aid/phone_records.py`).
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.errors import Fault
from server.core.normalise import same_name
from server.models.aid import AidBatch, AidLine, AidLineRecord
from server.models.cases import RelativeOnStaff
from server.models.households import Caseload
from server.models.people import Staff
from server.models.records import Task
from server.sync_feed.documents import RecordDocument, TaskHome
from server.sync_feed.publish import HOME_BY_HOME

KIND: Final = "handout"
# What a record of a handout is about, and what a task of handouts is about.
LINE, BATCH = "aid_line", HOME_BY_HOME
# Left out or cancelled: nothing goes to the home any more.
_DEAD = ("left_out", "cancelled")
_STATES: Mapping[str, Any] = {"planned": "waiting", "handed_out": "given", "not_handed_out": "not_given"}
_QUANTITY = re.compile(r"[0-9]{1,9}(?:\.([0-9]{1,3}))?")
_FEN_DIGITS = 2
_RECIPIENTS = ("head", "member", "proxy")


class DueLine(NamedTuple):
    """A line that a phone may record: where, what two people agreed to, and until when its holder has the home.

    `held_until`: null for a home in hand.
    """

    area_code: str
    is_money: bool
    planned_milli: int | None
    planned_fen: int | None
    held_until: datetime | None = None


async def load_due_lines(session: AsyncSession, caller: Caller, ids: Collection[UUID]) -> dict[UUID, DueLine]:
    """Return those of the lines whose home the caller holds or held, and is no declared relative of."""
    if not ids:
        return {}
    rows = await session.execute(
        select(
            AidLine.id, AidLine.area_code, AidBatch.form == "money", AidLine.planned_milli, AidLine.planned_fen,
            Caseload.revoked_at,
        )
        .join(AidBatch, AidBatch.id == AidLine.batch_id)
        .join(Caseload, Caseload.household_id == AidLine.household_id)
        .where(AidLine.id.in_(ids), Caseload.staff_id == caller.id, ~_is_of_relative(caller))
        # Of a home that was held more than once, the last time counts.
        .order_by(AidLine.id, Caseload.revoked_at.asc().nulls_last())
    )  # fmt: skip
    return {line_id: DueLine(area, is_money, milli, fen, until) for line_id, area, is_money, milli, fen, until in rows}


def was_held(line: DueLine, started_at: datetime, ahead: timedelta) -> bool:
    """Say whether its home was in hand when a record of it began, as for visits: by a clock that may be ahead."""
    return line.held_until is None or started_at - line.held_until <= ahead


def _is_of_relative(caller: Caller) -> ColumnElement[bool]:
    names = or_(*(same_name(RelativeOnStaff.name, person.name) for person in caller.persons))
    return exists().where(RelativeOnStaff.household_id == AidLine.household_id, names)


def list_handout_faults(document: RecordDocument, line: DueLine) -> Iterator[Fault]:
    """Say what a submitted handout lacks: an office's own checklist may ask in other words, but for no less."""
    answers = document.answers
    outcome = answers.get("given_outcome")
    if outcome == "not_handed_out":
        if not str(answers.get("not_given_reason") or "").strip():
            yield _fault("not_given_reason", "请写明原因")
        return
    if outcome != "handed_out":
        yield _fault("given_outcome", "请选择是否已发放")
        return
    recipient = answers.get("given_to")
    if recipient not in _RECIPIENTS:
        yield _fault("given_to", "请选择领取人")
    if recipient in {"member", "proxy"} and not str(answers.get("recipient_name") or "").strip():
        yield _fault("recipient_name", "请填写领取人姓名")
    if recipient == "proxy" and not str(answers.get("recipient_relation") or "").strip():
        yield _fault("recipient_relation", "请填写与户主关系")
    if find_signature(document.answers, [(str(photo.id), photo.sha256) for photo in document.photos]) is None:
        yield _fault("sign_recipient", "缺少签名或手印")
    if answers.get("given_as_agreed") is not True and read_given(line, answers) is None:
        yield _fault("given_quantity", "数量或金额不对；金额不能超过应发")


def _fault(question: str, zh: str) -> Fault:
    return Fault(f"/answers/{question}", "field.invalid", zh)


def says_given(document: Mapping[str, Any]) -> bool:
    """Say whether a submitted record says that it was handed out."""
    return bool(document["answers"].get("given_outcome") == "handed_out")


def read_given(line: DueLine, answers: Mapping[str, Any]) -> int | None:
    """Read another quantity than agreed: thousandths of the unit, or fen, never more of them than agreed."""
    match = _QUANTITY.fullmatch(str(answers.get("given_quantity") or "").strip())
    if match is None or (line.is_money and len(match[1] or "") > _FEN_DIGITS):
        return None
    given = int(Decimal(match[0]).scaleb(_FEN_DIGITS if line.is_money else 3))
    most = (line.planned_fen or 0) if line.is_money else None
    return given if given > 0 and (most is None or given <= most) else None


def find_signature(answers: Mapping[str, Any], photos: Sequence[tuple[str, str]]) -> str | None:
    """Return the hash of the picture of the signature or thumb, as the signed document lists it."""
    pictures = answers.get("photo_thumb" if answers.get("signed_how") == "thumb" else "sign_recipient")
    if not isinstance(pictures, list) or not pictures:
        return None
    first = pictures[0].get("evidenceId") if isinstance(pictures[0], dict) else pictures[0]
    return dict(photos).get(str(first).lower())


async def load_task_homes(session: AsyncSession, caller: Caller, tasks: Sequence[Task]) -> dict[UUID, list[TaskHome]]:
    """Return the homes of each task of handouts that the caller holds now, in the order of the batch."""
    about = {(task.subject_id, task.area_code): task.id for task in tasks if task.subject_kind == BATCH}
    if not about:
        return {}
    held = select(Caseload.household_id).where(Caseload.staff_id == caller.id, Caseload.revoked_at.is_(None))
    rows = await session.execute(
        select(AidLine, AidBatch.unit_zh, AidBatch.unit_en, AidBatch.state, Staff.name)
        .join(AidBatch, AidBatch.id == AidLine.batch_id)
        .outerjoin(Staff, Staff.id == AidLine.recorded_by)
        .where(
            AidLine.batch_id.in_([batch_id for batch_id, _ in about]),
            AidLine.area_code.in_({area for _, area in about}),
            AidLine.household_id.in_(held),
            AidLine.state.not_in(_DEAD),
            ~_is_of_relative(caller),
        )
        .order_by(AidLine.position)
    )
    homes: dict[UUID, list[TaskHome]] = {task_id: [] for task_id in about.values()}
    for line, unit_zh, unit_en, batch_state, name in rows:
        task_id = about.get((line.batch_id, line.area_code))
        if task_id is not None:
            homes[task_id].append(_home(line, unit_zh, unit_en, name, is_open=batch_state == "released"))
    return homes


def _home(line: AidLine, unit_zh: str, unit_en: str, recorded_by: str | None, *, is_open: bool) -> TaskHome:
    state = _STATES.get(line.state, "closed")
    return TaskHome(
        id=line.id,
        subject_kind=LINE,
        household_id=line.household_id,
        head_name=line.head_name,
        member_name=line.member_name,
        milli=line.planned_milli,
        fen=line.planned_fen,
        unit_zh=unit_zh,
        unit_en=unit_en,
        state=state if is_open or state == "given" else "closed",
        recorded_by_name=recorded_by,
        recorded_at=line.recorded_at,
    )


async def load_outcomes(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, str]:
    """Return what the ledger made of each of these records, where it has looked at its newest version."""
    if not ids:
        return {}
    rows = await session.execute(
        select(AidLineRecord.record_id, AidLineRecord.outcome).where(AidLineRecord.record_id.in_(ids))
    )
    return dict(rows.all())
