"""Binding by the registered telephone: WeChat says which number the phone has, and the person their ID number.

The number must be the one that the office has written into the register, so that whoever knows a neighbour's ID number
gets nowhere. It is used for the look-up and kept nowhere.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.errors import Problem
from server.core.http import RequestBody, ShortText
from server.core.normalise import normalise_id, normalise_phone
from server.core.services import Services
from server.http.attempt_locks import begin_attempt, forgive_attempt, lock_subject
from server.identity.sign_in import BindingReceipt, bind_member
from server.identity.wechat_code import load_phone_number
from server.models.cases import CaseFile
from server.models.households import Household, HouseholdMember


class PhoneBinding(RequestBody):
    """`phone_code` of a `getPhoneNumber` button of the mini-program, which is not the code of `wx.login`."""

    sealed_fields = frozenset({"phone_code", "id_number"})

    phone_code: ShortText
    id_number: ShortText


async def bind_by_phone(
    session: AsyncSession, services: Services, caller: Caller, data: PhoneBinding, now: datetime
) -> BindingReceipt:
    """Bind the resident to the household with this telephone of which they are a member, by its latest application.

    Raises `auth.binding_failed` for any mismatch, `request.rate_limited`, and what WeChat refuses.
    """
    account = lock_subject(services.encryption, "bind", str(caller.id))
    await begin_attempt(services.sessions, [account], now)
    phone = normalise_phone(await load_phone_number(services, data.phone_code))
    if not phone:
        raise Problem("auth.binding_failed")
    match = await session.execute(
        select(CaseFile, HouseholdMember.id)
        .join(HouseholdMember, HouseholdMember.household_id == CaseFile.household_id)
        .join(Household, Household.id == CaseFile.household_id)
        .where(
            Household.phone_index == services.encryption.index("phone", phone),
            HouseholdMember.id_number_index == services.encryption.index("id_number", normalise_id(data.id_number)),
        )
        .order_by(CaseFile.applied_on.desc(), CaseFile.id.desc())
        .limit(1)
    )
    found = match.first()
    if found is None:
        raise Problem("auth.binding_failed")
    case, member_id = found
    await forgive_attempt(session, account)
    await bind_member(session, caller.id, case, member_id, "phone")
    audit.record(session, caller, Action.RESIDENT_BOUND, "case", case.id, area_code=case.area_code, by="phone")
    return BindingReceipt(case_id=case.id, application_number=case.number)
