"""Last time's answers, which an assignment carries so that a review need not be typed anew.

Of the last accepted intake or review alone, and only for the next intake or review: a spot check is blind, and what
neighbours or a complaint said is not for whoever visits next. Photos, signatures and places belong to their own visit,
and so do the talk and the opinion, the long texts.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.core.working_days import day_of
from server.models.checklists import ChecklistTemplate
from server.models.households import Assignment
from server.models.review import SpotCheck
from server.models.visits import Visit
from server.sync_feed.documents import LastAnswers
from server.sync_feed.publish import publish_change

CARRIED_KINDS = ("intake", "review")
CARRIED_QUESTIONS = frozenset(
    {"text", "integer", "money", "date", "choice", "multi_choice", "yes_no", "member_table", "income_table"}
)
LONGEST_TEXT = 500

Body = Mapping[str, Any]


async def load_last_answers(session: AsyncSession, assignments: Sequence[Assignment]) -> dict[UUID, LastAnswers]:
    """Return last time's answers by assignment, in two queries for any number of them."""
    carrying = [assignment for assignment in assignments if assignment.kind in CARRIED_KINDS]
    visits = await _last_visits(session, {assignment.household_id for assignment in carrying})
    pairs = [(row, visits[row.household_id]) for row in carrying if row.household_id in visits]
    checklists = await _checklists(
        session, {(row.checklist_code, row.checklist_version) for pair in pairs for row in pair}
    )
    return {
        assignment.id: LastAnswers(
            visited_on=day_of(visit.started_at or visit.received_at),
            answers=_shared_answers(
                visit.document.get("answers", {}),
                then=checklists[visit.checklist_code, visit.checklist_version],
                now=checklists[assignment.checklist_code, assignment.checklist_version],
            ),
        )
        for assignment, visit in pairs
    }


async def publish_last_answers(session: AsyncSession, visit: Visit) -> None:
    """Send the open assignments of this visit's home anew: its last accepted visit is another one."""
    if visit.kind not in CARRIED_KINDS:
        return
    open_ids = select(Assignment.id).where(
        Assignment.household_id == visit.household_id,
        Assignment.state == "open",
        Assignment.kind.in_(CARRIED_KINDS),
    )
    await publish_change(session, "assignments", (await session.scalars(open_ids)).all())


async def _last_visits(session: AsyncSession, household_ids: Collection[UUID]) -> dict[UUID, Visit]:
    if not household_ids:
        return {}
    began_at = func.coalesce(Visit.started_at, Visit.received_at)
    checked = aliased(Visit)
    # While a team is to look again without knowing, nobody of that home gets answers: its members hold it for a while.
    blind = select(checked.household_id).join(SpotCheck, SpotCheck.visit_id == checked.id)
    rows = await session.scalars(
        select(Visit)
        .ext(distinct_on(Visit.household_id))
        .where(Visit.household_id.in_(household_ids), Visit.kind.in_(CARRIED_KINDS), Visit.state == "accepted")
        .where(Visit.household_id.not_in(blind.where(SpotCheck.state == "assigned")))
        .order_by(Visit.household_id, began_at.desc(), Visit.id)
    )
    return {visit.household_id: visit for visit in rows}


async def _checklists(session: AsyncSession, names: Collection[tuple[str, int]]) -> dict[tuple[str, int], Body]:
    if not names:
        return {}
    rows = await session.scalars(
        select(ChecklistTemplate).where(tuple_(ChecklistTemplate.code, ChecklistTemplate.version).in_(names))
    )
    return {(row.code, row.version): row.body for row in rows}


def _shared_answers(answers: Mapping[str, Any], *, then: Body, now: Body) -> dict[str, Any]:
    asked_then, asked_now = _questions(then), _questions(now)
    shared: dict[str, Any] = {}
    for question_id, answer in answers.items():
        before, after = asked_then.get(question_id), asked_now.get(question_id)
        if before is None or after is None or before["kind"] != after["kind"] or not _is_carried(after):
            continue
        shared[question_id] = _shared_rows(answer, before, after) if after["kind"] == "member_table" else answer
    return shared


def _questions(body: Body) -> dict[str, Any]:
    return {question["id"]: question for section in body["sections"] for question in section["questions"]}


def _is_carried(question: Mapping[str, Any]) -> bool:
    if question["kind"] == "text" and question.get("maxLength", LONGEST_TEXT + 1) > LONGEST_TEXT:
        return False
    return question["kind"] in CARRIED_QUESTIONS


def _shared_rows(rows: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    kinds_then, kinds_now = ({column["id"]: column["kind"] for column in table["columns"]} for table in (before, after))
    same = {name for name, kind in kinds_now.items() if kinds_then.get(name) == kind}
    return [{name: cell for name, cell in row.items() if name == "memberId" or name in same} for row in rows]
