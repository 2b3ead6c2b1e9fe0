"""List submitted visits that are incomplete, with what each lacks, so that a person can follow up.

They are not in the review queue, by design, so nobody else would notice a photo that is never uploaded or an
investigator who never attests.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import REVIEW_ROLES, Caller, in_areas, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.households import Household
from server.models.people import Staff
from server.models.visits import INCOMPLETE_STATES, Attestation, Visit, VisitInvestigator

_LONGEST_WAITING_FIRST = Keyset(Visit.submitted_at, Visit.id)
DAY = timedelta(days=1)


class IncompleteVisitLine(ResponseBody):
    """`unattested`: names of investigators without an attestation; `missing_photos`: listed but not processed."""

    visit_id: UUID
    household_id: UUID
    kind: str
    area_code: str
    area_name: str
    head_name: str
    author_name: str
    submitted_at: datetime
    waited_days: int
    unattested: list[str]
    photos: int
    missing_photos: int


_HAS_ATTESTED = exists().where(
    Attestation.visit_id == VisitInvestigator.visit_id, Attestation.staff_id == VisitInvestigator.staff_id
)
_UNATTESTED: Any = (
    select(func.coalesce(func.array_agg(Staff.name), []))
    .join(VisitInvestigator, VisitInvestigator.staff_id == Staff.id)
    .where(
        VisitInvestigator.visit_id == Visit.id,
        Staff.id != func.coalesce(Visit.typed_by, Visit.author_id),
        ~_HAS_ATTESTED,
    )
    .correlate(Visit)
    .scalar_subquery()
)
_AUTHOR: Any = select(Staff.name).where(Staff.id == Visit.author_id).correlate(Visit).scalar_subquery()


async def list_incomplete_visits(
    session: AsyncSession,
    caller: Caller,
    *,
    area: str | None,
    waited_days: int,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[IncompleteVisitLine]:
    """List visits submitted at least `waited_days` days ago, the longest waiting first. One query per page."""
    require_role(caller, REVIEW_ROLES)
    rows = (
        select(Visit, Area.name, Household.head_name, _AUTHOR, _UNATTESTED, _MISSING_PHOTOS)
        .join(Area, Area.code == Visit.area_code)
        .join(Household, Household.id == Visit.household_id)
        .where(
            in_areas(Visit.area_code, caller, REVIEW_ROLES),
            Visit.state.in_(INCOMPLETE_STATES),
            Visit.complete_at.is_(None),
            Visit.submitted_at <= now - waited_days * DAY,
        )
    )
    if area:
        rows = rows.where(Visit.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _LONGEST_WAITING_FIRST, cursor, limit)
    return Page(items=[_line(row, now) for row in page], next_cursor=next_cursor)


# Listed in the visit's manifest, not yet processed: the same condition as COMPLETE in server/visits/completeness.py.
_MISSING_PHOTOS: ColumnElement[int] = literal_column(
    """(SELECT count(*) FROM jsonb_array_elements(coalesce(visit.document->'photos', '[]')) AS listed
    WHERE NOT EXISTS (
        SELECT 1 FROM evidence e
        WHERE e.id = (listed->>'id')::uuid AND e.sha256 = listed->>'sha256' AND e.visit_id = visit.id
        AND e.state IN ('verified', 'refused')))"""
)


def _line(row: Any, now: datetime) -> IncompleteVisitLine:
    visit, area_name, head_name, author_name, unattested, missing_photos = row
    submitted_at = visit.submitted_at or visit.received_at
    return IncompleteVisitLine(
        visit_id=visit.id,
        household_id=visit.household_id,
        kind=visit.kind,
        area_code=visit.area_code,
        area_name=area_name,
        head_name=head_name,
        author_name=author_name,
        submitted_at=submitted_at,
        waited_days=(now - submitted_at) // DAY,
        unattested=sorted(unattested),
        photos=len(visit.document.get("photos", [])),
        missing_photos=missing_photos,
    )
