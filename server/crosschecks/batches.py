"""The cross-check (核对) by exchange of files: a batch out to one office, its answers back in and compared.

Each office is a small adapter: what it answers, and which declared income that is held against. What differs
is shown to a person; the household may object, and nothing it declared is changed.
"""

import csv
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID
from xml.etree.ElementTree import ParseError

import msgspec
from msgspec import Meta
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.cases.transitions import move
from server.core.access import Caller, found, readable, require
from server.core.database import advisory_lock
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.id_numbers import normalise_id
from server.core.money import parse_amount
from server.core.paging import Page, read_cursor, write_cursor
from server.core.spreadsheets import Form, cell, write_csv, write_xlsx
from server.core.threads import in_thread
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import CaseFile, IncomeItem, PropertyItem
from server.models.crosschecks import CHECKERS, CrossCheck, CrossCheckBatch
from server.models.households import Household, HouseholdMember

SourceCode = Literal["public_security", "housing", "social_security", "tax", "market", "provident_fund", "finance"]
MOST_ROWS = 20_000
LONGEST_PAGE = 200
# What openpyxl raises of files that are damaged on the way, cut short or locked by a password.
_BROKEN = (
    InvalidFileException, zipfile.BadZipFile, zlib.error, ParseError, EOFError, OSError, RuntimeError,
    AttributeError, IndexError, KeyError, TypeError, ValueError,
)  # fmt: skip
_OPEN = ("accepted", "survey", "preliminary")
_NAME, _ID, _REF = "姓名", "身份证号", "序号"


class Column(NamedTuple):
    """`against`: the kind of declared income or property it is held against."""

    key: str
    heading: str
    kind: Literal["money", "count"]
    against: str


class Source(NamedTuple):
    zh: str
    columns: tuple[Column, ...]


SOURCES: dict[str, Source] = {
    "public_security": Source("公安", (Column("vehicles", "机动车数量", "count", "vehicle"),)),
    "housing": Source("房管", (Column("homes", "房产套数", "count", "home"),)),
    "social_security": Source("人社", (Column("pension", "月养老金(元)", "money", "transfer"),)),
    "tax": Source("税务", (Column("wage", "月工资薪金(元)", "money", "wage"),)),
    "market": Source("市场监管", (Column("businesses", "登记市场主体数量", "count", "business"),)),
    "provident_fund": Source("公积金", (Column("base", "月缴存基数(元)", "money", "wage"),)),
    "finance": Source("金融", (Column("deposits", "存款余额(元)", "money", "deposit"),)),
}


class MakeBatch(RequestBody):
    """Everybody in accepted cases of the area who was not yet asked about at this office."""

    id: UUID
    source: SourceCode
    area_code: Annotated[str, Meta(pattern="^[0-9]{6}([0-9]{3}([0-9]{3})?)?$")]


class BatchPage(ResponseBody):
    """`headings`: the columns that the office's answer must carry, under these names or mapped to them."""

    id: UUID
    source: str
    source_zh: str
    headings: list[str]
    area_code: str
    area_name: str
    made_at: datetime
    people: int
    answered_at: datetime | None
    unanswered: int
    strangers: int
    differing: int


class BatchCheck(ResponseBody):
    """One person of a batch. `line` is as on the case."""

    line: "CheckLine"
    case_id: UUID
    application_number: str
    head_name: str


class CheckDifference(ResponseBody):
    """`found` and `declared`: fen a month for money, else how many. Doubtful: the number could hardly be read."""

    key: str
    heading: str
    found: int | None
    declared: int | None
    entered: str
    doubts: list[str]


class CheckLine(ResponseBody):
    """Who has left the household has no name."""

    id: UUID
    source: str
    source_zh: str
    member_id: UUID
    member_name: str | None
    is_answered: bool
    differences: list[CheckDifference]
    objection: str | None
    objected_on: date | None


class ObjectToCheck(RequestBody):
    text: Annotated[str, Meta(min_length=2, max_length=2000)]


async def make_batch(session: AsyncSession, caller: Caller, asked: MakeBatch, now: datetime) -> BatchPage:
    """Ask one office about the households that consented; their cross-check has begun with it.

    The same id again is the same batch. Raises `case.nothing_to_check`.
    """
    require(caller, CHECKERS)
    if not caller.covers(asked.area_code, CHECKERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(CHECKERS)))
    await advisory_lock(session, f"cross_check:{asked.source}:{asked.area_code[:6]}")  # nobody is asked about twice
    before = await session.scalar(readable(CrossCheckBatch, caller).where(CrossCheckBatch.id == asked.id))
    if before is not None:
        return await _page(session, before)
    cases = await _unasked(session, asked)
    if not cases:
        raise Problem("case.nothing_to_check")
    batch = CrossCheckBatch(
        id=asked.id, source=asked.source, area_code=asked.area_code, made_by=caller.id, made_at=now, strangers=0
    )
    session.add(batch)
    await session.flush()  # its lines name it
    members = await session.execute(
        select(HouseholdMember.id, CaseFile.id)
        .join(CaseFile, CaseFile.household_id == HouseholdMember.household_id)
        .where(CaseFile.id.in_([one.id for one in cases]), HouseholdMember.id_number_sealed.is_not(None))
        .order_by(CaseFile.number, HouseholdMember.position)
    )
    for position, (member_id, case_id) in enumerate(members, start=1):
        session.add(
            CrossCheck(batch_id=batch.id, case_id=case_id, member_id=member_id, position=position, differences=[])
        )
    for case in cases:
        cause = f"cross_check:{batch.id}"
        await move(session, case, "cross_check_begun", cause=cause, actor_id=caller.id, at=now, caller=caller)
    audit.record(
        session, caller, "cross_check.made", "cross_check_batch", batch.id, area_code=batch.area_code,
        source=batch.source, cases=len(cases),
    )  # fmt: skip
    await session.flush()  # the page counts the lines
    return await _page(session, batch)


async def _unasked(session: AsyncSession, asked: MakeBatch) -> list[CaseFile]:
    already = (
        select(CrossCheck.case_id)
        .join(CrossCheckBatch, CrossCheckBatch.id == CrossCheck.batch_id)
        .where(CrossCheckBatch.source == asked.source)
    )
    rows = await session.scalars(
        select(CaseFile)
        .where(
            CaseFile.area_code.startswith(asked.area_code, autoescape=True),
            CaseFile.state.in_(_OPEN),
            CaseFile.consented_on.is_not(None),
            CaseFile.suspended_on.is_(None),
            CaseFile.id.not_in(already),
        )
        .order_by(CaseFile.number)
        .limit(2000)
        .with_for_update()
    )
    return list(rows)


async def export_batch(session: AsyncSession, vault: Encryption, caller: Caller, batch_id: UUID, form: Form) -> bytes:
    """The request as the office reads it, with whole ID numbers: every export is logged."""
    batch = await _batch(session, caller, batch_id)
    rows = await session.execute(
        select(CrossCheck.position, HouseholdMember.name, HouseholdMember.id_number_sealed)
        .join(HouseholdMember, HouseholdMember.id == CrossCheck.member_id)
        .where(CrossCheck.batch_id == batch.id)
        .order_by(CrossCheck.position)
    )
    people = [
        [position, name, vault.open("household_member.id_number", sealed)] for position, name, sealed in rows if sealed
    ]
    audit.record(
        session, caller, "cross_check.exported", "cross_check_batch", batch.id, area_code=batch.area_code,
        people=len(people),
    )  # fmt: skip
    headings = [_REF, _NAME, _ID, *(column.heading for column in SOURCES[batch.source].columns)]
    return await in_thread(_write, form, headings, people)


def _write(form: Form, headings: list[str], people: list[list[Any]]) -> bytes:
    rows = [[cell(one) for one in row] for row in people]
    return write_csv(headings, rows) if form == "csv" else write_xlsx("核对", headings, rows)


async def _batch(session: AsyncSession, caller: Caller, batch_id: UUID) -> CrossCheckBatch:
    require(caller, CHECKERS)
    batch: CrossCheckBatch = found(
        await session.scalar(readable(CrossCheckBatch, caller).where(CrossCheckBatch.id == batch_id).with_for_update())
    )
    return batch


async def import_answers(
    session: AsyncSession,
    vault: Encryption,
    caller: Caller,
    batch_id: UUID,
    content: bytes,
    mapping: dict[str, str],
    now: datetime,
) -> BatchPage:
    """Read what an office sent back; `mapping` gives its own headings for ours. The same file again is once.

    Raises `case.check_answered` for another file, `case.check_unreadable` with the reason.
    """
    batch = await _batch(session, caller, batch_id)
    sha256 = hashlib.sha256(content).hexdigest()
    if batch.answered_at is not None:
        if batch.answer_sha256 != sha256:
            raise Problem("case.check_answered")
        return await _page(session, batch)
    table = await in_thread(_read_table, content)
    rows = list(_named(table, {ours: mapping.get(ours, ours) for ours in _headings(batch.source)}))
    await _compare(session, vault, batch, SOURCES[batch.source], rows)
    batch.answered_at, batch.answered_by, batch.answer_sha256 = now, caller.id, sha256
    await session.flush()  # the page counts the answers
    page = await _page(session, batch)
    audit.record(
        session, caller, "cross_check.answered", "cross_check_batch", batch.id, area_code=batch.area_code,
        differing=page.differing, strangers=page.strangers,
    )  # fmt: skip
    return page


def _headings(source: str) -> list[str]:
    return [_ID, *(column.heading for column in SOURCES[source].columns)]


def _read_table(content: bytes) -> list[list[str]]:
    if content[:2] == b"PK":
        return _read_xlsx(content)
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return [row for row in csv.reader(io.StringIO(content.decode(encoding))) if any(row)][: MOST_ROWS + 2]
        except (UnicodeDecodeError, csv.Error):
            continue
    raise Problem("case.check_unreadable", why="xlsx / csv")


def _read_xlsx(content: bytes) -> list[list[str]]:
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        rows = sheet.iter_rows(max_row=MOST_ROWS + 2, max_col=60, values_only=True)
        return [["" if cell is None else str(cell) for cell in row] for row in rows if any(row)]
    except _BROKEN:
        raise Problem("case.check_unreadable", why="xlsx") from None


def _named(table: list[list[str]], headings: dict[str, str]) -> Iterator[dict[str, str]]:
    """Rows under our own headings. Raises `case.check_unreadable` naming the headings that are missing."""
    if not table or len(table) > MOST_ROWS + 1:
        raise Problem("case.check_unreadable", why=f"1–{MOST_ROWS}")
    head = [cell.strip() for cell in table[0]]
    if missing := [theirs for theirs in headings.values() if theirs not in head]:
        raise Problem("case.check_unreadable", why="缺少列 " + ", ".join(missing))
    places = {ours: head.index(theirs) for ours, theirs in headings.items()}
    for row in table[1:]:
        yield {ours: row[place].strip() if place < len(row) else "" for ours, place in places.items()}


async def _compare(
    session: AsyncSession, vault: Encryption, batch: CrossCheckBatch, source: Source, rows: Iterable[dict[str, str]]
) -> None:
    asked = await session.execute(
        select(CrossCheck, HouseholdMember.id_number_index)
        .join(HouseholdMember, HouseholdMember.id == CrossCheck.member_id)
        .where(CrossCheck.batch_id == batch.id)
    )
    by_index = {index: one for one, index in asked}
    declared = await _declared(session, [one.member_id for one in by_index.values()])
    told: dict[bytes, list[dict[str, str]]] = {}
    for row in rows:
        index = vault.index("id_number", normalise_id(row[_ID]))
        if index in by_index:
            told.setdefault(index, []).append(row)
        else:
            batch.strangers += 1
    for whose, own in told.items():
        _answer(by_index[whose], source, own, declared)


def _answer(one: CrossCheck, source: Source, rows: list[dict[str, str]], declared: "Declared") -> None:
    """Some offices write a line for each home or account of a person: none of them is passed over."""
    entered = {column: [row[column.heading] for row in rows] for column in source.columns}
    one.answer = {column.key: "；".join(cells) for column, cells in entered.items()}
    one.differences = [
        msgspec.to_builtins(difference)
        for column, cells in entered.items()
        if (difference := _difference(column, cells, declared.get((one.member_id, column.against))))
    ]


Declared = dict[tuple[UUID, str], int]


async def _declared(session: AsyncSession, member_ids: list[UUID]) -> Declared:
    """What each member declared of each kind; what the household declared for all together counts for each."""
    households = select(HouseholdMember.household_id).where(HouseholdMember.id.in_(member_ids))
    declared = await _incomes(session, households)
    rows = await session.execute(
        select(HouseholdMember.id, PropertyItem)
        .join(PropertyItem, PropertyItem.household_id == HouseholdMember.household_id)
        .where(HouseholdMember.household_id.in_(households))
    )
    for member_id, item in rows:
        if item.member_id in {None, member_id}:
            declared[member_id, item.kind] = declared.get((member_id, item.kind), 0) + item.declared
    return declared


async def _incomes(session: AsyncSession, households: Any) -> Declared:
    """Fen a month. Income of a business is declared beside the business itself, and held against nothing."""
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


def _difference(column: Column, cells: list[str], declared: int | None) -> CheckDifference | None:
    """None where nothing was found, or no more than was declared. What can't be read is a difference too."""
    entered = [one for one in cells if one not in {"", "无", "0", "/"}]
    if not entered:
        return None
    parsed = [parse_amount(one) for one in entered]
    doubts = list(dict.fromkeys(str(doubt) for one in parsed for doubt in one.doubts))
    amounts = [one.fen for one in parsed if one.fen is not None]
    found_fen = sum(amounts) if len(amounts) == len(parsed) else None
    found_value = found_fen if column.kind == "money" or found_fen is None else found_fen // 100
    held = declared or 0
    if found_value is not None and not doubts and found_value <= held:
        return None
    return CheckDifference(
        key=column.key,
        heading=column.heading,
        found=found_value,
        declared=held,
        entered="；".join(entered),
        doubts=doubts,
    )


async def list_batches(
    session: AsyncSession, caller: Caller, *, area: str | None, cursor: str | None, limit: int
) -> Page[BatchPage]:
    """What was asked of which office, the newest first; three queries."""
    require(caller, CHECKERS)
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = readable(CrossCheckBatch, caller).order_by(CrossCheckBatch.id.desc()).limit(limit + 1)
    if area:
        rows = rows.where(CrossCheckBatch.area_code.startswith(area, autoescape=True))
    if (after := read_cursor(cursor, UUID)) is not None:
        rows = rows.where(CrossCheckBatch.id < after[0])
    batches = list(await session.scalars(rows))
    pages = await _pages(session, batches[:limit])
    return Page(items=pages, next_cursor=write_cursor([str(pages[-1].id)]) if len(batches) > limit else None)


async def list_batch(session: AsyncSession, caller: Caller, batch_id: UUID) -> list[BatchCheck]:
    """Everybody asked about in a batch, who differs first. One query beside the batch's own."""
    require(caller, CHECKERS)
    batch = found(await session.scalar(readable(CrossCheckBatch, caller).where(CrossCheckBatch.id == batch_id)))
    rows = await session.execute(
        select(CrossCheck, CaseFile.number, Household.head_name, HouseholdMember.name)
        .join(CaseFile, CaseFile.id == CrossCheck.case_id)
        .join(Household, Household.id == CaseFile.household_id)
        .outerjoin(HouseholdMember, HouseholdMember.id == CrossCheck.member_id)
        .where(CrossCheck.batch_id == batch.id)
        .order_by(func.jsonb_array_length(CrossCheck.differences).desc(), CrossCheck.position)
    )
    return [
        BatchCheck(
            line=_line(one, batch.source, member_name),
            case_id=one.case_id,
            application_number=number,
            head_name=head_name,
        )
        for one, number, head_name, member_name in rows
    ]


async def list_checks(session: AsyncSession, caller: Caller, case_id: UUID) -> list[CheckLine]:
    case = found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    rows = await session.execute(
        select(CrossCheck, CrossCheckBatch.source, HouseholdMember.name)
        .join(CrossCheckBatch, CrossCheckBatch.id == CrossCheck.batch_id)
        .outerjoin(HouseholdMember, HouseholdMember.id == CrossCheck.member_id)
        .where(CrossCheck.case_id == case.id)
        .order_by(CrossCheckBatch.made_at, CrossCheck.position)
    )
    return [_line(one, source, name) for one, source, name in rows]


async def object_to_check(
    session: AsyncSession, caller: Caller, check_id: UUID, asked: ObjectToCheck, now: datetime
) -> CheckLine:
    """What the household says to a difference, written down by the officer."""
    require(caller, CHECKERS)
    one: CrossCheck = found(
        await session.scalar(readable(CrossCheck, caller).where(CrossCheck.id == check_id).with_for_update())
    )
    one.objection, one.objected_on = asked.text, day_of(now)
    batch = await session.get_one(CrossCheckBatch, one.batch_id)
    audit.record(session, caller, "cross_check.objected", "cross_check", one.id, area_code=batch.area_code)
    member = await session.get(HouseholdMember, one.member_id)
    return _line(one, batch.source, member.name if member else None)


def _line(one: CrossCheck, source: str, member_name: str | None) -> CheckLine:
    return CheckLine(
        id=one.id,
        source=source,
        source_zh=SOURCES[source].zh,
        member_id=one.member_id,
        member_name=member_name,
        is_answered=one.answer is not None,
        differences=msgspec.convert(one.differences, list[CheckDifference]),
        objection=one.objection,
        objected_on=one.objected_on,
    )


async def _page(session: AsyncSession, batch: CrossCheckBatch) -> BatchPage:
    return (await _pages(session, [batch]))[0]


async def _pages(session: AsyncSession, batches: list[CrossCheckBatch]) -> list[BatchPage]:
    rows = await session.execute(
        select(
            CrossCheck.batch_id,
            func.count(),
            func.count().filter(CrossCheck.answer.is_(None)),
            func.count().filter(func.jsonb_array_length(CrossCheck.differences) > 0),
        )
        .where(CrossCheck.batch_id.in_([one.id for one in batches]))
        .group_by(CrossCheck.batch_id)
    )
    counts = {batch_id: (people, unanswered, differing) for batch_id, people, unanswered, differing in rows}
    areas = await session.execute(select(Area.code, Area.name).where(Area.code.in_([one.area_code for one in batches])))
    names = {one.code: one.name for one in areas}
    return [_batch_page(one, names.get(one.area_code, ""), *counts.get(one.id, (0, 0, 0))) for one in batches]


def _batch_page(batch: CrossCheckBatch, area_name: str, people: int, unanswered: int, differing: int) -> BatchPage:
    return BatchPage(
        id=batch.id,
        source=batch.source,
        source_zh=SOURCES[batch.source].zh,
        headings=_headings(batch.source),
        area_code=batch.area_code,
        area_name=area_name,
        made_at=batch.made_at,
        people=people,
        answered_at=batch.answered_at,
        unanswered=unanswered,
        strangers=batch.strangers,
        differing=differing,
    )
