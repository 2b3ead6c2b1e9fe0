"""Look for findings of a batch, and keep them beside those that a person has judged, as rosters do.

Everything is looked for again before each step and after each handout. A verdict holds for the facts it was given
about.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.aid.homes import is_in_force
from server.core.working_days import day_of
from server.models.aid import DEAD_AID_STATES, AidBatch, AidFinding, AidLine, AidLineRecord
from server.models.evidence import RECORD, Evidence
from server.models.households import Caseload
from server.models.people import Staff
from server.models.records import Record
from server.policy.resolver import load_policy_values
from server.records.handouts import says_given

# Lines that give something, or are to.
_NOTHING_GIVEN = (*DEAD_AID_STATES, "not_handed_out", "taken_back")
# The finding of each outcome of a phone's record that the ledger did not take.
_NOT_ENTERED = {"repeated": "recorded_again", "late": "recorded_late", "unreadable": "record_unreadable"}

_LATE_HOURS = "photo.late_hours"
GIVEN_AFTER_CLOSE = "given_after_close"


class _Found(NamedTuple):
    line_id: UUID | None
    code: str
    facts: dict[str, Any]


class AidSums(NamedTuple):
    """Of a batch's live lines: homes, people, what was agreed, and what was handed out."""

    homes: int
    people: int
    planned_milli: int
    planned_fen: int
    given_milli: int
    given_fen: int


async def examine_batch(session: AsyncSession, batch: AidBatch, now: datetime, *, is_closing: bool = False) -> int:
    """Look for all findings of the locked batch. Return how many wait for a person.

    `is_closing`: what may still come is looked at as if it did not.
    """
    rows = await session.scalars(
        select(AidLine)
        .where(AidLine.batch_id == batch.id, AidLine.state.not_in(_NOTHING_GIVEN))
        .order_by(AidLine.position)
    )
    lines = list(rows)
    found = [
        *await _find_not_in_force(session, batch, lines),
        *await _find_repeated(session, batch),
        *await _find_same_signature(session, batch),
        *await _find_by_records(session, batch),
        *await _find_unsigned(session, batch, now, is_closing=is_closing),
        *await _find_after_handover(session, batch),
        *_find_same_recipient(lines),
        *_find_by_line(lines),
        *_find_by_sums(batch, await sum_batch(session, batch.id)),
    ]
    await _keep_findings(session, batch, found, now)
    batch.examined_at = now
    return await count_open(session, batch.id)


async def sum_batch(session: AsyncSession, batch_id: UUID) -> AidSums:
    """Add up the live lines of a batch."""
    return (await sum_batches(session, [batch_id])).get(batch_id, AidSums(0, 0, 0, 0, 0, 0))


async def sum_batches(session: AsyncSession, batch_ids: Sequence[UUID]) -> dict[UUID, AidSums]:
    is_given = AidLine.state == "handed_out"
    rows = await session.execute(
        select(
            AidLine.batch_id,
            func.count(AidLine.household_id.distinct()),
            func.sum(AidLine.people),
            func.coalesce(func.sum(AidLine.planned_milli), 0),
            func.coalesce(func.sum(AidLine.planned_fen), 0),
            func.coalesce(func.sum(AidLine.given_milli).filter(is_given), 0),
            func.coalesce(func.sum(AidLine.given_fen).filter(is_given), 0),
        )
        .where(AidLine.batch_id.in_(batch_ids), AidLine.state.not_in(DEAD_AID_STATES))
        .group_by(AidLine.batch_id)
    )
    return {batch_id: AidSums(*(int(value or 0) for value in sums)) for batch_id, *sums in rows}


async def _find_not_in_force(session: AsyncSession, batch: AidBatch, lines: Sequence[AidLine]) -> list[_Found]:
    """Find homes without a case in force in the month of the handout, or of the batch before it."""
    if not batch.for_homes_in_force or not lines:
        return []
    month = func.date_trunc("month", func.coalesce(AidLine.given_on, AidLine.month)).cast(AidLine.month.type)
    rows = await session.execute(
        select(AidLine.id, month).where(
            AidLine.batch_id == batch.id,
            AidLine.state.not_in(_NOTHING_GIVEN),
            ~is_in_force(AidLine.household_id, month),
        )
    )
    return [_Found(line_id, "not_in_force", {"month": f"{of_month:%Y-%m}"}) for line_id, of_month in rows]


async def _find_repeated(session: AsyncSession, batch: AidBatch) -> list[_Found]:
    """Find lines of a home, or of the same member, that the month has more of than the kind allows."""
    other, of_batch = aliased(AidLine), aliased(AidBatch)
    is_same = (
        (other.household_id == AidLine.household_id)
        & (other.kind == AidLine.kind)
        & (other.month == AidLine.month)
        & (other.id != AidLine.id)
        & other.state.not_in(_NOTHING_GIVEN)
        & func.coalesce(other.member_id, AidLine.member_id).is_not_distinct_from(
            func.coalesce(AidLine.member_id, other.member_id)
        )
    )
    rows = await session.execute(
        select(AidLine.id, func.count(other.id), func.array_agg(of_batch.number.distinct()))
        .join(other, is_same)
        .join(of_batch, of_batch.id == other.batch_id)
        .where(AidLine.batch_id == batch.id, AidLine.state.not_in(_NOTHING_GIVEN))
        .group_by(AidLine.id)
        .having(func.count(other.id) >= batch.times_a_month)
    )
    return [
        _Found(line_id, "twice_in_month", {"count": count + 1, "numbers": sorted(numbers)})
        for line_id, count, numbers in rows
    ]


async def _find_same_signature(session: AsyncSession, batch: AidBatch) -> list[_Found]:
    """Find signatures of which the very same picture stands under another home's line, in any batch."""
    other = aliased(AidLine)
    rows = await session.execute(
        select(AidLine.id, func.count(other.household_id.distinct()))
        .join(
            other,
            (other.signature_sha256 == AidLine.signature_sha256)
            & (other.household_id != AidLine.household_id)
            & other.state.not_in(_NOTHING_GIVEN),
        )
        .where(AidLine.batch_id == batch.id, AidLine.state.not_in(_NOTHING_GIVEN))
        .group_by(AidLine.id)
    )
    return [_Found(line_id, "same_signature", {"count": count}) for line_id, count in rows]


async def _find_unsigned(session: AsyncSession, batch: AidBatch, now: datetime, *, is_closing: bool) -> list[_Found]:
    """Find lines of which a phone listed the picture of a signature, but nobody can look at it after the usual time."""
    if batch.state not in {"released", "closed"}:
        return []
    settings = await load_policy_values(session, batch.area_code, day_of(now), [_LATE_HOURS])
    since = now - timedelta(hours=int(settings[_LATE_HOURS]))
    is_here = or_(Evidence.state == "verified", and_(Evidence.state == "received", Record.submitted_at > since))
    picture = exists().where(
        Evidence.subject_kind == RECORD,
        Evidence.subject_id == Record.id,
        Evidence.sha256 == AidLine.signature_sha256,
        is_here,
    )
    rows = (
        select(AidLine.id)
        .join(Record, Record.id == AidLine.record_id)
        .where(AidLine.batch_id == batch.id, AidLine.state == "handed_out", ~picture)
    )
    if not is_closing:
        rows = rows.where(Record.submitted_at <= since)
    return [_Found(line_id, "signature_missing", {}) for line_id in await session.scalars(rows)]


async def _find_after_handover(session: AsyncSession, batch: AidBatch) -> list[_Found]:
    """Find handouts that arrived when their author had the home no more: only their phone says when it was."""
    in_hand = exists().where(
        Caseload.household_id == AidLine.household_id,
        Caseload.staff_id == Record.author_id,
        or_(Caseload.revoked_at.is_(None), Caseload.revoked_at >= Record.submitted_at),
    )
    rows = await session.execute(
        select(AidLine.id, Staff.name)
        .join(Record, Record.id == AidLine.record_id)
        .join(Staff, Staff.id == Record.author_id)
        .where(AidLine.batch_id == batch.id, AidLine.state == "handed_out", ~in_hand)
    )
    return [_Found(line_id, "recorded_after_handover", {"name": name}) for line_id, name in rows]


async def _find_by_records(session: AsyncSession, batch: AidBatch) -> list[_Found]:
    """Find lines of which phones recorded more than the ledger took, or said something else afterwards."""
    rows = await session.execute(
        select(AidLineRecord, AidLine.state, Record.document)
        .join(AidLine, AidLine.id == AidLineRecord.line_id)
        .join(Record, Record.id == AidLineRecord.record_id)
        .where(AidLine.batch_id == batch.id)
        .order_by(AidLineRecord.line_id, AidLineRecord.record_id)
    )
    counted: dict[tuple[UUID, str], int] = {}
    found = []
    for record, line_state, document in rows:
        code = _NOT_ENTERED.get(record.outcome)
        if (
            code == "recorded_late"
            and (batch.state, line_state) == ("closed", "not_handed_out")
            and says_given(document)
        ):
            code = GIVEN_AFTER_CLOSE
        if code is not None:
            counted[record.line_id, code] = counted.get((record.line_id, code), 0) + 1
        elif record.outcome == "contrary":
            found.append(_Found(record.line_id, "amended_not_given", {}))
        elif record.is_changed:
            found.append(_Found(record.line_id, "amended_on_phone", {"version": record.version}))
    return found + [_Found(line_id, code, {"count": count}) for (line_id, code), count in counted.items()]


def _find_same_recipient(lines: Sequence[AidLine]) -> Iterator[_Found]:
    """Find people who received for more than one home of the batch in the place of its own people."""
    homes: dict[str, set[UUID]] = {}
    for line in lines:
        if line.recipient == "proxy":
            homes.setdefault(line.recipient_name, set()).add(line.household_id)
    for line in lines:
        count = len(homes.get(line.recipient_name, ())) if line.recipient == "proxy" else 0
        if count > 1:
            yield _Found(line.id, "same_recipient", {"name": line.recipient_name, "count": count})


def _find_by_line(lines: Sequence[AidLine]) -> Iterator[_Found]:
    for line in lines:
        if line.given_milli and line.planned_milli and line.given_milli > line.planned_milli:
            yield _Found(line.id, "more_than_planned", {"given": line.given_milli, "planned": line.planned_milli})
        if line.stance == "not_received":
            yield _Found(line.id, "said_not_received", {})


def _find_by_sums(batch: AidBatch, sums: AidSums) -> Iterator[_Found]:
    """Compare the lines with what was bought, and with what the paper says of its own sums."""
    bought = batch.bought_milli
    if bought is not None and sums.planned_milli > bought:
        yield _Found(None, "more_than_bought", {"planned": sums.planned_milli, "bought": bought})
    if bought is not None and sums.given_milli > bought:
        yield _Found(None, "more_given_than_bought", {"given": sums.given_milli, "bought": bought})
    for name, code, counted, keys in (
        ("homes", "homes_differ", sums.homes, ("counted", "stated")),
        ("people", "people_differ", sums.people, ("counted", "stated")),
        ("milli", "quantity_differs", sums.planned_milli, ("counted", "stated")),
        ("fen", "amount_differs", sums.planned_fen, ("sum", "total")),
    ):
        stated = batch.stated.get(name)
        if stated is not None and stated != counted:
            yield _Found(None, code, dict(zip(keys, (counted, stated), strict=True)))


async def _keep_findings(session: AsyncSession, batch: AidBatch, found: Sequence[_Found], now: datetime) -> None:
    """Write new findings, and mark those that are no longer so."""
    await session.flush()  # those of the last time are read from the table
    stored = await session.scalars(select(AidFinding).where(AidFinding.batch_id == batch.id))
    by_key = {(row.line_id, row.code, _freeze(row.facts)): row for row in stored}
    for entry in found:
        row = by_key.pop((entry.line_id, entry.code, _freeze(entry.facts)), None)
        if row is None:
            session.add(
                AidFinding(
                    batch_id=batch.id, line_id=entry.line_id, code=entry.code, facts=entry.facts, found_at=now
                )
            )  # fmt: skip
        else:
            row.gone_at = None
    for row in by_key.values():
        # A line that a person found to be wrong was left out or taken back because of it.
        if row.verdict != "upheld" and row.gone_at is None:
            row.gone_at = now
    await session.flush()  # they are counted next


def _freeze(facts: Mapping[str, Any]) -> str:
    return repr(sorted(facts.items()))


async def count_open(session: AsyncSession, batch_id: UUID) -> int:
    """Count the findings that nobody has judged."""
    return (await count_open_findings(session, [batch_id])).get(batch_id, 0)


async def count_open_findings(session: AsyncSession, batch_ids: Sequence[UUID]) -> dict[UUID, int]:
    rows = await session.execute(
        select(AidFinding.batch_id, func.count())
        .where(AidFinding.batch_id.in_(batch_ids), AidFinding.verdict.is_(None), AidFinding.gone_at.is_(None))
        .group_by(AidFinding.batch_id)
    )
    return dict(rows.all())
