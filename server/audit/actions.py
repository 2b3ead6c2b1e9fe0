"""Every action that the audit log records. The values stand in rows and never change."""

from enum import StrEnum


class Action(StrEnum):
    AID_BATCH_CANCELLED = "aid.batch_cancelled"
    AID_BATCH_CLOSED = "aid.batch_closed"
    AID_BATCH_MADE = "aid.batch_made"
    AID_BATCH_PREPARED = "aid.batch_prepared"
    AID_BATCH_RELEASED = "aid.batch_released"
    AID_BATCH_SENT_BACK = "aid.batch_sent_back"
    AID_FINDINGS_JUDGED = "aid.findings_judged"
    AID_HANDED_OUT = "aid.handed_out"
    AID_LINE_ADDED = "aid.line_added"
    AID_LINE_LEFT_OUT = "aid.line_left_out"
    AID_SHEET_PRINTED = "aid.sheet_printed"
    AID_TAKEN_BACK = "aid.taken_back"

    AREA_RENAMED = "area.renamed"
    AREA_CHANGE_PROPOSED = "area.change_proposed"
    AREA_CHANGE_ACCEPTED = "area.change_accepted"
    AREA_CHANGE_REJECTED = "area.change_rejected"
    AREA_CHANGED = "area.changed"
    AREAS_IMPORTED = "areas.imported"

    AUDIT_READ = "audit.read"

    CASE_CALCULATED = "case.calculated"
    CASE_DEADLINE_RECOMPUTED = "case.deadline_recomputed"
    CASE_DIFFERENCE_APPROVED = "case.difference_approved"
    CASE_DIFFERENCE_EXPLAINED = "case.difference_explained"
    CASE_FOUND_ADOPTED = "case.found_adopted"
    CASE_FOUND_DECLINED = "case.found_declined"
    CASE_FOUND_DRAFTED = "case.found_drafted"
    CASE_FOUND_WITHDRAWN = "case.found_withdrawn"
    CASE_LOOK_UP_SLIP_PRINTED = "case.look_up_slip_printed"
    CASE_MOVED = "case.moved"
    CASE_NOTICE_PRINTED = "case.notice_printed"
    CASE_PAPER_PHOTO_ANNOUNCED = "case.paper_photo_announced"
    CASE_PAPER_PHOTO_RETURNED = "case.paper_photo_returned"
    CASE_PAPER_RECEIVED = "case.paper_received"

    CASELOAD_GRANTED = "caseload.granted"
    CASELOAD_REVOKED = "caseload.revoked"

    CERTIFICATE_ISSUED = "certificate.issued"
    CERTIFICATE_PRINTED = "certificate.printed"
    CHANGE_DECIDED = "change.decided"

    CHECKLIST_PUBLISHED = "checklist.published"

    COMPLAINT_DECIDED = "complaint.decided"
    COMPLAINT_DECLINED = "complaint.declined"
    COMPLAINT_EXTENDED = "complaint.extended"
    COMPLAINT_HANDED_OVER = "complaint.handed_over"
    COMPLAINT_READ = "complaint.read"
    COMPLAINT_RECEIVED = "complaint.received"
    COMPLAINT_REGISTERED = "complaint.registered"

    CROSS_CHECK_ANSWERED = "cross_check.answered"
    CROSS_CHECK_EXPORTED = "cross_check.exported"
    CROSS_CHECK_MADE = "cross_check.made"
    CROSS_CHECK_OBJECTED = "cross_check.objected"
    CROSS_CHECK_SETTLED = "cross_check.settled"

    DATA_ANSWERED = "data.answered"
    DATA_COPIED = "data.copied"
    DATA_ERASED = "data.erased"
    DATA_REPLY_PRINTED = "data.reply_printed"
    DATA_REQUESTED = "data.requested"

    DATABASE_RESTORED = "database.restored"

    DAY_PLAN_ORDERED = "day_plan.ordered"

    DEMO_LOADED = "demo.loaded"

    DEVICE_ADOPTED = "device.adopted"
    DEVICE_ENDED = "device.ended"
    DEVICE_SIGNED_IN = "device.signed_in"

    DISCLOSURE_OPENED = "disclosure.opened"
    DISCLOSURE_PRINTED = "disclosure.printed"

    EVIDENCE_ANNOUNCED = "evidence.announced"
    EVIDENCE_MISMATCHED = "evidence.mismatched"
    EVIDENCE_PARKED = "evidence.parked"
    EVIDENCE_RECEIVED = "evidence.received"
    EVIDENCE_REFUSED = "evidence.refused"
    EVIDENCE_TRIED_AGAIN = "evidence.tried_again"
    EVIDENCE_VERIFIED = "evidence.verified"

    GRACE_AMOUNT_KEPT = "grace.amount_kept"
    GRACE_DEFERRED = "grace.deferred"

    HEARING_CALLED = "hearing.called"
    HEARING_CONFLICT = "hearing.conflict"
    HEARING_COUNTED = "hearing.counted"

    DUPLICATE_JUDGED = "duplicate.judged"
    HOUSEHOLD_CHANGED = "household.changed"
    HOUSEHOLD_CREATED = "household.created"
    HOUSEHOLD_ID_NUMBER_CHECKED = "household.id_number_checked"
    HOUSEHOLD_OPENED = "household.opened"
    HOUSEHOLD_REVEALED = "household.revealed"

    IMPORT_PREVIEWED = "import.previewed"
    IMPORT_CONFIRMED = "import.confirmed"
    IMPORT_APPLIED = "import.applied"
    IMPORT_UNDONE = "import.undone"

    JOB_DISMISSED = "job.dismissed"
    JOB_TRIED_AGAIN = "job.tried_again"

    LIST_EXPORTED = "list.exported"

    MESSAGE_CONSENTED = "message.consented"
    MESSAGE_NO_CONSENT = "message.no_consent"
    MESSAGE_NONE = "message.none"
    MESSAGE_PARKED = "message.parked"
    MESSAGE_REFUSED = "message.refused"
    MESSAGE_SENT = "message.sent"
    MESSAGE_STOPPED = "message.stopped"
    MESSAGE_TESTED = "message.tested"
    MESSAGE_TEXT = "message.text"
    MESSAGE_UNSURE = "message.unsure"
    MESSAGE_WAITING = "message.waiting"

    NOTICE_MADE = "notice.made"
    NOTICE_READ = "notice.read"

    OBJECTION_ANSWERED = "objection.answered"
    OBJECTION_CONTACT_REVEALED = "objection.contact_revealed"
    OBJECTION_MADE = "objection.made"

    ORDER_RECALLED = "order.recalled"

    PHONE_KEY_KEPT = "phone.key_kept"
    PHONE_KEY_RELEASED = "phone.key_released"

    PHOTO_ERASED = "photo.erased"
    PHOTO_LINKED = "photo.linked"

    POSTING_ENDED = "posting.ended"
    POSTING_HUNG_UP = "posting.hung_up"
    POSTING_MADE = "posting.made"
    POSTING_PRINTED = "posting.printed"
    POSTING_STARTED = "posting.started"
    POSTING_TAKEN_DOWN = "posting.taken_down"

    PRIVACY_AGREED = "privacy.agreed"

    PROBLEM_ANSWERED = "problem.answered"
    PROBLEM_REPORTED = "problem.reported"

    PROOF_CLOSED = "proof.closed"
    PROOF_RECEIVED = "proof.received"

    PROPOSAL_ACCEPTED = "proposal.accepted"
    PROPOSAL_PROPOSED = "proposal.proposed"
    PROPOSAL_REJECTED = "proposal.rejected"
    PROPOSAL_WITHDRAWN = "proposal.withdrawn"

    RAISE_APPLIED = "raise.applied"
    RAISE_CONFIRMED = "raise.confirmed"
    RAISE_DECLINED = "raise.declined"
    RAISE_PROPOSED = "raise.proposed"
    RAISE_UNDO_PROPOSED = "raise.undo_proposed"
    RAISE_UNDONE = "raise.undone"

    RECORD_AMENDED = "record.amended"
    RECORD_OPENED = "record.opened"
    RECORD_SUBMITTED = "record.submitted"

    RESIDENT_BINDING_ENDED = "resident.binding_ended"
    RESIDENT_BOUND = "resident.bound"
    RESIDENT_SIGN_IN_CODE_MADE = "resident.sign_in_code_made"
    RESIDENT_UNBOUND = "resident.unbound"

    REVIEW_CLAIMED = "review.claimed"
    REVIEW_DECIDED = "review.decided"
    REVIEW_ENTERED = "review.entered"
    REVIEW_ENTERED_AGAIN = "review.entered_again"
    REVIEW_HANDED_OVER = "review.handed_over"
    REVIEW_RELEASED = "review.released"
    REVIEW_REOPENED = "review.reopened"
    REVIEW_UNDONE = "review.undone"

    MERGE_PROPOSED = "merge.proposed"
    MERGE_CONFIRMED = "merge.confirmed"
    MERGE_REJECTED = "merge.rejected"
    MERGE_UNDONE = "merge.undone"
    ROSTER_ANSWERED = "roster.answered"
    ROSTER_CANCELLED = "roster.cancelled"
    ROSTER_CHECKED = "roster.checked"
    ROSTER_DRAFTED = "roster.drafted"
    ROSTER_DRAFTED_AGAIN = "roster.drafted_again"
    ROSTER_FILE_TAKEN = "roster.file_taken"
    ROSTER_FINDINGS_JUDGED = "roster.findings_judged"
    ROSTER_HOME_READMITTED = "roster.home_readmitted"
    ROSTER_LINE_LEFT_OUT = "roster.line_left_out"
    ROSTER_MADE = "roster.made"
    ROSTER_PREPARED = "roster.prepared"
    ROSTER_RETURN_CONFIRMED = "roster.return_confirmed"
    ROSTER_RETURN_DECLINED = "roster.return_declined"
    ROSTER_RETURN_REPORTED = "roster.return_reported"
    ROSTER_SENT = "roster.sent"
    ROSTER_SENT_BACK = "roster.sent_back"

    RULE_PROPOSED = "rule.proposed"
    RULE_REJECTED = "rule.rejected"
    RULE_WRITTEN = "rule.written"

    SPOT_CHECK_ASSIGNED = "spot_check.assigned"
    SPOT_CHECK_COMPARED = "spot_check.compared"
    SPOT_CHECK_DRAWN = "spot_check.drawn"
    SPOT_CHECK_OPENED = "spot_check.opened"
    SPOT_CHECK_PLANNED = "spot_check.planned"

    STAFF_CREATED = "staff.created"
    STAFF_CHANGED = "staff.changed"
    STAFF_ROLE_GRANTED = "staff.role_granted"
    STAFF_ROLE_REVOKED = "staff.role_revoked"
    STAFF_DEPUTY_NAMED = "staff.deputy_named"
    STAFF_DEPUTY_STARTED = "staff.deputy_started"
    STAFF_DEPUTY_ENDED = "staff.deputy_ended"
    STAFF_DISABLED = "staff.disabled"
    STAFF_ENABLED = "staff.enabled"
    STAFF_LINK_MADE = "staff.link_made"
    STAFF_PASSWORD_SET = "staff.password_set"  # noqa: S105
    STAFF_UNLOCKED = "staff.unlocked"
    STAFF_WECHAT_UNLINKED = "staff.wechat_unlinked"
    STAFF_PASSWORD_CHANGED = "staff.password_changed"  # noqa: S105  # an action, no password
    STAFF_RECOVERY_CODE_USED = "staff.recovery_code_used"
    STAFF_RECOVERY_CODES_MADE = "staff.recovery_codes_made"
    STAFF_SECOND_FACTOR_REMOVED = "staff.second_factor_removed"
    STAFF_SECOND_FACTOR_SET = "staff.second_factor_set"
    STAFF_WECHAT_LINKED = "staff.wechat_linked"

    SYNC_CONFLICT_KEPT = "sync.conflict_kept"
    SYNC_QUARANTINED = "sync.quarantined"

    TASK_CANCELLED = "task.cancelled"
    TASK_GIVEN = "task.given"

    UPLOAD_TERMINATED = "upload.terminated"

    VISIT_AMENDED = "visit.amended"
    VISIT_ATTESTED = "visit.attested"
    VISIT_BLOCKED = "visit.blocked"
    VISIT_BUNDLED = "visit.bundled"
    VISIT_COMPLETE = "visit.complete"
    VISIT_ENTERED_FROM_PAPER = "visit.entered_from_paper"
    VISIT_OPENED = "visit.opened"
    VISIT_SAVED = "visit.saved"
    VISIT_SUBMITTED = "visit.submitted"
    VISIT_UNBLOCKED = "visit.unblocked"
    VISIT_WITHDRAWAL_PROPOSED = "visit.withdrawal_proposed"
    VISIT_VOIDED = "visit.voided"
    VISITS_ORDERED = "visits.ordered"

    WORKLOAD_SCHEDULED = "workload.scheduled"
