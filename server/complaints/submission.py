"""Complaints as they are submitted: on the public page, by a resident, or recorded by an officer.

Every complaint gets a number and a code at once. Reporter and text are encrypted; only the handler reads them, not the
list, other officers or the audit log.
"""

import secrets
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.complaints.due_dates import compute_due_date
from server.complaints.eligibility import HANDLER_ROLES, index_staff_name
from server.core.access import Caller, readable, require_found, require_role
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.reply_codes import hash_reply_code
from server.core.sequences import next_number
from server.core.services import Services
from server.core.working_days import day_of
from server.http.rate_limit import count_attempt
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.complaints import Complaint
from server.models.households import Household

MAX_ATTEMPTS = 20
ComplaintText = Annotated[str, Meta(min_length=5, max_length=4000)]
StaffNames = Annotated[list[Annotated[str, Meta(min_length=1, max_length=60)]], Meta(max_length=5)]
AreaCode = Annotated[str, Meta(pattern="^[0-9]{6}([0-9]{3}([0-9]{3})?)?$")]


class Reporter(RequestBody):
    sealed_fields = frozenset({"name", "contact"})

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    contact: Annotated[str, Meta(max_length=100)] = ""


class PublicComplaint(RequestBody):
    """Without a reporter the complaint is anonymous.

    `against` names the staff it is about. Nobody of that name can handle it.
    """

    sealed_fields = frozenset({"text", "against"})

    area_code: AreaCode
    text: ComplaintText
    reporter: Reporter | None = None
    against: StaffNames = []


class OwnComplaint(RequestBody):
    """A resident's complaint or appeal about their own case."""

    sealed_fields = frozenset({"text", "against"})

    kind: Literal["complaint", "appeal"]
    case_id: UUID
    text: ComplaintText
    against: StaffNames = []


class WrittenComplaint(RequestBody):
    """A complaint that an officer received by any channel and records at the desk."""

    sealed_fields = frozenset({"text", "against"})

    channel: Literal["letter", "visit", "phone", "web", "box", "proposal"]
    area_code: AreaCode
    text: ComplaintText
    reporter: Reporter | None = None
    household_id: UUID | None = None
    against: StaffNames = []


class ComplaintReceipt(ResponseBody):
    """The code is returned only here. With the number it opens the reply."""

    number: str
    code: str
    due_on: date


async def submit_public_complaint(
    session: AsyncSession, services: Services, data: PublicComplaint, *, address: str, now: datetime
) -> ComplaintReceipt:
    await count_attempt(session, services.encryption, [f"complaint:{address}"], MAX_ATTEMPTS, now)
    arrived = _Arrived(data.area_code, "web", data.text, data.reporter, data.against)
    return await _create_complaint(session, services, None, arrived, now)


async def record_written_complaint(
    session: AsyncSession, services: Services, caller: Caller, data: WrittenComplaint, now: datetime
) -> ComplaintReceipt:
    require_role(caller, HANDLER_ROLES)
    if not caller.covers(data.area_code, HANDLER_ROLES):
        raise Problem("auth.forbidden", roles=", ".join(sorted(HANDLER_ROLES)))
    if data.household_id is not None:
        require_found(await session.scalar(readable(Household, caller).where(Household.id == data.household_id)))
    arrived = _Arrived(
        data.area_code, data.channel, data.text, data.reporter, data.against, household_id=data.household_id
    )
    return await _create_complaint(session, services, caller, arrived, now)


async def submit_own_complaint(
    session: AsyncSession, services: Services, caller: Caller, data: OwnComplaint, now: datetime
) -> ComplaintReceipt:
    """Submit a resident's complaint about their own case."""
    case: CaseFile = require_found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == data.case_id)))
    await count_own_complaint(session, services, caller, now)
    return await create_own_complaint(session, services, caller, case, data, now)


async def count_own_complaint(session: AsyncSession, services: Services, caller: Caller, now: datetime) -> None:
    """Count an attempt of a resident. It commits: call it before anything is locked or changed."""
    await count_attempt(session, services.encryption, [f"complaint:{caller.id}"], MAX_ATTEMPTS, now)


async def create_own_complaint(
    session: AsyncSession, services: Services, caller: Caller, case: CaseFile, data: OwnComplaint, now: datetime
) -> ComplaintReceipt:
    """Write a resident's complaint in the transaction of the caller, who has counted it."""
    arrived = _Arrived(
        case.area_code, "web", data.text, None, data.against, kind=data.kind, case_id=case.id, resident_id=caller.id
    )
    return await _create_complaint(session, services, caller, arrived, now)


@dataclass(frozen=True)
class _Arrived:
    """A complaint as it arrived, by whichever way."""

    area_code: str
    channel: str
    text: str
    reporter: Reporter | None
    against: list[str]
    kind: str = "complaint"
    household_id: UUID | None = None
    case_id: UUID | None = None
    resident_id: UUID | None = None


async def _create_complaint(
    session: AsyncSession,
    services: Services,
    caller: Caller | None,
    arrived: _Arrived,
    now: datetime,
) -> ComplaintReceipt:
    area_code = arrived.area_code
    if await session.get(Area, area_code) is None:
        raise Problem("request.invalid", faults=[Fault("/areaCode", "area.unknown", area_code)])
    today = day_of(now)
    due_on = await compute_due_date(session, area_code, today, "complaint.register_days", since=today)
    number = await next_number(session, Complaint.number, f"XF{area_code[:6]}{today.year}-", 5)
    code = secrets.token_hex(5).upper()
    complaint = _build_complaint(services, arrived, number, code, due_on, now)
    session.add(complaint)
    # The audit log names the officer who recorded it, never a resident who complained.
    audit.record(
        session,
        caller if caller and not caller.is_resident else None,
        Action.COMPLAINT_RECEIVED,
        "complaint",
        complaint.id,
        area_code=area_code,
        channel=arrived.channel,
    )
    await session.flush()  # reserves the number
    return ComplaintReceipt(number=complaint.number, code=code, due_on=due_on)


def _build_complaint(
    services: Services, arrived: _Arrived, number: str, code: str, due_on: date, now: datetime
) -> Complaint:
    """Build the row, with what names people sealed."""
    seal, reporter, complaint_id = services.encryption.seal, arrived.reporter, new_id()
    return Complaint(
        id=complaint_id,
        number=number,
        code_hash=hash_reply_code(services.encryption, code),
        kind=arrived.kind,
        channel=arrived.channel,
        area_code=arrived.area_code,
        household_id=arrived.household_id,
        case_id=arrived.case_id,
        resident_id=arrived.resident_id,
        is_named=reporter is not None or arrived.resident_id is not None,
        reporter_sealed=seal("complaint.reporter", complaint_id, msgspec.json.encode(reporter).decode())
        if reporter
        else None,
        text_sealed=seal("complaint.text", complaint_id, arrived.text),
        against=[index_staff_name(services, name) for name in arrived.against],
        state="received",
        received_at=now,
        due_on=due_on,
        is_extended=False,
    )
