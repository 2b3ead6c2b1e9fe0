"""What an office still lacks before its people can visit homes: the list on the desk's overview."""

from typing import Literal

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, Role, in_areas, require_role
from server.core.http import ResponseBody
from server.core.settings import Settings
from server.models.areas import Area
from server.models.checklists import ChecklistTemplate
from server.models.households import Household
from server.models.people import Staff, StaffRole

# Who can do something about it.
SETUP_ROLES = frozenset({Role.ADMIN, Role.COUNTY_OFFICER, Role.TOWN_OFFICER})
_VILLAGE_DIGITS = 12
_LEAST_ADMINS = 2

MissingThing = Literal["villages", "staff", "checklists", "households", "wechat_keys", "second_admin"]


class Missing(ResponseBody):
    """What is missing, in the order in which an office does it."""

    missing: list[MissingThing]


async def list_missing(session: AsyncSession, caller: Caller, settings: Settings) -> Missing:
    """Say what is missing in the caller's areas, and of the installation. One query, whatever the size."""
    require_role(caller, SETUP_ROLES)
    found = (await session.execute(select(*_conditions(caller)))).one()
    present: dict[MissingThing, bool] = {
        "villages": found.villages,
        "staff": found.caseworkers,
        "checklists": found.checklists,
        "households": found.households,
        "wechat_keys": bool(settings.wechat_app_id and settings.wechat_secret),
        "second_admin": found.admins >= _LEAST_ADMINS,
    }
    return Missing(missing=[thing for thing, is_present in present.items() if not is_present])


def _conditions(caller: Caller) -> list[ColumnElement[bool] | ColumnElement[int]]:
    villages = exists().where(
        in_areas(Area.code, caller, SETUP_ROLES),
        func.length(Area.code) == _VILLAGE_DIGITS,
        Area.valid_until.is_(None),
    )
    active = (Staff.id == StaffRole.staff_id, StaffRole.revoked_at.is_(None), Staff.disabled_at.is_(None))
    caseworkers = exists().where(
        *active, StaffRole.role == Role.CASEWORKER, in_areas(StaffRole.area_code, caller, SETUP_ROLES)
    )
    # A checklist of a wider area serves the caller's as well.
    serves = or_(
        in_areas(ChecklistTemplate.area_code, caller, SETUP_ROLES),
        *(
            ChecklistTemplate.area_code == prefix[:digits]
            for prefix in caller.prefixes(SETUP_ROLES)
            for digits in range(len(prefix))
        ),
    )
    checklists = exists().where(serves, ChecklistTemplate.retired_at.is_(None))
    households = exists().where(in_areas(Household.area_code, caller, SETUP_ROLES))
    admins = select(func.count(Staff.id.distinct())).where(*active, StaffRole.role == Role.ADMIN).scalar_subquery()
    return [
        villages.label("villages"),
        caseworkers.label("caseworkers"),
        checklists.label("checklists"),
        households.label("households"),
        admins.label("admins"),
    ]
