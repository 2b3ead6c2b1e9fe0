"""What was granted, raised, cut and stopped, over time: the register of stops (撤销登记) and the sums of a period."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DESK_ROLES, Caller, require
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Page, cut_page, read_place
from server.models.areas import Area
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile
from server.models.households import Household
from server.models.people import Staff

LONGEST_PAGE = 1000
Kind = Literal["granted", "raised", "cut", "stopped"]


class BenefitLine(ResponseBody):
    """Money a month. `people`: whom it is for, or of a stop was for."""

    id: UUID
    case_id: UUID
    application_number: str
    household_number: str
    head_name: str
    area_code: str
    area_name: str
    kind: str
    month: date
    before_fen: int
    amount_fen: int
    people: int
    ground: str | None
    reason: str
    decided_on: date
    decided_by_name: str | None


class PartTotal(ResponseBody):
    """A part of a kind: one class (A, B, C, or none noted), or one town."""

    code: str
    name: str
    households: int
    people: int


class KindTotal(ResponseBody):
    """`change_fen` a month is signed: less is negative. The parts of either list come to the whole."""

    kind: Kind
    households: int
    people: int
    change_fen: int
    classes: list[PartTotal]
    towns: list[PartTotal]


class Totals(ResponseBody):
    """By kind, and what all of it comes to: people and money a month."""

    since: date
    until: date
    kinds: list[KindTotal]
    net_households: int
    net_people: int
    net_fen: int


async def list_benefit_changes(
    session: AsyncSession,
    caller: Caller,
    *,
    kind: Kind | None,
    area: str | None,
    since: date | None,
    until: date | None,
    cursor: str | None,
    limit: int,
) -> Page[BenefitLine]:
    """By day of decision, the newest first. One query."""
    require(caller, DESK_ROLES)
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = (
        select(BenefitChange, CaseFile.number, Household.number, Household.head_name, Area.name, Staff.name)
        .join(CaseFile, CaseFile.id == BenefitChange.case_id)
        .join(Household, Household.id == BenefitChange.household_id)
        .join(Area, Area.code == BenefitChange.area_code)
        .outerjoin(Staff, Staff.id == BenefitChange.decided_by)
        .where(*_within(caller, area, since, until))
        .order_by(BenefitChange.decided_on.desc(), BenefitChange.id.desc())
        .limit(limit + 1)
    )
    if kind is not None:
        rows = rows.where(BenefitChange.kind == kind)
    if (after := read_place(cursor, date.fromisoformat)) is not None:
        on, last = after
        rows = rows.where(
            or_(BenefitChange.decided_on < on, and_(BenefitChange.decided_on == on, BenefitChange.id < last))
        )
    found_rows = (await session.execute(rows)).all()
    page, next_cursor = cut_page(found_rows, limit, lambda row: [row[0].decided_on.isoformat(), str(row[0].id)])
    return Page(items=[_line(*row) for row in page], next_cursor=next_cursor)


def _within(caller: Caller, area: str | None, since: date | None, until: date | None) -> list[Any]:
    return [
        BenefitChange.in_scope(caller),
        *([BenefitChange.area_code.startswith(area, autoescape=True)] if area else []),
        *([BenefitChange.decided_on >= since] if since else []),
        *([BenefitChange.decided_on <= until] if until else []),
    ]


def _line(
    one: BenefitChange, case_number: str, household_number: str, head_name: str, area_name: str, decider: str | None
) -> BenefitLine:
    return BenefitLine(
        id=one.id,
        case_id=one.case_id,
        application_number=case_number,
        household_number=household_number,
        head_name=head_name,
        area_code=one.area_code,
        area_name=area_name,
        kind=one.kind,
        month=one.month,
        before_fen=one.before_fen,
        amount_fen=one.amount_fen,
        people=one.people,
        ground=one.ground,
        reason=one.reason,
        decided_on=one.decided_on,
        decided_by_name=decider,
    )


class Announced(RequestBody):
    """What an office announced or wrote into a report; what it did not say is left out."""

    kind: Kind
    households: Annotated[int, Meta(ge=0)] | None = None
    people: Annotated[int, Meta(ge=0)] | None = None
    change_fen: int | None = None


class CompareAnnounced(RequestBody):
    since: date
    until: date
    announced: Annotated[list[Announced], Meta(min_length=1, max_length=4)]
    area: Annotated[str, Meta(pattern="^[0-9]{0,12}$")] = ""


class Mismatch(ResponseBody):
    """Both numbers stand: which of them is wrong is for a person to find."""

    kind: Kind
    what: Literal["households", "people", "changeFen"]
    announced: int
    counted: int


async def compare_announced(session: AsyncSession, caller: Caller, asked: CompareAnnounced) -> list[Mismatch]:
    """Where what was announced is not what the register counts. Nothing is corrected on either side."""
    totals = await sum_up(session, caller, area=asked.area or None, since=asked.since, until=asked.until)
    counted = {one.kind: one for one in totals.kinds}
    found: list[Mismatch] = []
    for told in asked.announced:
        one = counted[told.kind]
        pairs: list[tuple[Literal["households", "people", "changeFen"], int | None, int]] = [
            ("households", told.households, one.households),
            ("people", told.people, one.people),
            ("changeFen", told.change_fen, one.change_fen),
        ]
        found += [
            Mismatch(kind=told.kind, what=what, announced=said, counted=number)
            for what, said, number in pairs
            if said is not None and said != number
        ]
    return found


async def sum_up(session: AsyncSession, caller: Caller, *, area: str | None, since: date, until: date) -> Totals:
    """What was decided from `since` to `until`, both included. A raise or a cut changes nobody's number."""
    require(caller, DESK_ROLES)
    rows = await session.execute(
        select(
            BenefitChange.kind,
            func.count(),
            func.coalesce(func.sum(BenefitChange.people), 0),
            func.coalesce(func.sum(BenefitChange.amount_fen - BenefitChange.before_fen), 0),
        )
        .where(*_within(caller, area, since, until))
        .group_by(BenefitChange.kind)
    )
    by_kind = {kind: (households, int(people), int(fen)) for kind, households, people, fen in rows}
    within = _within(caller, area, since, until)
    classes = await _parts(session, func.coalesce(BenefitChange.class_, ""), within)
    towns = await _parts(session, func.left(BenefitChange.area_code, 9), within)
    kinds: list[Kind] = ["granted", "raised", "cut", "stopped"]
    totals = [
        KindTotal(
            kind=one,
            households=households,
            people=people,
            change_fen=fen,
            classes=classes.get(one, []),
            towns=towns.get(one, []),
        )
        for one in kinds
        for households, people, fen in [by_kind.get(one, (0, 0, 0))]
    ]
    granted, stopped = totals[0], totals[-1]
    return Totals(
        since=since,
        until=until,
        kinds=totals,
        net_households=granted.households - stopped.households,
        net_people=granted.people - stopped.people,
        net_fen=sum(one.change_fen for one in totals),
    )


async def _parts(session: AsyncSession, part: Any, within: list[Any]) -> dict[str, list[PartTotal]]:
    rows = await session.execute(
        select(BenefitChange.kind, part.label("code"), func.count(), func.sum(BenefitChange.people))
        .where(*within)
        .group_by(BenefitChange.kind, "code")
        .order_by(BenefitChange.kind, "code")
    )
    told = [(kind, code, households, int(people)) for kind, code, households, people in rows]
    names = dict(
        (
            await session.execute(select(Area.code, Area.name).where(Area.code.in_([code for _, code, _, _ in told])))
        ).all()
    )
    parts: dict[str, list[PartTotal]] = {}
    for kind, code, households, people in told:
        parts.setdefault(kind, []).append(
            PartTotal(code=code, name=names.get(code, code), households=households, people=people)
        )
    return parts
