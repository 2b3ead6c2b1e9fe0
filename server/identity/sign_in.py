"""Sign-in: staff by name and password or by a linked WeChat account, residents by WeChat and a binding."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller
from server.core.database import write_despite_failure
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.ids import new_id
from server.core.job_types import Notify
from server.core.normalise import bare, bare_number, normalise_id
from server.core.passwords import check_password
from server.core.services import Services
from server.http.attempt_locks import begin_attempt, end_locks, forgive_attempt, lock_subject
from server.http.rate_limit import check_failures, count_failure, count_unlocks, slow_down
from server.identity.devices import DeviceInfo, SignedIn, open_device
from server.identity.notices import notify_of_change
from server.identity.second_factor import check_code
from server.identity.wechat_code import load_openid
from server.models.cases import CaseFile
from server.models.households import HouseholdMember
from server.models.people import Resident, ResidentBinding, Staff, WechatUse

# A name everywhere and an address for all names may fail so many times more often before they are slowed.
_SHARED_FACTOR = 5


async def sign_in_with_password(
    session: AsyncSession,
    services: Services,
    login: str,
    password: str,
    intro: DeviceInfo,
    *,
    code: str | None,
    address: str,
    now: datetime,
) -> SignedIn:
    """Raises `auth.sign_in_failed`, also for an unknown name, or `request.rate_limited`; `auth.second_factor_required`
    or `auth.second_factor_wrong` once the password is right.

    Mistakes lock a name for the address they come from. They only slow its other addresses, and other names at theirs:
    nobody locks a colleague out, nor an office behind one address.
    """
    login, limit = login.lower(), services.settings.sign_in_attempts
    shared = [f"login:{login}", f"address:{address}"]
    await slow_down(services.autocommit, services.encryption, shared, limit * _SHARED_FACTOR, now)
    unlocks = await count_unlocks(session, services.encryption, login, now)
    subjects = [f"login:{login}@{address}" + (f"#{unlocks}" if unlocks else "")]
    await check_failures(session, services.encryption, subjects, limit, now)
    staff = await session.scalar(select(Staff).where(Staff.login == login, Staff.disabled_at.is_(None)))
    await session.commit()  # only read so far: hold no connection while others' passwords are hashed
    if not await check_password(staff.password_hash if staff else None, password) or staff is None:
        await count_failure(session, services.encryption, subjects + shared, now)
        raise Problem("auth.sign_in_failed")
    await _require_code(session, services, staff, code, subjects, now)
    return await open_device(session, services, staff, intro, now)


async def _require_code(
    session: AsyncSession, services: Services, staff: Staff, code: str | None, subjects: list[str], now: datetime
) -> None:
    verdict = await check_code(session, services.encryption, staff.id, code, now)
    if verdict == "wrong":
        await count_failure(session, services.encryption, subjects, now)
    if verdict != "right":
        raise Problem(f"auth.second_factor_{verdict}")


async def sign_in_staff_with_wechat(
    session: AsyncSession, services: Services, wechat_code: str, code: str | None, intro: DeviceInfo, now: datetime
) -> SignedIn:
    openid = await load_openid(services, wechat_code)
    staff = await session.scalar(select(Staff).where(Staff.wechat_openid == openid, Staff.disabled_at.is_(None)))
    if staff is None:
        raise Problem("auth.wechat_not_linked")
    subjects = [f"code:{staff.id}"]
    await check_failures(session, services.encryption, subjects, services.settings.sign_in_attempts, now)
    await _require_code(session, services, staff, code, subjects, now)
    await _record_wechat_use(session, openid, staff.id, now)
    return await open_device(session, services, staff, intro, now)


async def link_wechat(session: AsyncSession, services: Services, caller: Caller, code: str, now: datetime) -> None:
    """Link the caller's staff account to their WeChat account, which can then sign them in.

    Raises `auth.wechat_linked_elsewhere`. The attempt with a colleague's account is recorded nevertheless.
    """
    openid = await load_openid(services, code)
    holder = await session.scalar(select(Staff.id).where(Staff.wechat_openid == openid))
    if holder not in {None, caller.id}:
        async with write_despite_failure(session):
            await _record_wechat_use(session, openid, caller.id, now)
        raise Problem("auth.wechat_linked_elsewhere")
    await _record_wechat_use(session, openid, caller.id, now)
    staff = await session.get_one(Staff, caller.id)
    staff.wechat_openid = openid
    audit.record(session, caller, Action.STAFF_WECHAT_LINKED, "staff", caller.id)
    await notify_of_change(session, caller.id, "关联了微信", "WeChat was linked", now)


async def unlink_wechat(session: AsyncSession, caller: Caller, now: datetime) -> None:
    """End sign-in by WeChat. Idempotent. Raises `auth.no_other_sign_in` for an account without a password."""
    staff = await session.get_one(Staff, caller.id, with_for_update=True)
    if staff.wechat_openid is None:
        return
    if staff.password_hash is None:
        raise Problem("auth.no_other_sign_in")
    staff.wechat_openid = None
    audit.record(session, caller, Action.STAFF_WECHAT_UNLINKED, "staff", caller.id)
    await notify_of_change(session, caller.id, "取消了微信关联", "WeChat was unlinked", now)


async def _record_wechat_use(session: AsyncSession, openid: str, staff_id: UUID, now: datetime) -> None:
    row = insert(WechatUse).values(openid=openid, staff_id=staff_id, used_at=now)
    await session.execute(row.on_conflict_do_update(index_elements=["openid", "staff_id"], set_={"used_at": now}))


async def sign_in_resident(
    session: AsyncSession, services: Services, code: str, intro: DeviceInfo, now: datetime
) -> SignedIn:
    openid = await load_openid(services, code)
    await session.execute(insert(Resident).values(id=new_id(), wechat_openid=openid).on_conflict_do_nothing())
    resident = await session.scalar(select(Resident).where(Resident.wechat_openid == openid))
    assert resident is not None
    return await open_device(session, services, resident, intro, now)


class BindingReceipt(ResponseBody):
    case_id: UUID
    application_number: str


async def bind_resident(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    id_number: str,
    application_number: str,
    *,
    now: datetime,
) -> BindingReceipt:
    """Bind the resident to a household they are a member of.

    Both numbers must match one application. Whichever is wrong, the error is `auth.binding_failed` after the same
    queries, so that nobody learns from it who has applied.
    """
    account = lock_subject(services.encryption, "bind", str(caller.id))
    number = lock_subject(services.encryption, "bind-case", bare_number(application_number))
    await begin_attempt(services.sessions, [account, number], now)
    case, member_id = await _find_application(
        session, application_number, services.encryption.index("id_number", normalise_id(id_number))
    )
    await end_locks(session, [number])
    await forgive_attempt(session, account)
    binding_id = await session.scalar(
        insert(ResidentBinding)
        .values(id=new_id(), resident_id=caller.id, household_id=case.household_id, member_id=member_id)
        .on_conflict_do_nothing()
        .returning(ResidentBinding.id)
    )
    if binding_id is not None:
        await _notify_household(session, case, binding_id)
    audit.record(session, caller, Action.RESIDENT_BOUND, "case", case.id, area_code=case.area_code)
    return BindingReceipt(case_id=case.id, application_number=case.number)


async def _find_application(session: AsyncSession, number: str, id_number_index: bytes) -> tuple[CaseFile, UUID]:
    query = (
        select(CaseFile, HouseholdMember.id)
        .join(HouseholdMember, HouseholdMember.household_id == CaseFile.household_id)
        .where(bare(CaseFile.number) == bare_number(number), HouseholdMember.id_number_index == id_number_index)
    )
    match = (await session.execute(query)).first()
    if match is None:
        raise Problem("auth.binding_failed")
    case, member_id = match
    return case, member_id


async def _notify_household(session: AsyncSession, case: CaseFile, binding_id: UUID) -> None:
    """Tell everybody who is bound to the household, so that a stranger's binding is seen."""
    await jobs.defer(
        session,
        Notify(
            kind="bound",
            thing=f"binding:{binding_id}",
            area_code=case.area_code,
            household_id=case.household_id,
            facts={"caseId": str(case.id)},
        ),
    )
