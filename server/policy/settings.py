"""Reading and writing the rulebook. A rule is never changed: another row holds from another day on.

So what was decided yesterday can be explained tomorrow by the row that held then, with who wrote it and why.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Annotated, Any

from msgspec import Meta
from sqlalchemy import Select, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core import jobs
from server.core.access import DESK_ROLES, Caller, Role, require
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.models.areas import Area, AreaRule
from server.models.people import Staff
from server.policy.schemas import describe, kind_of, refusal

READERS = DESK_ROLES | {Role.ADMIN}
LONGEST_HISTORY = 500
# A whole level of the tree, or the country (empty).
AREA_LEVEL = "^([0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12})?$"


class WritePolicySetting(RequestBody):
    """From `effective_from` on, in the area (empty: the country) and below it. `reason` names the paper behind it."""

    key: Annotated[str, Meta(min_length=3, max_length=120)]
    area_code: Annotated[str, Meta(pattern=AREA_LEVEL)]
    effective_from: date
    value: Any
    reason: Annotated[str, Meta(min_length=1, max_length=1000)]


class RuleLine(ResponseBody):
    """`area_code` says where the row stands: the area asked for, or one around it. `written_by` null: the migration."""

    key: str
    value: Any
    area_code: str
    area_name: str | None
    effective_from: date
    source: str
    written_by: str | None
    written_at: datetime


class RuleKind(ResponseBody):
    """What a rule may hold, as JSON Schema."""

    key: str
    form: dict[str, Any]


async def list_effective(
    session: AsyncSession, caller: Caller, area_code: str, on: date, prefix: str | None
) -> list[RuleLine]:
    """Every rule as it holds in an area on a day: the nearest area wins, then the latest date. One query."""
    _require_reading(caller, area_code)
    rows = (
        _rows(area_code)
        .ext(distinct_on(AreaRule.key))
        .where(AreaRule.effective_from <= on)
        .order_by(AreaRule.key, func.length(AreaRule.area_code).desc(), AreaRule.effective_from.desc())
    )
    if prefix:
        rows = rows.where(AreaRule.key.startswith(prefix, autoescape=True))
    return [_line(*row) for row in await session.execute(rows)]


async def list_history(session: AsyncSession, caller: Caller, area_code: str, key: str) -> list[RuleLine]:
    """All rows of a rule that hold, held or will hold in an area, the latest first."""
    _require_reading(caller, area_code)
    rows = (
        _rows(area_code)
        .where(AreaRule.key == key)
        .order_by(AreaRule.effective_from.desc(), func.length(AreaRule.area_code).desc())
        .limit(LONGEST_HISTORY)
    )
    return [_line(*row) for row in await session.execute(rows)]


def _require_reading(caller: Caller, area_code: str) -> None:
    require(caller, READERS)
    if not caller.covers(area_code, READERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(READERS)))


def _rows(area_code: str) -> Select[AreaRule, str, str]:
    return _named().where(literal(area_code).startswith(AreaRule.area_code))


def _named() -> Select[AreaRule, str, str]:
    return (
        select(AreaRule, Staff.name, Area.name)
        .outerjoin(Staff, Staff.id == AreaRule.written_by)
        .outerjoin(Area, Area.code == AreaRule.area_code)
    )


def _line(row: AreaRule, written_by: str | None, area_name: str | None) -> RuleLine:
    return RuleLine(
        key=row.key,
        value=row.value,
        area_code=row.area_code,
        area_name=area_name,
        effective_from=row.effective_from,
        source=row.source,
        written_by=written_by,
        written_at=row.written_at,
    )


async def write_rule(
    session: AsyncSession, caller: Caller, asked: WritePolicySetting, findings: Collection[str], now: datetime
) -> RuleLine:
    """Add a row; the visits it touches are looked at again. The same row again is once.

    Raises `auth.forbidden` outside the admin's area, `rule.unknown`, `request.invalid` for a value that does not
    fit, `rule.written` where the day has another row already.
    """
    if not caller.covers(asked.area_code, {Role.ADMIN}):
        raise Problem("auth.forbidden", roles=Role.ADMIN)
    kind = kind_of(asked.key, findings)
    if kind is None:
        raise Problem("rule.unknown", key=asked.key)
    if (why := refusal(kind, asked.value)) is not None:
        raise Problem("request.invalid", faults=[Fault("/value", "value.unfit", why)])
    if asked.area_code and await session.get(Area, asked.area_code) is None:
        raise Problem("thing.not_found")
    row = insert(AreaRule).values(
        id=new_id(),
        key=asked.key,
        area_code=asked.area_code,
        effective_from=asked.effective_from,
        value=asked.value,
        source=asked.reason,
        written_at=now,
        written_by=caller.id,
    )
    fresh = await session.scalar(row.on_conflict_do_nothing().returning(AreaRule.id))
    stands = (
        await session.execute(
            _named().where(
                AreaRule.key == asked.key,
                AreaRule.area_code == asked.area_code,
                AreaRule.effective_from == asked.effective_from,
            )
        )
    ).one()
    if fresh is None and (stands[0].value, stands[0].source) != (asked.value, asked.reason):
        raise Problem("rule.written", by=stands[1] or "–")
    if fresh is not None:
        await _tell(session, caller, asked)
    return _line(*stands)


async def _tell(session: AsyncSession, caller: Caller, asked: WritePolicySetting) -> None:
    since = asked.effective_from.isoformat()
    audit.record(
        session,
        caller,
        "rule.written",
        "area_rule",
        asked.key,
        area_code=asked.area_code or None,
        value=asked.value,
        reason=asked.reason,
        effective_from=since,
    )
    await jobs.defer(session, "review.rule_changed", key=asked.key, area_code=asked.area_code, effective_from=since)


def list_kinds(caller: Caller, keys: Collection[str], findings: Collection[str]) -> list[RuleKind]:
    """How each rule is written, and the severities of every finding."""
    require(caller, READERS)
    told = sorted({*keys, *(f"finding.{code}" for code in findings)})
    return [RuleKind(key=key, form=describe(kind_of(key, findings))) for key in told]
