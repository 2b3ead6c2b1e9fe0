"""What the household says for itself: whether a visit was recorded rightly, and what has changed at home.

A visit's form is the household's too (they sign it), so they read it here as it was recorded. Only intake and
review visits: what neighbours or a complaint said is not shown.
"""

from calendar import monthrange
from datetime import date, datetime, time
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.change_reports import LONGEST_PAGE
from server.cases.transitions import move
from server.checklists.template import Column, Template, questions_of
from server.checklists.wording import Row, say_rows
from server.core.access import Caller, found, readable
from server.core.errors import Problem
from server.core.http import LongText, RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.paging import Page, cut_page, read_place
from server.core.working_days import CHINA, day_of
from server.models.benefits import ChangeReport
from server.models.cases import CaseEvent, CaseFile
from server.models.checklists import ChecklistTemplate
from server.models.households import Household, HouseholdMember
from server.models.people import Staff
from server.models.visits import Visit, VisitInvestigator
from server.policy.resolver import policy_values
from server.visits.answers import read_asked_answers

_SHOWN_KINDS = ("intake", "review")
_SHOWN_STATES = ("submitted", "amended", "under_review", "accepted", "escalated")
# Pictures, signatures and places are looked at elsewhere.
_NOT_SHOWN = frozenset({"photo", "signature", "geopoint"})


class RecordedCell(ResponseBody):
    """`zh` and `en` name it; the others say what was recorded."""

    zh: str
    en: str
    said_zh: str
    said_en: str


class RecordedRow(ResponseBody):
    """A member, or a kind of income, with what was recorded of it."""

    zh: str
    en: str
    cells: list[RecordedCell]


class RecordedAnswer(ResponseBody):
    """`value` as recorded; choices and yes or no as words, money in fen. A table's `rows` say it whole."""

    question_id: str
    kind: str
    zh: str
    en: str
    value: Any
    rows: list[RecordedRow]


class RecordedVisit(ResponseBody):
    """`stance` is what this resident said of it, or null."""

    id: UUID
    kind: str
    started_at: datetime | None
    visitors: list[str]
    answers: list[RecordedAnswer]
    stance: Literal["confirmed", "disputed"] | None


class Word(RequestBody):
    """A dispute says what is wrong."""

    stance: Literal["confirmed", "disputed"]
    text: LongText = ""


class Change(RequestBody):
    """`id` is the phone's, so that a report sent twice is one."""

    id: UUID
    kind: Literal["new_job", "job_lost", "birth", "death", "moved", "other"]
    text: Annotated[str, Meta(min_length=2, max_length=2000)]
    happened_on: date | None = None


async def list_recorded(session: AsyncSession, caller: Caller, case_id: UUID) -> list[RecordedVisit]:
    """The visits to the caller's home since they applied, the newest first."""
    case: CaseFile = found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    rows = (
        await session.execute(
            select(Visit, ChecklistTemplate.body)
            .join(
                ChecklistTemplate,
                (ChecklistTemplate.code == Visit.checklist_code)
                & (ChecklistTemplate.version == Visit.checklist_version),
            )
            .where(*_shown(case))
            .order_by(Visit.started_at.desc())
            .limit(20)
        )
    ).all()
    ids = [visit.id for visit, _ in rows]
    names = await _visitors(session, ids)
    said = await _stances(session, case, caller)
    household = await session.get_one(Household, case.household_id)
    members = await _members(session, case)
    # The household's own names, for its own eyes.
    called = {str(one.id): one.name for one in members}
    return [
        RecordedVisit(
            id=visit.id,
            kind=visit.kind,
            started_at=visit.started_at,
            visitors=names.get(visit.id, []),
            answers=_answers(
                msgspec.convert(body, Template), read_asked_answers(visit, body, household, members), called
            ),
            stance=said.get(str(visit.id)),
        )
        for visit, body in rows
    ]


def _shown(case: CaseFile) -> list[Any]:
    return [
        Visit.household_id == case.household_id,
        Visit.kind.in_(_SHOWN_KINDS),
        Visit.state.in_(_SHOWN_STATES),
        Visit.started_at >= datetime.combine(case.applied_on, time(), tzinfo=CHINA),
    ]


async def _visitors(session: AsyncSession, visit_ids: list[UUID]) -> dict[UUID, list[str]]:
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


async def _members(session: AsyncSession, case: CaseFile) -> list[HouseholdMember]:
    rows = await session.scalars(
        select(HouseholdMember)
        .where(HouseholdMember.household_id == case.household_id)
        .order_by(HouseholdMember.position)
    )
    return list(rows)


async def _stances(
    session: AsyncSession, case: CaseFile, caller: Caller
) -> dict[str, Literal["confirmed", "disputed"]]:
    events = await session.scalars(
        select(CaseEvent)
        .where(CaseEvent.case_id == case.id, CaseEvent.step.in_(["resident_confirmed", "resident_disputed"]))
        .order_by(CaseEvent.at, CaseEvent.id)
    )
    return {
        one.facts["visitId"]: "confirmed" if one.step == "resident_confirmed" else "disputed"
        for one in events
        if one.facts.get("residentId") == str(caller.id)
    }


def _answers(template: Template, answers: dict[str, Any], called: dict[str, str]) -> list[RecordedAnswer]:
    return [
        RecordedAnswer(
            question_id=one.id,
            kind=one.kind,
            zh=one.label.zh,
            en=one.label.en,
            value=_worded(one, answers[one.id]),
            rows=[_row(row) for row in say_rows(one, answers[one.id], called)],
        )
        for one in questions_of(template)
        if one.id in answers and one.kind not in _NOT_SHOWN
    ]


def _row(row: Row) -> RecordedRow:
    title, cells = row
    said = [RecordedCell(zh=label.zh, en=label.en, said_zh=text.zh, said_en=text.en) for label, text in cells]
    return RecordedRow(zh=title.zh, en=title.en, cells=said)


def _worded(question: Column, value: Any) -> Any:
    words = {choice.code: choice.label.zh for choice in question.choices}
    if question.kind == "yes_no":
        return {True: "是", False: "否"}.get(value, value)
    if question.kind == "choice":
        return words.get(value, value)
    return [words.get(one, one) for one in value] if question.kind == "multi_choice" else value


async def give_word(
    session: AsyncSession, caller: Caller, case_id: UUID, visit_id: UUID, asked: Word, now: datetime
) -> list[RecordedVisit]:
    """Confirm or dispute a visit, for staff to read on the case. The same word again is once.

    Raises `case.reason_required` for a dispute that says nothing, `case.closed` after the case has ended.
    """
    if asked.stance == "disputed" and not asked.text.strip():
        raise Problem("case.reason_required")
    case = await _locked(session, caller, case_id)
    found(await session.scalar(select(Visit.id).where(Visit.id == visit_id, *_shown(case))))
    if (await _stances(session, case, caller)).get(str(visit_id)) != asked.stance:
        facts = {"visitId": str(visit_id), "residentId": str(caller.id), "reason": asked.text.strip()}
        await _note(session, caller, case, f"resident_{asked.stance}", f"word:{new_id()}", facts, now)
    return await list_recorded(session, caller, case_id)


async def report_change(session: AsyncSession, caller: Caller, case_id: UUID, asked: Change, now: datetime) -> None:
    """A new job, a birth, a death, a move: on the case and in the desk's inbox, until it is answered."""
    case = await _locked(session, caller, case_id)
    cause = f"change:{asked.id}"
    if await session.scalar(select(CaseEvent.id).where(CaseEvent.case_id == case.id, CaseEvent.cause == cause)) is None:
        facts = {"kind": asked.kind, "residentId": str(caller.id), "reason": asked.text.strip()}
        await _note(session, caller, case, "change_reported", cause, facts, now)
        if await session.get(ChangeReport, asked.id) is not None:
            raise Problem("request.idempotency_key_reused")  # the id of a report of another case
        session.add(
            ChangeReport(
                id=asked.id,
                case_id=case.id,
                resident_id=caller.id,
                kind=asked.kind,
                text=asked.text.strip(),
                happened_on=asked.happened_on,
                reported_at=now,
                due_on=await _due(session, case, asked, day_of(now)),
            )
        )


async def _due(session: AsyncSession, case: CaseFile, asked: Change, today: date) -> date | None:
    """A death is handled within so many months, by the rules of the day it is told; a day to come is a slip."""
    if asked.kind != "death":
        return None
    rules = await policy_values(session, case.area_code, today, ["change.death_months"])
    return months_after(min(asked.happened_on or today, today), int(rules["change.death_months"]))


def months_after(on: date, months: int) -> date:
    """The same day of a later month, or that month's last."""
    place = on.year * 12 + on.month - 1 + months
    year, month = place // 12, place % 12 + 1
    return date(year, month, min(on.day, monthrange(year, month)[1]))


async def _locked(session: AsyncSession, caller: Caller, case_id: UUID) -> CaseFile:
    case: CaseFile = found(
        await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id).with_for_update())
    )
    return case


async def _note(
    session: AsyncSession,
    caller: Caller,
    case: CaseFile,
    step: str,
    cause: str,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    if not await move(session, case, step, cause=cause, actor_id=None, at=now, caller=caller, facts=facts):
        raise Problem("case.closed", state=case.state)


class HouseholdSaid(ResponseBody):
    """What a resident said of a visit's record."""

    case_id: UUID
    application_number: str
    head_name: str
    area_code: str
    visit_id: UUID
    stance: Literal["confirmed", "disputed"]
    text: str
    at: datetime


async def list_said(
    session: AsyncSession,
    caller: Caller,
    *,
    stance: Literal["confirmed", "disputed"] | None,
    cursor: str | None,
    limit: int,
) -> Page[HouseholdSaid]:
    """What residents of the caller's areas said of their visits, the newest first. One query."""
    limit = max(1, min(limit, LONGEST_PAGE))
    steps = [f"resident_{stance}"] if stance else ["resident_confirmed", "resident_disputed"]
    rows = (
        select(CaseEvent, CaseFile, Household.head_name)
        .join(CaseFile, CaseFile.id == CaseEvent.case_id)
        .join(Household, Household.id == CaseFile.household_id)
        .where(CaseFile.in_scope(caller), CaseEvent.step.in_(steps))
        .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        .limit(limit + 1)
    )
    if (after := read_place(cursor, datetime.fromisoformat)) is not None:
        at, last = after
        rows = rows.where(or_(CaseEvent.at < at, and_(CaseEvent.at == at, CaseEvent.id < last)))
    found_rows = (await session.execute(rows)).all()
    page, next_cursor = cut_page(found_rows, limit, lambda row: [row[0].at.isoformat(), str(row[0].id)])
    return Page(items=[_said(*row) for row in page], next_cursor=next_cursor)


def _said(event: CaseEvent, case: CaseFile, head_name: str) -> HouseholdSaid:
    return HouseholdSaid(
        case_id=case.id,
        application_number=case.number,
        head_name=head_name,
        area_code=case.area_code,
        visit_id=UUID(event.facts["visitId"]),
        stance="confirmed" if event.step == "resident_confirmed" else "disputed",
        text=event.facts.get("reason", ""),
        at=event.at,
    )
