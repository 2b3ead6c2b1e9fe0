"""Notices to staff and residents, shown in the app and, with consent, sent as WeChat messages.

A WeChat user must consent to each message beforehand; `message_consent` holds one row per consent. An `announcement` is
what was to be told, once for all its readers, and `message_delivery` each way by which it was tried.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    cast,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DESK_ROLES, Caller, in_areas, owned_by
from server.core.database import Base
from server.models.cases import CaseFile
from server.models.columns import AreaCode, Id, Json, OptionalTime, Time, WrittenAt
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
    "device_opened",
)
# none: no template or no WeChat account. no_consent: no unspent consent. refused: error 43101. parked: all attempts
# failed. unsure: the request was sent and no response came.
MESSAGE_STATES = ("none", "waiting", "sending", "sent", "no_consent", "refused", "parked", "unsure")
# Of the text message to a household that nothing else has reached. unneeded: something else has.
TEXT_STATES = (
    "none", "waiting", "sending", "unneeded", "sent", "failed", "unsure", "no_phone", "over_budget", "not_set_up"
)  # fmt: skip
WAYS = ("miniprogram", "service_subscribe", "service_template", "sms")
# delivered: WeChat's receipt says so. refused: the person does not want it, or does not follow. failed: anything else.
DELIVERY_STATES = ("sending", "waiting", "sent", "delivered", "refused", "failed", "unsure")


class Announcement(Base):
    """What was to be told to a household or to staff, once for all its readers; also where there are none."""

    __tablename__ = "announcement"
    __table_args__ = (
        UniqueConstraint("kind", "thing", "household_id", postgresql_nulls_not_distinct=True),
        CheckConstraint(f"text_state IN {TEXT_STATES}", name="text_state_is_known"),
        Index("ix_announcement_newest", text("made_at DESC"), text("id DESC")),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    thing: Mapped[str]
    # Null for what is told to staff.
    household_id: Mapped[UUID | None] = mapped_column(ForeignKey("household.id"), index=True)
    area_code: Mapped[AreaCode]
    made_at: Mapped[Time]
    text_state: Mapped[str]
    # The code of the service's refusal.
    text_why: Mapped[str | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Those to households: what staff are told may name the team of a blind visit."""
        return in_areas(cls.area_code, caller, DESK_ROLES) & cls.household_id.is_not(None)


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
    # Null for notices of earlier versions.
    announcement_id: Mapped[UUID | None] = mapped_column(ForeignKey("announcement.id"), index=True)

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


class MessageDelivery(Base):
    """One way by which a notice was sent, or an announcement as a text message, and what came of it."""

    __tablename__ = "message_delivery"
    __table_args__ = (
        CheckConstraint(f"way IN {WAYS}", name="way_is_known"),
        CheckConstraint(f"state IN {DELIVERY_STATES}", name="state_is_known"),
        CheckConstraint("(way = 'sms') = (notice_id IS NULL)", name="texts_go_to_households"),
        UniqueConstraint("notice_id", "way"),
        Index("ix_message_delivery_message", "message_id", postgresql_where=text("message_id IS NOT NULL")),
        Index("ix_message_delivery_texts", "begun_at", postgresql_where=text("way = 'sms'")),
    )

    id: Mapped[Id]
    notice_id: Mapped[UUID | None] = mapped_column(ForeignKey("notice.id"))
    # Of a text message, and of notices that have one.
    announcement_id: Mapped[UUID | None] = mapped_column(ForeignKey("announcement.id"), index=True)
    way: Mapped[str]
    template_id: Mapped[str]
    state: Mapped[str]
    # The kind and code of a refusal, never WeChat's text, which may quote the message.
    why: Mapped[str | None]
    # WeChat's id of the message, by which its receipt comes.
    message_id: Mapped[str | None]
    begun_at: Mapped[Time]
    ended_at: Mapped[OptionalTime]
    receipt_at: Mapped[OptionalTime]


class MessageStop(Base):
    """A kind of WeChat message that a person has ended for themselves. They still read it in the app."""

    __tablename__ = "message_stop"
    __table_args__ = (
        CheckConstraint("num_nonnulls(staff_id, resident_id) = 1", name="one_reader"),
        UniqueConstraint("staff_id", "kind"),
        UniqueConstraint("resident_id", "kind"),
    )

    id: Mapped[Id]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    resident_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"))
    kind: Mapped[str]
    stopped_at: Mapped[Time]


class WechatFollower(Base):
    """Whether an account follows the service account, as far as is known: only followers get template messages."""

    __tablename__ = "wechat_follower"

    openid: Mapped[str] = mapped_column(primary_key=True)
    is_following: Mapped[bool]
    changed_at: Mapped[Time]


class WechatEvent(Base):
    """The hash of an event that WeChat has pushed: it pushes some twice, and each counts once."""

    __tablename__ = "wechat_event"

    event_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    received_at: Mapped[Time] = mapped_column(index=True)
