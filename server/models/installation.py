"""The identity of this database, so that phones load everything again after a restore rather than miss rows.

Sync orders rows by PostgreSQL's transaction numbers, which are valid only within one cluster. In a database restored
from a dump the stored numbers mean nothing and may be in the future. `adopt_database` detects that at the next
`migrate`; `database_epoch` is part of each checkpoint and changes with it (server/sync_feed/restore_detection.py).
"""

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base
from server.models.columns import WrittenAt


class Installation(Base):
    """The single row. `generation` counts the restores of this data into another database."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint('"only"', name="one_row"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    generation: Mapped[int]
    system_identifier: Mapped[str]
    feed_oid: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[WrittenAt]
    only: Mapped[bool] = mapped_column(unique=True, server_default=text("true"))
