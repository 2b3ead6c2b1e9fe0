"""What the desk reads of aid: batches with their sums, the ledger line by line, findings."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.aid.actions import POSSIBLE_IN, AidAct
from server.aid.examine import AidSums, count_open_findings, sum_batches
from server.aid.finding_kinds import describe_finding
from server.core.access import Caller, readable, require_found, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.aid import AID_READERS, AID_ROLES, AidBatch, AidFinding, AidLine
from server.models.areas import Area
from server.models.complaints import Complaint
from server.models.people import Staff

_NEWEST_BATCH = Keyset(AidBatch.month, AidBatch.id, descending=True)
_BY_POSITION = Keyset(AidLine.position, AidLine.id)
_NEWEST_LINE = Keyset(AidLine.month, AidLine.id, descending=True)
_BY_FINDING = Keyset(AidFinding.code, AidFinding.id)
_NOTHING = AidSums(0, 0, 0, 0, 0, 0)
AidBatchState = Literal["drafted", "prepared", "released", "closed", "cancelled"]
AidLineState = Literal["planned", "left_out", "handed_out", "not_handed_out", "taken_back", "cancelled"]


class AidBatchSummary(ResponseBody):
    """Sums of the lines that are not left out: agreed (`planned_…`) and handed out (`given_…`)."""

    id: UUID
    number: str
    source: str
    kind: str
    kind_zh: str
    kind_en: str
    form: str
    unit_zh: str
    unit_en: str
    fund: str
    area_code: str
    area_name: str
    month: date
    state: AidBatchState
    homes: int
    people: int
    planned_milli: int
    planned_fen: int
    given_milli: int
    given_fen: int
    bought_milli: int | None
    open_findings: int
    made_at: datetime


class AidStateTotal(ResponseBody):
    state: str
    lines: int


class AidBatchDetail(AidBatchSummary):
    """`acts`: the steps that the caller may take now. `stated`: what the paper says of its own sums."""

    stated: dict[str, int]
    reason: str
    prepared_by_name: str | None
    prepared_at: datetime | None
    released_by_name: str | None
    released_at: datetime | None
    closed_by_name: str | None
    closed_at: datetime | None
    states: list[AidStateTotal]
    acts: list[AidAct]
    may_hand_out: bool


class AidLineView(ResponseBody):
    """A line of the ledger."""

    id: UUID
    batch_id: UUID
    batch_number: str
    position: int
    kind: str
    kind_zh: str
    kind_en: str
    form: str
    unit_zh: str
    unit_en: str
    fund: str
    month: date
    household_id: UUID
    household_number: str
    head_name: str
    member_name: str | None
    area_code: str
    area_name: str
    people: int
    source: str
    cause_zh: str | None
    cause_en: str | None
    planned_milli: int | None
    planned_fen: int | None
    state: AidLineState
    given_milli: int | None
    given_fen: int | None
    given_on: date | None
    recipient: str | None
    recipient_name: str
    relation: str
    has_signature: bool
    has_fix: bool
    # The phone's record whose word it is.
    record_id: UUID | None
    recorded_by_name: str | None
    recorded_at: datetime | None
    reason: str
    stance: str | None
    complaint_number: str | None
    findings: int


class AidFindingLine(ResponseBody):
    """`zh` and `en` say what was found. Without a line it is of the whole batch."""

    id: UUID
    line_id: UUID | None
    line_state: AidLineState | None
    household_id: UUID | None
    household_number: str | None
    head_name: str | None
    code: str
    zh: str
    en: str
    verdict: str | None
    reason: str
    judged_by_name: str | None
    judged_at: datetime | None


async def list_batches(
    session: AsyncSession,
    caller: Caller,
    *,
    state: AidBatchState | None,
    kind: str | None,
    month: date | None,
    area: str | None,
    cursor: str | None,
    limit: int,
) -> Page[AidBatchSummary]:
    """List batches of the caller's areas, the latest month first. Three queries for any page."""
    require_role(caller, AID_READERS)
    rows = readable(AidBatch, caller).add_columns(Area.name).join(Area, Area.code == AidBatch.area_code)
    for column, value in ((AidBatch.state, state), (AidBatch.kind, kind)):
        if value is not None:
            rows = rows.where(column == value)
    if month is not None:
        rows = rows.where(AidBatch.month == month.replace(day=1))
    if area:
        rows = rows.where(AidBatch.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _NEWEST_BATCH, cursor, limit)
    sums = await sum_batches(session, [batch.id for batch, _ in page])
    waiting = await count_open_findings(session, [batch.id for batch, _ in page])
    return Page(
        items=[
            AidBatchSummary(**_summary(batch, name, sums.get(batch.id, _NOTHING), waiting.get(batch.id, 0)))
            for batch, name in page
        ],
        next_cursor=next_cursor,
    )


def _summary(batch: AidBatch, area_name: str, sums: AidSums, waiting: int) -> dict[str, Any]:
    copied = (
        "id", "number", "source", "kind", "kind_zh", "kind_en", "form", "unit_zh", "unit_en", "fund", "area_code",
        "month", "state", "bought_milli", "made_at",
    )  # fmt: skip
    return {name: getattr(batch, name) for name in copied} | {
        "area_name": area_name,
        "open_findings": waiting,
        **sums._asdict(),
    }


async def show_batch(session: AsyncSession, caller: Caller, batch_id: UUID) -> AidBatchDetail:
    require_role(caller, AID_READERS)
    preparer, releaser, closer = aliased(Staff), aliased(Staff), aliased(Staff)
    row = (
        await session.execute(
            readable(AidBatch, caller)
            .add_columns(Area.name, preparer.name, releaser.name, closer.name)
            .join(Area, Area.code == AidBatch.area_code)
            .outerjoin(preparer, preparer.id == AidBatch.prepared_by)
            .outerjoin(releaser, releaser.id == AidBatch.released_by)
            .outerjoin(closer, closer.id == AidBatch.closed_by)
            .where(AidBatch.id == batch_id)
        )
    ).one_or_none()
    batch, area_name, prepared_by, released_by, closed_by = require_found(row)
    sums = (await sum_batches(session, [batch.id])).get(batch.id, _NOTHING)
    waiting = (await count_open_findings(session, [batch.id])).get(batch.id, 0)
    states = await session.execute(
        select(AidLine.state, func.count()).where(AidLine.batch_id == batch.id).group_by(AidLine.state)
    )
    may_act = caller.covers(batch.area_code, AID_ROLES)
    return AidBatchDetail(
        **_summary(batch, area_name, sums, waiting),
        stated=batch.stated,
        reason=batch.reason,
        prepared_by_name=prepared_by,
        prepared_at=batch.prepared_at,
        released_by_name=released_by,
        released_at=batch.released_at,
        closed_by_name=closed_by,
        closed_at=batch.closed_at,
        states=[AidStateTotal(state=state, lines=lines) for state, lines in sorted(states.all())],
        acts=_list_acts(batch, caller) if may_act else [],
        may_hand_out=may_act and batch.state == "released",
    )


def _list_acts(batch: AidBatch, caller: Caller) -> list[AidAct]:
    return [
        act
        for act, states in POSSIBLE_IN.items()
        if batch.state in states and not (act == "release" and caller.acts_as(batch.prepared_by))
    ]


async def list_lines(
    session: AsyncSession,
    caller: Caller,
    *,
    batch: UUID | None,
    household: UUID | None,
    kind: str | None,
    state: AidLineState | None,
    since: date | None,
    until: date | None,
    area: str | None,
    cursor: str | None,
    limit: int,
) -> Page[AidLineView]:
    """List the ledger: of a batch in its order, otherwise the latest month first. One query for any page."""
    require_role(caller, AID_READERS)
    rows = _select_lines(caller)
    for column, value in (
        (AidLine.batch_id, batch),
        (AidLine.household_id, household),
        (AidLine.kind, kind),
        (AidLine.state, state),
    ):
        if value is not None:
            rows = rows.where(column == value)
    if since is not None:
        rows = rows.where(AidLine.month >= since.replace(day=1))
    if until is not None:
        rows = rows.where(AidLine.month <= until)
    if area:
        rows = rows.where(AidLine.area_code.startswith(area, autoescape=True))
    order = _BY_POSITION if batch is not None else _NEWEST_LINE
    page, next_cursor = await fetch_page(session, rows, order, cursor, limit)
    return Page(items=[_view_line(*row) for row in page], next_cursor=next_cursor)


def _select_lines(caller: Caller) -> Select[Any]:
    waiting = (
        select(func.count())
        .where(AidFinding.line_id == AidLine.id, AidFinding.verdict.is_(None), AidFinding.gone_at.is_(None))
        .correlate(AidLine)
        .scalar_subquery()
    )
    return (
        select(AidLine, AidBatch, Area.name, Staff.name, Complaint.number, waiting)
        .join(AidBatch, AidBatch.id == AidLine.batch_id)
        .join(Area, Area.code == AidLine.area_code)
        .outerjoin(Staff, Staff.id == AidLine.recorded_by)
        .outerjoin(Complaint, Complaint.id == AidLine.complaint_id)
        .where(AidLine.in_scope(caller))
    )


def _view_line(
    line: AidLine, batch: AidBatch, area_name: str, recorded_by: str | None, complaint: str | None, findings: int
) -> AidLineView:
    of_batch = ("kind_zh", "kind_en", "form", "unit_zh", "unit_en", "fund")
    of_line = (
        "id", "batch_id", "position", "kind", "month", "household_id", "household_number", "head_name", "member_name",
        "area_code", "people", "source", "cause_zh", "cause_en", "planned_milli", "planned_fen", "state",
        "given_milli", "given_fen", "given_on", "recipient", "recipient_name", "relation", "recorded_at", "reason",
        "stance", "record_id",
    )  # fmt: skip
    return AidLineView(
        **{name: getattr(batch, name) for name in of_batch},
        **{name: getattr(line, name) for name in of_line},
        batch_number=batch.number,
        area_name=area_name,
        has_signature=line.signature_sha256 is not None,
        has_fix=line.fix is not None,
        recorded_by_name=recorded_by,
        complaint_number=complaint,
        findings=findings,
    )


async def list_findings(
    session: AsyncSession,
    caller: Caller,
    batch_id: UUID,
    *,
    judged: bool | None,
    cursor: str | None,
    limit: int,
) -> Page[AidFindingLine]:
    """List the findings of a batch by code; those that are no longer so are left out. Two queries."""
    require_role(caller, AID_READERS)
    batch: AidBatch = require_found(await session.scalar(readable(AidBatch, caller).where(AidBatch.id == batch_id)))
    rows = (
        select(AidFinding, AidLine, Staff.name)
        .outerjoin(AidLine, AidLine.id == AidFinding.line_id)
        .outerjoin(Staff, Staff.id == AidFinding.judged_by)
        .where(AidFinding.batch_id == batch.id, AidFinding.gone_at.is_(None))
    )
    if judged is not None:
        rows = rows.where(AidFinding.verdict.is_not(None) if judged else AidFinding.verdict.is_(None))
    page, next_cursor = await fetch_page(session, rows, _BY_FINDING, cursor, limit)
    return Page(items=[_view_finding(batch, row) for row in page], next_cursor=next_cursor)


def _view_finding(batch: AidBatch, row: Sequence[Any]) -> AidFindingLine:
    finding, line, judged_by = row
    zh, en = describe_finding(finding.code, finding.facts, batch.unit_zh, batch.unit_en)
    return AidFindingLine(
        id=finding.id,
        line_id=finding.line_id,
        line_state=line.state if line else None,
        household_id=line.household_id if line else None,
        household_number=line.household_number if line else None,
        head_name=line.head_name if line else None,
        code=finding.code,
        zh=zh,
        en=en,
        verdict=finding.verdict,
        reason=finding.reason,
        judged_by_name=judged_by,
        judged_at=finding.judged_at,
    )
