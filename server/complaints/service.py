"""Complaints from arrival to reply: a number at once, registered in 15 days, decided in 60, 30 more with a reason.

Who said it and what was said are sealed together and open to the handler alone: not to the list, not to
other officers of the area, not to the audit trail.
"""

import hashlib
import secrets
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import and_, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core import jobs
from server.core.access import DESK_ROLES, Caller, Role, found, readable, require
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.paging import Page, cut_page, read_place
from server.core.sequences import next_number
from server.core.services import Services
from server.core.working_days import day_of, end_of, length_of
from server.http.rate_limit import count_attempt
from server.models.areas import Area
from server.models.cases import CaseEvent, CaseFile, RelativeOnStaff
from server.models.complaints import Complaint
from server.models.households import Household
from server.models.people import Staff, StaffRole
from server.policy.resolver import load_overrides, policy_values

HANDLERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER, Role.SUPERVISOR})
OPEN = ("received", "registered")
Urgency = Literal["overdue", "due", "soon", "later"]
SOON_DAYS = 3
LONGEST_PAGE = 200
# Who took one of these answers for it, and is not whom an appeal against it goes to.
_DECISIONS = (
    "not_accepted",
    "opinion_grant",
    "opinion_refuse",
    "confirmed",
    "refused",
    "amount_changed",
    "stopped",
)
_TRIES = 20
Text = Annotated[str, Meta(min_length=5, max_length=4000)]
Names = Annotated[list[Annotated[str, Meta(min_length=1, max_length=60)]], Meta(max_length=5)]
AreaCode = Annotated[str, Meta(pattern="^[0-9]{6}([0-9]{3}([0-9]{3})?)?$")]


class Reporter(RequestBody):
    name: Annotated[str, Meta(min_length=1, max_length=60)]
    contact: Annotated[str, Meta(max_length=100)] = ""


class PublicComplaint(RequestBody):
    """Without a reporter it is anonymous: the code alone opens the reply.

    `against` names staff it is about; none of that name comes to handle it.
    """

    area_code: AreaCode
    text: Text
    reporter: Reporter | None = None
    against: Names = []


class OwnComplaint(RequestBody):
    """An appeal against a decision names the case."""

    kind: Literal["complaint", "appeal"]
    case_id: UUID
    text: Text
    against: Names = []


class WrittenComplaint(RequestBody):
    """One that came to the desk by whatever channel."""

    channel: Literal["letter", "visit", "phone", "web", "box", "proposal"]
    area_code: AreaCode
    text: Text
    reporter: Reporter | None = None
    household_id: UUID | None = None
    against: Names = []


class Taken(ResponseBody):
    """The code is told once: with the number it opens the reply."""

    number: str
    code: str
    due_on: date


class FollowUp(RequestBody):
    number: Annotated[str, Meta(max_length=40)]
    code: Annotated[str, Meta(max_length=40)]


class Followed(ResponseBody):
    """By when the next thing must have happened, and the reply once there is one."""

    number: str
    kind: str
    state: str
    state_zh: str
    state_en: str
    received_at: datetime
    due_on: date | None
    finding: str | None
    reply: str | None


class ComplaintLine(ResponseBody):
    id: UUID
    number: str
    kind: str
    channel: str
    area_code: str
    area_name: str
    state: str
    is_named: bool
    handler_id: UUID | None
    handler_name: str | None
    received_at: datetime
    due_on: date | None
    urgency: Literal["overdue", "due", "soon", "later", "none"]
    is_extended: bool
    finding: str | None


class ComplaintPage(ResponseBody):
    """`text` and the reporter only for the handler."""

    line: ComplaintLine
    household_id: UUID | None
    case_id: UUID | None
    text: str | None
    reporter_name: str | None
    reporter_contact: str | None
    reply: str | None


class Register(RequestBody):
    """The caller becomes the handler. The household may be named now that the complaint was read."""

    household_id: UUID | None = None


class Extend(RequestBody):
    reason: Text


class Decide(RequestBody):
    """The reply is what the reporter reads."""

    finding: Literal["upheld", "partly", "unfounded"]
    reply: Text


class Decline(RequestBody):
    reply: Text


class HandOver(RequestBody):
    staff_id: UUID


async def take_public(
    session: AsyncSession, services: Services, asked: PublicComplaint, *, address: str, now: datetime
) -> Taken:
    await count_attempt(services.sessions, [f"complaint:{address}"], _TRIES, now)
    return await _take(session, services, None, asked.area_code, "web", asked.text, asked.reporter, now,
        against=asked.against,
    )  # fmt: skip


async def take_written(
    session: AsyncSession, services: Services, caller: Caller, asked: WrittenComplaint, now: datetime
) -> Taken:
    require(caller, HANDLERS)
    if not caller.covers(asked.area_code, HANDLERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(HANDLERS)))
    if asked.household_id is not None:
        found(await session.scalar(readable(Household, caller).where(Household.id == asked.household_id)))
    return await _take(
        session, services, caller, asked.area_code, asked.channel, asked.text, asked.reporter, now,
        household_id=asked.household_id, against=asked.against,
    )  # fmt: skip


async def take_own(
    session: AsyncSession, services: Services, caller: Caller, asked: OwnComplaint, now: datetime
) -> Taken:
    """A resident's own, about their own case."""
    case: CaseFile = found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == asked.case_id)))
    await count_attempt(services.sessions, [f"complaint:{caller.id}"], _TRIES, now)
    return await _take(
        session, services, caller, case.area_code, "web", asked.text, None, now,
        kind=asked.kind, case_id=case.id, resident_id=caller.id, against=asked.against,
    )  # fmt: skip


async def _take(
    session: AsyncSession,
    services: Services,
    caller: Caller | None,
    area_code: str,
    channel: str,
    text: str,
    reporter: Reporter | None,
    now: datetime,
    *,
    kind: str = "complaint",
    household_id: UUID | None = None,
    case_id: UUID | None = None,
    resident_id: UUID | None = None,
    against: list[str],
) -> Taken:
    if await session.get(Area, area_code) is None:
        raise Problem("request.invalid", faults=[Fault("/areaCode", "area.unknown", area_code)])
    today = day_of(now)
    due_on = await _end(session, area_code, today, "complaint.register_days", since=today)
    code = secrets.token_hex(5).upper()
    seal = services.vault.seal
    row = Complaint(
        id=new_id(),
        number=await next_number(session, Complaint.number, f"XF{area_code[:6]}{today.year}-", 5),
        code_hash=_hash(code),
        kind=kind,
        channel=channel,
        area_code=area_code,
        household_id=household_id,
        case_id=case_id,
        resident_id=resident_id,
        is_named=reporter is not None or resident_id is not None,
        reporter_sealed=seal("complaint.reporter", msgspec.json.encode(reporter).decode()) if reporter else None,
        text_sealed=seal("complaint.text", text),
        against=[index_of(services, one) for one in against],
        state="received",
        received_at=now,
        due_on=due_on,
        is_extended=False,
    )
    session.add(row)
    # Who took it in is known for what came to a desk; a resident's own name stays out of the trail.
    audit.record(
        session, caller if caller and not caller.is_resident else None, "complaint.received", "complaint", row.id,
        area_code=area_code, channel=channel,
    )  # fmt: skip
    await session.flush()  # the number is taken
    return Taken(number=row.number, code=code, due_on=due_on)


def index_of(services: Services, name: str) -> str:
    return services.vault.index("staff_name", "".join(name.split())).hex()


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.strip().upper().encode()).digest()


async def follow_up(
    session: AsyncSession, services: Services, asked: FollowUp, *, address: str, now: datetime
) -> Followed:
    """A wrong number and a wrong code get the same answer."""
    await count_attempt(services.sessions, [f"complaint-code:{address}", f"complaint-no:{asked.number}"], _TRIES, now)
    one = await session.scalar(
        select(Complaint).where(Complaint.number == asked.number.strip(), Complaint.code_hash == _hash(asked.code))
    )
    return _followed(found(one))


async def list_own(session: AsyncSession, caller: Caller) -> list[Followed]:
    rows = await session.scalars(readable(Complaint, caller).order_by(Complaint.received_at.desc()).limit(50))
    return [_followed(one) for one in rows]


STATES = {
    "received": ("已收到，待登记", "received; to be registered"),
    "registered": ("已受理，正在核查", "registered; being looked into"),
    "decided": ("已办结", "decided"),
    "declined": ("不属本机关受理", "not for this office"),
}


def _followed(one: Complaint) -> Followed:
    state_zh, state_en = STATES[one.state]
    return Followed(
        number=one.number,
        kind=one.kind,
        state=one.state,
        state_zh=state_zh,
        state_en=state_en,
        received_at=one.received_at,
        due_on=one.due_on if one.state in {"received", "registered"} else None,
        finding=one.finding,
        reply=one.reply,
    )


async def list_complaints(
    session: AsyncSession,
    caller: Caller,
    *,
    state: str | None,
    area: str | None,
    urgency: Urgency | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[ComplaintLine]:
    """Of the caller's areas, what is due first; those still open unless a state is named. Nothing of who or what."""
    require(caller, DESK_ROLES)
    limit, today = max(1, min(limit, LONGEST_PAGE)), day_of(now)
    rows = (
        select(Complaint, Area.name, Staff.name)
        .join(Area, Area.code == Complaint.area_code)
        .outerjoin(Staff, Staff.id == Complaint.handler_id)
        .where(Complaint.in_scope(caller), Complaint.state.in_([state] if state else OPEN))
        .order_by(Complaint.due_on, Complaint.id)
        .limit(limit + 1)
    )
    if area is not None:
        rows = rows.where(Complaint.area_code.startswith(area, autoescape=True))
    if urgency is not None:
        rows = rows.where(Complaint.state.in_(OPEN), _falls(urgency, today))
    if (after := read_place(cursor, date.fromisoformat)) is not None:
        on, last = after
        rows = rows.where(or_(Complaint.due_on > on, and_(Complaint.due_on == on, Complaint.id > last)))
    found_rows = (await session.execute(rows)).all()
    page, next_cursor = cut_page(found_rows, limit, lambda row: [row[0].due_on.isoformat(), str(row[0].id)])
    return Page(
        items=[_line(one, today, area_name, handler) for one, area_name, handler in page], next_cursor=next_cursor
    )


def _falls(urgency: Urgency, today: date) -> Any:
    soon = today + timedelta(days=SOON_DAYS)
    return {
        "overdue": Complaint.due_on < today,
        "due": Complaint.due_on == today,
        "soon": and_(Complaint.due_on > today, Complaint.due_on <= soon),
        "later": Complaint.due_on > soon,
    }[urgency]


def _line(one: Complaint, today: date, area_name: str, handler_name: str | None) -> ComplaintLine:
    is_open = one.state in OPEN
    return ComplaintLine(
        id=one.id,
        number=one.number,
        kind=one.kind,
        channel=one.channel,
        area_code=one.area_code,
        area_name=area_name,
        state=one.state,
        is_named=one.is_named,
        handler_id=one.handler_id,
        handler_name=handler_name,
        received_at=one.received_at,
        due_on=one.due_on if is_open else None,
        urgency=_urgency((one.due_on - today).days) if is_open else "none",
        is_extended=one.is_extended,
        finding=one.finding,
    )


def _urgency(days_left: int) -> Urgency:
    if days_left <= 0:
        return "overdue" if days_left else "due"
    return "soon" if days_left <= SOON_DAYS else "later"


async def open_complaint(
    session: AsyncSession, services: Services, caller: Caller, complaint_id: UUID, now: datetime
) -> ComplaintPage:
    """What the caller may see of one. The handler's look at who and what is logged."""
    require(caller, DESK_ROLES)
    one: Complaint = found(await session.scalar(readable(Complaint, caller).where(Complaint.id == complaint_id)))
    return await _page(session, services, caller, one, now)


async def _page(
    session: AsyncSession, services: Services, caller: Caller, one: Complaint, now: datetime
) -> ComplaintPage:
    is_handler = one.handler_id == caller.id
    reporter: Reporter | None = None
    if is_handler:
        audit.record(session, caller, "complaint.read", "complaint", one.id, area_code=one.area_code)
        if one.reporter_sealed is not None:
            reporter = msgspec.json.decode(
                services.vault.open("complaint.reporter", one.reporter_sealed), type=Reporter
            )
    area = await session.get_one(Area, one.area_code)
    handler = await session.get(Staff, one.handler_id) if one.handler_id else None
    return ComplaintPage(
        line=_line(one, day_of(now), area.name, handler.name if handler else None),
        household_id=one.household_id if is_handler else None,
        case_id=one.case_id if is_handler else None,
        text=services.vault.open("complaint.text", one.text_sealed) if is_handler else None,
        reporter_name=reporter.name if reporter else None,
        reporter_contact=reporter.contact if reporter else None,
        reply=one.reply,
    )


async def register(
    session: AsyncSession, services: Services, caller: Caller, complaint_id: UUID, asked: Register, now: datetime
) -> ComplaintPage:
    """Take it on as its handler: the clock of the decision starts. Again by the handler is once.

    From a handler who has left the service it is taken over, and its clock runs on.
    Raises `complaint.handled_by_other`, `complaint.not_now`. A household named makes the county's visit a must.
    """
    one = await _locked(session, caller, complaint_id)
    if one.state == "registered" and one.handler_id == caller.id:
        return await _page(session, services, caller, one, now)
    is_orphan = await has_left(session, one.handler_id)
    if one.handler_id is not None and not is_orphan:
        raise Problem("complaint.handled_by_other")
    _must_be(one, "registered" if is_orphan else "received")
    if asked.household_id is not None:
        found(await session.scalar(readable(Household, caller).where(Household.id == asked.household_id)))
        one.household_id = asked.household_id
    await _must_be_fit(session, services, one, caller.id, caller.name)
    one.state, one.handler_id = "registered", caller.id
    if not is_orphan:
        one.registered_at = now
        one.due_on = await _end(
            session, one.area_code, day_of(one.received_at), "complaint.decide_days", since=day_of(now)
        )
    audit.record(session, caller, "complaint.registered", "complaint", one.id, area_code=one.area_code)
    is_named_now = asked.household_id is not None or not is_orphan
    if is_named_now and one.household_id is not None and one.kind == "complaint":
        await jobs.defer(session, "cases.complained", household_id=str(one.household_id))
    return await _page(session, services, caller, one, now)


async def has_left(session: AsyncSession, handler_id: UUID | None) -> bool:
    """Whether the handler can no longer sign in: then nobody would answer."""
    left = select(Staff.id).where(Staff.id == handler_id, Staff.disabled_at.is_not(None))
    return await session.scalar(left) is not None


async def _must_be_fit(session: AsyncSession, services: Services, one: Complaint, staff_id: UUID, name: str) -> None:
    """Nobody handles a complaint about themselves, about what they decided, or about their relatives' household.

    The accused and relatives are known by name: a namesake is kept away too, for there are other officers.
    """
    household = one.household_id
    if one.case_id is not None:
        household = await session.scalar(select(CaseFile.household_id).where(CaseFile.id == one.case_id))
    is_relative = await session.scalar(
        select(RelativeOnStaff.id).where(RelativeOnStaff.household_id == household, RelativeOnStaff.name == name)
    )
    decided = await session.scalar(
        select(CaseEvent.id)
        .where(CaseEvent.case_id == one.case_id, CaseEvent.actor_id == staff_id, CaseEvent.step.in_(_DECISIONS))
        .limit(1)
    )
    if index_of(services, name) in one.against or is_relative is not None or decided is not None:
        raise Problem("complaint.against_you")


async def _locked(session: AsyncSession, caller: Caller, complaint_id: UUID) -> Complaint:
    require(caller, HANDLERS)
    one: Complaint = found(
        await session.scalar(readable(Complaint, caller).where(Complaint.id == complaint_id).with_for_update())
    )
    return one


def _must_be(one: Complaint, state: str) -> None:
    if one.state != state:
        raise Problem("complaint.not_now", state=one.state)


async def _end(session: AsyncSession, area_code: str, came: date, key: str, *, since: date) -> date:
    """The last day of a period that begins at `since`, by the rules of the day the complaint came."""
    rules = await policy_values(session, area_code, came, [key])
    return end_of(since, length_of(rules, key), await load_overrides(session)).on


async def _mine(session: AsyncSession, caller: Caller, complaint_id: UUID) -> Complaint:
    one = await _locked(session, caller, complaint_id)
    if one.handler_id is not None and one.handler_id != caller.id:
        raise Problem("complaint.handled_by_other")
    return one


async def extend(
    session: AsyncSession, services: Services, caller: Caller, complaint_id: UUID, asked: Extend, now: datetime
) -> ComplaintPage:
    """Thirty days more, once, with a reason. Again is once."""
    one = await _mine(session, caller, complaint_id)
    _must_be(one, "registered")
    if not one.is_extended:
        one.is_extended = True
        came = day_of(one.received_at)
        one.due_on = await _end(session, one.area_code, came, "complaint.extension_days", since=one.due_on)
        audit.record(
            session, caller, "complaint.extended", "complaint", one.id, area_code=one.area_code, reason=asked.reason
        )
    return await _page(session, services, caller, one, now)


async def decide(
    session: AsyncSession, services: Services, caller: Caller, complaint_id: UUID, asked: Decide, now: datetime
) -> ComplaintPage:
    """Finding and reply. The same again is once; another is `complaint.not_now`."""
    one = await _mine(session, caller, complaint_id)
    if (one.finding, one.reply) != (asked.finding, asked.reply):
        _must_be(one, "registered")
        one.state, one.finding, one.reply, one.decided_at = "decided", asked.finding, asked.reply, now
        audit.record(
            session, caller, "complaint.decided", "complaint", one.id, area_code=one.area_code, finding=asked.finding
        )
    return await _page(session, services, caller, one, now)


async def decline(
    session: AsyncSession, services: Services, caller: Caller, complaint_id: UUID, asked: Decline, now: datetime
) -> ComplaintPage:
    """Not for this office to decide: the reply says who is. Even that is an answer (件件有回音)."""
    one = await _mine(session, caller, complaint_id)
    if (one.state, one.reply) != ("declined", asked.reply):
        if one.state not in OPEN:
            raise Problem("complaint.not_now", state=one.state)
        await _must_be_fit(session, services, one, caller.id, caller.name)
        one.state, one.reply, one.decided_at = "declined", asked.reply, now
        audit.record(session, caller, "complaint.declined", "complaint", one.id, area_code=one.area_code)
    return await _page(session, services, caller, one, now)


async def hand_over(
    session: AsyncSession, services: Services, caller: Caller, complaint_id: UUID, asked: HandOver, now: datetime
) -> ComplaintPage:
    """To another officer of the area: from then on only they read it."""
    one = await _mine(session, caller, complaint_id)
    _must_be(one, "registered")
    heir = await session.scalar(
        select(Staff)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .where(
            Staff.id == asked.staff_id,
            Staff.disabled_at.is_(None),
            StaffRole.role.in_(HANDLERS),
            StaffRole.revoked_at.is_(None),
            literal(one.area_code).startswith(StaffRole.area_code),
        )
        .limit(1)
    )
    if heir is None:
        raise Problem("request.invalid", faults=[Fault("/staffId", "staff.not_here", str(asked.staff_id))])
    await _must_be_fit(session, services, one, heir.id, heir.name)
    one.handler_id = heir.id
    audit.record(session, caller, "complaint.handed_over", "complaint", one.id, area_code=one.area_code)
    return await _page(session, services, caller, one, now)
