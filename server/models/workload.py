"""What is to be visited when: the day plans, and the visits that were ordered and that nobody can make yet."""

from collections.abc import Collection
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DESK_ROLES, Caller, Role, in_areas
from server.core.checklists.wording import say_visit
from server.core.database import Base
from server.core.ids import new_id
from server.models import audit
from server.models.columns import AreaCode, Id, OptionalTime, WrittenAt
from server.models.households import VISIT_KINDS
from server.models.people import Staff, StaffRole


class DayPlanStop(Base):
    """One stop. The day is a proposal: the assignment's own `due_on` is what binds."""

    __tablename__ = "day_plan_stop"
    __table_args__ = (Index("ix_day_plan_stop_day", "staff_id", "day", "position"),)

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignment.id"), primary_key=True, index=True)
    day: Mapped[date]
    position: Mapped[int]


class BlockedVisit(Base):
    """A visit that was ordered where no checklist of its kind is published: kept until there is one, and shown.

    It ends as an assignment (`assignment_id`), or with the case that asked for it.
    """

    __tablename__ = "blocked_visit"
    __table_args__ = (
        CheckConstraint(f"kind IN {VISIT_KINDS}", name="kind_is_known"),
        CheckConstraint("assignment_id IS NULL OR ended_at IS NOT NULL", name="an_assigned_one_has_ended"),
        Index(
            "uq_blocked_visit_open",
            "household_id",
            "kind",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("case_file.id"), index=True)
    area_code: Mapped[AreaCode]
    kind: Mapped[str]
    due_on: Mapped[date]
    # Null: the procedure or the timetable asked for it.
    ordered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    ordered_at: Mapped[WrittenAt]
    ended_at: Mapped[OptionalTime]
    assignment_id: Mapped[UUID | None] = mapped_column(ForeignKey("assignment.id"))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Of the desks, and of the administrators, who publish checklists."""
        return in_areas(cls.area_code, caller, DESK_ROLES | {Role.ADMIN})


NO_CHECKLIST = "visit.no_checklist"


def say_blocked(kind: str) -> dict[str, str]:
    what = say_visit(kind)
    return {
        "zh": f"“{what.zh}”任务暂不能下达：本地区没有已发布的此类检查表；发布后自动下达。",
        "en": f"This visit ({what.en}) waits: no checklist of its kind is published here; it goes out once one is.",
    }


async def keep_blocked(
    session: AsyncSession,
    *,
    household_id: UUID,
    area_code: str,
    kind: str,
    due_on: date,
    case_id: UUID | None = None,
    ordered_by: UUID | None = None,
) -> UUID | None:
    """Keep an order that no checklist fits; None where one of that kind is kept for the home already."""
    row = insert(BlockedVisit).values(
        id=new_id(),
        household_id=household_id,
        case_id=case_id,
        area_code=area_code,
        kind=kind,
        due_on=due_on,
        ordered_by=ordered_by,
    )
    kept: UUID | None = await session.scalar(row.on_conflict_do_nothing().returning(BlockedVisit.id))
    if kept is not None:
        audit.record(session, None, "visit.blocked", "blocked_visit", kept, area_code=area_code, kind=kind)
    return kept


async def end_blocked(session: AsyncSession, *conditions: Any) -> None:
    """What asked for these visits has ended, or has been answered otherwise."""
    await session.execute(
        update(BlockedVisit).where(BlockedVisit.ended_at.is_(None), *conditions).values(ended_at=func.now())
    )


async def who_mends_blocked(session: AsyncSession, area_code: str, also: Collection[UUID] = ()) -> list[str]:
    """The administrators of an area, who publish its checklists, its county's officers, and whoever ordered."""
    rows = await session.scalars(
        select(StaffRole.staff_id)
        .distinct()
        .join(Staff, Staff.id == StaffRole.staff_id)
        .where(
            StaffRole.role.in_([Role.ADMIN, Role.COUNTY_OFFICER]),
            StaffRole.revoked_at.is_(None),
            Staff.disabled_at.is_(None),
            literal(area_code).startswith(StaffRole.area_code),
        )
    )
    return sorted({*(str(one) for one in rows), *(str(one) for one in also)})
