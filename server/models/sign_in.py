"""What people sign in by: links, second factors, and sign-ins by WeChat, QR code or text message that were begun."""

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base
from server.models.columns import Id, OptionalTime, Time


class SignInLink(Base):
    """A link that sets a password once: for a new account, or one that was reset. Only the newest of a person works."""

    __tablename__ = "sign_in_link"

    id: Mapped[Id]
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    # None: the command line.
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    created_at: Mapped[Time]
    expires_at: Mapped[Time]
    used_at: Mapped[OptionalTime]


class SecondFactor(Base):
    """A member of staff's secret for time-based codes (RFC 6238). It holds once its owner has shown a code."""

    __tablename__ = "second_factor"

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    confirmed_at: Mapped[OptionalTime]
    # The period of the last code that was accepted: no code is accepted twice.
    last_step: Mapped[int] = mapped_column(BigInteger, default=0)


class RecoveryCode(Base):
    """A code on paper that replaces a time-based code once."""

    __tablename__ = "recovery_code"

    id: Mapped[Id]
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    used_at: Mapped[OptionalTime]

    __table_args__ = (UniqueConstraint("staff_id", "code_hash"),)


class WechatFlow(Base):
    """A web sign-in by WeChat that was begun: one browser, one use, some minutes. The target page stays here."""

    __tablename__ = "wechat_flow"
    __table_args__ = (
        CheckConstraint("web_app IN ('phone', 'resident', 'desk')", name="web_app_is_known"),
        CheckConstraint("scope IN ('snsapi_base', 'snsapi_userinfo')", name="scope_is_known"),
        CheckConstraint("done_at IS NULL OR used_at IS NOT NULL", name="used_before_done"),
    )

    id: Mapped[Id]
    # Hashes of `state`, which WeChat hands back, and of the cookie of the browser that began.
    state_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    browser_hash: Mapped[bytes] = mapped_column(LargeBinary)
    web_app: Mapped[str]
    scope: Mapped[str]
    # The member of staff who links their account; null for a sign-in.
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    target: Mapped[str]
    begun_at: Mapped[Time]
    expires_at: Mapped[Time] = mapped_column(index=True)
    # When the code was exchanged, and for whom; of a second consent, the account that the first had shown.
    used_at: Mapped[OptionalTime]
    openid: Mapped[str | None]
    unionid: Mapped[str | None]
    # When it signed in or linked: before that, a code of a second factor may follow.
    done_at: Mapped[OptionalTime]


class QrSignIn(Base):
    """A QR code that a browser shows to be signed in by somebody who scans it: two minutes, one use, one browser."""

    __tablename__ = "qr_sign_in"
    __table_args__ = (
        CheckConstraint("web_app IN ('resident', 'desk')", name="web_app_is_known"),
        CheckConstraint(
            "(confirmed_at IS NULL) = (num_nonnulls(staff_id, resident_id) = 0)", name="confirmed_by_somebody"
        ),
        CheckConstraint("used_at IS NULL OR confirmed_at IS NOT NULL", name="confirmed_before_used"),
    )

    id: Mapped[Id]
    # Hashes of the code in the picture, of the cookie of the browser that shows it, and of the browser's address.
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    browser_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    address_hash: Mapped[bytes] = mapped_column(LargeBinary)
    web_app: Mapped[str]
    # What is typed on the phone; one wrong number ends the code.
    number: Mapped[str]
    label: Mapped[str]
    begun_at: Mapped[Time]
    expires_at: Mapped[Time] = mapped_column(index=True)
    # Who has confirmed it, and with which device.
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    resident_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"))
    device_id: Mapped[UUID | None] = mapped_column(ForeignKey("device.id"))
    confirmed_at: Mapped[OptionalTime]
    declined_at: Mapped[OptionalTime]
    used_at: Mapped[OptionalTime]


class BindingCode(Base):
    """A code that a resident shows at the counter to be bound there: ten minutes, one use."""

    __tablename__ = "binding_code"
    __table_args__ = (
        CheckConstraint("num_nonnulls(used_at, used_by, household_id) IN (0, 3)", name="used_by_somebody_there"),
    )

    id: Mapped[Id]
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"), unique=True)
    # A keyed hash: the digits are few.
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    made_at: Mapped[Time]
    expires_at: Mapped[Time]
    used_at: Mapped[OptionalTime]
    used_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    household_id: Mapped[UUID | None] = mapped_column(ForeignKey("household.id"))


class WechatTicket(Base):
    """The ticket with which pages are signed for WeChat's JS-SDK, by app: one for all replicas."""

    __tablename__ = "wechat_ticket"

    app_id: Mapped[str] = mapped_column(primary_key=True)
    ticket: Mapped[str]
    expires_at: Mapped[Time]


class SignInCode(Base):
    """A code that a household gets by text message. Its digits follow from its id by a keyed hash and stand nowhere.

    waiting: not sent yet. unsure: the request was sent and no answer came. Only the newest of a member works.
    """

    __tablename__ = "sign_in_code"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sent', 'failed', 'unsure')", name="state_is_known"),
        Index("ix_sign_in_code_member", "member_id", "made_at"),
    )

    id: Mapped[Id]
    member_id: Mapped[UUID] = mapped_column(ForeignKey("household_member.id"))
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    made_at: Mapped[Time] = mapped_column(index=True)
    expires_at: Mapped[Time]
    used_at: Mapped[OptionalTime]
    # Wrong guesses at it, from wherever; a few void it.
    failures: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    state: Mapped[str]
    # The code of the service's refusal.
    why: Mapped[str | None]
