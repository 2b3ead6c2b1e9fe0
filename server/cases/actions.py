"""What a person does to a case: asked for by name, judged by the procedure's table, done once.

Two officers at once: the case is locked, the first one's event makes a new version, and the other, who saw
the old one, is told who did what. The same act again, by key or straight away, gives the same answer.
"""

from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.changes import latest_calculation, note_change, note_grant, note_stop
from server.cases.papers import ask_for_papers, list_papers, missing_papers
from server.cases.transitions import move
from server.cases.workflow import ACTS, MOVES, judge
from server.core.access import Caller, Role, found, readable
from server.core.errors import Fault, Problem
from server.core.http import LongText, RequestBody
from server.core.ids import new_id
from server.households.conflicts import require_no_conflict_of_interest
from server.models.cases import CaseDeadline, CaseEvent, CaseFile
from server.models.people import Staff
from server.models.postings import Posting, PostingEntry
from server.policy.resolver import policy_values


class TakeStep(RequestBody):
    """A step of the procedure. `reason` is read by the resident; `delivery` says how a notice reached them.

    Of a stop: `ground` for the register, and any day of the first month without payment (else the next).
    """

    step: str
    reason: LongText = ""
    delivery: LongText = ""
    ground: Literal["income", "property", "death", "moved", "own_wish", "not_reported", "other"] = "other"
    from_month: date | None = None


async def take_step(
    session: AsyncSession,
    caller: Caller,
    case_id: UUID,
    asked: TakeStep,
    *,
    version: int,
    idempotency_key: str | None,
    now: datetime,
) -> CaseFile:
    """Move a case the caller may see, from the version they saw. The same act again is once.

    Raises `auth.forbidden`, `case.changed`, `case.not_now`, `case.closed`, `case.suspended`,
    `case.reason_required` and what a step has of its own (`_check`).
    """
    if asked.step not in ACTS:
        raise Problem("request.invalid", faults=[Fault("/step", "step.unknown", asked.step[:40])])
    case: CaseFile = found(
        await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id).with_for_update())
    )
    cause = f"act:{caller.id}:{idempotency_key}" if idempotency_key else f"act:{new_id()}"
    facts = _told(asked)
    if await _is_done(session, caller, case, asked.step, facts, cause, version):
        return case
    rules = await policy_values(session, case.area_code, case.rules_on)
    decided_by = Role.TOWN_OFFICER if rules.get("case.decided_by") == "town" else Role.COUNTY_OFFICER
    code = judge(
        asked.step, case.state, roles_over(caller, case), is_suspended=case.suspended_on is not None,
        decided_by=decided_by,
    )  # fmt: skip
    if code == "auth.forbidden":
        raise Problem(code, roles=", ".join(sorted(decided_by if r == "decides" else r for r in MOVES[asked.step].by)))
    if not caller.is_resident:
        await require_no_conflict_of_interest(session, caller, case.household_id)
    if version != case.version:
        raise await _told_who_was_first(session, case)
    if code is not None:
        raise Problem(code, state=case.state)
    if MOVES[asked.step].needs_reason and not facts["reason"]:
        raise Problem("case.reason_required")
    facts |= await _check(session, case, _Asking(caller, asked, rules, now))
    await move(
        session, case, asked.step, cause=cause, actor_id=None if caller.is_resident else caller.id, at=now,
        caller=caller, facts=facts,
    )  # fmt: skip
    return case


def _told(asked: TakeStep) -> dict[str, str]:
    """What the officer said, as it is kept: the same act is known again by it."""
    told = {"reason": asked.reason.strip(), "delivery": asked.delivery.strip()}
    if asked.step == "stopped":
        told |= {"ground": asked.ground, "askedFrom": asked.from_month.isoformat() if asked.from_month else ""}
    return told


async def _is_done(
    session: AsyncSession, caller: Caller, case: CaseFile, step: str, facts: dict[str, str], cause: str, version: int
) -> bool:
    """By key, or because it is the very last thing that happened, by the same person in the same words.

    Whoever saw it happen and may take the step again means another one: next year's review may end in the same words.
    """
    by_key = await session.scalar(select(CaseEvent).where(CaseEvent.case_id == case.id, CaseEvent.cause == cause))
    if by_key is not None:
        if by_key.step != step or not _same(by_key, facts):
            raise Problem("request.idempotency_key_reused")
        return True
    if version == case.version and case.state in MOVES[step].from_states:
        return False
    last = await session.scalar(_latest(case))
    actor_id = None if caller.is_resident else caller.id
    return last is not None and last.step == step and last.actor_id == actor_id and _same(last, facts)


def _same(event: CaseEvent, facts: dict[str, str]) -> bool:
    return all(event.facts.get(key, "") == value for key, value in facts.items())


def _latest(case: CaseFile) -> Any:
    return (
        select(CaseEvent)
        .where(CaseEvent.case_id == case.id)
        .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        .limit(1)
    )


def roles_over(caller: Caller, case: CaseFile) -> frozenset[Role]:
    """The roles the caller holds over this case: by area, or being the resident it belongs to."""
    if caller.is_resident:
        return frozenset({Role.RESIDENT})
    # A caseworker holds households, not areas: that they see the case says that they hold it.
    return frozenset(
        grant.role
        for grant in caller.grants
        if grant.role is Role.CASEWORKER or case.area_code.startswith(grant.area_code)
    )


async def _told_who_was_first(session: AsyncSession, case: CaseFile) -> Problem:
    last = await session.scalar(_latest(case))
    name = await session.scalar(select(Staff.name).where(Staff.id == last.actor_id)) if last else None
    done = MOVES[last.step].zh if last else ""
    return Problem("case.changed", by=name or "系统", step=done, version=case.version)


class _Asking(NamedTuple):
    caller: Caller
    asked: TakeStep
    rules: dict[str, Any]
    now: datetime


async def _check(session: AsyncSession, case: CaseFile, asking: _Asking) -> dict[str, Any]:
    """What a step needs beside its place in the table; the facts that go with it."""
    check = _CHECKS.get(asking.asked.step)
    return await check(session, case, asking) if check else {}


async def _name_missing_papers(session: AsyncSession, case: CaseFile, asking: _Asking) -> dict[str, Any]:
    missing = await missing_papers(session, case)
    if not missing:
        raise Problem("case.papers_complete")
    await ask_for_papers(session, case, missing, asking.now)
    return {"papers": missing}


async def _need_papers_and_consent(session: AsyncSession, case: CaseFile, asking: _Asking) -> dict[str, Any]:
    del asking
    missing = [one for one in await list_papers(session, case) if one.received_on is None]
    if missing:
        names, names_en = "、".join(one.zh for one in missing), ", ".join(one.en for one in missing)
        raise Problem("case.papers_missing", papers=names, papers_en=names_en)
    if case.consented_on is None:
        raise Problem("case.consent_missing")
    return {}


async def _need_amount_and_hearing(session: AsyncSession, case: CaseFile, asking: _Asking) -> dict[str, Any]:
    steps = list(
        await session.scalars(
            select(CaseEvent.step)
            .where(CaseEvent.case_id == case.id, CaseEvent.step.in_(["hearing_passed", "hearing_failed"]))
            .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        )
    )
    if asking.rules.get("case.hearing_required") and not steps:
        raise Problem("case.hearing_required")
    if steps and steps[0] == "hearing_failed":
        raise Problem("case.hearing_failed")
    latest = await latest_calculation(session, case)
    if latest is None or not latest.eligible:
        raise Problem("case.amount_missing")
    case.amount_fen = latest.amount_fen
    await _take_down_earlier_lines(session, case, asking.now)
    return {"amountFen": latest.amount_fen, "calculationId": str(latest.id)}


async def _take_down_earlier_lines(session: AsyncSession, case: CaseFile, now: datetime) -> None:
    """A list that still hangs from an opinion before this one says its amount, and its end would move the case."""
    hanging = select(Posting.id).where(Posting.state != "ended")
    await session.execute(
        update(PostingEntry)
        .where(PostingEntry.case_id == case.id, PostingEntry.removed_at.is_(None), PostingEntry.posting_id.in_(hanging))
        .values(removed_at=now)
    )


async def _need_county_visit_and_cross_check(session: AsyncSession, case: CaseFile, asking: _Asking) -> dict[str, Any]:
    if case.needs_county_visit and case.county_visited_at is None:
        raise Problem("case.county_visit_missing")
    running = await session.scalar(
        select(CaseDeadline.id).where(
            CaseDeadline.case_id == case.id, CaseDeadline.kind == "cross_check", CaseDeadline.met_on.is_(None)
        )
    )
    if running is not None:
        raise Problem("case.cross_check_missing")
    if case.amount_fen is None:
        raise Problem("case.amount_missing")
    await note_grant(session, case, asking.caller.id, asking.now)
    return {"amountFen": case.amount_fen}


async def _need_first_extension(session: AsyncSession, case: CaseFile, asking: _Asking) -> dict[str, Any]:
    del session, asking
    if case.is_extended:
        raise Problem("case.extended_already")
    return {}


async def _change_amount(session: AsyncSession, case: CaseFile, asking: _Asking) -> dict[str, Any]:
    return await note_change(session, case, asking.caller.id, asking.asked.reason.strip(), asking.now)


async def _stop(session: AsyncSession, case: CaseFile, asking: _Asking) -> dict[str, Any]:
    asked = asking.asked
    return await note_stop(
        session, case, asking.caller.id, asked.reason.strip(), asked.ground, asked.from_month, asking.now
    )


_CHECKS = {
    "papers_missing": _name_missing_papers,
    "accepted": _need_papers_and_consent,
    "opinion_grant": _need_amount_and_hearing,
    "confirmed": _need_county_visit_and_cross_check,
    "extended": _need_first_extension,
    "amount_changed": _change_amount,
    "stopped": _stop,
}
