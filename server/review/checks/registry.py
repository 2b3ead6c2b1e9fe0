"""The table of checks: what each reads, how severe its finding is, which settings it uses, and its sentences.

Settings are rows of `area_rule`, by area and date. An office may change a severity with a row `finding.CODE` that
holds a severity, or "off". To add a check: write its function in server/review/checks/, add its row here, and write
its settings in a migration.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Literal, NamedTuple
from uuid import UUID

from server.models.review import SEVERITIES
from server.review.check_context import CheckContext
from server.review.checks import DetectedFindings, Facts, answers, orders, people, photos, presence, reported
from server.review.wording import render_template

Subject = Literal["place", "time", "people", "answers", "photos", "spot_check"]


class Check(NamedTuple):
    """`zh` and `en` are templates, filled from the facts. A severity counts in the queue as days of waiting."""

    code: str
    looks_at: Subject
    severity: str
    find: Callable[[CheckContext], DetectedFindings]
    settings: tuple[str, ...]
    zh: str
    en: str


class DetectedFinding(NamedTuple):
    code: str
    severity: str
    evidence_id: UUID | None
    facts: Facts


CHECKS: tuple[Check, ...] = (
    Check(
        "visit.far_from_home",
        "place",
        "warning",
        presence.far_from_home,
        ("visit.home_radius_m",),
        "{moment:term}定位距登记住址 {distanceM:m}，超出 {radiusM:m}（已扣除精度）",
        "The {moment:term} fix lies {distanceM:m} from the registered home, beyond {radiusM:m} and its accuracy",
    ),
    Check(
        "visit.accuracy_doubtful",
        "place",
        "notice",
        presence.accuracy_doubtful,
        (),
        "{moment:term}定位没有精度或精度为零",
        "The {moment:term} fix has no accuracy, or zero",
    ),
    Check(
        "visit.without_fix",
        "place",
        "warning",
        presence.without_fix,
        (),
        "{moment:term}没有定位，填写了原因",
        "The {moment:term} has no fix; a reason was given",
    ),
    Check(
        "visit.same_accuracy",
        "place",
        "notice",
        presence.same_accuracy,
        ("visit.same_accuracy_fixes",),
        "提交人最近 {fixes} 次定位的精度都是 {accuracyM:m}",
        "The author's last {fixes} fixes all have an accuracy of {accuracyM:m}",
    ),
    Check(
        "visit.same_coordinates",
        "place",
        "warning",
        presence.same_coordinates,
        ("visit.repeated_fix_s",),
        "{moment:term}定位与相隔 {hoursApart:hours} 的另一次走访坐标完全相同",
        "The {moment:term} fix has exactly the coordinates of another visit's fix, {hoursApart:hours} apart",
    ),
    Check(
        "visit.same_spot",
        "place",
        "notice",
        presence.same_spot,
        ("visit.same_spot_m", "visit.same_spot_accuracies", "visit.same_spot_homes_m"),
        "{moment:term}定位与另一户走访的定位仅相距 {distanceM:m}，而两户相距 {homesM:m}",
        "The {moment:term} fix lies {distanceM:m} from that of a visit to another home, {homesM:m} away",
    ),
    Check(
        "visit.partners_apart",
        "place",
        "warning",
        presence.partners_apart,
        ("visit.partner_distance_m",),
        "两名调查人员定位相距 {distanceM:m}",
        "The two investigators' fixes lie {distanceM:m} apart",
    ),
    Check(
        "visit.travelled_too_fast",
        "place",
        "warning",
        presence.travelled_too_fast,
        ("visit.fastest_kmh",),
        "与上一次走访相距 {distanceM:m}，需以每小时 {speedKmh} 公里行进",
        "Reaching this home from the visit before, {distanceM:m} away, takes {speedKmh} km/h",
    ),
    Check(
        "visit.too_short",
        "time",
        "notice",
        presence.too_short,
        ("visit.shortest_min",),
        "走访仅 {minutes:minutes}，少于 {leastMinutes} 分钟",
        "The visit took {minutes:minutes}, under {leastMinutes} minutes",
    ),
    Check(
        "visit.at_night",
        "time",
        "notice",
        presence.at_night,
        ("visit.earliest_hour", "visit.latest_hour"),
        "走访开始于 {hour} 时",
        "The visit began at hour {hour}",
    ),
    Check(
        "visit.burst",
        "time",
        "warning",
        presence.burst,
        ("visit.burst_most", "visit.burst_minutes"),
        "同一人在 {minutes} 分钟内开始了 {visits} 次走访",
        "One person began {visits} visits within {minutes} minutes",
    ),
    Check(
        "visit.overlaps",
        "time",
        "warning",
        presence.overlaps,
        ("visit.overlap_min",),
        "与同一调查人员的另一次走访重叠 {sharedMinutes:minutes}",
        "Another visit of the same investigator overlaps by {sharedMinutes:minutes}",
    ),
    Check(
        "visit.clock_off",
        "time",
        "notice",
        presence.clock_off,
        ("visit.clock_offset_max_s",),
        "手机时钟比服务器{direction:term} {hoursOff:hours}",
        "The phone's clock is {hoursOff:hours} {direction:term} of the server's",
    ),
    Check(
        "visit.time_implausible",
        "time",
        "warning",
        reported.time_implausible,
        ("field.earliest_day", "field.clock_ahead_min"),
        "手机报告的{moment:term}时间 {reportedAt} 不可信，按接收时间计算",
        "The phone's time for the {moment:term}, {reportedAt}, is not plausible: the time of receipt counts",
    ),
    Check(
        "visit.times_inverted",
        "time",
        "notice",
        reported.times_inverted,
        (),
        "结束时间比开始时间早 {hoursApart:hours}，走访中手机时钟可能被调整",
        "The visit ends {hoursApart:hours} before it starts: the phone's clock may have been set meanwhile",
    ),
    Check(
        "visit.reading_implausible",
        "place",
        "notice",
        reported.reading_implausible,
        (),
        "{moment:term}定位的 {reading} 为 {reported}，传感器不可能给出，视为未知",
        "The {moment:term} fix reports {reading} as {reported}, which no sensor gives: it counts as unknown",
    ),
    Check(
        "visit.household_changed",
        "answers",
        "notice",
        reported.household_changed,
        (),
        "走访期间家庭信息有变更（按第 {householdVersion} 版填写）：其后增加 {joined} 人、减少 {left} 人",
        "The household changed meanwhile (recorded by version {householdVersion}): {joined} joined, {left} left",
    ),
    Check(
        "visit.long_offline",
        "time",
        "info",
        presence.long_offline,
        ("visit.offline_days_max",),
        "走访结束 {days:days}后才收到",
        "Received {days:days} after the visit ended",
    ),
    Check(
        "visit.kind_needs_order",
        "people",
        "warning",
        orders.kind_needs_order,
        ("visit.unordered_kinds",),
        "“{kind:visit_kind}”应由办公室安排，此次走访是自行发起的",
        "A visit of this kind ({kind:visit_kind}) is ordered by the office; this visit was not",
    ),
    Check(
        "visit.unordered_without_reason",
        "people",
        "notice",
        orders.unordered_without_reason,
        (),
        "自行发起的走访没有写明原因",
        "Nobody ordered the visit, and it gives no reason",
    ),
    Check(
        "visit.from_paper",
        "people",
        "notice",
        presence.from_paper,
        (),
        "由办公室按纸质走访表补录（走访结束 {days:days}后），没有手机定位和当场照片",
        "An officer entered it from a paper form, {days:days} after the visit: no position, no photos of the day",
    ),
    Check(
        "visit.late_after_reassignment",
        "time",
        "info",
        presence.late_after_reassignment,
        (),
        "家庭改派后才收到此走访",
        "Received after the household was reassigned",
    ),
    Check(
        "visit.one_phone_for_two",
        "people",
        "critical",
        people.one_phone_for_two,
        (),
        "两名调查人员使用同一部手机确认",
        "Both investigators attested on one phone",
    ),
    Check(
        "visit.phone_shared",
        "people",
        "warning",
        people.phone_shared,
        ("visit.shared_phone_days",),
        "提交人的手机在 {days} 天内有 {people} 名工作人员登录",
        "{people} members of staff used the author's phone within {days} days",
    ),
    Check(
        "visit.wechat_shared",
        "people",
        "warning",
        people.wechat_shared,
        ("visit.shared_phone_days",),
        "{days} 天内有 {people} 名工作人员使用同一微信",
        "{people} members of staff used one WeChat account within {days} days",
    ),
    Check(
        "visit.wechat_also_resident",
        "people",
        "warning",
        people.wechat_also_resident,
        (),
        "一名调查人员的微信同时绑定为居民",
        "An investigator's WeChat account is also bound as a resident",
    ),
    Check(
        "visit.relative_on_staff",
        "people",
        "notice",
        people.relative_on_staff,
        (),
        "该家庭有近亲属备案",
        "The household has a relative on staff",
    ),
    Check(
        "visit.relative_not_declared",
        "people",
        "warning",
        people.relative_not_declared,
        (),
        "家庭称有近亲属任职，但没有备案",
        "The household names a relative on staff, but none is declared",
    ),
    Check(
        "household.account_of_another",
        "people",
        "warning",
        people.account_of_another,
        (),
        "收款账户的户名不是家庭成员",
        "The account that is paid belongs to nobody of the household",
    ),
    Check(
        "income.found_differs",
        "answers",
        "warning",
        answers.income_found_differs,
        ("income.differs_percent", "income.differs_fen"),
        "{income:term}申报 {declaredFen:yuan} 元，查实 {foundFen:yuan} 元",
        "{declaredFen:yuan} yuan of {income:term} declared, {foundFen:yuan} found",
    ),
    Check(
        "answers.always_unchanged",
        "answers",
        "notice",
        answers.always_unchanged,
        ("visit.unchanged_visits",),
        "提交人最近 {visits} 次走访的成员情况全部选择“与上次相同”",
        "The author's last {visits} visits took over every member's answers from the time before",
    ),
    Check(
        "answers.members_differ_from_register",
        "answers",
        "notice",
        answers.members_differ_from_register,
        (),
        "登记 {registered} 人，实际居住 {living} 人",
        "{registered} members registered, {living} living here",
    ),
    Check(
        "answers.members_differ_from_last_visit",
        "answers",
        "warning",
        answers.members_differ_from_last_visit,
        (),
        "上次走访居住 {before} 人，本次 {living} 人，而未说明变动",
        "{before} lived here at the last visit, {living} now, and no change was recorded",
    ),
    Check(
        "answers.school_and_job",
        "answers",
        "notice",
        answers.school_and_job,
        (),
        "一名成员既在校又就业",
        "A member is at school and at work",
    ),
    Check(
        "answers.school_against_age",
        "answers",
        "notice",
        answers.school_against_age,
        ("answers.school_from_age", "answers.school_until_age"),
        "一名 {age} 岁成员填为义务教育在读",
        "A member aged {age} is recorded as at compulsory school",
    ),
    Check(
        "answers.labour_against_age",
        "answers",
        "notice",
        answers.labour_against_age,
        ("answers.grown_up_age", "answers.work_from_age"),
        "一名 {age} 岁成员的劳动能力与年龄不符",
        "The recorded ability to work of a member aged {age} does not fit the age",
    ),
    Check(
        "answers.earnings_against_income",
        "answers",
        "notice",
        answers.earnings_against_income,
        ("income.differs_percent", "income.differs_fen"),
        "各成员月收入合计 {earnedFen:yuan} 元，与收入表的每月 {foundFen:yuan} 元不符",
        "The members' earnings come to {earnedFen:yuan} yuan a month, the income table to {foundFen:yuan}",
    ),
    Check(
        "answers.disability_gone",
        "answers",
        "warning",
        answers.disability_gone,
        (),
        "{source:term}为残疾的一名成员，本次填为健康",
        "A member disabled according to {source:term} is now recorded as healthy",
    ),
    Check(
        "visit.differs_at_spot_check",
        "spot_check",
        "critical",
        answers.differs_at_spot_check,
        (),
        "抽查对比 {compared} 项，其中 {differing} 项不一致",
        "{differing} of {compared} answers compared at the spot check differ",
    ),
    Check(
        "photo.time_off",
        "photos",
        "warning",
        photos.time_off,
        ("visit.photo_time_margin_min",),
        "照片拍摄时间与走访相差 {hoursAway:hours}",
        "The photo was taken {hoursAway:hours} away from the visit",
    ),
    Check(
        "photo.after_receipt",
        "photos",
        "warning",
        photos.after_receipt,
        ("photo.after_receipt_min",),
        "照片拍摄时间晚于接收时间",
        "The photo's time is later than its receipt",
    ),
    Check(
        "photo.time_implausible",
        "photos",
        "notice",
        reported.photo_time_implausible,
        ("field.earliest_day", "field.clock_ahead_min"),
        "手机报告的照片时间 {reportedAt} 不可信",
        "The phone's time for the photo, {reportedAt}, is not plausible",
    ),
    Check(
        "photo.place_off",
        "photos",
        "critical",
        photos.place_off,
        ("visit.photo_distance_m",),
        "照片拍摄地点距走访定位 {distanceM:m}",
        "The photo was taken {distanceM:m} from the visit",
    ),
    Check(
        "photo.abroad",
        "photos",
        "critical",
        photos.abroad,
        (),
        "照片拍摄地点在中国境外（{latitude}, {longitude}）",
        "The photo was taken outside China ({latitude}, {longitude})",
    ),
    Check(
        "photo.reused",
        "photos",
        "critical",
        photos.reused,
        (),
        "同一照片已用于另一次走访",
        "The same photo was used in another visit",
    ),
    Check(
        "photo.near_duplicate",
        "photos",
        "warning",
        photos.near_duplicate,
        ("photo.near_duplicate_bits",),
        "照片与另一户走访的照片几乎相同（改动：{changes:terms}；指纹相差 {bits} 位，不超过 {limitBits} 位）",
        "The photo looks like a photo from another home "
        "(changed: {changes:terms}; {bits} bits of the fingerprint differ, at most {limitBits})",
    ),
    Check(
        "photo.like_earlier",
        "photos",
        "info",
        photos.like_earlier,
        ("photo.near_duplicate_bits",),
        "照片与此户另一次走访的照片几乎相同（改动：{changes:terms}；指纹相差 {bits} 位，不超过 {limitBits} 位）",
        "The photo looks like a photo of another visit here "
        "(changed: {changes:terms}; {bits} bits of the fingerprint differ, at most {limitBits})",
    ),
    Check(
        "signature.twice",
        "photos",
        "critical",
        photos.signature_twice,
        (),
        "同一签名图片用于 {people} 人、另外 {otherVisits} 次走访",
        "One signature picture is used for {people} people here and in {otherVisits} other visits",
    ),
    Check(
        "photo.edited",
        "photos",
        "warning",
        photos.edited,
        ("photo.editors",),
        "照片经 {software} 处理",
        "The photo was processed by {software}",
    ),
    Check(
        "photo.like_a_screenshot",
        "photos",
        "notice",
        photos.like_a_screenshot,
        ("photo.screen_sizes", "photo.screen_ratio", "photo.screen_ratio_most", "photo.screen_short_px"),
        "照片（{width}×{height}）没有相机型号，大小和长宽像手机屏幕，可能是截屏或裁剪过",
        "The photo ({width}×{height}) names no camera but the size and shape of a phone screen: a screenshot, a crop?",
    ),
    Check(
        "photo.too_few",
        "photos",
        "notice",
        photos.too_few,
        ("photo.fewest",),
        "只有 {photos} 张照片，少于 {least} 张",
        "Only {photos} photos, under {least}",
    ),
    Check(
        "photo.not_listed",
        "photos",
        "warning",
        photos.not_listed,
        (),
        "答案引用的 {pictures} 张照片没有登记",
        "{pictures} photos that the answers refer to are not in the manifest",
    ),
    Check(
        "photo.late",
        "photos",
        "notice",
        photos.late,
        ("photo.late_hours",),
        "照片在走访收到 {hoursLate:hours}后才上传",
        "The photo was uploaded {hoursLate:hours} after its visit was received",
    ),
    Check(
        "photo.without_camera_facts",
        "photos",
        "info",
        photos.without_camera,
        (),
        "照片不含相机信息（微信通常会去除）",
        "The photo has no EXIF data (WeChat usually strips it)",
    ),
    Check(
        "photo.refused",
        "photos",
        "critical",
        photos.refused,
        (),
        "照片不能作为证据（{code}）",
        "The photo cannot be used as evidence ({code})",
    ),
    Check(
        "photo.swapped",
        "photos",
        "warning",
        photos.swapped,
        (),
        "曾上传与登记不符的照片 {times} 次",
        "Bytes that differ from the manifest were uploaded {times} times",
    ),
)

_BY_CODE = {check.code: check for check in CHECKS}


def run_checks(context: CheckContext, codes: Collection[str] | None = None) -> Iterator[DetectedFinding]:
    """Yield the findings of all checks, or of the checks with these codes."""
    for check in CHECKS:
        severity = context.settings.get(f"finding.{check.code}", check.severity)
        if severity not in SEVERITIES or (codes is not None and check.code not in codes):
            continue
        for evidence_id, facts in check.find(context):
            yield DetectedFinding(check.code, severity, evidence_id, facts)


def reads_photos(codes: Collection[str] | None) -> bool:
    """Return whether any of these checks reads photos; without codes, any check at all."""
    return any(check.looks_at == "photos" for check in CHECKS if codes is None or check.code in codes)


def codes_using_setting(setting: str) -> list[str]:
    """Return the codes of the checks whose findings this setting may change."""
    return [check.code for check in CHECKS if setting in check.settings or setting == f"finding.{check.code}"]


def render_finding(code: str, facts: Facts) -> dict[str, str]:
    """Render a finding as a sentence in Chinese and English; an unknown code renders as itself."""
    check = _BY_CODE.get(code)
    if check is None:
        return {"zh": code, "en": code}
    return {"zh": render_template(check.zh, facts, "zh"), "en": render_template(check.en, facts, "en")}
