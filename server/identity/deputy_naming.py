"""Name a deputy for a person on leave, list deputyships, end one before its day.

Somebody who goes on leave names a colleague of their own town for their homes alone. Duties beyond a caseworker's are
lent only by who may grant them: nobody chooses who confirms what they proposed.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.core.access import (
    DESK_ROLES,
    DIRECTORY_ROLES,
    FIELD_ROLES,
    Caller,
    Role,
    in_areas,
    require_found,
    require_staff,
)
from server.core.clock import today as today_in_china
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of
from server.households.caseload import CASELOAD_ROLES
from server.identity.accounts import MANAGERS, find_managed, may_grant
from server.identity.deputies import end_deputyship, may_lend_casework, start_deputyship
from server.models.people import Deputyship, Staff, StaffRole

_NEWEST_FIRST = Keyset(Deputyship.id, descending=True)
_TOWN_DIGITS = 9
# Of a leave that nobody but the person on leave has set: maternity leave, the longest, has 158 days in most provinces.
LONGEST_OWN_LEAVE = timedelta(days=180)
DeputyshipState = Literal["planned", "running", "ended"]


class NameDeputy(RequestBody):
    """`ends_on` is the last day. `with_duties` lends the person's other roles too, those that the caller may grant.
    `id` is drawn by the client.
    """

    id: UUID
    staff_id: UUID
    deputy_id: UUID
    starts_on: date
    ends_on: date
    with_duties: bool = False


class Duty(ResponseBody):
    role: Role
    area_code: str


class DeputyshipLine(ResponseBody):
    """`ended_by` is null for one that ran out. `may_end`: the caller may end it before its last day."""

    id: UUID
    state: DeputyshipState
    staff_id: UUID
    staff_name: str
    deputy_id: UUID
    deputy_name: str
    starts_on: date
    ends_on: date
    duties: list[Duty]
    with_homes: bool
    named_by: str
    named_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    may_end: bool


class Colleague(ResponseBody):
    id: UUID
    name: str


class OwnLeave(ResponseBody):
    """`colleagues`: whom the caller may name as their deputy. `deputyships`: theirs that are planned or running."""

    colleagues: list[Colleague]
    deputyships: list[DeputyshipLine]


async def list_deputyships(
    session: AsyncSession, caller: Caller, *, cursor: str | None, limit: int
) -> Page[DeputyshipLine]:
    """List those of people of the caller's areas, and the caller's own, the newest first."""
    require_staff(caller)
    page, next_cursor = await fetch_page(session, _select_lines(caller), _NEWEST_FIRST, cursor, limit)
    return Page(items=[_line(caller, *row) for row in page], next_cursor=next_cursor)


def _select_lines(caller: Caller) -> Any:
    staff, deputy, namer, ender = (aliased(Staff) for _ in range(4))
    in_reach = select(StaffRole.staff_id).where(
        StaffRole.revoked_at.is_(None), in_areas(StaffRole.area_code, caller, DIRECTORY_ROLES)
    )
    return (
        select(Deputyship, staff.name, deputy.name, namer.name, ender.name)
        .join(staff, staff.id == Deputyship.staff_id)
        .join(deputy, deputy.id == Deputyship.deputy_id)
        .join(namer, namer.id == Deputyship.named_by)
        .outerjoin(ender, ender.id == Deputyship.ended_by)
        .where(
            or_(Deputyship.staff_id.in_(in_reach), Deputyship.staff_id == caller.id, Deputyship.deputy_id == caller.id)
        )
    )


async def name_deputy(session: AsyncSession, caller: Caller, body: NameDeputy, now: datetime) -> DeputyshipLine:
    """Name a deputy from a day to a day; on the first day, or at once, the homes are shared. Idempotent by id.

    Raise `thing.not_found` for people out of reach, `staff.own_roles` for oneself as the deputy, `request.invalid` for
    days that don't fit, `staff.deputy_named`, `staff.deputy_away`.
    """
    stored = await session.get(Deputyship, body.id)
    if stored is not None:
        if not _is_same(stored, body, caller):
            raise Problem("request.idempotency_key_reused")
        return await _load_line(session, caller, stored.id)
    is_own = body.staff_id == caller.id
    _require_days(body, day_of(now), is_own=is_own)
    roles = await _list_roles(session, body.staff_id)
    if is_own:
        require_staff(caller)
    else:
        await find_managed(session, caller, body.staff_id)
    await _require_deputy(session, caller, body, roles)
    await _require_free(session, body)
    deputyship = Deputyship(
        id=body.id, staff_id=body.staff_id, deputy_id=body.deputy_id, starts_on=body.starts_on, ends_on=body.ends_on,
        duties=_choose_duties(caller, roles, with_duties=body.with_duties and not is_own),
        with_homes=is_own or bool(caller.roles & CASELOAD_ROLES), named_by=caller.id, named_at=now,
    )  # fmt: skip
    session.add(deputyship)
    await session.flush()  # homes and roles refer to it
    _record_naming(session, caller, deputyship)
    if body.starts_on <= day_of(now):
        await start_deputyship(session, caller, deputyship, now)
    return await _load_line(session, caller, deputyship.id)


def _is_same(stored: Deputyship, body: NameDeputy, caller: Caller) -> bool:
    before = (stored.staff_id, stored.deputy_id, stored.starts_on, stored.ends_on, stored.named_by)
    return before == (body.staff_id, body.deputy_id, body.starts_on, body.ends_on, caller.id)


def _require_days(body: NameDeputy, today: date, *, is_own: bool) -> None:
    if body.starts_on < today:
        raise Problem("request.invalid", faults=[Fault("/startsOn", "value.unfit", body.starts_on.isoformat())])
    is_too_long = is_own and body.ends_on - body.starts_on > LONGEST_OWN_LEAVE
    if body.ends_on < body.starts_on or is_too_long:
        raise Problem("request.invalid", faults=[Fault("/endsOn", "value.unfit", body.ends_on.isoformat())])


async def _list_roles(session: AsyncSession, staff_id: UUID) -> list[tuple[Role, str]]:
    rows = await session.execute(
        select(StaffRole.role, StaffRole.area_code)
        .where(StaffRole.staff_id == staff_id, StaffRole.deputy_for.is_(None), _is_current())
        .order_by(StaffRole.area_code, StaffRole.role)
    )
    return [(Role(role), area_code) for role, area_code in rows]


def _is_current() -> ColumnElement[bool]:
    return and_(StaffRole.revoked_at.is_(None), or_(StaffRole.ends_on.is_(None), StaffRole.ends_on >= today_in_china()))


async def _require_deputy(
    session: AsyncSession, caller: Caller, body: NameDeputy, roles: Sequence[tuple[Role, str]]
) -> None:
    """The deputy works in the field: of the caller's area, or of the own town of who goes on leave."""
    if body.deputy_id == body.staff_id:
        raise Problem("request.invalid", faults=[Fault("/deputyId", "id.taken", str(body.deputy_id))])
    if body.deputy_id == caller.id:
        raise Problem("staff.own_roles")
    reach = in_areas(StaffRole.area_code, caller, MANAGERS)
    if body.staff_id == caller.id:
        await _require_no_reviewer(session, body.deputy_id)
        reach = _in_own_towns(roles)
    found = await session.scalar(
        select(Staff.id)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .where(
            Staff.id == body.deputy_id, Staff.disabled_at.is_(None), StaffRole.role.in_(FIELD_ROLES),
            StaffRole.deputy_for.is_(None), _is_current(), reach,
        )
        .limit(1)
    )  # fmt: skip
    require_found(found)


def _in_own_towns(roles: Sequence[tuple[Role, str]]) -> ColumnElement[bool]:
    """Match roles in the towns where somebody works in the field. Raise `auth.forbidden` for who does not."""
    towns = {area_code[:_TOWN_DIGITS] for role, area_code in roles if role in FIELD_ROLES}
    if not towns:
        raise Problem("auth.forbidden", roles=", ".join(sorted(FIELD_ROLES)))
    return or_(
        *(StaffRole.area_code.startswith(town, autoescape=True) for town in towns),
        *(literal(town).startswith(StaffRole.area_code) for town in towns),
    )


async def load_own_leave(session: AsyncSession, caller: Caller) -> OwnLeave:
    """Return whom the caller may name, and the deputyships of theirs that are not over."""
    holds = and_(StaffRole.staff_id == Staff.id, _is_current())
    works_here = holds & StaffRole.role.in_(FIELD_ROLES) & StaffRole.deputy_for.is_(None)
    colleagues = await session.execute(
        select(Staff.id, Staff.name)
        .where(
            Staff.id != caller.id,
            Staff.disabled_at.is_(None),
            exists().where(works_here, _in_own_towns(await _list_roles(session, caller.id))),
            ~exists().where(holds, StaffRole.role.in_(DESK_ROLES)),
        )
        .order_by(Staff.name, Staff.id)
    )
    own = or_(Deputyship.staff_id == caller.id, Deputyship.deputy_id == caller.id)
    rows = _select_lines(caller).where(own, Deputyship.ended_at.is_(None)).order_by(Deputyship.starts_on, Deputyship.id)
    return OwnLeave(
        colleagues=[Colleague(id=staff_id, name=name) for staff_id, name in colleagues],
        deputyships=[_line(caller, *row) for row in await session.execute(rows)],
    )


async def _require_no_reviewer(session: AsyncSession, deputy_id: UUID) -> None:
    """What bars a person bars their deputy: nobody takes whom they choose off the reviews of their own work."""
    holds = StaffRole.staff_id == deputy_id, StaffRole.role.in_(DESK_ROLES), _is_current()
    if await session.scalar(select(StaffRole.id).where(*holds).limit(1)) is not None:
        raise Problem("request.invalid", faults=[Fault("/deputyId", "value.unfit", str(deputy_id))])


async def _require_free(session: AsyncSession, body: NameDeputy) -> None:
    """One deputy at a time, and no chain: who is away on these days stands in for nobody."""
    is_open = Deputyship.ended_at.is_(None)
    if await session.scalar(select(Deputyship.id).where(is_open, Deputyship.staff_id == body.staff_id)) is not None:
        raise Problem("staff.deputy_named")
    overlaps = and_(Deputyship.starts_on <= body.ends_on, Deputyship.ends_on >= body.starts_on)
    is_away, stands_in = Deputyship.staff_id == body.deputy_id, Deputyship.deputy_id == body.staff_id
    person = aliased(Staff)
    name = await session.scalar(
        select(person.name)
        .join(Deputyship, or_(and_(is_away, person.id == body.deputy_id), and_(stands_in, person.id == body.staff_id)))
        .where(is_open, overlaps)
        .limit(1)
    )
    if name is not None:
        raise Problem("staff.deputy_away", name=name)


def _choose_duties(caller: Caller, roles: Sequence[tuple[Role, str]], *, with_duties: bool) -> list[list[str]]:
    """A caseworker's role where the person has one or is a town's officer, and those of their other roles that the
    caller may grant and asked to lend.

    Nobody lends an administrator's: an office has two.
    """
    duties = {(Role.CASEWORKER, area_code) for role, area_code in roles if may_lend_casework(role, area_code)}
    if with_duties:
        duties |= {(role, area) for role, area in roles if role is not Role.ADMIN and may_grant(caller, role, area)}
    return [[role.value, area_code] for role, area_code in sorted(duties)]


async def end_early(session: AsyncSession, caller: Caller, deputyship_id: UUID, now: datetime) -> DeputyshipLine:
    """End a deputyship: by the person themselves who is back, by who manages them, or by a deputy whom the person
    alone has named. Idempotent.
    """
    deputyship: Deputyship = require_found(await session.get(Deputyship, deputyship_id, with_for_update=True))
    if not _is_own(caller, deputyship):
        await find_managed(session, caller, deputyship.staff_id)
    await end_deputyship(session, caller, deputyship, now)
    await session.flush()  # the line is read from the table
    return await _load_line(session, caller, deputyship_id)


def _is_own(caller: Caller, deputyship: Deputyship) -> bool:
    """Nobody has to stand in for a colleague who alone has named them."""
    is_asked = deputyship.deputy_id == caller.id and deputyship.named_by == deputyship.staff_id
    return deputyship.staff_id == caller.id or is_asked


async def _load_line(session: AsyncSession, caller: Caller, deputyship_id: UUID) -> DeputyshipLine:
    return _line(caller, *(await session.execute(_select_lines(caller).where(Deputyship.id == deputyship_id))).one())


def _line(
    caller: Caller, deputyship: Deputyship, staff: str, deputy: str, namer: str, ender: str | None
) -> DeputyshipLine:
    is_over, has_begun = deputyship.ended_at is not None, deputyship.started_at is not None
    may_manage = all(may_grant(caller, Role(role), area_code) for role, area_code in deputyship.duties)
    return DeputyshipLine(
        id=deputyship.id,
        state="ended" if is_over else "running" if has_begun else "planned",
        staff_id=deputyship.staff_id,
        staff_name=staff,
        deputy_id=deputyship.deputy_id,
        deputy_name=deputy,
        starts_on=deputyship.starts_on,
        ends_on=deputyship.ends_on,
        duties=[Duty(role=Role(role), area_code=area_code) for role, area_code in deputyship.duties],
        with_homes=deputyship.with_homes,
        named_by=namer,
        named_at=deputyship.named_at,
        ended_at=deputyship.ended_at,
        ended_by=ender,
        may_end=not is_over and (_is_own(caller, deputyship) or may_manage),
    )


def _record_naming(session: AsyncSession, caller: Caller, deputyship: Deputyship) -> None:
    audit.record(
        session,
        caller,
        Action.STAFF_DEPUTY_NAMED,
        "staff",
        deputyship.staff_id,
        deputy=str(deputyship.deputy_id),
        starts_on=deputyship.starts_on.isoformat(),
        ends_on=deputyship.ends_on.isoformat(),
        duties=[f"{role} {area_code}" for role, area_code in deputyship.duties],
    )
