"""Results of spot checks for the desk: the list, two teams' answers side by side, and rates of agreement."""

from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from msgspec import convert
from sqlalchemy import Boolean, Text, column, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.checklists.template import Column, Template
from server.checklists.template import Text as LocalizedText
from server.checklists.wording import answer_text
from server.core.access import REVIEW_ROLES, Caller, in_areas, readable, require_found, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.checklists import ChecklistTemplate
from server.models.households import Household, HouseholdMember
from server.models.people import Staff
from server.models.review import SPOT_CHECK_STATES, SpotCheck
from server.models.visits import Visit
from server.spotchecks.blinding import require_not_blinded
from server.spotchecks.comparison import index_cells
from server.spotchecks.outcomes import read_checklist

SpotCheckState = Literal["drawn", "assigned", "compared", "cancelled"]
assert set(get_args(SpotCheckState)) == set(SPOT_CHECK_STATES), "a state of spot checks has no name on the wire"
By = Literal["question", "caseworker", "village"]
_OLDEST_FIRST = Keyset(SpotCheck.id)


class Agreement(ResponseBody):
    """For a question, caseworker or village: how many answers were compared, and how many agreed."""

    key: str
    name: str
    compared: int
    agreed: int
    percent: float


class SpotCheckLine(ResponseBody):
    id: UUID
    plan_id: UUID | None
    visit_id: UUID
    area_code: str
    head_name: str
    why: str
    stratum: str
    state: str
    staff_id: UUID | None
    partner_id: UUID | None
    second_visit_id: UUID | None
    compared_at: datetime | None
    compared: int
    agreed: int


class ComparedLine(ResponseBody):
    """`first` and `second` as recorded; the texts, in both languages, are for people.

    `tolerance` says how far the answers may differ and still agree: an amount, a share of the first, or the larger.
    """

    question: str
    member_id: str | None
    member_name: str | None
    label: LocalizedText
    tolerance: LocalizedText | None
    agrees: bool
    first: Any
    second: Any
    first_said: LocalizedText
    second_said: LocalizedText


async def rate_agreement(session: AsyncSession, caller: Caller, by: By, plan_id: UUID | None) -> list[Agreement]:
    """List rates of agreement, the lowest first. One query, and another for the labels of questions."""
    require_role(caller, REVIEW_ROLES)
    entry = (
        func.jsonb_to_recordset(SpotCheck.comparison)
        .table_valued(column("question", Text), column("agrees", Boolean), name="entry")
        .render_derived(with_types=True)
    )
    key, name = {
        "question": (entry.c.question, entry.c.question),
        "caseworker": (Staff.login, Staff.name),
        "village": (Area.code, Area.name),
    }[by]
    agreed = func.count().filter(entry.c.agrees)
    rows = (
        select(key, name, func.count(), agreed)
        .select_from(SpotCheck)
        .join(Visit, Visit.id == SpotCheck.visit_id)
        .join(Staff, Staff.id == Visit.author_id)
        .join(Area, Area.code == Visit.area_code)
        .join(entry, true())
        .where(SpotCheck.state == "compared", in_areas(SpotCheck.area_code, caller, REVIEW_ROLES))
        .group_by(key, name)
        .order_by(agreed * 1.0 / func.count(), key)
        .limit(1000)
    )
    if plan_id is not None:
        rows = rows.where(SpotCheck.plan_id == plan_id)
    names = await _question_names(session, caller) if by == "question" else {}
    return [
        Agreement(
            key=entry_key,
            name=names.get(entry_key, entry_name),
            compared=count,
            agreed=agreed_count,
            percent=round(100 * agreed_count / count, 1),
        )
        for entry_key, entry_name, count, agreed_count in await session.execute(rows)
    ]


async def _question_names(session: AsyncSession, caller: Caller) -> dict[str, str]:
    """Return the labels of compared questions, from the checklists of the first visits."""
    bodies = await session.scalars(
        select(ChecklistTemplate.body)
        .join(
            Visit,
            (ChecklistTemplate.code == Visit.checklist_code) & (ChecklistTemplate.version == Visit.checklist_version),
        )
        .join(SpotCheck, SpotCheck.visit_id == Visit.id)
        .where(SpotCheck.state == "compared", in_areas(SpotCheck.area_code, caller, REVIEW_ROLES))
        .distinct()
    )
    return {key: cell.label.zh for body in bodies for key, cell in index_cells(convert(body, Template)).items()}


async def list_spot_checks(
    session: AsyncSession,
    caller: Caller,
    *,
    state: SpotCheckState | None,
    plan_id: UUID | None,
    cursor: str | None,
    limit: int,
) -> Page[SpotCheckLine]:
    rows = readable(SpotCheck, caller)
    if state is not None:
        rows = rows.where(SpotCheck.state == state)
    if plan_id is not None:
        rows = rows.where(SpotCheck.plan_id == plan_id)
    page, next_cursor = await fetch_page(session, rows, _OLDEST_FIRST, cursor, limit)
    checks: list[SpotCheck] = [check for (check,) in page]
    heads = await session.execute(
        select(Visit.id, Household.head_name)
        .join(Household, Household.id == Visit.household_id)
        .where(Visit.id.in_([check.visit_id for check in checks]))
    )
    names: dict[UUID, str] = dict(heads.all())
    return Page(items=[_spot_check_line(check, names[check.visit_id]) for check in checks], next_cursor=next_cursor)


def _spot_check_line(check: SpotCheck, head_name: str) -> SpotCheckLine:
    comparison = check.comparison or []
    return SpotCheckLine(
        id=check.id,
        plan_id=check.plan_id,
        visit_id=check.visit_id,
        area_code=check.area_code,
        head_name=head_name,
        why=check.why,
        stratum=check.stratum,
        state=check.state,
        staff_id=check.staff_id,
        partner_id=check.partner_id,
        second_visit_id=check.second_visit_id,
        compared_at=check.compared_at,
        compared=len(comparison),
        agreed=sum(answer["agrees"] for answer in comparison),
    )


async def open_comparison(session: AsyncSession, caller: Caller, spot_check_id: UUID) -> list[ComparedLine]:
    """Return both teams' answers side by side, differences first; empty until both exist.

    Raises `review.blind` for a caller who is assigned to check the same visit once more.
    """
    check: SpotCheck = require_found(
        await session.scalar(readable(SpotCheck, caller).where(SpotCheck.id == spot_check_id))
    )
    if check.comparison:
        await require_not_blinded(session, caller, check.visit_id)
    audit.record(session, caller, Action.SPOT_CHECK_OPENED, "spot_check", check.id, area_code=check.area_code)
    first = await session.get_one(Visit, check.visit_id)
    cells = index_cells(convert(await read_checklist(session, first), Template))
    members = await session.execute(
        select(HouseholdMember.id, HouseholdMember.name).where(HouseholdMember.household_id == first.household_id)
    )
    names = {str(member_id): name for member_id, name in members}
    lines = [_comparison_line(entry, cells.get(entry["question"]), names) for entry in check.comparison or []]
    return sorted(lines, key=lambda line: line.agrees)


def _comparison_line(entry: dict[str, Any], cell: Column | None, names: dict[str, str]) -> ComparedLine:
    cell = cell or Column(entry["question"], "text", LocalizedText(entry["question"], entry["question"]))
    return ComparedLine(
        question=entry["question"],
        member_id=entry["memberId"],
        member_name=names.get(entry["memberId"] or ""),
        label=cell.label,
        tolerance=_tolerance_text(cell),
        agrees=entry["agrees"],
        first=entry["first"],
        second=entry["second"],
        first_said=answer_text(cell, entry["first"]),
        second_said=answer_text(cell, entry["second"]),
    )


def _tolerance_text(cell: Column) -> LocalizedText | None:
    if cell.tolerance is None:
        return None
    amount, percent = cell.tolerance.absolute, cell.tolerance.percent
    amount_text = answer_text(cell, amount)
    shares = [f"{percent}%"] if percent else []
    zh, en = ([text, *shares] if amount else shares for text in (amount_text.zh, amount_text.en))
    return LocalizedText(" 或 ".join(zh), " or ".join(en)) if zh else None
