"""Authorization: the caller of a request, their roles and the areas in which they hold them.

Every query of a scoped table starts from `readable(Model, caller)`; every action names its roles through
`require_role`. The scope of a staff member is a prefix of area codes (docs/domain.md#areas).
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, false, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from server.core.errors import Problem


class Role(StrEnum):
    CASEWORKER = "caseworker"
    PANELIST = "panelist"
    TOWN_OFFICER = "town_officer"
    COUNTY_OFFICER = "county_officer"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"
    RESIDENT = "resident"


# Roles that visit homes, and roles that work at a desk with submitted visits.
FIELD_ROLES = frozenset({Role.CASEWORKER, Role.TOWN_OFFICER, Role.COUNTY_OFFICER, Role.SUPERVISOR})
DESK_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER, Role.SUPERVISOR})
REVIEW_ROLES = DESK_ROLES
# Roles that read the directory: the desk, and administrators of staff and settings.
DIRECTORY_ROLES = DESK_ROLES | {Role.ADMIN}


class Grant(Struct, frozen=True):
    """A role held over every area whose code starts with `area_code`."""

    role: Role
    area_code: str


class Person(NamedTuple):
    id: UUID
    name: str


class Caller(Struct, frozen=True, kw_only=True):
    """The signed-in person of a request, with the roles that the tables hold now.

    `deputy_for`: the people on leave whom the caller stands in for today.
    """

    id: UUID
    name: str
    device_id: UUID
    grants: tuple[Grant, ...]
    signed_in_at: datetime | None = None
    # The area requires a second factor that is not set; there are no grants until it is.
    second_factor_due: bool = False
    deputy_for: tuple[Person, ...] = ()

    @property
    def persons(self) -> tuple[Person, ...]:
        """The caller and whom they stand in for: what bars any of them bars the caller."""
        return (Person(self.id, self.name), *self.deputy_for)

    def acts_as(self, staff_id: UUID | None) -> bool:
        """Say whether a person is the caller, or somebody they stand in for: two of those are not two people."""
        return any(person.id == staff_id for person in self.persons)

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(grant.role for grant in self.grants)

    @property
    def is_resident(self) -> bool:
        return Role.RESIDENT in self.roles

    def prefixes(self, roles: Collection[Role]) -> list[str]:
        """Return the area prefixes over which the caller holds any of these roles."""
        return sorted({grant.area_code for grant in self.grants if grant.role in roles})

    def covers(self, area_code: str, roles: Collection[Role]) -> bool:
        return any(area_code.startswith(prefix) for prefix in self.prefixes(roles))


class Scoped(Protocol):
    """A table that defines which of its rows a caller may see."""

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]: ...


M = TypeVar("M", bound=Scoped)


def readable(model: type[M], caller: Caller) -> Select[M]:
    """Select the rows of a scoped table that the caller may see."""
    return select(model).where(model.in_scope(caller))


def in_areas(column: InstrumentedAttribute[str], caller: Caller, roles: Collection[Role]) -> ColumnElement[bool]:
    """Match rows whose area lies under an area where the caller holds one of these roles."""
    prefixes = caller.prefixes(roles)
    return or_(*(column.startswith(prefix, autoescape=True) for prefix in prefixes)) if prefixes else false()


def require_role(caller: Caller, roles: Collection[Role]) -> None:
    """Raise `auth.forbidden` unless the caller has one of the roles in any area."""
    if not caller.roles & set(roles):
        if caller.second_factor_due:
            raise Problem("auth.second_factor_due")
        raise Problem("auth.forbidden", roles=", ".join(sorted(roles)))


def require_staff(caller: Caller) -> None:
    """Raise `auth.forbidden` for a resident. Staff need no role for what concerns their own account."""
    if caller.is_resident:
        raise Problem("auth.forbidden", roles=", ".join(sorted(set(Role) - {Role.RESIDENT})))


def owned_by(model: Any, caller: Caller) -> ColumnElement[bool]:
    """Match rows of the caller, in a table whose rows belong to a member of staff or to a resident."""
    is_owner: ColumnElement[bool] = (model.resident_id if caller.is_resident else model.staff_id) == caller.id
    return is_owner


def require_found(thing: Any | None) -> Any:
    """Return the thing, or raise `thing.not_found`: a row that is absent and one out of scope give the same answer."""
    if thing is None:
        raise Problem("thing.not_found")
    return thing
