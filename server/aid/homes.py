"""The homes of a batch: who they are, how many people they count, and whether a case is in force in a month."""

from collections.abc import Collection
from datetime import date
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.models.aid import AID_ROLES
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile
from server.models.households import Household, HouseholdMember

_PAID_STATES = ("published", "in_force", "stopped")


class AidHome(Struct, frozen=True):
    """`people`: those a decision in force pays for; without one, the members."""

    id: UUID
    number: str
    head_name: str
    area_code: str
    people: int


def is_in_force(household_id: Any, month: Any, programme: str | None = None) -> ColumnElement[bool]:
    """Match homes of which a case is paid in a month, given its first day.

    Of a case that was stopped and is paid again, the file knows the return alone: for the months before its stop the
    decision counts that was the last to be made from that month or an earlier one.
    """
    decided = (
        select(BenefitChange.kind)
        .where(BenefitChange.case_id == CaseFile.id, BenefitChange.month <= month)
        .order_by(BenefitChange.id.desc())
        .limit(1)
        .correlate_except(BenefitChange)
        .scalar_subquery()
    )
    case = exists().where(
        CaseFile.household_id == household_id,
        CaseFile.state.in_(_PAID_STATES),
        or_(
            and_(CaseFile.paid_from <= month, or_(CaseFile.stopped_from.is_(None), CaseFile.stopped_from > month)),
            and_(CaseFile.paid_from > month, decided != "stopped"),
        ),
    )
    return case.where(CaseFile.programme == programme) if programme else case


async def list_homes_in_force(
    session: AsyncSession, area_code: str, month: date, class_: str | None, programme: str | None, *, most: int
) -> list[AidHome]:
    """Return the homes of an area and class in the order of the area and their number; `most` and one more at most."""
    rows = _select_homes(month).where(
        Household.area_code.startswith(area_code, autoescape=True), is_in_force(Household.id, month, programme)
    )
    if class_ is not None:
        rows = rows.where(Household.class_ == class_)
    return _to_homes((await session.execute(rows.limit(most + 1))).all())


async def load_homes(session: AsyncSession, caller: Caller, ids: Collection[UUID], month: date) -> list[AidHome]:
    """Return those of the homes that lie within the caller's areas."""
    rows = _select_homes(month).where(Household.id.in_(ids), Household.in_scope(caller))
    homes = _to_homes((await session.execute(rows)).all())
    return [home for home in homes if caller.covers(home.area_code, AID_ROLES)]


def _select_homes(month: date) -> Any:
    members = (
        select(func.count()).where(HouseholdMember.household_id == Household.id).correlate(Household).scalar_subquery()
    )
    decided = (
        select(BenefitChange.people)
        .where(BenefitChange.household_id == Household.id, BenefitChange.month <= month)
        .order_by(BenefitChange.month.desc(), BenefitChange.decided_on.desc(), BenefitChange.id.desc())
        .limit(1)
        .correlate(Household)
        .scalar_subquery()
    )
    people = func.coalesce(func.nullif(decided, 0), members)
    return (
        select(Household.id, Household.number, Household.head_name, Household.area_code, people)
        .where(Household.merged_into.is_(None))
        .order_by(Household.area_code, Household.number)
    )


def _to_homes(rows: Any) -> list[AidHome]:
    return [AidHome(home_id, number, head, area, max(people, 1)) for home_id, number, head, area, people in rows]
