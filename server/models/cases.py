"""Cases: an application on its way through the procedure of law, each step it took, and by when the next is due."""

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
# An application that is over: the household may make another.
# Decided in the household's favour, and not stopped: it receives, or soon will.
GRANTED_STATES = ("confirmed", "published", "in_force")
CLOSED_STATES = ("confirmed", "published", "in_force", "stopped", "refused", "withdrawn")
DEADLINE_KINDS = ("survey", "cross_check", "total", "county_opinion", "notice")
PROPERTY_KINDS = ("home", "vehicle", "deposit", "business", "other")
INCOME_KINDS = ("wage", "business", "property", "transfer", "cost")


class CaseFile(Base):
    """An application of a household. It keeps the rules of the day it began (`rules_on`)."""

    __tablename__ = "case_file"
    __table_args__ = (
        CheckConstraint(f"state IN {CASE_STATES}", name="state_is_known"),
        CheckConstraint("amount_fen >= 0", name="amount_is_not_negative"),
        Index(
            "uq_case_file_open_once",
            "household_id",
            unique=True,
            postgresql_where=text(f"state NOT IN {CLOSED_STATES}"),
        ),
    )

    id: Mapped[Id]
    # What the resident is told and types in to bind.
    number: Mapped[str] = mapped_column(unique=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    area_code: Mapped[AreaCode]
    state: Mapped[str]
    applied_on: Mapped[date]
    rules_on: Mapped[date]
    updated_at: Mapped[WrittenAt]
    # One more with each event: an officer acts on the case as they saw it.
    version: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    # Which papers are asked for (illness, school …), see server/cases/papers.py.
    situations: Mapped[JsonList] = mapped_column(default=list, server_default=text("'[]'"))
    # The household's written word that its accounts may be looked up.
    consented_on: Mapped[date | None]
    suspended_on: Mapped[date | None]
    is_extended: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # A relative on staff or a complaint: the county must have been at the home itself (law).
    needs_county_visit: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    county_visited_at: Mapped[OptionalTime]
    posting_round: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    # What was opined and then decided; null until then.
    amount_fen: Mapped[int | None]
    decided_on: Mapped[date | None]
    # The first day of the month from which is paid, and of the one from which no longer.
    paid_from: Mapped[date | None]
    stopped_from: Mapped[date | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        households: Any = select(Household.id).where(Household.in_scope(caller))
        return cls.household_id.in_(households)


class CaseEvent(Base):
    """One step of a case, in order. Never changed."""

    __tablename__ = "case_event"
    __table_args__ = (
        # The same cause moves a case once, however often its job runs.
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
    """By when a case must have gone on. `due_on` is always `count + paused` units after `started_on`."""

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
    # While the clock stands, and for how many units it has stood before.
    paused_on: Mapped[date | None]
    paused: Mapped[int] = mapped_column(default=0)
    due_on: Mapped[date]
    # False: computed over days that no published calendar covers.
    certain: Mapped[bool]
    met_on: Mapped[date | None]


class Paper(Base):
    """One paper of an application's checklist: asked for once, received once."""

    __tablename__ = "case_paper"
    __table_args__ = (UniqueConstraint("case_id", "code"),)

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    code: Mapped[str]
    asked_at: Mapped[OptionalTime]
    received_on: Mapped[date | None]
    received_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))


class PaperPhoto(Base):
    """A photo of a paper: announced by a resident, sent and examined as the photos of visits are.

    Bytes another resident sent make no paper received: the officer who has seen it writes the date.
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
    # An officer can't use it (unreadable, another paper): the resident reads why and sends another.
    returned_at: Mapped[OptionalTime]
    returned_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    return_reason: Mapped[str | None]
    erased_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Staff: of the cases they see. A resident: what they sent themselves, to a case that is theirs."""
        cases: Any = select(CaseFile.id).where(CaseFile.in_scope(caller))
        of_case = cls.case_id.in_(cases)
        return and_(of_case, cls.resident_id == caller.id) if caller.is_resident else of_case


class IncomeItem(Base):
    """One income of a household as declared and as verified, or a cost that the law deducts (`kind` cost)."""

    __tablename__ = "income_item"
    __table_args__ = (
        CheckConstraint(f"kind IN {INCOME_KINDS}", name="kind_is_known"),
        CheckConstraint("period IN ('month', 'year')", name="period_is_known"),
        CheckConstraint("declared_fen >= 0 AND verified_fen >= 0", name="amounts_are_not_negative"),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    # No foreign key: the history of a member who has left stays.
    member_id: Mapped[UUID | None]
    kind: Mapped[str]
    # Finer than the kind where a rule asks (veteran_benefit, scholarship, illness …).
    category: Mapped[str]
    period: Mapped[str]
    declared_fen: Mapped[int]
    # Null: nobody has looked yet. It counts before what was declared.
    verified_fen: Mapped[int | None]
    verified_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    # For a wage: the first day of the job, from which the gradual exit runs.
    started_on: Mapped[date | None]
    ended_on: Mapped[date | None]


class PropertyItem(Base):
    """What a household owns, as declared and as verified: whole fen of a deposit, else how many."""

    __tablename__ = "property_item"
    __table_args__ = (
        CheckConstraint(f"kind IN {PROPERTY_KINDS}", name="kind_is_known"),
        CheckConstraint("declared >= 0 AND verified >= 0", name="numbers_are_not_negative"),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    # No foreign key: the history of a member who has left stays. Null: the household's together.
    member_id: Mapped[UUID | None]
    kind: Mapped[str]
    note: Mapped[str]
    declared: Mapped[int] = mapped_column(BigInteger)
    # Null: nobody has looked yet.
    verified: Mapped[int | None] = mapped_column(BigInteger)
    verified_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))


class RelativeOnStaff(Base):
    """A relative of the household who works where it is decided (近亲属备案)."""

    __tablename__ = "relative_on_staff"

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    name: Mapped[str]
    office: Mapped[str]
    relation: Mapped[str]
    declared_on: Mapped[date]


class BankAccount(Base):
    """Where the money goes: a card or passbook, and in whose name it stands."""

    __tablename__ = "bank_account"

    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), primary_key=True)
    holder_name: Mapped[str]
    bank_name: Mapped[str]
    card_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    card_mask: Mapped[str]


class HouseholdVersion(Base):
    """The household as it stood after a change, numbers masked; never changed itself."""

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
    """A written calculation of the amount from a month on. A later one counts from its own month: none is changed."""

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
    # The whole calculation, line by line, each with its rule and source.
    body: Mapped[Json]
