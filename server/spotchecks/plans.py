"""Spot-check plans: made for an area and a period, published with their population, drawn from once."""

from datetime import date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from msgspec import Meta, convert, to_builtins
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Role, readable, require_found, require_role
from server.core.clock import CHINA
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.ids import new_id
from server.models.areas import Area
from server.models.households import Household
from server.models.people import Staff
from server.models.review import SEVERITIES, ReviewItem, SpotCheck, SpotCheckPlan
from server.models.visits import Visit
from server.spotchecks.draw import METHOD, Design, PlanFile, Unit, draw, population_sha256

PLANNING_ROLES = frozenset({Role.COUNTY_OFFICER, Role.SUPERVISOR})


class WritePlan(RequestBody):
    area_code: Annotated[str, Meta(pattern="^[0-9]{2,12}$")]
    name: ShortText
    period_from: date
    period_to: date
    design: Design


class DrawPlan(RequestBody):
    """A seed that nobody could choose, such as the numbers of a public lottery drawn after publication."""

    sealed_fields = frozenset({"seed"})

    seed: Annotated[str, Meta(min_length=1, max_length=200)]


class PlanLine(ResponseBody):
    id: UUID
    area_code: str
    name: str
    period_from: date
    period_to: date
    design: Design
    written_at: datetime
    drawn_at: datetime | None
    seed: str | None
    method: str | None
    population: int | None
    population_sha256: str | None
    drawn: int | None


async def list_plans(session: AsyncSession, caller: Caller) -> list[PlanLine]:
    plans = await session.scalars(readable(SpotCheckPlan, caller).order_by(SpotCheckPlan.written_at.desc()).limit(200))
    return [await _plan_line(session, plan) for plan in plans]


async def create_plan(session: AsyncSession, caller: Caller, request: WritePlan, now: datetime) -> PlanLine:
    """Create a plan. Raises `thing.not_found` for an area that does not exist or is outside the caller's."""
    require_role(caller, PLANNING_ROLES)
    area = require_found(await session.get(Area, request.area_code))
    if not caller.covers(area.code, PLANNING_ROLES):
        raise Problem("thing.not_found")
    plan = SpotCheckPlan(
        id=new_id(),
        area_code=area.code,
        name=request.name,
        period_from=request.period_from,
        period_to=max(request.period_to, request.period_from),
        design=to_builtins(request.design),
        written_at=now,
        written_by=caller.id,
    )
    session.add(plan)
    audit.record(session, caller, Action.SPOT_CHECK_PLANNED, "spot_check_plan", plan.id, area_code=area.code)
    return await _plan_line(session, plan)


async def read_plan_file(session: AsyncSession, caller: Caller, plan_id: UUID) -> PlanFile:
    """Return the plan's file: after the draw with the population it was drawn from, before it with the current one."""
    plan: SpotCheckPlan = require_found(
        await session.scalar(readable(SpotCheckPlan, caller).where(SpotCheckPlan.id == plan_id))
    )
    if plan.population is not None:
        return convert(plan.population, PlanFile)
    return await _plan_file(session, plan)


async def draw_plan(session: AsyncSession, caller: Caller, plan_id: UUID, seed: str, now: datetime) -> PlanLine:
    """Draw the sample. Raises `spot_check.drawn` when the plan is drawn already."""
    require_role(caller, PLANNING_ROLES)
    plan: SpotCheckPlan = require_found(
        await session.scalar(readable(SpotCheckPlan, caller).where(SpotCheckPlan.id == plan_id).with_for_update())
    )
    if plan.drawn_at is not None:
        raise Problem("spot_check.drawn")
    file = await _plan_file(session, plan)
    drawn = draw(file, seed)
    plan.drawn_at, plan.drawn_by, plan.seed, plan.method = now, caller.id, seed, METHOD
    plan.population, plan.population_sha256 = to_builtins(file), population_sha256(file)
    areas = await _areas_of(session, [UUID(visit.id) for visit in drawn])
    session.add_all(
        SpotCheck(
            id=new_id(),
            plan_id=plan.id,
            visit_id=UUID(visit.id),
            area_code=areas[UUID(visit.id)],
            why=visit.why,
            stratum=visit.stratum,
            state="drawn",
        )
        for visit in drawn
    )
    audit.record(
        session,
        caller,
        Action.SPOT_CHECK_DRAWN,
        "spot_check_plan",
        plan.id,
        area_code=plan.area_code,
        seed=seed,
        population=len(file.population),
        population_sha256=plan.population_sha256,
        drawn=len(drawn),
    )
    return await _plan_line(session, plan)


async def _plan_file(session: AsyncSession, plan: SpotCheckPlan) -> PlanFile:
    return PlanFile(design=convert(plan.design, Design), population=await _population(session, plan))


async def _population(session: AsyncSession, plan: SpotCheckPlan) -> list[Unit]:
    """Return the complete visits of the area and period, without spot checks and voided ones, in order of id."""
    begin = datetime.combine(plan.period_from, time(), tzinfo=CHINA)
    end = datetime.combine(plan.period_to + timedelta(days=1), time(), tzinfo=CHINA)
    rows = await session.execute(
        select(
            Visit.id,
            Visit.area_code,
            Visit.kind,
            Household.class_,
            Household.relative_on_staff,
            Staff.login,
            ReviewItem.gravest,
        )
        .join(ReviewItem, ReviewItem.visit_id == Visit.id)
        .join(Household, Household.id == Visit.household_id)
        .join(Staff, Staff.id == Visit.author_id)
        .where(
            Visit.area_code.startswith(plan.area_code, autoescape=True),
            Visit.started_at >= begin,
            Visit.started_at < end,
            Visit.kind != "spot_check",
            Visit.state != "voided",
        )
        .order_by(Visit.id)
    )
    return [
        Unit(
            id=str(visit_id),
            village=area_code,
            class_=class_ or "",
            caseworker=login,
            finding="yes" if gravest > SEVERITIES.index("info") else "no",
            relative=relative,
            complaint=kind == "complaint",
        )
        for visit_id, area_code, kind, class_, relative, login, gravest in rows
    ]


async def _areas_of(session: AsyncSession, visit_ids: list[UUID]) -> dict[UUID, str]:
    rows = await session.execute(select(Visit.id, Visit.area_code).where(Visit.id.in_(visit_ids)))
    return dict(rows.all())


async def _plan_line(session: AsyncSession, plan: SpotCheckPlan) -> PlanLine:
    drawn = None
    if plan.drawn_at is not None:
        await session.flush()  # the count reads what a draw has just written
        drawn = await session.scalar(select(func.count()).select_from(SpotCheck).where(SpotCheck.plan_id == plan.id))
    return PlanLine(
        id=plan.id,
        area_code=plan.area_code,
        name=plan.name,
        period_from=plan.period_from,
        period_to=plan.period_to,
        design=convert(plan.design, Design),
        written_at=plan.written_at,
        drawn_at=plan.drawn_at,
        seed=plan.seed,
        method=plan.method,
        population=len(plan.population["population"]) if plan.population else None,
        population_sha256=plan.population_sha256,
        drawn=drawn,
    )
