"""Who may handle a complaint: the roles, and that nobody handles a complaint in which they have an interest."""

from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Role
from server.core.errors import Problem
from server.core.normalise import name_key, same_name
from server.core.services import Services
from server.models.cases import CaseEvent, CaseFile, RelativeOnStaff
from server.models.complaints import Complaint
from server.models.people import Staff, StaffRole

HANDLER_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER, Role.SUPERVISOR})
# Whoever took one of these steps in a case must not handle an appeal against it.
_DECISION_STEPS = (
    "not_accepted",
    "opinion_grant",
    "opinion_refuse",
    "confirmed",
    "refused",
    "change_proposed",
    "stop_proposed",
    "return_proposed",
    "amount_changed",
    "stopped",
    "came_back",
)


def index_staff_name(services: Services, name: str) -> str:
    """Return the blind index of a name: equal names can be found, and none is stored in clear text."""
    return services.encryption.index("staff_name", name_key(name)).hex()


def is_accused(services: Services, complaint: Complaint, name: str) -> bool:
    """Return whether the complaint is about a person of this name, however either was spelled.

    Complaints of earlier versions hold the index of the name without its spaces.
    """
    former = services.encryption.index("staff_name", "".join(name.split())).hex()
    return not {index_staff_name(services, name), former}.isdisjoint(complaint.against)


async def has_left(session: AsyncSession, handler_id: UUID | None) -> bool:
    """Return whether the handler's account is disabled, so that somebody else has to answer."""
    left = select(Staff.id).where(Staff.id == handler_id, Staff.disabled_at.is_not(None))
    return await session.scalar(left) is not None


async def require_impartial(
    session: AsyncSession, services: Services, complaint: Complaint, staff_id: UUID, name: str
) -> None:
    """Raise `complaint.against_you` if it is about this person, their own decision or a relative's household.

    The accused and relatives are matched by name, so a namesake is excluded too; other officers can take over.
    """
    household = complaint.household_id
    if complaint.case_id is not None:
        household = await session.scalar(select(CaseFile.household_id).where(CaseFile.id == complaint.case_id))
    is_relative = await session.scalar(
        select(RelativeOnStaff.id).where(
            RelativeOnStaff.household_id == household, same_name(RelativeOnStaff.name, name)
        )
    )
    decided = await session.scalar(
        select(CaseEvent.id)
        .where(
            CaseEvent.case_id == complaint.case_id, CaseEvent.actor_id == staff_id, CaseEvent.step.in_(_DECISION_STEPS)
        )
        .limit(1)
    )
    if is_accused(services, complaint, name) or is_relative is not None or decided is not None:
        raise Problem("complaint.against_you")


async def list_eligible_handlers(session: AsyncSession, services: Services, complaint: Complaint) -> list[UUID]:
    """List the officers of the area who may register the complaint, except those it is about."""
    rows = await session.execute(
        select(Staff.id, Staff.name)
        .distinct()
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .where(
            StaffRole.role.in_(HANDLER_ROLES),
            StaffRole.revoked_at.is_(None),
            literal(complaint.area_code).startswith(StaffRole.area_code),
            Staff.disabled_at.is_(None),
        )
        .order_by(Staff.id)
    )
    return [staff_id for staff_id, name in rows if not is_accused(services, complaint, name)]
