"""The doubts that the server can raise, one function and one row each.

A rule looks at a VisitView and yields the facts of each doubt it has; it never decides anything. Limits
come from `area_rule` by area and date. To add a rule: write the function, add its row to RULES.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from server.core.location import Fix, country_hint, distance_beyond, distance_m, least_speed_mps
from server.review.view import CHINA, VisitView

Facts = dict[str, Any]
Doubts = Iterator[tuple[UUID | None, Facts]]


class Rule(NamedTuple):
    """`zh` and `en` are filled from the facts. Weight by severity sets the place in the queue."""

    code: str
    severity: str
    find: Callable[[VisitView], Doubts]
    zh: str
    en: str


def far_from_home(view: VisitView) -> Doubts:
    radius_m = view.rule("visit.home_radius_m")
    for moment, fix in (("start", view.start), ("end", view.end)):
        if fix is None or view.home is None:
            continue
        beyond = distance_beyond(fix, view.home, radius_m)
        if beyond.beyond_m > 0:
            yield (
                None,
                {
                    "moment": moment,
                    "distanceM": round(beyond.distance_m),
                    "accuracyM": beyond.accuracy_a_m,
                    "radiusM": radius_m,
                },
            )


def accuracy_doubtful(view: VisitView) -> Doubts:
    for moment, fix in (("start", view.start), ("end", view.end)):
        if fix is not None and not fix.accuracy_m:
            yield None, {"moment": moment, "accuracyM": fix.accuracy_m}


def partners_apart(view: VisitView) -> Doubts:
    limit_m = view.rule("visit.partner_distance_m")
    for one in view.attestations:
        told = one.document.get("fix")
        if told is None or view.start is None or one.staff_id == view.visit.author_id:
            continue
        beyond = distance_beyond(msgspec.convert(told, Fix), view.start, limit_m)
        if beyond.beyond_m > 0:
            yield (
                None,
                {"distanceM": round(beyond.distance_m), "limitM": limit_m, "staffId": str(one.staff_id)},
            )


def one_phone_for_two(view: VisitView) -> Doubts:
    own = view.devices.get(view.visit.device_id)
    for one in view.attestations:
        other = view.devices.get(one.device_id)
        if one.staff_id == view.visit.author_id or own is None or other is None:
            continue
        if own.id == other.id or (own.hardware_id is not None and own.hardware_id == other.hardware_id):
            yield None, {"staffId": str(one.staff_id)}


def too_short(view: VisitView) -> Doubts:
    least_min = view.rule("visit.shortest_min")
    if view.visit.started_at and view.visit.ended_at:
        minutes = (view.visit.ended_at - view.visit.started_at) / timedelta(minutes=1)
        if minutes < least_min:
            yield None, {"minutes": round(minutes, 1), "leastMinutes": least_min}


def at_night(view: VisitView) -> Doubts:
    if view.visit.started_at is None:
        return
    hour = view.visit.started_at.astimezone(CHINA).hour
    if not view.rule("visit.earliest_hour") <= hour < view.rule("visit.latest_hour"):
        yield None, {"hour": hour}


def travelled_too_fast(view: VisitView) -> Doubts:
    if view.previous is None or view.start is None or not view.previous.document.get("endFix"):
        return
    before = msgspec.convert(view.previous.document["endFix"], Fix)
    speed_kmh = least_speed_mps(before, view.start) * 3.6
    limit_kmh = view.rule("visit.fastest_kmh")
    if speed_kmh > limit_kmh:
        yield (
            None,
            {
                "speedKmh": round(min(speed_kmh, 99_999)),
                "limitKmh": limit_kmh,
                "distanceM": round(distance_m(before, view.start)),
                "previousVisitId": str(view.previous.id),
            },
        )


def late_after_reassignment(view: VisitView) -> Doubts:
    if view.visit.late_after_reassignment:
        yield None, {}


def relative_on_staff(view: VisitView) -> Doubts:
    if view.household.relative_on_staff:
        yield None, {}


def long_offline(view: VisitView) -> Doubts:
    limit_days = view.rule("visit.offline_days_max")
    if view.visit.ended_at is not None:
        days = (view.visit.received_at - view.visit.ended_at) / timedelta(days=1)
        if days > limit_days:
            yield None, {"days": round(days, 1), "limitDays": limit_days}


def photo_time_off(view: VisitView) -> Doubts:
    margin = timedelta(minutes=view.rule("visit.photo_time_margin_min"))
    start, end = view.visit.started_at, view.visit.ended_at
    for photo in view.photos:
        taken_at = photo.taken_at
        if taken_at is None or start is None or end is None:
            continue
        if not start - margin <= taken_at <= end + margin:
            away = start - taken_at if taken_at < start else taken_at - end
            yield (
                photo.evidence.id,
                {
                    "takenAt": taken_at.isoformat(),
                    "hoursAway": round(away / timedelta(hours=1), 1),
                    "source": photo.taken_at_source,
                },
            )


def photo_after_receipt(view: VisitView) -> Doubts:
    for photo in view.photos:
        if photo.taken_at is not None and photo.taken_at > view.visit.received_at + timedelta(minutes=5):
            yield photo.evidence.id, {"takenAt": photo.taken_at.isoformat()}


def photo_place_off(view: VisitView) -> Doubts:
    radius_m = view.rule("visit.photo_distance_m")
    for photo in view.photos:
        if photo.place is None or (target := view.start or view.home) is None:
            continue
        beyond = distance_beyond(photo.place, target, radius_m)
        if beyond.beyond_m > 0:
            yield (
                photo.evidence.id,
                {
                    "latitude": photo.place.latitude,
                    "longitude": photo.place.longitude,
                    "distanceM": round(beyond.distance_m),
                    "radiusM": radius_m,
                },
            )


def photo_abroad(view: VisitView) -> Doubts:
    for photo in view.photos:
        if photo.place is not None and country_hint(*photo.place) == "outside_cn_box":
            yield photo.evidence.id, {"latitude": photo.place.latitude, "longitude": photo.place.longitude}


def photo_reused(view: VisitView) -> Doubts:
    for photo in view.photos:
        for visit_id, household_id in photo.used_elsewhere:
            yield (
                photo.evidence.id,
                {
                    "visitId": str(visit_id),
                    "otherHousehold": household_id != view.visit.household_id,
                },
            )


def photo_without_camera(view: VisitView) -> Doubts:
    for photo in view.photos:
        if photo.evidence.state == "verified" and photo.facts.get("exif") == "none":
            yield photo.evidence.id, {}


def photo_refused(view: VisitView) -> Doubts:
    for photo in view.photos:
        if photo.evidence.state == "refused":
            yield photo.evidence.id, {"code": photo.evidence.refused_code}


def photo_swapped(view: VisitView) -> Doubts:
    for photo in view.photos:
        if photo.mismatches:
            yield photo.evidence.id, {"times": photo.mismatches}


RULES: tuple[Rule, ...] = (
    Rule(
        "visit.far_from_home",
        "warning",
        far_from_home,
        "{moment}定位距登记住址 {distanceM} 米,超出 {radiusM} 米(已扣除精度)",
        "The {moment} fix lies {distanceM} m from the registered home, beyond {radiusM} m and its accuracy",
    ),
    Rule(
        "visit.accuracy_doubtful",
        "notice",
        accuracy_doubtful,
        "{moment}定位没有精度或精度为零",
        "The {moment} fix has no accuracy, or zero",
    ),
    Rule(
        "visit.partners_apart",
        "warning",
        partners_apart,
        "两名调查人员定位相距 {distanceM} 米",
        "The two investigators' fixes lie {distanceM} m apart",
    ),
    Rule(
        "visit.one_phone_for_two",
        "critical",
        one_phone_for_two,
        "两名调查人员使用同一部手机确认",
        "Both investigators attested on one phone",
    ),
    Rule(
        "visit.too_short",
        "notice",
        too_short,
        "走访仅 {minutes} 分钟,少于 {leastMinutes} 分钟",
        "The visit took {minutes} minutes, under {leastMinutes}",
    ),
    Rule("visit.at_night", "notice", at_night, "走访开始于 {hour} 时", "The visit began at hour {hour}"),
    Rule(
        "visit.travelled_too_fast",
        "warning",
        travelled_too_fast,
        "与上一次走访间需以每小时 {speedKmh} 公里行进",
        "Reaching here from the visit before takes {speedKmh} km/h",
    ),
    Rule(
        "visit.late_after_reassignment",
        "info",
        late_after_reassignment,
        "家庭改派后才收到此走访",
        "Received after the household was reassigned",
    ),
    Rule(
        "visit.relative_on_staff",
        "notice",
        relative_on_staff,
        "该家庭有近亲属备案",
        "The household has a relative on staff",
    ),
    Rule(
        "visit.long_offline",
        "info",
        long_offline,
        "走访结束 {days} 天后才收到",
        "Received {days} days after the visit ended",
    ),
    Rule(
        "photo.time_off",
        "warning",
        photo_time_off,
        "照片拍摄时间与走访相差 {hoursAway} 小时",
        "The photo was taken {hoursAway} hours away from the visit",
    ),
    Rule(
        "photo.after_receipt",
        "warning",
        photo_after_receipt,
        "照片拍摄时间晚于接收时间",
        "The photo's time is later than its receipt",
    ),
    Rule(
        "photo.place_off",
        "critical",
        photo_place_off,
        "照片拍摄地点距走访定位 {distanceM} 米",
        "The photo was taken {distanceM} m from the visit",
    ),
    Rule(
        "photo.abroad",
        "critical",
        photo_abroad,
        "照片拍摄地点在中国境外({latitude}, {longitude})",
        "The photo was taken outside China ({latitude}, {longitude})",
    ),
    Rule(
        "photo.reused",
        "critical",
        photo_reused,
        "同一照片已用于另一次走访",
        "The same photo was used in another visit",
    ),
    Rule(
        "photo.without_camera_facts",
        "info",
        photo_without_camera,
        "照片不含相机信息(微信通常会去除)",
        "The photo has no camera facts (WeChat usually strips them)",
    ),
    Rule(
        "photo.refused",
        "critical",
        photo_refused,
        "照片不能作为证据({code})",
        "The photo is no evidence ({code})",
    ),
    Rule(
        "photo.swapped",
        "warning",
        photo_swapped,
        "曾上传与登记不符的照片 {times} 次",
        "Other bytes than announced were sent {times} times",
    ),
)

MOMENTS = {"start": "开始", "end": "结束"}
_BY_CODE = {rule.code: rule for rule in RULES}


def sentence(code: str, facts: Facts) -> dict[str, str]:
    """The doubt as a person reads it, in both languages."""
    rule = _BY_CODE.get(code)
    if rule is None:
        return {"zh": code, "en": code}
    chinese = {**facts, "moment": MOMENTS.get(facts.get("moment", ""), "")}
    return {"zh": rule.zh.format(**chinese), "en": rule.en.format(**facts)}
