"""Checks of presence: compare fixes with the home, with other fixes and with the clock."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from server.core.clock import CHINA
from server.core.location import Fix, distance_beyond, distance_m, least_speed_mps, same_fix, usable_fix
from server.models.review import SeenFix
from server.review.check_context import MOST_OTHERS, CheckContext
from server.review.checks import DetectedFindings

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)


def far_from_home(context: CheckContext) -> DetectedFindings:
    radius_m = context.setting("visit.home_radius_m")
    for moment, fix in _fixes(context):
        if context.home is None:
            return
        beyond = distance_beyond(fix, context.home, radius_m)
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


def _fixes(context: CheckContext) -> Iterator[tuple[str, Fix]]:
    for moment, fix in (("start", context.start), ("end", context.end)):
        if fix is not None:
            yield moment, fix


def accuracy_doubtful(context: CheckContext) -> DetectedFindings:
    for moment, fix in _fixes(context):
        reported = context.visit.document[f"{moment}Fix"].get("accuracyM")
        if not reported:
            yield None, {"moment": moment, "accuracyM": fix.accuracy_m}


def without_fix(context: CheckContext) -> DetectedFindings:
    """Report each fix that was left out for a reason, which stands in the visit or in the attestation."""
    document = context.visit.document
    if context.visit.mode == "in_person" and document.get("noFixReason", "").strip():
        for moment in ("start", "end"):
            if document.get(f"{moment}Fix") is None:
                yield None, {"moment": moment}
    for attestation in context.attestations:
        given = attestation.document
        if given.get("fix") is None and given.get("noFixReason", "").strip():
            yield None, {"moment": "attestation", "staffId": str(attestation.staff_id)}


def same_accuracy(context: CheckContext) -> DetectedFindings:
    """Real accuracies vary; a tool that fakes the location often repeats one value."""
    fewest = context.setting("visit.same_accuracy_fixes")
    accuracies = {fix.accuracy_m for fix in context.author_fixes}
    visits = {fix.visit_id for fix in context.author_fixes}
    if len(context.author_fixes) >= fewest and len(accuracies) == 1 and None not in accuracies and len(visits) > 1:
        yield None, {"fixes": fewest, "accuracyM": accuracies.pop()}


def same_coordinates(context: CheckContext) -> DetectedFindings:
    """Report each other visit once. WeChat returns a cached fix for 30 s, so a repeat within a minute is normal."""
    repeat_s = context.setting("visit.repeated_fix_s")
    others = sorted(context.fixes_at_same_coordinates, key=_by_visit)
    for visit_id, group in groupby(others, key=lambda fix: fix.visit_id):
        pairs = [
            (moment, fix, other)
            for other in group
            for moment, fix in _fixes(context)
            if same_fix(fix, _as_fix(other), repeat_s=repeat_s)
        ]
        if pairs:
            moment, fix, other = pairs[0]
            yield (
                None,
                {
                    "moment": moment,
                    "hoursApart": _hours(fix.captured_at, other.captured_at),
                    "visitId": str(visit_id),
                    "otherHousehold": other.household_id != context.household.id,
                },
            )


def same_spot(context: CheckContext) -> DetectedFindings:
    """Report two homes visited from one spot: a faked location, moved by a few metres each time.

    The homes lie further apart than a multiple of both accuracies, and further than two homes behind one gate may be
    registered. Each other visit is reported once, unless `same_coordinates` reports it already.
    """
    within_m, times = context.setting("visit.same_spot_m"), context.setting("visit.same_spot_accuracies")
    least_m = context.setting("visit.same_spot_homes_m")
    reported = {fix.visit_id for fix in context.fixes_at_same_coordinates}
    for moment, fix in _fixes(context):
        for other, home in context.fixes_at_same_spot:
            apart_m = distance_m(fix, _as_fix(other))
            if context.home is None or other.visit_id in reported or not 0 < apart_m <= within_m:
                continue
            homes_m = distance_m(context.home, home)
            explained_m = times * ((fix.accuracy_m or 0) + (other.accuracy_m or 0)) + within_m
            if homes_m > max(explained_m, least_m):
                reported.add(other.visit_id)
                yield (
                    None,
                    {
                        "moment": moment,
                        "distanceM": round(apart_m, 1),
                        "homesM": round(homes_m),
                        "visitId": str(other.visit_id),
                    },
                )


def _by_visit(fix: SeenFix) -> tuple[str, datetime]:
    return str(fix.visit_id), fix.captured_at


def _as_fix(seen: SeenFix) -> Fix:
    return Fix(
        latitude=seen.latitude,
        longitude=seen.longitude,
        datum=seen.datum,  # type: ignore[arg-type]  # copied from a Fix
        accuracy_m=seen.accuracy_m,
        captured_at=seen.captured_at,
    )


def _hours(first: datetime, second: datetime) -> float:
    return round(abs(first - second) / HOUR, 1)


def partners_apart(context: CheckContext) -> DetectedFindings:
    limit_m = context.setting("visit.partner_distance_m")
    for attestation in context.attestations:
        fix = usable_fix(attestation.document.get("fix"))
        if fix is None or context.start is None or attestation.staff_id == context.visit.author_id:
            continue
        beyond = distance_beyond(fix, context.start, limit_m)
        if beyond.beyond_m > 0:
            yield (
                None,
                {"distanceM": round(beyond.distance_m), "limitM": limit_m, "staffId": str(attestation.staff_id)},
            )


def travelled_too_fast(context: CheckContext) -> DetectedFindings:
    """Report impossible speeds between an investigator's last fix before the visit and their first fix in it.

    The author's journey counts first; each earlier visit is reported once.
    """
    limit_kmh = context.setting("visit.fastest_kmh")
    reported: set[UUID] = set()
    for journey in context.journeys:
        before, here = _as_fix(journey.before), _as_fix(journey.here)
        speed_kmh = least_speed_mps(before, here) * 3.6
        if speed_kmh > limit_kmh and journey.before.visit_id not in reported:
            reported.add(journey.before.visit_id)
            yield (
                None,
                {
                    "speedKmh": round(min(speed_kmh, 99_999)),
                    "limitKmh": limit_kmh,
                    "distanceM": round(distance_m(before, here)),
                    "previousVisitId": str(journey.before.visit_id),
                    "staffId": str(journey.here.staff_id),
                },
            )


def too_short(context: CheckContext) -> DetectedFindings:
    limit_min = context.setting("visit.shortest_min")
    if context.visit.started_at and context.visit.ended_at:
        minutes = (context.visit.ended_at - context.visit.started_at) / MINUTE
        if 0 <= minutes < limit_min:
            yield None, {"minutes": round(minutes, 1), "leastMinutes": limit_min}


def at_night(context: CheckContext) -> DetectedFindings:
    if context.visit.started_at is None:
        return
    hour = context.visit.started_at.astimezone(CHINA).hour
    if not context.setting("visit.earliest_hour") <= hour < context.setting("visit.latest_hour"):
        yield None, {"hour": hour}


def burst(context: CheckContext) -> DetectedFindings:
    """Report too many visits by one author, in the fullest period that contains this visit's start."""
    most, minutes = context.setting("visit.burst_most"), context.setting("visit.burst_minutes")
    begun = context.visit.started_at
    if begun is None:
        return
    starts = [
        (visit.started_at, visit.id)
        for visit in [*context.nearby_visits, context.visit]
        if visit.author_id == context.visit.author_id and visit.started_at is not None
    ]
    width = timedelta(minutes=minutes)
    periods = [
        [start for start in starts if first <= start[0] <= first + width]
        for first, _ in sorted(starts)
        if begun - width <= first <= begun
    ]
    fullest = max(periods, key=len)
    if len(fullest) > most:
        others = sorted(str(visit_id) for _, visit_id in fullest if visit_id != context.visit.id)
        yield None, {"visits": len(fullest), "minutes": minutes, "most": most, "visitIds": others[:MOST_OTHERS]}


def overlaps(context: CheckContext) -> DetectedFindings:
    """Report another visit of the same investigators at the same time.

    The visits must overlap both by the phones' own clocks and with their known offsets corrected.
    """
    least_min = context.setting("visit.overlap_min")
    begun, ended = context.visit.started_at, context.visit.ended_at
    for other in context.nearby_visits:
        if begun is None or ended is None or other.started_at is None or other.ended_at is None:
            continue
        off = context.clock_offset(context.visit) - context.clock_offset(other)
        shared_min = min(
            (min(ended - shift, other.ended_at) - max(begun - shift, other.started_at)) / MINUTE
            for shift in (timedelta(), off)
        )
        if shared_min > least_min:
            yield None, {"sharedMinutes": round(shared_min, 1), "visitId": str(other.id)}


def clock_off(context: CheckContext) -> DetectedFindings:
    limit_s = context.setting("visit.clock_offset_max_s")
    device = context.devices.get(context.visit.device_id)
    if device is not None and device.clock_offset_ms is not None and abs(device.clock_offset_ms) > limit_s * 1000:
        yield (
            None,
            {
                "direction": "ahead" if device.clock_offset_ms > 0 else "behind",
                "hoursOff": round(abs(device.clock_offset_ms) / 3_600_000, 2),
                "limitS": limit_s,
            },
        )


def long_offline(context: CheckContext) -> DetectedFindings:
    limit_days = context.setting("visit.offline_days_max")
    if context.visit.ended_at is not None:
        days = (context.visit.received_at - context.visit.ended_at) / DAY
        if days > limit_days:
            yield None, {"days": round(days, 1), "limitDays": limit_days}


def from_paper(context: CheckContext) -> DetectedFindings:
    """Report a visit that an officer entered from a paper form. Nothing of it was measured at the home."""
    visit = context.visit
    if visit.typed_by is not None and visit.ended_at is not None:
        yield None, {"staffId": str(visit.typed_by), "days": round((visit.received_at - visit.ended_at) / DAY, 1)}


def late_after_reassignment(context: CheckContext) -> DetectedFindings:
    if context.visit.late_after_reassignment:
        yield None, {}
