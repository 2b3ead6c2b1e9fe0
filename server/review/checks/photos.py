"""Checks of photos: taken at this place and time, used once, and not edited."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from server.core.location import country_hint, distance_beyond
from server.models.evidence import PAPER_FORM
from server.review.check_context import CheckContext, PhotoContext
from server.review.checks import DetectedFindings, Facts
from server.review.checks.answers import pictures, signatures

if TYPE_CHECKING:  # it imports numpy: 10 MB that the API does not need
    from server.photos.near_duplicates import Alteration, NearDuplicate

HOUR = timedelta(hours=1)
# Smaller differences may be errors in finding the edges: the share of the picture that is shown, and its rotation.
_UNCUT_PERCENT, _UPRIGHT_DEGREES = 98, 0.5


def time_off(context: CheckContext) -> DetectedFindings:
    margin = timedelta(minutes=context.setting("visit.photo_time_margin_min"))
    start, end = context.visit.started_at, context.visit.ended_at
    for photo in _pictures_of_the_home(context):
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


def _pictures_of_the_home(context: CheckContext) -> list[PhotoContext]:
    """Leave out the form of a visit from paper: photographed at the office, later, and like every other form."""
    if context.visit.typed_by is None:
        return list(context.photos)
    return [photo for photo in context.photos if photo.evidence.question_id != PAPER_FORM]


def after_receipt(context: CheckContext) -> DetectedFindings:
    # An amendment may add photos, and has its own receipt.
    receipt_at = context.visit.submitted_at or context.visit.received_at
    clocks_apart = timedelta(minutes=context.setting("photo.after_receipt_min"))
    for photo in context.photos:
        if photo.taken_at is not None and photo.taken_at > receipt_at + clocks_apart:
            yield photo.evidence.id, {"takenAt": photo.taken_at.isoformat()}


def place_off(context: CheckContext) -> DetectedFindings:
    radius_m = context.setting("visit.photo_distance_m")
    for photo in _pictures_of_the_home(context):
        if photo.place is None or (target := context.start or context.home) is None:
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


def abroad(context: CheckContext) -> DetectedFindings:
    for photo in context.photos:
        if photo.place is not None and country_hint(*photo.place) == "outside_cn_box":
            yield photo.evidence.id, {"latitude": photo.place.latitude, "longitude": photo.place.longitude}


def reused(context: CheckContext) -> DetectedFindings:
    signed = {evidence_id for evidence_id, _ in signatures(context.answers)}
    for photo in context.photos:
        if photo.evidence.id in signed:
            continue  # `signature_twice` reports it
        for visit_id, household_id in photo.used_elsewhere:
            yield (
                photo.evidence.id,
                {"visitId": str(visit_id), "otherHousehold": household_id != context.visit.household_id},
            )


def near_duplicate(context: CheckContext) -> DetectedFindings:
    """Report the nearest duplicate from another home: a photo that looks the same, or a part of it."""
    yield from _nearest_duplicates(context, lambda other: other.household_id != context.visit.household_id)


def like_earlier(context: CheckContext) -> DetectedFindings:
    """Report the nearest duplicate from the same home. The same wall photographed again also matches: info only."""
    yield from _nearest_duplicates(context, lambda other: other.household_id == context.visit.household_id)


def _nearest_duplicates(context: CheckContext, is_meant: "Callable[[NearDuplicate], bool]") -> DetectedFindings:
    for photo in _pictures_of_the_home(context):
        nearest = next((other for other in photo.near_duplicates if is_meant(other)), None)
        if nearest is not None:
            yield (
                photo.evidence.id,
                {
                    "bits": nearest.bits,
                    "limitBits": nearest.most_bits,
                    **_changes(nearest.alteration),
                    "visitId": str(nearest.visit_id),
                },
            )


def _changes(changed: "Alteration | None") -> Facts:
    """Return what was changed between the two photos; `none` is listed too, since the sentence names it."""
    if changed is None:
        return {"changes": ["none"]}
    done = {
        "cut": changed.shown_percent < _UNCUT_PERCENT,
        "mirrored": changed.is_mirrored,
        "turned": abs(changed.turned_degrees) >= _UPRIGHT_DEGREES,
    }
    facts: Facts = {"changes": [name for name, is_so in done.items() if is_so] or ["none"]}
    if done["cut"]:
        facts["shownPercent"] = changed.shown_percent
    return facts


def without_camera(context: CheckContext) -> DetectedFindings:
    for photo in context.photos:
        if photo.evidence.state == "verified" and photo.facts.get("exif") == "none":
            yield photo.evidence.id, {}


def edited(context: CheckContext) -> DetectedFindings:
    """Report photos whose EXIF names an image editor; a camera's own software is fine."""
    editors = [name.lower() for name in context.setting("photo.editors")]
    for photo in context.photos:
        software = photo.facts.get("software") or ""
        if any(name in software.lower() for name in editors):
            yield photo.evidence.id, {"software": software[:60]}


def like_a_screenshot(context: CheckContext) -> DetectedFindings:
    """Report photos without a camera model that have the size and shape of a phone screen: a screenshot or a crop.

    Older screens have the shape of camera photos: those also need a border of one colour. What is longer or smaller
    than any screen, such as a strip cut from a picture, is none.
    """
    sizes = {tuple(size) for size in context.setting("photo.screen_sizes")}
    least, most = context.setting("photo.screen_ratio"), context.setting("photo.screen_ratio_most")
    smallest = context.setting("photo.screen_short_px")
    for photo in context.photos:
        short, long = sorted((photo.facts.get("width") or 0, photo.facts.get("height") or 0))
        if not short or photo.facts.get("cameraModel") or _is_signature(context, photo):
            continue
        is_long = short >= smallest and least <= long / short <= most
        if is_long or ((short, long) in sizes and photo.has_frame):
            yield photo.evidence.id, {"width": photo.facts["width"], "height": photo.facts["height"]}


def _is_signature(context: CheckContext, photo: PhotoContext) -> bool:
    return any(evidence_id == photo.evidence.id for evidence_id, _ in signatures(context.answers))


def late(context: CheckContext) -> DetectedFindings:
    limit_h = context.setting("photo.late_hours")
    for photo in context.photos:
        if photo.evidence.uploaded_at is None:
            continue
        # A photo that an amendment added was not expected before the amendment.
        amended = context.visit.version > 1
        since = max(context.visit.received_at, photo.evidence.received_at) if amended else context.visit.received_at
        hours = (photo.evidence.uploaded_at - since) / HOUR
        if hours > limit_h:
            yield photo.evidence.id, {"hoursLate": round(hours, 1), "limitHours": limit_h}


def too_few(context: CheckContext) -> DetectedFindings:
    least = context.setting("photo.fewest")
    if context.visit.mode == "in_person" and len(context.photos) < least:
        yield None, {"photos": len(context.photos), "least": least}


def not_listed(context: CheckContext) -> DetectedFindings:
    """Report photos that the answers refer to but the manifest does not list."""
    missing = pictures(context.answers) - {photo.evidence.id for photo in context.photos}
    if missing:
        yield None, {"pictures": len(missing)}


def signature_twice(context: CheckContext) -> DetectedFindings:
    """Report one signature picture under two names, or used in another visit."""
    hashes = {photo.evidence.id: photo.evidence.sha256 for photo in context.photos}
    signed = {(hashes[photo_id], name) for photo_id, name in signatures(context.answers) if photo_id in hashes}
    names = Counter(sha256 for sha256, _ in signed)
    reported: set[str] = set()
    for photo in context.photos:
        sha256 = photo.evidence.sha256
        if sha256 in reported or not names[sha256]:
            continue
        reported.add(sha256)
        if names[sha256] > 1 or photo.used_elsewhere:
            elsewhere = {"visitId": str(photo.used_elsewhere[0][0])} if photo.used_elsewhere else {}
            yield (
                photo.evidence.id,
                {"people": names[sha256], "otherVisits": len(photo.used_elsewhere), **elsewhere},
            )


def refused(context: CheckContext) -> DetectedFindings:
    for photo in context.photos:
        if photo.evidence.state == "refused":
            yield photo.evidence.id, {"code": photo.evidence.refused_code}


def swapped(context: CheckContext) -> DetectedFindings:
    for photo in context.photos:
        if photo.mismatches:
            yield photo.evidence.id, {"times": photo.mismatches}
