"""Found against record at the desk: read what accepted visits found for a case, adopt it or write why not."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.benefits.adopted_figures import adopt_figure, load_not_counted
from server.benefits.figures import monthly_fen
from server.benefits.found_differences import TOLERANCE, find_difference
from server.benefits.register_figures import Register, differs, load_register
from server.cases.difference_reasons import DifferenceReasonLine, list_difference_reasons, starting_step
from server.cases.figure_sources import FigurePhoto, FigureSource, load_figure_sources
from server.cases.loading import load_case, lock_case, roles_over_case
from server.cases.visit_orders import order_visit, survey_due_date
from server.core.access import Caller, Role
from server.core.errors import Problem
from server.core.http import LongText, RequestBody, ResponseBody
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.cases import CaseFile
from server.models.found_figures import FoundFigure
from server.models.households import Assignment, Household, HouseholdMember
from server.models.people import Staff
from server.models.visits import Visit
from server.policy.resolver import load_policy_values

FIGURE_TEXTS = {
    "wage": ("工资性收入", "Wages"),
    "business": ("经营净收入", "Net income of a business"),
    "property": ("财产净收入", "Net income of property"),
    "transfer": ("转移净收入", "Net transfers"),
    "cost": ("扣减支出", "Costs, deducted"),
    "work_cost": ("就业成本", "Costs of work"),
    "home": ("住房", "Homes"),
    "vehicle": ("车辆", "Vehicles"),
    "deposit": ("存款等金融资产", "Savings and securities"),
    "business_count": ("经营实体", "Businesses"),
    "health": ("健康状况", "Health"),
    "labour_ability": ("劳动能力", "Ability to work"),
    "recommendation": ("复核建议", "Recommendation"),
}


class FoundFigureLine(ResponseBody):
    """A figure that an accepted visit found, and what the register says.

    `found_amount` and `declared_amount`: fen a month of an income or cost, fen of savings, a count of anything else;
    the visit wrote `total_amount` over `months` months. `found_value`: a code. `verdict` is null until a person has
    decided.
    """

    id: UUID
    visit_id: UUID
    visited_at: datetime
    question_id: str
    question_zh: str
    question_en: str
    photos: list[FigurePhoto]
    figure: str
    zh: str
    en: str
    member_id: UUID | None
    member_name: str | None
    found_amount: int | None
    total_amount: int | None
    months: int | None
    found_value: str | None
    declared_amount: int | None
    registered_amount: int | None
    registered_value: str | None
    differs: bool
    verdict: str | None
    reason: str
    decided_by_name: str | None
    decided_at: datetime | None


class VisitSource(ResponseBody):
    id: UUID
    kind: str
    visited_at: datetime


class FoundAgainstRecord(ResponseBody):
    """`difference_fen`: a head and month, between what was found and the calculation that the next decision rests on.

    It is the greater of `visit_difference_fen` and `check_difference_fen` (what other offices found above it). Above
    `tolerance_fen` that decision needs a reason and a second person. `visits`: the accepted visits that the case rests
    on.
    """

    figures: list[FoundFigureLine]
    visits: list[VisitSource]
    step: str
    difference_fen: int | None
    visit_difference_fen: int | None
    check_difference_fen: int | None
    tolerance_fen: int
    reasons: list[DifferenceReasonLine]


class DeclineFigure(RequestBody):
    reason: LongText


class AdoptFigure(RequestBody):
    """`note`: what was done about a recommendation; not needed for a figure of the register.

    `orders_visit`: what is done about it is another review visit, which is ordered with the adoption.
    """

    note: LongText = ""
    orders_visit: bool = False


async def list_found_figures(session: AsyncSession, caller: Caller, case_id: UUID, now: datetime) -> FoundAgainstRecord:
    """List the current lines of a case, and by how much its calculation differs. Raises `case.own_relative`."""
    case = await load_case(session, caller, case_id)
    await require_no_conflict_of_interest(session, caller, case.household_id)
    step = starting_step(case)
    difference = await find_difference(session, case, step)
    settings = await load_policy_values(session, case.area_code, case.rules_on, [TOLERANCE])
    return FoundAgainstRecord(
        figures=await _list_lines(session, case, now),
        visits=await _list_visits(session, case),
        step=step,
        difference_fen=difference.per_head_fen if difference else None,
        visit_difference_fen=difference.visit_fen if difference else None,
        check_difference_fen=difference.check_fen if difference else None,
        tolerance_fen=int(settings.get(TOLERANCE, 0)),
        reasons=await list_difference_reasons(session, case),
    )


async def _list_visits(session: AsyncSession, case: CaseFile) -> list[VisitSource]:
    """List the accepted visits of the case: ordered for it, or read for it; the newest first."""
    visited_at = func.coalesce(Visit.started_at, Visit.received_at)
    ordered = select(Assignment.id).where(Assignment.case_id == case.id)
    read = select(FoundFigure.visit_id).where(FoundFigure.case_id == case.id)
    rows = await session.scalars(
        select(Visit)
        .where(
            Visit.household_id == case.household_id,
            Visit.state == "accepted",
            or_(Visit.assignment_id.in_(ordered), Visit.id.in_(read)),
        )
        .order_by(visited_at.desc(), Visit.id.desc())
    )
    return [
        VisitSource(id=visit.id, kind=visit.kind, visited_at=visit.started_at or visit.received_at) for visit in rows
    ]


async def _list_lines(session: AsyncSession, case: CaseFile, now: datetime) -> list[FoundFigureLine]:
    today = day_of(now)
    not_counted = await load_not_counted(session, case.area_code, today)
    register = await load_register(session, case.household_id, not_counted, today)
    rows = await session.execute(
        select(FoundFigure, Visit, Staff.name, HouseholdMember.name)
        .join(Visit, Visit.id == FoundFigure.visit_id)
        .outerjoin(Staff, Staff.id == FoundFigure.decided_by)
        .outerjoin(HouseholdMember, HouseholdMember.id == FoundFigure.member_id)
        .where(FoundFigure.case_id == case.id, FoundFigure.state == "current")
        .order_by(FoundFigure.id)
    )
    found = [(figure, visit, decider, member) for figure, visit, decider, member in rows]
    sources = await load_figure_sources(session, [(figure, visit) for figure, visit, _, _ in found])
    no_source = FigureSource("", "", [])
    return [
        _line(figure, visit, decider, member, register, sources.get(figure.id, no_source))
        for figure, visit, decider, member in found
    ]


def _line(
    figure: FoundFigure,
    visit: Visit,
    decider: str | None,
    member: str | None,
    register: Register,
    source: FigureSource,
) -> FoundFigureLine:
    zh, en = FIGURE_TEXTS[figure.figure]
    registered = register.get((figure.figure, figure.member_id))
    return FoundFigureLine(
        id=figure.id,
        visit_id=visit.id,
        visited_at=visit.started_at or visit.received_at,
        question_id=figure.question_id,
        question_zh=source.zh,
        question_en=source.en,
        photos=source.photos,
        figure=figure.figure,
        zh=zh,
        en=en,
        member_id=figure.member_id,
        member_name=member,
        found_amount=_a_month(figure.amount, figure.months),
        total_amount=figure.amount,
        months=figure.months,
        found_value=figure.value,
        declared_amount=_a_month(figure.declared, figure.months),
        registered_amount=registered if isinstance(registered, int) else None,
        registered_value=registered if isinstance(registered, str) else None,
        differs=differs(figure, register),
        verdict=figure.verdict,
        reason=figure.reason,
        decided_by_name=decider,
        decided_at=figure.decided_at,
    )


def _a_month(amount: int | None, months: int | None) -> int | None:
    return amount if amount is None or months is None else monthly_fen(amount, months)


async def adopt_found_figure(
    session: AsyncSession, caller: Caller, case_id: UUID, figure_id: UUID, body: AdoptFigure, now: datetime
) -> FoundAgainstRecord:
    """Adopt a line: the figure becomes the register's. A recommendation takes a note of what was done. Idempotent.

    Raises `case.own_relative`, `found_figure.not_current`, `found_figure.decided`, `case.reason_required` and what
    writing the register raises.
    """
    case, figure = await _lock_line(session, caller, case_id, figure_id, "adopted")
    if figure.verdict is None:
        if figure.figure == "recommendation":
            if not body.note.strip():
                raise Problem("case.reason_required")
            if body.orders_visit:
                due_on = await survey_due_date(session, case, day_of(now))
                await order_visit(session, case, "review", due_on, caller.id)
        else:
            household = await session.get_one(Household, case.household_id)
            await adopt_figure(session, caller, household, figure, now)
        _decide(session, caller, case, figure, "adopted", body.note, now)
    return await list_found_figures(session, caller, case_id, now)


async def decline_found_figure(
    session: AsyncSession, caller: Caller, case_id: UUID, figure_id: UUID, body: DeclineFigure, now: datetime
) -> FoundAgainstRecord:
    """Write why a line is not adopted. The register stays as it is. Idempotent. Raises as adopting does."""
    if not body.reason.strip():
        raise Problem("case.reason_required")
    case, figure = await _lock_line(session, caller, case_id, figure_id, "declined")
    if figure.verdict is None:
        _decide(session, caller, case, figure, "declined", body.reason, now)
    return await list_found_figures(session, caller, case_id, now)


async def _lock_line(
    session: AsyncSession, caller: Caller, case_id: UUID, figure_id: UUID, verdict: str
) -> tuple[CaseFile, FoundFigure]:
    """Lock case, household and line, in the order of all who write a register."""
    case = await lock_case(session, caller, case_id)
    if Role.TOWN_OFFICER not in roles_over_case(caller, case):
        raise Problem("auth.forbidden", roles=Role.TOWN_OFFICER)
    await require_no_conflict_of_interest(session, caller, case.household_id)
    await session.get_one(Household, case.household_id, with_for_update=True)
    figure = await session.get(FoundFigure, figure_id, with_for_update=True, populate_existing=True)
    if figure is None or figure.case_id != case.id:
        raise Problem("thing.not_found")
    if figure.state != "current":
        raise Problem("found_figure.not_current")
    if figure.verdict not in {None, verdict}:
        raise Problem("found_figure.decided")
    return case, figure


def _decide(
    session: AsyncSession, caller: Caller, case: CaseFile, figure: FoundFigure, verdict: str, reason: str, now: datetime
) -> None:
    figure.verdict, figure.reason = verdict, reason.strip()
    figure.decided_by, figure.decided_at = caller.id, now
    action = Action.CASE_FOUND_ADOPTED if verdict == "adopted" else Action.CASE_FOUND_DECLINED
    audit.record(
        session, caller, action, "case", case.id, area_code=case.area_code,
        figure=figure.figure, visit=str(figure.visit_id),
    )  # fmt: skip
