"""Whether the photos are what they are said to be: of this home, of this hour, taken once, and as taken."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from server.core.location import country_hint, distance_beyond
from server.photos.near_duplicates import Changed, NearDuplicate
from server.review.check_context import CheckContext, PhotoView
from server.review.checks import DetectedFindings, Facts
from server.review.checks.answers import pictures, signatures

HOUR = timedelta(hours=1)
# From here on a difference is no slip of finding the edges.
_WHOLE_PERCENT, _STRAIGHT_DEGREES = 98, 0.5


def time_off(view: CheckContext) -> DetectedFindings:
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
                    "hoursAway": round(away / HOUR, 1),
                    "source": photo.taken_at_source,
                },
            )


def after_receipt(view: CheckContext) -> DetectedFindings:
    # An amendment may bring photos of its own, and has a receipt of its own.
    receipt_at = view.visit.submitted_at or view.visit.received_at
    clocks_apart = timedelta(minutes=view.rule("photo.after_receipt_min"))
    for photo in view.photos:
        if photo.taken_at is not None and photo.taken_at > receipt_at + clocks_apart:
            yield photo.evidence.id, {"takenAt": photo.taken_at.isoformat()}


def place_off(view: CheckContext) -> DetectedFindings:
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


def abroad(view: CheckContext) -> DetectedFindings:
    for photo in view.photos:
        if photo.place is not None and country_hint(*photo.place) == "outside_cn_box":
            yield photo.evidence.id, {"latitude": photo.place.latitude, "longitude": photo.place.longitude}


def reused(view: CheckContext) -> DetectedFindings:
    signed = {evidence_id for evidence_id, _ in signatures(view.answers)}
    for photo in view.photos:
        if photo.evidence.id in signed:
            continue  # signature_twice says it
        for visit_id, household_id in photo.used_elsewhere:
            yield (
                photo.evidence.id,
                {"visitId": str(visit_id), "otherHousehold": household_id != view.visit.household_id},
            )


def near_duplicate(view: CheckContext) -> DetectedFindings:
    """The nearest twin alone: a picture of a visit to another home that looks the same, or of which one is a part."""
    yield from _nearest_twins(view, lambda one: one.household_id != view.visit.household_id)


def like_earlier(view: CheckContext) -> DetectedFindings:
    """As `near_duplicate`, of the same home. A wall photographed again looks so too: worth a glance, and no more."""
    yield from _nearest_twins(view, lambda one: one.household_id == view.visit.household_id)


def _nearest_twins(view: CheckContext, is_meant: Callable[[NearDuplicate], bool]) -> DetectedFindings:
    for photo in view.photos:
        nearest = next((one for one in photo.near_duplicates if is_meant(one)), None)
        if nearest is not None:
            yield (
                photo.evidence.id,
                {
                    "bits": nearest.bits,
                    "limitBits": nearest.most_bits,
                    **_changes(nearest.changed),
                    "visitId": str(nearest.visit_id),
                },
            )


def _changes(changed: Changed | None) -> Facts:
    """What was done to the one to make the other: it is read aloud, so it is told also when it is nothing."""
    if changed is None:
        return {"changes": ["none"]}
    done = {
        "cut": changed.shown_percent < _WHOLE_PERCENT,
        "mirrored": changed.is_mirrored,
        "turned": abs(changed.turned_degrees) >= _STRAIGHT_DEGREES,
    }
    told: Facts = {"changes": [one for one, is_so in done.items() if is_so] or ["none"]}
    if done["cut"]:
        told["shownPercent"] = changed.shown_percent
    return told


def without_camera(view: CheckContext) -> DetectedFindings:
    for photo in view.photos:
        if photo.evidence.state == "verified" and photo.facts.get("exif") == "none":
            yield photo.evidence.id, {}


def edited(view: CheckContext) -> DetectedFindings:
    """By the name of a program that changes pictures; a camera's own software is no doubt."""
    known = [name.lower() for name in view.rule("photo.editors")]
    for photo in view.photos:
        software = photo.facts.get("software") or ""
        if any(name in software.lower() for name in known):
            yield photo.evidence.id, {"software": software[:60]}


def like_a_screenshot(view: CheckContext) -> DetectedFindings:
    """No camera facts, and the shape of a phone's screen: perhaps a screenshot, perhaps a photo cropped.

    Older screens are as wide as cameras' own pictures: those need a frame of one colour too.
    """
    sizes = {tuple(size) for size in view.rule("photo.screen_sizes")}
    ratio = view.rule("photo.screen_ratio")
    for photo in view.photos:
        short, long = sorted((photo.facts.get("width") or 0, photo.facts.get("height") or 0))
        if not short or photo.facts.get("cameraModel") or _is_signature(view, photo):
            continue
        if long / short >= ratio or ((short, long) in sizes and photo.has_frame):
            yield photo.evidence.id, {"width": photo.facts["width"], "height": photo.facts["height"]}


def _is_signature(view: CheckContext, photo: PhotoView) -> bool:
    return any(evidence_id == photo.evidence.id for evidence_id, _ in signatures(view.answers))


def late(view: CheckContext) -> DetectedFindings:
    limit_h = view.rule("photo.late_hours")
    for photo in view.photos:
        if photo.evidence.uploaded_at is None:
            continue
        # A photo that an amendment brought was not awaited before it was announced.
        amended = view.visit.version > 1
        since = max(view.visit.received_at, photo.evidence.received_at) if amended else view.visit.received_at
        hours = (photo.evidence.uploaded_at - since) / HOUR
        if hours > limit_h:
            yield photo.evidence.id, {"hoursLate": round(hours, 1), "limitHours": limit_h}


def too_few(view: CheckContext) -> DetectedFindings:
    least = view.rule("photo.fewest")
    if view.visit.mode == "in_person" and len(view.photos) < least:
        yield None, {"photos": len(view.photos), "least": least}


def not_listed(view: CheckContext) -> DetectedFindings:
    """The answers point at pictures that the sealed manifest does not have."""
    missing = pictures(view.answers) - {photo.evidence.id for photo in view.photos}
    if missing:
        yield None, {"pictures": len(missing)}


def signature_twice(view: CheckContext) -> DetectedFindings:
    """One picture for two people's names, or a signature already used in another visit."""
    content = {photo.evidence.id: photo.evidence.sha256 for photo in view.photos}
    signed = {(content[evidence_id], name) for evidence_id, name in signatures(view.answers) if evidence_id in content}
    names = Counter(sha256 for sha256, _ in signed)
    told: set[str] = set()
    for photo in view.photos:
        sha256 = photo.evidence.sha256
        if sha256 in told or not names[sha256]:
            continue
        told.add(sha256)
        if names[sha256] > 1 or photo.used_elsewhere:
            elsewhere = {"visitId": str(photo.used_elsewhere[0][0])} if photo.used_elsewhere else {}
            yield (
                photo.evidence.id,
                {"people": names[sha256], "otherVisits": len(photo.used_elsewhere), **elsewhere},
            )


def refused(view: CheckContext) -> DetectedFindings:
    for photo in view.photos:
        if photo.evidence.state == "refused":
            yield photo.evidence.id, {"code": photo.evidence.refused_code}


def swapped(view: CheckContext) -> DetectedFindings:
    for photo in view.photos:
        if photo.mismatches:
            yield photo.evidence.id, {"times": photo.mismatches}
