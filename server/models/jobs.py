"""Background jobs that failed for good, by what they are about. The queue itself is procrastinate's own table."""

from sqlalchemy import BigInteger, ColumnElement, String, or_
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DIRECTORY_ROLES, Caller, Role, in_areas
from server.core.database import Base
from server.models.columns import Id, Time


class FailedJob(Base):
    """What a failed job is about, why it failed and since when. A retry removes it.

    `job_id` is no foreign key, since procrastinate manages its tables itself: the row counts while that job is failed.
    """

    __tablename__ = "failed_job"

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    task: Mapped[str]
    # A visit, a case, a household … and its id. None for a job about the whole installation or about nothing known.
    thing_kind: Mapped[str | None]
    thing_id: Mapped[str | None]
    # Empty for a job about the whole installation.
    area_code: Mapped[str] = mapped_column(String(12), index=True)
    # The kind of the last error, such as `StoreUnavailable` or `WorkerDied`; no values, no names.
    error: Mapped[str]
    failed_at: Mapped[Time]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """By area; what concerns the whole installation is for administrators."""
        in_area = in_areas(cls.area_code, caller, DIRECTORY_ROLES)
        return or_(in_area, cls.area_code == "") if Role.ADMIN in caller.roles else in_area
