"""Compare what an office found with what the household declared.

Differences are shown to a person. The household may object, and nothing it declared is changed.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.encryption import Encryption
from server.core.http import ResponseBody
from server.core.money import parse_amount
from server.core.normalise import normalise_id
from server.crosschecks.sources import ID_HEADING, Column, Source
from server.models.cases import IncomeItem, PropertyItem
from server.models.crosschecks import CrossCheck, CrossCheckBatch
from server.models.households import HouseholdMember

# What a member declared of a kind: fen per month, or a count.
Declared = dict[tuple[UUID, str], int]


class CheckDifference(ResponseBody):
    """`found` and `declared`: fen per month for money, else a count. `doubts`: why `entered` is hard to read."""

    key: str
    heading: str
    found: int | None
    declared: int | None
    entered: str
    doubts: list[str]


async def compare_answers(
    session: AsyncSession,
    encryption: Encryption,
    batch: CrossCheckBatch,
    source: Source,
    rows: Iterable[dict[str, str]],
) -> None:
    """Set the answer and the differences of each person in the batch, and count the rows of strangers."""
    checks = await session.execute(
        select(CrossCheck, HouseholdMember.id_number_index)
        .join(HouseholdMember, HouseholdMember.id == CrossCheck.member_id)
        .where(CrossCheck.batch_id == batch.id)
    )
    by_index = {index: check for check, index in checks}
    declared = await _load_declared(session, [check.member_id for check in by_index.values()])
    rows_by_person: dict[bytes, list[dict[str, str]]] = {}
    for row in rows:
        index = encryption.index("id_number", normalise_id(row[ID_HEADING]))
        if index in by_index:
            rows_by_person.setdefault(index, []).append(row)
        else:
            batch.strangers += 1
    for index, person_rows in rows_by_person.items():
        _set_answer(by_index[index], source, person_rows, declared)


def _set_answer(check: CrossCheck, source: Source, rows: list[dict[str, str]], declared: Declared) -> None:
    """Store a person's answer. Some offices give several rows per person, one per home or account: all count."""
    entered = {column: [row[column.heading] for row in rows] for column in source.columns}
    check.answer = {column.key: "；".join(cells) for column, cells in entered.items()}
    check.differences = [
        msgspec.to_builtins(difference)
        for column, cells in entered.items()
        if (difference := _find_difference(column, cells, declared.get((check.member_id, column.against))))
    ]


def _find_difference(column: Column, cells: list[str], declared: int | None) -> CheckDifference | None:
    """Return None when nothing was found, or no more than declared. An unreadable value is a difference too."""
    entered = [cell for cell in cells if cell not in {"", "无", "0", "/"}]
    if not entered:
        return None
    parsed = [parse_amount(cell) for cell in entered]
    doubts = list(dict.fromkeys(str(doubt) for amount in parsed for doubt in amount.warnings))
    readable_fen = [amount.fen for amount in parsed if amount.fen is not None]
    found_fen = sum(readable_fen) if len(readable_fen) == len(parsed) else None
    found_value = found_fen if column.kind == "money" or found_fen is None else found_fen // 100
    declared_value = declared or 0
    if found_value is not None and not doubts and found_value <= declared_value:
        return None
    return CheckDifference(
        key=column.key,
        heading=column.heading,
        found=found_value,
        declared=declared_value,
        entered="；".join(entered),
        doubts=doubts,
    )


async def _load_declared(session: AsyncSession, member_ids: list[UUID]) -> Declared:
    """Load what each member declared, by kind. What the household declared jointly counts for each member."""
    households = select(HouseholdMember.household_id).where(HouseholdMember.id.in_(member_ids))
    declared = await _load_declared_incomes(session, households)
    rows = await session.execute(
        select(HouseholdMember.id, PropertyItem)
        .join(PropertyItem, PropertyItem.household_id == HouseholdMember.household_id)
        .where(HouseholdMember.household_id.in_(households))
    )
    for member_id, item in rows:
        if item.member_id in {None, member_id}:
            declared[member_id, item.kind] = declared.get((member_id, item.kind), 0) + item.declared
    return declared


async def _load_declared_incomes(session: AsyncSession, households: Any) -> Declared:
    """Load fen per month. Business income is not compared: only the number of businesses is."""
    rows = await session.execute(
        select(HouseholdMember.id, IncomeItem)
        .join(IncomeItem, IncomeItem.household_id == HouseholdMember.household_id)
        .where(
            HouseholdMember.household_id.in_(households),
            IncomeItem.ended_on.is_(None),
            IncomeItem.kind.in_(["wage", "transfer"]),
        )
    )
    declared: Declared = {}
    for member_id, item in rows:
        if item.member_id in {None, member_id}:
            month_fen = item.declared_fen // 12 if item.period == "year" else item.declared_fen
            declared[member_id, item.kind] = declared.get((member_id, item.kind), 0) + month_fen
    return declared
