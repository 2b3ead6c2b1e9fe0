"""Visits to the household as they were recorded, for its residents to read.

The household signs a visit's form, so it may read it. Only intake and review visits are shown: what neighbours
or a complainant said is not.
"""

from datetime import datetime, time
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.loading import load_case
from server.checklists.template import Column, Question, Template, iter_questions
from server.checklists.wording import RenderedRow, render_rows
from server.core.access import Caller
from server.core.clock import CHINA
from server.core.http import ResponseBody
from server.models.cases import CLOSED_STATES, CaseEvent, CaseFile
from server.models.checklists import ChecklistTemplate
from server.models.households import Household, HouseholdMember
from server.models.people import Staff
from server.models.visits import Visit, VisitInvestigator
from server.policy.resolver import load_policy_values
from server.visits.answers import read_asked_answers

_VISIBLE_KINDS = ("intake", "review")
_VISIBLE_STATES = ("submitted", "amended", "under_review", "accepted", "escalated")
# What the investigators think, in the shipped checklists; an office's own forms say it by what a question feeds.
_OPINIONS = frozenset({"conclusion", "opinion", "proposal"})
OPINION_SETTING = "resident.opinion_before_decision"
# Photos, signatures and positions are not part of this view.
_HIDDEN_KINDS = frozenset({"photo", "signature", "geopoint"})


class RecordedCell(ResponseBody):
    """A table cell: `zh` and `en` are its label, `said_zh` and `said_en` the recorded value."""

    zh: str
    en: str
    said_zh: str
    said_en: str


class RecordedRow(ResponseBody):
    """A table row, such as a member or a kind of income."""

    zh: str
    en: str
    cells: list[RecordedCell]


class RecordedAnswer(ResponseBody):
    """`value` as recorded: choices and yes/no as text, money in fen. A table has its content in `rows`."""

    question_id: str
    kind: str
    zh: str
    en: str
    value: Any
    rows: list[RecordedRow]


class RecordedVisit(ResponseBody):
    """`stance` is this resident's feedback, or null."""

    id: UUID
    kind: str
    started_at: datetime | None
    visitors: list[str]
    answers: list[RecordedAnswer]
    stance: Literal["confirmed", "disputed"] | None


async def list_recorded_visits(session: AsyncSession, caller: Caller, case_id: UUID) -> list[RecordedVisit]:
    """List the visits to the household since the application, the newest first."""
    case = await load_case(session, caller, case_id)
    rows = (
        await session.execute(
            select(Visit, ChecklistTemplate.body)
            .join(
                ChecklistTemplate,
                (ChecklistTemplate.code == Visit.checklist_code)
                & (ChecklistTemplate.version == Visit.checklist_version),
            )
            .where(*visible_visits(case))
            .order_by(Visit.started_at.desc())
            .limit(20)
        )
    ).all()
    ids = [visit.id for visit, _ in rows]
    names = await _load_visitor_names(session, ids)
    stances = await load_stances(session, case, caller)
    household = await session.get_one(Household, case.household_id)
    members = await _load_members(session, case)
    member_names = {str(member.id): member.name for member in members}
    shows_opinion = await _shows_opinion(session, case)
    return [
        RecordedVisit(
            id=visit.id,
            kind=visit.kind,
            started_at=visit.started_at,
            visitors=names.get(visit.id, []),
            answers=_recorded_answers(
                msgspec.convert(body, Template),
                read_asked_answers(visit, body, household, members),
                member_names,
                shows_opinion=shows_opinion,
            ),
            stance=stances.get(str(visit.id)),
        )
        for visit, body in rows
    ]


async def _shows_opinion(session: AsyncSession, case: CaseFile) -> bool:
    """The investigators' opinion is shown with the decision, before it only where the area wants that."""
    if case.decided_on is not None or case.state in CLOSED_STATES:
        return True
    settings = await load_policy_values(session, case.area_code, case.rules_on, [OPINION_SETTING])
    return bool(settings.get(OPINION_SETTING))


def visible_visits(case: CaseFile) -> list[Any]:
    return [
        Visit.household_id == case.household_id,
        Visit.kind.in_(_VISIBLE_KINDS),
        Visit.state.in_(_VISIBLE_STATES),
        Visit.started_at >= datetime.combine(case.applied_on, time(), tzinfo=CHINA),
    ]


async def _load_visitor_names(session: AsyncSession, visit_ids: list[UUID]) -> dict[UUID, list[str]]:
    rows = await session.execute(
        select(VisitInvestigator.visit_id, Staff.name)
        .join(Staff, Staff.id == VisitInvestigator.staff_id)
        .where(VisitInvestigator.visit_id.in_(visit_ids))
        .order_by(Staff.name)
    )
    names: dict[UUID, list[str]] = {}
    for visit_id, name in rows:
        names.setdefault(visit_id, []).append(name)
    return names


async def _load_members(session: AsyncSession, case: CaseFile) -> list[HouseholdMember]:
    rows = await session.scalars(
        select(HouseholdMember)
        .where(HouseholdMember.household_id == case.household_id)
        .order_by(HouseholdMember.position)
    )
    return list(rows)


async def load_stances(
    session: AsyncSession, case: CaseFile, caller: Caller
) -> dict[str, Literal["confirmed", "disputed"]]:
    events = await session.scalars(
        select(CaseEvent)
        .where(CaseEvent.case_id == case.id, CaseEvent.step.in_(["resident_confirmed", "resident_disputed"]))
        .order_by(CaseEvent.at, CaseEvent.id)
    )
    return {
        event.facts["visitId"]: "confirmed" if event.step == "resident_confirmed" else "disputed"
        for event in events
        if event.facts.get("residentId") == str(caller.id)
    }


def _recorded_answers(
    template: Template, answers: dict[str, Any], member_names: dict[str, str], *, shows_opinion: bool
) -> list[RecordedAnswer]:
    return [
        RecordedAnswer(
            question_id=question.id,
            kind=question.kind,
            zh=question.label.zh,
            en=question.label.en,
            value=_answer_value(question, answers[question.id]),
            rows=[_recorded_row(row) for row in render_rows(question, answers[question.id], member_names)],
        )
        for question in iter_questions(template)
        if question.id in answers
        and question.kind not in _HIDDEN_KINDS
        and (shows_opinion or not _is_opinion(question))
    ]


def _is_opinion(question: Question) -> bool:
    return question.id in _OPINIONS or question.feeds == "recommendation"


def _answer_value(question: Column, value: Any) -> Any:
    labels = {choice.code: choice.label.zh for choice in question.choices}
    if question.kind == "yes_no":
        return {True: "是", False: "否"}.get(value, value)
    if question.kind == "choice":
        return labels.get(value, value)
    return [labels.get(code, code) for code in value] if question.kind == "multi_choice" else value


def _recorded_row(row: RenderedRow) -> RecordedRow:
    title, cells = row
    recorded_cells = [RecordedCell(zh=label.zh, en=label.en, said_zh=text.zh, said_en=text.en) for label, text in cells]
    return RecordedRow(zh=title.zh, en=title.en, cells=recorded_cells)
