"""Cases: applications, their events and deadlines, papers, declared income and property, and calculations."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
    and_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.columns import AreaCode, Id, Json, JsonList, OptionalTime, Sha256, Time, WrittenAt
from server.models.evidence import EVIDENCE_STATES
from server.models.households import Household

CASE_STATES = (
    "applied",
    "materials",
    "accepted",
    "survey",
    "preliminary",
    "hearing",
    "posting",
    "objection",
    "county",
    "confirmed",
    "published",
    "in_force",
    "stopped",
    "refused",
    "withdrawn",
)
# Granted and not stopped: the household is paid now or will be soon.
GRANTED_STATES = ("confirmed", "published", "in_force")
# Closed applications: the household may apply again.
CLOSED_STATES = ("confirmed", "published", "in_force", "stopped", "refused", "withdrawn")
DEADLINE_KINDS = ("survey", "cross_check", "total", "county_opinion", "notice")
PROPERTY_KINDS = ("home", "vehicle", "deposit", "business", "other")
PROGRAMMES = ("urban", "rural")
INCOME_KINDS = ("wage", "business", "property", "transfer", "cost")


class CaseFile(Base):
    """An application of a household. The policy settings of its first day (`rules_on`) apply until it ends."""

    __tablename__ = "case_file"
    __table_args__ = (
        CheckConstraint(f"state IN {CASE_STATES}", name="state_is_known"),
        CheckConstraint("amount_fen >= 0", name="amount_is_not_negative"),
        CheckConstraint(f"programme IN {PROGRAMMES}", name="programme_is_known"),
        CheckConstraint(f"stated_programme IN {PROGRAMMES}", name="stated_programme_is_known"),
        # Numbers are looked up without their dashes: `bare` of server/core/normalise.py.
        Index("ix_case_file_bare_number", text("replace(number, '-', '')")),
        Index(
            "uq_case_file_open_once",
            "household_id",
            unique=True,
            postgresql_where=text(f"state NOT IN {CLOSED_STATES}"),
        ),
    )

    id: Mapped[Id]
    # The application number that a resident enters to bind an account.
    number: Mapped[str] = mapped_column(unique=True)
    # The keyed hash of the PIN on the household's slip; null until one is printed.
    look_up_pin: Mapped[bytes | None] = mapped_column(LargeBinary)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    area_code: Mapped[AreaCode]
    state: Mapped[str]
    applied_on: Mapped[date]
    rules_on: Mapped[date]
    updated_at: Mapped[WrittenAt]
    # Incremented by each event, for optimistic locking.
    version: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    # Situations that require more papers (illness, school …), see server/cases/papers.py.
    situations: Mapped[JsonList] = mapped_column(default=list, server_default=text("'[]'"))
    # The date of the household's written consent to cross-checks of its finances.
    consented_on: Mapped[date | None]
    # By whose standard it is calculated; null until an officer has confirmed it.
    programme: Mapped[str | None]
    # What the applicant's household register says; a proposal.
    stated_programme: Mapped[str | None]
    suspended_on: Mapped[date | None]
    is_extended: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # With a relative on the staff or a complaint the law requires a visit by the county office.
    needs_county_visit: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    county_visited_at: Mapped[OptionalTime]
    posting_round: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    # The amount that was proposed and then decided; null until then.
    amount_fen: Mapped[int | None]
    decided_on: Mapped[date | None]
    # The first day of the first month with payment, and of the first month without.
    paid_from: Mapped[date | None]
    stopped_from: Mapped[date | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        households: Any = select(Household.id).where(Household.in_scope(caller))
        return cls.household_id.in_(households)


class CaseEvent(Base):
    """A step of a case. Immutable."""

    __tablename__ = "case_event"
    __table_args__ = (
        # A cause advances a case once, however often its job runs.
        Index("uq_case_event_cause", "case_id", "cause", unique=True),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    at: Mapped[Time]
    step: Mapped[str]
    state: Mapped[str]
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    cause: Mapped[str]
    facts: Mapped[Json]


class CaseDeadline(Base):
    """A deadline of a case. `due_on` is always `count + paused` units after `started_on`."""

    __tablename__ = "case_deadline"
    __table_args__ = (
        CheckConstraint(f"kind IN {DEADLINE_KINDS}", name="kind_is_known"),
        CheckConstraint("unit IN ('days', 'working_days')", name="unit_is_known"),
        Index(
            "uq_case_deadline_runs_once",
            "case_id",
            "kind",
            unique=True,
            postgresql_where=text("met_on IS NULL"),
        ),
        Index("ix_case_deadline_due", "due_on", "case_id", postgresql_where=text("met_on IS NULL")),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), index=True)
    kind: Mapped[str]
    started_on: Mapped[date]
    count: Mapped[int]
    unit: Mapped[str]
    # The start of the current pause, and the units of all earlier pauses.
    paused_on: Mapped[date | None]
    paused: Mapped[int] = mapped_column(default=0)
    due_on: Mapped[date]
    # False when some days of the period are in no published calendar.
    certain: Mapped[bool]
    met_on: Mapped[date | None]


class Paper(Base):
    """A paper that an application requires: requested once, received once."""

    __tablename__ = "case_paper"
    __table_args__ = (UniqueConstraint("case_id", "code"),)

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    code: Mapped[str]
    asked_at: Mapped[OptionalTime]
    received_on: Mapped[date | None]
    received_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))


class PaperPhoto(Base):
    """A photo of a paper that a resident announced; it is uploaded and processed like the photos of visits.

    An uploaded photo does not make a paper received: an officer who has seen it records the date.
    """

    __tablename__ = "paper_photo"
    __table_args__ = (
        CheckConstraint(f"state IN {EVIDENCE_STATES}", name="state_is_known"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256_is_hex"),
        CheckConstraint("(returned_at IS NULL) = (return_reason IS NULL)", name="returned_has_a_reason"),
        Index("ix_paper_photo_case", "case_id", "code"),
        Index("ix_paper_photo_content", "sha256"),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    code: Mapped[str]
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"))
    sha256: Mapped[Sha256]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    refused_code: Mapped[str | None]
    announced_at: Mapped[Time]
    uploaded_at: Mapped[OptionalTime]
    settled_at: Mapped[OptionalTime]
    # An officer returned it (unreadable, wrong paper); the resident sees the reason and sends another.
    returned_at: Mapped[OptionalTime]
    returned_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    return_reason: Mapped[str | None]
    erased_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Staff: photos of cases in scope. Resident: the photos that they sent to their own case."""
        cases: Any = select(CaseFile.id).where(CaseFile.in_scope(caller))
        of_case = cls.case_id.in_(cases)
        return and_(of_case, cls.resident_id == caller.id) if caller.is_resident else of_case


class IncomeItem(Base):
    """An income of a household as declared and as verified, or a cost that the law deducts (`kind` cost)."""

    __tablename__ = "income_item"
    __table_args__ = (
        CheckConstraint(f"kind IN {INCOME_KINDS}", name="kind_is_known"),
        CheckConstraint("period IN ('month', 'year')", name="period_is_known"),
        CheckConstraint("declared_fen >= 0 AND verified_fen >= 0", name="amounts_are_not_negative"),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    # No foreign key: the items of a member who has left remain.
    member_id: Mapped[UUID | None]
    kind: Mapped[str]
    # Subdivides the kind where a benefit formula needs it (veteran_benefit, scholarship, illness …).
    category: Mapped[str]
    period: Mapped[str]
    declared_fen: Mapped[int]
    # Null: not verified yet. A verified amount replaces the declared one.
    verified_fen: Mapped[int | None]
    verified_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    # For a wage: the first day of the job, from which the gradual exit (渐退) is counted.
    started_on: Mapped[date | None]
    ended_on: Mapped[date | None]
    # The accepted visit that found the verified amount; null: verified by other means, or not at all.
    source_visit_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit.id"))


class PropertyItem(Base):
    """Property of a household as declared and as verified: an amount in fen for a deposit, otherwise a count."""

    __tablename__ = "property_item"
    __table_args__ = (
        CheckConstraint(f"kind IN {PROPERTY_KINDS}", name="kind_is_known"),
        CheckConstraint("declared >= 0 AND verified >= 0", name="numbers_are_not_negative"),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    # No foreign key: the items of a member who has left remain. Null: owned by the household jointly.
    member_id: Mapped[UUID | None]
    kind: Mapped[str]
    note: Mapped[str]
    declared: Mapped[int] = mapped_column(BigInteger)
    # Null: not verified yet.
    verified: Mapped[int | None] = mapped_column(BigInteger)
    verified_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    source_visit_id: Mapped[UUID | None] = mapped_column(ForeignKey("visit.id"))


class RelativeOnStaff(Base):
    """A relative of the household who works in an office that decides on cases (近亲属备案)."""

    __tablename__ = "relative_on_staff"

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    name: Mapped[str]
    office: Mapped[str]
    relation: Mapped[str]
    declared_on: Mapped[date]


class BankAccount(Base):
    """The account that receives the payment: a card or passbook, and its holder."""

    __tablename__ = "bank_account"

    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), primary_key=True)
    holder_name: Mapped[str]
    bank_name: Mapped[str]
    card_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    card_mask: Mapped[str]
    # Compared by equality only. Null in rows of before there was one, until the next search for duplicates.
    card_index: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)


class HouseholdVersion(Base):
    """A snapshot of the household after a change, with numbers masked. Immutable."""

    __tablename__ = "household_version"
    __table_args__ = (UniqueConstraint("household_id", "version"),)

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    version: Mapped[int]
    at: Mapped[Time]
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    reason: Mapped[str]
    body: Mapped[Json]


class Calculation(Base):
    """A calculation of the amount from a month on. Immutable: a later one applies from its own month."""

    __tablename__ = "calculation"
    __table_args__ = (
        CheckConstraint("amount_fen >= 0", name="amount_is_not_negative"),
        CheckConstraint("date_part('day', month) = 1", name="month_is_a_first"),
        Index("ix_calculation_case", "case_id", "month", "made_at"),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    month: Mapped[date]
    made_at: Mapped[Time]
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    amount_fen: Mapped[int]
    eligible: Mapped[bool]
    # The lines of the calculation, each with its formula and source.
    body: Mapped[Json]
