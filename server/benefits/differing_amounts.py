"""The cases whose amount would be another by today's rules and register. Nothing moves by itself.

Money that was decided stays as it is when a rule, a standard or the register changes. This list is how an office finds
whom that concerns.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.calculations import STANDARD, HouseholdFacts, calculate_case, load_facts, load_formulas
from server.benefits.programmes import Programme, as_programme
from server.benefits.sheet import Formulas
from server.core.access import DESK_ROLES, Caller, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, encode_cursor, fetch_page
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import GRANTED_STATES, CaseFile
from server.models.households import Household

_BY_AREA = Keyset(CaseFile.area_code, CaseFile.id)
# Cases calculated at once, and at most for one page: where nothing differs, a page is empty and the next one goes on.
_AT_ONCE, _AT_MOST = 200, 1000
Reason = Literal["higher", "lower", "not_eligible", "programme_missing", "standard_missing"]


class DifferingAmount(ResponseBody):
    """`today_fen` is what a calculation of this month would grant; null where none can be made, as `reason` says."""

    case_id: UUID
    application_number: str
    household_id: UUID
    head_name: str
    area_code: str
    area_name: str
    programme: Programme | None
    month: date
    paid_fen: int
    today_fen: int | None
    reason: Reason


class _Row(NamedTuple):
    case: CaseFile
    head_name: str
    area_name: str


async def list_differing_amounts(
    session: AsyncSession, caller: Caller, *, area: str | None, cursor: str | None, limit: int, now: datetime
) -> Page[DifferingAmount]:
    """List granted cases of the caller's areas whose amount would differ, by area. A page may be short or empty.

    Four queries for each 200 cases, and one for the rules of each village.
    """
    require_role(caller, DESK_ROLES)
    month = day_of(now).replace(day=1)
    lines: list[DifferingAmount] = []
    formulas: dict[str, Formulas] = {}
    for _ in range(_AT_MOST // _AT_ONCE):
        rows, next_cursor = await fetch_page(session, _select_granted(caller, area), _BY_AREA, cursor, _AT_ONCE)
        lines += await _compare(session, [_Row(*row) for row in rows], month, formulas)
        if next_cursor is None or len(lines) >= limit:
            break
        cursor = next_cursor
    if len(lines) > limit:
        last = lines[limit - 1]
        return Page(items=lines[:limit], next_cursor=encode_cursor([last.area_code, last.case_id]))
    return Page(items=lines, next_cursor=next_cursor)


def _select_granted(caller: Caller, area: str | None) -> Any:
    rows = (
        select(CaseFile, Household.head_name, Area.name)
        .join(Household, Household.id == CaseFile.household_id)
        .join(Area, Area.code == CaseFile.area_code)
        .where(
            CaseFile.in_scope(caller),
            CaseFile.state.in_(GRANTED_STATES),
            CaseFile.stopped_from.is_(None),
            CaseFile.amount_fen.is_not(None),
        )
    )
    return rows if area is None else rows.where(CaseFile.area_code.startswith(area, autoescape=True))


async def _compare(
    session: AsyncSession, rows: Sequence[_Row], month: date, formulas: dict[str, Formulas]
) -> list[DifferingAmount]:
    """Compare these cases. `formulas` are those of the villages so far, and grows."""
    facts = await load_facts(session, [row.case.household_id for row in rows])
    lines = []
    for row in rows:
        area_code = row.case.area_code
        if area_code not in formulas:
            formulas[area_code] = await load_formulas(session, area_code, month)
        line = _compare_case(row, facts[row.case.household_id], month, formulas[area_code])
        if line is not None:
            lines.append(line)
    return lines


def _compare_case(row: _Row, facts: HouseholdFacts, month: date, formulas: Formulas) -> DifferingAmount | None:
    programme, paid_fen = as_programme(row.case.programme), row.case.amount_fen
    assert paid_fen is not None
    if programme is None:
        return _line(row, month, None, "programme_missing")
    if STANDARD not in formulas or not facts.members:
        return _line(row, month, None, "standard_missing")
    calculated = calculate_case(row.case, facts, formulas, programme, month)
    if calculated.amount_fen == paid_fen:
        return None
    if not calculated.eligible:
        return _line(row, month, 0, "not_eligible")
    return _line(row, month, calculated.amount_fen, "higher" if calculated.amount_fen > paid_fen else "lower")


def _line(row: _Row, month: date, today_fen: int | None, reason: Reason) -> DifferingAmount:
    case = row.case
    assert case.amount_fen is not None
    return DifferingAmount(
        case_id=case.id,
        application_number=case.number,
        household_id=case.household_id,
        head_name=row.head_name,
        area_code=case.area_code,
        area_name=row.area_name,
        programme=as_programme(case.programme),
        month=month,
        paid_fen=case.amount_fen,
        today_fen=today_fen,
        reason=reason,
    )
