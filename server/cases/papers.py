"""The papers an application needs, by situation: requested once and all together (一次性告知), then received.

The policy setting `case.papers` lists them, by area and day of application.
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
from server.audit.actions import Action
from server.cases.loading import lock_open_case
from server.core.access import Caller, Role, readable, require_found, require_role
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.ids import new_id
from server.models.cases import CLOSED_STATES, CaseFile, Paper, PaperPhoto
from server.policy.resolver import load_policy_values

PaperState = Literal["received", "sent", "returned", "missing"]
RECEIVERS = frozenset({Role.CASEWORKER, Role.TOWN_OFFICER})


class RequiredPaper(Struct):
    """An entry of the setting `case.papers`. Without a situation every applicant needs it."""

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
    """`state_zh` and `state_en` tell the resident what to do."""

    code: str
    zh: str
    en: str
    asked_at: datetime | None
    received_on: date | None
    state: PaperState
    state_zh: str
    state_en: str
    photos: list[PaperPhotoLine]


class HomePapers(ResponseBody):
    """The papers of a home's open application. `version` is for the step `papers_missing`, while `may_ask`."""

    case_id: UUID
    number: str
    version: int
    may_ask: bool
    papers: list[PaperLine]


_STATE_TEXTS: dict[PaperState, tuple[str, str]] = {
    "received": ("已收到", "received"),
    "sent": ("照片已上传，待工作人员查看", "photo sent; staff will look at it"),
    "returned": ("照片不能用，请重新拍", "the photo can't be used; please send another"),
    "missing": ("尚缺，请补交或拍照上传", "missing; bring it or send a photo"),
}


async def list_papers(session: AsyncSession, case: CaseFile) -> list[PaperLine]:
    """List the papers this application needs, in the setting's order, with what has arrived. Three queries."""
    rows = {row.code: row for row in await session.scalars(select(Paper).where(Paper.case_id == case.id))}
    photos: dict[str, list[PaperPhoto]] = {}
    for photo in await session.scalars(
        select(PaperPhoto).where(PaperPhoto.case_id == case.id).order_by(PaperPhoto.announced_at, PaperPhoto.id)
    ):
        photos.setdefault(photo.code, []).append(photo)
    settings = await load_policy_values(session, case.area_code, case.rules_on, ["case.papers"])
    papers = required_papers(settings, case.situations)
    return [_line(paper, rows.get(paper.code), photos.get(paper.code, [])) for paper in papers]


async def list_home_papers(session: AsyncSession, caller: Caller, household_id: UUID) -> HomePapers:
    """List the papers of the home's open application. Raises `thing.not_found` where there is none."""
    require_role(caller, RECEIVERS)
    case: CaseFile = require_found(
        await session.scalar(
            readable(CaseFile, caller).where(
                CaseFile.household_id == household_id, CaseFile.state.not_in(CLOSED_STATES)
            )
        )
    )
    papers = await list_papers(session, case)
    lacks_some = any(paper.received_on is None for paper in papers)
    return HomePapers(
        case_id=case.id,
        number=case.number,
        version=case.version,
        may_ask=lacks_some and case.state == "applied",
        papers=papers,
    )


def _line(paper: RequiredPaper, row: Paper | None, photos: list[PaperPhoto]) -> PaperLine:
    state, zh, en = state_of_photos(row.received_on if row else None, photos)
    return PaperLine(
        code=paper.code,
        zh=paper.zh,
        en=paper.en,
        asked_at=row.asked_at if row else None,
        received_on=row.received_on if row else None,
        state=state,
        state_zh=zh,
        state_en=en,
        photos=[msgspec.convert(photo, PaperPhotoLine, from_attributes=True) for photo in photos],
    )


def state_of_photos(received_on: date | None, photos: list[PaperPhoto]) -> tuple[PaperState, str, str]:
    """Return the state of what is to be handed in, and what it tells the resident to do."""
    state = _state(received_on, photos)
    return state, *_STATE_TEXTS[state]


def _state(received_on: date | None, photos: list[PaperPhoto]) -> PaperState:
    if received_on is not None:
        return "received"
    if any(photo.state in {"received", "verified"} and photo.returned_at is None for photo in photos):
        return "sent"
    is_bad = any(photo.state == "refused" or photo.returned_at is not None for photo in photos)
    return "returned" if is_bad else "missing"


def required_papers(settings: dict[str, Any], situations: list[str]) -> list[RequiredPaper]:
    lines = [RequiredPaper(**line) for line in settings.get("case.papers", [])]
    return [paper for paper in lines if paper.situation is None or paper.situation in situations]


async def list_missing_papers(session: AsyncSession, case: CaseFile) -> list[str]:
    return [paper.code for paper in await list_papers(session, case) if paper.received_on is None]


async def request_papers(session: AsyncSession, case: CaseFile, codes: list[str], now: datetime) -> None:
    """Request all missing papers in one notice: later requests for single papers are not allowed (law)."""
    for code in codes:
        row = insert(Paper).values(id=new_id(), case_id=case.id, code=code, asked_at=now)
        await session.execute(row.on_conflict_do_update(index_elements=["case_id", "code"], set_={"asked_at": now}))


async def receive_paper(session: AsyncSession, caller: Caller, case_id: UUID, code: str, on: date) -> list[PaperLine]:
    """Record that a paper was received. Idempotent. Raises `case.paper_unknown`, `case.closed`."""
    require_role(caller, RECEIVERS)
    case = await lock_open_case(session, caller, case_id)
    if code not in {paper.code for paper in await list_papers(session, case)}:
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
        audit.record(session, caller, Action.CASE_PAPER_RECEIVED, "case", case.id, area_code=case.area_code, code=code)
    return await list_papers(session, case)
