"""The steps that a person takes on a case: checked against the workflow table and idempotent.

The case row is locked. When two officers act at the same time, the first step raises the version, and the second
officer gets `case.changed` with who did what. Repeating a step returns the same result.
"""

from datetime import date, datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.changes import (
    find_stop_month,
    record_amount_change,
    record_grant,
    record_return,
    record_stop,
    require_changed_amount,
    require_granting_calculation,
)
from server.benefits.programmes import Programme
from server.benefits.stop_grounds import StopGroundLine, find_stop_ground
from server.cases.certificates import follow_step
from server.cases.come_back import require_may_come_back
from server.cases.difference_reasons import require_explained
from server.cases.grace_ends import settle_grace_ends
from server.cases.loading import gave_opinion, lock_case, roles_over_case
from server.cases.papers import list_missing_papers, list_papers, request_papers
from server.cases.payment_proposals import Proposed, decide_proposal, decline_proposal, propose_payment
from server.cases.programmes import confirm_programme
from server.cases.recommendations import settle_recommendations
from server.cases.survey_visits import require_accepted_survey, require_county_visit
from server.cases.transitions import apply_transition
from server.cases.workflow import ACTIONS, DECIDES, DECISIONS, TRANSITIONS, deciding_role, find_refusal
from server.core.access import Caller
from server.core.errors import Fault, Problem
from server.core.http import LongText, RequestBody
from server.core.ids import new_id
from server.households.conflicts import require_no_conflict_of_interest
from server.households.double_benefit import require_no_double_benefit
from server.models.cases import CaseDeadline, CaseEvent, CaseFile
from server.models.people import Staff
from server.models.postings import Posting, PostingEntry
from server.policy.resolver import load_policy_values


class TakeStep(RequestBody):
    """A step of the procedure. The resident reads `reason`; `delivery` says how a notice reached them.

    For a proposal to stop: `ground` is a code of the area and goes into the ledger, and `from_month` is any day of the
    first month without payment (default: the month after the decision). The decision takes both from the proposal.
    `programme` is for the step that confirms it.
    """

    step: str
    reason: LongText = ""
    delivery: LongText = ""
    ground: Annotated[str, Meta(pattern="^[a-z][a-z0-9_.]{0,79}$")] = "other"
    from_month: date | None = None
    programme: Programme | None = None


async def take_step(
    session: AsyncSession,
    caller: Caller,
    case_id: UUID,
    body: TakeStep,
    *,
    version: int,
    idempotency_key: str | None,
    now: datetime,
) -> CaseFile:
    """Take a step on a case, from the version that the caller saw. Idempotent.

    Raises `auth.forbidden`, `case.changed`, `case.not_now`, `case.closed`, `case.suspended`,
    `case.reason_required`, `case.second_person` and what the step's own checks raise.
    """
    if body.step not in ACTIONS:
        raise Problem("request.invalid", faults=[Fault("/step", "step.unknown", body.step[:40])])
    case = await lock_case(session, caller, case_id)
    cause = f"act:{caller.id}:{idempotency_key}" if idempotency_key else f"act:{new_id()}"
    facts = _step_facts(body)
    if await _is_repeat(session, caller, case, body.step, facts, cause, version):
        return case
    settings = await load_policy_values(session, case.area_code, case.rules_on)
    await _require_allowed(session, caller, case, body, settings, version)
    facts |= await _prepare_step(session, case, _StepContext(caller, body, settings, now))
    await settle_recommendations(session, caller, case, body.step, now)
    await settle_grace_ends(session, case, body.step, now)
    await apply_transition(
        session, case, body.step, cause=cause, actor_id=None if caller.is_resident else caller.id, at=now,
        caller=caller, facts=facts,
    )  # fmt: skip
    await follow_step(session, case, body.step, None if caller.is_resident else caller.id, now)
    return case


def _step_facts(body: TakeStep) -> dict[str, str]:
    """Return the facts stored with the event. A repeated step is recognised by them."""
    facts = {"reason": body.reason.strip(), "delivery": body.delivery.strip()}
    if body.step == "stop_proposed":
        facts |= {"ground": body.ground, "askedFrom": body.from_month.isoformat() if body.from_month else ""}
    if body.step == "programme_confirmed":
        facts["programme"] = body.programme or ""
    return facts


async def _is_repeat(
    session: AsyncSession, caller: Caller, case: CaseFile, step: str, facts: dict[str, str], cause: str, version: int
) -> bool:
    """Say whether the step was taken already: by key, or as the case's last step by the same person, same facts.

    A caller who has seen the latest version and may take the step again means a new step: next year's review may
    end with the same words.
    """
    event_of_key = await session.scalar(select(CaseEvent).where(CaseEvent.case_id == case.id, CaseEvent.cause == cause))
    if event_of_key is not None:
        if event_of_key.step != step or not _has_facts(event_of_key, facts):
            raise Problem("request.idempotency_key_reused")
        return True
    if version == case.version and case.state in TRANSITIONS[step].from_states:
        return False
    last = await session.scalar(_select_latest_event(case))
    actor_id = None if caller.is_resident else caller.id
    return last is not None and last.step == step and last.actor_id == actor_id and _has_facts(last, facts)


def _has_facts(event: CaseEvent, facts: dict[str, str]) -> bool:
    return all(event.facts.get(key, "") == value for key, value in facts.items())


def _select_latest_event(case: CaseFile) -> Any:
    return (
        select(CaseEvent)
        .where(CaseEvent.case_id == case.id)
        .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        .limit(1)
    )


async def _require_allowed(
    session: AsyncSession, caller: Caller, case: CaseFile, body: TakeStep, settings: dict[str, Any], version: int
) -> None:
    transition, decided_by = TRANSITIONS[body.step], deciding_role(settings)
    code = find_refusal(
        body.step, case.state, roles_over_case(caller, case), is_suspended=case.suspended_on is not None,
        decided_by=decided_by,
    )  # fmt: skip
    if code == "auth.forbidden":
        raise Problem(code, roles=", ".join(sorted(decided_by if role == DECIDES else role for role in transition.by)))
    if not caller.is_resident:
        await require_no_conflict_of_interest(session, caller, case.household_id)
    if version != case.version:
        raise await _case_changed(session, case)
    if code is not None:
        raise Problem(code, state=case.state)
    if transition.needs_reason and not body.reason.strip():
        raise Problem("case.reason_required")
    if body.step in DECISIONS and await gave_opinion(session, caller, case):
        raise Problem("case.second_person")


async def _case_changed(session: AsyncSession, case: CaseFile) -> Problem:
    last = await session.scalar(_select_latest_event(case))
    name = await session.scalar(select(Staff.name).where(Staff.id == last.actor_id)) if last else None
    done = TRANSITIONS[last.step].zh if last else ""
    return Problem("case.changed", by=name or "系统", step=done, version=case.version)


class _StepContext(NamedTuple):
    caller: Caller
    body: TakeStep
    settings: dict[str, Any]
    now: datetime


async def _prepare_step(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    """Run the step's own checks and effects, if any. Return the facts that they add to the event."""
    prepare = _PREPARATIONS.get(context.body.step)
    return await prepare(session, case, context) if prepare else {}


async def _record_missing_papers(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    missing = await list_missing_papers(session, case)
    if not missing:
        raise Problem("case.papers_complete")
    await request_papers(session, case, missing, context.now)
    return {"papers": missing}


async def _require_papers_and_consent(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    del context
    missing = [paper for paper in await list_papers(session, case) if paper.received_on is None]
    if missing:
        names, names_en = "、".join(paper.zh for paper in missing), ", ".join(paper.en for paper in missing)
        raise Problem("case.papers_missing", papers=names, papers_en=names_en)
    if case.consented_on is None:
        raise Problem("case.consent_missing")
    return {}


async def _require_amount_and_hearing(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    steps = list(
        await session.scalars(
            select(CaseEvent.step)
            .where(CaseEvent.case_id == case.id, CaseEvent.step.in_(["hearing_passed", "hearing_failed"]))
            .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        )
    )
    if context.settings.get("case.hearing_required") and not steps:
        raise Problem("case.hearing_required")
    if steps and steps[0] == "hearing_failed":
        raise Problem("case.hearing_failed")
    await require_accepted_survey(session, case)
    latest = await require_granting_calculation(session, case)
    explained = await require_explained(session, case, "opinion_grant", context.settings)
    case.amount_fen = latest.amount_fen
    await _remove_earlier_posting_entries(session, case, context.now)
    return {"amountFen": latest.amount_fen, "calculationId": str(latest.id)} | explained


async def _remove_earlier_posting_entries(session: AsyncSession, case: CaseFile, now: datetime) -> None:
    """Remove the case from postings of an earlier opinion.

    They show the earlier amount, and their end would move the case.
    """
    open_postings = select(Posting.id).where(Posting.state != "ended")
    await session.execute(
        update(PostingEntry)
        .where(
            PostingEntry.case_id == case.id,
            PostingEntry.removed_at.is_(None),
            PostingEntry.posting_id.in_(open_postings),
        )
        .values(removed_at=now)
    )


async def _require_county_visit_and_cross_check(
    session: AsyncSession, case: CaseFile, context: _StepContext
) -> dict[str, Any]:
    await require_accepted_survey(session, case)
    if case.needs_county_visit:
        await require_county_visit(session, case)
    await _require_cross_check(session, case)
    if case.amount_fen is None:
        raise Problem("case.amount_missing")
    explained = await require_explained(session, case, "confirmed", context.settings)
    await require_no_double_benefit(session, case.household_id)
    await record_grant(session, case, context.caller.id, context.settings, context.now)
    return {"amountFen": case.amount_fen} | explained


async def _require_cross_check(session: AsyncSession, case: CaseFile) -> None:
    """A request that nobody has followed holds the grant back; so does a case that nobody has checked at all."""
    running = await session.scalar(_select_running_cross_check(case))
    begun = await session.scalar(
        select(CaseEvent.id).where(CaseEvent.case_id == case.id, CaseEvent.step == "cross_check_begun").limit(1)
    )
    met = CaseDeadline.case_id == case.id, CaseDeadline.kind == "cross_check", CaseDeadline.met_on.is_not(None)
    is_done = begun is not None or await session.scalar(select(CaseDeadline.id).where(*met).limit(1)) is not None
    if running is not None or not is_done:
        raise Problem("case.cross_check_missing")


def _select_running_cross_check(case: CaseFile) -> Any:
    return select(CaseDeadline).where(
        CaseDeadline.case_id == case.id, CaseDeadline.kind == "cross_check", CaseDeadline.met_on.is_(None)
    )


async def _require_new_request(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    """A second request would only move the deadline of the first."""
    del context
    last = await session.scalar(
        select(CaseEvent.step)
        .where(CaseEvent.case_id == case.id, CaseEvent.step.in_(["cross_check_requested", "cross_check_begun"]))
        .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        .limit(1)
    )
    if last == "cross_check_requested":
        raise Problem("case.cross_check_requested")
    return {}


async def _confirm_programme(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    del session
    return confirm_programme(case, context.body.programme, context.body.reason)


async def _require_first_extension(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    del session, context
    if case.is_extended:
        raise Problem("case.extended_already")
    return {}


async def _propose_change(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    calculation = await require_changed_amount(session, case)
    proposed = Proposed("amount_changed", context.body.reason.strip(), calculation=calculation)
    return await propose_payment(session, context.caller, case, proposed, context.now)


async def _propose_stop(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    body = context.body
    await _require_ground(session, case, body.ground)
    find_stop_month(case, body.from_month, context.now)
    proposed = Proposed("stopped", body.reason.strip(), ground=body.ground, from_month=body.from_month)
    return await propose_payment(session, context.caller, case, proposed, context.now)


async def _require_ground(session: AsyncSession, case: CaseFile, code: str) -> StopGroundLine:
    ground = await find_stop_ground(session, case.area_code, code)
    if ground is None:
        raise Problem("request.invalid", faults=[Fault("/ground", "ground.unknown", code)])
    return ground


async def _decline(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    return {"declined": await decline_proposal(session, context.caller, case, context.body.reason.strip(), context.now)}


async def _record_amount_change(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    await decide_proposal(session, context.caller, case, "amount_changed", context.now)
    explained = await require_explained(session, case, "amount_changed", context.settings)
    reason = context.body.reason.strip()
    return await record_amount_change(session, case, context.caller.id, reason, context.now) | explained


async def _record_stop(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    proposal = await decide_proposal(session, context.caller, case, "stopped", context.now)
    assert proposal.ground is not None
    ground = await _require_ground(session, case, proposal.ground)
    reason = context.body.reason.strip()
    return await record_stop(session, case, context.caller.id, reason, ground, proposal.from_month, context.now)


async def _propose_return(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    await require_may_come_back(session, case, context.now)
    calculation = await require_granting_calculation(session, case)
    proposed = Proposed("came_back", context.body.reason.strip(), calculation=calculation)
    return await propose_payment(session, context.caller, case, proposed, context.now)


async def _record_return(session: AsyncSession, case: CaseFile, context: _StepContext) -> dict[str, Any]:
    await require_may_come_back(session, case, context.now)
    await decide_proposal(session, context.caller, case, "came_back", context.now)
    calculation = await require_granting_calculation(session, case)
    explained = await require_explained(session, case, "came_back", context.settings)
    await require_no_double_benefit(session, case.household_id)
    reason = context.body.reason.strip()
    return await record_return(session, case, calculation, context.caller.id, reason, context.now) | explained


_PREPARATIONS = {
    "papers_missing": _record_missing_papers,
    "accepted": _require_papers_and_consent,
    "programme_confirmed": _confirm_programme,
    "cross_check_requested": _require_new_request,
    "opinion_grant": _require_amount_and_hearing,
    "confirmed": _require_county_visit_and_cross_check,
    "extended": _require_first_extension,
    "change_proposed": _propose_change,
    "stop_proposed": _propose_stop,
    "return_proposed": _propose_return,
    "proposal_declined": _decline,
    "amount_changed": _record_amount_change,
    "stopped": _record_stop,
    "came_back": _record_return,
}
