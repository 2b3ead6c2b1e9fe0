"""Make a cross-check (核对) batch for one office and export it as the file that the office reads."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.benefits.figures import MONTHS_PER_YEAR
from server.cases.transitions import apply_transition
from server.core.access import Caller, readable, require_found, require_role
from server.core.database import advisory_lock
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.http import RequestBody
from server.core.spreadsheets import FileFormat, to_cell, write_csv, write_xlsx
from server.core.threads import run_in_thread
from server.core.working_days import day_of, end_of, length_of
from server.crosschecks.listing import BatchSummary, summarize_batch
from server.crosschecks.sources import ID_HEADING, NAME_HEADING, POSITION_HEADING, SOURCES, SourceCode
from server.models.cases import CaseFile
from server.models.crosschecks import CHECKERS, CrossCheck, CrossCheckBatch
from server.models.households import HouseholdMember
from server.policy.resolver import load_overrides, load_policy_values

_MONTHS_KEY, _ANSWER_KEY = "recheck.months", "recheck.answer_days"
_DAYS_PER_YEAR = 365
_CHECKABLE_STATES = ("accepted", "survey", "preliminary")


class MakeBatch(RequestBody):
    """Covers all members of accepted cases in the area that this office has not been asked about yet.

    With `of_those_paid` it covers those in force instead, whom this office was not asked about for the months that the
    area sets.
    """

    id: UUID
    source: SourceCode
    area_code: Annotated[str, Meta(pattern="^[0-9]{6}([0-9]{3}([0-9]{3})?)?$")]
    of_those_paid: bool = False


async def make_batch(session: AsyncSession, caller: Caller, body: MakeBatch, now: datetime) -> BatchSummary:
    """Create a batch for one office from the households that consented, and start their cross-check.

    Idempotent by id. Raises `case.nothing_to_check`.
    """
    require_role(caller, CHECKERS)
    if not caller.covers(body.area_code, CHECKERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(CHECKERS)))
    await advisory_lock(session, f"cross_check:{body.source}:{body.area_code[:6]}")  # no person in two batches
    existing = await session.scalar(readable(CrossCheckBatch, caller).where(CrossCheckBatch.id == body.id))
    if existing is not None:
        return await summarize_batch(session, existing)
    settings = await load_policy_values(session, body.area_code, day_of(now), [_MONTHS_KEY, _ANSWER_KEY])
    cases = await _find_unasked_cases(session, body, _begin_of_interval(settings, now))
    if not cases:
        raise Problem("case.nothing_to_check")
    batch = CrossCheckBatch(
        id=body.id, source=body.source, area_code=body.area_code, made_by=caller.id, made_at=now, strangers=0,
        of_those_paid=body.of_those_paid,
        due_on=await _find_answer_day(session, settings, now) if body.of_those_paid else None,
    )  # fmt: skip
    session.add(batch)
    await session.flush()  # its lines refer to it
    await _add_lines(session, batch, [case.id for case in cases])
    for case in [] if body.of_those_paid else cases:
        cause = f"cross_check:{batch.id}"
        await apply_transition(
            session, case, "cross_check_begun", cause=cause, actor_id=caller.id, at=now, caller=caller
        )
    audit.record(
        session, caller, Action.CROSS_CHECK_MADE, "cross_check_batch", batch.id, area_code=batch.area_code,
        source=batch.source, cases=len(cases),
    )  # fmt: skip
    await session.flush()  # the summary counts the lines
    return await summarize_batch(session, batch)


def _begin_of_interval(settings: Mapping[str, Any], now: datetime) -> datetime:
    """Return the time since which a household that is paid need not be asked about again."""
    months = int(settings[_MONTHS_KEY])
    return now - timedelta(days=months * _DAYS_PER_YEAR // MONTHS_PER_YEAR)


async def _find_answer_day(session: AsyncSession, settings: Mapping[str, Any], now: datetime) -> date:
    return end_of(day_of(now), length_of(settings, _ANSWER_KEY), await load_overrides(session)).on


async def _find_unasked_cases(session: AsyncSession, body: MakeBatch, since: datetime) -> list[CaseFile]:
    already_asked = (
        select(CrossCheck.case_id)
        .join(CrossCheckBatch, CrossCheckBatch.id == CrossCheck.batch_id)
        .where(CrossCheckBatch.source == body.source)
    )
    if body.of_those_paid:
        already_asked = already_asked.where(CrossCheckBatch.made_at > since)
    rows = await session.scalars(
        select(CaseFile)
        .where(
            CaseFile.area_code.startswith(body.area_code, autoescape=True),
            CaseFile.state.in_(["in_force"] if body.of_those_paid else _CHECKABLE_STATES),
            CaseFile.consented_on.is_not(None),
            CaseFile.suspended_on.is_(None),
            CaseFile.id.not_in(already_asked),
        )
        .order_by(CaseFile.number)
        .limit(2000)
        .with_for_update()
    )
    return list(rows)


async def _add_lines(session: AsyncSession, batch: CrossCheckBatch, case_ids: list[UUID]) -> None:
    """Add a line for each member with an ID number."""
    members = await session.execute(
        select(HouseholdMember.id, CaseFile.id)
        .join(CaseFile, CaseFile.household_id == HouseholdMember.household_id)
        .where(CaseFile.id.in_(case_ids), HouseholdMember.id_number_sealed.is_not(None))
        .order_by(CaseFile.number, HouseholdMember.position)
    )
    for position, (member_id, case_id) in enumerate(members, start=1):
        session.add(
            CrossCheck(batch_id=batch.id, case_id=case_id, member_id=member_id, position=position, differences=[])
        )


async def export_batch(
    session: AsyncSession, encryption: Encryption, caller: Caller, batch_id: UUID, form: FileFormat
) -> bytes:
    """Return the file for the office, with complete ID numbers. Every export is audited."""
    batch = await _load_batch(session, caller, batch_id)
    rows = await session.execute(
        select(CrossCheck.position, HouseholdMember.id, HouseholdMember.name, HouseholdMember.id_number_sealed)
        .join(HouseholdMember, HouseholdMember.id == CrossCheck.member_id)
        .where(CrossCheck.batch_id == batch.id)
        .order_by(CrossCheck.position)
    )
    people = [
        [position, name, encryption.open("household_member.id_number", member_id, sealed)]
        for position, member_id, name, sealed in rows
        if sealed
    ]
    audit.record(
        session, caller, Action.CROSS_CHECK_EXPORTED, "cross_check_batch", batch.id, area_code=batch.area_code,
        people=len(people),
    )  # fmt: skip
    headings = [
        POSITION_HEADING,
        NAME_HEADING,
        ID_HEADING,
        *(column.heading for column in SOURCES[batch.source].columns),
    ]
    return await run_in_thread(_write_request, form, headings, people)


def _write_request(form: FileFormat, headings: list[str], people: list[list[Any]]) -> bytes:
    rows = [[to_cell(value) for value in row] for row in people]
    return write_csv(headings, rows) if form == "csv" else write_xlsx("核对", headings, rows)


async def lock_batch(session: AsyncSession, caller: Caller, batch_id: UUID) -> CrossCheckBatch:
    return await _load_batch(session, caller, batch_id, lock=True)


async def _load_batch(session: AsyncSession, caller: Caller, batch_id: UUID, *, lock: bool = False) -> CrossCheckBatch:
    require_role(caller, CHECKERS)
    rows = readable(CrossCheckBatch, caller).where(CrossCheckBatch.id == batch_id)
    batch: CrossCheckBatch = require_found(await session.scalar(rows.with_for_update() if lock else rows))
    return batch
