"""Raises of the standard and their lines, as the desk reads them: totals, and each home, odd ones on top."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.benefits.sheet import months_between
from server.cases.raise_preview import MORE, ODD, SAME
from server.core.access import DESK_ROLES, Caller, Role, require_found, require_role
from server.core.http import ResponseBody, ShortText
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of
from server.http.exports import Columns, fen_to_yuan
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.households import Household
from server.models.people import Staff
from server.models.raises import StandardRaise, StandardRaiseLine

# Who answers for an area's standard: its county.
RAISERS = frozenset({Role.COUNTY_OFFICER})
LinePart = Literal["odd", "more", "same"]
_RANKS: Mapping[LinePart, int] = {"odd": ODD, "more": MORE, "same": SAME}
_LATEST_FIRST = Keyset(StandardRaise.proposed_at, StandardRaise.id, descending=True)
_ODD_ONES_FIRST = Keyset(StandardRaiseLine.rank, StandardRaiseLine.area_code, StandardRaiseLine.case_id)


class RaiseCounts(ResponseBody):
    """`more`: homes that are paid more, and by how much a month; `odd`: those that a person must look at.

    `applied` and `left` follow when it was confirmed; `arrears_fen` is for months that had begun by the proposal.
    """

    homes: int
    people: int
    before_fen: int
    after_fen: int
    more: int
    cost_fen: int
    arrears_fen: int
    same: int
    odd: int
    elsewhere: int
    applied: int
    applied_fen: int
    undone: int


class StandardRaiseInfo(ResponseBody):
    """`can_decide` and `can_undo` are the caller's: another person than who proposed, and before the month begins."""

    id: UUID
    area_code: str
    area_name: str
    month: date
    urban_before_fen: int | None
    urban_fen: int | None
    rural_before_fen: int | None
    rural_fen: int | None
    document: str
    state: str
    proposed_by: ShortText
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    answer: str
    undo_proposed_by: str | None
    undo_reason: str
    undone_by: str | None
    undone_at: datetime | None
    can_decide: bool
    can_undo: bool
    counts: RaiseCounts


class RaiseLine(ResponseBody):
    """`after_fen` is null where no amount can be calculated. `doubt` names why a person must look."""

    case_id: UUID
    application_number: str
    household_id: UUID
    head_name: str
    area_code: str
    area_name: str
    programme: str | None
    people: int
    before_fen: int
    after_fen: int | None
    doubt: str | None
    outcome: str | None


async def list_raises(
    session: AsyncSession, caller: Caller, *, cursor: str | None, limit: int, now: datetime
) -> Page[StandardRaiseInfo]:
    """List the raises that concern the caller's areas, the latest first. Two queries."""
    require_role(caller, DESK_ROLES)
    page, next_cursor = await fetch_page(session, _select_infos(caller), _LATEST_FIRST, cursor, limit)
    counts = await _count_lines(session, caller, [row[0] for row in page])
    return Page(items=[_info(caller, counts, now, *row) for row in page], next_cursor=next_cursor)


async def load_raise(session: AsyncSession, caller: Caller, raise_id: UUID, now: datetime) -> StandardRaiseInfo:
    """Return a raise with its counts. Raises `thing.not_found`."""
    require_role(caller, DESK_ROLES)
    await session.flush()  # what a step has just changed is queried
    rows = await session.execute(_select_infos(caller).where(StandardRaise.id == raise_id))
    row = require_found(rows.one_or_none())
    return _info(caller, await _count_lines(session, caller, [row[0]]), now, *row)


def _select_infos(caller: Caller) -> Any:
    proposer, decider, undo_proposer, undoer = (aliased(Staff) for _ in range(4))
    return (
        select(StandardRaise, Area.name, proposer.name, decider.name, undo_proposer.name, undoer.name)
        .join(Area, Area.code == StandardRaise.area_code)
        .join(proposer, proposer.id == StandardRaise.proposed_by)
        .outerjoin(decider, decider.id == StandardRaise.decided_by)
        .outerjoin(undo_proposer, undo_proposer.id == StandardRaise.undo_proposed_by)
        .outerjoin(undoer, undoer.id == StandardRaise.undone_by)
        .where(StandardRaise.in_scope(caller))
    )


async def _count_lines(
    session: AsyncSession, caller: Caller, raises: list[StandardRaise]
) -> Mapping[UUID, RaiseCounts]:
    """Sum up the lines that the caller may see."""
    line = StandardRaiseLine
    more, applied = line.rank == MORE, line.outcome == "applied"

    def fen(amount: Any, *conditions: Any) -> Any:
        return func.coalesce(func.sum(amount).filter(*conditions), 0)

    rows = await session.execute(
        select(
            line.raise_id,
            func.count(),
            func.coalesce(func.sum(line.people), 0),
            fen(line.before_fen),
            fen(func.coalesce(line.after_fen, line.before_fen), line.rank != ODD)
            + fen(line.before_fen, line.rank == ODD),
            func.count().filter(more),
            fen(line.after_fen - line.before_fen, more),
            func.count().filter(line.rank > MORE),
            func.count().filter(line.rank == ODD),
            func.count().filter(applied),
            fen(line.after_fen - line.before_fen, applied),
            func.count().filter(line.outcome == "undone"),
        )
        .where(line.raise_id.in_([proposed.id for proposed in raises]), line.in_scope(caller))
        .group_by(line.raise_id)
    )
    sums = {raise_id: [int(number) for number in numbers] for raise_id, *numbers in rows}
    return {proposed.id: _counts(proposed, sums.get(proposed.id, [0] * 11)) for proposed in raises}


def _counts(proposed: StandardRaise, sums: list[int]) -> RaiseCounts:
    homes, people, before, after, more, cost, same, odd, applied, applied_fen, undone = sums
    begun = months_between(proposed.month, day_of(proposed.proposed_at)) + 1
    return RaiseCounts(
        homes=homes, people=people, before_fen=before, after_fen=after, more=more, cost_fen=cost,
        arrears_fen=cost * max(0, begun), same=same, odd=odd, elsewhere=proposed.elsewhere, applied=applied,
        applied_fen=applied_fen, undone=undone,
    )  # fmt: skip


def _info(
    caller: Caller,
    counts: Mapping[UUID, RaiseCounts],
    now: datetime,
    proposed: StandardRaise,
    area_name: str,
    proposer: str,
    decider: str | None,
    undo_proposer: str | None,
    undoer: str | None,
) -> StandardRaiseInfo:
    may_act = caller.covers(proposed.area_code, RAISERS)
    return StandardRaiseInfo(
        id=proposed.id,
        area_code=proposed.area_code,
        area_name=area_name,
        month=proposed.month,
        urban_before_fen=proposed.urban_before_fen,
        urban_fen=proposed.urban_fen,
        rural_before_fen=proposed.rural_before_fen,
        rural_fen=proposed.rural_fen,
        document=proposed.document,
        state=proposed.state,
        proposed_by=proposer,
        proposed_at=proposed.proposed_at,
        decided_by=decider,
        decided_at=proposed.decided_at,
        answer=proposed.answer,
        undo_proposed_by=undo_proposer,
        undo_reason=proposed.undo_reason,
        undone_by=undoer,
        undone_at=proposed.undone_at,
        can_decide=may_act and proposed.state == "ready" and not caller.acts_as(proposed.proposed_by),
        can_undo=may_act
        and proposed.state == "applied"
        and proposed.month > day_of(now)
        and not caller.acts_as(proposed.undo_proposed_by),
        counts=counts[proposed.id],
    )


async def list_raise_lines(
    session: AsyncSession,
    caller: Caller,
    raise_id: UUID,
    *,
    part: LinePart | None,
    area: str | None,
    cursor: str | None,
    limit: int,
) -> Page[RaiseLine]:
    """List the homes of a raise in the caller's areas: odd ones, those paid more, those that stay. One query."""
    require_role(caller, DESK_ROLES)
    rows = (
        select(StandardRaiseLine, CaseFile.number, Household.head_name, Area.name)
        .join(CaseFile, CaseFile.id == StandardRaiseLine.case_id)
        .join(Household, Household.id == StandardRaiseLine.household_id)
        .join(Area, Area.code == StandardRaiseLine.area_code)
        .where(StandardRaiseLine.raise_id == raise_id, StandardRaiseLine.in_scope(caller))
    )
    if part is not None:
        rows = rows.where(StandardRaiseLine.rank == _RANKS[part])
    if area is not None:
        rows = rows.where(StandardRaiseLine.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _ODD_ONES_FIRST, cursor, limit)
    return Page(items=[_raise_line(*row) for row in page], next_cursor=next_cursor)


def _raise_line(line: StandardRaiseLine, number: str, head_name: str, area_name: str) -> RaiseLine:
    return RaiseLine(
        case_id=line.case_id,
        application_number=number,
        household_id=line.household_id,
        head_name=head_name,
        area_code=line.area_code,
        area_name=area_name,
        programme=line.programme,
        people=line.people,
        before_fen=line.before_fen,
        after_fen=line.after_fen,
        doubt=line.doubt,
        outcome=line.outcome,
    )


_PROGRAMME_TEXTS = {"urban": "城市", "rural": "农村", None: "未确认"}
_DOUBT_TEXTS = {
    "programme_missing": "城乡类别未确认",
    "members_missing": "缺少标准或成员，无法测算",
    "not_paid_yet": "尚未开始发放",
    "stop_to_come": "已决定停发",
    "decided_later": "之后月份已有决定",
    "proposal_open": "有待决定的拟办意见",
    "found_differs": "走访或核对与登记不符",
    "differs_before": "现发金额与原标准测算不符",
    "not_eligible": "按新标准不符合条件",
    "lower": "按新标准反而减少",
    "changed_since": "预览后情况有变",
    "decided_since": "提标后已另有决定",
}
_OUTCOME_TEXTS = {"applied": "已调整", "left": "未调整", "undone": "已撤销", "kept": "保留后来的决定", None: ""}
RAISE_COLUMNS: Columns = {
    "申请编号": lambda line: line.application_number,
    "户主": lambda line: line.head_name,
    "所在地": lambda line: line.area_name,
    "行政区划代码": lambda line: line.area_code,
    "城乡类别": lambda line: _PROGRAMME_TEXTS[line.programme],
    "保障人数": lambda line: line.people,
    "现发月金额（元）": lambda line: fen_to_yuan(line.before_fen),
    "按新标准（元）": lambda line: fen_to_yuan(line.after_fen),
    "增加（元）": lambda line: None if line.after_fen is None else fen_to_yuan(line.after_fen - line.before_fen),
    "需人工处理": lambda line: _DOUBT_TEXTS[line.doubt] if line.doubt else "",
    "结果": lambda line: _OUTCOME_TEXTS[line.outcome],
}
