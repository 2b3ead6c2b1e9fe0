"""Apply a confirmed raise, and undo it: in steps, each a transaction that a repeated job goes on from.

Each home is judged once more. Only what still follows from the standard, at the amount that two people have seen, is
written; whatever has moved since the preview is left to a person.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import exists, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.benefits.amounts import Calculated
from server.benefits.changes import apply_due_changes
from server.cases.raise_doubts import Rules, judge_again, load_raise_facts
from server.cases.raise_missed import name_for_undo, name_missed_homes
from server.cases.raise_preview import MORE, ODD, STEP, load_standing_rules
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import ApplyRaise, Notify, UndoRaise
from server.core.money import format_fen
from server.core.services import Services
from server.core.working_days import day_of
from server.models.benefits import BenefitChange
from server.models.cases import Calculation, CaseEvent, CaseFile
from server.models.households import Household
from server.models.people import ResidentBinding
from server.models.raises import StandardRaise, StandardRaiseLine


class Decision(NamedTuple):
    """What becomes of one home: from `before_fen` to `amount_fen`, as `step` of its case."""

    case: CaseFile
    line: StandardRaiseLine
    step: str
    kind: str
    before_fen: int
    amount_fen: int
    reason: str
    calculated: Calculated


@jobs.task(ApplyRaise)
async def apply_raise(services: Services, job: ApplyRaise) -> None:
    """Write the decision of each home. Idempotent."""
    rules: dict[str, Rules] = {}
    goes_on = True
    while goes_on:
        async with open_session(services.sessions) as session:
            confirmed = await session.get_one(StandardRaise, job.raise_id, with_for_update=True)
            if confirmed.state != "applying":
                break
            goes_on = await _apply_step(session, confirmed, rules, utc_now())
    await name_missed_homes(services, job.raise_id)


async def _apply_step(session: AsyncSession, confirmed: StandardRaise, rules: dict[str, Rules], now: datetime) -> bool:
    lines = await _next_lines(session, confirmed, StandardRaiseLine.rank == MORE, StandardRaiseLine.outcome.is_(None))
    if not lines:
        confirmed.state, confirmed.applied_at = "applied", now
        audit.record(session, None, Action.RAISE_APPLIED, "standard_raise", confirmed.id, area_code=confirmed.area_code)
        return False
    cases = await _lock_cases(session, lines)
    facts = await load_raise_facts(session, list(cases.values()), confirmed.month)
    decisions: list[Decision] = []
    for line in lines:
        case = cases[line.case_id]
        rule = await load_standing_rules(session, case, confirmed, rules)
        doubt, calculated = judge_again(case, facts, rule, confirmed.month, line.before_fen)
        if doubt is not None or calculated is None or calculated.amount_fen != line.after_fen:
            line.doubt, line.rank, line.outcome = "changed_since", ODD, "left"
            continue
        reason = f"保障标准提高（{confirmed.document}）"
        decisions.append(
            Decision(
                case, line, "standard_raised", "raised", line.before_fen, calculated.amount_fen, reason, calculated
            )
        )
    assert confirmed.decided_by is not None
    await _write_decisions(session, confirmed, decisions, "applied", confirmed.decided_by, now)
    return True


@jobs.task(UndoRaise)
async def undo_applied_raise(services: Services, job: UndoRaise) -> None:
    """Take the decisions back, from the month from which they would have counted. Idempotent."""
    rules: dict[str, Rules] = {}
    goes_on = True
    while goes_on:
        async with open_session(services.sessions) as session:
            undone = await session.get_one(StandardRaise, job.raise_id, with_for_update=True)
            if undone.state != "undoing":
                return
            goes_on = await _undo_step(session, undone, rules, utc_now())


async def _undo_step(session: AsyncSession, undone: StandardRaise, rules: dict[str, Rules], now: datetime) -> bool:
    """Where somebody has decided since, that decision stands: the line is named to a person."""
    lines = await _next_lines(session, undone, StandardRaiseLine.outcome == "applied")
    if not lines:
        await name_for_undo(session, undone, rules)
        undone.state = "undone"
        return False
    cases = await _lock_cases(session, lines)
    decided_since = await _find_decided_since(session, lines)
    facts = await load_raise_facts(session, list(cases.values()), undone.month)
    decisions: list[Decision] = []
    for line in lines:
        case = cases[line.case_id]
        rule = await load_standing_rules(session, case, undone, rules)
        _, calculated = judge_again(case, facts, rule, undone.month, line.before_fen)
        paid_fen = case.amount_fen
        if case.id in decided_since or paid_fen is None or paid_fen != line.after_fen or calculated is None:
            line.doubt, line.rank, line.outcome = "decided_since", ODD, "kept"
            continue
        reason = f"撤销提标，恢复为{format_fen(line.before_fen)}：{undone.undo_reason}"
        decisions.append(Decision(case, line, "raise_undone", "cut", paid_fen, line.before_fen, reason, calculated))
    assert undone.undone_by is not None
    await _write_decisions(session, undone, decisions, "undone", undone.undone_by, now)
    return True


async def _next_lines(session: AsyncSession, of_raise: StandardRaise, *conditions: Any) -> list[StandardRaiseLine]:
    rows = await session.scalars(
        select(StandardRaiseLine)
        .where(StandardRaiseLine.raise_id == of_raise.id, *conditions)
        .order_by(StandardRaiseLine.area_code, StandardRaiseLine.case_id)
        .limit(STEP)
    )
    return list(rows)


async def _lock_cases(session: AsyncSession, lines: Sequence[StandardRaiseLine]) -> dict[UUID, CaseFile]:
    """Lock the cases in one order, as any other step of a case does first."""
    ids = [line.case_id for line in lines]
    rows = select(CaseFile).where(CaseFile.id.in_(ids)).order_by(CaseFile.id).with_for_update()
    return {case.id: case for case in await session.scalars(rows)}


async def _find_decided_since(session: AsyncSession, lines: Sequence[StandardRaiseLine]) -> set[UUID]:
    later = aliased(BenefitChange)
    rows = select(BenefitChange.case_id).where(
        BenefitChange.id.in_([line.change_id for line in lines]),
        exists().where(later.case_id == BenefitChange.case_id, later.id > BenefitChange.id),
    )
    return set(await session.scalars(rows))


async def _write_decisions(
    session: AsyncSession,
    of_raise: StandardRaise,
    decisions: Sequence[Decision],
    outcome: str,
    actor_id: UUID,
    now: datetime,
) -> None:
    if not decisions:
        return
    ids = [decision.case.household_id for decision in decisions]
    classes = dict((await session.execute(select(Household.id, Household.class_).where(Household.id.in_(ids)))).all())
    calculations, changes, events = [], [], []
    for decision in decisions:
        calculations.append(_calculation(of_raise, decision, actor_id, now))
        changes.append(_change(of_raise, decision, actor_id, now, classes[decision.case.household_id]))
        events.append(_event(of_raise, decision, calculations[-1], actor_id, now))
    await session.execute(insert(Calculation), calculations)
    await session.execute(insert(BenefitChange), changes)
    await session.execute(insert(CaseEvent), events)
    for decision, change in zip(decisions, changes, strict=True):
        case, line = decision.case, decision.line
        case.amount_fen, case.version, case.updated_at = decision.amount_fen, case.version + 1, now
        line.outcome, line.change_id = outcome, change["id"]
        audit.record(session, None, Action.CASE_MOVED, "case", case.id, area_code=case.area_code, step=decision.step)
    await session.flush()  # the next lines are queried
    if of_raise.month <= day_of(now):
        await apply_due_changes(session, now, case_ids=[decision.case.id for decision in decisions])
    await _notify(session, decisions, [event["id"] for event in events], ids)


def _calculation(of_raise: StandardRaise, decision: Decision, actor_id: UUID, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "case_id": decision.case.id,
        "household_id": decision.case.household_id,
        "month": of_raise.month,
        "made_at": now,
        "made_by": actor_id,
        "amount_fen": decision.calculated.amount_fen,
        "eligible": decision.calculated.eligible,
        "body": msgspec.to_builtins(decision.calculated),
    }


def _change(
    of_raise: StandardRaise, decision: Decision, actor_id: UUID, now: datetime, class_: str | None
) -> dict[str, Any]:
    return {
        "id": new_id(),
        "case_id": decision.case.id,
        "household_id": decision.case.household_id,
        "area_code": decision.case.area_code,
        "kind": decision.kind,
        "month": of_raise.month,
        "before_fen": decision.before_fen,
        "amount_fen": decision.amount_fen,
        "people": decision.line.people,
        "reason": decision.reason,
        "class_": class_,
        "decided_by": actor_id,
        "decided_on": day_of(now),
    }


def _event(
    of_raise: StandardRaise, decision: Decision, calculation: dict[str, Any], actor_id: UUID, now: datetime
) -> dict[str, Any]:
    """As `apply_transition` writes it; nobody owes each home a notice of its own within days of a raise."""
    agrees = calculation["amount_fen"] == decision.amount_fen
    return {
        "id": new_id(),
        "case_id": decision.case.id,
        "at": now,
        "step": decision.step,
        "state": decision.case.state,
        "actor_id": actor_id,
        "cause": f"{decision.step}:{of_raise.id}",
        "facts": {
            "reason": decision.reason,
            "kind": decision.kind,
            "beforeFen": decision.before_fen,
            "amountFen": decision.amount_fen,
            "month": of_raise.month.isoformat(),
            "raiseId": str(of_raise.id),
        }
        | ({"calculationId": str(calculation["id"])} if agrees else {}),
    }


async def _notify(
    session: AsyncSession, decisions: Sequence[Decision], event_ids: Sequence[UUID], household_ids: Collection[UUID]
) -> None:
    """Notify the homes that somebody reads for: most have nobody, and a job each would do nothing."""
    rows = select(ResidentBinding.household_id).where(
        ResidentBinding.household_id.in_(household_ids), ResidentBinding.ended_at.is_(None)
    )
    readers = set(await session.scalars(rows))
    for decision, event_id in zip(decisions, event_ids, strict=True):
        if decision.case.household_id in readers:
            notice = Notify(
                kind="changed",
                thing=f"event:{event_id}",
                area_code=decision.case.area_code,
                household_id=decision.case.household_id,
                facts={"caseId": str(decision.case.id)},
            )
            await jobs.defer(session, notice)
