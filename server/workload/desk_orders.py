"""Orders of the desk: visits of any kind to a home, a village, a class or a list of archive numbers; and their recall.

Each visit goes to whoever holds its home, or to one of them by name. What can't be ordered is listed with its reason;
the rest of the order goes out. Spot checks are ordered blindly, by `server/spotchecks`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from msgspec import Meta, field
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.checklists.versions import find_newest_checklist
from server.core.access import Caller, Role, in_areas, require_role
from server.core.errors import Fault, Problem
from server.core.http import LongText, RequestBody, ResponseBody
from server.core.normalise import bare, bare_number
from server.models.cases import CLOSED_STATES, CaseFile
from server.models.checklists import ChecklistTemplate
from server.models.households import Assignment, Caseload, Household
from server.models.people import Staff
from server.models.review import SpotCheck
from server.sync_feed.publish import publish_change
from server.workload.assignments import create_assignment, notify_each_holder

ORDER_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
MAX_HOMES = 2000
# Beyond the longest interval between two reviews, a due date is a slip of the keyboard.
LATEST_DUE = timedelta(days=400)
OrderedKind = Literal["intake", "review", "neighbour", "complaint", "care", "housing"]
Numbers = Annotated[list[Annotated[str, Meta(max_length=40)]], Meta(min_length=1, max_length=MAX_HOMES)]

# Why a home is left out of an order.
REASONS: Mapping[str, tuple[str, str]] = {
    "order.home_unknown": ("本地区没有此户编号", "No home of your area has this number"),
    "order.already_open": ("已有同类走访任务", "A visit of this kind is open already"),
    "order.no_case": ("没有在办申请，不能安排入户调查", "No application is open, so there is nothing to survey"),
    "order.no_checklist": ("本地区没有已发布的此类走访表", "No checklist of this kind is published here"),
    "order.not_held": ("不由所选人员负责，请先分派", "The chosen person does not hold it: give them the home first"),
}


class OrderVisits(RequestBody):
    """Exactly one of `household_ids`, `area_code` and `numbers`. Of an area those with a class, or of one `class`.

    `id` is made by the client: the same order again is the same order. `dry_run` says what would happen, and orders
    nothing. Without an `assignee_id` each visit goes to the holders of its home.
    """

    id: UUID
    kind: OrderedKind
    due_on: date
    note: LongText = ""
    assignee_id: UUID | None = None
    household_ids: Annotated[list[UUID], Meta(min_length=1, max_length=MAX_HOMES)] | None = None
    area_code: Annotated[str, Meta(pattern="^([0-9]{6}|[0-9]{9}|[0-9]{12})$")] | None = None
    class_: Literal["A", "B", "C"] | None = field(default=None, name="class")
    numbers: Numbers | None = None
    dry_run: bool = False


class LeftOut(ResponseBody):
    number: str
    code: str
    zh: str
    en: str


class VisitsOrdered(ResponseBody):
    """`without_holder`: of those ordered, how many wait until somebody holds the home."""

    ordered: int
    without_holder: int
    left_out: list[LeftOut]


class RecallOrders(RequestBody):
    """Exactly one of `assignment_ids` and `order_id`: some visits, or all that are open of one order."""

    reason: Annotated[LongText, Meta(min_length=2)]
    assignment_ids: Annotated[list[UUID], Meta(min_length=1, max_length=MAX_HOMES)] | None = None
    order_id: UUID | None = None


class OrdersRecalled(ResponseBody):
    """Visits that were made meanwhile, or that the procedure ordered, stay."""

    recalled: int


class _Home(NamedTuple):
    household: Household
    checklist: ChecklistTemplate
    case_id: UUID | None


async def order_visits(session: AsyncSession, caller: Caller, order: OrderVisits, today: date) -> VisitsOrdered:
    """Order visits. Raises `order.too_many`, `order.spent`, `thing.not_found` for an assignee, `request.invalid`."""
    require_role(caller, ORDER_ROLES)
    _require_valid(order, today)
    if order.assignee_id is not None and not await _is_active(session, order.assignee_id):
        raise Problem("thing.not_found")
    households = await _lock_homes(session, caller, order)
    if (stored := await _load_stored(session, caller, order)) is not None:  # after the lock: it may be on its way twice
        return stored
    fit, left_out = await _sort_homes(session, order, households)
    left_out = [*_unknown_numbers(order, households), *left_out]
    held = await _find_held(session, [home.household.id for home in fit])
    if not order.dry_run and fit:
        await _write(session, caller, order, fit)
    without_holder = sum(home.household.id not in held for home in fit)
    return VisitsOrdered(ordered=len(fit), without_holder=without_holder, left_out=left_out)


def _require_valid(order: OrderVisits, today: date) -> None:
    named = [item for item in (order.household_ids, order.area_code, order.numbers) if item is not None]
    if len(named) != 1:
        raise Problem("order.nothing_named")
    if not today <= order.due_on <= today + LATEST_DUE:
        raise Problem("request.invalid", faults=[Fault("/dueOn", "field.invalid", str(order.due_on))])


async def _load_stored(session: AsyncSession, caller: Caller, order: OrderVisits) -> VisitsOrdered | None:
    """Return what the same order did before; None: it is new. Raises `order.spent` for another under its id."""
    rows = list(await session.scalars(select(Assignment).where(Assignment.order_id == order.id)))
    if not rows:
        return None
    stored = (rows[0].ordered_by, rows[0].kind, rows[0].due_on, rows[0].note)
    if stored != (caller.id, order.kind, order.due_on, order.note):
        raise Problem("order.spent")
    return VisitsOrdered(ordered=len(rows), without_holder=0, left_out=[])


async def _is_active(session: AsyncSession, staff_id: UUID) -> bool:
    found = await session.scalar(select(Staff.id).where(Staff.id == staff_id, Staff.disabled_at.is_(None)))
    return found is not None


async def _lock_homes(session: AsyncSession, caller: Caller, order: OrderVisits) -> list[Household]:
    """Return the homes of the caller's area that the order names, locked, so that two orders see each other."""
    rows = select(Household).where(in_areas(Household.area_code, caller, ORDER_ROLES), Household.merged_into.is_(None))
    if order.household_ids is not None:
        rows = rows.where(Household.id.in_(order.household_ids))
    elif order.area_code is not None:
        rows = rows.where(Household.area_code.startswith(order.area_code, autoescape=True))
        rows = rows.where(Household.class_.is_not(None) if order.class_ is None else Household.class_ == order.class_)
    else:
        rows = rows.where(bare(Household.number).in_([bare_number(number) for number in order.numbers or []]))
    households = list(await session.scalars(rows.order_by(Household.id).limit(MAX_HOMES + 1).with_for_update()))
    if len(households) > MAX_HOMES:
        raise Problem("order.too_many", most=MAX_HOMES)
    if not households and order.numbers is None:
        raise Problem("thing.not_found")
    return households


def _unknown_numbers(order: OrderVisits, households: Sequence[Household]) -> list[LeftOut]:
    found = {bare_number(household.number) for household in households}
    numbers = dict.fromkeys(number.strip() for number in order.numbers or [])
    return [_left_out(number, "order.home_unknown") for number in numbers if bare_number(number) not in found]


def _left_out(number: str, code: str) -> LeftOut:
    zh, en = REASONS[code]
    return LeftOut(number=number, code=code, zh=zh, en=en)


async def _sort_homes(
    session: AsyncSession, order: OrderVisits, households: Sequence[Household]
) -> tuple[list[_Home], list[LeftOut]]:
    """Return the homes that can be visited so, and the others with the reason."""
    ids = [household.id for household in households]
    is_open = Assignment.household_id.in_(ids), Assignment.kind == order.kind, Assignment.state == "open"
    visited = set(await session.scalars(select(Assignment.household_id).where(*is_open)))
    cases = await _load_open_cases(session, ids) if order.kind in {"intake", "complaint"} else {}
    holds = await _load_held(session, ids, order.assignee_id) if order.assignee_id else None
    checklists = {
        area: await find_newest_checklist(session, area, order.kind)
        for area in sorted({household.area_code for household in households})
    }
    fit: list[_Home] = []
    left_out: list[LeftOut] = []
    for household in sorted(households, key=lambda household: household.number):
        checklist = checklists[household.area_code]
        if household.id in visited:
            left_out.append(_left_out(household.number, "order.already_open"))
        elif order.kind == "intake" and household.id not in cases:
            left_out.append(_left_out(household.number, "order.no_case"))
        elif holds is not None and household.id not in holds:
            left_out.append(_left_out(household.number, "order.not_held"))
        elif checklist is None:
            left_out.append(_left_out(household.number, "order.no_checklist"))
        else:
            fit.append(_Home(household, checklist, cases.get(household.id)))
    return fit, left_out


async def _load_open_cases(session: AsyncSession, household_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    is_open = CaseFile.household_id.in_(household_ids), CaseFile.state.not_in(CLOSED_STATES)
    return dict((await session.execute(select(CaseFile.household_id, CaseFile.id).where(*is_open))).all())


async def _load_held(session: AsyncSession, household_ids: Sequence[UUID], staff_id: UUID) -> set[UUID]:
    rows = _select_holders(household_ids).where(Caseload.staff_id == staff_id)
    return set(await session.scalars(rows))


async def _find_held(session: AsyncSession, household_ids: Sequence[UUID]) -> set[UUID]:
    return set(await session.scalars(_select_holders(household_ids).distinct()))


def _select_holders(household_ids: Sequence[UUID]) -> Select[UUID]:
    return select(Caseload.household_id).where(
        Caseload.household_id.in_(household_ids), Caseload.revoked_at.is_(None), SpotCheck.is_no_team(Caseload.id)
    )


async def _write(session: AsyncSession, caller: Caller, order: OrderVisits, homes: Sequence[_Home]) -> None:
    assignments = [
        create_assignment(
            session,
            home.household.id,
            order.kind,
            order.due_on,
            home.checklist,
            case_id=home.case_id,
            ordered_by=caller.id,
        )
        for home in homes
    ]
    for assignment in assignments:
        assignment.order_id, assignment.assignee_id, assignment.note = order.id, order.assignee_id, order.note
    await session.flush()  # publish_change reads them
    ids = [assignment.id for assignment in assignments]
    await publish_change(session, "assignments", ids)
    areas = _areas_of(homes)
    audit.record(
        session,
        caller,
        Action.VISITS_ORDERED,
        "visit_order",
        order.id,
        area_code=areas,
        kind=order.kind,
        due_on=order.due_on.isoformat(),
        visits=len(ids),
    )
    await notify_each_holder(session, ids, areas, f"order:{order.id}")


def _areas_of(homes: Sequence[_Home]) -> str:
    """Return the smallest area around all homes of an order."""
    codes = [home.household.area_code for home in homes]
    return max((code for code in _shared_prefixes(codes)), key=len, default=codes[0][:6])


def _shared_prefixes(codes: Sequence[str]) -> Iterator[str]:
    for length in (6, 9, 12):
        if len({code[:length] for code in codes}) == 1:
            yield codes[0][:length]


async def recall_orders(session: AsyncSession, caller: Caller, recall: RecallOrders) -> OrdersRecalled:
    """Cancel open visits that the desk ordered: they leave the phones, with the reason. Idempotent.

    A visit that was begun on a phone may still be submitted: it is taken like any other.
    """
    require_role(caller, ORDER_ROLES)
    if (recall.assignment_ids is None) == (recall.order_id is None):
        raise Problem("order.nothing_named")
    rows = select(Assignment).where(
        in_areas(Assignment.area_code, caller, ORDER_ROLES),
        Assignment.state == "open",
        Assignment.ordered_by.is_not(None),
    )
    if recall.assignment_ids is not None:
        rows = rows.where(Assignment.id.in_(recall.assignment_ids))
    else:
        rows = rows.where(Assignment.order_id == recall.order_id)
    assignments = list(await session.scalars(rows.order_by(Assignment.id).with_for_update()))
    for assignment in assignments:
        assignment.state = "cancelled"
        audit.record(
            session,
            caller,
            Action.ORDER_RECALLED,
            "assignment",
            assignment.id,
            area_code=assignment.area_code,
            reason=recall.reason,
        )
    await session.flush()  # publish_change reads the new state
    await publish_change(session, "assignments", [assignment.id for assignment in assignments], reason=recall.reason)
    return OrdersRecalled(recalled=len(assignments))
