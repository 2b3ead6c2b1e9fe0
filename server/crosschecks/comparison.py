"""Compare what an office found with what the household declared.

Differences are shown to a person. The household may object, and nothing it declared is changed.
"""

from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.encryption import Encryption
from server.core.http import ResponseBody
from server.core.id_numbers import check_id as check_id_number
from server.core.money import parse_amount
from server.crosschecks.answer_file import AnswerFile, AnswerRow, UnreadCell, describe_unread, iterate_people
from server.crosschecks.sources import Column, Source
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


class PersonAnswer(NamedTuple):
    """What an office answered about a person, and the differences, as they are stored."""

    entered: dict[str, str]
    differences: list[Any]


class Comparison(NamedTuple):
    """The result of an answer file, before anything is written. Who is not in `answers` is not answered."""

    answers: dict[UUID, PersonAnswer]
    people: int
    strangers: int
    unread: list[UnreadCell]


async def compare_answers(
    session: AsyncSession, encryption: Encryption, batch: CrossCheckBatch, source: Source, file: AnswerFile
) -> Comparison:
    """Compare each person of the batch with the file. Writes nothing.

    A person may stand in the batch more than once, in two households: each line gets the answer.
    """
    checks = await session.execute(
        select(CrossCheck.id, CrossCheck.member_id, HouseholdMember.id_number_index)
        .join(HouseholdMember, HouseholdMember.id == CrossCheck.member_id)
        .where(CrossCheck.batch_id == batch.id)
    )
    lines: dict[bytes, list[tuple[UUID, UUID]]] = {}
    for check_id, member_id, index in checks:
        if index is not None:
            lines.setdefault(index, []).append((check_id, member_id))
    declared = await _load_declared(session, [member_id for some in lines.values() for _, member_id in some])
    result = Comparison({}, sum(map(len, lines.values())), 0, list(file.unread))
    strangers = 0
    for number, rows in iterate_people(file.rows):
        found = lines.get(encryption.index("id_number", number), [])
        if not found and check_id_number(number).problem is not None:
            result.unread.extend(describe_unread(row.sheet, row.id_address, "id_invalid") for row in rows)
        elif not found:
            strangers += len(rows)
        elif (entered := _collect_entered(source, rows)) is not None:
            for check_id, member_id in found:
                result.answers[check_id] = _answer(source, entered, member_id, declared)
    return result._replace(strangers=strangers)


def _collect_entered(source: Source, rows: list[AnswerRow]) -> dict[Column, list[str]] | None:
    """Return a person's cells by column; None if one can't be read. A merged cell over several rows counts once."""
    entered: dict[Column, list[str]] = {}
    for column in source.columns:
        cells = dict.fromkeys(row.values[column.heading] for row in rows)
        texts = [cell.text for cell in cells]
        readable = [text for text in texts if text is not None]
        if len(readable) != len(texts):
            return None
        entered[column] = readable
    return entered


def _answer(source: Source, entered: dict[Column, list[str]], member_id: UUID, declared: Declared) -> PersonAnswer:
    differences = [
        msgspec.to_builtins(difference)
        for column in source.columns
        if (difference := _find_difference(column, entered[column], declared.get((member_id, column.against))))
    ]
    return PersonAnswer({column.key: "；".join(cells) for column, cells in entered.items()}, differences)


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
