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
from server.core.wechat import WechatSession
from server.http.attempt_locks import begin_attempt, check_locks, forgive_attempt, lock_subject
from server.http.rate_limit import check_failures, count_failure, count_unlocks, slow_down
from server.identity.devices import DeviceInfo, SignedIn, open_device
from server.identity.identities import (
    end_wechat_links,
    find_owner,
    link_known_account,
    link_wechat_account,
    lock_subjects,
)
from server.identity.notices import notify_of_change
from server.identity.second_factor import check_code
from server.identity.wechat_code import load_account
from server.models.cases import CaseFile
from server.models.households import HouseholdMember
from server.models.people import BindingWay, Resident, ResidentBinding, Staff, WechatApp, WechatUse

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
    account = await load_account(services, wechat_code)
    staff = await find_staff(session, "miniprogram", account, now)
    return await sign_in_linked_staff(session, services, staff, account.openid, code, intro, now)


async def find_staff(session: AsyncSession, app: WechatApp, account: WechatSession, now: datetime) -> Staff:
    """Return whose account it is. Raises `auth.wechat_not_linked`.

    An account of another app is linked when WeChat says by its unionid that it is the same person's.
    """
    await lock_subjects(session, account)
    staff = await find_owner(session, Staff, app, account.openid)
    if staff is None and account.unionid is not None:
        staff = await find_owner(session, Staff, "open_platform", account.unionid)
    if staff is None or staff.disabled_at is not None:
        raise Problem("auth.wechat_not_linked")
    await link_known_account(session, staff, app, account, now)
    return staff


async def sign_in_linked_staff(
    session: AsyncSession,
    services: Services,
    staff: Staff,
    openid: str,
    code: str | None,
    intro: DeviceInfo,
    now: datetime,
    *,
    is_qr: bool = False,
) -> SignedIn:
    """Sign in whom WeChat has identified, with a code where a second factor is set."""
    subjects = [f"code:{staff.id}"]
    await check_failures(session, services.encryption, subjects, services.settings.sign_in_attempts, now)
    await _require_code(session, services, staff, code, subjects, now)
    await _record_wechat_use(session, openid, staff.id, now)
    return await open_device(session, services, staff, intro, now, is_qr=is_qr)


async def link_wechat(session: AsyncSession, services: Services, caller: Caller, code: str, now: datetime) -> None:
    """Link the caller's staff account to their WeChat account, which can then sign them in.

    Raises `auth.wechat_linked_elsewhere`. The attempt with a colleague's account is recorded nevertheless.
    """
    await link_account(session, caller, "miniprogram", await load_account(services, code), now)


async def link_account(
    session: AsyncSession, caller: Caller, app: WechatApp, account: WechatSession, now: datetime
) -> None:
    """Link an account that WeChat has just identified, and its unionid, to the caller."""
    subjects: dict[WechatApp, str] = {app: account.openid}
    if account.unionid is not None:
        subjects["open_platform"] = account.unionid
    await lock_subjects(session, account)  # before the check, so that two who link the same account do not both pass
    for subject_app, subject in subjects.items():
        holder = await find_owner(session, Staff, subject_app, subject)
        if holder is not None and holder.id != caller.id:
            async with write_despite_failure(session):
                await _record_wechat_use(session, account.openid, caller.id, now)
            raise Problem("auth.wechat_linked_elsewhere")
    await _record_wechat_use(session, account.openid, caller.id, now)
    staff = await session.get_one(Staff, caller.id)
    for subject_app, subject in subjects.items():
        await link_wechat_account(session, staff, subject_app, subject, now)
    audit.record(session, caller, Action.STAFF_WECHAT_LINKED, "staff", caller.id)
    await notify_of_change(session, caller.id, "关联了微信", "WeChat was linked", now)


async def unlink_wechat(session: AsyncSession, caller: Caller, now: datetime) -> None:
    """End sign-in by WeChat. Idempotent. Raises `auth.no_other_sign_in` for an account without a password."""
    staff = await session.get_one(Staff, caller.id, with_for_update=True)
    if not await end_wechat_links(session, staff, now):
        return
    if staff.password_hash is None:
        raise Problem("auth.no_other_sign_in")
    audit.record(session, caller, Action.STAFF_WECHAT_UNLINKED, "staff", caller.id)
    await notify_of_change(session, caller.id, "取消了微信关联", "WeChat was unlinked", now)


async def _record_wechat_use(session: AsyncSession, openid: str, staff_id: UUID, now: datetime) -> None:
    row = insert(WechatUse).values(openid=openid, staff_id=staff_id, used_at=now)
    await session.execute(row.on_conflict_do_update(index_elements=["openid", "staff_id"], set_={"used_at": now}))


async def sign_in_resident(
    session: AsyncSession, services: Services, code: str, intro: DeviceInfo, now: datetime
) -> SignedIn:
    resident = await find_or_create_resident(session, "miniprogram", await load_account(services, code), now)
    return await open_device(session, services, resident, intro, now)


async def find_or_create_resident(
    session: AsyncSession, app: WechatApp, account: WechatSession, now: datetime
) -> Resident:
    """Return the resident of a WeChat account; a new one when neither its openid nor its unionid is known."""
    await lock_subjects(session, account)
    resident = await find_owner(session, Resident, app, account.openid)
    if resident is None and account.unionid is not None:
        resident = await find_owner(session, Resident, "open_platform", account.unionid)
    if resident is None:
        resident = Resident(id=new_id())
        session.add(resident)
        await session.flush()  # the identity references the account
    await link_known_account(session, resident, app, account, now)
    return resident


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
    # Many accounts may guess at one number: that slows them, and locks the household's own account out of nothing.
    number = [f"bind-case:{bare_number(application_number)}"]
    limit = services.settings.sign_in_attempts * _SHARED_FACTOR
    await check_locks(services.sessions, [account], now)
    await slow_down(services.autocommit, services.encryption, number, limit, now)
    await begin_attempt(services.sessions, [account], now)
    found = await _find_application(
        session, application_number, services.encryption.index("id_number", normalise_id(id_number))
    )
    if found is None:
        await count_failure(session, services.encryption, number, now)
        raise Problem("auth.binding_failed")
    case, member_id = found
    await forgive_attempt(session, account)
    await bind_member(session, caller.id, case, member_id, "numbers")
    audit.record(session, caller, Action.RESIDENT_BOUND, "case", case.id, area_code=case.area_code)
    return BindingReceipt(case_id=case.id, application_number=case.number)


async def bind_member(
    session: AsyncSession,
    resident_id: UUID,
    case: CaseFile,
    member_id: UUID,
    way: BindingWay,
    *,
    by: Caller | None = None,
    reason: str | None = None,
) -> None:
    """Bind a resident who has proven to be this member; the household is told of a new binding.

    `by` and `reason` are those of the counter.
    """
    binding_id = await session.scalar(
        insert(ResidentBinding)
        .values(
            id=new_id(),
            resident_id=resident_id,
            household_id=case.household_id,
            member_id=member_id,
            way=way,
            bound_by=by.id if by else None,
            bind_reason=reason,
        )
        .on_conflict_do_nothing()
        .returning(ResidentBinding.id)
    )
    if binding_id is not None:
        await _notify_household(session, case, binding_id, way)


async def _find_application(session: AsyncSession, number: str, id_number_index: bytes) -> tuple[CaseFile, UUID] | None:
    query = (
        select(CaseFile, HouseholdMember.id)
        .join(HouseholdMember, HouseholdMember.household_id == CaseFile.household_id)
        .where(bare(CaseFile.number) == bare_number(number), HouseholdMember.id_number_index == id_number_index)
    )
    match = (await session.execute(query)).first()
    return (match[0], match[1]) if match else None


async def _notify_household(session: AsyncSession, case: CaseFile, binding_id: UUID, way: BindingWay) -> None:
    """Tell everybody who is bound to the household, so that a stranger's binding is seen."""
    await jobs.defer(
        session,
        Notify(
            kind="bound",
            thing=f"binding:{binding_id}",
            area_code=case.area_code,
            household_id=case.household_id,
            facts={"caseId": str(case.id), "way": way},
        ),
    )
