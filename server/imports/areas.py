"""Villages from a file: `代码` (12 digits) and `名称`; new ones are added, others renamed, ended ones marked."""

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import func, select

from server.core.access import Role
from server.core.working_days import day_of
from server.imports.columns import Column, Line
from server.imports.import_kind import Outcome, PlannedLine, PlanToApply, Work, refuse_if_faulty, refuse_repeats
from server.models.areas import LEVELS, Area
from server.models.households import Household
from server.models.people import StaffRole


class AreasImport:
    name = "areas"
    columns = (
        Column("code", "区划代码", ("代码", "统计用区划代码", "行政区划代码", "村代码", "code"), is_required=True),
        Column("name", "名称", ("村名", "村（社区）", "区划名称", "单位名称", "name"), is_required=True),
        Column("ended_on", "停用日期", ("撤销日期", "valid_until")),
    )
    roles = frozenset({Role.ADMIN, Role.COUNTY_OFFICER})
    makes_accounts = False
    counts_everywhere = False

    async def plan(self, work: Work, lines: Sequence[Line]) -> list[PlannedLine]:
        rows = await work.session.scalars(select(Area).where(Area.code.startswith(work.area_code, autoescape=True)))
        areas = {area.code: area for area in rows}
        in_file = {"".join(line.text("code").split()) for line in lines}
        planned = [_plan_line(line, work.area_code, areas, in_file) for line in lines]
        refuse_repeats(planned, "code")
        return planned

    async def apply(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        for plan in sorted(plans, key=lambda plan: len(plan.plan["code"])):
            code, name = plan.plan["code"], plan.plan["name"]
            area = await work.session.get(Area, code)
            plan.thing_id = code
            if area is None:
                area = Area(code=code, name=name, parent_code=parent_code(code), valid_from=day_of(work.now))
                work.session.add(area)
            else:
                ended_on = area.valid_until.isoformat() if area.valid_until else None
                plan.before = {"name": area.name, "ended_on": ended_on}
            area.name, area.valid_until = name, _day(plan.plan["ended_on"])
            await work.session.flush()  # a group's or village's parent may be in the same file

    async def find_acted_upon(self, work: Work, plans: Sequence[PlanToApply]) -> int:
        """Count added areas in which there is a household or a role by now."""
        added = Area.code.in_([plan.plan["code"] for plan in plans if plan.before is None])
        used = Area.code.in_(select(Household.area_code)) | Area.code.in_(select(StaffRole.area_code))
        return await work.session.scalar(select(func.count()).select_from(Area).where(added, used)) or 0

    async def undo(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        for plan in sorted(plans, key=lambda plan: -len(plan.plan["code"])):
            area = await work.session.get(Area, plan.plan["code"])
            if area is None:
                continue
            if plan.before is None:
                await work.session.delete(area)
                await work.session.flush()  # children before their parents
            else:
                area.name, area.valid_until = plan.before["name"], _day(plan.before["ended_on"])


def _plan_line(line: Line, under: str, areas: Mapping[str, Area], in_file: set[str]) -> PlannedLine:
    code, name, ended_on = "".join(line.required("code").split()), line.required("name"), line.day("ended_on")
    if code and (not code.isdigit() or len(code) not in LEVELS):
        line.add_fault("code", "area.not_a_code", "区划代码应为 6、9 或 12 位数字", "a code has 6, 9 or 12 digits")
    elif code and not code.startswith(under):
        line.add_fault("code", "area.elsewhere", f"不在 {under} 之内", f"not within {under}")
    elif code and code not in areas and not {parent_code(code)} & (in_file | set(areas)):
        line.add_fault("code", "area.no_parent", "没有上级区划", "its parent is unknown")
    if refused := refuse_if_faulty(line, name):
        return refused
    plan = {"code": code, "name": name, "ended_on": ended_on.isoformat() if ended_on else None}
    return PlannedLine(line=line, title=name, outcome=_compare(areas.get(code), name, ended_on), plan=plan)


def _compare(area: Area | None, name: str, ended_on: date | None) -> Outcome:
    if area is None:
        return "new"
    return "unchanged" if (area.name, area.valid_until) == (name, ended_on) else "changed"


def parent_code(code: str) -> str | None:
    return next((code[:digits] for digits in sorted(LEVELS, reverse=True) if digits < len(code)), None)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
