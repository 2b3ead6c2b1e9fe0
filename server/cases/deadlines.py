"""Legal deadlines of a case: steps start and end them, and they pause while a case is suspended.

Their lengths are policy settings of the area on the day of the application. A deadline is always `count + paused`
units after its start, so the effect of a pause stays distinct from that of an extension.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.cases.workflow import PAUSING_STATES, STATE_INFO, TRANSITIONS
from server.core import jobs
from server.core.ids import new_id
from server.core.job_types import Notify
from server.core.working_days import Length, Overrides, Unit, day_of, end_of, length_of, working_days_between
from server.models.cases import CLOSED_STATES, CaseDeadline, CaseEvent, CaseFile
from server.policy.resolver import load_overrides, load_policy_values

_SETTING_KEYS = {
    "survey": "case.survey_start_working_days",
    "cross_check": "case.cross_check_start_working_days",
    "total": "case.decision_working_days",
    "county_opinion": "case.county_opinion_working_days",
    "notice": "case.refusal_notice_working_days",
}
_EXTENDED, _DELEGATED = "case.decision_extended_working_days", "case.decision_delegated_working_days"
_OBJECTION_STOPS = "case.objection_stops_clock"
DEADLINE_TEXTS = {
    "survey": ("开始入户调查", "start of the survey"),
    "cross_check": ("开始经济状况核对", "start of the cross-check"),
    "total": ("办结", "the decision"),
    "county_opinion": ("县级审核意见", "the county's opinion"),
    "notice": ("书面告知", "written notice"),
}


class _ClockState(NamedTuple):
    """What pauses deadlines: the state of the case now, or as it was after a past step.

    `objection_stops` is the area's setting; no law stops the clock for an objection.
    """

    state: str
    is_suspended: bool
    objection_stops: bool = False


async def update_deadlines(session: AsyncSession, case: CaseFile, step: str, on: date) -> None:
    """Start and end the deadlines that the step starts and meets, and pause or resume the others."""
    await _apply_step(session, case, step, on, _ClockState(case.state, case.suspended_on is not None))


async def _apply_step(session: AsyncSession, case: CaseFile, step: str, on: date, clock: _ClockState) -> None:
    running = {deadline.kind: deadline for deadline in await session.scalars(_select_open(case))}
    overrides = await load_overrides(session)
    for kind in TRANSITIONS[step].meets:
        if (deadline := running.pop(kind, None)) is not None:
            deadline.met_on = on
    missing = [kind for kind in TRANSITIONS[step].starts if kind not in running]
    if step == "cross_check_requested" and "cross_check" in running:
        _restart(running["cross_check"], on, overrides)
    if missing or step == "extended" or clock.state in PAUSING_STATES:
        settings = await load_policy_values(session, case.area_code, case.rules_on)
        clock = clock._replace(objection_stops=bool(settings.get(_OBJECTION_STOPS, False)))
        for kind in missing:
            running[kind] = _start_deadline(session, case, kind, settings, on, overrides)
        if step == "extended" and "total" in running:
            _set_length(running["total"], length_of(settings, _EXTENDED), overrides)
    for kind, deadline in running.items():
        _pause_or_resume(deadline, should_pause=_is_paused(clock, kind), on=on, overrides=overrides)


def deadline_length(settings: Mapping[str, Any], kind: str) -> Length:
    """Return the length of a deadline. The decision has less time where the county has delegated it to the town."""
    is_delegated = kind == "total" and settings.get("case.decided_by") == "town"
    return length_of(settings, _DELEGATED if is_delegated else _SETTING_KEYS[kind])


def _select_open(case: CaseFile) -> Any:
    return select(CaseDeadline).where(CaseDeadline.case_id == case.id, CaseDeadline.met_on.is_(None))


def _start_deadline(
    session: AsyncSession, case: CaseFile, kind: str, settings: Mapping[str, Any], on: date, overrides: Overrides
) -> CaseDeadline:
    length = deadline_length(settings, kind)
    due = end_of(on, length, overrides)
    deadline = CaseDeadline(
        id=new_id(),
        case_id=case.id,
        kind=kind,
        started_on=on,
        count=length.units,
        unit=length.unit,
        paused=0,
        due_on=due.on,
        certain=due.certain,
    )
    session.add(deadline)
    return deadline


def _restart(deadline: CaseDeadline, on: date, overrides: Overrides) -> None:
    """Count from the request a deadline that was counted from acceptance, as it was before requests were recorded."""
    deadline.started_on, deadline.paused = on, 0
    _set_due_date(deadline, overrides)


def _set_length(deadline: CaseDeadline, length: Length, overrides: Overrides) -> None:
    deadline.count, deadline.unit = length
    _set_due_date(deadline, overrides)


def _set_due_date(deadline: CaseDeadline, overrides: Overrides) -> None:
    unit: Unit = "days" if deadline.unit == "days" else "working_days"
    due = end_of(deadline.started_on, Length(deadline.count + deadline.paused, unit), overrides)
    deadline.due_on, deadline.certain = due.on, due.certain


def _is_paused(clock: _ClockState, kind: str) -> bool:
    """All deadlines pause while the case is suspended, the decision during an objection where the area says so."""
    return clock.is_suspended or (kind == "total" and clock.objection_stops and clock.state in PAUSING_STATES)


def _pause_or_resume(deadline: CaseDeadline, *, should_pause: bool, on: date, overrides: Overrides) -> None:
    if should_pause and deadline.paused_on is None:
        deadline.paused_on = on
    elif not should_pause and deadline.paused_on is not None:
        pause_units = (
            (on - deadline.paused_on).days
            if deadline.unit == "days"
            else working_days_between(deadline.paused_on, on, overrides).total
        )
        deadline.paused += pause_units
        deadline.paused_on = None
        _set_due_date(deadline, overrides)


async def recompute_due_dates(session: AsyncSession, after: UUID, limit: int) -> tuple[int, UUID | None]:
    """Compute the due dates of the next open deadlines anew, by id, after the calendar has changed.

    Return how many have another date or are certain now, and the last id; None at the end.
    """
    rows = await session.execute(
        select(CaseDeadline, CaseFile)
        .join(CaseFile, CaseFile.id == CaseDeadline.case_id)
        .where(CaseDeadline.met_on.is_(None), CaseDeadline.unit == "working_days", CaseDeadline.id > after)
        .order_by(CaseDeadline.id)
        .limit(limit)
        .with_for_update(of=CaseDeadline)
    )
    deadlines, overrides, changed = rows.all(), await load_overrides(session), 0
    for deadline, case in deadlines:
        before, area_code = (deadline.due_on, deadline.certain), case.area_code
        _set_due_date(deadline, overrides)
        if (deadline.due_on, deadline.certain) != before:
            changed += 1
            await _notify_residents(session, case, deadline)
        if deadline.due_on != before[0]:
            facts = {"deadline": DEADLINE_TEXTS[deadline.kind][0], "was_due_on": before[0], "due_on": deadline.due_on}
            facts = {name: str(value) for name, value in facts.items()}
            case_id, action = deadline.case_id, Action.CASE_DEADLINE_RECOMPUTED
            audit.record(session, None, action, "case", case_id, area_code=area_code, **facts)
    return changed, deadlines[-1][0].id if deadlines else None


async def _notify_residents(session: AsyncSession, case: CaseFile, deadline: CaseDeadline) -> None:
    """What a resident was shown as uncertain, or as another day, is said again: only the deadline they are shown."""
    if STATE_INFO[case.state].deadline != deadline.kind or deadline.paused_on is not None:
        return
    await jobs.defer(
        session,
        Notify(
            kind="deadline_moved",
            thing=f"case_deadline:{deadline.id}:{deadline.due_on}",
            area_code=case.area_code,
            household_id=case.household_id,
            facts={"caseId": str(case.id), "on": str(deadline.due_on)},
        ),
    )


async def backfill_deadlines(session: AsyncSession) -> int:
    """Create deadlines for open cases that have none (demo data, imports) from their events. Return how many cases."""
    started = {step for step, transition in TRANSITIONS.items() if transition.starts}
    cases = await session.scalars(
        select(CaseFile)
        .where(
            CaseFile.state.not_in(CLOSED_STATES),
            select(CaseEvent.id).where(CaseEvent.case_id == CaseFile.id, CaseEvent.step.in_(started)).exists(),
            ~select(CaseDeadline.id).where(CaseDeadline.case_id == CaseFile.id).exists(),
        )
        .order_by(CaseFile.id)
        .with_for_update(skip_locked=True)
        .limit(500)
    )
    return sum([await _replay_events(session, case) for case in cases.all()])


async def _replay_events(session: AsyncSession, case: CaseFile) -> int:
    """Replay each step with the state of the case at that time: a case suspended today was not at its start."""
    is_suspended = False
    events = await session.scalars(
        select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(CaseEvent.at, CaseEvent.id)
    )
    for event in events:
        is_suspended = event.step == "suspended" or (is_suspended and event.step != "resumed")
        await _apply_step(session, case, event.step, day_of(event.at), _ClockState(event.state, is_suspended))
    if case.suspended_on is not None and not is_suspended:  # imported as suspended, without that event
        await _apply_step(session, case, "suspended", case.suspended_on, _ClockState(case.state, is_suspended=True))
    return 1
