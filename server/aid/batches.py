"""A batch of linked aid: made for a list of homes, changed by hand while it is a draft.

A batch gives each home, or each person, so much. What the paper behind it says of its own sums is kept beside the sums
of the lines; where they differ, a finding says so and nothing is corrected.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, field
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.aid.catalogue import find_cause, find_kind
from server.aid.examine import examine_batch
from server.aid.homes import AidHome, list_homes_in_force, load_homes
from server.audit.actions import Action
from server.core.access import Caller, require_found, require_role
from server.core.database import advisory_lock
from server.core.errors import Fault, Problem
from server.core.http import RequestBody
from server.core.ids import new_id
from server.core.sequences import next_number
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.aid import AID_ROLES, AidBatch, AidLine
from server.models.areas import Area
from server.models.households import HouseholdMember
from server.policy.values import AidKind

# Homes that one batch may hold: those of a county in one list, written in one request.
MOST_HOMES = 30_000
NUMBER_DIGITS = 4
_STEP = 1000
_THOUSAND = 1000
Milli = Annotated[int, Meta(ge=1, le=10**12)]
Fen = Annotated[int, Meta(ge=0, le=10**12)]
Count = Annotated[int, Meta(ge=0, le=10**7)]


class StatedSums(RequestBody, omit_defaults=True):
    """What a paper says of its own sums: homes, people, thousandths of the unit, fen. Compared, never corrected."""

    homes: Count | None = None
    people: Count | None = None
    milli: Annotated[int, Meta(ge=0, le=10**15)] | None = None
    fen: Annotated[int, Meta(ge=0, le=10**15)] | None = None


class MakeAidBatch(RequestBody):
    """A batch of a kind in an area and a month, any day of it.

    Without `household_ids` it holds the homes of the area, class and programme with a case in force; an empty list is
    filled by hand. Each home, or each person, gets `each_milli` of goods, worth `unit_fen` a unit where that is known,
    or `each_fen` in money. `bought_milli`: how much was bought for the batch.
    """

    id: UUID
    kind: Annotated[str, Meta(min_length=1, max_length=80)]
    area_code: Annotated[str, Meta(pattern="^([0-9]{6}|[0-9]{9}|[0-9]{12})$")]
    month: date
    class_: Literal["A", "B", "C"] | None = field(default=None, name="class")
    programme: Literal["urban", "rural"] | None = None
    household_ids: Annotated[list[UUID], Meta(max_length=2000)] | None = None
    basis: Literal["household", "person"] = "household"
    each_milli: Milli | None = None
    each_fen: Fen | None = None
    unit_fen: Fen | None = None
    bought_milli: Milli | None = None
    cause: Annotated[str, Meta(max_length=80)] | None = None
    stated: StatedSums | None = None


class AddAidLine(RequestBody):
    """Aid of a home, or of a member of it, added to a draft by hand."""

    id: UUID
    household_id: UUID
    member_id: UUID | None = None
    people: Annotated[int, Meta(ge=1, le=100)] | None = None
    milli: Milli | None = None
    fen: Fen | None = None
    cause: Annotated[str, Meta(max_length=80)] | None = None


async def make_batch(session: AsyncSession, caller: Caller, body: MakeAidBatch, now: datetime) -> AidBatch:
    """Make a batch with its lines. Idempotent by id. Raise `request.invalid`, `aid.too_many`."""
    require_role(caller, AID_ROLES)
    if not caller.covers(body.area_code, AID_ROLES):
        raise Problem("auth.forbidden", roles=", ".join(sorted(AID_ROLES)))
    if await session.get(Area, body.area_code) is None:
        raise Problem("request.invalid", faults=[Fault("/areaCode", "area.unknown", body.area_code)])
    month = body.month.replace(day=1)
    # Two requests of one id run one after the other.
    await advisory_lock(session, f"aid_batch:{body.id}")
    earlier = await session.get(AidBatch, body.id)
    if earlier is not None:
        if (earlier.kind, earlier.area_code, earlier.month) != (body.kind, body.area_code, month):
            raise Problem("request.idempotency_key_reused")
        return earlier
    if month > day_of(now):
        raise Problem("request.invalid", faults=[Fault("/month", "field.invalid", month.isoformat())])
    kind = await find_kind(session, body.area_code, body.kind, month)
    _require_fitting(kind, body)
    homes = await _list_homes(session, caller, body, month)
    batch = new_batch(kind, body.id, body.area_code, month, caller.id, now)
    batch.number = await next_number(session, AidBatch.number, f"JZ{month:%Y%m}", NUMBER_DIGITS)
    batch.bought_milli = body.bought_milli
    stated = body.stated or StatedSums()
    batch.stated = {name: value for name in stated.__struct_fields__ if (value := getattr(stated, name)) is not None}
    session.add(batch)
    await session.flush()  # its lines refer to it
    await _draft_lines(session, batch, kind, body, homes)
    await examine_batch(session, batch, now)
    _record(session, caller, Action.AID_BATCH_MADE, batch, kind=kind.code, month=month.isoformat(), homes=len(homes))
    return batch


def new_batch(
    kind: AidKind, batch_id: UUID, area_code: str, month: date, made_by: UUID, now: datetime, source: str = "office"
) -> AidBatch:
    """Build a batch with the names, unit and fund of the kind as they are today."""
    return AidBatch(
        id=batch_id, source=source, kind=kind.code, kind_zh=kind.zh, kind_en=kind.en, form=kind.form,
        unit_zh=kind.unit_zh, unit_en=kind.unit_en, fund=kind.fund, for_homes_in_force=kind.homes == "in_force",
        times_a_month=kind.times_a_month, area_code=area_code, month=month, state="drafted", made_by=made_by,
        made_at=now,
    )  # fmt: skip


def _require_fitting(kind: AidKind, body: MakeAidBatch) -> None:
    """Goods have a quantity and perhaps a value, money an amount. Without homes to draft, neither is needed."""
    faults = []
    if kind.form == "money":
        faults += [
            Fault(f"/{name}", "field.invalid", "money has no quantity")
            for name, value in (("eachMilli", body.each_milli), ("boughtMilli", body.bought_milli))
            if value is not None
        ]
        if body.household_ids != [] and not body.each_fen:
            faults.append(Fault("/eachFen", "field.invalid", "the amount is missing"))
    elif body.each_fen is not None:
        faults.append(Fault("/eachFen", "field.invalid", "goods have a quantity, and a value a unit"))
    elif body.household_ids != [] and body.each_milli is None:
        faults.append(Fault("/eachMilli", "field.invalid", "the quantity is missing"))
    elif (body.each_milli or 0) * (body.unit_fen or 0) % _THOUSAND:
        faults.append(Fault("/unitFen", "field.invalid", "the value is no whole fen"))
    if faults:
        raise Problem("request.invalid", faults=faults)
    if body.household_ids != []:
        find_cause(kind, body.cause)


async def _list_homes(session: AsyncSession, caller: Caller, body: MakeAidBatch, month: date) -> list[AidHome]:
    if body.household_ids is None:
        homes = await list_homes_in_force(session, body.area_code, month, body.class_, body.programme, most=MOST_HOMES)
        if len(homes) > MOST_HOMES:
            raise Problem("aid.too_many", most=MOST_HOMES)
        return homes
    homes = await load_homes(session, caller, body.household_ids, month)
    if len(homes) != len(set(body.household_ids)):
        raise Problem("thing.not_found")
    elsewhere = sorted({home.area_code for home in homes if not home.area_code.startswith(body.area_code)})
    if elsewhere:
        raise Problem("request.invalid", faults=[Fault("/householdIds", "area.elsewhere", elsewhere[0])])
    return homes


async def _draft_lines(
    session: AsyncSession, batch: AidBatch, kind: AidKind, body: MakeAidBatch, homes: Sequence[AidHome]
) -> None:
    cause = find_cause(kind, body.cause) if homes else None
    rows: list[dict[str, Any]] = []
    for position, home in enumerate(homes, start=1):
        times = home.people if body.basis == "person" else 1
        milli = body.each_milli * times if body.each_milli is not None else None
        rows.append(
            _line_values(batch, home)
            | {
                "id": new_id(), "position": position, "source": "batch", "people": home.people, "planned_milli": milli,
                "planned_fen": body.each_fen * times if body.each_fen is not None else _value_of(milli, body.unit_fen),
                "cause": cause.code if cause else None, "cause_zh": cause.zh if cause else None,
                "cause_en": cause.en if cause else None,
            }
        )  # fmt: skip
    for start in range(0, len(rows), _STEP):
        await session.execute(insert(AidLine), rows[start : start + _STEP])


def _value_of(milli: int | None, unit_fen: int | None) -> int | None:
    """Return the value of a quantity, which is whole fen."""
    return None if milli is None or unit_fen is None else milli * unit_fen // _THOUSAND


def _line_values(batch: AidBatch, home: AidHome) -> dict[str, Any]:
    return {
        "batch_id": batch.id, "kind": batch.kind, "month": batch.month, "household_id": home.id,
        "area_code": home.area_code, "household_number": home.number, "head_name": home.head_name, "state": "planned",
    }  # fmt: skip


async def lock_batch(session: AsyncSession, caller: Caller, batch_id: UUID) -> AidBatch:
    """Return the batch, locked, for somebody who may work on it."""
    require_role(caller, AID_ROLES)
    batch: AidBatch = require_found(
        await session.scalar(
            select(AidBatch).where(AidBatch.id == batch_id, AidBatch.in_scope(caller)).with_for_update()
        )
    )
    if not caller.covers(batch.area_code, AID_ROLES):
        raise Problem("auth.forbidden", roles=", ".join(sorted(AID_ROLES)))
    return batch


async def add_line(session: AsyncSession, caller: Caller, batch_id: UUID, body: AddAidLine, now: datetime) -> AidBatch:
    """Add a line to a draft. Idempotent by id. Raise `aid.not_now`, `request.invalid`, `case.own_relative`."""
    batch = await lock_batch(session, caller, batch_id)
    earlier = await session.get(AidLine, body.id)
    if earlier is not None:
        if (earlier.batch_id, earlier.household_id, earlier.member_id, earlier.planned_milli, earlier.planned_fen) != (
            batch.id, body.household_id, body.member_id, body.milli, body.fen,
        ):  # fmt: skip
            raise Problem("request.idempotency_key_reused")
        return batch
    if batch.state != "drafted":
        raise Problem("aid.not_now", state=batch.state)
    kind = await find_kind(session, batch.area_code, batch.kind, batch.month)
    cause = find_cause(kind, body.cause)
    if (batch.form == "money") != (body.milli is None) or (batch.form == "money" and not body.fen):
        pointer = "/fen" if batch.form == "money" and not body.fen else "/milli"
        raise Problem("request.invalid", faults=[Fault(pointer, "field.invalid", batch.form)])
    homes = await load_homes(session, caller, [body.household_id], batch.month)
    home: AidHome = require_found(homes[0] if homes else None)
    if not home.area_code.startswith(batch.area_code):
        raise Problem("request.invalid", faults=[Fault("/householdId", "area.elsewhere", home.area_code)])
    await require_no_conflict_of_interest(session, caller, home.id)
    member = await _find_member(session, home, body.member_id)
    last = await session.scalar(select(func.max(AidLine.position)).where(AidLine.batch_id == batch.id))
    line = AidLine(
        **_line_values(batch, home), id=body.id, position=(last or 0) + 1, source="entry",
        people=body.people or (1 if member else home.people), member_id=body.member_id,
        member_name=member.name if member else None, planned_milli=body.milli, planned_fen=body.fen,
        cause=cause.code if cause else None, cause_zh=cause.zh if cause else None,
        cause_en=cause.en if cause else None,
    )  # fmt: skip
    session.add(line)
    await session.flush()  # the findings are looked for in the table
    await examine_batch(session, batch, now)
    _record(session, caller, Action.AID_LINE_ADDED, batch, line=str(line.id))
    return batch


async def _find_member(session: AsyncSession, home: AidHome, member_id: UUID | None) -> HouseholdMember | None:
    if member_id is None:
        return None
    member: HouseholdMember = require_found(
        await session.scalar(
            select(HouseholdMember).where(HouseholdMember.id == member_id, HouseholdMember.household_id == home.id)
        )
    )
    return member


def _record(session: AsyncSession, caller: Caller, action: Action, batch: AidBatch, **facts: object) -> None:
    audit.record(session, caller, action, "aid_batch", batch.id, area_code=batch.area_code, **facts)
