"""Public status look-up without sign-in: application number and the PIN that is printed on the household's slip.

Every mismatch gets the same error, and every response takes the same time, so that neither reveals which part was
wrong. The response has the state of the case and no personal data.
"""

import asyncio
import hmac
import time
from datetime import date, datetime
from typing import Annotated

from msgspec import Meta
from sqlalchemy import select

from server.cases.look_up_slips import guess_subjects, hash_pin, load_guess_target, look_up_lock, slow_guesses
from server.core.database import open_session
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.normalise import bare, bare_number
from server.core.services import Services
from server.core.working_days import day_of
from server.http.attempt_locks import begin_attempt, check_locks, end_locks
from server.http.rate_limit import count_failure
from server.models.cases import CaseFile
from server.residents.own_cases import NextStep, load_statuses

# Longer than a hit or a miss takes; the response is delayed until then.
ANSWER_AFTER_S = 0.3


class LookUp(RequestBody):
    sealed_fields = frozenset({"application_number", "pin"})

    application_number: Annotated[str, Meta(min_length=4, max_length=40)]
    pin: Annotated[str, Meta(min_length=4, max_length=40)]


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
    number = bare_number(body.application_number)
    async with open_session(services.sessions) as session:
        target = await load_guess_target(session, number, address)
    lock = look_up_lock(services.encryption, target)
    await check_locks(services.sessions, [lock], now)
    await slow_guesses(services, target, now)
    await begin_attempt(services.sessions, [lock], now)
    async with open_session(services.sessions) as session:
        case = await session.scalar(select(CaseFile).where(bare(CaseFile.number) == number).limit(1))
        if case is None or case.look_up_pin is None or not _is_pin(services, case, body.pin):
            await count_failure(session, services.encryption, guess_subjects(target), now)
            raise Problem("case.lookup_failed")
        await end_locks(session, [lock])
        status = (await load_statuses(session, [case], day_of(now)))[0]
    return PublicCase(
        application_number=status.application_number,
        state_zh=status.state_zh,
        state_en=status.state_en,
        next=status.next,
        timeline=[PublicStep(on=day_of(step.at), zh=step.zh, en=step.en) for step in status.timeline],
    )


def _is_pin(services: Services, case: CaseFile, pin: str) -> bool:
    return hmac.compare_digest(case.look_up_pin or b"", hash_pin(services.encryption, case.id, pin))
