"""A village goes into another, or to another town under a new code: proposed, confirmed by a second person, applied on
its day.

Households, what is under way there, roles and settings follow. What happened before keeps the old code, which ends and
names its successor: statistics and reports of earlier months stay as they were.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller, in_areas, require_found, require_role
from server.core.clock import today as today_in_china
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Fault, Problem
from server.core.http import LongText, RequestBody, ResponseBody
from server.core.job_types import ApplyAreaChanges
from server.core.paging import Keyset, Page, fetch_page
from server.core.services import Services
from server.core.working_days import day_of
from server.directory.area_moves import move_village
from server.directory.area_register import AREA_KEEPERS, VILLAGE_DIGITS, AreaName, lock_area
from server.models.areas import Area, AreaChange
from server.models.people import Staff

_NEWEST_FIRST = Keyset(AreaChange.id, descending=True)
_TOWN_DIGITS = 9
AreaChangeKind = Literal["merged", "moved"]
AreaChangeState = Literal["proposed", "accepted", "rejected", "applied", "lapsed"]
# A range catches typing errors of a year; a document of long ago is entered with its own day.
_DAYS_APART = timedelta(days=2 * 366)
VillageCode = Annotated[str, Meta(pattern="^[0-9]{12}$")]


class ProposeAreaChange(RequestBody):
    """`merged`: `to_code` is the village that stays. `moved`: the new code under the other town, and `to_name` its name
    there; without one the name stays. `id` is drawn by the client.
    """

    id: UUID
    kind: AreaChangeKind
    from_code: VillageCode
    to_code: VillageCode
    effective_on: date
    reason: Annotated[LongText, Meta(min_length=1)]
    to_name: AreaName | None = None


class DecideAreaChange(RequestBody):
    """A rejection needs a reason."""

    outcome: Literal["accepted", "rejected"]
    reason: Annotated[str, Meta(max_length=1000)] = ""


class AreaChangeLine(ResponseBody):
    """`households`: how many followed, once it is applied."""

    id: UUID
    kind: AreaChangeKind
    from_code: str
    from_name: str
    to_code: str
    to_name: str
    effective_on: date
    reason: str
    state: AreaChangeState
    proposed_by: str
    proposed_by_id: UUID
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    answer: str | None
    applied_at: datetime | None
    households: int | None


async def list_area_changes(
    session: AsyncSession, caller: Caller, *, state: AreaChangeState | None, cursor: str | None, limit: int
) -> Page[AreaChangeLine]:
    """List changes that touch the caller's areas, the newest first."""
    require_role(caller, AREA_KEEPERS)
    rows = _select_changes(caller)
    if state is not None:
        rows = rows.where(AreaChange.state == state)
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    return Page(items=[_line(*row) for row in page], next_cursor=next_cursor)


def _select_changes(caller: Caller) -> Any:
    proposer, decider = aliased(Staff), aliased(Staff)
    return (
        select(AreaChange, Area.name, proposer.name, decider.name)
        .join(Area, Area.code == AreaChange.from_code)
        .join(proposer, proposer.id == AreaChange.proposed_by)
        .outerjoin(decider, decider.id == AreaChange.decided_by)
        .where(
            or_(
                in_areas(AreaChange.from_code, caller, AREA_KEEPERS),
                in_areas(AreaChange.to_code, caller, AREA_KEEPERS),
            )
        )
    )


async def propose_area_change(
    session: AsyncSession, caller: Caller, body: ProposeAreaChange, now: datetime
) -> AreaChangeLine:
    """Keep a proposal; nothing moves until another person confirms it and its day has come. Idempotent by id.

    Raise `thing.not_found`, `auth.forbidden`, `request.invalid` for a code that does not fit, `area.change_waiting`.
    """
    area = await lock_area(session, caller, body.from_code)
    earlier = await session.get(AreaChange, body.id)
    if earlier is not None:
        if not _is_same(earlier, body, caller):
            raise Problem("request.idempotency_key_reused")
        return await _load_line(session, caller, body.id)
    if not caller.covers(body.to_code, AREA_KEEPERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(AREA_KEEPERS)))
    if (fault := await _find_fault(session, body.kind, body.from_code, body.to_code)) is not None:
        raise Problem("request.invalid", faults=[fault])
    _require_day(area, body.effective_on, day_of(now))
    touching = or_(AreaChange.from_code.in_(codes := [body.from_code, body.to_code]), AreaChange.to_code.in_(codes))
    if await session.scalar(select(AreaChange.id).where(touching, _is_waiting()).limit(1)) is not None:
        raise Problem("area.change_waiting")
    target = await session.get(Area, body.to_code)
    change = AreaChange(
        id=body.id, kind=body.kind, from_code=area.code, to_code=body.to_code,
        to_name=target.name if target else " ".join((body.to_name or area.name).split()),
        effective_on=body.effective_on, reason=body.reason, state="proposed", proposed_by=caller.id, proposed_at=now,
    )  # fmt: skip
    session.add(change)
    await session.flush()  # the line is read from the table
    _record(session, caller, Action.AREA_CHANGE_PROPOSED, change)
    return await _load_line(session, caller, change.id)


def _is_waiting() -> ColumnElement[bool]:
    return AreaChange.state.in_(["proposed", "accepted"])


def _is_same(change: AreaChange, body: ProposeAreaChange, caller: Caller) -> bool:
    stored = (change.kind, change.from_code, change.to_code, change.effective_on, change.reason, change.proposed_by)
    return stored == (body.kind, body.from_code, body.to_code, body.effective_on, body.reason, caller.id)


def _require_day(area: Area, effective_on: date, today: date) -> None:
    """Refuse a day of another year, and one before the village was there."""
    is_near = abs(effective_on - today) <= _DAYS_APART
    if not is_near or (area.valid_from is not None and effective_on < area.valid_from):
        raise Problem("request.invalid", faults=[Fault("/effectiveOn", "field.invalid", effective_on.isoformat())])


async def _find_fault(session: AsyncSession, kind: str, from_code: str, to_code: str) -> Fault | None:
    """Say what does not fit, if anything: when it is proposed, and again on its day."""
    area, target = await session.get(Area, from_code), await session.get(Area, to_code)
    if area is None or area.valid_until is not None:
        return Fault("/fromCode", "area.unknown", from_code)
    if kind == "merged":
        fits = target is not None and target.valid_until is None and to_code != from_code
        code = "area.unknown"
    else:
        town = await session.get(Area, to_code[:_TOWN_DIGITS])
        fits = target is None and town is not None and town.valid_until is None
        code = "id.taken" if target is not None else "area.no_parent"
    return None if fits and len(to_code) == VILLAGE_DIGITS else Fault("/toCode", code, to_code)


async def decide_area_change(
    session: AsyncSession, caller: Caller, change_id: UUID, body: DecideAreaChange, now: datetime
) -> AreaChangeLine:
    """Confirm a change, which is applied on its day, or reject it. Idempotent.

    Raise `area.second_person` for one's own proposal, `proposal.decided`, `review.reason_required`.
    """
    require_role(caller, AREA_KEEPERS)
    query = _select_changes(caller).where(AreaChange.id == change_id).with_for_update(of=AreaChange)
    change: AreaChange = require_found(await session.scalar(query))
    if not (caller.covers(change.from_code, AREA_KEEPERS) and caller.covers(change.to_code, AREA_KEEPERS)):
        raise Problem("auth.forbidden", roles=", ".join(sorted(AREA_KEEPERS)))
    decided = "accepted" if change.state in {"applied", "lapsed"} else change.state
    if (decided, change.decided_by) != (body.outcome, caller.id):
        if caller.acts_as(change.proposed_by):
            raise Problem("area.second_person")
        if change.state != "proposed":
            raise Problem("proposal.decided")
        if body.outcome == "rejected" and not body.reason.strip():
            raise Problem("review.reason_required")
        change.state, change.answer = body.outcome, body.reason.strip() or None
        change.decided_by, change.decided_at = caller.id, now
        is_accepted = body.outcome == "accepted"
        _record(session, caller, Action.AREA_CHANGE_ACCEPTED if is_accepted else Action.AREA_CHANGE_REJECTED, change)
        if is_accepted and change.effective_on <= day_of(now):
            await jobs.defer(session, ApplyAreaChanges(), once="area-changes")
        await session.flush()  # the line is read from the table
    return await _load_line(session, caller, change.id)


@jobs.task(ApplyAreaChanges, cron="1 16 * * *")
async def apply_area_changes(services: Services, _: ApplyAreaChanges) -> None:
    """Run just after China's midnight, and when a change of today or before is confirmed. One transaction each."""
    while await _apply_next(services, today_in_china(), utc_now()):
        pass


async def _apply_next(services: Services, today: date, now: datetime) -> bool:
    async with open_session(services.sessions) as session:
        change = await session.scalar(
            select(AreaChange)
            .where(AreaChange.state == "accepted", AreaChange.effective_on <= today)
            .order_by(AreaChange.effective_on, AreaChange.id)
            .limit(1)
            .with_for_update()
        )
        if change is None:
            return False
        fault = await _find_fault(session, change.kind, change.from_code, change.to_code)
        if fault is not None:
            # Another change came first. Nothing moves; both people see it in the list and propose anew.
            change.state = "lapsed"
            _record(session, None, Action.AREA_CHANGE_LAPSED, change, why=fault.code)
            return True
        change.households = await move_village(session, change, now)
        change.state, change.applied_at = "applied", now
        _record(session, None, Action.AREA_CHANGED, change, households=change.households)
        return True


def _record(session: AsyncSession, caller: Caller | None, action: Action, change: AreaChange, **facts: Any) -> None:
    audit.record(
        session,
        caller,
        action,
        "area",
        change.from_code,
        area_code=change.from_code,
        kind=change.kind,
        to_code=change.to_code,
        effective_from=change.effective_on.isoformat(),
        reason=change.answer or change.reason,
        **facts,
    )


async def _load_line(session: AsyncSession, caller: Caller, change_id: UUID) -> AreaChangeLine:
    row: Sequence[Any] = (await session.execute(_select_changes(caller).where(AreaChange.id == change_id))).one()
    return _line(*row)


def _line(change: AreaChange, from_name: str, proposer: str, decider: str | None) -> AreaChangeLine:
    return AreaChangeLine(
        id=change.id,
        kind=msgspec.convert(change.kind, AreaChangeKind),
        from_code=change.from_code,
        from_name=from_name,
        to_code=change.to_code,
        to_name=change.to_name,
        effective_on=change.effective_on,
        reason=change.reason,
        state=msgspec.convert(change.state, AreaChangeState),
        proposed_by=proposer,
        proposed_by_id=change.proposed_by,
        proposed_at=change.proposed_at,
        decided_by=decider,
        decided_at=change.decided_at,
        answer=change.answer,
        applied_at=change.applied_at,
        households=change.households,
    )
