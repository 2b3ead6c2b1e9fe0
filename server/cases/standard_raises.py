"""Raising the standard (提标) of an area: proposed with its preview, confirmed by a second person, undone by two.

The standard itself becomes a policy setting, and each home's amount a decision with its own calculation. Whatever does
not follow from the standard alone is left to a person. Until the month begins the raise can be undone as a whole.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.benefits.calculations import STANDARD
from server.benefits.sheet import months_between
from server.cases.raise_listing import RAISERS, StandardRaiseInfo, load_raise
from server.cases.raise_preview import raised_value, standards_of
from server.core import jobs
from server.core.access import Caller, readable, require_found, require_role
from server.core.errors import Fault, Problem
from server.core.http import RequestBody
from server.core.job_types import ApplyRaise, PreviewRaise, UndoRaise
from server.core.working_days import day_of
from server.models.areas import Area, PolicySetting
from server.models.raises import OPEN_RAISE_STATES, StandardRaise
from server.models.rosters import Roster
from server.policy.resolver import select_effective
from server.policy.settings import RowContent, write_agreed_row

_MOST_MONTHS_AWAY = 12
# A head and month; the limits catch yuan typed as fen, and a yearly standard typed as a monthly one.
MonthlyStandard = Annotated[int, Meta(ge=50_00, le=5_000_00)]


class ProposeRaise(RequestBody):
    """`month`: any day of the first month of the new standard. `document` names what decrees it.

    `id` is drawn by the client: the same proposal again is the same.
    """

    id: UUID
    area_code: Annotated[str, Meta(pattern="^([0-9]{6}|[0-9]{9}|[0-9]{12})$")]
    month: date
    document: Annotated[str, Meta(min_length=1, max_length=1000)]
    urban_fen: MonthlyStandard | None = None
    rural_fen: MonthlyStandard | None = None


class DecideRaise(RequestBody):
    """A raise that is declined needs a reason."""

    outcome: Literal["confirmed", "declined"]
    reason: Annotated[str, Meta(max_length=1000)] = ""


class UndoRaiseBody(RequestBody):
    """Of the first person; the second, who undoes it, may leave it empty."""

    reason: Annotated[str, Meta(max_length=1000)] = ""


async def propose_raise(session: AsyncSession, caller: Caller, body: ProposeRaise, now: datetime) -> StandardRaiseInfo:
    """Keep a raise and begin its preview. Idempotent by id.

    Raises `auth.forbidden` outside the officer's area, `request.invalid` for a standard that is no raise or a month too
    far away, `case.standard_missing`, `raise.later_standard` and `raise.open`.
    """
    require_role(caller, RAISERS)
    if not caller.covers(body.area_code, RAISERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(RAISERS)))
    area = require_found(await session.get(Area, body.area_code))
    month = body.month.replace(day=1)
    proposed = await session.get(StandardRaise, body.id)
    if proposed is not None:
        if (proposed.proposed_by, _content(proposed)) != (
            caller.id,
            (body.area_code, month, body.urban_fen, body.rural_fen, body.document.strip()),
        ):
            raise Problem("request.idempotency_key_reused")
        return await load_raise(session, caller, proposed.id, now)
    before = await _require_raise(session, body, month, now)
    proposed = StandardRaise(
        id=body.id,
        area_code=area.code,
        month=month,
        urban_fen=body.urban_fen,
        rural_fen=body.rural_fen,
        urban_before_fen=before["urban"],
        rural_before_fen=before["rural"],
        document=body.document.strip(),
        state="previewing",
        proposed_by=caller.id,
        proposed_at=now,
    )
    session.add(proposed)
    _record(session, caller, Action.RAISE_PROPOSED, proposed, reason=proposed.document)
    await session.flush()  # the info below is queried
    await jobs.defer(session, PreviewRaise(raise_id=proposed.id), in_turn=f"raise:{proposed.id}")
    return await load_raise(session, caller, proposed.id, now)


def _content(proposed: StandardRaise) -> tuple[Any, ...]:
    return (proposed.area_code, proposed.month, proposed.urban_fen, proposed.rural_fen, proposed.document)


async def _require_raise(session: AsyncSession, body: ProposeRaise, month: date, now: datetime) -> Mapping[str, int]:
    """Return the standards that hold until then, if what is proposed raises them."""
    this_month = day_of(now).replace(day=1)
    if abs(months_between(this_month, month)) > _MOST_MONTHS_AWAY:
        raise Problem("request.invalid", faults=[Fault("/month", "month.too_far", f"{_MOST_MONTHS_AWAY}")])
    if not body.document.strip():
        raise Problem("request.invalid", faults=[Fault("/document", "text.missing", "document")])
    before = await _find_standards(session, body.area_code, month)
    raised = {"urban": body.urban_fen, "rural": body.rural_fen}
    faults = [
        Fault(f"/{name}Fen", "standard.not_higher", str(before[name]))
        for name, fen in raised.items()
        if fen is not None and fen <= before[name]
    ]
    if all(fen is None for fen in raised.values()):
        faults = [Fault("/urbanFen", "standard.missing", "urbanFen, ruralFen")]
    if faults:
        raise Problem("request.invalid", faults=faults)
    await _require_no_other(session, body.area_code, month)
    return before


async def _find_standards(session: AsyncSession, area_code: str, month: date) -> Mapping[str, int]:
    rows = select_effective(area_code, month).where(PolicySetting.key == STANDARD)
    setting: PolicySetting | None = await session.scalar(rows)
    if setting is None:
        raise Problem("case.standard_missing", month=month.isoformat())
    value = setting.value
    return value if isinstance(value, dict) else {"urban": value, "rural": value}


async def _require_no_other(session: AsyncSession, area_code: str, month: date) -> None:
    later = await session.scalar(
        select(PolicySetting.effective_from)
        .where(
            PolicySetting.key == STANDARD,
            PolicySetting.area_code == area_code,
            PolicySetting.effective_from >= month,
        )
        .limit(1)
    )
    if later is not None:
        raise Problem("raise.later_standard", on=later.isoformat())
    overlapping = or_(
        StandardRaise.area_code.startswith(area_code, autoescape=True),
        literal(area_code).startswith(StandardRaise.area_code),
    )
    is_open = StandardRaise.state.in_(OPEN_RAISE_STATES)
    if await session.scalar(select(StandardRaise.id).where(overlapping, is_open).limit(1)) is not None:
        raise Problem("raise.open")


async def decide_raise(
    session: AsyncSession, caller: Caller, raise_id: UUID, body: DecideRaise, now: datetime
) -> StandardRaiseInfo:
    """Confirm a raise, which writes the standard and begins to apply it, or decline it. Idempotent.

    Raises `rule.second_person` for who proposed it, who may withdraw it by declining; `raise.not_ready`,
    `review.reason_required`, and `rule.written` where the day has another standard by now.
    """
    proposed = await _lock_raise(session, caller, raise_id)
    done = {"confirmed": ("applying", "applied"), "declined": ("declined",)}[body.outcome]
    if proposed.state in done and proposed.decided_by == caller.id:
        return await load_raise(session, caller, raise_id, now)
    if proposed.state not in {"previewing", "ready"} or (body.outcome == "confirmed" and proposed.state != "ready"):
        raise Problem("raise.not_ready", state=proposed.state)
    if body.outcome == "declined":
        _decline(session, caller, proposed, body.reason.strip(), now)
        return await load_raise(session, caller, raise_id, now)
    if caller.acts_as(proposed.proposed_by):
        raise Problem("rule.second_person")
    before = await _find_standards(session, proposed.area_code, proposed.month)
    value = raised_value(dict(before), standards_of(proposed))
    content = RowContent(STANDARD, proposed.area_code, proposed.month, value, proposed.document)
    await write_agreed_row(session, caller, content, proposed.proposed_by, now)
    proposed.state, proposed.decided_by, proposed.decided_at = "applying", caller.id, now
    _record(session, caller, Action.RAISE_CONFIRMED, proposed)
    await jobs.defer(session, ApplyRaise(raise_id=proposed.id), in_turn=f"raise:{proposed.id}")
    return await load_raise(session, caller, raise_id, now)


def _decline(session: AsyncSession, caller: Caller, proposed: StandardRaise, reason: str, now: datetime) -> None:
    """Whoever proposed it may take it back: nothing has moved."""
    if not reason:
        raise Problem("review.reason_required")
    proposed.state, proposed.answer, proposed.decided_at = "declined", reason, now
    proposed.decided_by = None if proposed.proposed_by == caller.id else caller.id
    _record(session, caller, Action.RAISE_DECLINED, proposed, reason=reason)


async def undo_raise(
    session: AsyncSession, caller: Caller, raise_id: UUID, body: UndoRaiseBody, now: datetime
) -> StandardRaiseInfo:
    """Propose to undo a raise, or, as the second person, undo it. Raises `raise.month_begun` once it
    is paid, and `raise.roster_frozen` once a roster of it is fixed.
    """
    proposed = await _lock_raise(session, caller, raise_id)
    if proposed.state in {"undoing", "undone"} and proposed.undone_by == caller.id:
        return await load_raise(session, caller, raise_id, now)
    if proposed.state != "applied":
        raise Problem("raise.not_ready", state=proposed.state)
    if proposed.month <= day_of(now):
        raise Problem("raise.month_begun")
    if await _is_frozen(session, proposed):
        raise Problem("raise.roster_frozen")
    if proposed.undo_proposed_by is None:
        if not body.reason.strip():
            raise Problem("review.reason_required")
        proposed.undo_proposed_by, proposed.undo_proposed_at = caller.id, now
        proposed.undo_reason = body.reason.strip()
        _record(session, caller, Action.RAISE_UNDO_PROPOSED, proposed, reason=proposed.undo_reason)
    elif not caller.acts_as(proposed.undo_proposed_by):
        await _begin_to_undo(session, caller, proposed, now)
    return await load_raise(session, caller, raise_id, now)


async def _is_frozen(session: AsyncSession, proposed: StandardRaise) -> bool:
    """Say whether a roster of the area from that month on is frozen: what it pays is fixed with the raise in it."""
    overlapping = or_(
        Roster.area_code.startswith(proposed.area_code, autoescape=True),
        literal(proposed.area_code).startswith(Roster.area_code),
    )
    frozen = select(Roster.id).where(
        overlapping, Roster.month >= proposed.month, Roster.state.in_(["frozen", "sent", "settled"])
    )
    return await session.scalar(frozen.limit(1)) is not None


async def _begin_to_undo(session: AsyncSession, caller: Caller, proposed: StandardRaise, now: datetime) -> None:
    """Take the standard back: its month has not begun, so it has held on no day."""
    row = await session.scalar(
        select(PolicySetting).where(
            PolicySetting.key == STANDARD,
            PolicySetting.area_code == proposed.area_code,
            PolicySetting.effective_from == proposed.month,
        )
    )
    if row is not None:
        await session.delete(row)
    proposed.state, proposed.undone_by, proposed.undone_at = "undoing", caller.id, now
    _record(session, caller, Action.RAISE_UNDONE, proposed, reason=proposed.undo_reason)
    await jobs.defer(session, UndoRaise(raise_id=proposed.id), in_turn=f"raise:{proposed.id}")


async def _lock_raise(session: AsyncSession, caller: Caller, raise_id: UUID) -> StandardRaise:
    require_role(caller, RAISERS)
    rows = readable(StandardRaise, caller).where(StandardRaise.id == raise_id).with_for_update()
    proposed: StandardRaise = require_found(await session.scalar(rows))
    if not caller.covers(proposed.area_code, RAISERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(RAISERS)))
    return proposed


def _record(session: AsyncSession, caller: Caller, action: Action, proposed: StandardRaise, **facts: Any) -> None:
    audit.record(
        session, caller, action, "standard_raise", proposed.id, area_code=proposed.area_code,
        effective_from=proposed.month.isoformat(), urban_fen=proposed.urban_fen, rural_fen=proposed.rural_fen, **facts,
    )  # fmt: skip
