"""The collections that phones replicate. Adding one is one line in COLLECTIONS (and its audience in
`server/models/feed.py`): what a phone holds of it, how to load documents by id, and, if phones may write it, the
document that they send and how to apply it. The routes and their schemas follow (`field_api/sync/routes.py`).
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, selectinload

from field_api.sync.served import (
    ServedAssignment,
    ServedAttestation,
    ServedChecklist,
    ServedEvidence,
    ServedHousehold,
    ServedProposal,
    ServedRecord,
    ServedTask,
    ServedVisit,
)
from server.core.access import Caller, readable
from server.core.services import Services
from server.households import proposal_submission
from server.models.areas import Area
from server.models.checklists import ChecklistTemplate
from server.models.households import Assignment, Household
from server.models.people import Staff
from server.models.workload import DayPlanStop
from server.photos import expected
from server.records import submission as record_submission
from server.records.tasks import load_tasks
from server.sync_feed.documents import (
    AssignmentDocument,
    AttestationDocument,
    ChecklistDocument,
    Document,
    EvidenceDocument,
    HouseholdDocument,
    MemberLine,
    ProposalDocument,
    RecordDocument,
    VisitDocument,
)
from server.sync_feed.verdicts import Incoming, Verdict
from server.visits import attestations, submission
from server.visits.last_answers import load_last_answers

Loader = Callable[[AsyncSession, Caller, Sequence[UUID]], Awaitable[dict[str, Any]]]
Applier = Callable[[AsyncSession, Services, Caller, Sequence[Incoming[Any]]], Awaitable[list[Verdict]]]


class Collection(NamedTuple):
    """`version` is the schema served; phones with another are asked to update. `served` describes a pulled document."""

    version: int
    served: type[Struct]
    load: Loader
    document: type[Document] | None = None
    apply: Applier | None = None


async def load_households(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> dict[str, Any]:
    rows = await session.execute(
        readable(Household, caller)
        .add_columns(Area.name)
        .join(Area, Area.code == Household.area_code)
        .where(Household.id.in_(ids))
        .options(selectinload(Household.members))
    )
    return {str(row.id): _household(row, area_name) for row, area_name in rows}


def _household(household: Household, area_name: str) -> HouseholdDocument:
    return HouseholdDocument(
        id=household.id,
        number=household.number,
        area_code=household.area_code,
        area_name=area_name,
        group=household.group_name,
        head_name=household.head_name,
        address=household.address,
        phone_mask=household.phone_mask,
        latitude=household.latitude,
        longitude=household.longitude,
        datum=household.datum,
        class_=household.class_,
        monthly_amount_fen=household.monthly_amount_fen,
        members=[
            MemberLine(**{name: getattr(member, name) for name in MemberLine.__struct_fields__})
            for member in household.members
        ],
    )


async def load_assignments(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> dict[str, Any]:
    partner = aliased(Staff)
    result = await session.execute(
        readable(Assignment, caller)
        .add_columns(partner.name, DayPlanStop.day, DayPlanStop.position)
        .outerjoin(partner, partner.id == Assignment.partner_id)
        .outerjoin(DayPlanStop, (DayPlanStop.assignment_id == Assignment.id) & (DayPlanStop.staff_id == caller.id))
        .where(Assignment.id.in_(ids))
    )
    rows = result.all()
    last_answers = await load_last_answers(session, [row for row, *_ in rows])
    return {
        str(row.id): AssignmentDocument(
            id=row.id,
            household_id=row.household_id,
            kind=row.kind,
            due_on=row.due_on,
            checklist_code=row.checklist_code,
            checklist_version=row.checklist_version,
            partner_id=row.partner_id,
            partner_name=partner_name,
            planned_on=day,
            plan_position=position,
            note=row.note,
            last_answers=last_answers.get(row.id),
        )
        for row, partner_name, day, position in rows
    }


async def load_checklists(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> dict[str, Any]:
    # A published checklist holds nothing personal: whoever the feed names may have it.
    del caller
    rows = await session.scalars(select(ChecklistTemplate).where(ChecklistTemplate.id.in_(ids)))
    return {
        str(row.id): ChecklistDocument(id=row.id, code=row.code, version=row.version, kind=row.kind, body=row.body)
        for row in rows
    }


COLLECTIONS: dict[str, Collection] = {
    "assignments": Collection(1, ServedAssignment, load_assignments),
    "households": Collection(1, ServedHousehold, load_households),
    "checklists": Collection(1, ServedChecklist, load_checklists),
    "visits": Collection(1, ServedVisit, submission.load_visits, VisitDocument, submission.apply_visits),
    "evidence": Collection(
        1, ServedEvidence, expected.load_expected_photos, EvidenceDocument, expected.apply_expected_photos
    ),
    "proposals": Collection(
        1, ServedProposal, proposal_submission.load_proposals, ProposalDocument, proposal_submission.apply_proposals
    ),
    "tasks": Collection(1, ServedTask, load_tasks),
    "records": Collection(
        1, ServedRecord, record_submission.load_records, RecordDocument, record_submission.apply_records
    ),
    "attestations": Collection(
        1, ServedAttestation, attestations.load_attestations, AttestationDocument, attestations.apply_attestations
    ),
}
