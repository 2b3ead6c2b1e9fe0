"""Objections to a posting: submitted from the public page, answered at the desk, looked up with number and code."""

import secrets
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller, Role, in_areas, require_found, require_role
from server.core.database import open_session
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.job_types import MoveCaseAfterAnswer, MoveCaseAfterObjection, SealObjections
from server.core.normalise import bare, bare_number
from server.core.reply_codes import hash_reply_code, stored_hashes
from server.core.sequences import next_number
from server.core.services import Services
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest_in_cases
from server.households.reveal_limit import require_reveals_left
from server.http.rate_limit import count_attempt
from server.models.cases import CaseFile, RelativeOnStaff
from server.models.postings import Objection, Posting, PostingEntry
from server.postings.public import NOT_INDEXED, load_open_posting, select_visible_entries

ANSWER_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})


_MAX_ATTEMPTS = 20
TEXT = "objection.text"


class SubmitObjection(RequestBody):
    """`position` is the entry's number on the list. `contact` is optional."""

    sealed_fields = frozenset({"text", "contact"})

    position: Annotated[int, Meta(ge=1)]
    text: Annotated[str, Meta(min_length=5, max_length=2000)]
    contact: Annotated[str, Meta(max_length=100)] | None = None


class ObjectionReceipt(ResponseBody):
    """The code is returned only here. With the number it opens the answer."""

    number: str
    code: str


class LookUpObjection(RequestBody):
    number: Annotated[str, Meta(max_length=40)]
    code: Annotated[str, Meta(max_length=40)]


class ObjectionStatus(ResponseBody):
    number: str
    made_at: datetime
    answered_at: datetime | None
    outcome: str | None
    answer: str | None


class RevealContact(RequestBody):
    """The reason is written to the audit log."""

    reason: Annotated[str, Meta(min_length=4, max_length=500)]


class Contact(ResponseBody):
    value: str


class AnswerObjection(RequestBody):
    """`upheld` removes the entry from the list; the town then orders a new survey or a hearing."""

    outcome: Literal["dismissed", "upheld"]
    answer: Annotated[str, Meta(min_length=5, max_length=4000)]


async def submit_objection(
    session: AsyncSession, services: Services, key: str, data: SubmitObjection, *, address: str, now: datetime
) -> ObjectionReceipt:
    """Submit an objection. The case is not decided until it is answered. Raises `request.rate_limited`."""
    await count_attempt(session, services.encryption, [f"objection:{address}"], _MAX_ATTEMPTS, now)
    posting = await load_open_posting(session, key, now)
    entry = await session.scalar(select_visible_entries(posting).where(PostingEntry.position == data.position))
    if entry is None:
        raise Problem("thing.not_found", headers=NOT_INDEXED)
    code = secrets.token_hex(4).upper()
    objection_id = new_id()
    objection = Objection(
        id=objection_id,
        number=await next_number(session, Objection.number, f"YY{posting.area_code[:6]}{day_of(now).year}-", 5),
        entry_id=entry.id,
        case_id=entry.case_id,
        made_at=now,
        text_sealed=services.encryption.seal(TEXT, objection_id, data.text),
        contact_sealed=services.encryption.seal("objection.contact", objection_id, data.contact)
        if data.contact
        else None,
        code_hash=hash_reply_code(services.encryption, code),
    )
    session.add(objection)
    audit.record(session, None, Action.OBJECTION_MADE, "objection", objection.id, area_code=posting.area_code)
    await jobs.defer(session, MoveCaseAfterObjection(case_id=entry.case_id, objection_id=objection.id))
    return ObjectionReceipt(number=objection.number, code=code)


async def load_answerable(session: AsyncSession, caller: Caller, posting: Posting) -> list[Objection]:
    """Return the objections to a posting that the caller may answer, by number; nobody else reads them.

    A declared relative of the household, in whatever role, is not among them.
    """
    if not caller.covers(posting.area_code, ANSWER_ROLES):
        return []
    related = (
        select(CaseFile.id)
        .join(RelativeOnStaff, RelativeOnStaff.household_id == CaseFile.household_id)
        .where(RelativeOnStaff.name == caller.name)
    )
    rows = (
        select(Objection)
        .join(PostingEntry, PostingEntry.id == Objection.entry_id)
        .where(PostingEntry.posting_id == posting.id, Objection.case_id.not_in(related))
        .order_by(Objection.number)
    )
    return list(await session.scalars(rows))


def open_text(services: Services, objection: Objection) -> str:
    if objection.text_sealed is None:
        return objection.text or ""
    return services.encryption.open(TEXT, objection.id, objection.text_sealed)


@jobs.task(SealObjections, cron="*/10 * * * *")
async def seal_objections(services: Services, _: SealObjections) -> None:
    """Seal the texts from before objections were sealed."""
    async with open_session(services.sessions) as session:
        clear = select(Objection).where(Objection.text.is_not(None)).order_by(Objection.id).with_for_update()
        for objection in await session.scalars(clear):
            assert objection.text is not None
            objection.text_sealed = services.encryption.seal(TEXT, objection.id, objection.text)
            objection.text = None


async def look_up_objection(
    session: AsyncSession, services: Services, data: LookUpObjection, *, address: str, now: datetime
) -> ObjectionStatus:
    """Return the answer to an objection. A wrong number and a wrong code raise the same `thing.not_found`."""
    subjects = [f"follow:{address}", f"follow:{bare_number(data.number)}"]
    await count_attempt(session, services.encryption, subjects, _MAX_ATTEMPTS, now)
    objection = await session.scalar(
        select(Objection).where(
            bare(Objection.number) == bare_number(data.number),
            Objection.code_hash.in_(stored_hashes(services.encryption, data.code)),
        )
    )
    if objection is None:
        raise Problem("thing.not_found", headers=NOT_INDEXED)
    return ObjectionStatus(
        number=objection.number,
        made_at=objection.made_at,
        answered_at=objection.answered_at,
        outcome=objection.outcome,
        answer=objection.answer,
    )


async def answer_objection(
    session: AsyncSession, caller: Caller, objection_id: UUID, data: AnswerObjection, now: datetime
) -> None:
    """Answer an objection in writing. Idempotent for the same answer; another raises `objection.answered`.

    Raises `case.own_relative` if the objection is about a relative's household. When the case has no open
    objection left, it returns to its posting, or advances if the posting has ended.
    """
    rows = _select_answerable(caller, objection_id).with_for_update(of=[Objection, Posting])
    objection, entry, posting = require_found((await session.execute(rows)).first())
    if objection.answered_at is not None:
        if (objection.outcome, objection.answer) != (data.outcome, data.answer):
            raise Problem("objection.answered")
        return
    await require_no_conflict_of_interest_in_cases(session, caller, [objection.case_id])
    objection.answered_at, objection.answered_by = now, caller.id
    objection.outcome, objection.answer = data.outcome, data.answer
    if data.outcome == "upheld":
        entry.removed_at = now
    await session.flush()  # the query below reads it
    audit.record(
        session, caller, Action.OBJECTION_ANSWERED, "objection", objection.id, area_code=posting.area_code,
        outcome=data.outcome,
    )  # fmt: skip
    still_open = await session.scalar(
        select(Objection.id).where(Objection.case_id == objection.case_id, Objection.answered_at.is_(None)).limit(1)
    )
    if still_open is None and entry.removed_at is None:
        await jobs.defer(
            session,
            MoveCaseAfterAnswer(
                case_id=objection.case_id,
                objection_id=objection.id,
                actor_id=caller.id,
                ended_posting_id=posting.id if posting.state == "ended" else None,
            ),
        )


async def reveal_contact(
    session: AsyncSession, services: Services, caller: Caller, objection_id: UUID, data: RevealContact, now: datetime
) -> Contact:
    """Return the contact of the author to an officer who may answer. The audit log gets the reader and the reason.

    Raises `case.own_relative`: a relative of the household must not learn who objected.
    """
    objection, _, posting = require_found((await session.execute(_select_answerable(caller, objection_id))).first())
    await require_no_conflict_of_interest_in_cases(session, caller, [objection.case_id])
    sealed: bytes = require_found(objection.contact_sealed)
    await require_reveals_left(session, caller, posting.area_code, now)
    audit.record(
        session, caller, Action.OBJECTION_CONTACT_REVEALED, "objection", objection.id, area_code=posting.area_code,
        reason=data.reason,
    )  # fmt: skip
    return Contact(value=services.encryption.open("objection.contact", objection.id, sealed))


def _select_answerable(caller: Caller, objection_id: UUID) -> Select[Objection, PostingEntry, Posting]:
    """Select an objection in the areas where the caller may answer. Raises `auth.forbidden` without the role."""
    require_role(caller, ANSWER_ROLES)
    return (
        select(Objection, PostingEntry, Posting)
        .join(PostingEntry, PostingEntry.id == Objection.entry_id)
        .join(Posting, Posting.id == PostingEntry.posting_id)
        .where(Objection.id == objection_id, in_areas(Posting.area_code, caller, ANSWER_ROLES))
    )
