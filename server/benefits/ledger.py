"""The benefit ledger: what was granted, raised, cut and stopped (撤销登记), and the totals of a period."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DESK_ROLES, Caller, require_role
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile
from server.models.households import Household
from server.models.people import Staff

_NEWEST_FIRST = Keyset(BenefitChange.decided_on, BenefitChange.id, descending=True)
Kind = Literal["granted", "raised", "cut", "stopped", "taken_over"]


class BenefitLine(ResponseBody):
    """Money per month. `people`: how many the payment covers, or covered before a stop."""

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
    ground_zh: str | None
    ground_en: str | None
    reason: str
    decided_on: date
    decided_by_name: str | None


class PartTotal(ResponseBody):
    """The part of a kind that belongs to a class (A, B, C or none) or to a town."""

    code: str
    name: str
    households: int
    people: int


class KindTotal(ResponseBody):
    """`change_fen` is signed and per month. `classes` and `towns` each add up to the total."""

    kind: Kind
    households: int
    people: int
    change_fen: int
    classes: list[PartTotal]
    towns: list[PartTotal]


class Totals(ResponseBody):
    """Totals by kind, and the net change of households, people and money per month."""

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
    ground: str | None = None,
    area: str | None,
    since: date | None,
    until: date | None,
    cursor: str | None,
    limit: int,
) -> Page[BenefitLine]:
    """List changes by day of decision, the newest first. One query. `ground` includes the kinds below it."""
    require_role(caller, DESK_ROLES)
    rows = (
        select(BenefitChange, CaseFile.number, Household.number, Household.head_name, Area.name, Staff.name)
        .join(CaseFile, CaseFile.id == BenefitChange.case_id)
        .join(Household, Household.id == BenefitChange.household_id)
        .join(Area, Area.code == BenefitChange.area_code)
        .outerjoin(Staff, Staff.id == BenefitChange.decided_by)
        .where(*_conditions(caller, area, since, until))
    )
    if kind is not None:
        rows = rows.where(BenefitChange.kind == kind)
    if ground is not None:
        rows = rows.where(
            or_(
                BenefitChange.ground == ground,
                BenefitChange.ground.startswith(f"{ground}.", autoescape=True),
            )
        )
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    return Page(items=[_line(*row) for row in page], next_cursor=next_cursor)


def _conditions(caller: Caller, area: str | None, since: date | None, until: date | None) -> list[Any]:
    return [
        BenefitChange.in_scope(caller),
        *([BenefitChange.area_code.startswith(area, autoescape=True)] if area else []),
        *([BenefitChange.decided_on >= since] if since else []),
        *([BenefitChange.decided_on <= until] if until else []),
    ]


def _line(
    change: BenefitChange, case_number: str, household_number: str, head_name: str, area_name: str, decider: str | None
) -> BenefitLine:
    return BenefitLine(
        id=change.id,
        case_id=change.case_id,
        application_number=case_number,
        household_number=household_number,
        head_name=head_name,
        area_code=change.area_code,
        area_name=area_name,
        kind=change.kind,
        month=change.month,
        before_fen=change.before_fen,
        amount_fen=change.amount_fen,
        people=change.people,
        ground=change.ground,
        ground_zh=change.ground_zh,
        ground_en=change.ground_en,
        reason=change.reason,
        decided_on=change.decided_on,
        decided_by_name=decider,
    )


class AnnouncedTotal(RequestBody):
    """Numbers that an office announced or reported; null for what it did not state."""

    kind: Kind
    households: Annotated[int, Meta(ge=0)] | None = None
    people: Annotated[int, Meta(ge=0)] | None = None
    change_fen: int | None = None


class CompareAnnounced(RequestBody):
    since: date
    until: date
    announced: Annotated[list[AnnouncedTotal], Meta(min_length=1, max_length=4)]
    area: Annotated[str, Meta(pattern="^[0-9]{0,12}$")] = ""


class Mismatch(ResponseBody):
    """An announced number that differs from the ledger. Which of the two is wrong, a person has to find out."""

    kind: Kind
    what: Literal["households", "people", "changeFen"]
    announced: int
    counted: int


async def compare_announced(session: AsyncSession, caller: Caller, body: CompareAnnounced) -> list[Mismatch]:
    """List where announced numbers differ from the ledger. Nothing is corrected on either side."""
    totals = await sum_changes(session, caller, area=body.area or None, since=body.since, until=body.until)
    counted = {total.kind: total for total in totals.kinds}
    mismatches: list[Mismatch] = []
    for announced in body.announced:
        total = counted[announced.kind]
        pairs: list[tuple[Literal["households", "people", "changeFen"], int | None, int]] = [
            ("households", announced.households, total.households),
            ("people", announced.people, total.people),
            ("changeFen", announced.change_fen, total.change_fen),
        ]
        mismatches += [
            Mismatch(kind=announced.kind, what=what, announced=announced_number, counted=number)
            for what, announced_number, number in pairs
            if announced_number is not None and announced_number != number
        ]
    return mismatches


async def sum_changes(session: AsyncSession, caller: Caller, *, area: str | None, since: date, until: date) -> Totals:
    """Total the decisions from `since` to `until`, both included. Raises and cuts don't change the net people."""
    require_role(caller, DESK_ROLES)
    conditions = _conditions(caller, area, since, until)
    rows = await session.execute(
        select(
            BenefitChange.kind,
            func.count(),
            func.coalesce(func.sum(BenefitChange.people), 0),
            func.coalesce(func.sum(BenefitChange.amount_fen - BenefitChange.before_fen), 0),
        )
        .where(*conditions)
        .group_by(BenefitChange.kind)
    )
    counts = {kind: (households, int(people), int(fen)) for kind, households, people, fen in rows}
    classes = await _sum_parts(session, func.coalesce(BenefitChange.class_, ""), conditions)
    towns = await _sum_parts(session, func.left(BenefitChange.area_code, 9), conditions)
    kinds: list[Kind] = ["granted", "raised", "cut", "stopped"]
    totals = [
        KindTotal(
            kind=kind,
            households=households,
            people=people,
            change_fen=fen,
            classes=classes.get(kind, []),
            towns=towns.get(kind, []),
        )
        for kind in kinds
        for households, people, fen in [counts.get(kind, (0, 0, 0))]
    ]
    granted, stopped = totals[0], totals[-1]
    return Totals(
        since=since,
        until=until,
        kinds=totals,
        net_households=granted.households - stopped.households,
        net_people=granted.people - stopped.people,
        net_fen=sum(kind.change_fen for kind in totals),
    )


async def _sum_parts(session: AsyncSession, part: Any, conditions: list[Any]) -> dict[str, list[PartTotal]]:
    rows = await session.execute(
        select(BenefitChange.kind, part.label("code"), func.count(), func.sum(BenefitChange.people))
        .where(*conditions)
        .group_by(BenefitChange.kind, "code")
        .order_by(BenefitChange.kind, "code")
    )
    sums = [(kind, code, households, int(people)) for kind, code, households, people in rows]
    names = dict(
        (
            await session.execute(select(Area.code, Area.name).where(Area.code.in_([code for _, code, _, _ in sums])))
        ).all()
    )
    parts: dict[str, list[PartTotal]] = {}
    for kind, code, households, people in sums:
        parts.setdefault(kind, []).append(
            PartTotal(code=code, name=names.get(code, code), households=households, people=people)
        )
    return parts
