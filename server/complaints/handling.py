"""A complaint at the desk: registered, decided, extended, declined or handed over.

The periods are settings: by default 15 days to register, 60 to decide, and one extension of 30 with a reason.

The officer who registers a complaint becomes its handler and the only reader of its text and reporter.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.complaints.detail import ComplaintDetail, load_complaint_detail
from server.complaints.due_dates import OPEN_STATES, compute_due_date
from server.complaints.eligibility import HANDLER_ROLES, has_left, require_impartial
from server.complaints.submission import ComplaintText
from server.core import jobs
from server.core.access import Caller, readable, require_found, require_role
from server.core.errors import Fault, Problem
from server.core.http import RequestBody
from server.core.job_types import OrderComplaintVisit
from server.core.services import Services
from server.core.working_days import day_of
from server.models.complaints import Complaint
from server.models.households import Household
from server.models.people import Staff, StaffRole


class RegisterComplaint(RequestBody):
    """`household_id` sets the household that the complaint turned out to be about."""

    household_id: UUID | None = None


class ExtendComplaint(RequestBody):
    reason: ComplaintText


class DecideComplaint(RequestBody):
    """The reporter reads `reply`."""

    finding: Literal["upheld", "partly", "unfounded"]
    reply: ComplaintText


class DeclineComplaint(RequestBody):
    reply: ComplaintText


class HandOverComplaint(RequestBody):
    staff_id: UUID


async def register_complaint(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    complaint_id: UUID,
    data: RegisterComplaint,
    now: datetime,
) -> ComplaintDetail:
    """Register the complaint with the caller as handler and start the period of the decision. Idempotent.

    A complaint whose handler has left is taken over, and its period continues. A household makes a visit by the
    county mandatory. Raises `complaint.handled_by_other` and `complaint.not_now`.
    """
    complaint = await _lock_complaint(session, caller, complaint_id)
    if complaint.state == "registered" and complaint.handler_id == caller.id:
        return await load_complaint_detail(session, services, caller, complaint, now)
    is_orphan = await has_left(session, complaint.handler_id)
    if complaint.handler_id is not None and not is_orphan:
        raise Problem("complaint.handled_by_other")
    _require_state(complaint, "registered" if is_orphan else "received")
    if data.household_id is not None:
        require_found(await session.scalar(readable(Household, caller).where(Household.id == data.household_id)))
        complaint.household_id = data.household_id
    for person in caller.persons:
        await require_impartial(session, services, complaint, person.id, person.name)
    complaint.state, complaint.handler_id = "registered", caller.id
    if not is_orphan:
        complaint.registered_at = now
        complaint.due_on = await compute_due_date(
            session, complaint.area_code, day_of(complaint.received_at), "complaint.decide_days", since=day_of(now)
        )
    audit.record(session, caller, Action.COMPLAINT_REGISTERED, "complaint", complaint.id, area_code=complaint.area_code)
    is_named_now = data.household_id is not None or not is_orphan
    if is_named_now and complaint.household_id is not None and complaint.kind == "complaint":
        await jobs.defer(session, OrderComplaintVisit(household_id=complaint.household_id))
    return await load_complaint_detail(session, services, caller, complaint, now)


async def extend_complaint(
    session: AsyncSession, services: Services, caller: Caller, complaint_id: UUID, data: ExtendComplaint, now: datetime
) -> ComplaintDetail:
    """Extend the period of the decision once, with a reason. Idempotent."""
    complaint = await _lock_own_complaint(session, caller, complaint_id)
    _require_state(complaint, "registered")
    if not complaint.is_extended:
        complaint.is_extended = True
        received_on = day_of(complaint.received_at)
        complaint.due_on = await compute_due_date(
            session, complaint.area_code, received_on, "complaint.extension_days", since=complaint.due_on
        )
        audit.record(
            session,
            caller,
            Action.COMPLAINT_EXTENDED,
            "complaint",
            complaint.id,
            area_code=complaint.area_code,
            reason=data.reason,
        )
    return await load_complaint_detail(session, services, caller, complaint, now)


async def decide_complaint(
    session: AsyncSession, services: Services, caller: Caller, complaint_id: UUID, data: DecideComplaint, now: datetime
) -> ComplaintDetail:
    """Decide with a finding and a reply. Idempotent for the same decision; another raises `complaint.not_now`."""
    complaint = await _lock_own_complaint(session, caller, complaint_id)
    if (complaint.finding, complaint.reply) != (data.finding, data.reply):
        _require_state(complaint, "registered")
        complaint.state, complaint.decided_at = "decided", now
        complaint.finding, complaint.reply = data.finding, data.reply
        audit.record(
            session,
            caller,
            Action.COMPLAINT_DECIDED,
            "complaint",
            complaint.id,
            area_code=complaint.area_code,
            finding=data.finding,
        )
    return await load_complaint_detail(session, services, caller, complaint, now)


async def decline_complaint(
    session: AsyncSession, services: Services, caller: Caller, complaint_id: UUID, data: DeclineComplaint, now: datetime
) -> ComplaintDetail:
    """Decline a complaint that another office must decide. The reply says which, so it is answered too (件件有回音)."""
    complaint = await _lock_own_complaint(session, caller, complaint_id)
    if (complaint.state, complaint.reply) != ("declined", data.reply):
        if complaint.state not in OPEN_STATES:
            raise Problem("complaint.not_now", state=complaint.state)
        for person in caller.persons:
            await require_impartial(session, services, complaint, person.id, person.name)
        complaint.state, complaint.reply, complaint.decided_at = "declined", data.reply, now
        audit.record(
            session, caller, Action.COMPLAINT_DECLINED, "complaint", complaint.id, area_code=complaint.area_code
        )
    return await load_complaint_detail(session, services, caller, complaint, now)


async def hand_over_complaint(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    complaint_id: UUID,
    data: HandOverComplaint,
    now: datetime,
) -> ComplaintDetail:
    """Make another officer of the area the handler. From then on only they read the text."""
    complaint = await _lock_own_complaint(session, caller, complaint_id)
    _require_state(complaint, "registered")
    successor = await session.scalar(
        select(Staff)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .where(
            Staff.id == data.staff_id,
            Staff.disabled_at.is_(None),
            StaffRole.role.in_(HANDLER_ROLES),
            StaffRole.revoked_at.is_(None),
            literal(complaint.area_code).startswith(StaffRole.area_code),
        )
        .limit(1)
    )
    if successor is None:
        raise Problem("request.invalid", faults=[Fault("/staffId", "staff.not_here", str(data.staff_id))])
    await require_impartial(session, services, complaint, successor.id, successor.name)
    complaint.handler_id = successor.id
    audit.record(
        session, caller, Action.COMPLAINT_HANDED_OVER, "complaint", complaint.id, area_code=complaint.area_code
    )
    return await load_complaint_detail(session, services, caller, complaint, now)


async def _lock_own_complaint(session: AsyncSession, caller: Caller, complaint_id: UUID) -> Complaint:
    complaint = await _lock_complaint(session, caller, complaint_id)
    if complaint.handler_id is not None and complaint.handler_id != caller.id:
        raise Problem("complaint.handled_by_other")
    return complaint


async def _lock_complaint(session: AsyncSession, caller: Caller, complaint_id: UUID) -> Complaint:
    require_role(caller, HANDLER_ROLES)
    complaint: Complaint = require_found(
        await session.scalar(readable(Complaint, caller).where(Complaint.id == complaint_id).with_for_update())
    )
    return complaint


def _require_state(complaint: Complaint, state: str) -> None:
    if complaint.state != state:
        raise Problem("complaint.not_now", state=complaint.state)
