"""Notices on paper, in Chinese: what a step told, with its reasons, as a sheet that can be delivered.

A notice is printed from the event itself, so it says today what it said then.
"""

from datetime import date
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.benefits.amounts import Calculated
from server.benefits.changes import latest_calculation, told_calculation
from server.cases.deadlines import length_for
from server.cases.hearings import WRITERS, list_hearings
from server.cases.papers import list_papers
from server.core.access import Caller, found, readable, require
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.money import format_fen
from server.core.pdf import Notice, print_notice, say_date
from server.core.working_days import Length, day_of
from server.models.areas import Area
from server.models.cases import Calculation, CaseEvent, CaseFile
from server.models.households import Household
from server.policy.resolver import policy_values

NoticeKind = Literal["accepted", "papers", "refused", "confirmed", "calculation", "changed", "stopped"]


class _Sheet(NamedTuple):
    """Printed from the latest step of its kind."""

    step: str
    kind: NoticeKind
    zh: str
    en: str


_SHEETS = (
    _Sheet("papers_missing", "papers", "补正材料告知书", "which papers are missing"),
    _Sheet("accepted", "accepted", "受理通知书", "taken on"),
    _Sheet("confirmed", "confirmed", "审核确认通知书", "granted"),
    _Sheet("refused", "refused", "不予确认通知书", "refused, with reasons"),
    _Sheet("not_accepted", "refused", "不予受理通知书", "not taken on, with reasons"),
    _Sheet("amount_changed", "changed", "金额调整通知书", "the amount was changed"),
    _Sheet("stopped", "stopped", "停发通知书", "the payment stops"),
)
_DECISIONS = frozenset({"refused", "confirmed", "amount_changed", "stopped"})
_APPEAL = "如不服本决定，可以向本机关申诉，也可以依法申请行政复议或者提起行政诉讼。"


class NoticeLine(ResponseBody):
    """A sheet that can be printed now, and the day it is of."""

    kind: NoticeKind
    zh: str
    en: str
    on: date


async def list_notices(session: AsyncSession, caller: Caller, case: CaseFile) -> list[NoticeLine]:
    """What `print_case_notice` would print for this caller: the latest of each kind, in the order they came."""
    events = await session.scalars(
        select(CaseEvent)
        .where(CaseEvent.case_id == case.id, CaseEvent.step.in_([one.step for one in _SHEETS]))
        .order_by(CaseEvent.at, CaseEvent.id)
    )
    sheets = {one.step: one for one in _SHEETS}
    latest = {
        sheet.kind: NoticeLine(kind=sheet.kind, zh=sheet.zh, en=sheet.en, on=day_of(one.at))
        for one in events
        for sheet in [sheets[one.step]]
    }
    calculated = await _calculation_for(session, case, caller)
    if calculated is not None:
        on = day_of(calculated.made_at)
        latest["calculation"] = NoticeLine(kind="calculation", zh="金额计算书", en="how the amount was reckoned", on=on)
    return list(latest.values())


async def print_case_notice(session: AsyncSession, caller: Caller, case_id: UUID, kind: NoticeKind) -> bytes:
    """A PDF. Raises `case.not_now` when the case has not come to what the notice tells."""
    case: CaseFile = found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    household = await session.get_one(Household, case.household_id)
    if kind == "calculation":
        notice = await _calculation(session, case, caller, household.head_name)
    else:
        event = await session.scalar(
            select(CaseEvent)
            .where(CaseEvent.case_id == case.id, CaseEvent.step.in_([one.step for one in _SHEETS if one.kind == kind]))
            .order_by(CaseEvent.at.desc())
            .limit(1)
        )
        if event is None:
            raise Problem("case.not_now", state=case.state)
        notice = await _of_event(session, case, event, kind, household.head_name)
    audit.record(session, caller, "case.notice_printed", "case", case.id, area_code=case.area_code, kind=kind)
    return await print_notice(notice)


async def _of_event(session: AsyncSession, case: CaseFile, event: CaseEvent, kind: NoticeKind, to: str) -> Notice:
    title, paragraphs, columns, rows = {
        "accepted": _accepted,
        "papers": _papers,
        "refused": _refused,
        "confirmed": _confirmed,
        "changed": _changed,
        "stopped": _stopped,
    }[kind](case, event)
    if kind == "accepted":
        paragraphs.append(await _within(session, case))
    if kind == "papers":
        rows = [
            [str(place), one.zh]
            for place, one in enumerate(
                [one for one in await list_papers(session, case) if one.code in event.facts.get("papers", [])], start=1
            )
        ]
    return Notice(
        title=title,
        number=f"编号：{case.number}",
        to=to,
        paragraphs=paragraphs,
        columns=columns,
        rows=rows,
        office=await _office(session, case, is_decision=event.step in _DECISIONS),
        date=say_date(day_of(event.at)),
        footer="本通知一式两份，申请人一份，存档一份",
    )


Told = tuple[str, list[str], list[str], list[list[str]]]


def _accepted(case: CaseFile, event: CaseEvent) -> Told:
    told = f"您于{say_date(case.applied_on)}提出的最低生活保障申请，材料齐全，已于{say_date(day_of(event.at))}受理。"
    return "最低生活保障申请受理通知书", [told], [], []


async def _within(session: AsyncSession, case: CaseFile) -> str:
    rules = await policy_values(session, case.area_code, case.rules_on)
    survey, total = (_say_length(length_for(rules, kind)) for kind in ("survey", "total"))
    return f"我们将自受理之日起{survey}内开始入户调查，{total}内办结。"


def _say_length(length: Length) -> str:
    return f"{length.units}{'日' if length.unit == 'days' else '个工作日'}"


def _papers(case: CaseFile, event: CaseEvent) -> Told:
    del event
    told = f"您于{say_date(case.applied_on)}提出的最低生活保障申请，尚缺下列材料，现一次性告知，请补齐："
    return "补正材料一次性告知书", [told], ["序号", "材料"], []


def _refused(case: CaseFile, event: CaseEvent) -> Told:
    if event.step == "not_accepted":
        told = f"您于{say_date(case.applied_on)}提出的最低生活保障申请，经审查不予受理。理由如下："
        return "最低生活保障申请不予受理通知书", [told, event.facts.get("reason", ""), _APPEAL], [], []
    told = f"您于{say_date(case.applied_on)}提出的最低生活保障申请，经审核不予确认。理由如下："
    return "最低生活保障不予确认通知书", [told, event.facts.get("reason", ""), _APPEAL], [], []


def _confirmed(case: CaseFile, event: CaseEvent) -> Told:
    amount_fen = int(event.facts.get("amountFen", 0))
    since = case.paid_from or day_of(event.at)
    told = f"您于{say_date(case.applied_on)}提出的最低生活保障申请，经审核确认，予以保障。"
    money = f"每月保障金{format_fen(amount_fen)}，自{since.year}年{since.month}月起发放。"
    return "最低生活保障确认通知书", [told, money, "家庭情况发生变化的，请及时报告。", _APPEAL], [], []


def _changed(case: CaseFile, event: CaseEvent) -> Told:
    del case
    before_fen, amount_fen = int(event.facts["beforeFen"]), int(event.facts["amountFen"])
    month = date.fromisoformat(event.facts["month"])
    word = "增发" if amount_fen > before_fen else "减发"
    told = (
        f"经核定，您家庭的最低生活保障金自{month.year}年{month.month}月起{word}，"
        f"由每月{format_fen(before_fen)}调整为每月{format_fen(amount_fen)}。理由如下："
    )
    return "最低生活保障金调整通知书", [told, event.facts.get("reason", ""), _APPEAL], [], []


def _stopped(case: CaseFile, event: CaseEvent) -> Told:
    month = date.fromisoformat(event.facts["month"])
    told = f"您家庭的最低生活保障金（{case.number}）自{month.year}年{month.month}月起停发。理由如下："
    again = "家庭再次出现困难的，可以重新提出申请。"
    return "停发最低生活保障金通知书", [told, event.facts.get("reason", ""), again, _APPEAL], [], []


async def _calculation(session: AsyncSession, case: CaseFile, caller: Caller, to: str) -> Notice:
    row = await _calculation_for(session, case, caller)
    if row is None:
        raise Problem("case.not_now", state=case.state)
    told = msgspec.convert(row.body, Calculated)
    lines = [[one.zh, "" if one.amount_fen is None else format_fen(one.amount_fen), one.source] for one in told.lines]
    return Notice(
        title="最低生活保障金额计算书",
        number=f"编号：{case.number}",
        to=to,
        paragraphs=[
            f"自{row.month.year}年{row.month.month}月起，每月保障金额为{format_fen(row.amount_fen)}，计算如下："
        ],
        columns=["项目", "金额（每月）", "依据"],
        rows=lines,
        office=await _office(session, case),
        date=say_date(day_of(row.made_at)),
    )


async def _calculation_for(session: AsyncSession, case: CaseFile, caller: Caller) -> Calculation | None:
    """An officer's is the latest; a resident reads the one that was opined or decided on."""
    return await (told_calculation if caller.is_resident else latest_calculation)(session, case)


async def _office(session: AsyncSession, case: CaseFile, *, is_decision: bool = False) -> str:
    """The county for the decisions, unless it has delegated them; the town for the rest."""
    rules = await policy_values(session, case.area_code, case.rules_on, ["case.decided_by"])
    is_countys = is_decision and rules.get("case.decided_by") != "town"
    name = await session.scalar(select(Area.name).where(Area.code == case.area_code[: 6 if is_countys else 9]))
    return f"{name or ''}民政局" if is_countys else f"{name or ''}人民政府（办事处）"


async def print_minutes(session: AsyncSession, caller: Caller, case_id: UUID, hearing_id: UUID) -> bytes:
    """The minutes of a hearing: who sat, who came, and the count. Raises `case.not_now` before it."""
    require(caller, WRITERS)
    one = found(next((one for one in await list_hearings(session, caller, case_id) if one.id == hearing_id), None))
    if one.passed is None:
        raise Problem("case.not_now", state="hearing")
    case = await session.get_one(CaseFile, case_id)
    came = sum(seat.attended for seat in one.panel)
    notice = Notice(
        title="民主评议记录",
        number=f"编号：{case.number}",
        to="",
        paragraphs=[
            f"时间：{say_date(one.held_on)} 地点：{one.place}",
            f"介绍情况人：{one.presenter} 监督人：{one.observers or '无'}",
            f"应到{sum(seat.conflict is None for seat in one.panel)}人，实到{came}人，最低到会{one.quorum}人。",
            f"无记名投票，当场计票：同意{one.ayes}票，不同意{one.noes}票，弃权{one.blanks}票。",
            f"结果：{'通过' if one.passed else '未通过'}（同意票须超过半数）。",
        ],
        columns=["评议小组成员", "到会", "回避事由", "签名"],
        rows=[[seat.name, "是" if seat.attended else "否", seat.conflict or "", ""] for seat in one.panel],
        office=await _office(session, case),
        date=say_date(one.held_on),
    )
    return await print_notice(notice)
