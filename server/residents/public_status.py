"""A look without signing in: application number and the last four of a member's ID number.

What doesn't fit gets one answer, whatever is wrong, and no sooner or later than what does: each answer
waits for the same moment. It says where the case stands and nothing of who is in it.
"""

import asyncio
import hashlib
import time
from datetime import date, datetime
from typing import Annotated

from msgspec import Meta
from sqlalchemy import func, select

from server.core.database import open_session
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.services import Services
from server.core.working_days import day_of
from server.http.rate_limit import count_attempt
from server.models.cases import CaseFile
from server.models.households import HouseholdMember
from server.residents.own_cases import WhatIsNext, statuses

# Longer than either way takes; what is left of it is waited.
ANSWER_AFTER_S = 0.3


class LookUp(RequestBody):
    application_number: Annotated[str, Meta(min_length=4, max_length=40)]
    id_ending: Annotated[str, Meta(pattern="^[0-9]{3}[0-9Xx]$")]


class PublicStep(ResponseBody):
    on: date
    zh: str
    en: str


class PublicCase(ResponseBody):
    application_number: str
    state_zh: str
    state_en: str
    next: WhatIsNext
    timeline: list[PublicStep]


async def look_up(services: Services, asked: LookUp, *, address: str, now: datetime) -> PublicCase:
    """Raises `case.lookup_failed` for anything that doesn't fit, `request.rate_limited` after some tries."""
    started = time.monotonic()
    try:
        return await _find(services, asked, address, now)
    finally:
        await asyncio.sleep(max(0.0, started + ANSWER_AFTER_S - time.monotonic()))


async def _find(services: Services, asked: LookUp, address: str, now: datetime) -> PublicCase:
    number = asked.application_number.strip().upper()
    digest = hashlib.sha256(number.encode()).hexdigest()[:32]
    subjects = [f"look-up:{address}", f"look-up-case:{digest}"]
    await count_attempt(services.sessions, subjects, services.settings.sign_in_attempts, now)
    async with open_session(services.sessions) as session:
        case = await session.scalar(
            select(CaseFile)
            .join(HouseholdMember, HouseholdMember.household_id == CaseFile.household_id)
            .where(
                CaseFile.number == number,
                func.right(HouseholdMember.id_number_mask, 4) == asked.id_ending.upper(),
            )
            .limit(1)
        )
        if case is None:
            raise Problem("case.lookup_failed")
        told = (await statuses(session, [case], day_of(now)))[0]
    return PublicCase(
        application_number=told.application_number,
        state_zh=told.state_zh,
        state_en=told.state_en,
        next=told.next,
        timeline=[PublicStep(on=day_of(one.at), zh=one.zh, en=one.en) for one in told.timeline],
    )
