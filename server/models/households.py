"""Households, their members, caseloads, and assignments of visits."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    FetchedValue,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    and_,
    event,
    inspect,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from server.core.access import DESK_ROLES, Caller, in_areas
from server.core.database import Base
from server.core.search_terms import (
    list_address_terms,
    list_name_terms,
    list_number_terms,
    spell_for_search,
    to_vector,
)
from server.models.columns import AreaCode, Id, OptionalTime, WrittenAt
from server.models.people import Deputyship, ResidentBinding

# GB/T 26341: 视力, 听力, 言语, 肢体, 智力, 精神, 多重.
DISABILITY_KINDS = ("visual", "hearing", "speech", "physical", "intellectual", "mental", "multiple")
VISIT_KINDS = ("intake", "review", "neighbour", "complaint", "spot_check", "care", "housing")


class Household(Base):
    """A household, which has one file and one number (一户一档)."""

    __tablename__ = "household"
    __table_args__ = (
        CheckConstraint("datum IN ('wgs84', 'gcj02', 'bd09')", name="datum_is_known"),
        CheckConstraint("class IN ('A', 'B', 'C')", name="class_is_known"),
        CheckConstraint("monthly_amount_fen >= 0", name="amount_is_not_negative"),
        Index("ix_household_area_prefix", "area_code", postgresql_ops={"area_code": "text_pattern_ops"}),
        Index("ix_household_search_terms", "search_terms", postgresql_using="gin"),
        # Of a household without a group nothing is checked (MATCH SIMPLE).
        ForeignKeyConstraint(
            ["area_code", "group_name"],
            ["village_group.village_code", "village_group.name"],
            name="fk_household_area_code_village_group",
        ),
        Index("ix_household_group", "area_code", "group_name", postgresql_where=text("group_name IS NOT NULL")),
    )

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(unique=True)
    area_code: Mapped[AreaCode]
    # Of its village; null where the office keeps none.
    group_name: Mapped[str | None]
    head_name: Mapped[str]
    address: Mapped[str]
    phone_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_mask: Mapped[str | None]
    # Searched by equality only.
    phone_index: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    datum: Mapped[str] = mapped_column(default="wgs84")
    class_: Mapped[str | None] = mapped_column("class")
    monthly_amount_fen: Mapped[int | None]
    relative_on_staff: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[WrittenAt]
    # The household that it went into (`households/merging.py`): it is shown where somebody asks for it, and counts
    # for nothing.
    merged_into: Mapped[UUID | None] = mapped_column(ForeignKey("household.id"), index=True)
    # Of number, address and group; written with them.
    search_terms: Mapped[str | None] = mapped_column(TSVECTOR, deferred=True)

    members: Mapped[list["HouseholdMember"]] = relationship(
        lazy="raise", order_by="HouseholdMember.position", back_populates="household"
    )

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Desk: by area. Caseworker: the current caseload. Resident: the household they are bound to."""
        caseload = select(Caseload.household_id).where(Caseload.staff_id == caller.id, Caseload.revoked_at.is_(None))
        bound = select(ResidentBinding.household_id).where(
            ResidentBinding.resident_id == caller.id, ResidentBinding.ended_at.is_(None)
        )
        if caller.is_resident:
            return cls.id.in_(bound)
        return or_(cls.id.in_(caseload), in_areas(cls.area_code, caller, DESK_ROLES))


class HouseholdMember(Base):
    __tablename__ = "household_member"
    __table_args__ = (
        CheckConstraint("sex IN ('male', 'female')", name="sex_is_known"),
        Index("ix_household_member_search_terms", "search_terms", postgresql_using="gin"),
        CheckConstraint(f"disability_kind IN {DISABILITY_KINDS}", name="disability_kind_is_known"),
        CheckConstraint("disability_grade BETWEEN 1 AND 4", name="disability_grade_is_known"),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    position: Mapped[int]
    name: Mapped[str]
    relation: Mapped[str]
    sex: Mapped[str]
    born_on: Mapped[date]
    id_number_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Searched by equality only. Not unique: a person may have been a member of two households.
    id_number_index: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)
    id_number_mask: Mapped[str | None]
    health: Mapped[str | None]
    labour_ability: Mapped[str | None]
    school: Mapped[str | None]
    work: Mapped[str | None]
    # How the name is spelled, and its terms; both written with it.
    pinyin: Mapped[str] = mapped_column(server_default="")
    search_terms: Mapped[str | None] = mapped_column(TSVECTOR, deferred=True)
    # As the card of the disability says them: the grade 1 is the gravest.
    disability_kind: Mapped[str | None]
    disability_grade: Mapped[int | None]
    # The name of a grave illness, as the diagnosis says it.
    illness: Mapped[str | None]

    household: Mapped[Household] = relationship(lazy="raise", back_populates="members")


@event.listens_for(Household, "before_insert")
@event.listens_for(Household, "before_update")
def _set_household_terms(_mapper: Any, _connection: Any, household: Household) -> None:
    history = inspect(household).attrs
    if any(history[name].history.has_changes() for name in ("number", "address", "group_name")):
        household.search_terms = to_vector(
            list_number_terms(household.number)
            | list_address_terms(household.address)
            | list_address_terms(household.group_name or "")
        )


@event.listens_for(HouseholdMember, "before_insert")
@event.listens_for(HouseholdMember, "before_update")
def _set_member_terms(_mapper: Any, _connection: Any, member: HouseholdMember) -> None:
    if inspect(member).attrs.name.history.has_changes():
        member.pinyin, member.search_terms = spell_for_search(member.name), to_vector(list_name_terms(member.name))


class Caseload(Base):
    """The assignment of a household to a member of staff, and when and why it was revoked."""

    __tablename__ = "caseload"
    __table_args__ = (
        Index(
            "uq_caseload_held_once",
            "household_id",
            "staff_id",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
        Index("ix_caseload_holder", "staff_id", "household_id"),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    granted_at: Mapped[WrittenAt]
    granted_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    revoked_at: Mapped[OptionalTime]
    revoked_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    revoke_reason: Mapped[str | None]
    # Held for a person on leave; the row ends with it.
    deputyship_id: Mapped[UUID | None] = mapped_column(ForeignKey("deputyship.id"), index=True)


class Assignment(Base):
    """A visit that is due: its household, kind, due date and checklist version."""

    __tablename__ = "assignment"
    __table_args__ = (
        CheckConstraint(f"kind IN {VISIT_KINDS}", name="kind_is_known"),
        CheckConstraint("state IN ('open', 'done', 'cancelled')", name="state_is_known"),
        # Finds all open assignments that are due by a day.
        Index(
            "ix_assignment_due",
            "due_on",
            postgresql_include=["household_id", "kind", "area_code"],
            postgresql_where=text("state = 'open'"),
        ),
        ForeignKeyConstraint(
            ["checklist_code", "checklist_version"],
            ["checklist_template.code", "checklist_template.version"],
        ),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    # The household's area, copied by a trigger, so that due visits are counted without a join.
    area_code: Mapped[str] = mapped_column(String(12), FetchedValue())
    kind: Mapped[str]
    due_on: Mapped[date]
    checklist_code: Mapped[str]
    checklist_version: Mapped[int]
    partner_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("case_file.id"), index=True)
    state: Mapped[str] = mapped_column(default="open")
    # Null: ordered by a case, a complaint or the schedule.
    ordered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    # All visits of one order of the desk share this id, which the client made.
    order_id: Mapped[UUID | None] = mapped_column(index=True)
    # Null: whoever holds the household.
    assignee_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    note: Mapped[str] = mapped_column(default="", server_default=text("''"))
    created_at: Mapped[WrittenAt]

    @classmethod
    def is_for_holder(cls) -> ColumnElement[bool]:
        """Match visits that the holder of a joined caseload row is to make, also for whom they stand in."""
        absent = select(Deputyship.staff_id).where(Deputyship.id == Caseload.deputyship_id).scalar_subquery()
        return or_(cls.assignee_id.is_(None), cls.assignee_id == Caseload.staff_id, cls.assignee_id == absent)

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        households: Any = select(Household.id).where(Household.in_scope(caller))
        return and_(cls.household_id.in_(households))
