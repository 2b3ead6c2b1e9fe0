"""The poster of a posting as PDF, with a QR code that leads to the public page."""

from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, readable, require_found, require_role
from server.core.money import format_yuan
from server.core.pdf import Poster, format_date_zh, render_poster, render_qr_svg
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.postings import Posting, PostingEntry
from server.postings.detail import DISPLAY_ROLES
from server.postings.public import select_visible_entries


async def print_posting(session: AsyncSession, caller: Caller, posting_id: UUID, base_url: str) -> bytes:
    """Print the poster, also of a draft: the list must be posted before the posting can start."""
    require_role(caller, DISPLAY_ROLES)
    posting: Posting = require_found(await session.scalar(readable(Posting, caller).where(Posting.id == posting_id)))
    entries = await session.scalars(_select_printed_entries(posting).order_by(PostingEntry.position))
    names = dict(
        (
            await session.execute(
                select(Area.code, Area.name).where(Area.code.in_([posting.area_code, posting.area_code[:9]]))
            )
        ).all()
    )
    made = posting.starts_on or day_of(posting.made_at)
    audit.record(session, caller, Action.POSTING_PRINTED, "posting", posting.id, area_code=posting.area_code)
    return await render_poster(
        Poster(
            title="最低生活保障审核公示",
            subtitle=f"{names.get(posting.area_code, '')} 第{posting.round}轮",
            intro=_render_intro(posting),
            rows=[
                [str(entry.position), entry.name, str(entry.members), format_yuan(entry.amount_fen)]
                for entry in entries
            ],
            objections="对公示内容有异议的，请在公示期内扫码提出，或向乡镇（街道）反映。可以匿名，凭编号和查询码查看答复。",
            qr=render_qr_svg(f"{base_url.rstrip('/')}/p/{posting.key}"),
            office=f"{names.get(posting.area_code[:9], '')}人民政府（办事处）",
            date=format_date_zh(made),
        )
    )


def _select_printed_entries(posting: Posting) -> Select[PostingEntry]:
    """Select the entries that may be shown now; of an ended posting, those it showed, without withdrawn cases."""
    if posting.state != "ended":
        return select_visible_entries(posting)
    withdrawn = select(CaseFile.id).where(CaseFile.state == "withdrawn")
    return select(PostingEntry).where(
        PostingEntry.posting_id == posting.id,
        PostingEntry.removed_at.is_(None),
        PostingEntry.case_id.not_in(withdrawn),
    )


def _render_intro(posting: Posting) -> str:
    if posting.starts_on is None or posting.ends_on is None:
        return "以下家庭经初审拟纳入最低生活保障，现予公示。"
    start, end = posting.starts_on, posting.ends_on
    return f"以下家庭经初审拟纳入最低生活保障，现予公示。公示期：{format_date_zh(start)}至{format_date_zh(end)}。"
