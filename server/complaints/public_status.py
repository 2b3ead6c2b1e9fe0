"""What the author of a complaint can look up: its state, its due date and the reply."""

from datetime import date, datetime
from typing import Annotated

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.complaints.submission import MAX_ATTEMPTS
from server.core.access import Caller, readable, require_found
from server.core.http import RequestBody, ResponseBody
from server.core.normalise import bare, bare_number
from server.core.reply_codes import stored_hashes
from server.core.services import Services
from server.http.rate_limit import count_attempt
from server.models.complaints import Complaint


class LookUpComplaint(RequestBody):
    number: Annotated[str, Meta(max_length=40)]
    code: Annotated[str, Meta(max_length=40)]


class ComplaintStatus(ResponseBody):
    """`due_on` is the date of the next step; `finding` and `reply` are null until there is an answer."""

    number: str
    kind: str
    state: str
    state_zh: str
    state_en: str
    received_at: datetime
    due_on: date | None
    finding: str | None
    reply: str | None


async def look_up_complaint(
    session: AsyncSession, services: Services, data: LookUpComplaint, *, address: str, now: datetime
) -> ComplaintStatus:
    """Return the status of a complaint. A wrong number and a wrong code raise the same `thing.not_found`."""
    subjects = [f"complaint-code:{address}", f"complaint-no:{bare_number(data.number)}"]
    await count_attempt(session, services.encryption, subjects, MAX_ATTEMPTS, now)
    complaint = await session.scalar(
        select(Complaint).where(
            bare(Complaint.number) == bare_number(data.number),
            Complaint.code_hash.in_(stored_hashes(services.encryption, data.code)),
        )
    )
    return _complaint_status(require_found(complaint))


async def list_own_complaints(session: AsyncSession, caller: Caller) -> list[ComplaintStatus]:
    rows = await session.scalars(readable(Complaint, caller).order_by(Complaint.received_at.desc()).limit(50))
    return [_complaint_status(complaint) for complaint in rows]


STATES = {
    "received": ("已收到，待登记", "received; to be registered"),
    "registered": ("已受理，正在核查", "registered; being looked into"),
    "decided": ("已办结", "decided"),
    "declined": ("不属本机关受理", "not for this office"),
}


def _complaint_status(complaint: Complaint) -> ComplaintStatus:
    state_zh, state_en = STATES[complaint.state]
    return ComplaintStatus(
        number=complaint.number,
        kind=complaint.kind,
        state=complaint.state,
        state_zh=state_zh,
        state_en=state_en,
        received_at=complaint.received_at,
        due_on=complaint.due_on if complaint.state in {"received", "registered"} else None,
        finding=complaint.finding,
        reply=complaint.reply,
    )
