"""The linked-aid ledger (救助台账): what homes are given besides the monthly amount, in money or in goods.

Money is in fen, quantities in thousandths of the kind's unit, both integers. A line says what was agreed by two people
(`planned_…`) and, once it was handed out, what was given, when and to whom (`given_…`); one never overwrites the other.
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
    UniqueConstraint,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller, Role, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, Json, OptionalJson, OptionalTime, Time
from server.models.households import Household

AID_FORMS = ("money", "goods")
# `office`: prepared here and released by a second person. `import`: what another office gave, from its file.
AID_BATCH_SOURCES = ("office", "import")
AID_BATCH_STATES = ("drafted", "prepared", "released", "closed", "cancelled")
# `batch`: drafted with the batch. `entry`: added by hand.
AID_LINE_SOURCES = ("batch", "entry", "import")
AID_LINE_STATES = ("planned", "left_out", "handed_out", "not_handed_out", "taken_back", "cancelled")
# Lines of these states give nobody anything.
DEAD_AID_STATES = ("left_out", "cancelled")
# What a household reads of its own.
GIVEN_AID_STATES = ("handed_out", "taken_back")
RECIPIENTS = ("head", "member", "proxy")
AID_OUTCOMES = ("entered", "repeated", "late", "contrary", "overtaken", "unreadable")
# Who prepares, releases and hands out within their areas.
AID_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
AID_READERS = AID_ROLES | {Role.SUPERVISOR}


class AidBatch(Base):
    """Aid of a kind for homes of an area in a month. Kind, names, unit and fund are those of the day."""

    __tablename__ = "aid_batch"
    __table_args__ = (
        CheckConstraint(f"source IN {AID_BATCH_SOURCES}", name="source_is_known"),
        CheckConstraint(f"state IN {AID_BATCH_STATES}", name="state_is_known"),
        CheckConstraint(f"form IN {AID_FORMS}", name="form_is_known"),
        CheckConstraint("date_part('day', month) = 1", name="month_is_a_first"),
        CheckConstraint("released_by <> prepared_by", name="releasing_takes_two"),
        CheckConstraint(
            "state NOT IN ('released', 'closed') OR (prepared_by IS NOT NULL AND released_by IS NOT NULL)",
            name="released_by_two",
        ),
        CheckConstraint("bought_milli IS NULL OR form = 'goods'", name="only_goods_are_bought"),
        Index("ix_aid_batch_month", "month", "area_code"),
    )

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(unique=True)
    source: Mapped[str]
    # A code of the setting `aid.kinds`.
    kind: Mapped[str]
    kind_zh: Mapped[str]
    kind_en: Mapped[str]
    form: Mapped[str]
    unit_zh: Mapped[str]
    unit_en: Mapped[str]
    fund: Mapped[str]
    # Whether only homes with a case in force are to be given it, and how often in a month.
    for_homes_in_force: Mapped[bool]
    times_a_month: Mapped[int]
    area_code: Mapped[AreaCode]
    month: Mapped[date]
    # What all were bought, in thousandths of the unit.
    bought_milli: Mapped[int | None] = mapped_column(BigInteger)
    # What the paper behind the batch says of its own sums: homes, people, milli, fen. Compared, never corrected.
    stated: Mapped[Json] = mapped_column(default=dict, server_default=text("'{}'"))
    state: Mapped[str]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    made_at: Mapped[Time]
    # When the findings were looked for last.
    examined_at: Mapped[OptionalTime]
    prepared_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    prepared_at: Mapped[OptionalTime]
    released_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    released_at: Mapped[OptionalTime]
    closed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    closed_at: Mapped[OptionalTime]
    # Why it was sent back or cancelled.
    reason: Mapped[str] = mapped_column(default="", server_default=text("''"))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, AID_READERS)


class AidLine(Base):
    """What a home, or a member of it, is given. Names are those of the day it was drafted."""

    __tablename__ = "aid_line"
    __table_args__ = (
        CheckConstraint(f"source IN {AID_LINE_SOURCES}", name="source_is_known"),
        CheckConstraint(f"state IN {AID_LINE_STATES}", name="state_is_known"),
        CheckConstraint(f"recipient IN {RECIPIENTS}", name="recipient_is_known"),
        CheckConstraint("stance IN ('received', 'not_received')", name="stance_is_known"),
        CheckConstraint("date_part('day', month) = 1", name="month_is_a_first"),
        CheckConstraint("people > 0", name="people_are_counted"),
        CheckConstraint("planned_milli > 0", name="planned_quantity_is_positive"),
        CheckConstraint("planned_fen >= 0", name="planned_amount_is_not_negative"),
        CheckConstraint("planned_milli IS NOT NULL OR planned_fen IS NOT NULL", name="gives_something"),
        CheckConstraint("given_milli > 0", name="given_quantity_is_positive"),
        CheckConstraint("given_fen >= 0", name="given_amount_is_not_negative"),
        CheckConstraint(
            f"(state IN {GIVEN_AID_STATES}) = (given_on IS NOT NULL AND recipient IS NOT NULL)"
            f" AND (state IN {GIVEN_AID_STATES}) = (given_milli IS NOT NULL OR given_fen IS NOT NULL)",
            name="given_says_when_and_to_whom",
        ),
        CheckConstraint("recipient <> 'proxy' OR (recipient_name <> '' AND relation <> '')", name="proxy_has_a_name"),
        UniqueConstraint("batch_id", "position"),
        Index("ix_aid_line_home", "household_id", "kind", "month"),
        Index("ix_aid_line_month", "month", "area_code"),
    )

    id: Mapped[Id]
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("aid_batch.id"))
    position: Mapped[int]
    # As in its batch, so that a home's lines of a month are found without it.
    kind: Mapped[str]
    month: Mapped[date]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    # Whom personal aid is for; null for the home as a whole.
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("household_member.id"))
    area_code: Mapped[AreaCode]
    household_number: Mapped[str]
    head_name: Mapped[str]
    member_name: Mapped[str | None]
    people: Mapped[int]
    source: Mapped[str]
    # Why it is given: a code of the kind, with its names.
    cause: Mapped[str | None]
    cause_zh: Mapped[str | None]
    cause_en: Mapped[str | None]
    planned_milli: Mapped[int | None] = mapped_column(BigInteger)
    # Of goods, their value.
    planned_fen: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str]
    given_milli: Mapped[int | None] = mapped_column(BigInteger)
    given_fen: Mapped[int | None] = mapped_column(BigInteger)
    given_on: Mapped[date | None]
    recipient: Mapped[str | None]
    recipient_name: Mapped[str] = mapped_column(default="", server_default=text("''"))
    relation: Mapped[str] = mapped_column(default="", server_default=text("''"))
    # The hash of the picture of the signature or thumb, where one was taken.
    signature_sha256: Mapped[str | None] = mapped_column(index=True)
    # The record of a phone whose word this is; null: the desk's, or nobody's.
    record_id: Mapped[UUID | None] = mapped_column(ForeignKey("record.id"), index=True)
    # Where it was handed out: latitude, longitude, datum, accuracy.
    fix: Mapped[OptionalJson]
    recorded_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    recorded_at: Mapped[OptionalTime]
    # Why it was not handed out, or taken back.
    reason: Mapped[str] = mapped_column(default="", server_default=text("''"))
    # What the household says of it.
    stance: Mapped[str | None]
    stance_at: Mapped[OptionalTime]
    complaint_id: Mapped[UUID | None] = mapped_column(ForeignKey("complaint.id"))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Desk: batches of one's areas, and one's own homes in a wider batch. Resident: what was given."""
        if caller.is_resident:
            homes: Any = select(Household.id).where(Household.in_scope(caller))
            return cls.household_id.in_(homes) & cls.state.in_(GIVEN_AID_STATES)
        batches: Any = select(AidBatch.id).where(AidBatch.in_scope(caller))
        return or_(cls.batch_id.in_(batches), in_areas(cls.area_code, caller, AID_READERS))


class AidLineRecord(Base):
    """What became of a phone's record of a line, in the version that was looked at last.

    `entered`: the line says so. `repeated`: it had been handed out by another record. `late`: the batch or the line was
    closed. `contrary`: an amendment says that it was not handed out after all. `overtaken`: nobody was met, and
    somebody else has handed it out. `unreadable`: the ledger can't take it as it stands. A repeated, late, contrary or
    unreadable one is a finding.
    """

    __tablename__ = "aid_line_record"
    __table_args__ = (CheckConstraint(f"outcome IN {AID_OUTCOMES}", name="outcome_is_known"),)

    record_id: Mapped[UUID] = mapped_column(ForeignKey("record.id"), primary_key=True)
    line_id: Mapped[UUID] = mapped_column(ForeignKey("aid_line.id"), index=True)
    version: Mapped[int]
    outcome: Mapped[str]
    # An amendment changed what had been entered.
    is_changed: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    looked_at: Mapped[Time]


class AidFinding(Base):
    """What a person has to judge of a batch or a line. Nothing follows from it by itself but for a line left out."""

    __tablename__ = "aid_finding"
    __table_args__ = (
        CheckConstraint("verdict IN ('dismissed', 'upheld')", name="verdict_is_known"),
        CheckConstraint(
            "(verdict IS NULL) = (judged_by IS NULL) AND (verdict IS NULL) = (judged_at IS NULL)",
            name="verdict_is_a_persons",
        ),
        CheckConstraint("verdict IS NULL OR reason <> ''", name="verdict_has_a_reason"),
        Index("ix_aid_finding_batch", "batch_id", "line_id"),
    )

    id: Mapped[Id]
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("aid_batch.id"))
    # Null: of the batch as a whole.
    line_id: Mapped[UUID | None] = mapped_column(ForeignKey("aid_line.id"), index=True)
    code: Mapped[str]
    facts: Mapped[Json]
    found_at: Mapped[Time]
    # No longer so when it was looked for again.
    gone_at: Mapped[OptionalTime]
    verdict: Mapped[str | None]
    reason: Mapped[str] = mapped_column(default="", server_default=text("''"))
    judged_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    judged_at: Mapped[OptionalTime]
