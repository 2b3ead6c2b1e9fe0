"""What a household was paid, from the lines that were sent to the bank, and what it says of each.

“Not received” is a complaint about the line: it has a number, a deadline and a handler, and names the line.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.complaints.submission import ComplaintReceipt, OwnComplaint, count_own_complaint, create_own_complaint
from server.core.access import Caller, readable, require_found
from server.core.http import RequestBody, ResponseBody
from server.core.services import Services
from server.models.cases import CaseFile
from server.models.complaints import Complaint
from server.models.rosters import Roster, RosterLine, RosterPart

_MOST = 60
_MONTHS_SHOWN = "%Y年%m月"


class OwnPaymentPart(ResponseBody):
    """What a payment holds of a month: its own amount, arrears, or what was overpaid and is taken off."""

    month: date
    kind: str
    amount_fen: int


class OwnPayment(ResponseBody):
    """A payment that was sent to the bank. `state` is sent, paid or returned; `stance` is what the household said."""

    id: UUID
    month: date
    program_zh: str
    program_en: str
    total_fen: int
    parts: list[OwnPaymentPart]
    payee_name: str | None
    bank_name: str | None
    account_mask: str | None
    state: str
    sent_at: datetime | None
    stance: str | None
    complaint_number: str | None


class SayOfPayment(RequestBody):
    """`text` becomes part of the complaint, which is sealed."""

    sealed_fields = frozenset({"text"})

    stance: Literal["received", "not_received"]
    text: Annotated[str, Meta(max_length=1000)] = ""


class SaidOfPayment(ResponseBody):
    """The payments as they are now; with `not_received`, the number and the code of the complaint, given only here."""

    payments: list[OwnPayment]
    receipt: ComplaintReceipt | None


async def list_own_payments(session: AsyncSession, caller: Caller, case_id: UUID) -> list[OwnPayment]:
    """Return the payments of a household, the newest first. Two queries."""
    case: CaseFile = require_found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    rows = (await session.execute(_select_sent_lines(caller, case))).all()
    parts = await _load_parts(session, [line.id for line, *_ in rows])
    return [
        OwnPayment(
            id=line.id,
            month=line.month,
            program_zh=program_zh,
            program_en=program_en,
            total_fen=line.total_fen,
            parts=parts.get(line.id, []),
            payee_name=line.payee_name,
            bank_name=line.bank_name,
            account_mask=line.account_mask,
            state=line.state,
            sent_at=sent_at,
            stance=line.stance,
            complaint_number=number,
        )
        for line, program_zh, program_en, sent_at, number in rows
    ]


def _select_sent_lines(caller: Caller, case: CaseFile) -> Any:
    return (
        readable(RosterLine, caller)
        .add_columns(Roster.program_zh, Roster.program_en, Roster.sent_at, Complaint.number)
        .join(Roster, Roster.id == RosterLine.roster_id)
        .outerjoin(Complaint, Complaint.id == RosterLine.complaint_id)
        # A correction that pays nothing again is between officers.
        .where(
            RosterLine.of_home(case.household_id),
            or_(RosterLine.total_fen > 0, RosterLine.source_line_id.is_(None)),
        )
        .order_by(RosterLine.month.desc(), Roster.sent_at.desc(), RosterLine.id)
        .limit(_MOST)
    )


async def _load_parts(session: AsyncSession, line_ids: Sequence[UUID]) -> dict[UUID, list[OwnPaymentPart]]:
    parts: dict[UUID, list[OwnPaymentPart]] = {}
    for part in await session.scalars(
        select(RosterPart).where(RosterPart.line_id.in_(line_ids)).order_by(RosterPart.month, RosterPart.kind)
    ):
        shown = OwnPaymentPart(month=part.month, kind=part.kind, amount_fen=part.amount_fen)
        parts.setdefault(part.line_id, []).append(shown)
    return parts


async def say_of_payment(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    case_id: UUID,
    line_id: UUID,
    body: SayOfPayment,
    now: datetime,
) -> SaidOfPayment:
    """Confirm a payment, or say that it did not arrive. The same again changes nothing."""
    case: CaseFile = require_found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    if body.stance == "not_received":
        await count_own_complaint(session, services, caller, now)
    line: RosterLine = require_found(
        await session.scalar(
            readable(RosterLine, caller)
            .where(RosterLine.id == line_id, RosterLine.of_home(case.household_id))
            .with_for_update()
        )
    )
    receipt = None
    if body.stance == "not_received" and line.complaint_id is None:
        receipt = await _complain(session, services, caller, case, line, body.text.strip(), now)
    if body.stance != line.stance:
        line.stance, line.stance_at = body.stance, now
    await session.flush()  # the list below includes it
    return SaidOfPayment(payments=await list_own_payments(session, caller, case_id), receipt=receipt)


async def _complain(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    case: CaseFile,
    line: RosterLine,
    text: str,
    now: datetime,
) -> ComplaintReceipt:
    """Submit the complaint with the line attached: its reference is in the text, its id on the line."""
    about = f"未收到{line.month.strftime(_MONTHS_SHOWN)}的款项（业务编号 {line.reference}）"
    complaint = OwnComplaint(kind="complaint", case_id=case.id, text=f"{about}。{text}")
    receipt = await create_own_complaint(session, services, caller, case, complaint, now)
    await session.flush()  # the complaint is looked up by its number
    line.complaint_id = await session.scalar(select(Complaint.id).where(Complaint.number == receipt.number))
    return receipt
