"""The papers an application needs, by situation: asked for once and all together (一次性告知), then received.

Which papers those are is the rule `case.papers` of the area on the day of the application.
"""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import Caller, Role, found, readable, require
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.ids import new_id
from server.models.cases import CLOSED_STATES, CaseFile, Paper, PaperPhoto
from server.policy.resolver import policy_values

RECEIVERS = frozenset({Role.CASEWORKER, Role.TOWN_OFFICER})


class PaperRule(Struct):
    """One line of the rule `case.papers`. Without a situation everyone brings it."""

    code: str
    zh: str
    en: str
    situation: str | None = None


class PaperPhotoLine(ResponseBody):
    """A photo that a resident announced; `return_reason` says why an officer could not use it."""

    id: UUID
    state: Literal["announced", "received", "verified", "refused"]
    refused_code: str | None
    announced_at: datetime
    uploaded_at: datetime | None
    return_reason: str | None


class PaperLine(ResponseBody):
    """`state_zh` and `state_en` say in words what the resident is to do about it."""

    code: str
    zh: str
    en: str
    asked_at: datetime | None
    received_on: date | None
    state: Literal["received", "sent", "returned", "missing"]
    state_zh: str
    state_en: str
    photos: list[PaperPhotoLine]


_STATE_WORDS = {
    "received": ("已收到", "received"),
    "sent": ("照片已上传，待工作人员查看", "photo sent; staff will look at it"),
    "returned": ("照片不能用，请重新拍", "the photo can't be used; please send another"),
    "missing": ("尚缺，请补交或拍照上传", "missing; bring it or send a photo"),
}


async def list_papers(session: AsyncSession, case: CaseFile) -> list[PaperLine]:
    """What this application needs, in the rule's order, and what of it has come. Three queries."""
    rows = {one.code: one for one in await session.scalars(select(Paper).where(Paper.case_id == case.id))}
    photos: dict[str, list[PaperPhoto]] = {}
    for photo in await session.scalars(
        select(PaperPhoto).where(PaperPhoto.case_id == case.id).order_by(PaperPhoto.announced_at, PaperPhoto.id)
    ):
        photos.setdefault(photo.code, []).append(photo)
    wanted = needed(await policy_values(session, case.area_code, case.rules_on, ["case.papers"]), case.situations)
    return [_line(one, rows.get(one.code), photos.get(one.code, [])) for one in wanted]


def _line(rule: PaperRule, row: Paper | None, photos: list[PaperPhoto]) -> PaperLine:
    state = _state(row, photos)
    zh, en = _STATE_WORDS[state]
    return PaperLine(
        code=rule.code,
        zh=rule.zh,
        en=rule.en,
        asked_at=row.asked_at if row else None,
        received_on=row.received_on if row else None,
        state=state,
        state_zh=zh,
        state_en=en,
        photos=[msgspec.convert(one, PaperPhotoLine, from_attributes=True) for one in photos],
    )


def _state(row: Paper | None, photos: list[PaperPhoto]) -> Literal["received", "sent", "returned", "missing"]:
    if row is not None and row.received_on is not None:
        return "received"
    if any(one.state in {"received", "verified"} and one.returned_at is None for one in photos):
        return "sent"
    is_bad = any(one.state == "refused" or one.returned_at is not None for one in photos)
    return "returned" if is_bad else "missing"


def needed(rules: dict[str, Any], situations: list[str]) -> list[PaperRule]:
    lines = [PaperRule(**line) for line in rules.get("case.papers", [])]
    return [one for one in lines if one.situation is None or one.situation in situations]


async def missing_papers(session: AsyncSession, case: CaseFile) -> list[str]:
    return [one.code for one in await list_papers(session, case) if one.received_on is None]


async def ask_for_papers(session: AsyncSession, case: CaseFile, codes: list[str], now: datetime) -> None:
    """The one-time notice names all that is missing: nothing may be asked for later one by one."""
    for code in codes:
        row = insert(Paper).values(id=new_id(), case_id=case.id, code=code, asked_at=now)
        await session.execute(row.on_conflict_do_update(index_elements=["case_id", "code"], set_={"asked_at": now}))


async def receive_paper(session: AsyncSession, caller: Caller, case_id: UUID, code: str, on: date) -> list[PaperLine]:
    """Note that a paper came; a second time changes nothing. Raises `case.paper_unknown`, `case.closed`."""
    require(caller, RECEIVERS)
    case: CaseFile = found(
        await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id).with_for_update())
    )
    if case.state in CLOSED_STATES:
        raise Problem("case.closed", state=case.state)
    if code not in {one.code for one in await list_papers(session, case)}:
        raise Problem("case.paper_unknown")
    row = insert(Paper).values(id=new_id(), case_id=case.id, code=code, received_on=on, received_by=caller.id)
    written = await session.scalar(
        row.on_conflict_do_update(
            index_elements=["case_id", "code"],
            set_={"received_on": on, "received_by": caller.id},
            where=Paper.received_on.is_(None),
        ).returning(Paper.id)
    )
    if written is not None:
        audit.record(session, caller, "case.paper_received", "case", case.id, area_code=case.area_code, code=code)
    return await list_papers(session, case)
