"""For officers: what was told, who got it by which way and when, what failed, and why nothing could reach a household.

It shows no text and no telephone number. Whoever reads a notice in the app has been reached too.
"""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import ColumnElement, Select, case, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DESK_ROLES, Caller, readable, require_found, require_role
from server.core.clock import CHINA
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.households.conflicts import require_no_conflict_of_interest
from server.models.areas import Area
from server.models.households import Household, HouseholdMember
from server.models.notifications import Announcement, MessageDelivery, Notice
from server.models.people import ResidentBinding
from server.notifications.wording import KINDS

Outcome = Literal["reached", "waiting", "unsure", "not_reached"]
_NEWEST_FIRST = Keyset(Announcement.made_at, Announcement.id, descending=True)
# States of a message that explain why it reached nobody.
_IN_THE_WAY = ("none", "no_consent", "parked", "refused")
# Counts of a longer time would be a query over all of it.
_LONGEST_DAYS = 366


class AnnouncementLine(ResponseBody):
    """`why`: of what reached nobody, what stands in the way: `nobody_bound`, a state of a message or of the text."""

    id: UUID
    kind: str
    zh: str
    en: str
    household_id: UUID
    household_number: str
    area_code: str
    area_name: str | None
    made_at: datetime
    readers: int
    reached: int
    text_state: str
    text_why: str | None
    outcome: Outcome
    why: str | None


class DeliveryLine(ResponseBody):
    """One way. `receipt_at`: when WeChat said what became of it."""

    way: str
    state: str
    why: str | None
    begun_at: datetime
    ended_at: datetime | None
    receipt_at: datetime | None


class AnnouncementReader(ResponseBody):
    """Somebody to whom it was told."""

    name: str
    read_at: datetime | None
    message: str
    message_why: str | None
    deliveries: list[DeliveryLine]


class AnnouncementDetail(ResponseBody):
    announcement: AnnouncementLine
    readers: list[AnnouncementReader]
    texts: list[DeliveryLine]


class OutcomeCount(ResponseBody):
    kind: str
    outcome: Outcome
    why: str | None
    count: Annotated[int, Meta(ge=0)]


class OutcomeCounts(ResponseBody):
    """What was told from a day until before another, by kind and by what came of it."""

    since: date
    until: date
    counts: list[OutcomeCount]


async def list_announcements(
    session: AsyncSession,
    caller: Caller,
    *,
    kind: str | None,
    outcome: Outcome | None,
    area: str | None,
    cursor: str | None,
    limit: int,
) -> Page[AnnouncementLine]:
    """List what was told in the caller's areas, the newest first."""
    require_role(caller, DESK_ROLES)
    reach = _select_reach()
    query = _select_lines(caller, reach)
    if kind is not None:
        query = query.where(Announcement.kind == kind)
    if area is not None:
        query = query.where(Announcement.area_code.startswith(area, autoescape=True))
    if outcome is not None:
        query = query.where(_outcome(reach) == outcome)
    page, next_cursor = await fetch_page(session, query, _NEWEST_FIRST, cursor, limit)
    return Page(items=[_line(row) for row in page], next_cursor=next_cursor)


def _select_reach() -> Any:
    """Per announcement: its readers, those who were reached, and the worst that stands in the way of the others."""
    is_reached = (Notice.message == "sent") | Notice.read_at.is_not(None)
    return (
        select(
            func.count(Notice.id).label("readers"),
            func.count(Notice.id).filter(is_reached).label("reached"),
            func.count(Notice.id).filter(Notice.message.in_(["waiting", "sending"])).label("waiting"),
            func.count(Notice.id).filter(Notice.message == "unsure").label("unsure"),
            func.max(Notice.message)
            .filter(Notice.message.in_(["none", "no_consent", "parked", "refused"]))
            .label("why"),
        )
        .where(Notice.announcement_id == Announcement.id)
        .lateral("reach")
    )


def _outcome(reach: Any) -> ColumnElement[str]:
    text_state = Announcement.text_state
    return case(
        ((reach.c.reached > 0) | (text_state == "sent"), "reached"),
        ((reach.c.waiting > 0) | text_state.in_(["waiting", "sending"]), "waiting"),
        ((reach.c.unsure > 0) | (text_state == "unsure"), "unsure"),
        else_="not_reached",
    )


def _why(reach: Any) -> ColumnElement[Any]:
    """A text message that failed says more than the ways before it."""
    text_state = Announcement.text_state
    return case(
        (_outcome(reach) != "not_reached", None),
        (text_state.not_in(["none", "unneeded"]), func.concat("text_", text_state)),
        (reach.c.readers == 0, "nobody_bound"),
        else_=reach.c.why,
    )


def _select_lines(caller: Caller, reach: Any) -> Select[Any]:
    return (
        select(
            Announcement,
            Household.number,
            Area.name,
            reach.c.readers,
            reach.c.reached,
            _outcome(reach).label("outcome"),
            _why(reach).label("why"),
        )
        .select_from(Announcement)
        .join(reach, true())
        .join(Household, Household.id == Announcement.household_id)
        .outerjoin(Area, Area.code == Announcement.area_code)
        .where(Announcement.in_scope(caller))
    )


def _line(row: Any) -> AnnouncementLine:
    announcement, number, area_name, readers, reached, outcome, why = row
    kind = KINDS[announcement.kind]
    return AnnouncementLine(
        id=announcement.id,
        kind=announcement.kind,
        zh=kind.what,
        en=kind.en,
        household_id=announcement.household_id,
        household_number=number,
        area_code=announcement.area_code,
        area_name=area_name,
        made_at=announcement.made_at,
        readers=readers,
        reached=reached,
        text_state=announcement.text_state,
        text_why=announcement.text_why,
        outcome=outcome,
        why=why,
    )


async def load_announcement(session: AsyncSession, caller: Caller, announcement_id: UUID) -> AnnouncementDetail:
    """Return one with its readers. Raises `case.own_relative` where the household has declared the caller one."""
    require_role(caller, DESK_ROLES)
    announcement: Announcement = require_found(
        await session.scalar(readable(Announcement, caller).where(Announcement.id == announcement_id))
    )
    assert announcement.household_id is not None
    await require_no_conflict_of_interest(session, caller, announcement.household_id)
    lines = await session.execute(_select_lines(caller, _select_reach()).where(Announcement.id == announcement_id))
    notices = list(
        await session.scalars(
            select(Notice).where(Notice.announcement_id == announcement_id).order_by(Notice.made_at, Notice.id)
        )
    )
    names = await _load_names(session, announcement.household_id)
    deliveries = list(
        await session.scalars(
            select(MessageDelivery)
            .where(MessageDelivery.announcement_id == announcement_id)
            .order_by(MessageDelivery.begun_at, MessageDelivery.id)
        )
    )
    return AnnouncementDetail(
        announcement=_line(lines.one()),
        readers=[
            AnnouncementReader(
                name=names.get(notice.resident_id, "–") if notice.resident_id else "–",
                read_at=notice.read_at,
                message=notice.message,
                message_why=notice.message_why,
                deliveries=[_delivery(item) for item in deliveries if item.notice_id == notice.id],
            )
            for notice in notices
        ],
        texts=[_delivery(item) for item in deliveries if item.notice_id is None],
    )


async def _load_names(session: AsyncSession, household_id: UUID) -> dict[UUID, str]:
    """Return the names of residents, as those members as whom they were bound to the household."""
    rows = await session.execute(
        select(ResidentBinding.resident_id, func.string_agg(HouseholdMember.name.distinct(), "、"))
        .join(HouseholdMember, HouseholdMember.id == ResidentBinding.member_id)
        .where(ResidentBinding.household_id == household_id)
        .group_by(ResidentBinding.resident_id)
    )
    return dict(rows.all())


def _delivery(delivery: MessageDelivery) -> DeliveryLine:
    return DeliveryLine(
        way=delivery.way,
        state=delivery.state,
        why=delivery.why,
        begun_at=delivery.begun_at,
        ended_at=delivery.ended_at,
        receipt_at=delivery.receipt_at,
    )


async def count_outcomes(
    session: AsyncSession, caller: Caller, *, area: str | None, since: date, until: date
) -> OutcomeCounts:
    """Count what was told in a time, of at most a year, by kind, outcome and why."""
    require_role(caller, DESK_ROLES)
    since = max(since, until - timedelta(days=_LONGEST_DAYS))
    reach = _select_reach()
    lines = (
        _select_lines(caller, reach)
        .with_only_columns(Announcement.kind, _outcome(reach).label("outcome"), _why(reach).label("why"))
        .where(Announcement.made_at >= _begin(since), Announcement.made_at < _begin(until))
    )
    if area is not None:
        lines = lines.where(Announcement.area_code.startswith(area, autoescape=True))
    outcomes = lines.subquery()
    keys = outcomes.c.kind, outcomes.c.outcome, outcomes.c.why
    rows = await session.execute(select(*keys, func.count()).group_by(*keys).order_by(*keys))
    return OutcomeCounts(
        since=since,
        until=until,
        counts=[OutcomeCount(kind=kind, outcome=outcome, why=why, count=count) for kind, outcome, why, count in rows],
    )


def _begin(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=CHINA)
