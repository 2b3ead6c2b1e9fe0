"""By when a case must have gone on: deadlines start and end with steps, and stand still when the law says so.

How long each is, is a rule of the area on the day the case began. A deadline is always `count + paused`
units after its start, so what a pause moved can be told from what an extension did.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.workflow import CLOCK_STOPS, MOVES
from server.core.ids import new_id
from server.core.working_days import Length, Overrides, Unit, day_of, end_of, length_of, working_days_between
from server.models.cases import CLOSED_STATES, CaseDeadline, CaseEvent, CaseFile
from server.policy.resolver import load_overrides, policy_values

_RULES = {
    "survey": "case.survey_start_working_days",
    "cross_check": "case.cross_check_start_working_days",
    "total": "case.decision_working_days",
    "county_opinion": "case.county_opinion_working_days",
    "notice": "case.refusal_notice_working_days",
}
_EXTENDED, _DELEGATED = "case.decision_extended_working_days", "case.decision_delegated_working_days"
WORDS = {
    "survey": ("开始入户调查", "start of the survey"),
    "cross_check": ("开始经济状况核对", "start of the cross-check"),
    "total": ("办结", "the decision"),
    "county_opinion": ("县级审核意见", "the county's opinion"),
    "notice": ("书面告知", "written notice"),
}


class _Standing(NamedTuple):
    """What stops clocks: of the case as it is, or as it was after a step."""

    state: str
    is_suspended: bool


async def update_deadlines(session: AsyncSession, case: CaseFile, step: str, on: date) -> None:
    """After a step: start what it starts, end what it meets, and stop or restart the clocks."""
    await _keep(session, case, step, on, _Standing(case.state, case.suspended_on is not None))


async def _keep(session: AsyncSession, case: CaseFile, step: str, on: date, standing: _Standing) -> None:
    running = {one.kind: one for one in await session.scalars(_running(case))}
    overrides = await load_overrides(session)
    for kind in MOVES[step].meets:
        if (one := running.pop(kind, None)) is not None:
            one.met_on = on
    missing = [kind for kind in MOVES[step].starts if kind not in running]
    if missing or step == "extended":
        rules = await policy_values(session, case.area_code, case.rules_on)
        for kind in missing:
            running[kind] = _start(session, case, kind, rules, on, overrides)
        if step == "extended" and "total" in running:
            _set_length(running["total"], length_of(rules, _EXTENDED), overrides)
    for kind, one in running.items():
        _pause_or_go_on(one, should_stand=_stands_still(standing, kind), on=on, overrides=overrides)


def length_for(rules: Mapping[str, Any], kind: str) -> Length:
    """How long a deadline of this kind is; the whole takes less where the county has delegated to the town."""
    is_delegated = kind == "total" and rules.get("case.decided_by") == "town"
    return length_of(rules, _DELEGATED if is_delegated else _RULES[kind])


def _running(case: CaseFile) -> Any:
    return select(CaseDeadline).where(CaseDeadline.case_id == case.id, CaseDeadline.met_on.is_(None))


def _start(
    session: AsyncSession, case: CaseFile, kind: str, rules: Mapping[str, Any], on: date, overrides: Overrides
) -> CaseDeadline:
    length = length_for(rules, kind)
    due = end_of(on, length, overrides)
    one = CaseDeadline(
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
    session.add(one)
    return one


def _set_length(one: CaseDeadline, length: Length, overrides: Overrides) -> None:
    one.count, one.unit = length
    _reckon(one, overrides)


def _reckon(one: CaseDeadline, overrides: Overrides) -> None:
    unit: Unit = "days" if one.unit == "days" else "working_days"
    due = end_of(one.started_on, Length(one.count + one.paused, unit), overrides)
    one.due_on, one.certain = due.on, due.certain


def _stands_still(standing: _Standing, kind: str) -> bool:
    """Everything while the case is suspended; the decision while an objection is open (law)."""
    return standing.is_suspended or (kind == "total" and standing.state in CLOCK_STOPS)


def _pause_or_go_on(one: CaseDeadline, *, should_stand: bool, on: date, overrides: Overrides) -> None:
    if should_stand and one.paused_on is None:
        one.paused_on = on
    elif not should_stand and one.paused_on is not None:
        stood = (
            (on - one.paused_on).days
            if one.unit == "days"
            else working_days_between(one.paused_on, on, overrides).total
        )
        one.paused += stood
        one.paused_on = None
        _reckon(one, overrides)


async def restore_deadlines(session: AsyncSession) -> int:
    """Give deadlines to open cases that came without any (loaded or imported), from the steps they took."""
    started = {step for step, move in MOVES.items() if move.starts}
    bare = await session.scalars(
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
    return sum([await _replay(session, case) for case in bare.all()])


async def _replay(session: AsyncSession, case: CaseFile) -> int:
    """Each step as the case stood then: one that is suspended today was not when it was taken on."""
    is_suspended = False
    events = await session.scalars(
        select(CaseEvent).where(CaseEvent.case_id == case.id).order_by(CaseEvent.at, CaseEvent.id)
    )
    for event in events:
        is_suspended = event.step == "suspended" or (is_suspended and event.step != "resumed")
        await _keep(session, case, event.step, day_of(event.at), _Standing(event.state, is_suspended))
    if case.suspended_on is not None and not is_suspended:  # it came suspended, without the step that says so
        await _keep(session, case, "suspended", case.suspended_on, _Standing(case.state, is_suspended=True))
    return 1
