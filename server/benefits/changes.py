"""What is paid from which month on: granted, raised, cut, stopped; decided now, in effect with its month.

A decision is a row that nothing changes afterwards. The household's amount follows it on the first of its
month, or at once where that month has begun.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.core.errors import Fault, Problem
from server.core.ids import new_id
from server.core.working_days import day_of
from server.models.benefits import BenefitChange
from server.models.cases import Calculation, CaseEvent, CaseFile
from server.models.households import Assignment, Household
from server.models.workload import BlockedVisit
from server.sync_feed.publish import publish_change
from server.workload.unfulfilled_orders import end_unfulfilled_orders


def month_after(on: date) -> date:
    """Payment begins with the month after the decision (law)."""
    return date(on.year + on.month // 12, on.month % 12 + 1, 1)


async def latest_calculation(session: AsyncSession, case: CaseFile) -> Calculation | None:
    latest: Calculation | None = await session.scalar(
        select(Calculation)
        .where(Calculation.case_id == case.id)
        .order_by(Calculation.made_at.desc(), Calculation.id.desc())
        .limit(1)
    )
    return latest


async def told_calculation(session: AsyncSession, case: CaseFile) -> Calculation | None:
    """What the household is told: the one that was last opined or decided on, never one that waits for a decision.

    Where no step says which (a case that came from elsewhere), the latest of the amount that stands.
    """
    if case.amount_fen is None:
        return None
    facts = await session.scalar(
        select(CaseEvent.facts)
        .where(CaseEvent.case_id == case.id, CaseEvent.step.in_(["opinion_grant", "amount_changed"]))
        .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        .limit(1)
    )
    if facts and "calculationId" in facts:
        return await session.get(Calculation, UUID(facts["calculationId"]))
    latest: Calculation | None = await session.scalar(
        select(Calculation)
        .where(Calculation.case_id == case.id, Calculation.amount_fen == case.amount_fen)
        .order_by(Calculation.made_at.desc(), Calculation.id.desc())
        .limit(1)
    )
    return latest


async def note_grant(session: AsyncSession, case: CaseFile, actor_id: UUID, now: datetime) -> None:
    assert case.amount_fen is not None
    await _note(
        session, case, "granted", month_after(day_of(now)), before_fen=0, amount_fen=case.amount_fen, reason="审核确认",
        actor_id=actor_id, now=now,
    )  # fmt: skip


async def note_change(
    session: AsyncSession, case: CaseFile, actor_id: UUID, reason: str, now: datetime
) -> dict[str, object]:
    """What the latest calculation says is paid from its month on. The facts for the resident's notice.

    Raises `case.amount_missing` where it grants nothing (then the payment is stopped), `case.amount_unchanged`.
    """
    latest = await latest_calculation(session, case)
    if latest is None or not latest.eligible:
        raise Problem("case.amount_missing")
    before = case.amount_fen or 0
    if latest.amount_fen == before:
        raise Problem("case.amount_unchanged")
    kind = "raised" if latest.amount_fen > before else "cut"
    await _note(
        session, case, kind, latest.month, before_fen=before, amount_fen=latest.amount_fen, reason=reason,
        actor_id=actor_id, now=now,
    )  # fmt: skip
    case.amount_fen = latest.amount_fen
    return {
        "kind": kind,
        "beforeFen": before,
        "amountFen": latest.amount_fen,
        "month": latest.month.isoformat(),
        "calculationId": str(latest.id),
    }


async def note_stop(
    session: AsyncSession, case: CaseFile, actor_id: UUID, reason: str, ground: str, asked: date | None, now: datetime
) -> dict[str, object]:
    """Nothing is paid from a month on: the next, or the one asked for. It stands in the register for ever.

    What was granted and never paid is stopped from its first month.
    """
    month = asked.replace(day=1) if asked else month_after(day_of(now))
    if case.state != "in_force" and case.paid_from is not None:
        month = case.paid_from
    if case.paid_from is not None and month < case.paid_from:
        raise Problem("request.invalid", faults=[Fault("/fromMonth", "month.before_payment", str(case.paid_from))])
    before = case.amount_fen or 0
    await _note(
        session, case, "stopped", month, before_fen=before, amount_fen=0, reason=reason, ground=ground,
        actor_id=actor_id, now=now,
    )  # fmt: skip
    case.stopped_from = month
    return {"beforeFen": before, "amountFen": 0, "month": month.isoformat(), "ground": ground}


async def _people(session: AsyncSession, case: CaseFile, kind: str) -> int:
    """Whom the latest calculation pays for; of a grant the one that was opined on, whose amount it is.

    A stop's own calculation may pay for nobody: it ends for whom was paid.
    """
    if kind == "stopped":
        before: int | None = await session.scalar(
            select(BenefitChange.people)
            .where(BenefitChange.case_id == case.id)
            .order_by(BenefitChange.month.desc(), BenefitChange.id.desc())
            .limit(1)
        )
        if before is not None:
            return before
    opined = await _opined_on(session, case) if kind == "granted" else None
    told = opined or await latest_calculation(session, case)
    return len(told.body["covered"]) if told else 0


async def _opined_on(session: AsyncSession, case: CaseFile) -> Calculation | None:
    facts = await session.scalar(
        select(CaseEvent.facts)
        .where(CaseEvent.case_id == case.id, CaseEvent.step == "opinion_grant")
        .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        .limit(1)
    )
    return await session.get(Calculation, UUID(facts["calculationId"])) if facts and "calculationId" in facts else None


async def _note(
    session: AsyncSession,
    case: CaseFile,
    kind: str,
    month: date,
    *,
    before_fen: int,
    amount_fen: int,
    reason: str,
    actor_id: UUID,
    now: datetime,
    ground: str | None = None,
) -> None:
    household = await session.get_one(Household, case.household_id)
    people = await _people(session, case, kind)
    session.add(
        BenefitChange(
            id=new_id(),
            case_id=case.id,
            household_id=case.household_id,
            area_code=case.area_code,
            kind=kind,
            month=month,
            before_fen=before_fen,
            amount_fen=amount_fen,
            people=people,
            ground=ground,
            reason=reason,
            class_=household.class_,
            decided_by=actor_id,
            decided_on=day_of(now),
        )
    )
    await session.flush()  # what is due is read from the table
    if kind != "granted":
        await take_effect(session, now, case_id=case.id)


async def grant_takes_effect(session: AsyncSession, case: CaseFile, now: datetime) -> None:
    await session.execute(
        update(BenefitChange)
        .where(BenefitChange.case_id == case.id, BenefitChange.kind == "granted", BenefitChange.in_effect_at.is_(None))
        .values(in_effect_at=now)
    )


async def take_effect(session: AsyncSession, now: datetime, *, case_id: UUID | None = None) -> int:
    """Changes and stops whose month has come: the household's amount follows, in the order they were decided.

    What a later decision overruled before its month changes nothing any more, nor what was decided on a case when
    the household is paid by another. With a stop the household's class ends, and with it the visits the class brings.
    """
    due = (
        select(BenefitChange, or_(_overruled(), _paid_by_another_case()))
        .where(
            BenefitChange.in_effect_at.is_(None),
            BenefitChange.kind != "granted",
            BenefitChange.month <= day_of(now),
        )
        .order_by(BenefitChange.month, BenefitChange.decided_on, BenefitChange.id)
        .with_for_update(skip_locked=True, of=BenefitChange)
    )
    rows = (await session.execute(due if case_id is None else due.where(BenefitChange.case_id == case_id))).all()
    changed: list[UUID] = []
    stopped: list[UUID] = []
    for one, is_over in rows:
        one.in_effect_at = now
        if is_over:
            continue
        household = await session.get_one(Household, one.household_id, with_for_update=True)
        is_stop = one.kind == "stopped"
        household.monthly_amount_fen = None if is_stop else one.amount_fen
        household.class_ = None if is_stop else household.class_
        household.updated_at = func.now()
        changed.append(household.id)
        if is_stop:
            stopped.append(household.id)
    await session.flush()  # announce reads the households
    await publish_change(session, "households", changed)
    if stopped:
        await _take_back_reviews(session, stopped)
    return len(changed)


async def _take_back_reviews(session: AsyncSession, household_ids: list[UUID]) -> None:
    """What the timetable asked for, not what a case did. A visit that was begun is taken all the same."""
    of_timetable = (
        Assignment.household_id.in_(household_ids),
        Assignment.kind == "review",
        Assignment.case_id.is_(None),
        Assignment.state == "open",
    )
    ended = update(Assignment).where(*of_timetable).values(state="cancelled").returning(Assignment.id)
    ids: list[UUID] = list(await session.scalars(ended))
    await publish_change(session, "assignments", ids, reason="payment_stopped")
    await end_unfulfilled_orders(
        session,
        BlockedVisit.household_id.in_(household_ids),
        BlockedVisit.kind == "review",
        BlockedVisit.case_id.is_(None),
    )


def _overruled() -> ColumnElement[bool]:
    """Decided later on the same case, and counting from the same month or an earlier one: a stop before a raise."""
    later = aliased(BenefitChange)
    return exists().where(
        later.case_id == BenefitChange.case_id, later.id > BenefitChange.id, later.month <= BenefitChange.month
    )


def _paid_by_another_case() -> ColumnElement[bool]:
    return exists().where(
        CaseFile.household_id == BenefitChange.household_id,
        CaseFile.id != BenefitChange.case_id,
        CaseFile.state == "in_force",
    )
