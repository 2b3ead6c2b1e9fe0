"""An application is made at the desk: for a household there is, or one that is written down with it."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.transitions import move
from server.core.access import Caller, found, readable, require
from server.core.encryption import Encryption
from server.core.errors import Fault, Problem
from server.core.http import RequestBody
from server.core.sequences import next_number
from server.core.working_days import day_of
from server.households.register import WRITERS, HouseholdBody, create_household
from server.models.cases import CLOSED_STATES, GRANTED_STATES, CaseFile
from server.models.households import Household

Situation = Literal["disability", "illness", "school", "divorce", "employment"]


class Apply(RequestBody):
    """`id` is the application's, made by the desk: the same again is the same application.

    `household` is written when there is no archive under `household_id` yet.
    """

    id: UUID
    household_id: UUID
    area_code: Annotated[str, Meta(pattern="^[0-9]{12}$")] | None = None
    household: HouseholdBody | None = None
    situations: Annotated[list[Situation], Meta(max_length=5)] = []
    consented_on: date | None = None


async def apply(session: AsyncSession, vault: Encryption, caller: Caller, asked: Apply, now: datetime) -> CaseFile:
    """Open a case in state `applied`, by the rules of today.

    Raises `case.open_already` when the household has one, `case.granted_already` when it receives (what changes at home
    then is a change of that case: two in force would be paid twice), and what writing a household raises.
    """
    require(caller, WRITERS)
    existing = await session.scalar(readable(CaseFile, caller).where(CaseFile.id == asked.id))
    if existing is not None:
        return existing
    household = await _household(session, vault, caller, asked, now)
    await _refuse_a_second(session, household)
    today = day_of(now)
    case = CaseFile(
        id=asked.id,
        number=await next_number(session, CaseFile.number, f"SQ{household.area_code[:6]}{today.year}-", 6),
        household_id=household.id,
        area_code=household.area_code,
        state="applied",
        applied_on=today,
        rules_on=today,
        version=0,
        situations=sorted(set(asked.situations)),
        consented_on=asked.consented_on,
        is_extended=False,
        needs_county_visit=household.relative_on_staff,
        posting_round=0,
    )
    session.add(case)
    await session.flush()  # its events name it
    await move(session, case, "applied", cause="applied", actor_id=caller.id, at=now, caller=caller)
    return case


async def _refuse_a_second(session: AsyncSession, household: Household) -> None:
    is_open, is_granted = CaseFile.state.not_in(CLOSED_STATES), CaseFile.state.in_(GRANTED_STATES)
    standing = (
        await session.execute(
            select(CaseFile.number, is_open.label("is_open"))
            .where(CaseFile.household_id == household.id, is_open | is_granted)
            .order_by(is_open.desc())
        )
    ).first()
    if standing is not None:
        raise Problem("case.open_already" if standing.is_open else "case.granted_already", number=standing.number)


async def _household(
    session: AsyncSession, vault: Encryption, caller: Caller, asked: Apply, now: datetime
) -> Household:
    if asked.household is not None and asked.area_code is not None:
        if await session.get(Household, asked.household_id) is None:
            return await create_household(
                session, vault, caller, asked.area_code, asked.household_id, asked.household, now
            )
        raise Problem("request.invalid", faults=[Fault("/householdId", "household.exists", "household")])
    household: Household = found(
        await session.scalar(readable(Household, caller).where(Household.id == asked.household_id).with_for_update())
    )
    return household
