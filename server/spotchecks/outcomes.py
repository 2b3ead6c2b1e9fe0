"""What a second visit found: compared with the first, fed back as a finding, and told as rates of agreement."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import convert, to_builtins
from sqlalchemy import Boolean, Text, column, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from server import audit
from server.checklists.template import Column, Template
from server.checklists.template import Text as Words
from server.checklists.wording import say_answer
from server.core import jobs
from server.core.access import REVIEW_ROLES, Caller, found, in_areas, readable, require
from server.core.database import open_session
from server.core.http import ResponseBody
from server.core.paging import Page, read_cursor, write_cursor
from server.core.services import Services
from server.core.tokens import utc_now
from server.models.areas import Area
from server.models.checklists import ChecklistTemplate
from server.models.households import Household, HouseholdMember
from server.models.people import Staff
from server.models.review import SpotCheck
from server.models.visits import Visit, VisitInvestigator
from server.spotchecks.blinding import require_not_blinded
from server.spotchecks.comparison import compare, name_cells
from server.spotchecks.teams import end_grants
from server.visits.answers import read_asked_answers

By = Literal["question", "caseworker", "village"]


class Agreement(ResponseBody):
    """Of one question, caseworker or village: how many answers were compared, and how many agreed."""

    key: str
    name: str
    compared: int
    agreed: int
    percent: float


class SpotCheckLine(ResponseBody):
    id: UUID
    plan_id: UUID | None
    visit_id: UUID
    area_code: str
    head_name: str
    why: str
    stratum: str
    state: str
    staff_id: UUID | None
    partner_id: UUID | None
    second_visit_id: UUID | None
    compared_at: datetime | None
    compared: int
    agreed: int


class ComparedLine(ResponseBody):
    """`first` and `second` as recorded; `label`, `tolerance` and the two sayings are for people, in both languages.

    `tolerance` is how far the answers may lie apart and still agree: an amount, a share of the first, or the larger.
    """

    question: str
    member_id: str | None
    member_name: str | None
    label: Words
    tolerance: Words | None
    agrees: bool
    first: Any
    second: Any
    first_said: Words
    second_said: Words


@jobs.task("spotchecks.compare")
async def compare_visits(services: Services, *, visit_id: str) -> None:
    """A visit of kind `spot_check` is whole: compare it with the first. Safe to run again.

    A visit that anyone of the first team took part in is no second look, and is left alone. What was compared stays:
    whoever corrects the second visit afterwards may have read the first by then.
    """
    async with open_session(services.sessions) as session:
        second = await session.get_one(Visit, UUID(visit_id))
        check = await session.scalar(
            select(SpotCheck).where(SpotCheck.assignment_id == second.assignment_id).with_for_update()
        )
        if second.assignment_id is None or check is None or check.state != "assigned":
            return
        if await _were_there(session, check.visit_id, second.id):
            return
        first = await session.get_one(Visit, check.visit_id)
        now = utc_now()
        check.comparison = await _compare(session, first, second)
        check.state, check.second_visit_id, check.compared_at = "compared", second.id, now
        agreed = sum(one["agrees"] for one in check.comparison)
        audit.record(
            session,
            None,
            "spot_check.compared",
            "spot_check",
            check.id,
            area_code=check.area_code,
            compared=len(check.comparison),
            agreed=agreed,
        )
        await session.flush()  # announce reads that the home is no longer the team's
        await end_grants(session, check, first.household_id, now)
        await jobs.defer(session, "review.look_again", visit_id=str(first.id), codes=["visit.differs_at_spot_check"])


async def _were_there(session: AsyncSession, first_id: UUID, second_id: UUID) -> bool:
    there = select(VisitInvestigator.staff_id).where(VisitInvestigator.visit_id == first_id)
    both = select(VisitInvestigator.staff_id).where(
        VisitInvestigator.visit_id == second_id, VisitInvestigator.staff_id.in_(there)
    )
    return await session.scalar(both.limit(1)) is not None


async def _compare(session: AsyncSession, first: Visit, second: Visit) -> list[dict[str, Any]]:
    """By the first visit's questions; the second asked the same, or those of the spot check's own checklist."""
    household = await session.get_one(
        Household, first.household_id, options=[selectinload(Household.members)], populate_existing=True
    )
    body, other = await _body(session, first), await _body(session, second)
    answers = [
        read_asked_answers(one, asked, household, household.members) for one, asked in ((first, body), (second, other))
    ]
    shared = {one["id"] for section in other["sections"] for one in section["questions"]}
    return [
        to_builtins(one)
        for one in compare(convert(body, Template), *answers)
        if one.question.partition(".")[0] in shared
    ]


async def _body(session: AsyncSession, visit: Visit) -> dict[str, Any]:
    body = await session.scalar(
        select(ChecklistTemplate.body).where(
            ChecklistTemplate.code == visit.checklist_code, ChecklistTemplate.version == visit.checklist_version
        )
    )
    assert body is not None, "a visit's checklist is held by a foreign key"
    return body


async def agreement(session: AsyncSession, caller: Caller, by: By, plan_id: UUID | None) -> list[Agreement]:
    """Rates of agreement, the lowest first. One query, and one for what the questions are called."""
    require(caller, REVIEW_ROLES)
    entry = (
        func.jsonb_to_recordset(SpotCheck.comparison)
        .table_valued(column("question", Text), column("agrees", Boolean), name="entry")
        .render_derived(with_types=True)
    )
    key, name = {
        "question": (entry.c.question, entry.c.question),
        "caseworker": (Staff.login, Staff.name),
        "village": (Area.code, Area.name),
    }[by]
    agreed = func.count().filter(entry.c.agrees)
    rows = (
        select(key, name, func.count(), agreed)
        .select_from(SpotCheck)
        .join(Visit, Visit.id == SpotCheck.visit_id)
        .join(Staff, Staff.id == Visit.author_id)
        .join(Area, Area.code == Visit.area_code)
        .join(entry, true())
        .where(SpotCheck.state == "compared", in_areas(SpotCheck.area_code, caller, REVIEW_ROLES))
        .group_by(key, name)
        .order_by(agreed * 1.0 / func.count(), key)
        .limit(1000)
    )
    if plan_id is not None:
        rows = rows.where(SpotCheck.plan_id == plan_id)
    names = await _question_names(session, caller) if by == "question" else {}
    return [
        Agreement(
            key=key_,
            name=names.get(key_, name_),
            compared=count,
            agreed=same,
            percent=round(100 * same / count, 1),
        )
        for key_, name_, count, same in await session.execute(rows)
    ]


async def _question_names(session: AsyncSession, caller: Caller) -> dict[str, str]:
    """What the questions that were compared are called, by the checklists of the first visits."""
    bodies = await session.scalars(
        select(ChecklistTemplate.body)
        .join(
            Visit,
            (ChecklistTemplate.code == Visit.checklist_code) & (ChecklistTemplate.version == Visit.checklist_version),
        )
        .join(SpotCheck, SpotCheck.visit_id == Visit.id)
        .where(SpotCheck.state == "compared", in_areas(SpotCheck.area_code, caller, REVIEW_ROLES))
        .distinct()
    )
    return {key: cell.label.zh for body in bodies for key, cell in name_cells(convert(body, Template)).items()}


async def list_checks(
    session: AsyncSession, caller: Caller, *, state: str | None, plan_id: UUID | None, cursor: str | None, limit: int
) -> Page[SpotCheckLine]:
    limit = max(1, min(limit, 200))
    rows = readable(SpotCheck, caller).order_by(SpotCheck.id).limit(limit + 1)
    if state is not None:
        rows = rows.where(SpotCheck.state == state)
    if plan_id is not None:
        rows = rows.where(SpotCheck.plan_id == plan_id)
    if (after := read_cursor(cursor, UUID)) is not None:
        rows = rows.where(SpotCheck.id > after[0])
    checks = list(await session.scalars(rows))
    page = checks[:limit]
    heads = await session.execute(
        select(Visit.id, Household.head_name)
        .join(Household, Household.id == Visit.household_id)
        .where(Visit.id.in_([one.visit_id for one in page]))
    )
    names: dict[UUID, str] = dict(heads.all())
    return Page(
        items=[_line(one, names[one.visit_id]) for one in page],
        next_cursor=write_cursor([str(page[-1].id)]) if len(checks) > limit else None,
    )


def _line(check: SpotCheck, head_name: str) -> SpotCheckLine:
    comparison = check.comparison or []
    return SpotCheckLine(
        id=check.id,
        plan_id=check.plan_id,
        visit_id=check.visit_id,
        area_code=check.area_code,
        head_name=head_name,
        why=check.why,
        stratum=check.stratum,
        state=check.state,
        staff_id=check.staff_id,
        partner_id=check.partner_id,
        second_visit_id=check.second_visit_id,
        compared_at=check.compared_at,
        compared=len(comparison),
        agreed=sum(one["agrees"] for one in comparison),
    )


async def open_comparison(session: AsyncSession, caller: Caller, spot_check_id: UUID) -> list[ComparedLine]:
    """Both teams' answers side by side, what differs first; empty until there are both.

    Raises `review.blind` for who is on the way to check the same visit once more.
    """
    check: SpotCheck = found(await session.scalar(readable(SpotCheck, caller).where(SpotCheck.id == spot_check_id)))
    if check.comparison:
        await require_not_blinded(session, caller, check.visit_id)
    audit.record(session, caller, "spot_check.opened", "spot_check", check.id, area_code=check.area_code)
    first = await session.get_one(Visit, check.visit_id)
    cells = name_cells(convert(await _body(session, first), Template))
    members = await session.execute(
        select(HouseholdMember.id, HouseholdMember.name).where(HouseholdMember.household_id == first.household_id)
    )
    names = {str(member_id): name for member_id, name in members}
    lines = [_worded(one, cells.get(one["question"]), names) for one in check.comparison or []]
    return sorted(lines, key=lambda one: one.agrees)


def _worded(entry: dict[str, Any], cell: Column | None, names: dict[str, str]) -> ComparedLine:
    cell = cell or Column(entry["question"], "text", Words(entry["question"], entry["question"]))
    return ComparedLine(
        question=entry["question"],
        member_id=entry["memberId"],
        member_name=names.get(entry["memberId"] or ""),
        label=cell.label,
        tolerance=_say_tolerance(cell),
        agrees=entry["agrees"],
        first=entry["first"],
        second=entry["second"],
        first_said=say_answer(cell, entry["first"]),
        second_said=say_answer(cell, entry["second"]),
    )


def _say_tolerance(cell: Column) -> Words | None:
    if cell.tolerance is None:
        return None
    amount, percent = cell.tolerance.absolute, cell.tolerance.percent
    said = say_answer(cell, amount)
    shares = [f"{percent}%"] if percent else []
    zh, en = ([one, *shares] if amount else shares for one in (said.zh, said.en))
    return Words(" 或 ".join(zh), " or ".join(en)) if zh else None
