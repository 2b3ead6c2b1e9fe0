"""The poster of a raise (提标公告): the standard before and after, from when, and how many homes are paid more.

It names nobody: what each home is paid stands on its own posting.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.cases.raise_listing import RAISERS, load_raise
from server.core.access import Caller, require_role
from server.core.errors import Problem
from server.core.money import format_fen
from server.core.pdf import Notice, format_date_zh, render_notice
from server.core.working_days import day_of

_PRINTED_IN = {"applying", "applied"}


async def print_raise_poster(session: AsyncSession, caller: Caller, raise_id: UUID, now: datetime) -> bytes:
    """Return a PDF, for the county whose raise it is. Raises `raise.not_ready` before it is confirmed."""
    require_role(caller, RAISERS)
    shown = await load_raise(session, caller, raise_id, now)
    if not caller.covers(shown.area_code, RAISERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(RAISERS)))
    if shown.state not in _PRINTED_IN or shown.decided_at is None:
        raise Problem("raise.not_ready", state=shown.state)
    standards = (
        ("城市最低生活保障", shown.urban_before_fen, shown.urban_fen),
        ("农村最低生活保障", shown.rural_before_fen, shown.rural_fen),
    )
    counts = shown.counts
    audit.record(session, caller, Action.RAISE_POSTER_PRINTED, "standard_raise", shown.id, area_code=shown.area_code)
    return await render_notice(
        Notice(
            title="关于提高最低生活保障标准的公告",
            number="",
            to="",
            paragraphs=[
                f"根据{shown.document}，{shown.area_name}自{shown.month.year}年{shown.month.month}月起提高最低生活保障标准。",
                (
                    f"{counts.more}户家庭的保障金随之增加，每月共增加{format_fen(counts.cost_fen)}，按新标准发放，不需申请；"
                    "其他家庭的金额由乡镇（街道）逐户核定。有疑问的，请向乡镇（街道）反映。"
                ),
            ],
            columns=["类别", "原标准（每人每月）", "新标准（每人每月）"],
            rows=[
                [name, format_fen(before) if before is not None else "–", format_fen(after)]
                for name, before, after in standards
                if after is not None
            ],
            office=f"{shown.area_name}民政局",
            date=format_date_zh(day_of(shown.decided_at)),
        )
    )
