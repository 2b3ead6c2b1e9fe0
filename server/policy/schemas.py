"""The type and range of every policy setting. The desk cannot write a key that is not listed here.

A range catches typing errors (a radius of 15,000 m); it is not a policy. Within it the area decides.
"""

from collections.abc import Collection
from datetime import date
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, ValidationError, convert
from msgspec.json import schema

from server.checklists.template import VisitKind
from server.models.households import VISIT_KINDS
from server.models.notifications import NOTICE_KINDS

Metres = Annotated[int, Meta(ge=10, le=20_000)]
Minutes = Annotated[int, Meta(ge=0, le=1440)]
Hour = Annotated[int, Meta(ge=0, le=23)]
Days = Annotated[int, Meta(ge=0, le=3650)]
Months = Annotated[int, Meta(ge=1, le=60)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Few = Annotated[int, Meta(ge=1, le=100)]
Fen = Annotated[int, Meta(ge=0, le=100_000_000)]
Code = Annotated[str, Meta(pattern="^[a-z][a-z0-9_.]{0,79}$")]
Text = Annotated[str, Meta(min_length=1, max_length=200)]


class _StrictStruct(Struct, rename="camel", forbid_unknown_fields=True):
    pass


class Span(_StrictStruct):
    """A length of time with its unit."""

    count: Annotated[int, Meta(ge=1, le=365)]
    unit: Literal["days", "working_days"]


class PrivacyText(_StrictStruct):
    """The privacy notice. A new version asks everybody anew."""

    version: Annotated[str, Meta(pattern="^[0-9A-Za-z.-]{1,20}$")]
    zh: Annotated[str, Meta(min_length=20, max_length=5000)]
    en: Annotated[str, Meta(min_length=20, max_length=5000)]


class RuralIntervals(_StrictStruct, rename=None):
    """Months between two reviews of a household of rural dibao, by its class."""

    A: Months
    B: Months
    C: Months


class Intervals(_StrictStruct, rename=None, omit_defaults=True):
    """Months between two reviews, by the class of the household; those of rural dibao where they differ."""

    A: Months
    B: Months
    C: Months
    rural_homes: RuralIntervals | None = None


class FindingDays(_StrictStruct):
    """Days of waiting that a finding adds in the review queue, by severity."""

    info: Days
    notice: Days
    warning: Days
    critical: Days


class QuietHours(_StrictStruct, rename={"from_": "from"}):
    from_: Hour
    to: Hour


TemplateFields = Annotated[
    dict[Annotated[str, Meta(pattern="^[a-z_]+[0-9]+$")], Literal["what", "when", "where", "count"]],
    Meta(max_length=10),
]


class ServiceTemplate(_StrictStruct, omit_defaults=True):
    """A message of the service account. `page` is a path of ours, such as `/r/`. A long-term consent is not used up."""

    template_id: Annotated[str, Meta(max_length=64)]
    fields: TemplateFields
    page: Annotated[str, Meta(pattern="^(/(m|r|desk)/.*)?$", max_length=200)] = "/r/"
    long_term: bool = False


class Template(_StrictStruct, omit_defaults=True):
    """The messages of a kind: the mini-program's subscribe message, both of the service account, a text message.

    With an empty id none is sent. `fields` map the fields of a template to values.
    """

    template_id: Annotated[str, Meta(max_length=64)]
    page: Annotated[str, Meta(max_length=200)]
    fields: TemplateFields
    service_subscribe: ServiceTemplate | None = None
    service_template: ServiceTemplate | None = None
    # Aliyun's approved template, with the variables `what` and `when`.
    sms: Annotated[str, Meta(pattern="^(SMS_[0-9]+)?$", max_length=40)] = ""


class Paper(_StrictStruct, omit_defaults=True):
    code: Code
    zh: Text
    en: Text
    situation: Code | None = None


class RequiredProof(_StrictStruct, omit_defaults=True):
    """A proof that households hand in every so many months; of all, or of those with such a member or income."""

    code: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
    zh: Text
    en: Text
    months: Months
    of: Literal["all", "income", "disability", "student"] = "all"
    classes: Annotated[list[Literal["A", "B", "C"]], Meta(max_length=3)] = []


class StopGround(_StrictStruct):
    """A ground of a stop. A code with a dot is a kind of the code before it."""

    code: Code
    zh: Text
    en: Text


class Step(_StrictStruct):
    until_fen: Fen | None
    per_head_fen: Fen


class Standards(_StrictStruct):
    """The standard where it differs between town and countryside."""

    urban: Fen
    rural: Fen


class PropertyLimits(_StrictStruct, omit_defaults=True):
    """What an edge household may own at most; a kind that is left out is not compared."""

    home: Annotated[int, Meta(ge=0, le=100)] | None = None
    vehicle: Annotated[int, Meta(ge=0, le=100)] | None = None
    business: Annotated[int, Meta(ge=0, le=100)] | None = None
    deposit_per_head_fen: Fen | None = None


class NotCounted(_StrictStruct, omit_defaults=True):
    """A category of income that is left out from a day, until a day, or both."""

    code: Code
    since: date | None = None
    until: date | None = None


class PaymentProgram(_StrictStruct, omit_defaults=True):
    """What a roster pays: the decided amount of a case, or so much a head or a home of those programmes."""

    code: Code
    zh: Text
    en: Text
    fund: Text
    homes: Annotated[list[Literal["urban", "rural"]], Meta(min_length=1, max_length=2)]
    pays: Literal["amount", "per_person", "per_household"] = "amount"
    fen: Fen | None = None
    # Months of the year in which it is paid; empty: every month.
    months: Annotated[list[Annotated[int, Meta(ge=1, le=12)]], Meta(max_length=12)] = []


class CertificateNumber(_StrictStruct):
    """How a certificate is numbered: its parts in order, then a serial number of so many digits for each of them."""

    parts: Annotated[list[Literal["letter", "county", "town", "year"]], Meta(min_length=1, max_length=4)]
    letters: dict[Literal["urban", "rural"], Annotated[str, Meta(pattern="^[A-Z]{0,3}$")]]
    digits: Annotated[int, Meta(ge=3, le=9)]


class AidCause(_StrictStruct):
    code: Code
    zh: Text
    en: Text


class AidKind(_StrictStruct, omit_defaults=True):
    """A kind of linked aid: money, or goods counted by a unit. `causes`: one of them is named with each line."""

    code: Code
    zh: Text
    en: Text
    fund: Text
    form: Literal["money", "goods"] = "money"
    unit_zh: Text = "元"
    unit_en: Text = "yuan"
    # Whose homes a finding leaves in peace: those with a case in force in the month, or any.
    homes: Literal["in_force", "any"] = "in_force"
    causes: Annotated[list[AidCause], Meta(max_length=20)] = []
    times_a_month: Annotated[int, Meta(ge=1, le=31)] = 1


class FileColumn(_StrictStruct, omit_defaults=True):
    """A column of a bank's file. `width` is in bytes of the file's encoding, for fixed width only."""

    field: Literal["position", "reference", "payee", "account", "bank", "fen", "yuan", "note", "constant"]
    heading: Annotated[str, Meta(max_length=40)] = ""
    width: Annotated[int, Meta(ge=1, le=200)] | None = None
    align: Literal["left", "right"] = "left"
    pad: Annotated[str, Meta(min_length=1, max_length=1)] = " "
    constant: Annotated[str, Meta(max_length=100)] = ""


class AnswerColumns(_StrictStruct, omit_defaults=True):
    """The headings of what the bank sends back, and its words for a payment that arrived."""

    reference: Text
    yuan: Text
    result: Text
    paid: Annotated[list[Text], Meta(min_length=1, max_length=20)]
    returned: Annotated[list[Text], Meta(min_length=1, max_length=40)]
    reason: Annotated[str, Meta(max_length=40)] = ""


class BankForm(_StrictStruct, omit_defaults=True):
    """How a bank wants its files. `control` is a first line with the number of lines and their sum."""

    code: Code
    zh: Text
    en: Text
    format: Literal["csv", "fixed", "xlsx"]
    columns: Annotated[list[FileColumn], Meta(min_length=1, max_length=30)]
    answer: AnswerColumns
    encoding: Literal["utf-8", "gbk"] = "utf-8"
    separator: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    headings: bool = True
    control: Literal["none", "yuan", "fen"] = "none"
    most_lines: Annotated[int, Meta(ge=1, le=50_000)] = 1000


class Rounding(_StrictStruct):
    to_fen: Annotated[int, Meta(ge=1, le=10_000)]
    mode: Literal["half_up", "up"]


# What households are told (`server/notifications/wording.py`).
NoticeKind = Literal[
    "papers", "accepted", "posted", "decided", "answered", "changed", "bound", "register_changed", "deadline_moved",
    "proof_due", "grace_ending", "payday",
]  # fmt: skip
# The categories that a calculation knows (`server/benefits/uplifts.py`).
Uplift = Literal["aged", "age_70", "minor", "severe_disability", "serious_illness", "single_parent", "student"]
Length = Annotated[int, Meta(ge=1, le=365)] | Span
Severity = Literal["info", "notice", "warning", "critical", "off"]

SETTING_TYPES: dict[str, Any] = {
    "office.hotline": Annotated[str, Meta(max_length=40, pattern="^[0-9 +-]*$")],
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
    **{
        f"retention.{what}_days": Annotated[int, Meta(ge=1, le=36_500)]
        for what in (
            "visit_photo",
            "record_photo",
            "posting_photo",
            "unsubmitted_photo",
            "returned_paper",
            "mismatched",
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
