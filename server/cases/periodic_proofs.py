"""Periodic proofs at the desk and on the resident's page: at the counter, by photo, or closed with a reason.

An overdue proof changes no payment. Whoever is responsible looks, and acts on the case.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.cases.loading import lock_case
from server.cases.paper_photos import AnnouncePhoto, announce_for
from server.cases.papers import RECEIVERS, PaperLine, PaperPhotoLine, state_of_photos
from server.core.access import DESK_ROLES, Caller, Role, readable, require_found, require_role
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.core.pdf import format_date_zh
from server.core.services import Services
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import CaseFile, PaperPhoto
from server.models.households import Household
from server.models.proofs import PeriodicProof

ProofState = Literal["open", "overdue", "settled"]
_READERS = DESK_ROLES | {Role.CASEWORKER}
_EARLIEST_DUE_FIRST = Keyset(PeriodicProof.due_on, PeriodicProof.id)


class ProofLine(ResponseBody):
    """A proof as the resident reads it; `paper` is like a paper of an application, its code that of the photos."""

    id: UUID
    asked_on: date
    due_on: date
    is_overdue: bool
    paper: PaperLine


class DeskProof(ResponseBody):
    """A proof as the desk reads it, with its case."""

    proof: ProofLine
    closed_reason: str
    case_id: UUID
    application_number: str
    household_id: UUID
    head_name: str
    area_code: str
    area_name: str
    amount_fen: int | None


class ReceiveProof(RequestBody):
    received_on: date


class CloseProof(RequestBody):
    reason: Annotated[str, Meta(min_length=2, max_length=1000)]


async def list_case_proofs(session: AsyncSession, case: CaseFile, today: date) -> list[ProofLine]:
    """List what a case is asked for now, the earliest due first. Two queries."""
    if case.state != "in_force":
        return []
    rows = select(PeriodicProof).where(PeriodicProof.case_id == case.id, _is_open())
    proofs = list(await session.scalars(rows.order_by(PeriodicProof.due_on, PeriodicProof.id)))
    photos = await _load_photos(session, proofs)
    return [_line(proof, photos, today) for proof in proofs]


def _is_open() -> ColumnElement[bool]:
    return PeriodicProof.received_on.is_(None) & PeriodicProof.closed_at.is_(None)


async def _load_photos(
    session: AsyncSession, proofs: Sequence[PeriodicProof]
) -> dict[tuple[UUID, str], list[PaperPhoto]]:
    rows = select(PaperPhoto).where(
        PaperPhoto.case_id.in_([proof.case_id for proof in proofs]),
        PaperPhoto.code.in_([proof.code for proof in proofs]),
    )
    photos: dict[tuple[UUID, str], list[PaperPhoto]] = {}
    for photo in await session.scalars(rows.order_by(PaperPhoto.announced_at, PaperPhoto.id)):
        photos.setdefault((photo.case_id, photo.code), []).append(photo)
    return photos


def _line(proof: PeriodicProof, photos: dict[tuple[UUID, str], list[PaperPhoto]], today: date) -> ProofLine:
    own = photos.get((proof.case_id, proof.code), [])
    state, zh, en = state_of_photos(proof.received_on, own)
    if state == "missing":
        zh = f"请在{format_date_zh(proof.due_on)}前交到乡镇（街道），或拍照上传"
        en = f"bring it or send a photo by {proof.due_on.isoformat()}"
    paper = PaperLine(
        code=proof.code,
        zh=proof.zh,
        en=proof.en,
        asked_at=None,
        received_on=proof.received_on,
        state=state,
        state_zh=zh,
        state_en=en,
        photos=[msgspec.convert(photo, PaperPhotoLine, from_attributes=True) for photo in own],
    )
    is_open = proof.received_on is None and proof.closed_at is None
    return ProofLine(
        id=proof.id,
        asked_on=proof.asked_on,
        due_on=proof.due_on,
        is_overdue=is_open and proof.due_on < today,
        paper=paper,
    )


async def announce_proof_photo(
    session: AsyncSession, services: Services, caller: Caller, case_id: UUID, code: str, body: AnnouncePhoto,
    now: datetime,
) -> list[ProofLine]:  # fmt: skip
    """Announce a photo of a proof that is asked for. Raises as for a paper, `case.paper_unknown` once it is settled."""
    case = await lock_case(session, caller, case_id)
    if code not in {line.paper.code for line in await list_case_proofs(session, case, day_of(now))}:
        raise Problem("case.paper_unknown")
    await announce_for(session, services, caller, case, code, body, now)
    return await list_case_proofs(session, case, day_of(now))


async def list_proofs(
    session: AsyncSession,
    caller: Caller,
    *,
    state: ProofState,
    area: str | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[DeskProof]:
    """List proofs of the caller's households, the earliest due first. Two queries."""
    require_role(caller, _READERS)
    rows = _select_lines(caller)
    # What a home was asked for before it was stopped is owed no longer.
    rows = rows.where(~_is_open()) if state == "settled" else rows.where(_is_open(), CaseFile.state == "in_force")
    if state == "overdue":
        rows = rows.where(PeriodicProof.due_on < day_of(now))
    if area is not None:
        rows = rows.where(PeriodicProof.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _EARLIEST_DUE_FIRST, cursor, limit)
    photos = await _load_photos(session, [row[0] for row in page])
    return Page(items=[_desk_line(photos, day_of(now), *row) for row in page], next_cursor=next_cursor)


def _select_lines(caller: Caller) -> Any:
    return (
        select(PeriodicProof, CaseFile, Household.head_name, Area.name)
        .join(CaseFile, CaseFile.id == PeriodicProof.case_id)
        .join(Household, Household.id == PeriodicProof.household_id)
        .join(Area, Area.code == PeriodicProof.area_code)
        .where(PeriodicProof.in_scope(caller))
    )


def _desk_line(
    photos: dict[tuple[UUID, str], list[PaperPhoto]],
    today: date,
    proof: PeriodicProof,
    case: CaseFile,
    head_name: str,
    area_name: str,
) -> DeskProof:
    return DeskProof(
        proof=_line(proof, photos, today),
        closed_reason=proof.closed_reason,
        case_id=case.id,
        application_number=case.number,
        household_id=case.household_id,
        head_name=head_name,
        area_code=proof.area_code,
        area_name=area_name,
        amount_fen=case.amount_fen,
    )


async def receive_proof(
    session: AsyncSession, caller: Caller, proof_id: UUID, body: ReceiveProof, now: datetime
) -> DeskProof:
    """Record that a proof was received: at the counter, at a visit, or its photo was read. Idempotent.

    Raises `case.proof_settled` when it was closed, or received on another day.
    """
    proof = await _lock_proof(session, caller, proof_id)
    if proof.received_on != body.received_on:
        _require_open(proof)
        if not proof.asked_on <= body.received_on <= day_of(now):
            raise Problem("case.proof_day")
        proof.received_on, proof.received_by = body.received_on, caller.id
        _record(session, caller, Action.PROOF_RECEIVED, proof)
    return await _load_line(session, caller, proof, now)


async def close_proof(
    session: AsyncSession, caller: Caller, proof_id: UUID, body: CloseProof, now: datetime
) -> DeskProof:
    """Say why a proof is not needed this time. Idempotent. Raises `case.proof_settled`."""
    proof = await _lock_proof(session, caller, proof_id)
    if proof.closed_reason != body.reason.strip():
        _require_open(proof)
        proof.closed_at, proof.closed_by, proof.closed_reason = now, caller.id, body.reason.strip()
        _record(session, caller, Action.PROOF_CLOSED, proof, reason=proof.closed_reason)
    return await _load_line(session, caller, proof, now)


def _require_open(proof: PeriodicProof) -> None:
    if proof.received_on is not None or proof.closed_at is not None:
        raise Problem("case.proof_settled")


async def _lock_proof(session: AsyncSession, caller: Caller, proof_id: UUID) -> PeriodicProof:
    require_role(caller, RECEIVERS)
    rows = readable(PeriodicProof, caller).where(PeriodicProof.id == proof_id).with_for_update()
    proof: PeriodicProof = require_found(await session.scalar(rows))
    # A caseworker reads the homes they hold; an officer may read more than they act in.
    if Role.CASEWORKER not in caller.roles and not caller.covers(proof.area_code, RECEIVERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(RECEIVERS)))
    return proof


def _record(session: AsyncSession, caller: Caller, action: Action, proof: PeriodicProof, **facts: Any) -> None:
    audit.record(
        session, caller, action, "proof", proof.id, area_code=proof.area_code, case_id=str(proof.case_id),
        code=proof.kind, **facts,
    )  # fmt: skip


async def _load_line(session: AsyncSession, caller: Caller, proof: PeriodicProof, now: datetime) -> DeskProof:
    await session.flush()  # the line is queried
    row = (await session.execute(_select_lines(caller).where(PeriodicProof.id == proof.id))).one()
    return _desk_line(await _load_photos(session, [proof]), day_of(now), *row)
