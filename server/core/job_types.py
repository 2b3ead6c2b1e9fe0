"""Every background job: its name in the queue and its arguments. The room that does the work registers the handler.

A queued job outlives the version that wrote it. A task name never changes, nor does the name or the meaning of an
argument; a new argument has a default. Declared here, at the bottom, so that a room can defer a job of any other.
"""

from datetime import date
from typing import Any
from uuid import UUID

from server.core.jobs import Job

# Aid


class EnterHandouts(Job, frozen=True):
    """Enter into the ledger what phones recorded and nobody has entered yet."""

    task_name = "aid.enter_handouts"


# Audit


class SealAuditLog(Job, frozen=True):
    task_name = "audit.seal"


class PurgeReadTrail(Job, frozen=True):
    task_name = "audit.purge_reads"


class LogAuditHead(Job, frozen=True):
    task_name = "audit.head"


# Rate limits


class PurgeAttempts(Job, frozen=True):
    task_name = "attempts.purge"


# Cases


class RunDailyCaseWork(Job, frozen=True):
    task_name = "cases.keep"


class MoveCaseAfterDecision(Job, frozen=True):
    """The decision on a visit can no longer be undone."""

    task_name = "cases.visit_decided"
    decision_id: UUID


class MoveCaseAfterPosting(Job, frozen=True):
    """The posting ended without an open objection to the case."""

    task_name = "cases.posting_ended"
    case_id: UUID
    posting_id: UUID


class MoveCaseAfterObjection(Job, frozen=True):
    task_name = "cases.objection_made"
    case_id: UUID
    objection_id: UUID


class MoveCaseAfterAnswer(Job, frozen=True):
    """An objection was answered. `ended_posting_id` is set if the posting had ended by then."""

    task_name = "cases.objection_answered"
    case_id: UUID
    objection_id: UUID
    actor_id: UUID
    ended_posting_id: UUID | None = None


class OrderComplaintVisit(Job, frozen=True):
    task_name = "cases.complained"
    household_id: UUID


class AskForProofs(Job, frozen=True):
    task_name = "cases.ask_for_proofs"


class FindGraceEnds(Job, frozen=True):
    task_name = "cases.find_grace_ends"


class PreviewRaise(Job, frozen=True):
    """Write what a raise of the standard means for each home."""

    task_name = "cases.preview_raise"
    raise_id: UUID


class ApplyRaise(Job, frozen=True):
    """Write the decisions of a confirmed raise; taken up again where it stopped."""

    task_name = "cases.apply_raise"
    raise_id: UUID


class UndoRaise(Job, frozen=True):
    task_name = "cases.undo_raise"
    raise_id: UUID


# Complaints


class RemindOfComplaints(Job, frozen=True):
    task_name = "complaints.remind"


# Notifications


class Notify(Job, frozen=True):
    """Notify staff, the holders of an assignment, a household's residents, or single residents about their own account:
    once per recipient, kind and thing.

    `facts` hold what the text of the kind needs and what a client opens: ids, counts, days.
    """

    task_name = "notifications.tell"
    kind: str
    thing: str
    area_code: str
    staff_ids: list[UUID] = []
    assignment_id: UUID | None = None
    household_id: UUID | None = None
    facts: dict[str, Any] = {}
    resident_ids: list[UUID] = []


class CheckText(Job, frozen=True):
    """Ask what became of a text message. `tries` is how often that was done before."""

    task_name = "notifications.check_text"
    delivery_id: UUID
    tries: int = 0


class SendSignInCode(Job, frozen=True):
    """Send a resident's sign-in code by text message."""

    task_name = "residents.send_sign_in_code"
    code_id: UUID


class SendMessage(Job, frozen=True):
    """Send the WeChat message of a notice."""

    task_name = "notifications.send"
    notice_id: UUID


class SendNoticeText(Job, frozen=True):
    """Send an announcement to its household as a text message, unless another way has reached somebody."""

    task_name = "notifications.send_text"
    announcement_id: UUID


# Photos and uploads


class ProcessVisitPhotos(Job, frozen=True):
    """Also deferred in SQL, by server.photos.statements."""

    task_name = "evidence.examine_visit"
    visit_id: UUID


class ProcessPhoto(Job, frozen=True):
    task_name = "evidence.examine"
    sha256: str


class AdoptPhotos(Job, frozen=True):
    """Announced after a restore: the store may hold them already."""

    task_name = "evidence.adopt"
    photo_ids: list[UUID]


class ClearSpool(Job, frozen=True):
    """Also deferred in SQL, by server.photos.statements."""

    task_name = "uploads.clear"
    upload_id: str


class SweepUploads(Job, frozen=True):
    task_name = "uploads.sweep"


# Postings


class KeyReplyCodes(Job, frozen=True):
    task_name = "complaints.key_reply_codes"


class SealObjections(Job, frozen=True):
    task_name = "postings.seal_objections"


class HangPostings(Job, frozen=True):
    task_name = "postings.hang"


class EndPostings(Job, frozen=True):
    task_name = "postings.end"


# Review


class CheckVisit(Job, frozen=True):
    """Check a complete visit, by all checks or by those with these codes, and recheck the visits related to it."""

    task_name = "review.examine"
    visit_id: UUID
    codes: list[str] | None = None


class RecheckVisit(Job, frozen=True):
    """Check a visit again, by all checks or by those with these codes, and no other visit."""

    task_name = "review.look_again"
    visit_id: UUID
    codes: list[str] | None = None


class RecheckHousehold(Job, frozen=True):
    task_name = "review.home_changed"
    household_id: UUID


class RecheckAfterSetting(Job, frozen=True):
    """Recheck the visits of an area after a setting changed; of one batch, those with an id above `beyond`."""

    task_name = "review.rule_changed"
    key: str
    area_code: str
    effective_from: date
    beyond: UUID | None = None


class NotifyReturned(Job, frozen=True):
    task_name = "review.tell_returned"
    decision_id: UUID


class FoldTallies(Job, frozen=True):
    task_name = "review.fold_counts"


# Spot checks


class CompareVisits(Job, frozen=True):
    """`visit_id` is the visit of kind `spot_check`."""

    task_name = "spotchecks.compare"
    visit_id: UUID


# Visits


class CompleteWaitingVisits(Job, frozen=True):
    task_name = "field.settle_waiting"


# Workload


class ScheduleCounties(Job, frozen=True):
    task_name = "workload.schedule"


class ScheduleCounty(Job, frozen=True):
    task_name = "workload.schedule_county"
    county_code: str


class RemindOfVisits(Job, frozen=True):
    task_name = "workload.remind"


class FulfilOrders(Job, frozen=True):
    """A checklist of this kind was published for the area."""

    task_name = "workload.place_blocked"
    kind: str
    area_code: str


class RecomputeDeadlines(Job, frozen=True):
    """The calendar of working days has changed."""

    task_name = "cases.recompute_deadlines"


# Imports


class ApplyImport(Job, frozen=True):
    """A confirmed import; applied in steps, and taken up again where it stopped."""

    task_name = "imports.apply"
    batch_id: UUID


# Directory


class ApplyAreaChanges(Job, frozen=True):
    """Move the villages whose day has come."""

    task_name = "directory.apply_area_changes"


# Households


class FindDuplicates(Job, frozen=True):
    """Search the register for households that may be the same."""

    task_name = "households.find_duplicates"


# Rosters


class DraftRoster(Job, frozen=True):
    """Write the lines of a roster and look for its findings; again after a failure or a new draft."""

    task_name = "rosters.draft"
    roster_id: UUID


class AnnouncePayday(Job, frozen=True):
    """Tell the homes of a sent roster from when their money is there; again, nobody is told twice."""

    task_name = "rosters.payday"
    roster_id: UUID


# Identity


class PurgeRefreshTokens(Job, frozen=True):
    task_name = "identity.purge"


class TurnDeputies(Job, frozen=True):
    """Start and end deputyships on their days, and follow what the person on leave holds."""

    task_name = "identity.turn_deputies"


class EndRoles(Job, frozen=True):
    """End the roles of deputies whose last day is over."""

    task_name = "identity.end_roles"


# Packages


class WriteAreaExport(Job, frozen=True):
    """Write the package of a released export into the store; again after a failure."""

    task_name = "packages.write"
    export_id: UUID


class RemoveAreaExports(Job, frozen=True):
    """Remove packages that have lain in the store for as long as the setting says."""

    task_name = "packages.remove"
