"""Notices to staff and residents, shown in the app and, with consent, sent as WeChat messages.

A WeChat user must consent to each message beforehand; `message_consent` holds one row per consent.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    cast,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller, owned_by
from server.core.database import Base
from server.models.cases import CaseFile
from server.models.columns import AreaCode, Id, Json, OptionalTime, WrittenAt
from server.models.people import ResidentBinding

NOTICE_KINDS = (
    "assigned",
    "returned",
    "due_tomorrow",
    "visit_blocked",
    "complaint_due",
    "papers",
    "accepted",
    "posted",
    "decided",
    "answered",
    "changed",
    "bound",
    "register_changed",
    "sign_in_changed",
    "deadline_moved",
    "proof_due",
    "grace_ending",
    "payday",
)
# none: no template or no WeChat account. no_consent: no unspent consent. refused: error 43101. parked: all attempts
# failed. unsure: the request was sent and no response came.
MESSAGE_STATES = ("none", "waiting", "sending", "sent", "no_consent", "refused", "parked", "unsure")


class Notice(Base):
    """A notice to one person about one subject. `facts` hold ids, counts and dates, and no names."""

    __tablename__ = "notice"
    __table_args__ = (
        CheckConstraint(f"kind IN {NOTICE_KINDS}", name="kind_is_known"),
        CheckConstraint(f"message IN {MESSAGE_STATES}", name="message_is_known"),
        CheckConstraint("num_nonnulls(staff_id, resident_id) = 1", name="one_reader"),
        UniqueConstraint("staff_id", "kind", "thing"),
        UniqueConstraint("resident_id", "kind", "thing"),
        Index("ix_notice_staff", "staff_id", text("made_at DESC"), text("id DESC")),
        Index("ix_notice_resident", "resident_id", text("made_at DESC"), text("id DESC")),
        Index("ix_notice_parked", "area_code", postgresql_where=text("message IN ('parked', 'unsure')")),
    )

    id: Mapped[Id]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    resident_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"))
    kind: Mapped[str]
    # The subject, in the sender's own format. A person gets one notice per kind and subject.
    thing: Mapped[str]
    area_code: Mapped[AreaCode]
    facts: Mapped[Json]
    made_at: Mapped[WrittenAt]
    read_at: Mapped[OptionalTime]
    message: Mapped[str]
    message_why: Mapped[str | None]
    tries: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        is_owner = owned_by(cls, caller)
        return is_owner & cls.in_bound_household(caller.id) if caller.is_resident else is_owner

    @classmethod
    def in_bound_household(cls, resident_id: UUID | None) -> ColumnElement[bool]:
        """Hide notices about a case after the resident's binding to its household has ended."""
        cases: Any = (
            select(cast(CaseFile.id, Text))
            .join(ResidentBinding, ResidentBinding.household_id == CaseFile.household_id)
            .where(ResidentBinding.resident_id == resident_id, ResidentBinding.ended_at.is_(None))
        )
        case_id = cls.facts["caseId"].astext
        return or_(case_id.is_(None), case_id.in_(cases))


class MessageConsent(Base):
    """A person's answer to a `wx.requestSubscribeMessage` prompt. `accept` allows one message."""

    __tablename__ = "message_consent"
    __table_args__ = (
        CheckConstraint("num_nonnulls(staff_id, resident_id) = 1", name="one_giver"),
        CheckConstraint("answer = 'accept' OR notice_id IS NULL", name="only_accepted_is_spent"),
        Index(
            "ix_message_consent_staff",
            "staff_id",
            "template_id",
            postgresql_where=text("answer = 'accept' AND notice_id IS NULL AND void_at IS NULL"),
        ),
        Index(
            "ix_message_consent_resident",
            "resident_id",
            "template_id",
            postgresql_where=text("answer = 'accept' AND notice_id IS NULL AND void_at IS NULL"),
        ),
    )

    # The client's id of the report, which makes a repeated report idempotent.
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    template_id: Mapped[str] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    resident_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"))
    answer: Mapped[str]
    given_at: Mapped[WrittenAt]
    # The notice it was spent on.
    notice_id: Mapped[UUID | None] = mapped_column(ForeignKey("notice.id"), unique=True)
    # WeChat answered that there is no consent.
    void_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return owned_by(cls, caller)

    @classmethod
    def is_unspent(cls) -> ColumnElement[bool]:
        return (cls.answer == "accept") & cls.notice_id.is_(None) & cls.void_at.is_(None)
