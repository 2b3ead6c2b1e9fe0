"""The slip with which a household looks up its application without an account: the number and a PIN.

What everybody in a village knows of a neighbour, such as the end of an ID number, proves nothing. The PIN is drawn when
the slip is printed and stands nowhere else: the case keeps its keyed hash.
"""

import secrets
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.cases.loading import load_case
from server.cases.notices import issuing_office
from server.core.access import Caller, Role, require_role
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.normalise import bare, bare_number
from server.core.pdf import Notice, format_date_zh, render_notice, render_qr_svg
from server.core.services import Services
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.households.register import WRITERS
from server.http.attempt_locks import lock_subject
from server.http.rate_limit import slow_down
from server.models.cases import CaseFile
from server.models.households import Household

PIN_DIGITS = 8
REISSUERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
Secret = Literal["pin", "code"]
# A number everywhere, and an address for all numbers, may fail so many times more often before they are slowed.
SHARED_FACTOR = 5


class GuessTarget(NamedTuple):
    """What is guessed at, and from where. A stranger who knows a number locks their own address and nobody else's."""

    number: str
    # The PIN's keyed hash; empty for a number that does not exist, or has none.
    pin_hash: bytes
    address: str

    @property
    def subject(self) -> str:
        return f"{self.number}#{self.pin_hash.hex()[:16]}@{self.address}"


async def print_look_up_slip(
    session: AsyncSession, encryption: Encryption, caller: Caller, case_id: UUID, now: datetime, *, origin: str
) -> bytes:
    """Draw a new PIN and return the slip as PDF. The PIN before it ends, and so does a lock of the number.

    Whoever takes an application prints the first slip; another is for an officer, who sees the person at the counter.
    A lock belongs to the PIN that was guessed at, so that it ends with it. Raises `auth.forbidden` and
    `case.own_relative`.
    """
    case = await load_case(session, caller, case_id)
    roles = WRITERS | REISSUERS if case.look_up_pin is None else REISSUERS
    require_role(caller, roles)
    if not caller.covers(case.area_code, roles):
        raise Problem("auth.forbidden", roles=", ".join(sorted(roles)))
    await require_no_conflict_of_interest(session, caller, case.household_id)
    household = await session.get_one(Household, case.household_id)
    pin = "".join(secrets.choice("0123456789") for _ in range(PIN_DIGITS))
    is_again = case.look_up_pin is not None
    case.look_up_pin = hash_pin(encryption, case.id, pin)
    audit.record(
        session, caller, Action.CASE_LOOK_UP_SLIP_PRINTED, "case", case.id, area_code=case.area_code, again=is_again
    )
    return await render_notice(await _build_slip(session, case, household.head_name, pin, now, origin))


def hash_pin(encryption: Encryption, case_id: UUID, pin: str) -> bytes:
    """Return the keyed hash of a PIN, which differs from case to case."""
    return encryption.index("look_up_pin", f"{case_id}:{bare_number(pin)}")


def sign_in_lock(encryption: Encryption, secret: Secret, target: GuessTarget) -> str:
    """Guesses of the numbers and of this secret. A right look-up, which takes no ID number, does not end it."""
    return lock_subject(encryption, f"sign-in-{secret}", target.subject)


def look_up_lock(encryption: Encryption, target: GuessTarget) -> str:
    return lock_subject(encryption, "look-up", target.subject)


async def load_guess_target(session: AsyncSession, number: str, address: str) -> GuessTarget:
    number = bare_number(number)
    pin_hash = await session.scalar(select(CaseFile.look_up_pin).where(bare(CaseFile.number) == number).limit(1))
    return GuessTarget(number, pin_hash or b"", address)


async def slow_guesses(services: Services, target: GuessTarget, now: datetime) -> None:
    """Slow down guesses from many addresses at one number, and of one address at many numbers; bar nobody."""
    limit = services.settings.sign_in_attempts * SHARED_FACTOR
    await slow_down(services.autocommit, services.encryption, guess_subjects(target), limit, now)


def guess_subjects(target: GuessTarget) -> list[str]:
    """The subjects whose failures are counted: a village office stands behind one address."""
    return [f"look-up:{target.address}", f"look-up-number:{target.number}"]


async def _build_slip(session: AsyncSession, case: CaseFile, to: str, pin: str, now: datetime, origin: str) -> Notice:
    return Notice(
        title="最低生活保障申请进度查询凭条",
        number=f"编号：{case.number}",
        to=to,
        paragraphs=[
            "凭下列申请编号和查询码，可以在居民页面“查进度”中查询申请办理情况，无需登录。",
            "用微信扫描下方二维码，登录并绑定后可以补交材料、查看走访记录和金额计算；没有微信的，用身份证号和查询码登录。",
            "请妥善保管，不要告诉他人。查询码只印在本凭条上。",
            "凭条遗失的，请本人持身份证到乡镇（街道）窗口重新打印，原查询码随即失效。",
        ],
        columns=["申请编号", "查询码"],
        rows=[[case.number, f"{pin[:4]} {pin[4:]}"]],
        office=await issuing_office(session, case),
        date=format_date_zh(day_of(now)),
        # The number stands behind the hash, which browsers send to nobody; the PIN is not in the picture.
        qr=render_qr_svg(f"{origin}/r/#{case.number}"),
    )
