"""Groups of villages (村民组) from a file: new ones, others renamed (原组名), ended or in use again."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from server.core.access import Role
from server.core.normalise import clean_name
from server.households.groups import ensure_group, rename_group
from server.imports.columns import Column, Line
from server.imports.import_kind import Outcome, PlannedLine, PlanToApply, Work, refuse_if_faulty
from server.imports.places import Places, load_places
from server.models.areas import VillageGroup
from server.models.households import Household
from server.sync_feed.publish import publish_change

VILLAGE_DIGITS = 12
MAX_NAME = 40
Groups = Mapping[tuple[str, str], VillageGroup]


class GroupsImport:
    name = "groups"
    columns = (
        Column(
            "village",
            "所在村（社区）",
            ("村代码", "区划代码", "村（社区）", "村居", "行政村", "村名"),
            is_required=True,
        ),
        Column("name", "村民组", ("村民小组", "组名", "小组", "组", "社", "屯", "名称"), is_required=True),
        Column("was", "原组名", ("原名", "曾用名")),
        Column("ended_on", "停用日期", ("撤销日期",)),
    )
    roles = frozenset({Role.ADMIN, Role.COUNTY_OFFICER, Role.TOWN_OFFICER})
    makes_accounts = False
    counts_everywhere = False

    async def plan(self, work: Work, lines: Sequence[Line]) -> list[PlannedLine]:
        places = await load_places(work)
        rows = await work.session.scalars(
            select(VillageGroup).where(VillageGroup.village_code.startswith(work.area_code, autoescape=True))
        )
        groups = {(group.village_code, group.name): group for group in rows}
        seen: set[tuple[str, str]] = set()
        return [_plan_line(line, places, groups, seen) for line in lines]

    async def apply(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        for plan in plans:
            village, name, was = plan.plan["village"], plan.plan["name"], plan.plan["was"]
            plan.thing_id = f"{village} {name}"
            stored = await work.session.get(VillageGroup, (village, was or name))
            plan.before = None if stored is None else _describe(stored)
            if stored is not None and was is not None:
                await _publish(work, await rename_group(work.session, stored, name))
            group = await ensure_group(work.session, village, name)
            group.ended_on = _day(plan.plan["ended_on"])
            await work.session.flush()  # the next line may name it

    async def find_acted_upon(self, work: Work, plans: Sequence[PlanToApply]) -> int:
        """Count added groups in which there is a household by now."""
        added = [(plan.plan["village"], plan.plan["name"]) for plan in plans if plan.before is None]
        used = select(func.count(func.distinct(Household.area_code + Household.group_name))).where(
            func.row(Household.area_code, Household.group_name).in_(added)
        )
        return (await work.session.scalar(used) or 0) if added else 0

    async def undo(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        for plan in plans:
            group = await work.session.get(VillageGroup, (plan.plan["village"], plan.plan["name"]))
            if group is None:
                continue
            if plan.before is None:
                await work.session.delete(group)
            elif plan.before["name"] != group.name:
                await _publish(work, await rename_group(work.session, group, plan.before["name"]))
                group = await ensure_group(work.session, plan.plan["village"], plan.before["name"])
                group.ended_on = _day(plan.before["ended_on"])
            else:
                group.ended_on = _day(plan.before["ended_on"])
            await work.session.flush()  # the next line may name it


def _plan_line(line: Line, places: Places, groups: Groups, seen: set[tuple[str, str]]) -> PlannedLine:
    village = places.find(line, "village", least_digits=VILLAGE_DIGITS)
    name, was, ended_on = read_group(line, "name"), line.text("was") or None, line.day("ended_on")
    line.required("name")
    if village and name and (village, name) in seen:
        line.add_fault("name", "group.twice", "本文件中重复", "twice in this file")
    if village and was and (village, was) not in groups and (village, name or "") not in groups:
        line.add_fault("was", "group.unknown", f"没有这个组：{was[:20]}", f"no such group: {was[:20]}")
    seen.add((village or "", name or ""))
    if refused := refuse_if_faulty(line, name or ""):
        return refused
    assert village is not None
    assert name is not None
    renames = was if was != name and (village, was or "") in groups else None
    plan = {"village": village, "name": name, "was": renames, "ended_on": ended_on.isoformat() if ended_on else None}
    return PlannedLine(
        line=line,
        title=f"{places.names[village]} {name}",
        outcome=_compare(groups.get((village, renames or name)), renames, ended_on),
        plan=plan,
    )


def read_group(line: Line, key: str) -> str | None:
    """Return the group of a cell without inner spaces; a bare number is that of a group: 3 is 3组."""
    text = "".join(clean_name(line.text(key)).split())
    if len(text) > MAX_NAME:
        line.add_fault(key, "cell.too_long", f"最多 {MAX_NAME} 字", f"{MAX_NAME} characters at most")
        return None
    return (f"{int(text)}组" if text.isdecimal() else text) or None


def _compare(group: VillageGroup | None, renames: str | None, ended_on: date | None) -> Outcome:
    if group is None:
        return "new"
    return "unchanged" if renames is None and group.ended_on == ended_on else "changed"


def _describe(group: VillageGroup) -> dict[str, Any]:
    return {"name": group.name, "ended_on": group.ended_on.isoformat() if group.ended_on else None}


async def _publish(work: Work, household_ids: Sequence[UUID]) -> None:
    await publish_change(work.session, "households", household_ids)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
