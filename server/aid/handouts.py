"""What was handed out of a released batch, line by line: when, to whom, with which signature, where.

A line is handed out once. The same record again changes nothing; another of the same line is a conflict, because what
happened at a door is never overwritten. A wrong record is taken back with a reason.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, to_builtins
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.aid.batches import Fen, Milli, lock_batch
from server.aid.examine import examine_batch
from server.aid.phone_tasks import send_handout_tasks
from server.audit.actions import Action
from server.core.access import Caller, readable, require_found, require_role
from server.core.errors import Fault, Problem
from server.core.http import HexSha256, RequestBody
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.aid import AID_ROLES, DEAD_AID_STATES, AidBatch, AidLine

Name = Annotated[str, Meta(max_length=40)]


class HandoutFix(RequestBody):
    """Where it was handed out, as the phone said it."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    datum: Literal["wgs84", "gcj02", "bd09"] = "wgs84"
    accuracy_m: Annotated[float, Meta(ge=0, le=100_000)] | None = None


class Handout(RequestBody):
    """A line that was handed out, or was not and why.

    Without `milli` and `fen`, what was agreed. A member or a proxy has a name, a proxy a relation too.
    `signature_sha256` names the picture of the signature or thumb.
    """

    line_id: UUID
    state: Literal["handed_out", "not_handed_out"]
    given_on: date | None = None
    milli: Milli | None = None
    fen: Fen | None = None
    recipient: Literal["head", "member", "proxy"] = "head"
    recipient_name: Name = ""
    relation: Name = ""
    signature_sha256: HexSha256 | None = None
    fix: HandoutFix | None = None
    reason: Annotated[str, Meta(max_length=1000)] = ""


class RecordHandouts(RequestBody):
    """All of them are recorded, or none."""

    handouts: Annotated[list[Handout], Meta(min_length=1, max_length=500)]


class TakeBack(RequestBody):
    reason: Annotated[str, Meta(min_length=2, max_length=1000)]


async def record_handouts(
    session: AsyncSession, caller: Caller, batch_id: UUID, body: RecordHandouts, now: datetime
) -> AidBatch:
    """Record what was handed out.

    Raise `aid.not_now`, `aid.handed_out`, `case.own_relative`, `request.invalid`, `thing.not_found`.
    """
    batch = await lock_batch(session, caller, batch_id)
    if batch.state != "released":
        raise Problem("aid.not_now", state=batch.state)
    ids = {handout.line_id for handout in body.handouts}
    rows = await session.scalars(select(AidLine).where(AidLine.batch_id == batch.id, AidLine.id.in_(ids)))
    lines = {line.id: line for line in rows}
    if len(lines) != len(ids):
        raise Problem("thing.not_found")
    await require_no_conflict_of_interest(session, caller, *{line.household_id for line in lines.values()})
    faults = [
        fault
        for place, handout in enumerate(body.handouts)
        for fault in _list_faults(batch, lines[handout.line_id], handout, f"/handouts/{place}", day_of(now))
    ]
    if faults:
        raise Problem("request.invalid", faults=faults)
    changed = [handout for handout in body.handouts if _write(caller, lines[handout.line_id], handout, now)]
    await session.flush()  # the findings are looked for in the table
    await examine_batch(session, batch, now)
    await send_handout_tasks(session, batch, {lines[handout.line_id].area_code for handout in changed})
    if changed:
        _record(
            session, caller, Action.AID_HANDED_OUT, batch,
            handed_out=sum(handout.state == "handed_out" for handout in changed),
            not_handed_out=sum(handout.state == "not_handed_out" for handout in changed),
        )  # fmt: skip
    return batch


def _list_faults(batch: AidBatch, line: AidLine, handout: Handout, pointer: str, today: date) -> list[Fault]:
    """Say what a record lacks. Money is never more than two people agreed to; goods may be, which is a finding."""

    def fault(name: str, why: str) -> Fault:
        return Fault(f"{pointer}/{name}", "field.invalid", why)

    if handout.state == "not_handed_out":
        return [] if handout.reason.strip() else [fault("reason", "say why")]
    faults = []
    if handout.given_on is None or not batch.month <= handout.given_on <= today:
        faults.append(fault("givenOn", "the day is missing, before the month of the batch, or to come"))
    if handout.recipient != "head" and not handout.recipient_name.strip():
        faults.append(fault("recipientName", "the name is missing"))
    if handout.recipient == "proxy" and not handout.relation.strip():
        faults.append(fault("relation", "the relation is missing"))
    if handout.milli is not None and batch.form == "money":
        faults.append(fault("milli", "money has no quantity"))
    if handout.fen is not None and (batch.form == "goods" or handout.fen > (line.planned_fen or 0) or not handout.fen):
        faults.append(fault("fen", "not what was agreed"))
    return faults


def _write(caller: Caller, line: AidLine, handout: Handout, now: datetime) -> bool:
    """Write a record. Return False for one that stands already. Raise `aid.handed_out` for another of the line."""
    if _stands(line, handout, _values(line, handout)):
        return False
    if line.state in DEAD_AID_STATES:
        raise Problem("aid.not_now", state=line.state)
    # Nobody was at home the first time: the line may be handed out later.
    if line.state not in {"planned", "not_handed_out"}:
        raise Problem("aid.handed_out", home=line.household_number)
    return write_handout(line, handout, caller.id, now)


def _stands(line: AidLine, handout: Handout, values: Mapping[str, object]) -> bool:
    return line.state == handout.state and all(getattr(line, name) == value for name, value in values.items())


def write_handout(
    line: AidLine, handout: Handout, recorded_by: UUID, now: datetime, record_id: UUID | None = None
) -> bool:
    """Write what was handed out, with the record of a phone whose word it is. Return False when the line says so."""
    values = _values(line, handout)
    if line.record_id == record_id and _stands(line, handout, values):
        return False
    line.state, line.record_id = handout.state, record_id
    for name, value in values.items():
        setattr(line, name, value)
    line.recorded_by, line.recorded_at = recorded_by, now
    return True


def _values(line: AidLine, handout: Handout) -> dict[str, object]:
    if handout.state == "not_handed_out":
        return {"reason": handout.reason.strip()}
    is_head = handout.recipient == "head"
    milli = handout.milli if handout.milli is not None else line.planned_milli
    return {
        "given_on": handout.given_on,
        "given_milli": milli,
        "given_fen": handout.fen if handout.fen is not None else _value_of(line, milli),
        "recipient": handout.recipient,
        "recipient_name": line.head_name if is_head else handout.recipient_name.strip(),
        "relation": "" if is_head else handout.relation.strip(),
        "signature_sha256": handout.signature_sha256,
        "fix": to_builtins(handout.fix) if handout.fix else None,
        "reason": handout.reason.strip(),
    }


def _value_of(line: AidLine, milli: int | None) -> int | None:
    """Return the value of what was given; of another quantity than agreed, its share, half a fen up."""
    if milli is None or line.planned_milli is None or line.planned_fen is None or milli == line.planned_milli:
        return line.planned_fen
    return (line.planned_fen * milli * 2 + line.planned_milli) // (line.planned_milli * 2)


async def take_back(session: AsyncSession, caller: Caller, line_id: UUID, body: TakeBack, now: datetime) -> AidBatch:
    """Take back what was handed out, with a reason. What was given, when and to whom stays. Idempotent.

    Raise `aid.not_now`, `case.own_relative`.
    """
    require_role(caller, AID_ROLES)
    batch_id = require_found(await session.scalar(readable(AidLine, caller).with_only_columns(AidLine.batch_id).where(
        AidLine.id == line_id
    )))  # fmt: skip
    batch = await lock_batch(session, caller, batch_id)
    line = await session.get_one(AidLine, line_id, populate_existing=True)
    if line.state == "taken_back":
        return batch
    if line.state != "handed_out":
        raise Problem("aid.not_now", state=line.state)
    await require_no_conflict_of_interest(session, caller, line.household_id)
    line.state, line.reason = "taken_back", body.reason.strip()
    line.recorded_by, line.recorded_at = caller.id, now
    await session.flush()  # the findings are looked for in the table
    await examine_batch(session, batch, now)
    await send_handout_tasks(session, batch, {line.area_code})
    _record(session, caller, Action.AID_TAKEN_BACK, batch, line=str(line.id), reason=line.reason)
    return batch


def _record(session: AsyncSession, caller: Caller, action: Action, batch: AidBatch, **facts: object) -> None:
    audit.record(session, caller, action, "aid_batch", batch.id, area_code=batch.area_code, **facts)
