"""`publish_change`: compare who should have a document with who has it, and write the difference to the feed."""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import FIELD_ROLES, Role
from server.core.clock import today as today_in_china
from server.models.aid import AidLine
from server.models.checklists import ChecklistTemplate
from server.models.evidence import Evidence
from server.models.feed import Feed
from server.models.households import Assignment, Caseload, Household
from server.models.people import Staff, StaffRole
from server.models.proposals import Proposal
from server.models.records import Record, Task
from server.models.review import SpotCheck
from server.models.visits import Attestation, Visit, VisitInvestigator

# The subject of tasks that are done home by home: whoever holds one of its homes has it.
HOME_BY_HOME = "aid_batch"


class Audience(NamedTuple):
    """Who should have which document of a collection."""

    # From document ids to a query of the pairs (document, staff) that should exist.
    pairs: Callable[[Collection[UUID]], Any]
    # The households to lock while comparing, where grants decide; None where the document names its readers.
    households: Callable[[Collection[UUID]], Select[UUID]] | None = None


def _holders_of_households(ids: Collection[UUID]) -> Any:
    return select(Caseload.household_id, Caseload.staff_id).where(
        Caseload.household_id.in_(ids), Caseload.revoked_at.is_(None)
    )


def _holders_of_assignments(ids: Collection[UUID]) -> Any:
    """The holders of the household, or the one of them who is to go; for a spot check its team alone: it is blind."""
    is_open = and_(Assignment.id.in_(ids), Assignment.state == "open")
    held = (
        select(Assignment.id, Caseload.staff_id)
        .join(Caseload, Caseload.household_id == Assignment.household_id)
        .where(
            is_open,
            Assignment.kind != "spot_check",
            Caseload.revoked_at.is_(None),
            Assignment.is_for_holder(),
        )
    )
    team = (
        select(Assignment.id, person)
        .join(SpotCheck, SpotCheck.assignment_id == Assignment.id)
        .where(is_open, person.is_not(None))
        for person in (SpotCheck.staff_id, SpotCheck.partner_id)
    )
    return union(held, *team)


def _everyone_in_the_field(ids: Collection[UUID]) -> Any:
    applies = or_(
        StaffRole.area_code.startswith(ChecklistTemplate.area_code),
        ChecklistTemplate.area_code.startswith(StaffRole.area_code),
    )
    return (
        select(ChecklistTemplate.id, StaffRole.staff_id)
        .distinct()
        .join(StaffRole, applies)
        .where(ChecklistTemplate.id.in_(ids), StaffRole.role.in_(FIELD_ROLES), StaffRole.revoked_at.is_(None))
    )


def works_today() -> ColumnElement[bool]:
    """Match roles whose last day is not over, of accounts in use."""
    is_current = or_(StaffRole.ends_on.is_(None), StaffRole.ends_on >= today_in_china())
    disabled: Any = select(Staff.id).where(Staff.disabled_at.is_not(None))
    return and_(StaffRole.revoked_at.is_(None), is_current, StaffRole.staff_id.not_in(disabled))


def _field_staff_of_tasks(ids: Collection[UUID]) -> Any:
    """Whom the task names, or whoever works in its village."""
    is_open = and_(Task.id.in_(ids), Task.state == "open")
    covers = Task.area_code.startswith(StaffRole.area_code)
    by_home = Task.subject_kind.is_not_distinct_from(HOME_BY_HOME)
    named = (
        select(Task.id, Task.assignee_id)
        .join(StaffRole, and_(covers, StaffRole.staff_id == Task.assignee_id))
        .where(is_open, StaffRole.role.in_(FIELD_ROLES), works_today())
    )
    others = (
        select(Task.id, StaffRole.staff_id)
        .join(StaffRole, covers)
        .where(is_open, ~by_home, Task.assignee_id.is_(None), StaffRole.role == Role.CASEWORKER, works_today())
    )
    holders = (
        select(Task.id, Caseload.staff_id)
        .join(AidLine, _is_line_of_task())
        .join(Caseload, and_(Caseload.household_id == AidLine.household_id, Caseload.revoked_at.is_(None)))
        .join(StaffRole, and_(covers, StaffRole.staff_id == Caseload.staff_id))
        .where(is_open, by_home, StaffRole.role.in_(FIELD_ROLES), works_today())
    )
    return union(named, others, holders)


def _is_line_of_task() -> ColumnElement[bool]:
    return and_(AidLine.batch_id == Task.subject_id, AidLine.area_code == Task.area_code)


def _homes_of_tasks(ids: Collection[UUID]) -> Select[UUID]:
    return (
        select(AidLine.household_id)
        .join(Task, _is_line_of_task())
        .where(Task.id.in_(ids), Task.subject_kind == HOME_BY_HOME)
    )


async def publish_tasks_of_homes(session: AsyncSession, household_ids: Collection[UUID]) -> None:
    """Send the tasks that list these homes to whoever holds them now, and take them from who does so no longer."""
    rows = (
        select(Task.id)
        .distinct()
        .join(AidLine, _is_line_of_task())
        .where(Task.state == "open", Task.subject_kind == HOME_BY_HOME, AidLine.household_id.in_(household_ids))
    )
    await publish_change(session, "tasks", list(await session.scalars(rows)))


def _investigators(ids: Collection[UUID]) -> Any:
    author = select(Visit.id, Visit.author_id).where(Visit.id.in_(ids))
    others = select(VisitInvestigator.visit_id, VisitInvestigator.staff_id).where(VisitInvestigator.visit_id.in_(ids))
    return union(author, others)


AUDIENCES: dict[str, Audience] = {
    "households": Audience(_holders_of_households, lambda ids: select(Household.id).where(Household.id.in_(ids))),
    "assignments": Audience(
        _holders_of_assignments, lambda ids: select(Assignment.household_id).where(Assignment.id.in_(ids))
    ),
    "checklists": Audience(_everyone_in_the_field),
    "visits": Audience(_investigators),
    "evidence": Audience(lambda ids: select(Evidence.id, Evidence.author_id).where(Evidence.id.in_(ids))),
    "proposals": Audience(
        lambda ids: select(Proposal.id, Proposal.author_id).where(Proposal.id.in_(ids), Proposal.guards.is_(None))
    ),
    "tasks": Audience(_field_staff_of_tasks, _homes_of_tasks),
    "records": Audience(lambda ids: select(Record.id, Record.author_id).where(Record.id.in_(ids))),
    "attestations": Audience(lambda ids: select(Attestation.id, Attestation.staff_id).where(Attestation.id.in_(ids))),
}


async def publish_change(
    session: AsyncSession, collection: str, ids: Collection[UUID], *, reason: str | None = None
) -> None:
    """Send these documents to every phone that should have them, and remove them from those that should not.

    A phone that lost a document and should have it again receives it in full. The households are locked first: a
    document and a concurrent grant would otherwise miss each other. `reason` accompanies removals.
    """
    if not ids:
        return
    audience = AUDIENCES[collection]
    if audience.households is not None:
        await session.execute(
            select(Household.id)
            .where(Household.id.in_(audience.households(ids)))
            .order_by(Household.id)
            .with_for_update(key_share=True, read=True)
        )
    pairs = audience.pairs(ids).subquery()
    doc_id, staff_id = (cast(pairs.c[0], Text), pairs.c[1])
    # In one order, so that two changes of the same documents wait for each other instead of deadlocking.
    await _upsert(session, select(staff_id, literal(collection), doc_id).order_by(doc_id, staff_id))
    if audience.households is not None:
        await session.execute(
            update(Feed)
            .where(
                Feed.collection == collection,
                Feed.doc_id.in_([str(document) for document in ids]),
                Feed.is_deleted.is_(False),
                ~exists().where(doc_id == Feed.doc_id, staff_id == Feed.staff_id),
            )
            .values(is_deleted=True, reason=reason, xid=func.pg_current_xact_id())
            .execution_options(synchronize_session=False)
        )


async def withdraw_change(session: AsyncSession, collection: str, ids: Collection[UUID]) -> None:
    """Remove documents that no longer exist from every phone that has them."""
    if not ids:
        return
    await session.execute(
        update(Feed)
        .where(
            Feed.collection == collection, Feed.doc_id.in_([str(doc_id) for doc_id in ids]), Feed.is_deleted.is_(False)
        )
        .values(is_deleted=True, reason=None, xid=func.pg_current_xact_id())
        .execution_options(synchronize_session=False)
    )


async def republish(session: AsyncSession, staff_id: UUID, collection: str, doc_ids: Collection[str]) -> None:
    """Send a person's phones once more what the feed says of these documents."""
    if not doc_ids:
        return
    await session.execute(
        update(Feed)
        .where(Feed.staff_id == staff_id, Feed.collection == collection, Feed.doc_id.in_(doc_ids))
        .values(xid=func.pg_current_xact_id())
        .execution_options(synchronize_session=False)
    )


async def publish_to(session: AsyncSession, staff_id: UUID, collection: str, doc_ids: Collection[str]) -> None:
    """Send documents to one person alone, such as quarantined rows."""
    for doc_id in doc_ids:
        await _upsert(session, select(literal(staff_id), literal(collection), literal(doc_id)))


async def _upsert(session: AsyncSession, rows: Any) -> None:
    statement = insert(Feed).from_select(["staff_id", "collection", "doc_id"], rows, include_defaults=False)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["staff_id", "collection", "doc_id"],
            set_={"xid": func.pg_current_xact_id(), "is_deleted": False, "reason": null()},
        )
    )


def feed_cte(pairs: str) -> str:
    """Return the SQL of a CTE `feed_rows` that sends documents to people inside another statement.

    `pairs` selects staff_id, collection and doc_id, ordered by doc_id and staff_id where it may select several.
    """
    return f"""feed_rows AS (
    INSERT INTO feed (staff_id, collection, doc_id) {pairs}
    ON CONFLICT (staff_id, collection, doc_id)
    DO UPDATE SET xid = pg_current_xact_id(), is_deleted = false, reason = NULL
)"""
