"""Accounts: staff with roles in areas, residents bound to households, their devices, tokens and failed attempts.

The ways to sign in are in `sign_in`.
"""

from datetime import date
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from server.core.access import Role
from server.core.database import Base
from server.models.columns import Id, OptionalTime, Time, WrittenAt


class Staff(Base):
    __tablename__ = "staff"

    id: Mapped[Id]
    login: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    # Of the mini-program, also in `identity`. The version before reads and writes it here: a later version drops it.
    wechat_openid: Mapped[str | None] = mapped_column(unique=True)
    phone_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_mask: Mapped[str | None]
    created_at: Mapped[WrittenAt]
    disabled_at: Mapped[OptionalTime]

    roles: Mapped[list["StaffRole"]] = relationship(
        lazy="raise", back_populates="staff", foreign_keys="StaffRole.staff_id"
    )


class StaffRole(Base):
    """A role in an area and all areas below it, with the times of grant and revocation."""

    __tablename__ = "staff_role"
    __table_args__ = (
        CheckConstraint(f"role IN ({', '.join(repr(r.value) for r in Role)})", name="role_is_known"),
        Index(
            "uq_staff_role_held_once",
            "staff_id",
            "role",
            "area_code",
            unique=True,
            postgresql_where=text("revoked_at IS NULL AND deputy_for IS NULL"),
        ),
        Index(
            "uq_staff_role_deputised_once",
            "staff_id",
            "role",
            "area_code",
            "deputy_for",
            unique=True,
            postgresql_where=text("revoked_at IS NULL AND deputy_for IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), index=True)
    role: Mapped[str]
    # A prefix of area codes. No foreign key, because an admin may have the whole country ("").
    area_code: Mapped[str] = mapped_column(String(12))
    granted_at: Mapped[WrittenAt]
    # The last day, for a deputy; a job revokes the role when it is over.
    ends_on: Mapped[date | None]
    revoked_at: Mapped[OptionalTime]
    # The person on leave for whom the role is held (`Deputyship`).
    deputy_for: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))

    staff: Mapped[Staff] = relationship(lazy="raise", back_populates="roles", foreign_keys=[staff_id])


class Deputyship(Base):
    """A colleague stands in for a person on leave, from a day to a day. One at a time for each person.

    During these days the deputy has the person's homes (`Caseload.deputyship_id`) and the listed duties as roles
    (`StaffRole.deputy_for`); both end with it.
    """

    __tablename__ = "deputyship"
    __table_args__ = (
        CheckConstraint("staff_id <> deputy_id", name="deputy_is_another"),
        CheckConstraint("starts_on <= ends_on", name="ends_after_it_starts"),
        CheckConstraint("ended_by IS NULL OR ended_at IS NOT NULL", name="ended_has_a_time"),
        Index("uq_deputyship_open", "staff_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_deputyship_deputy", "deputy_id"),
    )

    id: Mapped[Id]
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), index=True)
    deputy_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    starts_on: Mapped[date]
    ends_on: Mapped[date]
    # Roles as [role, area code].
    duties: Mapped[list[Any]] = mapped_column(JSONB)
    # Whether the homes go along: an administrator decides on no caseload.
    with_homes: Mapped[bool]
    named_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    named_at: Mapped[Time]
    started_at: Mapped[OptionalTime]
    ended_at: Mapped[OptionalTime]
    # Null: it ran out.
    ended_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))


class WechatUse(Base):
    """A use of a WeChat account by a member of staff: sign-in, linking or an attempt. It reveals shared accounts."""

    __tablename__ = "wechat_use"

    openid: Mapped[str] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True, index=True)
    # The last use.
    used_at: Mapped[Time]


class Resident(Base):
    """A member of the public, known by an `Identity` alone until bound to a household."""

    __tablename__ = "resident"

    id: Mapped[Id]
    # Of the mini-program, also in `identity`. The version before reads and writes it here: a later version drops it.
    wechat_openid: Mapped[str | None] = mapped_column(unique=True)
    created_at: Mapped[WrittenAt]


WechatApp = Literal["miniprogram", "service_account", "open_platform"]


class Identity(Base):
    """A way by which a person is recognized, with the times of its link and its end.

    `wechat`: the subject is an openid, which differs from app to app; of the app `open_platform` it is the unionid,
    which all apps of one subject share. `member`: a household member who has proven their numbers; the subject is the
    id of the member. Staff and residents are apart: one WeChat account may be both, which is a finding.
    """

    __tablename__ = "identity"
    __table_args__ = (
        CheckConstraint("num_nonnulls(staff_id, resident_id) = 1", name="one_owner"),
        CheckConstraint(
            f"provider = 'wechat' AND app IN {get_args(WechatApp)} OR provider = 'member' AND app = ''",
            name="app_is_known",
        ),
        *(
            Index(
                f"uq_identity_subject_of_{owner}",
                "provider",
                "app",
                "subject",
                unique=True,
                postgresql_where=text(f"ended_at IS NULL AND {owner}_id IS NOT NULL"),
            )
            for owner in ("staff", "resident")
        ),
        *(
            Index(
                f"uq_identity_wechat_of_{owner}",
                f"{owner}_id",
                "app",
                unique=True,
                postgresql_where=text("ended_at IS NULL AND provider = 'wechat'"),
            )
            for owner in ("staff", "resident")
        ),
        Index("ix_identity_subject", "provider", "app", "subject"),
    )

    id: Mapped[Id]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    resident_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"))
    provider: Mapped[str]
    app: Mapped[str]
    subject: Mapped[str]
    linked_at: Mapped[WrittenAt]
    ended_at: Mapped[OptionalTime]

    @classmethod
    def is_of_miniprogram(cls) -> ColumnElement[bool]:
        """The account to which the mini-program's messages go."""
        return (cls.provider == "wechat") & (cls.app == "miniprogram") & cls.ended_at.is_(None)


# numbers: ID number and application number. phone: the registered telephone by the mini-program. pin, sms: signed in
# without WeChat. counter: by an officer.
BindingWay = Literal["numbers", "phone", "pin", "sms", "counter"]


class ResidentBinding(Base):
    """A resident's proof of membership in a household, by ID number and application number."""

    __tablename__ = "resident_binding"
    __table_args__ = (
        Index(
            "uq_resident_binding_once",
            "resident_id",
            "member_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        CheckConstraint(
            "ended_by IS NULL OR (ended_at IS NOT NULL AND end_reason IS NOT NULL)", name="officers_say_why"
        ),
        CheckConstraint(f"way IN {get_args(BindingWay)}", name="way_is_known"),
        CheckConstraint(
            "num_nonnulls(bound_by, bind_reason) = CASE WHEN way = 'counter' THEN 2 ELSE 0 END",
            name="counter_says_who_and_why",
        ),
    )

    id: Mapped[Id]
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"))
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("household_member.id"))
    bound_at: Mapped[WrittenAt]
    ended_at: Mapped[OptionalTime]
    # The officer who ended it; null where the resident did.
    ended_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    end_reason: Mapped[str | None]
    # How it was proven; null for bindings of earlier versions. At the counter: by whom, and why there.
    way: Mapped[BindingWay | None] = mapped_column(String)
    bound_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    bind_reason: Mapped[str | None]


class Device(Base):
    """A signed-in phone or desktop browser: the owner of a family of refresh tokens, and its last reported state."""

    __tablename__ = "device"
    __table_args__ = (
        CheckConstraint("num_nonnulls(staff_id, resident_id) = 1", name="one_owner"),
        Index("ix_device_owner", "staff_id", "resident_id"),
    )

    id: Mapped[Id]
    # The phone's own id, which reveals that two people use one phone.
    hardware_id: Mapped[str | None] = mapped_column(index=True)
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    resident_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"))
    label: Mapped[str]
    platform: Mapped[str]
    app_version: Mapped[str]
    created_at: Mapped[WrittenAt]
    last_seen_at: Mapped[OptionalTime]
    last_sync_at: Mapped[OptionalTime]
    pending_rows: Mapped[int | None]
    clock_offset_ms: Mapped[int | None]
    # The area requires a second factor that the owner has not set: until then the device has no roles.
    second_factor_due: Mapped[bool] = mapped_column(server_default=text("false"))
    ended_at: Mapped[OptionalTime]
    end_reason: Mapped[str | None]


class RefreshToken(Base):
    __tablename__ = "refresh_token"

    id: Mapped[Id]
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    issued_at: Mapped[Time] = mapped_column(index=True)
    expires_at: Mapped[Time]
    used_at: Mapped[OptionalTime]
    # Counts the tokens of a device from 1; a repeated refresh gets another token at the same position. Null, with a
    # successor instead, in tokens of earlier versions.
    position: Mapped[int | None]
    successor_id: Mapped[UUID | None] = mapped_column(ForeignKey("refresh_token.id", ondelete="SET NULL"), index=True)


class PhoneKey(Base):
    """A key that opens what one phone keeps sealed, for when its owner has forgotten the PIN. The phone drew it."""

    __tablename__ = "phone_key"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), index=True)
    key_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    kept_at: Mapped[Time]


class AttemptLock(Base):
    """Failed attempts at one secret, and until when it is locked. `subject` is a keyed hash."""

    __tablename__ = "attempt_lock"

    subject: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    failed_at: Mapped[Time] = mapped_column(index=True)
    locked_until: Mapped[OptionalTime]


class AttemptWindow(Base):
    """The number of attempts for a subject in one time window, for rate limits."""

    __tablename__ = "attempt_window"

    subject: Mapped[str] = mapped_column(primary_key=True)
    window_start: Mapped[Time] = mapped_column(primary_key=True)
    attempts: Mapped[int]
