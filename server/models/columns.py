"""Column types that many tables share."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import mapped_column

from server.core.clock import utc_now
from server.core.ids import new_id

Id = Annotated[UUID, mapped_column(primary_key=True, default=new_id)]
Time = Annotated[datetime, mapped_column(DateTime(timezone=True))]
# The time of the write by the application's clock, with which it is compared later. Raw SQL must set it too: the
# server default, PostgreSQL's time, is only for columns that nothing compares (tests/test_clock.py lists them).
WrittenAt = Annotated[datetime, mapped_column(DateTime(timezone=True), default=utc_now, server_default=func.now())]
OptionalTime = Annotated[datetime | None, mapped_column(DateTime(timezone=True))]
AreaCode = Annotated[str, mapped_column(String(12), ForeignKey("area.code"), index=True)]
Json = Annotated[dict[str, Any], mapped_column(JSONB)]
# None is SQL's NULL and not JSON's null, which `IS NULL` does not find.
OptionalJson = Annotated[dict[str, Any] | None, mapped_column(JSONB(none_as_null=True))]
JsonList = Annotated[list[Any], mapped_column(JSONB)]
Sha256 = Annotated[str, mapped_column(String(64))]
