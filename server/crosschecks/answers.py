"""Import what an office answered to a batch: preview, confirm, and replace until somebody has acted on it."""

import hashlib
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, readable, require_found, require_role
from server.core.encryption import Encryption
from server.core.errors import Fault, Problem
from server.core.http import ResponseBody
from server.core.threads import run_in_thread
from server.crosschecks.answer_file import UnreadCell, read_answer_file
from server.crosschecks.batches import lock_batch
from server.crosschecks.comparison import Comparison, compare_answers
from server.crosschecks.listing import BatchSummary, summarize_batch
from server.crosschecks.settlements import set_due_days
from server.crosschecks.sources import SOURCES, answer_headings
from server.models.cases import CaseEvent
from server.models.crosschecks import CHECKERS, CrossCheck, CrossCheckBatch

# Steps that rest on what an office answered: an opinion or a decision about the payment, and its proposal.
_ON_ANSWERS = (
    "hearing_called",
    "opinion_grant",
    "opinion_refuse",
    "confirmed",
    "refused",
    "change_proposed",
    "stop_proposed",
    "return_proposed",
    "amount_changed",
    "stopped",
    "came_back",
)
# Unread cells in an error response or a preview; a file of another kind has thousands.
_MOST_UNREAD_SHOWN = 100


class OfficeFile(NamedTuple):
    """A file as an office sent it. `mapping` maps our headings to theirs, where they differ."""

    content: bytes
    mapping: dict[str, str]


class AnswerPreview(ResponseBody):
    """What an import would do. `unread` names the first cells that can't be read, `unread_count` counts all.

    A person in a row with such a cell is not answered. `replaces`: an earlier answer would be replaced.
    """

    people: int
    answered: int
    unanswered: int
    differing: int
    strangers: int
    unread_count: int
    unread: list[UnreadCell]
    replaces: bool


async def preview_answers(
    session: AsyncSession, encryption: Encryption, caller: Caller, batch_id: UUID, file: OfficeFile
) -> AnswerPreview:
    """Read an office's file and return what its import would do. Writes nothing.

    Raises `case.check_answered` when somebody has acted on an earlier answer, `case.check_unreadable`.
    """
    require_role(caller, CHECKERS)
    batch: CrossCheckBatch = require_found(
        await session.scalar(readable(CrossCheckBatch, caller).where(CrossCheckBatch.id == batch_id))
    )
    await _require_replaceable(session, batch)
    comparison = await _compare(session, encryption, batch, file)
    return AnswerPreview(
        people=comparison.people,
        answered=len(comparison.answers),
        unanswered=comparison.people - len(comparison.answers),
        differing=sum(bool(answer.differences) for answer in comparison.answers.values()),
        strangers=comparison.strangers,
        unread_count=len(comparison.unread),
        unread=comparison.unread[:_MOST_UNREAD_SHOWN],
        replaces=batch.answered_at is not None,
    )


async def import_answers(
    session: AsyncSession,
    encryption: Encryption,
    caller: Caller,
    batch_id: UUID,
    file: OfficeFile,
    now: datetime,
    *,
    accept_unread: bool,
) -> BatchSummary:
    """Import an office's file, in place of an earlier one. Idempotent for the same file.

    Raises `case.check_cells_unread` unless `accept_unread`, `case.check_answered` when somebody has acted on the
    earlier answer, `case.check_unreadable` with the reason.
    """
    batch = await lock_batch(session, caller, batch_id)
    sha256 = hashlib.sha256(file.content).hexdigest()
    checks = list(await session.scalars(select(CrossCheck).where(CrossCheck.batch_id == batch.id).with_for_update()))
    if batch.answered_at is not None and batch.answer_sha256 == sha256 and await _is_acted_on(session, batch):
        return await summarize_batch(session, batch)
    await _require_replaceable(session, batch)
    comparison = await _compare(session, encryption, batch, file)
    if comparison.unread and not accept_unread:
        raise Problem("case.check_cells_unread", count=len(comparison.unread), faults=_list_faults(comparison.unread))
    has_changed = _apply(batch, checks, comparison)
    if batch.answer_sha256 == sha256 and not has_changed:
        return await summarize_batch(session, batch)
    replaced = batch.answer_sha256
    batch.answered_at, batch.answered_by, batch.answer_sha256 = now, caller.id, sha256
    if batch.of_those_paid:
        await set_due_days(session, batch, checks, now)
    await session.flush()  # the summary counts the answers
    summary = await summarize_batch(session, batch)
    audit.record(
        session, caller, Action.CROSS_CHECK_ANSWERED, "cross_check_batch", batch.id, area_code=batch.area_code,
        differing=summary.differing, strangers=summary.strangers, unread=len(comparison.unread),
        replaced=replaced[:12] if replaced else None,
    )  # fmt: skip
    return summary


async def _compare(
    session: AsyncSession, encryption: Encryption, batch: CrossCheckBatch, file: OfficeFile
) -> Comparison:
    headings = {ours: file.mapping.get(ours, ours) for ours in answer_headings(batch.source)}
    read = await run_in_thread(read_answer_file, file.content, headings)
    return await compare_answers(session, encryption, batch, SOURCES[batch.source], read)


def _apply(batch: CrossCheckBatch, checks: list[CrossCheck], comparison: Comparison) -> bool:
    """Set the answer of each line, or none; return whether anything changed."""
    before = [(check.answer, check.differences) for check in checks], batch.strangers
    for check in checks:
        check.answer, check.differences = comparison.answers.get(check.id, _NOT_ANSWERED)
    batch.strangers = comparison.strangers
    return before != ([(check.answer, check.differences) for check in checks], batch.strangers)


_NOT_ANSWERED: tuple[None, list[Any]] = (None, [])


def _list_faults(unread: list[UnreadCell]) -> list[Fault]:
    return [
        Fault(f"/file/{cell.sheet}/{cell.address}", f"cell.{cell.code}", f"{cell.address}：{cell.zh} · {cell.en}")
        for cell in unread[:_MOST_UNREAD_SHOWN]
    ]


async def _require_replaceable(session: AsyncSession, batch: CrossCheckBatch) -> None:
    if batch.answered_at is not None and await _is_acted_on(session, batch):
        raise Problem("case.check_answered")


async def _is_acted_on(session: AsyncSession, batch: CrossCheckBatch) -> bool:
    """Return whether a household has objected to a difference, or a person decided on what the office answered.

    Of those paid, most cases of a batch have nothing to do with it: there only a case with a difference counts.
    """
    cases = select(CrossCheck.case_id).where(CrossCheck.batch_id == batch.id)
    if batch.of_those_paid:
        cases = cases.where(func.jsonb_array_length(CrossCheck.differences) > 0)
    objected = exists().where(CrossCheck.batch_id == batch.id, CrossCheck.objection.is_not(None))
    went_on = exists().where(
        CaseEvent.case_id.in_(cases),
        CaseEvent.at >= batch.answered_at,
        CaseEvent.actor_id.is_not(None),
        CaseEvent.step.in_(_ON_ANSWERS),
    )
    settled = exists().where(CrossCheck.batch_id == batch.id, CrossCheck.settlement.is_not(None))
    return bool(await session.scalar(select(objected | went_on | settled)))
