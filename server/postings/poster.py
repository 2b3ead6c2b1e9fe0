"""The poster that hangs in the village, as PDF, with a code that leads to the page where one may object."""

from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import Caller, found, readable, require
from server.core.money import plain_yuan
from server.core.pdf import Poster, draw_qr, print_poster, say_date
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.postings import Posting, PostingEntry
from server.postings.postings import HANGERS
from server.postings.public import shown


async def print_posting(session: AsyncSession, caller: Caller, posting_id: UUID, base_url: str) -> bytes:
    """Printed from the draft too: it has to hang before the posting can start."""
    require(caller, HANGERS)
    posting: Posting = found(await session.scalar(readable(Posting, caller).where(Posting.id == posting_id)))
    entries = await session.scalars(_printed(posting).order_by(PostingEntry.position))
    names = dict(
        (
            await session.execute(
                select(Area.code, Area.name).where(Area.code.in_([posting.area_code, posting.area_code[:9]]))
            )
        ).all()
    )
    made = posting.starts_on or day_of(posting.made_at)
    audit.record(session, caller, "posting.printed", "posting", posting.id, area_code=posting.area_code)
    return await print_poster(
        Poster(
            title="最低生活保障审核公示",
            subtitle=f"{names.get(posting.area_code, '')} 第{posting.round}轮",
            intro=_intro(posting),
            rows=[[str(one.position), one.name, str(one.members), plain_yuan(one.amount_fen)] for one in entries],
            objections="对公示内容有异议的，请在公示期内扫码提出，或向乡镇（街道）反映。可以匿名，凭编号和查询码查看答复。",
            qr=draw_qr(f"{base_url.rstrip('/')}/p/{posting.key}"),
            office=f"{names.get(posting.area_code[:9], '')}人民政府（办事处）",
            date=say_date(made),
        )
    )


def _printed(posting: Posting) -> Select[PostingEntry]:
    """What may hang now. Of a list that is over: what hung, for the archive, without whoever has withdrawn."""
    if posting.state != "ended":
        return shown(posting)
    withdrawn = select(CaseFile.id).where(CaseFile.state == "withdrawn")
    return select(PostingEntry).where(
        PostingEntry.posting_id == posting.id,
        PostingEntry.removed_at.is_(None),
        PostingEntry.case_id.not_in(withdrawn),
    )


def _intro(posting: Posting) -> str:
    if posting.starts_on is None or posting.ends_on is None:
        return "以下家庭经初审拟纳入最低生活保障，现予公示。"
    start, end = posting.starts_on, posting.ends_on
    return f"以下家庭经初审拟纳入最低生活保障，现予公示。公示期：{say_date(start)}至{say_date(end)}。"
