"""Complaints as a list for a spreadsheet: by when what must happen, and nothing of who said what."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from server.complaints import register
from server.complaints.register import STATES, ComplaintLine, Urgency
from server.core.access import Caller
from server.core.sheets import Table
from server.core.workdays import day_of
from server.models import audit

MOST_LINES = 20_000
_HEADINGS = ["编号", "类别", "渠道", "所在地", "状态", "是否实名", "承办人", "收到日期", "期限", "紧急程度", "是否延期"]
_KINDS = {"complaint": "举报", "appeal": "申诉"}
_CHANNELS = {
    "letter": "来信",
    "visit": "来访",
    "phone": "来电",
    "web": "网上",
    "box": "信箱",
    "proposal": "代表建议",
}
_URGENCY = {"overdue": "已超期", "due": "今天到期", "soon": "即将到期", "later": "未到期", "none": ""}


async def complaints(
    session: AsyncSession,
    caller: Caller,
    *,
    state: str | None,
    area: str | None,
    urgency: Urgency | None,
    form: str,
    now: datetime,
) -> Table:
    """What `list_complaints` shows with the same filters, all its pages."""
    audit.record(session, caller, "list.exported", "list", "complaints", area_code=area or None, form=form)
    lines: list[ComplaintLine] = []
    cursor: str | None = None
    while len(lines) < MOST_LINES:
        page = await register.list_complaints(
            session,
            caller,
            state=state,
            area=area,
            urgency=urgency,
            cursor=cursor,
            limit=register.LONGEST_PAGE,
            now=now,
        )
        lines += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return Table("complaints", _HEADINGS, [_row(one) for one in lines])


def _row(one: ComplaintLine) -> list[str]:
    return [
        one.number,
        _KINDS[one.kind],
        _CHANNELS[one.channel],
        one.area_name,
        STATES[one.state][0],
        "实名" if one.is_named else "匿名",
        one.handler_name or "",
        day_of(one.received_at).isoformat(),
        one.due_on.isoformat() if one.due_on else "",
        _URGENCY[one.urgency],
        "是" if one.is_extended else "否",
    ]
