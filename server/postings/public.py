"""The public side of a posting: what hangs in the village, nothing else; and a way to object.

Whoever lacks the link finds nothing, and afterwards nobody does: what is over answers like what never was.
"""

import hashlib
import secrets
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core import jobs
from server.core.access import Caller, Role, found, in_areas, require
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.sequences import next_number
from server.core.services import Services
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest_in_cases
from server.http.rate_limit import count_attempt
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.postings import Objection, Posting, PostingEntry

ANSWERERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
NOT_INDEXED = {"X-Robots-Tag": "noindex, nofollow, noarchive, nosnippet", "Cache-Control": "no-store"}
_TRIES = 20


class PublicEntry(ResponseBody):
    """The law allows name, number of members and amount, and no more."""

    position: int
    name: str
    members: int
    amount_fen: int


class PublicPosting(ResponseBody):
    """`object_until` is the last day on which an objection is taken."""

    area_name: str
    round: int
    starts_on: date
    object_until: date
    households: list[PublicEntry]


class Object(RequestBody):
    """Which line, what is wrong; a way to be reached only if one likes to give it."""

    position: Annotated[int, Meta(ge=1)]
    text: Annotated[str, Meta(min_length=5, max_length=2000)]
    contact: Annotated[str, Meta(max_length=100)] | None = None


class Objected(ResponseBody):
    """The code is told once: with the number it opens the answer."""

    number: str
    code: str


class FollowUp(RequestBody):
    number: Annotated[str, Meta(max_length=40)]
    code: Annotated[str, Meta(max_length=40)]


class Followed(ResponseBody):
    number: str
    made_at: datetime
    answered_at: datetime | None
    outcome: str | None
    answer: str | None


class RevealContact(RequestBody):
    """The reason is kept."""

    reason: Annotated[str, Meta(min_length=4, max_length=500)]


class Contact(ResponseBody):
    value: str


class AnswerObjection(RequestBody):
    """`upheld` takes the line down; the town then orders a new survey or a hearing."""

    outcome: Literal["dismissed", "upheld"]
    answer: Annotated[str, Meta(min_length=5, max_length=4000)]


async def read_posting(session: AsyncSession, key: str, now: datetime) -> PublicPosting:
    posting = await _hanging(session, key, now)
    area = await session.get_one(Area, posting.area_code)
    entries = await session.scalars(shown(posting).order_by(PostingEntry.position))
    assert posting.starts_on is not None
    assert posting.ends_on is not None
    return PublicPosting(
        area_name=area.name,
        round=posting.round,
        starts_on=posting.starts_on,
        object_until=posting.ends_on,
        households=[
            PublicEntry(position=one.position, name=one.name, members=one.members, amount_fen=one.amount_fen)
            for one in entries
        ],
    )


async def _hanging(session: AsyncSession, key: str, now: datetime) -> Posting:
    today = day_of(now)
    posting = await session.scalar(
        select(Posting).where(
            Posting.key == key, Posting.state == "open", Posting.starts_on <= today, Posting.ends_on >= today
        )
    )
    if posting is None:
        raise Problem("thing.not_found", headers=NOT_INDEXED)
    return posting


def shown(posting: Posting) -> Select[PostingEntry]:
    """Lines whose case still stands for posting: what was withdrawn meanwhile is shown to nobody."""
    return (
        select(PostingEntry)
        .join(CaseFile, CaseFile.id == PostingEntry.case_id)
        .where(
            PostingEntry.posting_id == posting.id,
            PostingEntry.removed_at.is_(None),
            CaseFile.state.in_(["posting", "objection"]),
        )
    )


async def object_to(
    session: AsyncSession, services: Services, key: str, asked: Object, *, address: str, now: datetime
) -> Objected:
    """Take an objection: the decision stops until it is answered. Raises `request.rate_limited`."""
    await count_attempt(services.sessions, [f"objection:{address}"], _TRIES, now)
    posting = await _hanging(session, key, now)
    entry = await session.scalar(shown(posting).where(PostingEntry.position == asked.position))
    if entry is None:
        raise Problem("thing.not_found", headers=NOT_INDEXED)
    code = secrets.token_hex(4).upper()
    objection = Objection(
        id=new_id(),
        number=await next_number(session, Objection.number, f"YY{posting.area_code[:6]}{day_of(now).year}-", 5),
        entry_id=entry.id,
        case_id=entry.case_id,
        made_at=now,
        text=asked.text,
        contact_sealed=services.vault.seal("objection.contact", asked.contact) if asked.contact else None,
        code_hash=hash_code(code),
    )
    session.add(objection)
    audit.record(session, None, "objection.made", "objection", objection.id, area_code=posting.area_code)
    await jobs.defer(session, "cases.objection_made", case_id=str(entry.case_id), objection_id=str(objection.id))
    return Objected(number=objection.number, code=code)


def hash_code(code: str) -> bytes:
    return hashlib.sha256(code.strip().upper().encode()).digest()


async def follow_up(
    session: AsyncSession, services: Services, asked: FollowUp, *, address: str, now: datetime
) -> Followed:
    """What was answered. A wrong number and a wrong code get the same answer."""
    await count_attempt(services.sessions, [f"follow:{address}", f"follow:{asked.number}"], _TRIES, now)
    one = await session.scalar(
        select(Objection).where(Objection.number == asked.number.strip(), Objection.code_hash == hash_code(asked.code))
    )
    if one is None:
        raise Problem("thing.not_found", headers=NOT_INDEXED)
    return Followed(
        number=one.number, made_at=one.made_at, answered_at=one.answered_at, outcome=one.outcome, answer=one.answer
    )


async def answer_objection(
    session: AsyncSession, caller: Caller, objection_id: UUID, asked: AnswerObjection, now: datetime
) -> None:
    """Answer an objection in writing. The same answer again is once; another is `objection.answered`.

    Raises `case.own_relative`: whose relative is objected to doesn't dismiss it.

    Once none is open the case goes on: back to its posting, and on from there when that has ended.
    """
    rows = _to_answer(caller, objection_id).with_for_update(of=[Objection, Posting])
    objection, entry, posting = found((await session.execute(rows)).first())
    if objection.answered_at is not None:
        if (objection.outcome, objection.answer) != (asked.outcome, asked.answer):
            raise Problem("objection.answered")
        return
    await require_no_conflict_of_interest_in_cases(session, caller, [objection.case_id])
    objection.answered_at, objection.answered_by = now, caller.id
    objection.outcome, objection.answer = asked.outcome, asked.answer
    if asked.outcome == "upheld":
        entry.removed_at = now
    await session.flush()  # counted below
    audit.record(
        session, caller, "objection.answered", "objection", objection.id, area_code=posting.area_code,
        outcome=asked.outcome,
    )  # fmt: skip
    still_open = await session.scalar(
        select(Objection.id).where(Objection.case_id == objection.case_id, Objection.answered_at.is_(None)).limit(1)
    )
    if still_open is None and entry.removed_at is None:
        await jobs.defer(
            session,
            "cases.objection_answered",
            case_id=str(objection.case_id),
            objection_id=str(objection.id),
            actor_id=str(caller.id),
            ended_posting_id=str(posting.id) if posting.state == "ended" else None,
        )


async def reveal_contact(
    session: AsyncSession, services: Services, caller: Caller, objection_id: UUID, asked: RevealContact, now: datetime
) -> Contact:
    """How to reach who objected, for whoever may answer it. Who looked and why is kept; the contact is not.

    Raises `case.own_relative`: who objects to a relative's household stays unknown to the relative.
    """
    objection, _, posting = found((await session.execute(_to_answer(caller, objection_id))).first())
    await require_no_conflict_of_interest_in_cases(session, caller, [objection.case_id])
    sealed: bytes = found(objection.contact_sealed)
    await count_attempt(services.sessions, [f"objection-contact:{caller.id}"], _TRIES, now)
    audit.record(
        session, caller, "objection.contact_revealed", "objection", objection.id, area_code=posting.area_code,
        reason=asked.reason,
    )  # fmt: skip
    return Contact(value=services.vault.open("objection.contact", sealed))


def _to_answer(caller: Caller, objection_id: UUID) -> Select[Objection, PostingEntry, Posting]:
    """An objection of an area where the caller answers them; raises `auth.forbidden` for who answers none."""
    require(caller, ANSWERERS)
    return (
        select(Objection, PostingEntry, Posting)
        .join(PostingEntry, PostingEntry.id == Objection.entry_id)
        .join(Posting, Posting.id == PostingEntry.posting_id)
        .where(Objection.id == objection_id, in_areas(Posting.area_code, caller, ANSWERERS))
    )
