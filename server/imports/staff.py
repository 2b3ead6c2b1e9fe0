"""Staff from a file: a line is a person with a role in an area. New people get an account, those who left lose theirs.

Without a login the phone number is the login. The passwords are set by one-time links, printed as slips afterwards.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from server.core.access import Role
from server.core.id_numbers import mask_phone
from server.core.ids import new_id
from server.identity.accounts import (
    MANAGERS,
    ChangeStaff,
    NewStaff,
    RoleBody,
    change_details,
    create_staff,
    end_account,
    ensure_role,
    may_grant,
)
from server.imports.columns import Column, Line
from server.imports.import_kind import Outcome, PlannedLine, PlanToApply, Work, refuse_if_faulty
from server.imports.places import Places, load_places
from server.models.people import Device, Staff, StaffRole

_ROLES = {
    Role.CASEWORKER: ("村级专干", "专干", "村（社区）专干", "调查员", "网格员", "包村干部", "社区专干", "民政专干"),
    Role.PANELIST: ("评议小组成员", "评议员", "评议代表"),
    Role.TOWN_OFFICER: ("乡镇民政助理", "乡镇经办", "街道经办", "民政助理", "民政办", "经办人员"),
    Role.COUNTY_OFFICER: ("县民政局", "县级经办", "区民政局", "低保中心"),
    Role.SUPERVISOR: ("督查", "督导", "核查员"),
    Role.ADMIN: ("系统管理员", "管理员"),
}
_ROLE_NAMES = {name: role for role, names in _ROLES.items() for name in (role.value, *names)}
_GONE = {"离岗", "离职", "停用", "调离", "退休", "否"}
_HERE = {"", "在岗", "在职", "正常", "启用", "是"}
_PHONE_DIGITS = range(7, 14)


class StaffImport:
    name = "staff"
    columns = (
        Column("name", "姓名", ("工作人员", "名字"), is_required=True),
        Column("login", "登录名", ("账号", "用户名")),
        Column("phone", "手机号", ("电话", "联系电话", "手机", "手机号码")),
        Column("role", "角色", ("岗位", "职务", "身份"), is_required=True),
        Column("area", "所在地", ("负责地区", "地区", "村（社区）", "所属单位", "区划代码"), is_required=True),
        Column("status", "在岗情况", ("状态", "是否在岗")),
    )
    roles = MANAGERS
    makes_accounts = True
    counts_everywhere = False

    async def plan(self, work: Work, lines: Sequence[Line]) -> list[PlannedLine]:
        places, people = await load_places(work), await _load_people(work)
        planned = [_plan_line(work, places, people, line) for line in lines]
        _refuse_contradictions(planned)
        return planned

    async def apply(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        for plan in plans:
            staff = await work.session.scalar(select(Staff).where(Staff.login == plan.plan["login"]))
            role = RoleBody(role=Role(plan.plan["role"]), area_code=plan.plan["area_code"])
            if staff is None:
                body = NewStaff(
                    id=new_id(),
                    login=plan.plan["login"],
                    name=plan.plan["name"],
                    phone=plan.plan["phone"],
                    roles=[role],
                )
                link = await create_staff(work.session, work.services.encryption, None, body, work.now)
                plan.thing_id = str(link.staff_id)
                continue
            plan.thing_id = str(staff.id)
            plan.before = {"name": staff.name, "disabled": staff.disabled_at is not None}
            if plan.plan["is_gone"]:
                await end_account(work.session, None, staff, "导入：离岗", work.now)
                continue
            change = ChangeStaff(name=plan.plan["name"], phone=plan.plan["phone"])
            change_details(work.session, work.services.encryption, None, staff, change)
            plan.before["granted"] = await ensure_role(work.session, None, staff, role)

    async def find_acted_upon(self, work: Work, plans: Sequence[PlanToApply]) -> int:
        """Count the people who have signed in since, or who left: their homes and phones are not given back."""
        added = [UUID(plan.thing_id) for plan in plans if plan.before is None and plan.thing_id]
        signed_in = select(func.count(Device.staff_id.distinct())).where(Device.staff_id.in_(added))
        gone = sum(bool(plan.plan["is_gone"] and not (plan.before or {}).get("disabled")) for plan in plans)
        acted: int = await work.session.scalar(signed_in) or 0
        return acted + gone

    async def undo(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        for plan in plans:
            staff = await work.session.get_one(Staff, UUID(plan.thing_id))
            if plan.before is None:
                await end_account(work.session, work.caller, staff, "撤销导入", work.now)
                continue
            staff.name = plan.before["name"]
            if plan.before.get("granted"):
                await work.session.execute(
                    StaffRole.__table__.update()  # type: ignore[attr-defined]
                    .where(
                        StaffRole.staff_id == staff.id,
                        StaffRole.role == plan.plan["role"],
                        StaffRole.area_code == plan.plan["area_code"],
                        StaffRole.revoked_at.is_(None),
                    )
                    .values(revoked_at=work.now)
                )


_People = dict[str, tuple[Staff, set[tuple[str, str]]]]


async def _load_people(work: Work) -> _People:
    """Everybody by login, with their roles: a login is one person in the whole installation."""
    roles: dict[UUID, set[tuple[str, str]]] = defaultdict(set)
    rows = await work.session.execute(
        select(StaffRole.staff_id, StaffRole.role, StaffRole.area_code).where(StaffRole.revoked_at.is_(None))
    )
    for staff_id, role, area_code in rows:
        roles[staff_id].add((role, area_code))
    return {staff.login: (staff, roles[staff.id]) for staff in await work.session.scalars(select(Staff))}


def _plan_line(work: Work, places: Places, people: _People, line: Line) -> PlannedLine:
    name, phone = line.required("name"), "".join(filter(str.isdigit, line.text("phone")))
    login = (line.text("login") or phone).lower()
    role = _read_role(line)
    area_code = places.find(line, "area", least_digits=0)
    if line.text("phone") and len(phone) not in _PHONE_DIGITS:
        line.add_fault("phone", "phone.invalid", "不是电话号码", "not a phone number")
    if not login:
        line.add_fault("login", "cell.empty", "登录名和手机号至少填一个", "give a login or a phone number")
    if line.text("status") not in _GONE | _HERE:
        line.add_fault("status", "staff.status", "应为在岗或离岗", "should be 在岗 or 离岗")
    if role and area_code is not None and work.caller and not may_grant(work.caller, role, area_code):
        line.add_fault("role", "auth.forbidden", "您不能授予这个角色", "you can't grant this role")
    if (refused := refuse_if_faulty(line, name)) or role is None or area_code is None:
        return refused or PlannedLine(line=line, title=name, outcome="refused")
    plan = {
        "login": login,
        "name": name,
        "phone": phone or None,
        "role": role.value,
        "area_code": area_code,
        "is_gone": line.text("status") in _GONE,
    }
    return _compare(line, plan, people.get(login))


def _read_role(line: Line) -> Role | None:
    text = "".join(line.required("role").split())
    role = _ROLE_NAMES.get(text)
    if text and role is None:
        names = "、".join(names[0] for names in _ROLES.values())
        line.add_fault("role", "role.unknown", f"角色应为：{names}", f"should be one of {names}")
    return role


def _compare(line: Line, plan: dict[str, Any], known_as: tuple[Staff, set[tuple[str, str]]] | None) -> PlannedLine:
    outcome: Outcome = "new"
    if known_as is not None:
        staff, roles = known_as
        same = staff.name == plan["name"] and (plan["role"], plan["area_code"]) in roles
        same = same and (plan["phone"] is None or staff.phone_mask == mask_phone(plan["phone"]))
        is_gone = staff.disabled_at is not None
        outcome = "unchanged" if (is_gone if plan["is_gone"] else same and not is_gone) else "changed"
        if outcome == "changed" and staff.name != plan["name"]:
            line.add_fault("name", "staff.other_name", f"该登录名现为 {staff.name}", f"the login is {staff.name}'s now")
            outcome = "doubtful"
    elif plan["is_gone"]:
        outcome = "unchanged"
    return PlannedLine(line=line, title=plan["name"], outcome=outcome, faults=line.faults, plan=plan)


def _refuse_contradictions(planned: Sequence[PlannedLine]) -> None:
    """A login stands for one name in the file, and each role of it once."""
    names: dict[str, tuple[str, Line]] = {}
    seen: dict[tuple[str, str, str], Line] = {}
    for entry in planned:
        if entry.plan is None:
            continue
        login, key = entry.plan["login"], (entry.plan["login"], entry.plan["role"], entry.plan["area_code"])
        name, first = names.setdefault(login, (entry.plan["name"], entry.line))
        if name != entry.plan["name"]:
            where = f"{first.sheet} {first.number}"
            entry.line.add_fault("login", "line.twice", f"与第 {where} 行是同一登录名", f"the login of row {where}")
        elif key in seen:
            where = f"{seen[key].sheet} {seen[key].number}"
            entry.line.add_fault("name", "line.twice", f"与第 {where} 行重复", f"the same as row {where}")
        seen.setdefault(key, entry.line)
        if entry.line.faults and entry.outcome != "doubtful":
            entry.outcome, entry.faults, entry.plan = "refused", entry.line.faults, None
