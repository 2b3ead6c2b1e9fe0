"""Notices on paper, in Chinese: what a step decided, with its reasons, as a sheet that can be delivered.

A notice is printed from the step's stored event, so a reprint says the same.
"""

from datetime import date
from typing import ClassVar, Literal, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.benefits.amounts import Calculated
from server.benefits.changes import decided_calculation, latest_calculation
from server.cases.deadlines import deadline_length
from server.cases.loading import load_case
from server.cases.notice_texts import notice_text
from server.cases.papers import list_papers
from server.core.access import Caller
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.money import format_fen
from server.core.pdf import Notice, format_date_zh, render_notice
from server.core.working_days import Length, day_of
from server.models.areas import Area
from server.models.cases import Calculation, CaseEvent, CaseFile
from server.models.households import Household
from server.policy.resolver import load_policy_values

NoticeKind = Literal["accepted", "papers", "refused", "confirmed", "calculation", "changed", "stopped"]


class _NoticeType(NamedTuple):
    """A notice, printed from the latest event of its step."""

    step: str
    kind: NoticeKind
    zh: str
    en: str


_NOTICE_TYPES = (
    _NoticeType("papers_missing", "papers", "补正材料告知书", "which papers are missing"),
    _NoticeType("accepted", "accepted", "受理通知书", "taken on"),
    _NoticeType("confirmed", "confirmed", "审核确认通知书", "granted"),
    _NoticeType("came_back", "confirmed", "恢复保障通知书", "granted again"),
    _NoticeType("refused", "refused", "不予确认通知书", "refused, with reasons"),
    _NoticeType("not_accepted", "refused", "不予受理通知书", "not taken on, with reasons"),
    _NoticeType("amount_changed", "changed", "金额调整通知书", "the amount was changed"),
    _NoticeType("standard_raised", "changed", "金额调整通知书", "the amount was changed"),
    _NoticeType("raise_undone", "changed", "金额调整通知书", "the amount was changed"),
    _NoticeType("stopped", "stopped", "停发通知书", "the payment stops"),
)
_DECISIONS = frozenset(
    {"refused", "confirmed", "amount_changed", "standard_raised", "raise_undone", "stopped", "came_back"}
)


class NoticeLine(ResponseBody):
    """A notice that can be printed now, with its date."""

    schema_name: ClassVar[str] = "PrintedNoticeLine"

    kind: NoticeKind
    zh: str
    en: str
    on: date


async def list_notices(session: AsyncSession, caller: Caller, case: CaseFile) -> list[NoticeLine]:
    """List what `print_case_notice` can print for this caller: the latest notice of each kind, the oldest first."""
    events = await session.scalars(
        select(CaseEvent)
        .where(CaseEvent.case_id == case.id, CaseEvent.step.in_([notice_type.step for notice_type in _NOTICE_TYPES]))
        .order_by(CaseEvent.at, CaseEvent.id)
    )
    types = {notice_type.step: notice_type for notice_type in _NOTICE_TYPES}
    latest: dict[NoticeKind, NoticeLine] = {}
    for event in events:
        _, kind, zh, en = types[event.step]
        latest[kind] = NoticeLine(kind=kind, zh=zh, en=en, on=day_of(event.at))
    calculation = await _find_calculation(session, case, caller)
    if calculation is not None:
        on = day_of(calculation.made_at)
        latest["calculation"] = NoticeLine(
            kind="calculation", zh="金额计算书", en="how the amount was calculated", on=on
        )
    return list(latest.values())


async def print_case_notice(session: AsyncSession, caller: Caller, case_id: UUID, kind: NoticeKind) -> bytes:
    """Return a PDF. Raises `case.not_now` when the case has no event of this kind yet."""
    case = await load_case(session, caller, case_id)
    household = await session.get_one(Household, case.household_id)
    if kind == "calculation":
        notice = await _build_calculation_sheet(session, case, caller, household.head_name)
    else:
        event = await session.scalar(
            select(CaseEvent)
            .where(
                CaseEvent.case_id == case.id,
                CaseEvent.step.in_([notice_type.step for notice_type in _NOTICE_TYPES if notice_type.kind == kind]),
            )
            .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
            .limit(1)
        )
        if event is None:
            raise Problem("case.not_now", state=case.state)
        notice = await _build_event_notice(session, case, event, kind, household.head_name)
    audit.record(session, caller, Action.CASE_NOTICE_PRINTED, "case", case.id, area_code=case.area_code, kind=kind)
    return await render_notice(notice)


async def _build_event_notice(
    session: AsyncSession, case: CaseFile, event: CaseEvent, kind: NoticeKind, to: str
) -> Notice:
    title, paragraphs = notice_text(kind, case, event)
    columns: list[str] = []
    rows: list[list[str]] = []
    if kind == "accepted":
        paragraphs.append(await _deadlines_text(session, case))
    if kind == "papers":
        codes = event.facts.get("papers", [])
        names = [paper.zh for paper in await list_papers(session, case) if paper.code in codes]
        columns, rows = ["序号", "材料"], [[str(number), name] for number, name in enumerate(names, start=1)]
    return Notice(
        title=title,
        number=f"编号：{case.number}",
        to=to,
        paragraphs=paragraphs,
        columns=columns,
        rows=rows,
        office=await issuing_office(session, case, is_decision=event.step in _DECISIONS),
        date=format_date_zh(day_of(event.at)),
        footer="本通知一式两份，申请人一份，存档一份",
    )


async def _deadlines_text(session: AsyncSession, case: CaseFile) -> str:
    settings = await load_policy_values(session, case.area_code, case.rules_on)
    survey, total = (_length_text(deadline_length(settings, kind)) for kind in ("survey", "total"))
    return f"我们将自受理之日起{survey}内开始入户调查，{total}内办结。"


def _length_text(length: Length) -> str:
    return f"{length.units}{'日' if length.unit == 'days' else '个工作日'}"


async def _build_calculation_sheet(session: AsyncSession, case: CaseFile, caller: Caller, to: str) -> Notice:
    row = await _find_calculation(session, case, caller)
    if row is None:
        raise Problem("case.not_now", state=case.state)
    calculated = msgspec.convert(row.body, Calculated)
    lines = [
        [line.zh, "" if line.amount_fen is None else format_fen(line.amount_fen), line.source]
        for line in calculated.lines
    ]
    return Notice(
        title="最低生活保障金额计算书",
        number=f"编号：{case.number}",
        to=to,
        paragraphs=[
            f"自{row.month.year}年{row.month.month}月起，每月保障金额为{format_fen(row.amount_fen)}，计算如下："
        ],
        columns=["项目", "金额（每月）", "依据"],
        rows=lines,
        office=await issuing_office(session, case),
        date=format_date_zh(day_of(row.made_at)),
    )


async def _find_calculation(session: AsyncSession, case: CaseFile, caller: Caller) -> Calculation | None:
    """Return the latest calculation for an officer, the one last opined or decided on for a resident."""
    return await (decided_calculation if caller.is_resident else latest_calculation)(session, case)


async def issuing_office(session: AsyncSession, case: CaseFile, *, is_decision: bool = False) -> str:
    """Return the issuing office: the county for decisions unless it has delegated them, else the town."""
    settings = await load_policy_values(session, case.area_code, case.rules_on, ["case.decided_by"])
    is_county = is_decision and settings.get("case.decided_by") != "town"
    name = await session.scalar(select(Area.name).where(Area.code == case.area_code[: 6 if is_county else 9]))
    return f"{name or ''}民政局" if is_county else f"{name or ''}人民政府（办事处）"
