"""The type and range of every policy setting. The desk cannot write a key that is not listed here.

A range catches typing errors (a radius of 15,000 m); it is not a policy. Within it the area decides.
"""

from collections.abc import Collection
from datetime import date
from typing import Annotated, Any, Literal

from msgspec import Meta, ValidationError, convert
from msgspec.json import schema

from server.checklists.template import VisitKind
from server.models.households import VISIT_KINDS
from server.models.notifications import NOTICE_KINDS
from server.policy.values import (
    AidKind,
    BankForm,
    CertificateNumber,
    Code,
    Days,
    Fen,
    Few,
    FindingDays,
    Hour,
    Intervals,
    Metres,
    Minutes,
    Months,
    NotCounted,
    Paper,
    PaymentProgram,
    Percent,
    PrivacyText,
    PropertyLimits,
    QuietHours,
    RequiredProof,
    Rounding,
    Span,
    Standards,
    Step,
    StopGround,
    Template,
    Text,
)

# What households are told (`server/notifications/wording.py`).
NoticeKind = Literal[
    "papers", "accepted", "posted", "decided", "answered", "changed", "bound", "register_changed", "deadline_moved",
    "proof_due", "grace_ending", "payday", "device_opened",
]  # fmt: skip
# The categories that a calculation knows (`server/benefits/uplifts.py`).
Uplift = Literal["aged", "age_70", "minor", "severe_disability", "serious_illness", "single_parent", "student"]
Length = Annotated[int, Meta(ge=1, le=365)] | Span
Severity = Literal["info", "notice", "warning", "critical", "off"]

SETTING_TYPES: dict[str, Any] = {
    "office.hotline": Annotated[str, Meta(max_length=40, pattern="^[0-9 +-]*$")],
    "resident.opinion_before_decision": bool,
    "remedy.reconsideration_days": Days,
    "remedy.lawsuit_months": Annotated[int, Meta(ge=1, le=24)],
    "visit.unordered_kinds": Annotated[list[VisitKind], Meta(max_length=len(VISIT_KINDS))],
    "visit.home_radius_m": Metres,
    "visit.partner_distance_m": Metres,
    "visit.photo_distance_m": Metres,
    "visit.photo_time_margin_min": Minutes,
    "field.earliest_day": date,
    "field.clock_ahead_min": Annotated[int, Meta(ge=1, le=1440)],
    "household.id_checks_per_day": Annotated[int, Meta(ge=1, le=1000)],
    "staff.homes_most": Annotated[int, Meta(ge=1, le=5000)],
    "duplicates.phone_homes": Annotated[int, Meta(ge=2, le=100)],
    "duplicates.account_homes": Annotated[int, Meta(ge=2, le=100)],
    "visit.shortest_min": Minutes,
    "visit.overlap_min": Minutes,
    "visit.burst_minutes": Minutes,
    "visit.burst_most": Few,
    "visit.same_accuracy_fixes": Annotated[int, Meta(ge=3, le=40)],
    "visit.unchanged_visits": Annotated[int, Meta(ge=3, le=40)],
    "visit.same_spot_m": Annotated[int, Meta(ge=0, le=100)],
    "visit.same_spot_accuracies": Annotated[float, Meta(ge=0.5, le=10)],
    "visit.same_spot_homes_m": Annotated[int, Meta(ge=0, le=2000)],
    "visit.repeated_fix_s": Annotated[int, Meta(ge=0, le=600)],
    "photo.after_receipt_min": Minutes,
    "answers.school_from_age": Few,
    "answers.school_until_age": Few,
    "answers.grown_up_age": Few,
    "answers.work_from_age": Few,
    "visit.earliest_hour": Hour,
    "visit.latest_hour": Annotated[int, Meta(ge=1, le=24)],
    "visit.fastest_kmh": Annotated[int, Meta(ge=10, le=1000)],
    "visit.clock_offset_max_s": Annotated[int, Meta(ge=1, le=86_400)],
    "visit.offline_days_max": Days,
    "visit.shared_phone_days": Days,
    "income.differs_percent": Percent,
    "income.differs_fen": Fen,
    "photo.near_duplicate_bits": Annotated[int, Meta(ge=0, le=64)],
    "photo.editors": Annotated[list[Text], Meta(max_length=200)],
    "photo.screen_sizes": Annotated[
        list[tuple[Annotated[int, Meta(ge=100, le=10_000)], Annotated[int, Meta(ge=100, le=10_000)]]],
        Meta(max_length=500),
    ],
    "photo.screen_ratio": Annotated[float, Meta(gt=1, le=4)],
    "photo.screen_ratio_most": Annotated[float, Meta(gt=1, le=4)],
    "photo.screen_short_px": Annotated[int, Meta(ge=1, le=5000)],
    "photo.late_hours": Annotated[int, Meta(ge=0, le=8760)],
    "photo.fewest": Annotated[int, Meta(ge=0, le=50)],
    "review.undo_s": Annotated[int, Meta(ge=0, le=3600)],
    "review.finding_days": FindingDays,
    "review.judged_before_acceptance": Annotated[
        list[Literal["info", "notice", "warning", "critical"]], Meta(max_length=4)
    ],
    "review.bulk_tolerates": Annotated[list[Code], Meta(max_length=50)],
    "review.interval_months": Intervals,
    "review.homes_per_day": Few,
    "review.round_days": Annotated[int, Meta(ge=0, le=400)],
    "review.schedule_ahead_days": Annotated[int, Meta(ge=1, le=400)],
    "notice.quiet_hours": QuietHours,
    **{f"notice.template.{kind}": Template for kind in NOTICE_KINDS},
    "notice.ways": Annotated[list[Literal["miniprogram", "service_subscribe", "service_template"]], Meta(max_length=3)],
    "notice.sms_kinds": Annotated[list[NoticeKind], Meta(max_length=len(NOTICE_KINDS))],
    "notice.sms_after_hours": Annotated[int, Meta(ge=0, le=720)],
    "notice.sms_per_month": Annotated[int, Meta(ge=0, le=1_000_000)],
    "case.survey_start_working_days": Length,
    "case.decision_working_days": Length,
    "case.decision_extended_working_days": Length,
    "case.decision_delegated_working_days": Length,
    "case.cross_check_start_working_days": Length,
    "case.county_opinion_working_days": Length,
    "case.refusal_notice_working_days": Length,
    "case.posting_days": Length,
    "case.posting_rounds": Annotated[int, Meta(ge=1, le=5)],
    "case.decided_by": Literal["county", "town"],
    "case.first_month": Literal["next", "same"],
    "case.hearing_required": bool,
    "case.objection_stops_clock": bool,
    "sign_in.second_factor_required": bool,
    "case.found_difference_fen": Fen,
    "case.stop_grounds": Annotated[list[StopGround], Meta(min_length=1, max_length=60)],
    "case.come_back_months": Annotated[int, Meta(ge=0, le=24)],
    "case.papers": Annotated[list[Paper], Meta(min_length=1, max_length=100)],
    "recheck.months": Months,
    "recheck.answer_days": Length,
    "recheck.settle_days": Length,
    "grace.defer_most_months": Annotated[int, Meta(ge=0, le=12)],
    "proof.required": Annotated[list[RequiredProof], Meta(max_length=30)],
    "proof.days": Annotated[int, Meta(ge=1, le=365)],
    "posting.places_least": Few,
    "publicity.months": Months,
    "aid.handout_days": Annotated[int, Meta(ge=0, le=365)],
    **{
        f"retention.{what}_days": Annotated[int, Meta(ge=1, le=36_500)]
        for what in (
            "visit_photo",
            "record_photo",
            "posting_photo",
            "unsubmitted_photo",
            "returned_paper",
            "mismatched",
            "package",
        )
    },
    "privacy.notice": PrivacyText,
    "privacy.answer_days": Length,
    "privacy.case_file_days": Annotated[int, Meta(ge=365, le=36_500)],
    "hearing.quorum_percent": Percent,
    "hearing.panel_size": Few,
    "hearing.majority": Literal["half", "two_thirds"],
    "reveal.per_day": Annotated[int, Meta(ge=1, le=1000)],
    "reads.unusual_opened": Annotated[int, Meta(ge=1, le=100_000)],
    "reads.unusual_exported": Annotated[int, Meta(ge=1, le=10_000_000)],
    "complaint.register_days": Length,
    "complaint.decide_days": Length,
    "complaint.extension_days": Length,
    "complaint.visit_days": Length,
    "complaint.remind_days_before": Annotated[int, Meta(ge=1, le=15)],
    "change.death_months": Annotated[int, Meta(ge=1, le=12)],
    "change_return.village_day": Annotated[int, Meta(ge=1, le=28)],
    "change_return.town_day": Annotated[int, Meta(ge=1, le=28)],
    "certificate.issued": bool,
    "certificate.number": CertificateNumber,
    "certificate.months": Months,
    "certificate.renewed": bool,
    "roster.needs_certificate": bool,
    "roster.programs": Annotated[list[PaymentProgram], Meta(min_length=1, max_length=60)],
    "roster.bank_forms": Annotated[list[BankForm], Meta(min_length=1, max_length=20)],
    "roster.payday": Annotated[int, Meta(ge=1, le=31)],
    "roster.payday_shows_sum": bool,
    "roster.people": Annotated[int, Meta(ge=2, le=3)],
    "roster.arrears_months": Annotated[int, Meta(ge=0, le=60)],
    "roster.outlier_percent": Annotated[int, Meta(ge=1, le=1000)],
    "aid.kinds": Annotated[list[AidKind], Meta(min_length=1, max_length=100)],
    "amount.standard_fen": Fen | Standards,
    "amount.method": Literal["differential", "stepped"],
    "amount.steps": Annotated[list[Step], Meta(min_length=1, max_length=50)],
    "amount.uplifts": Annotated[dict[Uplift, dict[Literal["percent", "fen"], Fen]], Meta(max_length=50)],
    "amount.aged_from": Annotated[int, Meta(ge=50, le=120)],
    "amount.uplifts_combine": Literal["highest", "sum"],
    "amount.work_cost_percent": Percent,
    "amount.disregard_months": Annotated[int, Meta(ge=0, le=36)],
    "amount.disregard_percent": Annotated[int, Meta(ge=0, le=1000)],
    "amount.exit_grace_months": Annotated[int, Meta(ge=0, le=36)],
    "amount.single_person_percent": Annotated[int, Meta(ge=100, le=500)],
    "amount.edge_property_limits": PropertyLimits,
    "amount.grave_illnesses": Annotated[list[Text], Meta(max_length=200)],
    "amount.single_disabled_adult": bool,
    "amount.rounding": Rounding,
    "amount.least_fen": Fen,
    "amount.not_counted": Annotated[list[Code | NotCounted], Meta(max_length=50)],
}
_FINDING_PREFIX = "finding."
# What families are paid, until when, and who decides on it.
_MONEY_PREFIXES = ("aid.", "amount.", "roster.")
_DECIDING = frozenset({"case.decided_by", "case.hearing_required", "case.found_difference_fen", "change.death_months"})


def find_setting_type(key: str, finding_codes: Collection[str]) -> Any | None:
    """Return the type of a setting: from the table, or the severity of an existing finding. None if unknown."""
    if key.startswith(_FINDING_PREFIX):
        return Severity if key.removeprefix(_FINDING_PREFIX) in finding_codes else None
    return SETTING_TYPES.get(key)


def validate_value(setting_type: Any, value: Any) -> str | None:
    """Return msgspec's message if the value does not fit the type, else None."""
    try:
        convert(value, setting_type)
    except ValidationError as error:
        return str(error)
    return None


def build_json_schema(setting_type: Any) -> dict[str, Any]:
    return schema(setting_type)


def takes_two_people(key: str) -> bool:
    """Say whether a setting is proposed by one person and taken over by another."""
    return key.startswith(_MONEY_PREFIXES) or key in _DECIDING
