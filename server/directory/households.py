"""Households as the desk searches them, and the visits and cases of a household."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, readable, require_found
from server.core.encryption import Encryption
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.directory.household_search import match_households
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.households import Caseload, Household, HouseholdMember
from server.models.people import Staff
from server.models.review import SpotCheck
from server.models.visits import Visit

_BY_NUMBER = Keyset(Household.number)
MAX_VISITS = 200
HouseholdClass = Literal["A", "B", "C"]


class HouseholdLine(ResponseBody):
    id: UUID
    number: str
    head_name: str
    area_code: str
    area_name: str
    group: str | None
    class_: str | None = field(name="class")
    members: int
    monthly_amount_fen: int | None
    held_by: list[str]
    # The number of the household that it went into.
    merged_into: str | None


class VisitLine(ResponseBody):
    id: UUID
    kind: str
    state: str
    started_at: datetime | None
    author_name: str


class HouseholdCaseLine(ResponseBody):
    id: UUID
    application_number: str
    state: str
    applied_on: date


class HouseholdRecord(ResponseBody):
    """Both lists are newest first."""

    visits: list[VisitLine]
    cases: list[HouseholdCaseLine]


async def list_households(
    session: AsyncSession,
    encryption: Encryption,
    caller: Caller,
    *,
    area: str | None,
    group: str | None = None,
    class_: HouseholdClass | None,
    q: str | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[HouseholdLine]:
    """List households in the caller's scope by archive number. `q`: what `match_households` finds them by.

    One that went into another is shown only to who searches, by its old number for example.
    """
    rows = readable(Household, caller)
    if area is not None:
        rows = rows.where(Household.area_code.startswith(area, autoescape=True))
    if group is not None:
        rows = rows.where(Household.group_name == group)
    if class_ is not None:
        rows = rows.where(Household.class_ == class_)
    if q:
        rows = rows.where(*await match_households(session, encryption, caller, q, now))
    else:
        rows = rows.where(Household.merged_into.is_(None))
    page, next_cursor = await fetch_page(session, rows, _BY_NUMBER, cursor, limit)
    items = await _load_household_lines(session, [household for (household,) in page])
    return Page(items=items, next_cursor=next_cursor)


async def open_household_record(session: AsyncSession, caller: Caller, household_id: UUID) -> HouseholdRecord:
    """Return a household's visits and cases, and log the access. Raises `thing.not_found`."""
    household: Household = require_found(
        await session.scalar(readable(Household, caller).where(Household.id == household_id))
    )
    visits = await session.execute(
        readable(Visit, caller)
        .join(Staff, Staff.id == Visit.author_id)
        .add_columns(Staff.name)
        .where(Visit.household_id == household.id)
        .order_by(Visit.started_at.desc().nulls_last())
        .limit(MAX_VISITS)
    )
    cases = await session.scalars(
        readable(CaseFile, caller).where(CaseFile.household_id == household.id).order_by(CaseFile.applied_on.desc())
    )
    audit.record(session, caller, Action.HOUSEHOLD_OPENED, "household", household.id, area_code=household.area_code)
    return HouseholdRecord(
        visits=[_visit_line(visit, name) for visit, name in visits],
        cases=[
            HouseholdCaseLine(id=case.id, application_number=case.number, state=case.state, applied_on=case.applied_on)
            for case in cases
        ],
    )


def _visit_line(visit: Visit, author_name: str) -> VisitLine:
    return VisitLine(
        id=visit.id, kind=visit.kind, state=visit.state, started_at=visit.started_at, author_name=author_name
    )


async def _load_household_lines(session: AsyncSession, households: Sequence[Household]) -> list[HouseholdLine]:
    ids = [household.id for household in households]
    names: dict[str, str] = _to_dict(
        await session.execute(
            select(Area.code, Area.name).where(Area.code.in_({household.area_code for household in households}))
        )
    )
    members: dict[UUID, int] = _to_dict(
        await session.execute(
            select(HouseholdMember.household_id, func.count())
            .where(HouseholdMember.household_id.in_(ids))
            .group_by(HouseholdMember.household_id)
        )
    )
    holders = await _load_holders(session, ids)
    merged = {household.merged_into for household in households} - {None}
    numbers: dict[UUID | None, str] = _to_dict(
        await session.execute(select(Household.id, Household.number).where(Household.id.in_(merged)))
    )
    return [
        HouseholdLine(
            id=household.id,
            number=household.number,
            head_name=household.head_name,
            area_code=household.area_code,
            area_name=names[household.area_code],
            group=household.group_name,
            class_=household.class_,
            members=members.get(household.id, 0),
            monthly_amount_fen=household.monthly_amount_fen,
            held_by=holders[household.id],
            merged_into=numbers.get(household.merged_into),
        )
        for household in households
    ]


async def _load_holders(session: AsyncSession, ids: Sequence[UUID]) -> Mapping[UUID, list[str]]:
    """Load the names of whoever holds each household; spot-check teams stay unnamed."""
    holders: dict[UUID, list[str]] = defaultdict(list)
    for household_id, name in await session.execute(
        select(Caseload.household_id, Staff.name)
        .join(Staff, Staff.id == Caseload.staff_id)
        .where(Caseload.household_id.in_(ids), Caseload.revoked_at.is_(None), SpotCheck.is_no_team(Caseload.id))
        .order_by(Staff.name)
    ):
        holders[household_id].append(name)
    return holders


def _to_dict(rows: Any) -> Any:
    return dict(rows.all())
