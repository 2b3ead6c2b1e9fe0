"""People who sign in: staff with roles over areas, residents bound to a household, and their devices."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, text
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
    wechat_openid: Mapped[str | None] = mapped_column(unique=True)
    phone_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_mask: Mapped[str | None]
    created_at: Mapped[WrittenAt]
    disabled_at: Mapped[OptionalTime]

    roles: Mapped[list["StaffRole"]] = relationship(lazy="raise", back_populates="staff")


class StaffRole(Base):
    """A role over an area and all below it, from when to when."""

    __tablename__ = "staff_role"
    __table_args__ = (
        CheckConstraint(f"role IN ({', '.join(repr(r.value) for r in Role)})", name="role_is_known"),
        Index(
            "uq_staff_role_held_once",
            "staff_id",
            "role",
            "area_code",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), index=True)
    role: Mapped[str]
    # A prefix of area codes; not a foreign key, since an admin may hold the whole country ("").
    area_code: Mapped[str] = mapped_column(String(12))
    granted_at: Mapped[WrittenAt]
    revoked_at: Mapped[OptionalTime]

    staff: Mapped[Staff] = relationship(lazy="raise", back_populates="roles")


class WechatUse(Base):
    """A member of staff signed in by this WeChat account, linked it, or tried to: one that serves several shows."""

    __tablename__ = "wechat_use"

    openid: Mapped[str] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True, index=True)
    # The last time.
    used_at: Mapped[Time]


class Resident(Base):
    """A person of the public, known by WeChat, and by nothing else until bound."""

    __tablename__ = "resident"

    id: Mapped[Id]
    wechat_openid: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[WrittenAt]


class ResidentBinding(Base):
    """A resident proved to be a member of a household (ID number and application number together)."""

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
    )

    id: Mapped[Id]
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"))
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    member_id: Mapped[UUID] = mapped_column(ForeignKey("household_member.id"))
    bound_at: Mapped[WrittenAt]
    ended_at: Mapped[OptionalTime]
    # The officer; nobody where the resident ended it.
    ended_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    end_reason: Mapped[str | None]


class Device(Base):
    """A signed-in phone or desk: the family of its refresh tokens, and what it last said of itself."""

    __tablename__ = "device"
    __table_args__ = (
        CheckConstraint("num_nonnulls(staff_id, resident_id) = 1", name="one_owner"),
        Index("ix_device_owner", "staff_id", "resident_id"),
    )

    id: Mapped[Id]
    # The phone's own id of itself, so that two workers on one phone can be seen.
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
    ended_at: Mapped[OptionalTime]
    end_reason: Mapped[str | None]


class RefreshToken(Base):
    __tablename__ = "refresh_token"

    id: Mapped[Id]
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    issued_at: Mapped[Time]
    expires_at: Mapped[Time]
    used_at: Mapped[OptionalTime]
    successor_id: Mapped[UUID | None] = mapped_column(ForeignKey("refresh_token.id"))


class AttemptWindow(Base):
    """How often something that may be guessed was tried in one window of time."""

    __tablename__ = "attempt_window"

    subject: Mapped[str] = mapped_column(primary_key=True)
    window_start: Mapped[Time] = mapped_column(primary_key=True)
    attempts: Mapped[int]
