"""Step-up: a person confirms that it is them before they change how they sign in.

A stolen access token, or a phone that lies open, is not enough to take an account over. The proof is valid for minutes,
for one person on one device.
"""

from datetime import datetime, timedelta
from typing import Annotated

from litestar.params import HeaderParameter
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.passwords import check_password
from server.core.services import Services
from server.core.tokens import AccessClaims, is_step_up_valid, issue_step_up_token
from server.http.rate_limit import check_failures, count_failure
from server.identity.identities import holds_account
from server.identity.second_factor import Verdict, check_code
from server.identity.wechat_code import load_account
from server.models.people import Resident, Staff

StepUpHeader = Annotated[str | None, HeaderParameter(name="X-Step-Up", max_length=1000)]


class StepUp(RequestBody):
    """The password, with a code where a second factor is set. An account without a password, as every resident's, gives
    a fresh `wx.login` code of its own WeChat instead.
    """

    sealed_fields = frozenset({"password", "code", "wechat_code"})

    password: ShortText | None = None
    code: ShortText | None = None
    wechat_code: ShortText | None = None


class StepUpProof(ResponseBody):
    """Send `step_up_token` as `X-Step-Up` with a change to sign-in."""

    step_up_token: str
    expires_at: datetime


async def confirm_identity(
    session: AsyncSession, services: Services, caller: Caller, data: StepUp, now: datetime
) -> StepUpProof:
    """Raises `auth.step_up_failed`, `auth.second_factor_required`, or `request.rate_limited` after many failures."""
    subjects = [f"step-up:{caller.id}"]
    await check_failures(session, services.encryption, subjects, services.settings.sign_in_attempts, now)
    verdict = await _check(session, services, caller, data, now)
    if verdict == "required":
        raise Problem("auth.second_factor_required")
    if verdict == "wrong":
        await count_failure(session, services.encryption, subjects, now)
        raise Problem("auth.step_up_failed")
    expires_at = now + timedelta(minutes=services.settings.step_up_minutes)
    claims = AccessClaims(caller.id, caller.device_id, caller.is_resident)
    token = issue_step_up_token(services.token_keys, claims, expires_at=expires_at)
    return StepUpProof(step_up_token=token, expires_at=expires_at)


async def _check(session: AsyncSession, services: Services, caller: Caller, data: StepUp, now: datetime) -> Verdict:
    owner: Staff | Resident
    if caller.is_resident:
        owner, password_hash = await session.get_one(Resident, caller.id), None
    else:
        owner = await session.get_one(Staff, caller.id)
        password_hash = owner.password_hash
    if password_hash is not None:
        await session.commit()  # only read so far: hold no connection while passwords are hashed
        is_proven = await check_password(password_hash, data.password or "")
    else:
        is_proven = data.wechat_code is not None and await holds_account(
            session, owner, "miniprogram", (await load_account(services, data.wechat_code)).openid
        )
    if not is_proven:
        return "wrong"
    return "right" if caller.is_resident else await check_code(session, services.encryption, caller.id, data.code, now)


def require_step_up(services: Services, caller: Caller, proof: str | None) -> None:
    """Raise `auth.step_up_required` unless the caller has confirmed on this device, minutes ago, that it is them."""
    if proof is None or not is_step_up_valid(services.token_keys, proof, caller.id, caller.device_id):
        raise Problem("auth.step_up_required")
