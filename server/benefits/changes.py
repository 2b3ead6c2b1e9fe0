"""Benefit changes: what is paid from which month on (granted, raised, cut, stopped).

A decision is a row that is never changed. The household's amount follows it on the first of its month, or at once
if that month has begun.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.benefits.programmes import programme_of_area
from server.benefits.stop_grounds import StopGroundLine
from server.core.errors import Fault, Problem
from server.core.ids import new_id
from server.core.working_days import day_of
from server.models.benefits import BenefitChange
from server.models.cases import Calculation, CaseEvent, CaseFile
from server.models.households import Assignment, Household
from server.models.workload import BlockedVisit
from server.sync_feed.publish import publish_change
from server.workload.unfulfilled_orders import end_unfulfilled_orders

_STEPS_WITH_A_CALCULATION = ("opinion_grant", "amount_changed", "came_back", "standard_raised", "raise_undone")
# Changes that take effect in one transaction: on the first of a month after a raise that is a county's homes.
DUE_AT_ONCE = 1000


def month_after(on: date) -> date:
    return date(on.year + on.month // 12, on.month % 12 + 1, 1)


def first_paid_month(on: date, settings: Mapping[str, Any]) -> date:
    """Return the first month of a grant: the one after the decision (57 §21), or the same where a province says so."""
    return on.replace(day=1) if settings.get("case.first_month") == "same" else month_after(on)


async def latest_calculation(session: AsyncSession, case: CaseFile) -> Calculation | None:
    latest: Calculation | None = await session.scalar(
        select(Calculation)
        .where(Calculation.case_id == case.id)
        .order_by(Calculation.made_at.desc(), Calculation.id.desc())
        .limit(1)
    )
    return latest


async def decided_calculation(session: AsyncSession, case: CaseFile) -> Calculation | None:
    """Return the calculation that was last opined or decided on, never one that waits for a decision.

    The household sees this one. Without an event that names it (imported cases), it is the latest with the current
    amount.
    """
    if case.amount_fen is None:
        return None
    facts = await session.scalar(
        select(CaseEvent.facts)
        .where(CaseEvent.case_id == case.id, CaseEvent.step.in_(_STEPS_WITH_A_CALCULATION))
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


async def record_grant(
    session: AsyncSession, case: CaseFile, actor_id: UUID, settings: Mapping[str, Any], now: datetime
) -> None:
    """Record the grant and the first month that it pays."""
    assert case.amount_fen is not None
    case.paid_from = first_paid_month(day_of(now), settings)
    await _record_change(
        session, case, "granted", case.paid_from, before_fen=0, amount_fen=case.amount_fen, reason="审核确认",
        actor_id=actor_id, now=now,
    )  # fmt: skip


async def record_return(
    session: AsyncSession, case: CaseFile, calculation: Calculation, actor_id: UUID, reason: str, now: datetime
) -> dict[str, object]:
    """Grant again from the month after the decision, or from the month of the stop if that is still to come."""
    month = max(month_after(day_of(now)), case.stopped_from or date.min)
    case.amount_fen, case.paid_from, case.stopped_from = calculation.amount_fen, month, None
    await _record_change(
        session, case, "granted", month, before_fen=0, amount_fen=calculation.amount_fen, reason=reason,
        actor_id=actor_id, now=now, calculation=calculation,
    )  # fmt: skip
    return {"amountFen": calculation.amount_fen, "month": month.isoformat(), "calculationId": str(calculation.id)}


async def record_amount_change(
    session: AsyncSession, case: CaseFile, actor_id: UUID, reason: str, now: datetime
) -> dict[str, object]:
    """Record the latest calculation as what is paid from its month on. Return the facts for the resident's notice."""
    latest = await require_changed_amount(session, case)
    before_fen = case.amount_fen or 0
    kind = "raised" if latest.amount_fen > before_fen else "cut"
    await _record_change(
        session, case, kind, latest.month, before_fen=before_fen, amount_fen=latest.amount_fen, reason=reason,
        actor_id=actor_id, now=now,
    )  # fmt: skip
    case.amount_fen = latest.amount_fen
    return {
        "kind": kind,
        "beforeFen": before_fen,
        "amountFen": latest.amount_fen,
        "month": latest.month.isoformat(),
        "calculationId": str(latest.id),
    }


async def require_granting_calculation(session: AsyncSession, case: CaseFile) -> Calculation:
    """Return the latest calculation, on which a decision may rest.

    Raises `case.amount_missing` if there is none or it grants nothing (a stop is needed then), and
    `case.programme_changed` if it used the standard of the other programme.
    """
    latest = await latest_calculation(session, case)
    if latest is None or not latest.eligible:
        raise Problem("case.amount_missing")
    # Until the programme was a field of the case, the village's code decided.
    used = latest.body.get("programme") or programme_of_area(case.area_code)
    if case.programme is not None and used != case.programme:
        raise Problem("case.programme_changed")
    return latest


async def require_changed_amount(session: AsyncSession, case: CaseFile) -> Calculation:
    """Return the latest calculation. Raises as above, and `case.amount_unchanged` for the same amount."""
    latest = await require_granting_calculation(session, case)
    if latest.amount_fen == (case.amount_fen or 0):
        raise Problem("case.amount_unchanged")
    return latest


async def record_stop(
    session: AsyncSession,
    case: CaseFile,
    actor_id: UUID,
    reason: str,
    ground: StopGroundLine,
    from_month: date | None,
    now: datetime,
) -> dict[str, object]:
    """Stop the payment from a month on (default: next month). Return the facts for the resident's notice."""
    month = find_stop_month(case, from_month, now)
    before_fen = case.amount_fen or 0
    await _record_change(
        session, case, "stopped", month, before_fen=before_fen, amount_fen=0, reason=reason, ground=ground,
        actor_id=actor_id, now=now,
    )  # fmt: skip
    case.stopped_from = month
    return {"beforeFen": before_fen, "amountFen": 0, "month": month.isoformat(), "ground": ground.code}


def find_stop_month(case: CaseFile, from_month: date | None, now: datetime) -> date:
    """Return the first month without payment. A grant that was never paid is stopped from its first month."""
    month = from_month.replace(day=1) if from_month else month_after(day_of(now))
    if case.state != "in_force" and case.paid_from is not None:
        month = case.paid_from
    if case.paid_from is not None and month < case.paid_from:
        raise Problem("request.invalid", faults=[Fault("/fromMonth", "month.before_payment", str(case.paid_from))])
    return month


async def _count_people(session: AsyncSession, case: CaseFile, kind: str) -> int:
    """Return the number of people the change concerns.

    A grant counts the calculation that was opined on, as its amount comes from there. A stop counts the people paid
    before it, as its own calculation may cover nobody.
    """
    if kind == "stopped":
        people_before: int | None = await session.scalar(
            select(BenefitChange.people)
            .where(BenefitChange.case_id == case.id)
            .order_by(BenefitChange.month.desc(), BenefitChange.id.desc())
            .limit(1)
        )
        if people_before is not None:
            return people_before
    opinion = await _find_opinion_calculation(session, case) if kind == "granted" else None
    calculation = opinion or await latest_calculation(session, case)
    return len(calculation.body["covered"]) if calculation else 0


async def _find_opinion_calculation(session: AsyncSession, case: CaseFile) -> Calculation | None:
    facts = await session.scalar(
        select(CaseEvent.facts)
        .where(CaseEvent.case_id == case.id, CaseEvent.step == "opinion_grant")
        .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        .limit(1)
    )
    return await session.get(Calculation, UUID(facts["calculationId"])) if facts and "calculationId" in facts else None


async def _record_change(
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
    ground: StopGroundLine | None = None,
    calculation: Calculation | None = None,
) -> None:
    household = await session.get_one(Household, case.household_id)
    people = len(calculation.body["covered"]) if calculation else await _count_people(session, case, kind)
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
            ground=ground.code if ground else None,
            ground_zh=ground.zh if ground else None,
            ground_en=ground.en if ground else None,
            reason=reason,
            class_=household.class_,
            decided_by=actor_id,
            decided_on=day_of(now),
        )
    )
    await session.flush()  # apply_due_changes reads it from the table
    if kind != "granted":
        await apply_due_changes(session, now, case_ids=[case.id])


async def mark_grant_effective(session: AsyncSession, case: CaseFile, now: datetime) -> None:
    await session.execute(
        update(BenefitChange)
        .where(BenefitChange.case_id == case.id, BenefitChange.kind == "granted", BenefitChange.in_effect_at.is_(None))
        .values(in_effect_at=now)
    )


async def apply_due_changes(session: AsyncSession, now: datetime, *, case_ids: Collection[UUID] | None = None) -> int:
    """Apply changes and stops whose month has begun to the households' amounts, in the order of decision.

    Skips changes that a later decision superseded before their month, and those of a case whose household is paid by
    another case. A stop also ends the household's class and the review visits that come with it. Returns how many
    changes it has settled, at most `DUE_AT_ONCE`.
    """
    due = (
        select(BenefitChange, or_(_is_superseded(), _is_paid_by_another_case()))
        .where(
            BenefitChange.in_effect_at.is_(None),
            BenefitChange.kind != "granted",
            BenefitChange.month <= day_of(now),
        )
        .order_by(BenefitChange.month, BenefitChange.decided_on, BenefitChange.id)
        .limit(DUE_AT_ONCE)
        .with_for_update(skip_locked=True, of=BenefitChange)
    )
    rows = (await session.execute(due if case_ids is None else due.where(BenefitChange.case_id.in_(case_ids)))).all()
    for change, _ in rows:
        change.in_effect_at = now
    effective: list[BenefitChange] = [change for change, is_over in rows if not is_over]
    await _set_amounts(session, effective, now)
    stopped = [change.household_id for change in effective if change.kind == "stopped"]
    if stopped:
        await _cancel_scheduled_reviews(session, stopped)
    return len(rows)


async def _set_amounts(session: AsyncSession, changes: Sequence[BenefitChange], now: datetime) -> None:
    ids = list(dict.fromkeys(change.household_id for change in changes))
    locked = select(Household).where(Household.id.in_(ids)).order_by(Household.id).with_for_update()
    households = {household.id: household for household in await session.scalars(locked)}
    for change in changes:
        household, is_stop = households[change.household_id], change.kind == "stopped"
        household.monthly_amount_fen = None if is_stop else change.amount_fen
        household.class_ = None if is_stop else household.class_
        household.updated_at = now
    await session.flush()  # publish_change reads the households
    await publish_change(session, "households", ids)


async def _cancel_scheduled_reviews(session: AsyncSession, household_ids: list[UUID]) -> None:
    """Cancel open reviews that the schedule ordered, not those of a case. A visit already begun is still accepted."""
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


def _is_superseded() -> ColumnElement[bool]:
    """Say whether a later decision on the case starts in the same month or earlier, such as a stop before a raise."""
    later = aliased(BenefitChange)
    return exists().where(
        later.case_id == BenefitChange.case_id, later.id > BenefitChange.id, later.month <= BenefitChange.month
    )


def _is_paid_by_another_case() -> ColumnElement[bool]:
    return exists().where(
        CaseFile.household_id == BenefitChange.household_id,
        CaseFile.id != BenefitChange.case_id,
        CaseFile.state == "in_force",
    )
