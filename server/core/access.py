"""Who is asking, and how far they may see: the one place where roles and areas are decided.

Every read of a table that belongs to people starts from `readable(Model, caller)`; every act names the
roles it needs through `require_role`. A staff member's scope is a prefix of the area code tree (docs/domain.md#areas).
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar
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


# Whoever visits homes, and whoever works at a desk with what the visits brought.
FIELD_ROLES = frozenset({Role.CASEWORKER, Role.TOWN_OFFICER, Role.COUNTY_OFFICER, Role.SUPERVISOR})
DESK_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER, Role.SUPERVISOR})
REVIEW_ROLES = DESK_ROLES


class Grant(Struct, frozen=True):
    """A role held over every area whose code starts with `area_code`."""

    role: Role
    area_code: str


class Caller(Struct, frozen=True, kw_only=True):
    """The person behind a request, as the token and the tables say now."""

    id: UUID
    name: str
    device_id: UUID
    grants: tuple[Grant, ...]
    signed_in_at: datetime | None = None

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(grant.role for grant in self.grants)

    @property
    def is_resident(self) -> bool:
        return Role.RESIDENT in self.roles

    def prefixes(self, roles: Collection[Role]) -> list[str]:
        """Area prefixes that the caller holds in any of these roles."""
        return sorted({grant.area_code for grant in self.grants if grant.role in roles})

    def covers(self, area_code: str, roles: Collection[Role]) -> bool:
        return any(area_code.startswith(prefix) for prefix in self.prefixes(roles))


class Scoped(Protocol):
    """A table whose rows belong to someone says itself which of them a caller may see."""

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]: ...


M = TypeVar("M", bound=Scoped)


def readable(model: type[M], caller: Caller) -> Select[M]:
    """Every read of a scoped table starts here."""
    return select(model).where(model.in_scope(caller))


def in_areas(column: InstrumentedAttribute[str], caller: Caller, roles: Collection[Role]) -> ColumnElement[bool]:
    """Rows whose area lies under one of the caller's areas in one of these roles."""
    prefixes = caller.prefixes(roles)
    return or_(*(column.startswith(prefix, autoescape=True) for prefix in prefixes)) if prefixes else false()


def require_role(caller: Caller, roles: Collection[Role]) -> None:
    """Raises `auth.forbidden` unless the caller has one of the roles somewhere."""
    if not caller.roles & set(roles):
        raise Problem("auth.forbidden", roles=", ".join(sorted(roles)))


def require_found(thing: Any | None) -> Any:
    """The thing, or `thing.not_found`: the same answer for what isn't there and what isn't the caller's."""
    if thing is None:
        raise Problem("thing.not_found")
    return thing
