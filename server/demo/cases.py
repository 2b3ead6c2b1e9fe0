"""Demo cases in every state, created by the same functions that officers' requests call.

All belong to one village of 柚溪镇, so that every list and screen has something to show: missing papers, a posting with
an objection, decisions, a stopped payment, complaints, a reported change. Their applicants are bound to accounts of
the WeChat stub: `demo-resident9-…` and following.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.calculations import Calculate, calculate
from server.benefits.changes import month_after
from server.benefits.programmes import Programme
from server.cases.actions import TakeStep, take_step
from server.cases.applications import MakeApplication, make_application
from server.cases.change_reports import DecideChange, decide_change
from server.cases.daily import begin_payments
from server.cases.hearings import CallHearing, call_hearing
from server.cases.papers import list_papers, receive_paper
from server.cases.programmes import propose_programme
from server.cases.transitions import apply_transition
from server.complaints import handling, submission
from server.core.access import Caller, Grant, Role
from server.core.clock import CHINA
from server.core.ids import new_id
from server.core.location import Fix
from server.core.services import Services
from server.demo import records as demo
from server.demo.pictures import draw_picture
from server.demo.scenes import SCENES
from server.demo.wechat_stub import demo_accounts, demo_openid
from server.models.cases import CaseFile, IncomeItem, PropertyItem
from server.models.complaints import Complaint
from server.models.households import Assignment, Household, HouseholdMember
from server.models.people import Identity, Resident, ResidentBinding, Staff, StaffRole
from server.postings.disclosures import open_disclosure
from server.postings.objections import SubmitObjection, submit_objection
from server.postings.places import AddPlace, add_place
from server.postings.postings import CreatePosting, create_posting, start_posting
from server.residents.change_reports import ReportChange, report_change
from server.sync_feed.publish import publish_change

VILLAGE = "339901100001"
# The state of each case; the first belongs to the second house of VILLAGE.
TARGET_STATES = (
    "applied",
    "materials",
    "survey",
    "preliminary",
    "hearing",
    "county",
    "confirmed",
    "published",
    "in_force",
    "in_force",
    "stopped",
    "refused",
    "withdrawn",
    "posting",
    "posting",
    "objection",
)
# Complaints this old stay open, so that they are nearly due.
_NEARLY_DUE_DAYS = 50
_PANEL = ("苇溪", "杉砚", "竹笠", "槐雨", "禾声", "麦秋", "荷灯", "谷风", "汀月")


class _Office(NamedTuple):
    session: AsyncSession
    services: Services
    town: Caller
    county: Caller
    today: date


async def load_cases(session: AsyncSession, services: Services, county: demo.County) -> int:
    """Create a case for each target state; return their number."""
    town = await _load_caller(session, "town_officer", VILLAGE[:9])
    office = _Office(session, services, town, await _load_caller(session, "county_officer", county.code), county.today)
    await _add_panel(session)
    households = [
        household for household in county.households if household.area_code == VILLAGE and household.class_ is not None
    ]
    posted: list[UUID] = []
    residents: dict[str, Caller] = {}
    for position, (state, household) in enumerate(zip(TARGET_STATES, households, strict=False)):
        case_id = await _apply(office, household, is_paid=state in {"in_force", "stopped"})
        residents[f"{state}{position}"] = await _bind_head(session, case_id, f"resident{9 + position}")
        await _advance_case(office, case_id, state)
        posted += [case_id] if state in {"posting", "objection"} else []
    await _hang_posting(office, posted)
    await begin_payments(session, _at(office, 0))
    await _stop_payment(office)
    await _report_changes(office, residents)
    await _submit_complaints(office)
    await open_disclosure(session, office.county, VILLAGE)
    return len(TARGET_STATES)


async def _load_caller(session: AsyncSession, role: str, area_code: str) -> Caller:
    staff = (
        await session.scalars(
            select(Staff)
            .join(StaffRole, StaffRole.staff_id == Staff.id)
            .where(StaffRole.role == role, StaffRole.area_code == area_code)
            .order_by(Staff.login)
        )
    ).first()
    assert staff is not None
    return Caller(id=staff.id, name=staff.name, device_id=new_id(), grants=(Grant(Role(role), area_code),))


async def _add_panel(session: AsyncSession) -> None:
    """Add residents' representatives for hearings; they have no password."""
    panel = [
        Staff(id=new_id(), login=f"panel{n}", name=f"甘{name}", password_hash=None) for n, name in enumerate(_PANEL)
    ]
    session.add_all(panel)
    await session.flush()  # roles reference them
    session.add_all(StaffRole(staff_id=panelist.id, role=Role.PANELIST, area_code=VILLAGE) for panelist in panel)


def _at(office: _Office, days_ago: int, hour: int = 10) -> datetime:
    """Return a time of day in China; for today 00:01, which is always past."""
    if days_ago == 0:
        return datetime.combine(office.today, time(0, 1), tzinfo=CHINA)
    return datetime.combine(office.today - timedelta(days=days_ago), time(hour), tzinfo=CHINA)


async def _apply(office: _Office, record: demo.Household, *, is_paid: bool) -> UUID:
    """Apply for a household that received nothing before; early enough to be paid by now if `is_paid`."""
    session = office.session
    household = (await session.scalars(select(Household).where(Household.number == record.number))).one()
    household.class_ = household.monthly_amount_fen = None
    for kind in ("wage", "business", "property", "transfer"):
        if fen := getattr(record.incomes, f"{kind}_fen"):
            session.add(
                IncomeItem(
                    household_id=household.id,
                    kind=kind,
                    category="",
                    period="month",
                    declared_fen=fen,
                    verified_fen=fen,
                )
            )
    request = MakeApplication(
        id=new_id(), household_id=household.id, consented_on=office.today - timedelta(days=150 if is_paid else 30)
    )
    case = await make_application(
        session, office.services.encryption, office.town, request, _at(office, 150 if is_paid else 30)
    )
    return case.id


async def _bind_head(session: AsyncSession, case_id: UUID, suffix: str) -> Caller:
    case = await session.get_one(CaseFile, case_id)
    head = (
        await session.scalars(
            select(HouseholdMember).where(
                HouseholdMember.household_id == case.household_id, HouseholdMember.position == 0
            )
        )
    ).one()
    resident = Resident(id=new_id(), wechat_openid=demo_openid(suffix))
    session.add(resident)
    await session.flush()  # identity and binding reference the account
    session.add_all(
        Identity(resident_id=resident.id, provider="wechat", app=app, subject=subject)
        for app, subject in demo_accounts(suffix).items()
    )
    session.add(ResidentBinding(resident_id=resident.id, household_id=case.household_id, member_id=head.id))
    await session.flush()  # residents' access is read from bindings
    return Caller(id=resident.id, name=head.name, device_id=new_id(), grants=(Grant(Role.RESIDENT, ""),))


async def _advance_case(office: _Office, case_id: UUID, state: str) -> None:
    """Take the case's steps in order until it is in the state."""
    case = await _load_case(office, case_id)
    # Steps are dated by days before today, counted down from the application.
    applied = (office.today - case.applied_on).days
    if state == "applied":
        return
    papers = [paper.code for paper in await list_papers(office.session, case)]
    if state in {"materials", "withdrawn"}:
        await _leave_papers_missing(office, case_id, papers[0], applied, is_withdrawn=state == "withdrawn")
        return
    await _receive(office, case_id, papers, applied)
    await _step(office, case_id, "accepted", applied - 1)
    await _step(office, case_id, "cross_check_requested", applied - 1, hour=11)
    await _step(office, case_id, "survey_begun", applied - 3)
    if state == "survey":
        return
    await _step(office, case_id, "cross_check_begun", applied - 3, hour=11)
    await _apply_event(office, case_id, "survey_done", applied - 5)
    case = await _load_case(office, case_id)
    proposed = propose_programme(case).programme
    await _step(office, case_id, "programme_confirmed", applied - 5, hour=15, programme=proposed)
    now = _at(office, applied - 6)
    await calculate(office.session, office.town, case_id, Calculate(month=month_after(now.date())), now)
    if state == "preliminary":
        return
    if state == "hearing":
        await _call_hearing(office, case_id, applied)
        return
    if state == "refused":
        await _refuse(office, case_id, applied)
        return
    await _step(office, case_id, "opinion_grant", applied - 7)
    if state in {"posting", "objection"}:
        return
    await _apply_event(office, case_id, "posting_ended", applied - 15)
    if state != "county":
        await _grant(office, case_id, applied, state)


async def _leave_papers_missing(
    office: _Office, case_id: UUID, first_paper: str, applied: int, *, is_withdrawn: bool
) -> None:
    await _receive(office, case_id, [first_paper], applied)
    await _step(office, case_id, "papers_missing", applied, hour=11)
    if is_withdrawn:
        await _step(office, case_id, "withdrawn", applied - 3, reason="已找到工作，不再申请")


async def _call_hearing(office: _Office, case_id: UUID, applied: int) -> None:
    await _step(office, case_id, "hearing_called", applied - 7, reason="邻里反映其家庭收入不实")
    hearing = CallHearing(
        id=new_id(), held_on=office.today + timedelta(days=2), place="村委会会议室", presenter=office.town.name
    )
    await call_hearing(office.session, office.town, case_id, hearing)


async def _refuse(office: _Office, case_id: UUID, applied: int) -> None:
    case = await _load_case(office, case_id)
    office.session.add(
        PropertyItem(household_id=case.household_id, kind="vehicle", note="营运车辆", declared=0, verified=1)
    )
    reason = "名下有营运车辆一辆，家庭财产超出规定"
    await _step(office, case_id, "opinion_refuse", applied - 7, reason=reason)
    await _step(office, case_id, "refused", applied - 10, by=office.county, reason=reason)


async def _grant(office: _Office, case_id: UUID, applied: int, state: str) -> None:
    # Cases that aren't paid yet are decided today: on the first of a month, yesterday's decision is in force.
    decided = applied - 18 if state in {"in_force", "stopped"} else 0
    await _step(office, case_id, "confirmed", decided, by=office.county)
    if state == "confirmed":
        return
    await _step(office, case_id, "notice_delivered", decided, hour=14, delivery="送达本人，当面签收")
    await _step(office, case_id, "published", decided, hour=15)


async def _load_case(office: _Office, case_id: UUID) -> CaseFile:
    return await office.session.get_one(CaseFile, case_id)


async def _receive(office: _Office, case_id: UUID, codes: Sequence[str], days_ago: int) -> None:
    on = office.today - timedelta(days=days_ago)
    for code in codes:
        await receive_paper(office.session, office.town, case_id, code, on)


async def _step(
    office: _Office, case_id: UUID, step: str, days_ago: int, *, hour: int = 10, by: Caller | None = None,
    reason: str = "", delivery: str = "", programme: Programme | None = None,
) -> None:  # fmt: skip
    case = await _load_case(office, case_id)
    request = TakeStep(step=step, reason=reason, delivery=delivery, programme=programme)
    now = _at(office, days_ago, hour)
    await take_step(
        office.session, by or office.town, case_id, request, version=case.version, idempotency_key=None, now=now
    )


async def _apply_event(office: _Office, case_id: UUID, step: str, days_ago: int) -> None:
    """Apply the transition that a job applies when the awaited event has happened."""
    case = await _load_case(office, case_id)
    if step == "survey_done":
        await _close_visits(office.session, case_id)
    moved = await apply_transition(
        office.session, case, step, cause=f"demo:{step}", actor_id=None, at=_at(office, days_ago)
    )
    assert moved, f"{step} does not follow {case.state}"


async def _close_visits(session: AsyncSession, case_id: UUID) -> None:
    """Close the case's open assignments: the survey is done."""
    closed = await session.scalars(
        update(Assignment)
        .where(Assignment.case_id == case_id, Assignment.state == "open")
        .values(state="done")
        .returning(Assignment.id)
    )
    await publish_change(session, "assignments", list(closed))


async def _hang_posting(office: _Office, posted: Sequence[UUID]) -> None:
    """Hang a posting of the village at three places since yesterday, with an objection against one entry."""
    session, services, now = office.session, office.services, _at(office, 1)
    posting = await create_posting(session, services, office.town, CreatePosting(id=new_id(), area_code=VILLAGE))
    for position, name in enumerate(("村委会公示栏", "文化广场公告栏", "村口小卖部外墙")):
        fix = Fix(latitude=28.95 + position / 1000, longitude=118.95, datum="wgs84", captured_at=now, accuracy_m=8.0)
        photo = draw_picture(
            scene=SCENES[0], seed=7000 + position, captured_at=now, latitude=fix.latitude, longitude=fix.longitude,
            accuracy_m=8.0, size=(800, 600),
        )  # fmt: skip
        await add_place(session, services, office.town, posting.id, AddPlace(name=name, fix=fix), photo)
    started = await start_posting(session, services, office.town, posting.id, now)
    contested = next(entry for entry in started.entries if entry.case_id == posted[-1])
    request = SubmitObjection(
        position=contested.position, text="该户儿子在县城有工作，收入没有算进去", contact="傍晚在家，19900007733"
    )
    objection = await submit_objection(session, services, started.key, request, address="demo", now=_at(office, 0))
    await apply_transition(
        session, await _load_case(office, contested.case_id), "objection_made", cause=f"demo:{objection.number}",
        actor_id=None, at=_at(office, 0),
    )  # fmt: skip


async def _stop_payment(office: _Office) -> None:
    """Stop the last case that is being paid."""
    paid = list(
        await office.session.scalars(
            select(CaseFile)
            .where(CaseFile.area_code == VILLAGE, CaseFile.state == "in_force")
            .order_by(CaseFile.applied_on.desc(), CaseFile.id.desc())
        )
    )
    now = _at(office, 0)
    reason = "女儿已就业，家庭人均收入高于标准"
    for by, step in ((office.town, "stop_proposed"), (office.county, "stopped")):
        request = TakeStep(step=step, reason=reason, ground="employment")
        await take_step(office.session, by, paid[0].id, request, version=paid[0].version, idempotency_key=None, now=now)


async def _report_changes(office: _Office, residents: dict[str, Caller]) -> None:
    """Report two changes: one is open, one is answered."""
    session, now = office.session, _at(office, 0)
    for key, kind, text, reply in (
        ("in_force8", "new_job", "儿子上个月到县里饭店帮工，每月两千元左右", ""),
        ("in_force9", "birth", "十月添了一个女儿", "已登记，请带出生证到村委会，我们将入户核实"),
    ):
        resident = residents[key]
        case = (
            await session.scalars(
                select(CaseFile)
                .join(ResidentBinding, ResidentBinding.household_id == CaseFile.household_id)
                .where(ResidentBinding.resident_id == resident.id)
            )
        ).one()
        change = ReportChange(id=new_id(), kind=kind, text=text)  # type: ignore[arg-type]  # two valid kinds
        await report_change(session, resident, case.id, change, now)
        await session.flush()  # decide_change reads it
        if reply:
            await decide_change(session, office.county, change.id, DecideChange(outcome="visit", reply=reply), now)


async def _submit_complaints(office: _Office) -> None:
    """Submit three complaints: new, registered and nearly due, answered."""
    session, services = office.session, office.services
    for text, reporter, days_ago in (
        ("村里有一户家里开着小超市还在领低保，请查一查", None, 1),
        ("经办人员上门时态度不好，材料退了三次", submission.Reporter(name="甘晚舟", contact="见村委会"), 58),
        ("低保金没有按时到账，已经晚了半个月", submission.Reporter(name="甘早渡"), 20),
    ):
        received = _at(office, days_ago)
        request = submission.PublicComplaint(area_code=VILLAGE, text=text, reporter=reporter)
        receipt = await submission.submit_public_complaint(session, services, request, address="demo", now=received)
        complaint = (await session.scalars(select(Complaint).where(Complaint.number == receipt.number))).one()
        if reporter is None:
            continue
        await handling.register_complaint(
            session, services, office.county, complaint.id, handling.RegisterComplaint(), received
        )
        if days_ago < _NEARLY_DUE_DAYS:
            decision = handling.DecideComplaint(
                finding="partly", reply="经查，因银行卡信息有误延迟五天，已补发并致歉。"
            )
            await handling.decide_complaint(session, services, office.county, complaint.id, decision, _at(office, 2))
