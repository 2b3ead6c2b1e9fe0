"""Which database this is: so that phones start over, rather than miss rows, after a restore.

Sync orders rows by PostgreSQL's transaction numbers. They belong to one cluster's one history: in a
database restored from a dump the stored numbers mean nothing, and may even lie in the future. `adopt`
notices that at the next `migrate`; `standing` is what a checkpoint carries, and changes with it.
"""

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base
from server.models.columns import WrittenAt


class Installation(Base):
    """The one row. `generation` counts how often this data has come to live in another database."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint('"only"', name="one_row"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    generation: Mapped[int]
    system_identifier: Mapped[str]
    feed_oid: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[WrittenAt]
    only: Mapped[bool] = mapped_column(unique=True, server_default=text("true"))
