"""Requests of people about their data: to see, copy, correct, delete, restrict, explain (个人信息保护法 44–48条).

They come from the resident's app or the counter, have a day by which they are answered (`privacy.answer_days`), and a
person answers: granted, or refused in part or whole with a ground, in writing (50条). Deletion is refused while the
law keeps the file; contact data that no file needs can be deleted at once.
"""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import DESK_ROLES, Caller, Role, readable, require_found, require_role
from server.core.database import advisory_lock
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of, end_of, length_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.cases import CLOSED_STATES, GRANTED_STATES, CaseFile
from server.models.households import Household, HouseholdMember
from server.models.people import ResidentBinding, Staff
from server.models.privacy import DataRequest
from server.policy.resolver import load_overrides, load_policy_values
from server.sync_feed.publish import publish_change

RequestKind = Literal["see", "copy", "correct", "delete", "restrict", "explain"]
RequestState = Literal["open", "granted", "partly", "refused"]
Ground = Literal["retention", "duty", "identity", "others", "unfounded"]
OFFICERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
_FIRST_DUE = Keyset(DataRequest.due_on, DataRequest.id)
KIND_TEXTS: dict[str, tuple[str, str]] = {
    "see": ("查阅", "see"),
    "copy": ("复制", "copy"),
    "correct": ("更正、补充", "correct"),
    "delete": ("删除", "delete"),
    "restrict": ("限制或者拒绝处理", "restrict"),
    "explain": ("解释说明处理规则", "explain"),
}
GROUND_TEXTS: dict[str, tuple[str, str]] = {
    "retention": (
        "法律、行政法规和审核确认档案规定的保存期限未届满（个人信息保护法第四十七条第二款），保存期间只作存储和必要的安全保护",
        "the law keeps the file for longer; until then it is only stored and protected (PIPL §47)",
    ),
    "duty": (
        "处理该信息为履行社会救助法定职责所必需（个人信息保护法第十三条第一款第三项、第三十四条）",
        "the data is needed for a legal duty of social assistance (PIPL §13, §34)",
    ),
    "identity": ("未能核实请求人就是本人或其监护人、受托人", "it was not proved that the person themselves asks"),
    "others": ("涉及他人的个人信息，他人没有同意", "it is data of other people, who have not agreed"),
    "unfounded": ("经核实，该信息准确，或本机关没有该信息", "the data is right, or this office has none"),
}


class _RequestContent(RequestBody):
    id: UUID
    household_id: UUID
    kind: RequestKind
    text: Annotated[str, Meta(max_length=1000)] = ""


class NewRequest(_RequestContent, kw_only=True):
    """`id` is drawn by the client: the same again is the same request.

    `member_id`: about whom, for a resident who is bound as several members of the household.
    """

    member_id: UUID | None = None


class CounterRequest(_RequestContent, kw_only=True):
    """A request made at the counter, by a member whose identity the officer has looked at."""

    member_id: UUID


class AnswerRequest(RequestBody):
    """`ground`: why not, or not all. `erase_contact`: also delete the telephone number and end bindings in WeChat."""

    outcome: Literal["granted", "partly", "refused"]
    answer: Annotated[str, Meta(min_length=2, max_length=2000)]
    ground: Ground | None = None
    erase_contact: bool = False


class OwnRequest(ResponseBody):
    """A request as the resident reads it."""

    id: UUID
    household_id: UUID
    kind: RequestKind
    text: str
    received_at: datetime
    due_on: date
    state: RequestState
    answer: str | None
    ground: Ground | None
    ground_zh: str | None
    ground_en: str | None
    answered_at: datetime | None


class RequestLine(ResponseBody):
    """A request as an officer reads it. `keeps_until`: the law keeps the files until then; null: still in use."""

    request: OwnRequest
    member_id: UUID
    member_name: str | None
    household_number: str
    area_code: str
    at_counter: bool
    is_late: bool
    answered_by_name: str | None
    erased_at: datetime | None
    must_keep: bool
    keeps_until: date | None


async def make_own_request(session: AsyncSession, caller: Caller, body: NewRequest, now: datetime) -> list[OwnRequest]:
    """Take a resident's request about themselves. Idempotent by id.

    Raises `privacy.member_unclear` for a resident who is bound as several members and names none, and
    `privacy.request_open` while another of the same kind about the same member waits for its answer.
    """
    bound = set(
        await session.scalars(
            select(ResidentBinding.member_id).where(
                ResidentBinding.resident_id == caller.id,
                ResidentBinding.household_id == body.household_id,
                ResidentBinding.ended_at.is_(None),
            )
        )
    )
    if body.member_id is not None:
        bound &= {body.member_id}
    if len(bound) > 1:
        raise Problem("privacy.member_unclear")
    member_id = require_found(next(iter(bound), None))
    household = await session.get_one(Household, body.household_id)
    await _take_request(session, caller, household, member_id, body, now)
    return await list_own_requests(session, caller)


async def list_own_requests(session: AsyncSession, caller: Caller) -> list[OwnRequest]:
    rows = readable(DataRequest, caller).order_by(DataRequest.received_at.desc()).limit(100)
    return [_own(request) for request in await session.scalars(rows)]


async def enter_request(session: AsyncSession, caller: Caller, body: CounterRequest, now: datetime) -> OwnRequest:
    """Write down a request made at the counter. Idempotent by id. Raises `thing.not_found`."""
    household = await _find_household(session, caller, body.household_id)
    member = HouseholdMember.id == body.member_id, HouseholdMember.household_id == household.id
    require_found(await session.scalar(select(HouseholdMember.id).where(*member)))
    return _own(await _take_request(session, caller, household, body.member_id, body, now))


async def _find_household(session: AsyncSession, caller: Caller, household_id: UUID) -> Household:
    require_role(caller, OFFICERS)
    household: Household | None = await session.scalar(readable(Household, caller).where(Household.id == household_id))
    if household is None or not caller.covers(household.area_code, OFFICERS):
        raise Problem("thing.not_found")
    await require_no_conflict_of_interest(session, caller, household.id)
    return household


async def _take_request(
    session: AsyncSession, caller: Caller, household: Household, member_id: UUID, body: _RequestContent, now: datetime
) -> DataRequest:
    existing = await session.get(DataRequest, body.id)
    if existing is not None:
        same = (existing.member_id, existing.kind, existing.text) == (member_id, body.kind, body.text.strip())
        if not same or caller.id not in (existing.resident_id, existing.entered_by):
            raise Problem("request.idempotency_key_reused")
        return existing
    await _require_none_open(session, household.id, member_id, body.kind)
    settings = await load_policy_values(session, household.area_code, day_of(now), ["privacy.answer_days"])
    due = end_of(day_of(now), length_of(settings, "privacy.answer_days"), await load_overrides(session))
    request = DataRequest(
        id=body.id,
        household_id=household.id,
        member_id=member_id,
        area_code=household.area_code,
        kind=body.kind,
        text=body.text.strip(),
        resident_id=caller.id if caller.is_resident else None,
        entered_by=None if caller.is_resident else caller.id,
        received_at=now,
        due_on=due.on,
        state="open",
    )
    session.add(request)
    _record(session, caller, Action.DATA_REQUESTED, request, kind=request.kind)
    await session.flush()  # lists below include it
    return request


async def _require_none_open(session: AsyncSession, household_id: UUID, member_id: UUID, kind: str) -> None:
    """One answer is owed at a time: a second request of the same kind would only begin the days anew."""
    await advisory_lock(session, f"data_request:{member_id}")
    waiting = select(DataRequest.id).where(
        DataRequest.household_id == household_id,
        DataRequest.member_id == member_id,
        DataRequest.kind == kind,
        DataRequest.state == "open",
    )
    if await session.scalar(waiting.limit(1)) is not None:
        raise Problem("privacy.request_open")


async def list_requests(
    session: AsyncSession,
    caller: Caller,
    *,
    state: RequestState | None,
    area: str | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[RequestLine]:
    """List requests in the caller's areas, the first due first."""
    require_role(caller, DESK_ROLES)
    rows = _select_lines(caller)
    if state is not None:
        rows = rows.where(DataRequest.state == state)
    if area is not None:
        rows = rows.where(DataRequest.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _FIRST_DUE, cursor, limit)
    retained = await _load_retention(
        session, {request.household_id: request.area_code for request, *_ in page}, day_of(now)
    )
    return Page(items=[_line(row, retained, day_of(now)) for row in page], next_cursor=next_cursor)


def _select_lines(caller: Caller) -> Any:
    return (
        select(DataRequest, HouseholdMember.name, Household.number, Staff.name)
        .join(Household, Household.id == DataRequest.household_id)
        .outerjoin(HouseholdMember, HouseholdMember.id == DataRequest.member_id)
        .outerjoin(Staff, Staff.id == DataRequest.answered_by)
        .where(DataRequest.in_scope(caller))
    )


class FileRetention(msgspec.Struct, frozen=True):
    """Whether the law keeps the files of a household; `until` is null while it is paid or its application runs."""

    must_keep: bool
    until: date | None = None


async def _load_retention(session: AsyncSession, households: dict[UUID, str], today: date) -> dict[UUID, FileRetention]:
    """Say of each household until when its files are retained."""
    rows = await session.execute(
        select(
            CaseFile.household_id,
            func.bool_or(CaseFile.state.not_in(CLOSED_STATES) | CaseFile.state.in_(GRANTED_STATES)),
            func.max(func.coalesce(CaseFile.stopped_from, CaseFile.decided_on, CaseFile.applied_on)),
        )
        .where(CaseFile.household_id.in_(households))
        .group_by(CaseFile.household_id)
    )
    retained: dict[UUID, FileRetention] = {}
    days: dict[str, int] = {}
    for household_id, is_running, ended_on in rows.all():
        area_code = households[household_id]
        if area_code not in days:
            settings = await load_policy_values(session, area_code, today, ["privacy.case_file_days"])
            days[area_code] = settings["privacy.case_file_days"]
        until = ended_on + timedelta(days=days[area_code])
        retained[household_id] = (
            FileRetention(must_keep=True) if is_running else FileRetention(must_keep=until >= today, until=until)
        )
    # Who is paid by an older register has no case here.
    is_paid = Household.id.in_(households), Household.monthly_amount_fen > 0
    paid = await session.scalars(select(Household.id).where(*is_paid))
    return retained | dict.fromkeys(paid, FileRetention(must_keep=True))


async def answer_request(
    session: AsyncSession, caller: Caller, request_id: UUID, body: AnswerRequest, now: datetime
) -> RequestLine:
    """Answer a request once. The same answer again changes nothing.

    Raises `privacy.ground_missing`, `privacy.must_be_kept` where deletion is granted while the law keeps the file,
    `privacy.answered`, `thing.not_found`.
    """
    request, household = await lock_request(session, caller, request_id)
    if (body.ground is not None) != (body.outcome != "granted"):
        raise Problem("privacy.ground_missing")
    if request.state != "open":
        if (request.state, request.answer, request.ground) != (body.outcome, body.answer.strip(), body.ground):
            raise Problem("privacy.answered")
        return await _load_line(session, caller, request_id, now)
    retained = (await _load_retention(session, {household.id: household.area_code}, day_of(now))).get(household.id)
    if request.kind == "delete" and body.outcome == "granted" and retained is not None and retained.must_keep:
        raise Problem("privacy.must_be_kept")
    request.state, request.answer, request.ground = body.outcome, body.answer.strip(), body.ground
    request.answered_by, request.answered_at = caller.id, now
    if body.erase_contact:
        await _erase_contact(session, caller, request, household, now)
    _record(session, caller, Action.DATA_ANSWERED, request, kind=request.kind, outcome=request.state)
    await session.flush()  # the line is read from the database
    return await _load_line(session, caller, request_id, now)


async def lock_request(session: AsyncSession, caller: Caller, request_id: UUID) -> tuple[DataRequest, Household]:
    require_role(caller, OFFICERS)
    request: DataRequest = require_found(
        await session.scalar(readable(DataRequest, caller).where(DataRequest.id == request_id).with_for_update())
    )
    return request, await _find_household(session, caller, request.household_id)


async def _erase_contact(
    session: AsyncSession, caller: Caller, request: DataRequest, household: Household, now: datetime
) -> None:
    """Delete what no file needs: the household's telephone number, and the member's bindings in WeChat."""
    if request.kind not in {"delete", "restrict"}:
        raise Problem("privacy.nothing_to_erase")
    household.phone_sealed = household.phone_mask = household.phone_index = None
    household.updated_at = request.erased_at = now
    await session.execute(
        update(ResidentBinding)
        .where(ResidentBinding.member_id == request.member_id, ResidentBinding.ended_at.is_(None))
        .values(ended_at=now, ended_by=caller.id, end_reason="个人信息删除请求")
    )
    await session.flush()  # publish_change reads the household
    await publish_change(session, "households", [household.id])
    _record(session, caller, Action.DATA_ERASED, request, member_id=str(request.member_id))


async def _load_line(session: AsyncSession, caller: Caller, request_id: UUID, now: datetime) -> RequestLine:
    rows = await session.execute(_select_lines(caller).where(DataRequest.id == request_id))
    row = require_found(rows.one_or_none())
    request = row[0]
    retained = await _load_retention(session, {request.household_id: request.area_code}, day_of(now))
    return _line(row, retained, day_of(now))


def _line(row: Any, retained: dict[UUID, FileRetention], today: date) -> RequestLine:
    request, member_name, number, officer = row
    files = retained.get(request.household_id, FileRetention(must_keep=False))
    answered_on = day_of(request.answered_at) if request.answered_at else today
    return RequestLine(
        request=_own(request),
        member_id=request.member_id,
        member_name=member_name,
        household_number=number,
        area_code=request.area_code,
        at_counter=request.entered_by is not None,
        is_late=answered_on > request.due_on,
        answered_by_name=officer,
        erased_at=request.erased_at,
        must_keep=files.must_keep,
        keeps_until=files.until,
    )


def _own(request: DataRequest) -> OwnRequest:
    zh, en = GROUND_TEXTS[request.ground] if request.ground else (None, None)
    return OwnRequest(
        id=request.id,
        household_id=request.household_id,
        kind=msgspec.convert(request.kind, RequestKind),
        text=request.text,
        received_at=request.received_at,
        due_on=request.due_on,
        state=msgspec.convert(request.state, RequestState),
        answer=request.answer,
        ground=msgspec.convert(request.ground, Ground | None),
        ground_zh=zh,
        ground_en=en,
        answered_at=request.answered_at,
    )


def _record(session: AsyncSession, caller: Caller, action: Action, request: DataRequest, **facts: Any) -> None:
    audit.record(session, caller, action, "data_request", request.id, area_code=request.area_code, **facts)
