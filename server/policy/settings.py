"""Read and write policy settings. A setting is never changed: a new row holds from another day on.

A decision of the past can therefore be explained by the row that held then, with its author and its source.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from msgspec import Meta
from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import DESK_ROLES, Caller, Role, require_role
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.job_types import RecheckAfterSetting
from server.models.areas import Area, PolicySetting, SettingProposal
from server.models.people import Staff
from server.policy.resolver import applies_in, select_effective
from server.policy.schemas import (
    SETTING_TYPES,
    build_json_schema,
    find_setting_type,
    takes_two_people,
    validate_value,
)

READ_ROLES = DESK_ROLES | {Role.ADMIN}
MAX_HISTORY = 500
# A code of any level of the area tree, or empty for the country.
AREA_CODE_PATTERN = "^([0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12})?$"


class WritePolicySetting(RequestBody):
    """Holds from `effective_from` on in the area and below it. `reason` names the document behind it."""

    key: Annotated[str, Meta(min_length=3, max_length=120)]
    area_code: Annotated[str, Meta(pattern=AREA_CODE_PATTERN)]
    effective_from: date
    value: Any
    reason: Annotated[str, Meta(min_length=1, max_length=1000)]


class PolicySettingLine(ResponseBody):
    """`area_code` is the area of the row: the requested one or one around it. `written_by` is null for migrations.

    `agreed_by` is the second person, for a setting that takes two.
    """

    key: str
    value: Any
    area_code: str
    area_name: str | None
    effective_from: date
    source: str
    written_by: str | None
    written_at: datetime
    agreed_by: str | None


class PolicySettingSchema(ResponseBody):
    """The allowed values of a setting, as JSON Schema. With `takes_two` it is proposed, and another takes it over."""

    key: str
    form: dict[str, Any]
    takes_two: bool


async def list_effective_settings(
    session: AsyncSession, caller: Caller, area_code: str, on: date, prefix: str | None
) -> list[PolicySettingLine]:
    """List every setting as it holds in an area on a day. One query."""
    _require_read_access(caller, area_code)
    rows = _with_names(select_effective(area_code, on))
    if prefix:
        rows = rows.where(PolicySetting.key.startswith(prefix, autoescape=True))
    return [_setting_line(*row) for row in await session.execute(rows)]


async def list_setting_history(
    session: AsyncSession, caller: Caller, area_code: str, key: str
) -> list[PolicySettingLine]:
    """List all past, present and future rows of a setting in an area, the latest first."""
    _require_read_access(caller, area_code)
    rows = (
        _with_names(select(PolicySetting))
        .where(applies_in(area_code), PolicySetting.key == key)
        .order_by(PolicySetting.effective_from.desc(), func.length(PolicySetting.area_code).desc())
        .limit(MAX_HISTORY)
    )
    return [_setting_line(*row) for row in await session.execute(rows)]


def _require_read_access(caller: Caller, area_code: str) -> None:
    require_role(caller, READ_ROLES)
    if not caller.covers(area_code, READ_ROLES):
        raise Problem("auth.forbidden", roles=", ".join(sorted(READ_ROLES)))


def _with_names(rows: Select[PolicySetting]) -> Select[PolicySetting, str, str, str]:
    """Add the names of the author, of the area and of the second person."""
    second = aliased(Staff)
    return (
        rows.add_columns(Staff.name, Area.name, second.name)
        .outerjoin(Staff, Staff.id == PolicySetting.written_by)
        .outerjoin(second, second.id == PolicySetting.agreed_by)
        .outerjoin(Area, Area.code == PolicySetting.area_code)
    )


def _setting_line(
    row: PolicySetting, written_by: str | None, area_name: str | None, agreed_by: str | None
) -> PolicySettingLine:
    return PolicySettingLine(
        key=row.key,
        value=row.value,
        area_code=row.area_code,
        area_name=area_name,
        effective_from=row.effective_from,
        source=row.source,
        written_by=written_by,
        written_at=row.written_at,
        agreed_by=agreed_by,
    )


async def write_setting(
    session: AsyncSession, caller: Caller, data: WritePolicySetting, finding_codes: Collection[str], now: datetime
) -> PolicySettingLine:
    """Add a row and queue the re-check of the visits it affects. Idempotent for the same row.

    Raises `auth.forbidden` outside the admin's area, `rule.unknown`, `request.invalid` for a value that does not
    fit, `rule.takes_two`, and `rule.written` if the day has another row already.
    """
    await validate_setting(session, caller, data, finding_codes)
    if takes_two_people(data.key):
        raise Problem("rule.takes_two")
    content = RowContent(data.key, data.area_code, data.effective_from, data.value, data.reason)
    return await _write(session, caller, content, written_by=caller.id, agreed_by=None, now=now)


async def write_row(session: AsyncSession, caller: Caller, proposal: SettingProposal, now: datetime) -> None:
    """Write the row of a proposal that a second person takes over. Raises `rule.written`."""
    content = RowContent(proposal.key, proposal.area_code, proposal.effective_from, proposal.value, proposal.source)
    await write_agreed_row(session, caller, content, proposal.proposed_by, now)


async def write_agreed_row(
    session: AsyncSession, caller: Caller, content: "RowContent", proposed_by: UUID, now: datetime
) -> None:
    """Write a row that the caller, as the second person, takes over. Raises `rule.written`."""
    await _write(session, caller, content, written_by=proposed_by, agreed_by=caller.id, now=now)


class RowContent(NamedTuple):
    key: str
    area_code: str
    effective_from: date
    value: Any
    reason: str


async def _write(
    session: AsyncSession, caller: Caller, data: RowContent, *, written_by: UUID, agreed_by: UUID | None, now: datetime
) -> PolicySettingLine:
    row = insert(PolicySetting).values(
        id=new_id(),
        key=data.key,
        area_code=data.area_code,
        effective_from=data.effective_from,
        value=data.value,
        source=data.reason,
        written_at=now,
        written_by=written_by,
        agreed_by=agreed_by,
    )
    new_row_id = await session.scalar(row.on_conflict_do_nothing().returning(PolicySetting.id))
    stored = (
        await session.execute(
            _with_names(select(PolicySetting)).where(
                PolicySetting.key == data.key,
                PolicySetting.area_code == data.area_code,
                PolicySetting.effective_from == data.effective_from,
            )
        )
    ).one()
    if new_row_id is None and (stored[0].value, stored[0].source) != (data.value, data.reason):
        raise Problem("rule.written", by=stored[1] or "–")
    if new_row_id is not None:
        await _record_change(session, caller, data)
    return _setting_line(*stored)


async def validate_setting(
    session: AsyncSession, caller: Caller, data: WritePolicySetting, finding_codes: Collection[str]
) -> None:
    if not caller.covers(data.area_code, {Role.ADMIN}):
        raise Problem("auth.forbidden", roles=Role.ADMIN)
    setting_type = find_setting_type(data.key, finding_codes)
    if setting_type is None:
        raise Problem("rule.unknown", key=data.key)
    if (why := validate_value(setting_type, data.value)) is not None:
        raise Problem("request.invalid", faults=[Fault("/value", "value.unfit", why)])
    if data.area_code and await session.get(Area, data.area_code) is None:
        raise Problem("thing.not_found")


async def _record_change(session: AsyncSession, caller: Caller, data: RowContent) -> None:
    audit.record(
        session,
        caller,
        Action.RULE_WRITTEN,
        "area_rule",
        data.key,
        area_code=data.area_code or None,
        value=data.value,
        reason=data.reason,
        effective_from=data.effective_from.isoformat(),
    )
    recheck = RecheckAfterSetting(key=data.key, area_code=data.area_code, effective_from=data.effective_from)
    await jobs.defer(session, recheck)


def list_setting_schemas(caller: Caller, finding_codes: Collection[str]) -> list[PolicySettingSchema]:
    """List the schema of each setting, including the severity of every finding."""
    require_role(caller, READ_ROLES)
    keys = sorted({*SETTING_TYPES, *(f"finding.{code}" for code in finding_codes)})
    return [
        PolicySettingSchema(
            key=key,
            form=build_json_schema(find_setting_type(key, finding_codes)),
            takes_two=takes_two_people(key),
        )
        for key in keys
    ]
