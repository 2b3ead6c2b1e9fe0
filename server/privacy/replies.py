"""The written answer to a request, as a sheet to hand over: what was done, or why not and where to go."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.errors import Problem
from server.core.pdf import Notice, format_date_zh, render_notice
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.households import HouseholdMember
from server.models.privacy import DataRequest
from server.privacy.requests import GROUND_TEXTS, KIND_TEXTS, lock_request

_OUTCOMES = {"granted": "同意", "partly": "部分同意", "refused": "不予同意"}
_COURT = (
    "如不服本答复，可以向上级民政部门投诉、举报；个人信息权利请求被拒绝的，"
    "可以依法向人民法院提起诉讼（个人信息保护法第五十条第二款）。"
)


async def print_reply(session: AsyncSession, caller: Caller, request_id: UUID) -> bytes:
    """Return a PDF. Raises `privacy.not_answered`, `thing.not_found`."""
    request, _ = await lock_request(session, caller, request_id)
    if request.answered_at is None:
        raise Problem("privacy.not_answered")
    name = await session.scalar(select(HouseholdMember.name).where(HouseholdMember.id == request.member_id))
    town = await session.scalar(select(Area.name).where(Area.code == request.area_code[:9]))
    audit.record(
        session,
        caller,
        Action.DATA_REPLY_PRINTED,
        "data_request",
        request.id,
        area_code=request.area_code,
        outcome=request.state,
    )
    return await render_notice(
        Notice(
            title="个人信息请求答复书",
            number=f"编号：{str(request.id)[-12:]}",
            to=name or "",
            paragraphs=_paragraphs(request),
            office=f"{town or ''}人民政府（办事处）",
            date=format_date_zh(day_of(request.answered_at)),
            footer="本答复书一式两份，请求人一份，存档一份",
        )
    )


def _paragraphs(request: DataRequest) -> list[str]:
    kind, outcome = KIND_TEXTS[request.kind][0], _OUTCOMES[request.state]
    received = format_date_zh(day_of(request.received_at))
    paragraphs = [f"您于{received}提出的{kind}个人信息的请求收悉。经审查，答复如下：{outcome}。", request.answer or ""]
    if request.ground:
        paragraphs.append(f"理由和依据：{GROUND_TEXTS[request.ground][0]}。")
    if request.erased_at is not None:
        paragraphs.append("本户登记的联系电话和您的微信绑定已经删除。")
    if request.state != "granted":
        paragraphs.append(_COURT)
    return paragraphs
