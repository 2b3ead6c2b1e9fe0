"""One complaint as the desk sees it. Only its handler reads the text and the reporter."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.complaints.listing import ComplaintLine, complaint_line
from server.complaints.submission import Reporter
from server.core.access import DESK_ROLES, Caller, readable, require_found, require_role
from server.core.http import ResponseBody
from server.core.services import Services
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.complaints import Complaint
from server.models.people import Staff


class ComplaintDetail(ResponseBody):
    """The text, the reporter, the household and the case are null unless the caller is the handler."""

    line: ComplaintLine
    household_id: UUID | None
    case_id: UUID | None
    text: str | None
    reporter_name: str | None
    reporter_contact: str | None
    reply: str | None


async def open_complaint(
    session: AsyncSession, services: Services, caller: Caller, complaint_id: UUID, now: datetime
) -> ComplaintDetail:
    """Return what the caller may see. The audit log records each time the handler reads text and reporter."""
    require_role(caller, DESK_ROLES)
    complaint: Complaint = require_found(
        await session.scalar(readable(Complaint, caller).where(Complaint.id == complaint_id))
    )
    return await load_complaint_detail(session, services, caller, complaint, now)


async def load_complaint_detail(
    session: AsyncSession, services: Services, caller: Caller, complaint: Complaint, now: datetime
) -> ComplaintDetail:
    is_handler = complaint.handler_id == caller.id
    reporter: Reporter | None = None
    if is_handler:
        audit.record(session, caller, Action.COMPLAINT_READ, "complaint", complaint.id, area_code=complaint.area_code)
        if complaint.reporter_sealed is not None:
            reporter = msgspec.json.decode(
                services.encryption.open("complaint.reporter", complaint.id, complaint.reporter_sealed), type=Reporter
            )
    area = await session.get_one(Area, complaint.area_code)
    handler = await session.get(Staff, complaint.handler_id) if complaint.handler_id else None
    return ComplaintDetail(
        line=complaint_line(complaint, day_of(now), area.name, handler.name if handler else None),
        household_id=complaint.household_id if is_handler else None,
        case_id=complaint.case_id if is_handler else None,
        text=services.encryption.open("complaint.text", complaint.id, complaint.text_sealed) if is_handler else None,
        reporter_name=reporter.name if reporter else None,
        reporter_contact=reporter.contact if reporter else None,
        reply=complaint.reply,
    )
