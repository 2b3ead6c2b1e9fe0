"""Exports of everything an area holds, asked for by one person and released by another."""

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ColumnElement, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller, Role, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, OptionalTime, Time

EXPORT_STATES = ("proposed", "rejected", "accepted", "ready", "failed", "removed")
EXPORTERS = frozenset({Role.COUNTY_OFFICER, Role.ADMIN})


class AreaExport(Base):
    """One export: who asked for it, why, to which public key, who released it, and what the file holds."""

    __tablename__ = "area_export"
    __table_args__ = (
        CheckConstraint(f"state IN {EXPORT_STATES}", name="state_is_known"),
        CheckConstraint("(state = 'proposed') = (decided_by IS NULL)", name="decided_by_somebody"),
        CheckConstraint("decided_by <> proposed_by", name="two_people"),
        CheckConstraint("state NOT IN ('ready', 'removed') OR digest IS NOT NULL", name="written_has_a_digest"),
        Index("ix_area_export_ready", "written_at", postgresql_where=text("state = 'ready'")),
    )

    id: Mapped[Id]
    area_code: Mapped[AreaCode]
    # As it was given: a line `age1…`, perhaps with comments.
    public_key: Mapped[str]
    fingerprint: Mapped[str]
    reason: Mapped[str]
    state: Mapped[str]
    proposed_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[Time]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]
    answer: Mapped[str | None]
    written_at: Mapped[OptionalTime]
    digest: Mapped[str | None]
    rows: Mapped[int | None] = mapped_column(BigInteger)
    objects: Mapped[int | None]
    # Photos that the store lacked or held altered.
    faults: Mapped[int | None]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    # Why it could not be written.
    error: Mapped[str | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, EXPORTERS)
