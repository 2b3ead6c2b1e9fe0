"""`setup` and `create-admin`: an empty installation gets its county, its checklists and its first administrator.

Safe to run again: what is there is left as it is. No password is typed, printed or logged; the administrator sets it by
a one-time link.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import StoreError
from server.checklists.publishing import publish
from server.checklists.shipped import load_shipped, load_shipped_records
from server.cli.selfcheck import judge_calendar
from server.cli.selfcheck_lines import Line
from server.core.access import Role
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.ids import new_id
from server.core.services import Services, open_services
from server.core.settings import Settings
from server.core.working_days import day_of
from server.directory.areas_import import import_folder
from server.identity.accounts import NewStaff, RoleBody, count_admins, create_staff
from server.identity.links import NewLink, make_link
from server.models.areas import LEVELS, Area
from server.models.people import Staff, StaffRole
from server.policy.resolver import load_overrides

_MOST_SKEW = timedelta(seconds=2)
# From the province down: the levels above and of a county.
_COUNTY_LEVELS = (2, 4, 6)


class SetupRefused(Exception):
    """What is missing can't be made from what was given. The message says what to give."""


class Step(NamedTuple):
    """A step of the set-up and what came of it. `doubtful` does not stop it but needs somebody's attention."""

    name: str
    state: Literal["done", "there", "doubtful"]
    note: str


class Office(NamedTuple):
    """What the operator says. `names` are of province, city and county, where no list of divisions has them."""

    county: str
    names: tuple[str, ...]
    divisions: Path | None
    admin_login: str
    admin_name: str


async def set_up(settings: Settings, office: Office, show: Callable[[Step], None]) -> NewLink | None:
    """Set the office up and return the link of a new administrator; None if there are administrators already."""
    if office.divisions is not None:
        read = await import_folder(settings, office.divisions)
        show(Step("divisions", "done", f"{read.read} read, {read.added} new"))
    async with open_services(settings) as services:
        show(await _check_store(services))
        async with open_session(services.sessions) as session:
            show(await _check_clock(session))
            show(await _add_county(session, office))
            show(await _publish_checklists(session))
            show(_check_calendar(judge_calendar(utc_now(), await load_overrides(session))))
            show(_check_wechat(settings))
            if await count_admins(session):
                show(Step("administrator", "there", "create-admin makes another"))
                return None
            link = await make_admin(session, services, office.admin_login, office.admin_name, "")
            show(Step("administrator", "done", link.login))
            return link


async def make_admin(session: AsyncSession, services: Services, login: str, name: str, area_code: str) -> NewLink:
    """Create an administrator, or give an existing one a new link. Raise SetupRefused with the reason."""
    staff = await session.scalar(select(Staff).where(Staff.login == login.strip().lower()))
    if staff is not None:
        await _require_admin(session, staff)
        return await make_link(session, None, staff, utc_now())
    role = RoleBody(role=Role.ADMIN, area_code=area_code)
    try:
        body = NewStaff(id=new_id(), login=login, name=name, roles=[role])
        return await create_staff(session, services.encryption, None, body, utc_now())
    except Problem as problem:
        raise SetupRefused(problem.entry.en_detail or problem.entry.en) from None


async def _require_admin(session: AsyncSession, staff: Staff) -> None:
    held = StaffRole.staff_id == staff.id, StaffRole.role == Role.ADMIN, StaffRole.revoked_at.is_(None)
    if staff.disabled_at is not None or await session.scalar(select(StaffRole.id).where(*held)) is None:
        raise SetupRefused(f"{staff.login} belongs to somebody who is no administrator: choose another login")


async def _check_store(services: Services) -> Step:
    try:
        await services.store.ensure_bucket()
        await services.store.check()
    except StoreError as error:
        raise SetupRefused(f"the photo store does not answer or refuses: {type(error).__name__}") from None
    return Step("photo store", "there", "bucket can be read and written")


async def _check_clock(session: AsyncSession) -> Step:
    database: datetime = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    skew = abs(database.astimezone(UTC) - utc_now())
    state: Literal["there", "doubtful"] = "there" if skew <= _MOST_SKEW else "doubtful"
    return Step("clock", state, f"{skew.total_seconds():.1f} s from the database's")


async def _add_county(session: AsyncSession, office: Office) -> Step:
    """Add the county and what lies above it; a list of divisions may have brought them already."""
    if len(office.county) != _COUNTY_LEVELS[-1] or not office.county.isdigit():
        raise SetupRefused("a county's code has 6 digits")
    codes = [office.county[:digits] for digits in _COUNTY_LEVELS]
    areas = {area.code: area for area in await session.scalars(select(Area).where(Area.code.in_(codes)))}
    missing = [code for code in codes if code not in areas]
    if missing and len(office.names) != len(codes):
        levels = "/".join(LEVELS[digits] for digits in _COUNTY_LEVELS)
        raise SetupRefused(f"no area {missing[0]}: give --divisions, or --names {levels}")
    for digits, code in zip(_COUNTY_LEVELS, codes, strict=True):
        if code in missing:
            parent = code[: digits - 2] or None
            name = office.names[_COUNTY_LEVELS.index(digits)]
            session.add(Area(code=code, name=name, parent_code=parent, valid_from=day_of(utc_now())))
            await session.flush()  # the next one refers to it
    villages = await session.scalar(
        select(func.count()).where(Area.code.startswith(office.county), func.length(Area.code) == 12)  # noqa: PLR2004
    )
    return Step("county", "done" if missing else "there", f"{office.county}, {villages} villages")


async def _publish_checklists(session: AsyncSession) -> Step:
    made = [await publish(session, template) for template in (*load_shipped(), *load_shipped_records())]
    new = sum(version.is_new for version in made)
    return Step("checklists", "done" if new else "there", f"{new} of {len(made)} new")


def _check_calendar(line: Line) -> Step:
    return Step("calendar", "there" if line.level == "ok" else "doubtful", " – ".join(filter(None, line[2:])))


def _check_wechat(settings: Settings) -> Step:
    if settings.wechat_app_id and settings.wechat_secret:
        return Step("WeChat", "there", settings.wechat_app_id)
    return Step("WeChat", "doubtful", "no keys yet: staff and residents can't sign in from WeChat")


async def make_admin_now(settings: Settings, login: str, name: str, area_code: str) -> tuple[NewLink, int]:
    """Create an administrator from the command line; also return how many there are."""
    async with open_services(settings) as services, open_session(services.sessions) as session:
        link = await make_admin(session, services, login, name, area_code)
        await session.flush()  # counted next
        return link, await count_admins(session)
