"""The printed minutes of an appraisal hearing (民主评议记录)."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.hearings import MAJORITY, WRITERS, list_hearings
from server.cases.notices import issuing_office
from server.core.access import Caller, require_found, require_role
from server.core.errors import Problem
from server.core.pdf import Notice, format_date_zh, render_notice
from server.models.cases import CaseFile
from server.policy.resolver import load_policy_values


async def print_minutes(session: AsyncSession, caller: Caller, case_id: UUID, hearing_id: UUID) -> bytes:
    """Return a PDF of the panel, the attendance and the count. Raises `case.not_now` before the count."""
    require_role(caller, WRITERS)
    hearings = await list_hearings(session, caller, case_id)
    hearing = require_found(next((hearing for hearing in hearings if hearing.id == hearing_id), None))
    if hearing.passed is None:
        raise Problem("case.not_now", state="hearing")
    case = await session.get_one(CaseFile, case_id)
    settings = await load_policy_values(session, case.area_code, case.rules_on, [MAJORITY])
    share = "达到三分之二" if settings.get(MAJORITY) == "two_thirds" else "超过半数"
    invited = sum(seat.conflict is None for seat in hearing.panel)
    attended = sum(seat.attended for seat in hearing.panel)
    notice = Notice(
        title="民主评议记录",
        number=f"编号：{case.number}",
        to="",
        paragraphs=[
            f"时间：{format_date_zh(hearing.held_on)} 地点：{hearing.place}",
            f"介绍情况人：{hearing.presenter} 监督人：{hearing.observers or '无'}",
            f"应到{invited}人，实到{attended}人，最低到会{hearing.quorum}人。",
            f"无记名投票，当场计票：同意{hearing.ayes}票，不同意{hearing.noes}票，弃权{hearing.blanks}票。",
            f"结果：{'通过' if hearing.passed else '未通过'}（同意票须{share}）。",
        ],
        columns=["评议小组成员", "到会", "回避事由", "签名"],
        rows=[[seat.name, "是" if seat.attended else "否", seat.conflict or "", ""] for seat in hearing.panel],
        office=await issuing_office(session, case),
        date=format_date_zh(hearing.held_on),
    )
    return await render_notice(notice)
