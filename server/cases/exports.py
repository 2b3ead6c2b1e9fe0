"""An officer's lists as a file for a spreadsheet, with Chinese headings: cases, what is due, what changed in pay.

Saving one is written to the audit trail. Money is in yuan with two decimals, exact.
"""

from collections.abc import Awaitable, Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from server.cases import page, register
from server.cases.page import CaseLine
from server.cases.procedure import STANDINGS
from server.cases.register import BenefitLine
from server.core.access import Caller
from server.core.paging import Page
from server.core.sheets import Table
from server.models import audit

Name = Literal["cases", "due", "stops", "benefit-changes"]
# More lines than any county has cases of a year.
MOST_LINES = 50_000
_URGENCY = {"overdue": "已超期", "due": "今天到期", "soon": "即将到期", "later": "未到期", "paused": "暂停"}
_KINDS = {"granted": "新增", "raised": "增发", "cut": "减发", "stopped": "停发"}
_GROUNDS = {
    "income": "收入超标",
    "property": "财产超标",
    "death": "死亡",
    "moved": "迁出",
    "own_wish": "自愿退出",
    "not_reported": "未如实申报",
    "other": "其他",
    None: "",
}
_CASE_HEADINGS = ["申请编号", "户主", "所在地", "行政区划代码", "状态", "申请日期", "最近期限", "到期日", "紧急程度"]
_BENEFIT_HEADINGS = [
    "申请编号", "户编号", "户主", "所在地", "变动", "起始月份", "原月金额（元）", "新月金额（元）", "人数", "事由类别",
    "理由", "决定日期", "经办",
]  # fmt: skip


class Filters(NamedTuple):
    """What the lists are asked with; each takes those that are its own."""

    area: str | None = None
    state: str | None = None
    urgency: Literal["overdue", "due", "soon"] | None = None
    kind: register.Kind | None = None
    since: date | None = None
    until: date | None = None


async def export(
    session: AsyncSession, caller: Caller, name: Name, asked: Filters, *, form: str, now: datetime
) -> Table:
    audit.record(session, caller, "list.exported", "list", name, area_code=asked.area or None, form=form)
    if name in {"cases", "due"}:
        lines = await _whole(lambda cursor: _cases(session, caller, name, asked, cursor, now))
        return Table(name, _CASE_HEADINGS, [_case_row(one) for one in lines])
    changes = await _whole(
        lambda cursor: register.list_benefit_changes(
            session,
            caller,
            kind="stopped" if name == "stops" else asked.kind,
            area=asked.area,
            since=asked.since,
            until=asked.until,
            cursor=cursor,
            limit=register.LONGEST_PAGE,
        )
    )
    return Table(name, _BENEFIT_HEADINGS, [_benefit_row(one) for one in changes])


async def _whole(read: Callable[[str | None], Awaitable[Page[Any]]]) -> list[Any]:
    lines: list[Any] = []
    cursor: str | None = None
    while len(lines) < MOST_LINES:
        told = await read(cursor)
        lines += told.items
        cursor = told.next_cursor
        if cursor is None:
            break
    return lines


async def _cases(
    session: AsyncSession, caller: Caller, name: str, asked: Filters, cursor: str | None, now: datetime
) -> Page[CaseLine]:
    most, area = page.LONGEST_PAGE, asked.area
    if name == "due":
        return await page.list_due(
            session, caller, urgency=asked.urgency, area=area, cursor=cursor, limit=most, now=now
        )
    return await page.list_cases(session, caller, state=asked.state, area=area, cursor=cursor, limit=most, now=now)


def _case_row(one: CaseLine) -> list[Any]:
    due = one.deadline
    return [
        one.application_number,
        one.head_name,
        one.area_name,
        one.area_code,
        STANDINGS[one.state].zh,
        one.applied_on.isoformat(),
        due.zh if due else "",
        due.due_on.isoformat() if due else "",
        _URGENCY[due.urgency] if due else "",
    ]


def _benefit_row(one: BenefitLine) -> list[Any]:
    return [
        one.application_number,
        one.household_number,
        one.head_name,
        one.area_name,
        _KINDS[one.kind],
        f"{one.month:%Y-%m}",
        Decimal(one.before_fen).scaleb(-2),
        Decimal(one.amount_fen).scaleb(-2),
        one.people,
        _GROUNDS[one.ground],
        one.reason,
        one.decided_on.isoformat(),
        one.decided_by_name or "",
    ]
