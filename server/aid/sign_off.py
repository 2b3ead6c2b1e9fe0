"""The sign-off sheet of a released batch: one line a home, with a place for name, signature or thumb, and the day."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.aid.quantities import format_milli
from server.audit.actions import Action
from server.core.access import Caller, readable, require_found, require_role
from server.core.clock import today
from server.core.errors import Problem
from server.core.money import format_yuan
from server.core.pdf import Notice, format_date_zh, render_notice
from server.models.aid import AID_READERS, AidBatch, AidLine
from server.models.areas import Area

_PRINTED_IN = {"released", "closed"}


async def print_sign_off(session: AsyncSession, caller: Caller, batch_id: UUID) -> bytes:
    """Return the sheet as a PDF. Raise `aid.not_now`, `print.characters_missing`."""
    require_role(caller, AID_READERS)
    batch: AidBatch = require_found(await session.scalar(readable(AidBatch, caller).where(AidBatch.id == batch_id)))
    if batch.state not in _PRINTED_IN:
        raise Problem("aid.not_now", state=batch.state)
    area = await session.scalar(select(Area.name).where(Area.code == batch.area_code))
    rows = await session.scalars(
        select(AidLine)
        .where(AidLine.batch_id == batch.id, AidLine.state.in_(["planned", "handed_out", "not_handed_out"]))
        .order_by(AidLine.position)
    )
    lines = list(rows)
    audit.record(
        session, caller, Action.AID_SHEET_PRINTED, "aid_batch", batch.id, area_code=batch.area_code, lines=len(lines)
    )
    return await render_notice(_build_sheet(batch, area or batch.area_code, lines))


def _build_sheet(batch: AidBatch, area: str, lines: list[AidLine]) -> Notice:
    total = _say(batch, sum(line.planned_milli or 0 for line in lines), sum(line.planned_fen or 0 for line in lines))
    return Notice(
        title=f"{batch.kind_zh}发放签收表",
        number=batch.number,
        to=area,
        paragraphs=[
            f"{batch.month.year}年{batch.month.month}月，共 {len(lines)} 户，合计 {total}。资金来源：{batch.fund}。",
            "由户主签收；他人代领的，写明姓名和与户主的关系。没有发放的，写明原因。",
        ],
        columns=["序号", "户主", "人数", "数量或金额", "领取人（关系）", "签名或指印", "日期"],
        rows=[
            [
                str(line.position),
                line.head_name if line.member_name is None else f"{line.head_name}（{line.member_name}）",
                str(line.people),
                _say(batch, line.planned_milli or 0, line.planned_fen or 0),
                "",
                "",
                "",
            ]
            for line in lines
        ],
        office="发放人：　　　　　　监督人：　　　　　　",
        date=format_date_zh(today()),
    )


def _say(batch: AidBatch, milli: int, fen: int) -> str:
    return f"{format_milli(milli)} {batch.unit_zh}" if batch.form == "goods" else f"{format_yuan(fen)} 元"
