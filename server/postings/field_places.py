"""Places of a posting that the field recorded: each with its photo, once the photo is verified, and its position.

A record without a position stays readable, and proves no place. A place is taken down by a record of the same name.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Text, cast, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import HangPostings
from server.core.log import log
from server.core.normalise import same_name
from server.core.services import Services
from server.core.working_days import day_of
from server.models.cases import CaseFile, RelativeOnStaff
from server.models.evidence import RECORD, Evidence
from server.models.people import Staff
from server.models.postings import Posting, PostingEntry, PostingPlace
from server.models.records import Record
from server.postings.detail import load_required_places
from server.records.tasks import close_tasks_about, give_task_about

KIND: Final = "posting"
# How long after a record its photo is waited for.
WAITS_FOR = timedelta(days=90)
_BATCH = 200


@jobs.task(HangPostings, cron="* * * * *")
async def hang_postings(services: Services, _: HangPostings) -> None:
    """Every minute, add the recorded places whose photos have been verified. Idempotent."""
    async with open_session(services.sessions) as session:
        await add_recorded_places(session, utc_now())


async def ask_to_hang(session: AsyncSession, posting: Posting, entries: int) -> None:
    """Ask the field staff of the village to hang the list up."""
    least = await load_required_places(session, posting)
    note = f"第 {posting.round} 轮公示，{entries} 户，至少张贴 {least} 处，每处拍照、定位"
    await give_task_about(session, KIND, KIND, posting.id, posting.area_code, day_of(utc_now()), note)


async def ask_to_take_down(session: AsyncSession, posting: Posting) -> None:
    """Ask to take the list down, where it hangs by a record of the field."""
    hangs = PostingPlace.posting_id == posting.id, PostingPlace.record_id.is_not(None)
    if await session.scalar(select(exists().where(*hangs))):
        note = f"第 {posting.round} 轮公示期已满，请取下并拍照"
        await give_task_about(session, KIND, KIND, posting.id, posting.area_code, day_of(utc_now()), note)


async def add_recorded_places(session: AsyncSession, now: datetime) -> None:
    """Each record in a savepoint of its own: one that can't be stored must not keep the others."""
    for record, sha256, posting in await _list_waiting(session, now):
        record_id = record.id
        try:
            async with session.begin_nested():
                await _add_place(session, record, posting, sha256)
        except (SQLAlchemyError, KeyError, TypeError) as error:
            log.warning("posting.place_failed", record=str(record_id), why=type(error).__name__)


async def _add_place(session: AsyncSession, record: Record, posting: Posting, sha256: str) -> None:
    name = str(record.document["answers"].get("place_name", "")).strip()
    if record.document["answers"].get("posting_act") == "taken_down":
        await _take_down(session, record, posting, name)
    elif posting.state != "ended":
        await _hang(session, record, posting, name, sha256)
    await _close_tasks(session, posting)


async def _list_waiting(session: AsyncSession, now: datetime) -> list[tuple[Record, str, Posting]]:
    """List records with a position and a verified photo that no place knows yet.

    Only photos of the signed document count, and none of a declared relative of a listed household.
    """
    is_used = exists().where(PostingPlace.posting_id == Record.subject_id, PostingPlace.sha256 == Evidence.sha256)
    hung_before = (
        PostingPlace.posting_id == Record.subject_id,
        PostingPlace.taken_down_at.is_(None),
        PostingPlace.captured_at < Record.started_at,
    )
    listed = func.jsonb_build_array(func.jsonb_build_object("id", cast(Evidence.id, Text), "sha256", Evidence.sha256))
    act = Record.document["answers"]["posting_act"].astext
    rows = await session.execute(
        select(Record, Evidence.sha256, Posting)
        .join(Posting, Posting.id == Record.subject_id)
        .join(Evidence, (Evidence.subject_kind == RECORD) & (Evidence.subject_id == Record.id))
        .where(
            Record.kind == KIND,
            Record.state.in_(["submitted", "amended"]),
            Record.submitted_at > now - WAITS_FOR,
            func.jsonb_typeof(Record.document["fix"]) == "object",
            Evidence.question_id == "photo_posting",
            Evidence.state == "verified",
            Record.document["photos"].contains(listed),
            ~_is_relative_listed(),
            ((act != "taken_down") & (Posting.state != "ended") & ~is_used)
            | ((act == "taken_down") & exists().where(*hung_before, PostingPlace.name == _place_name())),
        )
        .order_by(Record.id, Evidence.id)
        .limit(_BATCH)
    )
    return [(record, sha256, posting) for record, sha256, posting in rows]


def _place_name() -> object:
    return func.btrim(Record.document["answers"]["place_name"].astext)


def _is_relative_listed() -> ColumnElement[bool]:
    """A declared relative of a listed household proves no place of the list."""
    households = (
        select(CaseFile.household_id)
        .join(PostingEntry, PostingEntry.case_id == CaseFile.id)
        .where(PostingEntry.posting_id == Record.subject_id, PostingEntry.removed_at.is_(None))
        .correlate(Record)
    )
    name = select(Staff.name).where(Staff.id == Record.author_id).correlate(Record).scalar_subquery()
    return exists().where(RelativeOnStaff.household_id.in_(households), same_name(RelativeOnStaff.name, name))


async def _hang(session: AsyncSession, record: Record, posting: Posting, name: str, sha256: str) -> None:
    fix = record.document["fix"]
    row = insert(PostingPlace).values(
        id=new_id(),
        posting_id=posting.id,
        name=name,
        latitude=fix["latitude"],
        longitude=fix["longitude"],
        datum=fix["datum"],
        accuracy_m=fix.get("accuracyM"),
        captured_at=record.started_at,
        sha256=sha256,
        staff_id=record.author_id,
        record_id=record.id,
    )
    if await session.scalar(row.on_conflict_do_nothing().returning(PostingPlace.id)) is not None:
        facts = {"area_code": posting.area_code, "sha256": sha256}
        audit.record(session, None, Action.POSTING_HUNG_UP, "posting", posting.id, **facts)


async def _take_down(session: AsyncSession, record: Record, posting: Posting, name: str) -> None:
    taken = (
        update(PostingPlace)
        .where(
            PostingPlace.posting_id == posting.id,
            PostingPlace.name == name,
            PostingPlace.taken_down_at.is_(None),
            PostingPlace.captured_at < record.started_at,
        )
        .values(taken_down_at=record.started_at)
        .returning(PostingPlace.id)
    )
    if (await session.scalars(taken)).all():
        audit.record(session, None, Action.POSTING_TAKEN_DOWN, "posting", posting.id, area_code=posting.area_code)


async def _close_tasks(session: AsyncSession, posting: Posting) -> None:
    """The list hangs at as many places as it has to, or the last of them was taken down."""
    of_posting = PostingPlace.posting_id == posting.id
    if posting.state == "ended":
        is_done = not await session.scalar(select(exists().where(of_posting, PostingPlace.taken_down_at.is_(None))))
    else:
        places = await session.scalar(
            select(func.count(func.distinct(func.lower(PostingPlace.name)))).where(
                of_posting, PostingPlace.taken_down_at.is_(None)
            )
        )
        is_done = (places or 0) >= await load_required_places(session, posting)
    if is_done:
        await close_tasks_about(session, KIND, posting.id)
