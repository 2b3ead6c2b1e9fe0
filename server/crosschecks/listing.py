"""Batches of cross-checks, the people in them, and what a household objects to a difference."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, readable, require_found, require_role
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of
from server.crosschecks.comparison import CheckDifference
from server.crosschecks.sources import SOURCES, answer_headings
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.crosschecks import CHECKERS, CrossCheck, CrossCheckBatch
from server.models.households import Household, HouseholdMember

_NEWEST_FIRST = Keyset(CrossCheckBatch.id, descending=True)


class BatchSummary(ResponseBody):
    """`headings`: the columns that the office's answer must have, under these names or mapped to them."""

    id: UUID
    source: str
    source_zh: str
    headings: list[str]
    area_code: str
    area_name: str
    made_at: datetime
    of_those_paid: bool
    due_on: date | None
    people: int
    answered_at: datetime | None
    unanswered: int
    strangers: int
    differing: int


class CheckLine(ResponseBody):
    """`member_name` is null for a person who has left the household."""

    id: UUID
    source: str
    source_zh: str
    member_id: UUID
    member_name: str | None
    is_answered: bool
    differences: list[CheckDifference]
    objection: str | None
    objected_on: date | None


class BatchCheck(ResponseBody):
    """A person in a batch. `line` is the same as on the case."""

    line: CheckLine
    case_id: UUID
    application_number: str
    head_name: str


class ObjectToCheck(RequestBody):
    text: Annotated[str, Meta(min_length=2, max_length=2000)]


async def list_batches(
    session: AsyncSession, caller: Caller, *, area: str | None, cursor: str | None, limit: int
) -> Page[BatchSummary]:
    """List batches, the newest first. Three queries."""
    require_role(caller, CHECKERS)
    rows = readable(CrossCheckBatch, caller)
    if area:
        rows = rows.where(CrossCheckBatch.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    return Page(items=await summarize_batches(session, [batch for (batch,) in page]), next_cursor=next_cursor)


async def list_batch(session: AsyncSession, caller: Caller, batch_id: UUID) -> list[BatchCheck]:
    """List the people in a batch, those with most differences first. Two queries."""
    require_role(caller, CHECKERS)
    batch = require_found(await session.scalar(readable(CrossCheckBatch, caller).where(CrossCheckBatch.id == batch_id)))
    rows = await session.execute(
        select(CrossCheck, CaseFile.number, Household.head_name, HouseholdMember.name)
        .join(CaseFile, CaseFile.id == CrossCheck.case_id)
        .join(Household, Household.id == CaseFile.household_id)
        .outerjoin(HouseholdMember, HouseholdMember.id == CrossCheck.member_id)
        .where(CrossCheck.batch_id == batch.id)
        .order_by(func.jsonb_array_length(CrossCheck.differences).desc(), CrossCheck.position)
    )
    return [
        BatchCheck(
            line=check_line(check, batch.source, member_name),
            case_id=check.case_id,
            application_number=number,
            head_name=head_name,
        )
        for check, number, head_name, member_name in rows
    ]


async def list_checks(session: AsyncSession, caller: Caller, case_id: UUID) -> list[CheckLine]:
    """List the cross-checks of a case, batch by batch."""
    case = require_found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    rows = await session.execute(
        select(CrossCheck, CrossCheckBatch.source, HouseholdMember.name)
        .join(CrossCheckBatch, CrossCheckBatch.id == CrossCheck.batch_id)
        .outerjoin(HouseholdMember, HouseholdMember.id == CrossCheck.member_id)
        .where(CrossCheck.case_id == case.id)
        .order_by(CrossCheckBatch.made_at, CrossCheck.position)
    )
    return [check_line(check, source, name) for check, source, name in rows]


async def object_to_check(
    session: AsyncSession, caller: Caller, check_id: UUID, body: ObjectToCheck, now: datetime
) -> CheckLine:
    """Record the household's objection to a difference, as an officer wrote it down."""
    require_role(caller, CHECKERS)
    check: CrossCheck = require_found(
        await session.scalar(readable(CrossCheck, caller).where(CrossCheck.id == check_id).with_for_update())
    )
    check.objection, check.objected_on = body.text, day_of(now)
    batch = await session.get_one(CrossCheckBatch, check.batch_id)
    audit.record(session, caller, Action.CROSS_CHECK_OBJECTED, "cross_check", check.id, area_code=batch.area_code)
    member = await session.get(HouseholdMember, check.member_id)
    return check_line(check, batch.source, member.name if member else None)


def check_line(check: CrossCheck, source: str, member_name: str | None) -> CheckLine:
    return CheckLine(
        id=check.id,
        source=source,
        source_zh=SOURCES[source].zh,
        member_id=check.member_id,
        member_name=member_name,
        is_answered=check.answer is not None,
        differences=msgspec.convert(check.differences, list[CheckDifference]),
        objection=check.objection,
        objected_on=check.objected_on,
    )


async def summarize_batch(session: AsyncSession, batch: CrossCheckBatch) -> BatchSummary:
    return (await summarize_batches(session, [batch]))[0]


async def summarize_batches(session: AsyncSession, batches: list[CrossCheckBatch]) -> list[BatchSummary]:
    rows = await session.execute(
        select(
            CrossCheck.batch_id,
            func.count(),
            func.count().filter(CrossCheck.answer.is_(None)),
            func.count().filter(func.jsonb_array_length(CrossCheck.differences) > 0),
        )
        .where(CrossCheck.batch_id.in_([batch.id for batch in batches]))
        .group_by(CrossCheck.batch_id)
    )
    counts = {batch_id: (people, unanswered, differing) for batch_id, people, unanswered, differing in rows}
    areas = await session.execute(
        select(Area.code, Area.name).where(Area.code.in_([batch.area_code for batch in batches]))
    )
    names = {batch.code: batch.name for batch in areas}
    return [
        _batch_summary(batch, names.get(batch.area_code, ""), *counts.get(batch.id, (0, 0, 0))) for batch in batches
    ]


def _batch_summary(
    batch: CrossCheckBatch, area_name: str, people: int, unanswered: int, differing: int
) -> BatchSummary:
    return BatchSummary(
        id=batch.id,
        source=batch.source,
        source_zh=SOURCES[batch.source].zh,
        headings=answer_headings(batch.source),
        area_code=batch.area_code,
        area_name=area_name,
        made_at=batch.made_at,
        of_those_paid=batch.of_those_paid,
        due_on=batch.due_on,
        people=people,
        answered_at=batch.answered_at,
        unanswered=unanswered,
        strangers=batch.strangers,
        differing=differing,
    )
