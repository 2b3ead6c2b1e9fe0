"""Public status look-up without sign-in: application number and the last four characters of a member's ID number.

Every mismatch gets the same error, and every response takes the same time, so that neither reveals which part was
wrong. The response has the state of the case and no personal data.
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
from server.residents.own_cases import NextStep, load_statuses

# Longer than a hit or a miss takes; the response is delayed until then.
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
    next: NextStep
    timeline: list[PublicStep]


async def find_public_case(services: Services, body: LookUp, *, address: str, now: datetime) -> PublicCase:
    """Return the status. Raises `case.lookup_failed` for any mismatch, `request.rate_limited` after some tries."""
    started = time.monotonic()
    try:
        return await _find_case(services, body, address, now)
    finally:
        await asyncio.sleep(max(0.0, started + ANSWER_AFTER_S - time.monotonic()))


async def _find_case(services: Services, body: LookUp, address: str, now: datetime) -> PublicCase:
    number = body.application_number.strip().upper()
    digest = hashlib.sha256(number.encode()).hexdigest()[:32]
    subjects = [f"look-up:{address}", f"look-up-case:{digest}"]
    await count_attempt(services.sessions, subjects, services.settings.sign_in_attempts, now)
    async with open_session(services.sessions) as session:
        case = await session.scalar(
            select(CaseFile)
            .join(HouseholdMember, HouseholdMember.household_id == CaseFile.household_id)
            .where(
                CaseFile.number == number,
                func.right(HouseholdMember.id_number_mask, 4) == body.id_ending.upper(),
            )
            .limit(1)
        )
        if case is None:
            raise Problem("case.lookup_failed")
        status = (await load_statuses(session, [case], day_of(now)))[0]
    return PublicCase(
        application_number=status.application_number,
        state_zh=status.state_zh,
        state_en=status.state_en,
        next=status.next,
        timeline=[PublicStep(on=day_of(step.at), zh=step.zh, en=step.en) for step in status.timeline],
    )
