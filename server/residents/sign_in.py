"""Sign-in of residents without WeChat: identity number, application number, and the PIN of their slip or a code by SMS.

Whatever does not match has one answer after the same time, and asking for a code is always answered alike: nobody
learns who has applied. The account is that of the household member, so that both ways lead to the same one.
"""

import asyncio
import hmac
import time
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple, TypeVar
from uuid import UUID

from msgspec import Meta
from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.cases.look_up_slips import (
    SHARED_FACTOR,
    guess_subjects,
    hash_pin,
    load_guess_target,
    look_up_lock,
    sign_in_lock,
    slow_guesses,
)
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import advisory_lock, open_session, write_despite_failure
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.http import RequestBody, ShortText
from server.core.ids import new_id
from server.core.job_types import SendSignInCode
from server.core.log import log
from server.core.normalise import bare, bare_number, normalise_id
from server.core.services import Services
from server.core.sms import SmsRefused, SmsUnavailable
from server.http.attempt_locks import begin_attempt, check_locks, end_locks
from server.http.rate_limit import WINDOW, count_attempt, count_failure
from server.identity.cookies import WebApp
from server.identity.devices import DeviceInfo, SignedIn, load_caller, open_device
from server.identity.identities import find_or_create_member
from server.identity.sign_in import bind_member
from server.models.cases import CaseFile
from server.models.households import Household, HouseholdMember
from server.models.people import BindingWay
from server.models.sign_in import SignInCode

CODE_LIFETIME = timedelta(minutes=5)
# Codes for one household in a quarter of an hour, and in a day: each costs money and rings a phone. Only who knows both
# numbers counts here; the others count by their address.
MAX_CODES = 3
MAX_CODES_A_DAY = 8
# Wrong guesses that void a code: its six digits are short.
MAX_GUESSES = 5
# Longer than a hit or a miss takes; the response is delayed until then.
ANSWER_AFTER_S = 0.3
T = TypeVar("T")


class RequestCode(RequestBody):
    """Both numbers as on the papers of the application."""

    sealed_fields = frozenset({"id_number", "application_number"})

    id_number: ShortText
    application_number: ShortText


class ResidentSignIn(RequestBody):
    """`pin` of the household's slip, or the `code` that came by SMS to its registered phone."""

    sealed_fields = frozenset({"id_number", "application_number", "pin", "code"})

    id_number: ShortText
    application_number: ShortText
    device: DeviceInfo
    web_app: WebApp | None = None
    pin: Annotated[str, Meta(min_length=4, max_length=40)] | None = None
    code: Annotated[str, Meta(min_length=4, max_length=40)] | None = None


class Match(NamedTuple):
    case: CaseFile
    member_id: UUID


async def request_code(services: Services, data: RequestCode, *, address: str, now: datetime) -> None:
    """Send a code to the registered phone if both numbers match; the caller can't tell.

    Raises `request.rate_limited` and, where no text messages are set up, `sms.not_set_up`.
    """
    if not services.sms.is_set_up or not services.settings.sms_code_template:
        raise Problem("sms.not_set_up")
    await _take_as_long(_request_code(services, data, address, now))


async def _request_code(services: Services, data: RequestCode, address: str, now: datetime) -> None:
    async with open_session(services.sessions) as session:
        limit = services.settings.sign_in_attempts * SHARED_FACTOR
        await count_attempt(session, services.encryption, [f"sms:{address}"], limit, now)
        match = await _find_match(session, services, data.application_number, data.id_number)
        if match is None or not await _may_send(session, services, match.case.household_id, now):
            return
        row = SignInCode(
            id=new_id(),
            member_id=match.member_id,
            household_id=match.case.household_id,
            made_at=now,
            expires_at=now + CODE_LIFETIME,
            state="waiting",
        )
        session.add(row)
        audit.record(
            session, None, Action.RESIDENT_SIGN_IN_CODE_MADE, "case", match.case.id, area_code=match.case.area_code
        )
        await jobs.defer(session, SendSignInCode(code_id=row.id))


async def _may_send(session: AsyncSession, services: Services, household_id: UUID, now: datetime) -> bool:
    """Tell whether the household has a phone and neither it nor the installation has had its codes of this day."""
    await advisory_lock(session, "sign_in_code")  # the budget holds for requests at the same moment too
    since = SignInCode.made_at > now - timedelta(days=1)
    total = await session.scalar(select(func.count()).select_from(SignInCode).where(since))
    own = await session.scalar(
        select(func.count()).select_from(SignInCode).where(since, SignInCode.household_id == household_id)
    )
    last = await session.scalar(
        select(func.count())
        .select_from(SignInCode)
        .where(SignInCode.made_at > now - WINDOW, SignInCode.household_id == household_id)
    )
    if (last or 0) >= MAX_CODES:  # unsaid, or the answer would tell that both numbers match
        return False
    has_phone = await session.scalar(select(Household.phone_sealed.is_not(None)).where(Household.id == household_id))
    return bool(has_phone) and (own or 0) < MAX_CODES_A_DAY and (total or 0) < services.settings.sms_per_day


@jobs.task(SendSignInCode)
async def send_code(services: Services, job: SendSignInCode) -> None:
    """Send a code once. What may have been sent is not sent again; a person asks for another."""
    async with open_session(services.sessions) as session:
        row = await session.get_one(SignInCode, job.code_id, with_for_update=True)
        if row.state != "waiting" or row.expires_at <= utc_now():
            return
        household = await session.get_one(Household, row.household_id)
        if household.phone_sealed is None:
            row.state = "failed"
            return
        phone = services.encryption.open("household.phone", household.id, household.phone_sealed)
        row.state = "unsure"  # until the answer is here
    state, why, is_retried = "sent", None, False
    try:
        code = compute_code(services.encryption, job.code_id)
        await services.sms.send(phone, services.settings.sms_code_template, {"code": code})
    except SmsRefused as refused:
        state, why = "failed", refused.code
        log.warning("sms.refused", code=refused.code)
    except SmsUnavailable as error:
        is_retried = error.not_sent
        state, why = ("waiting" if is_retried else "unsure"), str(error)
    async with open_session(services.sessions) as session:
        row = await session.get_one(SignInCode, job.code_id, with_for_update=True)
        row.state, row.why = state, why
    if is_retried:
        raise SmsUnavailable(why or "")


def compute_code(encryption: Encryption, code_id: UUID) -> str:
    """Return the six digits of a code: a keyed hash of its id, so that they stand nowhere."""
    return f"{int.from_bytes(encryption.index('sign_in_code', str(code_id))[:8]) % 1_000_000:06d}"


async def sign_in_without_wechat(services: Services, data: ResidentSignIn, *, address: str, now: datetime) -> SignedIn:
    """Sign in the member of a household, who is bound to it. Raises `auth.resident_sign_in_failed` for any mismatch, or
    `request.rate_limited`.
    """
    return await _take_as_long(_sign_in(services, data, address, now))


async def _sign_in(services: Services, data: ResidentSignIn, address: str, now: datetime) -> SignedIn:
    if (data.pin is None) == (data.code is None):
        raise Problem("request.invalid")
    async with open_session(services.sessions) as session:
        target = await load_guess_target(session, data.application_number, address)
    locks = [sign_in_lock(services.encryption, "pin" if data.code is None else "code", target)]
    if data.code is None:  # guesses of a PIN count together with those of the public look-up
        locks.append(look_up_lock(services.encryption, target))
    await check_locks(services.sessions, locks, now)
    await slow_guesses(services, target, now)
    await begin_attempt(services.sessions, locks, now)
    async with open_session(services.sessions) as session:
        match = await _find_match(session, services, data.application_number, data.id_number)
        if match is None or not await _is_proven(session, services, match, data, now):
            await count_failure(session, services.encryption, guess_subjects(target), now)
            if match is not None and data.code is not None:
                await _count_wrong_code(session, match.member_id)
            raise Problem("auth.resident_sign_in_failed")
        await end_locks(session, locks)
        resident = await find_or_create_member(session, match.member_id, now)
        signed_in = await open_device(session, services, resident, data.device, now)
        way: BindingWay = "pin" if data.code is None else "sms"
        await bind_member(session, resident.id, match.case, match.member_id, way)
        caller = await load_caller(session, signed_in.device_id)
        audit.record(
            session, caller, Action.RESIDENT_BOUND, "case", match.case.id, area_code=match.case.area_code, by=way
        )
        return signed_in


async def _count_wrong_code(session: AsyncSession, member_id: UUID) -> None:
    newest = _select_newest_code(member_id).with_only_columns(SignInCode.id).scalar_subquery()
    async with write_despite_failure(session):
        await session.execute(
            update(SignInCode).where(SignInCode.id == newest).values(failures=SignInCode.failures + 1)
        )


def _select_newest_code(member_id: UUID) -> Select[SignInCode]:
    return (
        select(SignInCode)
        .where(SignInCode.member_id == member_id)
        .order_by(SignInCode.made_at.desc(), SignInCode.id.desc())
        .limit(1)
    )


async def _is_proven(
    session: AsyncSession, services: Services, match: Match, data: ResidentSignIn, now: datetime
) -> bool:
    if data.pin is not None:
        pin = hash_pin(services.encryption, match.case.id, data.pin)
        return match.case.look_up_pin is not None and hmac.compare_digest(match.case.look_up_pin, pin)
    newest = await session.scalar(_select_newest_code(match.member_id).with_for_update())
    if newest is None or newest.used_at is not None or newest.expires_at <= now or newest.failures >= MAX_GUESSES:
        return False
    typed = "".join((data.code or "").split())
    if not hmac.compare_digest(compute_code(services.encryption, newest.id).encode(), typed.encode()):
        return False
    newest.used_at = now
    return True


async def _find_match(session: AsyncSession, services: Services, number: str, id_number: str) -> Match | None:
    index = services.encryption.index("id_number", normalise_id(id_number))
    query = (
        select(CaseFile, HouseholdMember.id)
        .join(HouseholdMember, HouseholdMember.household_id == CaseFile.household_id)
        .where(bare(CaseFile.number) == bare_number(number), HouseholdMember.id_number_index == index)
        .limit(1)
    )
    found = (await session.execute(query)).first()
    return Match(*found) if found else None


async def _take_as_long(work: Awaitable[T]) -> T:
    """Answer no sooner than the slowest outcome would."""
    started = time.monotonic()
    try:
        return await work
    finally:
        await asyncio.sleep(max(0.0, started + ANSWER_AFTER_S - time.monotonic()))
