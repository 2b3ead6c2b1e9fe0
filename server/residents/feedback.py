"""A resident's feedback on the record of a visit: confirmed or disputed, with the desk's list of it."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.loading import lock_case
from server.cases.transitions import apply_transition
from server.core.access import Caller, require_found
from server.core.errors import Problem
from server.core.http import LongText, RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.paging import Keyset, Page, fetch_page
from server.models.cases import CaseEvent, CaseFile
from server.models.households import Household
from server.models.visits import Visit
from server.residents.visit_records import RecordedVisit, list_recorded_visits, load_stances, visible_visits

_NEWEST_FIRST = Keyset(CaseEvent.at, CaseEvent.id, descending=True)


class GiveFeedback(RequestBody):
    """`text` is required for a dispute: what is wrong with the record."""

    stance: Literal["confirmed", "disputed"]
    text: LongText = ""


class FeedbackLine(ResponseBody):
    """A resident's feedback on the record of a visit."""

    case_id: UUID
    application_number: str
    head_name: str
    area_code: str
    visit_id: UUID
    stance: Literal["confirmed", "disputed"]
    text: str
    at: datetime


async def give_feedback(
    session: AsyncSession, caller: Caller, case_id: UUID, visit_id: UUID, body: GiveFeedback, now: datetime
) -> list[RecordedVisit]:
    """Confirm or dispute the record of a visit; staff read it on the case. Idempotent.

    Raises `case.reason_required` for a dispute without text, `case.closed` after the case has ended.
    """
    if body.stance == "disputed" and not body.text.strip():
        raise Problem("case.reason_required")
    case = await lock_case(session, caller, case_id)
    require_found(await session.scalar(select(Visit.id).where(Visit.id == visit_id, *visible_visits(case))))
    if (await load_stances(session, case, caller)).get(str(visit_id)) != body.stance:
        facts = {"visitId": str(visit_id), "residentId": str(caller.id), "reason": body.text.strip()}
        await record_case_event(session, caller, case, f"resident_{body.stance}", f"word:{new_id()}", facts, now)
    return await list_recorded_visits(session, caller, case_id)


async def record_case_event(
    session: AsyncSession,
    caller: Caller,
    case: CaseFile,
    step: str,
    cause: str,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    """Add a resident's step to the case. Raises `case.closed` when its state doesn't allow the step."""
    if not await apply_transition(session, case, step, cause=cause, actor_id=None, at=now, caller=caller, facts=facts):
        raise Problem("case.closed", state=case.state)


async def list_feedback(
    session: AsyncSession,
    caller: Caller,
    *,
    stance: Literal["confirmed", "disputed"] | None,
    cursor: str | None,
    limit: int,
) -> Page[FeedbackLine]:
    """List the feedback of residents in the caller's areas, the newest first. One query."""
    steps = [f"resident_{stance}"] if stance else ["resident_confirmed", "resident_disputed"]
    rows = (
        select(CaseEvent, CaseFile, Household.head_name)
        .join(CaseFile, CaseFile.id == CaseEvent.case_id)
        .join(Household, Household.id == CaseFile.household_id)
        .where(CaseFile.in_scope(caller), CaseEvent.step.in_(steps))
    )
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    return Page(items=[_feedback_line(*row) for row in page], next_cursor=next_cursor)


def _feedback_line(event: CaseEvent, case: CaseFile, head_name: str) -> FeedbackLine:
    return FeedbackLine(
        case_id=case.id,
        application_number=case.number,
        head_name=head_name,
        area_code=case.area_code,
        visit_id=UUID(event.facts["visitId"]),
        stance="confirmed" if event.step == "resident_confirmed" else "disputed",
        text=event.facts.get("reason", ""),
        at=event.at,
    )
