"""Pairs of households that may be the same: listed by score, judged "same" or "different", and merged.

Whoever sees a pair sees both households: of a household elsewhere nothing is said.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Role, in_areas, require_found, require_role
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.households.find_duplicates import Reason
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.duplicates import DuplicatePair
from server.models.households import Household, HouseholdMember
from server.models.people import Staff

# Who judges and merges, where both households lie within their areas.
JUDGES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
ENDED_CASES = ("stopped", "refused", "withdrawn")
_GRAVEST_FIRST = Keyset(DuplicatePair.score, DuplicatePair.id, descending=True)
Verdict = Literal["same", "different"]
VerdictFilter = Literal["open", "same", "different"]
ReasonCode = Literal["id_number", "name_birth", "pinyin_birth", "account", "phone", "address"]


class HomeLine(ResponseBody):
    """`is_receiving`: it receives, or applies. `members` are the names, the head first."""

    id: UUID
    number: str
    head_name: str
    area_name: str
    address: str
    phone_mask: str | None
    members: list[str]
    monthly_amount_fen: int | None
    is_receiving: bool


class ReasonLine(ResponseBody):
    """Why two households may be the same: the two people it is about, or how many `homes` share it."""

    code: ReasonCode
    first_name: str | None
    second_name: str | None
    homes: int | None


class DuplicateLine(ResponseBody):
    id: UUID
    score: int
    reasons: list[ReasonLine]
    first: HomeLine
    second: HomeLine
    found_at: datetime
    verdict: Verdict | None
    judged_by: str | None
    judged_at: datetime | None
    note: str | None


class JudgeDuplicate(RequestBody):
    """A note is optional; a later verdict replaces the one before."""

    verdict: Verdict
    note: Annotated[str, Meta(max_length=500)] = ""


async def list_duplicates(
    session: AsyncSession, caller: Caller, *, verdict: VerdictFilter, cursor: str | None, limit: int
) -> Page[DuplicateLine]:
    """List the pairs whose two households the caller may both see, the highest score first."""
    require_role(caller, JUDGES)
    rows = _select_pairs(caller)
    if verdict == "open":
        rows = rows.where(DuplicatePair.verdict.is_(None))
    else:
        rows = rows.where(DuplicatePair.verdict == verdict)
    page, next_cursor = await fetch_page(session, rows, _GRAVEST_FIRST, cursor, limit)
    pairs: list[tuple[DuplicatePair, str | None]] = [(pair, name) for pair, name in page]
    homes = await load_homes(session, {home for pair, _ in pairs for home in (pair.first_id, pair.second_id)})
    people = await _load_names(session, [pair for pair, _ in pairs])
    return Page(items=[_line(pair, name, homes, people) for pair, name in pairs], next_cursor=next_cursor)


def _select_pairs(caller: Caller) -> Any:
    first, second = aliased(Household), aliased(Household)
    return (
        select(DuplicatePair, Staff.name)
        .join(first, first.id == DuplicatePair.first_id)
        .join(second, second.id == DuplicatePair.second_id)
        .outerjoin(Staff, Staff.id == DuplicatePair.judged_by)
        .where(
            _both_in_areas(caller, first, second),
            first.merged_into.is_(None),
            second.merged_into.is_(None),
            DuplicatePair.is_current,
        )
    )


def _both_in_areas(caller: Caller, first: Any, second: Any) -> ColumnElement[bool]:
    return and_(in_areas(first.area_code, caller, JUDGES), in_areas(second.area_code, caller, JUDGES))


async def judge_duplicate(
    session: AsyncSession, caller: Caller, pair_id: UUID, body: JudgeDuplicate, now: datetime
) -> None:
    """Keep what a person says of a pair. A later search changes nothing of it."""
    require_role(caller, JUDGES)
    pair: DuplicatePair = require_found(
        await session.scalar(_select_pairs(caller).where(DuplicatePair.id == pair_id).with_for_update(of=DuplicatePair))
    )
    pair.verdict, pair.note = body.verdict, body.note.strip() or None
    pair.judged_by, pair.judged_at = caller.id, now
    for household_id, other_id in ((pair.first_id, pair.second_id), (pair.second_id, pair.first_id)):
        household = await session.get_one(Household, household_id)
        audit.record(
            session, caller, Action.DUPLICATE_JUDGED, "household", household_id, area_code=household.area_code,
            verdict=body.verdict, household=str(other_id),
        )  # fmt: skip


async def load_homes(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, HomeLine]:
    rows = await session.execute(
        select(Household, Area.name, _is_receiving())
        .join(Area, Area.code == Household.area_code)
        .where(Household.id == func.any(list(ids)))
    )
    members: dict[UUID, list[str]] = defaultdict(list)
    for household_id, name in await session.execute(
        select(HouseholdMember.household_id, HouseholdMember.name)
        .where(HouseholdMember.household_id == func.any(list(ids)))
        .order_by(HouseholdMember.position)
    ):
        members[household_id].append(name)
    return {
        household.id: HomeLine(
            id=household.id,
            number=household.number,
            head_name=household.head_name,
            area_name=area_name,
            address=household.address,
            phone_mask=household.phone_mask,
            members=members[household.id],
            monthly_amount_fen=household.monthly_amount_fen,
            is_receiving=is_receiving,
        )
        for household, area_name, is_receiving in rows
    }


def _is_receiving() -> ColumnElement[bool]:
    cases = select(CaseFile.id).where(CaseFile.household_id == Household.id, CaseFile.state.not_in(ENDED_CASES))
    return func.coalesce(Household.monthly_amount_fen > 0, False) | cases.exists()


async def _load_names(session: AsyncSession, pairs: Iterable[DuplicatePair]) -> dict[UUID, str]:
    ids = {UUID(member_id) for pair in pairs for reason in pair.reasons for member_id in reason["members"] or []}
    rows = await session.execute(
        select(HouseholdMember.id, HouseholdMember.name).where(HouseholdMember.id == func.any(list(ids)))
    )
    return dict(rows.all())


def _line(pair: DuplicatePair, judge: str | None, homes: dict[UUID, HomeLine], names: dict[UUID, str]) -> DuplicateLine:
    return DuplicateLine(
        id=pair.id,
        score=pair.score,
        reasons=[_reason_line(msgspec.convert(reason, Reason), names) for reason in pair.reasons],
        first=homes[pair.first_id],
        second=homes[pair.second_id],
        found_at=pair.found_at,
        verdict=msgspec.convert(pair.verdict, Verdict | None),
        judged_by=judge,
        judged_at=pair.judged_at,
        note=pair.note,
    )


def _reason_line(reason: Reason, names: dict[UUID, str]) -> ReasonLine:
    first, second = reason.members or (None, None)
    return ReasonLine(
        code=msgspec.convert(reason.code, ReasonCode),
        first_name=names.get(first) if first else None,
        second_name=names.get(second) if second else None,
        homes=reason.homes,
    )
