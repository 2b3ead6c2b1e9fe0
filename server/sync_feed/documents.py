"""The documents that travel between a phone and the server.

A document is what the phone says; the part under `server` is what the server says of it, ignored on the
way up. `_deleted` is RxDB's. Times are RFC 3339 with offset; ids are UUIDv7 made by the phone.

A field that this server does not know is kept with the document and given back, never refused: a phone may be newer
than the server. It sends a new field only to a server that lists it in `GET /field/v1/sync`, since an older one would
keep the field without acting on it.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from server.core.device_times import ReportedTime
from server.core.http import HexSha256, LongText, ResponseBody, ShortText
from server.core.location import ReportedFix

VisitKind = Literal["intake", "review", "neighbour", "complaint", "spot_check", "care", "housing"]
RecordKind = Literal["publicity", "meeting", "posting", "handout", "application"]
AwareTime = ReportedTime
VillageCode = Annotated[str, Meta(pattern="^[0-9]{12}$")]
# What a task, a record or a photo belongs to, such as `household` or `posting`; open for what joins later.
SubjectKind = Annotated[str, Meta(pattern="^[a-z][a-z_]{0,39}$")]


class Part(Struct, rename="camel", kw_only=True):
    """A document or a part of one. Unlike a request's body it may hold fields that this server does not know."""


class Document(Part):
    id: UUID
    deleted: bool = field(default=False, name="_deleted")


class PersonPresent(Part):
    """A family member who was there; by member where the household lists them."""

    name: ShortText
    member_id: UUID | None = None


class PhotoListed(Part):
    """One photo of the sealed manifest: the visit is not whole until these very bytes are in."""

    id: UUID
    sha256: HexSha256


class UnchangedRow(Part):
    """A member's row that was taken over from last time by one tap."""

    question_id: ShortText
    member_id: UUID


class Amendment(Part):
    """Why a submitted visit is sent once more; who does is its author."""

    reason: Annotated[str, Meta(min_length=2, max_length=4000)]
    amended_at: AwareTime


class VisitDocument(Document, kw_only=True):
    """A home visit, as its author's phone records it.

    `answers` are keyed by the ids of the checklist's questions. Ids in `photos` are those of `evidence` documents. A
    draft may lack what a submission needs; once it is submitted, only an `amendment` changes it.
    """

    household_id: UUID
    kind: VisitKind
    checklist_code: ShortText
    checklist_version: Annotated[int, Meta(ge=1)]
    state: Literal["draft", "submitted"]
    assignment_id: UUID | None = None
    # Phone and video only in an emergency, with its reason (law: 审核确认办法).
    mode: Literal["in_person", "phone", "video"] = "in_person"
    mode_reason: LongText = ""
    started_at: AwareTime | None = None
    ended_at: AwareTime | None = None
    start_fix: ReportedFix | None = None
    end_fix: ReportedFix | None = None
    investigator_ids: Annotated[list[UUID], Meta(max_length=6)] = []
    family_present: Annotated[list[PersonPresent], Meta(max_length=30)] = []
    # Why a visit without an assignment was made.
    unordered_reason: LongText = ""
    # Why a fix is missing of a visit at the home: no signal, a broken receiver. It is a finding.
    no_fix_reason: LongText = ""
    # Of a visit whose assignment carried last time's answers; corrected rows are no longer in it.
    unchanged: Annotated[list[UnchangedRow], Meta(max_length=200)] = []
    answers: dict[str, Any] = {}
    photos: Annotated[list[PhotoListed], Meta(max_length=100)] = []
    # Of a visit submitted before: without it such a visit is frozen.
    amendment: Amendment | None = None


class EvidenceDocument(Document, kw_only=True):
    """A photo that is announced: its hash, its size, and where and when it was taken. The bytes follow by upload.

    It belongs to a visit (`visitId`), or to what `subjectKind` and `subjectId` name (`record`); never to both.
    """

    visit_id: UUID | None = None
    subject_kind: SubjectKind | None = None
    subject_id: UUID | None = None
    question_id: ShortText
    sha256: HexSha256
    size_bytes: Annotated[int, Meta(ge=0)]
    media_type: ShortText = "image/jpeg"
    captured_at: AwareTime | None = None
    fix: ReportedFix | None = None
    note: LongText = ""
    # Names the API that gave the picture: `browser`, `wx.chooseImage`.
    source: Annotated[str, Meta(max_length=40)] | None = None


class Participant(Part):
    """Somebody who took part; by household and member where the phone carries them."""

    name: ShortText
    household_id: UUID | None = None
    member_id: UUID | None = None


class RecordDocument(Document, kw_only=True):
    """Work beside the home visits, as its author's phone records it: a meeting, a posting, an activity.

    `answers` are keyed by the ids of the checklist's questions. Ids in `photos` are those of `evidence` documents. A
    draft may lack what a submission needs; once it is submitted, only an `amendment` changes it.
    """

    kind: RecordKind
    checklist_code: ShortText
    checklist_version: Annotated[int, Meta(ge=1)]
    state: Literal["draft", "submitted"]
    # The village in which it was done.
    area_code: VillageCode
    task_id: UUID | None = None
    subject_kind: SubjectKind | None = None
    subject_id: UUID | None = None
    started_at: AwareTime | None = None
    ended_at: AwareTime | None = None
    fix: ReportedFix | None = None
    # Why the fix is missing: no signal, a broken receiver.
    no_fix_reason: LongText = ""
    people: Annotated[list[Participant], Meta(max_length=300)] = []
    answers: dict[str, Any] = {}
    photos: Annotated[list[PhotoListed], Meta(max_length=100)] = []
    # Of a record submitted before: without it such a record is frozen.
    amendment: Amendment | None = None


class AttestationDocument(Document, kw_only=True):
    """An investigator confirms, from their own sign-in, that the visit took place as recorded."""

    visit_id: UUID
    attested_at: AwareTime
    fix: ReportedFix | None = None
    no_fix_reason: LongText = ""


class ProposedPart(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A part of a proposal, which holds known fields alone."""


class ProposedPlace(ProposedPart):
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    datum: Literal["wgs84", "gcj02", "bd09"]


class ProposedMember(ProposedPart):
    """What is otherwise about a member the household lists. Names and numbers need papers: those are the desk's."""

    member_id: UUID
    health: ShortText | None = None
    labour_ability: ShortText | None = None
    school: ShortText | None = None
    work: ShortText | None = None


class ProposedChanges(ProposedPart):
    """Only what is to change; null leaves a thing as it is.

    Unlike the rest of a document it holds known fields alone: an officer accepts what is shown, and nothing beside it.
    """

    address: ShortText | None = None
    place: ProposedPlace | None = None
    members: Annotated[list[ProposedMember], Meta(max_length=30)] = []


class ProposalDocument(Document, kw_only=True):
    """What a caseworker would change about a household. An officer accepts or rejects it."""

    household_id: UUID
    proposed_at: AwareTime
    changes: ProposedChanges
    visit_id: UUID | None = None
    note: LongText = ""


class MemberLine(ResponseBody):
    """`pinyin`: how the name is spelled, for searches without a network; readings and initials, a space between."""

    id: UUID
    name: str
    relation: str
    sex: str
    born_on: date
    id_number_mask: str | None
    health: str | None
    labour_ability: str | None
    school: str | None
    work: str | None
    pinyin: str


class HouseholdDocument(ResponseBody):
    """A household as its caseworker carries it: numbers masked, nothing that the visit does not need."""

    id: UUID
    number: str
    area_code: str
    area_name: str
    head_name: str
    address: str
    phone_mask: str | None
    latitude: float | None
    longitude: float | None
    datum: str
    class_: str | None = field(name="class")
    monthly_amount_fen: int | None
    members: list[MemberLine]
    # Of the village.
    group: str | None = None
    deleted: bool = field(default=False, name="_deleted")


class LastAnswers(ResponseBody):
    """Of the last accepted intake or review, by question: of the questions alone that this checklist asks too."""

    visited_on: date
    answers: dict[str, Any]


class AssignmentDocument(ResponseBody):
    """`plannedOn` and `planPosition` are this caseworker's own day plan; null: in none. The due day is what binds."""

    id: UUID
    household_id: UUID
    kind: VisitKind
    due_on: date
    checklist_code: str
    checklist_version: int
    partner_id: UUID | None
    partner_name: str | None
    planned_on: date | None = None
    plan_position: int | None = None
    # What the desk wrote with its order.
    note: str = ""
    # Of intakes and reviews alone.
    last_answers: LastAnswers | None = None
    deleted: bool = field(default=False, name="_deleted")


class TaskHome(ResponseBody):
    """A home of a task that is done home by home. `id` is the subject of its record; the quantity is in thousandths.

    `state` is what the office has: `waiting`, `given`, `not_given`, or `closed` where nothing is to be done any more.
    """

    id: UUID
    subject_kind: str
    household_id: UUID
    head_name: str
    member_name: str | None
    milli: int | None
    fen: int | None
    unit_zh: str
    unit_en: str
    state: Literal["waiting", "given", "not_given", "closed"]
    recorded_by_name: str | None
    recorded_at: datetime | None


class TaskDocument(ResponseBody):
    """Work that the desk gives to a phone. `note` is the office's own words.

    `homes`: of work that is done home by home, those alone that this person holds.
    """

    id: UUID
    kind: RecordKind
    area_code: str
    area_name: str
    subject_kind: str | None
    subject_id: UUID | None
    due_on: date
    note: str
    homes: list[TaskHome] = []
    deleted: bool = field(default=False, name="_deleted")


class ChecklistDocument(ResponseBody):
    id: UUID
    code: str
    version: int
    kind: str
    body: dict[str, Any]
    deleted: bool = field(default=False, name="_deleted")


def client_part(raw: dict[str, Any]) -> dict[str, Any]:
    """What the phone itself says: without `server`, without a client library's own bookkeeping.

    `_deleted` is always told, so that a client that leaves it out hashes as one that says false.
    """
    said = {key: value for key, value in raw.items() if key != "server" and not key.startswith("_")}
    return {**said, "_deleted": bool(raw.get("_deleted", False))}
