"""Rosters (发放花名册): who is to be paid what in a month, what stopped a line, and what the bank answered.

A line is written when its roster is drafted, frozen by its hash when the second person checks it, and never changed
afterwards, but for the answer of the bank and what the household says of it.
"""

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
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller, Role, in_areas
from server.core.database import Base
from server.models.cases import CaseFile
from server.models.columns import AreaCode, Id, Json, JsonList, OptionalTime, Sha256, Time
from server.models.households import Household

# A correction pays again what the bank returned, and nothing else.
ROSTER_KINDS = ("monthly", "correction")
ROSTER_STATES = ("drafting", "drafted", "prepared", "frozen", "sent", "settled", "cancelled")
LINE_STATES = ("drafted", "left_out", "frozen", "sent", "paid", "returned", "cancelled")
# Lines of these states pay nobody, and leave their months to be paid by another line.
DEAD_LINE_STATES = ("left_out", "cancelled")
# Lines of which the bank has a file.
SENT_LINE_STATES = ("sent", "paid", "returned")
PART_KINDS = ("due", "arrears", "recovery")
# Who prepares, checks and sends rosters within their areas.
ROSTER_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
ROSTER_READERS = ROSTER_ROLES | {Role.SUPERVISOR}


class Roster(Base):
    """The payment of a program to the homes of an area in a month. Its sums are written when it is frozen."""

    __tablename__ = "roster"
    __table_args__ = (
        CheckConstraint(f"kind IN {ROSTER_KINDS}", name="kind_is_known"),
        CheckConstraint(f"state IN {ROSTER_STATES}", name="state_is_known"),
        CheckConstraint("date_part('day', month) = 1", name="month_is_a_first"),
        CheckConstraint("checked_by <> prepared_by", name="checking_takes_two"),
        CheckConstraint("(kind = 'correction') = (source_id IS NOT NULL)", name="correction_has_a_source"),
        CheckConstraint(
            "(state IN ('frozen', 'sent', 'settled')) <= (lines_hash IS NOT NULL)", name="frozen_has_a_hash"
        ),
        Index(
            "uq_roster_month",
            "program",
            "area_code",
            "month",
            unique=True,
            postgresql_where=text("kind = 'monthly' AND state <> 'cancelled'"),
        ),
    )

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    # A code of the setting `roster.programs`, with its names, unit and fund as they were on the day.
    program: Mapped[str]
    program_zh: Mapped[str]
    program_en: Mapped[str]
    fund: Mapped[str]
    area_code: Mapped[AreaCode]
    month: Mapped[date]
    source_id: Mapped[UUID | None] = mapped_column(ForeignKey("roster.id"))
    state: Mapped[str]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    made_at: Mapped[Time]
    # When the findings were looked for last; null while it is being drafted.
    examined_at: Mapped[OptionalTime]
    prepared_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    prepared_at: Mapped[OptionalTime]
    checked_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    checked_at: Mapped[OptionalTime]
    sent_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    sent_at: Mapped[OptionalTime]
    cancelled_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    cancelled_at: Mapped[OptionalTime]
    # Why it was sent back or cancelled.
    reason: Mapped[str] = mapped_column(default="", server_default=text("''"))
    # Of its lines, when they were frozen.
    homes: Mapped[int | None]
    people: Mapped[int | None]
    total_fen: Mapped[int | None] = mapped_column(BigInteger)
    lines_hash: Mapped[str | None]
    # The bank's form as it was when the roster was sent, so that its file is the same whenever it is asked for.
    file_form: Mapped[Json | None]
    file_hash: Mapped[str | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, ROSTER_READERS)


class RosterLine(Base):
    """What a home is paid, on which ground, to whom: head, holder of the account and beneficiaries are three."""

    __tablename__ = "roster_line"
    __table_args__ = (
        CheckConstraint(f"state IN {LINE_STATES}", name="state_is_known"),
        CheckConstraint("total_fen = due_fen + arrears_fen - recovery_fen", name="total_is_its_parts"),
        CheckConstraint("due_fen >= 0 AND arrears_fen >= 0 AND recovery_fen >= 0", name="parts_are_not_negative"),
        CheckConstraint("total_fen >= 0", name="total_is_not_negative"),
        CheckConstraint("stance IN ('received', 'not_received')", name="stance_is_known"),
        UniqueConstraint("roster_id", "position"),
        # A home is paid a month of a program once.
        Index(
            "uq_roster_line_month",
            "household_id",
            "program",
            "month",
            unique=True,
            postgresql_where=text("source_line_id IS NULL AND state NOT IN ('left_out', 'cancelled')"),
        ),
        # A returned line is paid again once.
        Index(
            "uq_roster_line_source",
            "source_line_id",
            unique=True,
            postgresql_where=text("state NOT IN ('left_out', 'cancelled')"),
        ),
        # By which a deleted line is known to be the source of none.
        Index("ix_roster_line_source", "source_line_id", postgresql_where=text("source_line_id IS NOT NULL")),
        Index("ix_roster_line_home", "household_id", "program", "month"),
        Index("ix_roster_line_month", "month", "area_code"),
    )

    id: Mapped[Id]
    roster_id: Mapped[UUID] = mapped_column(ForeignKey("roster.id"))
    position: Mapped[int]
    # What names the line in files of the bank.
    reference: Mapped[str] = mapped_column(unique=True)
    program: Mapped[str]
    month: Mapped[date]
    source_line_id: Mapped[UUID | None] = mapped_column(ForeignKey("roster_line.id"))
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), index=True)
    area_code: Mapped[AreaCode]
    state: Mapped[str]
    household_number: Mapped[str]
    head_name: Mapped[str]
    # Who the amount is for.
    beneficiaries: Mapped[JsonList]
    people: Mapped[int]
    class_: Mapped[str | None] = mapped_column("class")
    # The holder of the account; null where the home has none.
    payee_name: Mapped[str | None]
    bank_name: Mapped[str | None]
    account_mask: Mapped[str | None]
    account_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Compared for equality only.
    account_index: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)
    due_fen: Mapped[int]
    arrears_fen: Mapped[int]
    recovery_fen: Mapped[int]
    total_fen: Mapped[int]
    # The decision behind the amount: its id, kind, reason and day.
    ground: Mapped[Json]
    hash: Mapped[str | None]
    answered_at: Mapped[OptionalTime]
    # Of a line that came back later: when the bank had answered that it was paid.
    paid_at: Mapped[OptionalTime]
    # Why the bank returned it.
    return_reason: Mapped[str | None]
    # What the household says of it.
    stance: Mapped[str | None]
    stance_at: Mapped[OptionalTime]
    complaint_id: Mapped[UUID | None] = mapped_column(ForeignKey("complaint.id"))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Desk: rosters of one's areas, and one's own homes in a wider roster. Resident: what was sent."""
        if caller.is_resident:
            homes: Any = select(Household.id).where(Household.in_scope(caller))
            cases: Any = select(CaseFile.id).where(CaseFile.household_id.in_(homes))
            return cls.case_id.in_(cases) & cls.state.in_(SENT_LINE_STATES)
        rosters: Any = select(Roster.id).where(Roster.in_scope(caller))
        return or_(cls.roster_id.in_(rosters), in_areas(cls.area_code, caller, ROSTER_READERS))

    @classmethod
    def of_home(cls, household_id: UUID) -> ColumnElement[bool]:
        """Match the lines of a household, and of one that was merged into it: a line belongs to its case's home."""
        cases: Any = select(CaseFile.id).where(CaseFile.household_id == household_id)
        return cls.case_id.in_(cases)


class RosterPart(Base):
    """What a line pays for a month: the month's own amount, what was left unpaid of another, or what was overpaid."""

    __tablename__ = "roster_part"
    __table_args__ = (
        CheckConstraint(f"kind IN {PART_KINDS}", name="kind_is_known"),
        CheckConstraint("(kind = 'recovery') = (amount_fen < 0)", name="only_a_recovery_is_negative"),
        CheckConstraint("date_part('day', month) = 1", name="month_is_a_first"),
        UniqueConstraint("line_id", "month", "kind"),
    )

    id: Mapped[Id]
    line_id: Mapped[UUID] = mapped_column(ForeignKey("roster_line.id"))
    month: Mapped[date]
    kind: Mapped[str]
    amount_fen: Mapped[int]
    # Why it is not the month's own amount: `decided_later`, `left_out`, `not_on_roster`, `overpaid`.
    cause: Mapped[str]
    # The reason of the decision that the month is paid by, as it was written.
    reason: Mapped[str]


class RosterFinding(Base):
    """What a person has to judge before a roster is sent. It stays when a roster is drafted again."""

    __tablename__ = "roster_finding"
    __table_args__ = (
        CheckConstraint("verdict IN ('pay', 'leave_out')", name="verdict_is_known"),
        CheckConstraint(
            "(verdict IS NULL) = (judged_by IS NULL) AND (verdict IS NULL) = (judged_at IS NULL)",
            name="verdict_is_a_persons",
        ),
        CheckConstraint("verdict IS NULL OR reason <> ''", name="verdict_has_a_reason"),
        Index("ix_roster_finding_roster", "roster_id", "household_id"),
    )

    id: Mapped[Id]
    roster_id: Mapped[UUID] = mapped_column(ForeignKey("roster.id"))
    # Null: of the roster as a whole.
    household_id: Mapped[UUID | None] = mapped_column(ForeignKey("household.id"))
    code: Mapped[str]
    facts: Mapped[Json]
    found_at: Mapped[Time]
    # No longer so when it was looked for again.
    gone_at: Mapped[OptionalTime]
    verdict: Mapped[str | None]
    reason: Mapped[str] = mapped_column(default="", server_default=text("''"))
    judged_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    judged_at: Mapped[OptionalTime]


class BankAnswer(Base):
    """A file of the bank about a sent roster: what was read of it, line by line."""

    __tablename__ = "bank_answer"
    __table_args__ = (UniqueConstraint("roster_id", "sha256"),)

    id: Mapped[Id]
    roster_id: Mapped[UUID] = mapped_column(ForeignKey("roster.id"))
    filename: Mapped[str]
    sha256: Mapped[Sha256]
    read_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    read_at: Mapped[Time]
    paid: Mapped[int]
    returned: Mapped[int]
    repeated: Mapped[int]
    # Rows that moved nothing: where they stand, and why.
    refused: Mapped[JsonList]


class LateReturn(Base):
    """A line that the bank had answered as paid and sent back days later (退票), without a file: two people say so."""

    __tablename__ = "late_return"
    __table_args__ = (
        CheckConstraint("outcome IN ('confirmed', 'declined')", name="outcome_is_known"),
        CheckConstraint("decided_by <> proposed_by", name="late_return_takes_two"),
        CheckConstraint(
            "(outcome IS NULL) = (decided_by IS NULL) AND (outcome IS NULL) = (decided_at IS NULL)",
            name="outcome_is_a_persons",
        ),
        CheckConstraint("reason <> ''", name="reason_is_written"),
        # One waits at a time.
        Index("uq_late_return_waiting", "line_id", unique=True, postgresql_where=text("outcome IS NULL")),
        Index("ix_late_return_roster", "roster_id"),
    )

    id: Mapped[Id]
    roster_id: Mapped[UUID] = mapped_column(ForeignKey("roster.id"))
    line_id: Mapped[UUID] = mapped_column(ForeignKey("roster_line.id"), index=True)
    # The day of the bank's slip, and what it says.
    returned_on: Mapped[date]
    reason: Mapped[str]
    proposed_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[Time]
    outcome: Mapped[str | None]
    # Why it was declined.
    answer: Mapped[str] = mapped_column(default="", server_default=text("''"))
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]
