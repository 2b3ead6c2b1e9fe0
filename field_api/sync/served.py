"""What a pull sends down, for the schema: the documents of `server/sync_feed/documents.py` with the server's part.

Documents that a phone wrote are given back as they were sent, and are not read into these Structs for that. The tests
hold every pulled document to them (`tests/contract.py`).
"""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType, field

from server.checklists.template import Template
from server.core.errors import ProblemBody
from server.core.http import ResponseBody
from server.sync_feed.documents import (
    AssignmentDocument,
    AttestationDocument,
    AwareTime,
    ChecklistDocument,
    EvidenceDocument,
    HouseholdDocument,
    Part,
    ProposalDocument,
    RecordDocument,
    TaskDocument,
    VisitDocument,
)


class Revision(Part):
    """`rev` changes whenever the server sends the document anew; the phone's digest counts it."""

    rev: str | UnsetType = UNSET


class QuestionedAnswer(ResponseBody):
    """What a reviewer asks about: a question of the checklist, or one photo of it."""

    question_id: str
    reason: str
    evidence_id: UUID | None = None


class VisitDecision(ResponseBody):
    outcome: Literal["accepted", "returned", "spot_check", "escalated"]
    reason: str
    questioned: list[QuestionedAnswer]
    decided_at: AwareTime


class VisitStanding(Revision, kw_only=True):
    """What the server holds of a visit. `receipt` is its signed statement (JWS) that it holds these very contents."""

    state: str
    author_id: UUID
    received_at: AwareTime
    submitted_at: AwareTime | None
    complete: bool
    attested_by: list[UUID]
    receipt: str | None
    late_after_reassignment: bool
    version: int
    decision: VisitDecision | UnsetType = UNSET
    # An officer entered it at the desk from a paper form, under the name of who led the visit.
    from_paper: bool | UnsetType = UNSET
    # Why it was voided: made at the wrong home or by mistake. Then its state is `voided`, and nothing of it counts.
    void_reason: str | UnsetType = UNSET


class EvidenceStanding(Revision, kw_only=True):
    """What became of a photo: announced, received, verified, or refused for the reason of `refusedCode`."""

    state: str
    refused_code: str | None
    uploaded_at: AwareTime | None


class AttestationStanding(Revision, kw_only=True):
    state: Literal["attested"]
    received_at: AwareTime


class ProposalStanding(Revision, kw_only=True):
    state: Literal["proposed", "accepted", "rejected", "withdrawn"]
    reason: str | None
    received_at: AwareTime
    decided_at: AwareTime | None


class RecordStanding(Revision, kw_only=True):
    """What the server holds of a record. `receipt` is its signed statement (JWS) that it holds these very contents."""

    state: str
    received_at: AwareTime
    submitted_at: AwareTime | None
    receipt: str | None
    version: int
    # Of a record that a ledger takes: whether it did. A person at the desk looks at `repeated`, `late` and `contrary`.
    outcome: Literal["entered", "repeated", "late", "contrary", "overtaken", "unreadable"] | UnsetType = UNSET


class ServedVisit(VisitDocument, kw_only=True):
    """A visit as its author's phone wrote it, with the server's part."""

    server: VisitStanding


class ServedEvidence(EvidenceDocument, kw_only=True):
    """A photo as it was announced, with the server's part."""

    server: EvidenceStanding


class ServedAttestation(AttestationDocument, kw_only=True):
    """An attestation as it was given, with the server's part."""

    server: AttestationStanding


class ServedProposal(ProposalDocument, kw_only=True):
    """A proposal as it was made, with the server's part."""

    server: ProposalStanding


class ServedHousehold(HouseholdDocument, kw_only=True):
    """A household as its caseworker carries it: numbers masked, nothing that the visit does not need."""

    server: Revision


class ServedAssignment(AssignmentDocument, kw_only=True):
    """`plannedOn` and `planPosition` are this caseworker's own day plan; null: in none. The due day is what binds."""

    server: Revision


class ServedChecklist(ChecklistDocument, kw_only=True):
    """A published checklist. A visit stays on the version it began with."""

    body: Template  # type: ignore[assignment]
    server: Revision


class ServedTask(TaskDocument, kw_only=True):
    """Work that the desk gives to a phone."""

    server: Revision


class ServedRecord(RecordDocument, kw_only=True):
    """A record as its author's phone wrote it, with the server's part."""

    server: RecordStanding


class Tombstone(Part):
    """A document that this person no longer has, with the reason where the phone may show one."""

    id: str
    deleted: Annotated[bool, Meta(extra_json_schema={"const": True})] = field(name="_deleted")
    reason: str | UnsetType = UNSET


class BothLanguages(ResponseBody):
    zh: ProblemBody
    en: ProblemBody


class QuarantineStanding(Revision, kw_only=True):
    state: Literal["quarantined"]
    problem: BothLanguages | None


class QuarantinedRow(Part):
    """A pushed row that could not be applied: as the phone sent it, whatever it holds, and why."""

    id: str
    deleted: Annotated[bool, Meta(extra_json_schema={"const": False})] = field(name="_deleted")
    server: QuarantineStanding
