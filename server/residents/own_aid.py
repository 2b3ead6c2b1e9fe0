"""What a household was given besides its payments, from the lines that were handed out, and what it says of each.

“Not received” is a complaint about the line: it has a number, a deadline and a handler, and names the line.
"""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.aid.examine import examine_batch
from server.complaints.submission import ComplaintReceipt, OwnComplaint, count_own_complaint, create_own_complaint
from server.core.access import Caller, readable, require_found
from server.core.http import RequestBody, ResponseBody
from server.core.services import Services
from server.models.aid import AidBatch, AidLine
from server.models.cases import CaseFile
from server.models.complaints import Complaint

_MOST = 120
_MONTHS_SHOWN = "%Y年%m月"


class OwnAid(ResponseBody):
    """Aid that was handed out. `state` is handed_out or taken_back; `stance` is what the household said."""

    id: UUID
    month: date
    kind_zh: str
    kind_en: str
    cause_zh: str | None
    cause_en: str | None
    form: str
    unit_zh: str
    unit_en: str
    given_milli: int | None
    given_fen: int | None
    given_on: date | None
    member_name: str | None
    recipient: str | None
    recipient_name: str
    relation: str
    state: str
    reason: str
    stance: str | None
    complaint_number: str | None


class SayOfAid(RequestBody):
    """`text` becomes part of the complaint, which is sealed."""

    sealed_fields = frozenset({"text"})

    stance: Literal["received", "not_received"]
    text: Annotated[str, Meta(max_length=1000)] = ""


class SaidOfAid(ResponseBody):
    """The aid as it is now; with `not_received`, the number and the code of the complaint, given only here."""

    aid: list[OwnAid]
    receipt: ComplaintReceipt | None


async def list_own_aid(session: AsyncSession, caller: Caller, case_id: UUID) -> list[OwnAid]:
    """Return what a household was given, the newest first. Two queries."""
    case: CaseFile = require_found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    rows = await session.execute(
        readable(AidLine, caller)
        .add_columns(AidBatch, Complaint.number)
        .join(AidBatch, AidBatch.id == AidLine.batch_id)
        .outerjoin(Complaint, Complaint.id == AidLine.complaint_id)
        .where(AidLine.household_id == case.household_id)
        .order_by(AidLine.given_on.desc(), AidLine.id)
        .limit(_MOST)
    )
    of_batch = ("kind_zh", "kind_en", "form", "unit_zh", "unit_en")
    of_line = (
        "id", "month", "cause_zh", "cause_en", "given_milli", "given_fen", "given_on", "member_name", "recipient",
        "recipient_name", "relation", "state", "stance",
    )  # fmt: skip
    return [
        OwnAid(
            **{name: getattr(batch, name) for name in of_batch},
            **{name: getattr(line, name) for name in of_line},
            reason=line.reason if line.state == "taken_back" else "",
            complaint_number=number,
        )
        for line, batch, number in rows
    ]


async def say_of_aid(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    case_id: UUID,
    line_id: UUID,
    body: SayOfAid,
    now: datetime,
) -> SaidOfAid:
    """Confirm aid, or say that it did not arrive. The same again changes nothing."""
    case: CaseFile = require_found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    if body.stance == "not_received":
        await count_own_complaint(session, services, caller, now)
    own = readable(AidLine, caller).where(AidLine.id == line_id, AidLine.household_id == case.household_id)
    batch_id = require_found(await session.scalar(own.with_only_columns(AidLine.batch_id)))
    # The batch first, as the desk locks it: its findings follow what is said.
    batch = (await session.scalars(select(AidBatch).where(AidBatch.id == batch_id).with_for_update())).one()
    line: AidLine = require_found(await session.scalar(own.with_for_update()))
    receipt = None
    if body.stance == "not_received" and line.complaint_id is None:
        receipt = await _complain(session, services, caller, case, batch, line, body.text.strip(), now)
    if body.stance != line.stance:
        line.stance, line.stance_at = body.stance, now
        await session.flush()  # the findings are looked for in the table
        await examine_batch(session, batch, now)
    return SaidOfAid(aid=await list_own_aid(session, caller, case_id), receipt=receipt)


async def _complain(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    case: CaseFile,
    batch: AidBatch,
    line: AidLine,
    text: str,
    now: datetime,
) -> ComplaintReceipt:
    """Submit the complaint with the line attached: batch and place are in the text, its id on the line."""
    what = f"{line.month.strftime(_MONTHS_SHOWN)}的{batch.kind_zh}（批次 {batch.number} 第 {line.position} 行）"
    complaint = OwnComplaint(kind="complaint", case_id=case.id, text=f"未收到{what}。{text}")
    receipt = await create_own_complaint(session, services, caller, case, complaint, now)
    await session.flush()  # the complaint is looked up by its number
    line.complaint_id = await session.scalar(select(Complaint.id).where(Complaint.number == receipt.number))
    return receipt
