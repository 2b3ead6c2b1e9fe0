"""Was somebody there: fixes against the home, against other fixes, and against the clock."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

import msgspec

from server.core.location import Fix, distance_beyond, distance_m, least_speed_mps, same_fix
from server.models.review import SeenFix
from server.review.check_context import CHINA, MOST_OTHERS, CheckContext
from server.review.checks import DetectedFindings

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)


def far_from_home(view: CheckContext) -> DetectedFindings:
    radius_m = view.rule("visit.home_radius_m")
    for moment, fix in _fixes(view):
        if view.home is None:
            return
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


def _fixes(view: CheckContext) -> Iterator[tuple[str, Fix]]:
    for moment, fix in (("start", view.start), ("end", view.end)):
        if fix is not None:
            yield moment, fix


def accuracy_doubtful(view: CheckContext) -> DetectedFindings:
    for moment, fix in _fixes(view):
        if not fix.accuracy_m:
            yield None, {"moment": moment, "accuracyM": fix.accuracy_m}


def same_accuracy(view: CheckContext) -> DetectedFindings:
    """Real accuracies wander; a tool that sets the place often leaves one figure."""
    wanted = view.rule("visit.same_accuracy_fixes")
    told = {one.accuracy_m for one in view.author_fixes}
    visits = {one.visit_id for one in view.author_fixes}
    if len(view.author_fixes) >= wanted and len(told) == 1 and None not in told and len(visits) > 1:
        yield None, {"fixes": wanted, "accuracyM": told.pop()}


def same_coordinates(view: CheckContext) -> DetectedFindings:
    """One doubt for each other visit. WeChat hands out a fix again for 30 s: within a minute it is normal."""
    repeat_s = view.rule("visit.repeated_fix_s")
    for visit_id, group in groupby(sorted(view.same_place, key=_by_visit), key=lambda one: one.visit_id):
        pairs = [
            (moment, fix, other)
            for other in group
            for moment, fix in _fixes(view)
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
                    "otherHousehold": other.household_id != view.household.id,
                },
            )


def same_spot(view: CheckContext) -> DetectedFindings:
    """Two homes visited from one spot: a place set by a tool and moved by a few metres each time.

    The homes lie further apart than so many times the accuracies of both fixes, and than two homes behind one gate may
    be registered; one doubt for each other visit, of which `same_coordinates` does not tell already.
    """
    within_m, times = view.rule("visit.same_spot_m"), view.rule("visit.same_spot_accuracies")
    least_m = view.rule("visit.same_spot_homes_m")
    told = {one.visit_id for one in view.same_place}
    for moment, fix in _fixes(view):
        for other, home in view.same_spot:
            apart_m = distance_m(fix, _as_fix(other))
            if view.home is None or other.visit_id in told or not 0 < apart_m <= within_m:
                continue
            homes_m = distance_m(view.home, home)
            explained_m = times * ((fix.accuracy_m or 0) + (other.accuracy_m or 0)) + within_m
            if homes_m > max(explained_m, least_m):
                told.add(other.visit_id)
                yield (
                    None,
                    {
                        "moment": moment,
                        "distanceM": round(apart_m, 1),
                        "homesM": round(homes_m),
                        "visitId": str(other.visit_id),
                    },
                )


def _by_visit(one: SeenFix) -> tuple[str, datetime]:
    return str(one.visit_id), one.captured_at


def _as_fix(seen: SeenFix) -> Fix:
    return Fix(
        latitude=seen.latitude,
        longitude=seen.longitude,
        datum=seen.datum,  # type: ignore[arg-type]  # copied from a Fix
        accuracy_m=seen.accuracy_m,
        captured_at=seen.captured_at,
    )


def _hours(one: datetime, other: datetime) -> float:
    return round(abs(one - other) / HOUR, 1)


def partners_apart(view: CheckContext) -> DetectedFindings:
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


def travelled_too_fast(view: CheckContext) -> DetectedFindings:
    """Each investigator from wherever their own phone was last, the author first; one doubt for each visit before."""
    limit_kmh = view.rule("visit.fastest_kmh")
    told: set[UUID] = set()
    for one in view.journeys:
        before, here = _as_fix(one.before), _as_fix(one.here)
        speed_kmh = least_speed_mps(before, here) * 3.6
        if speed_kmh > limit_kmh and one.before.visit_id not in told:
            told.add(one.before.visit_id)
            yield (
                None,
                {
                    "speedKmh": round(min(speed_kmh, 99_999)),
                    "limitKmh": limit_kmh,
                    "distanceM": round(distance_m(before, here)),
                    "previousVisitId": str(one.before.visit_id),
                    "staffId": str(one.here.staff_id),
                },
            )


def too_short(view: CheckContext) -> DetectedFindings:
    least_min = view.rule("visit.shortest_min")
    if view.visit.started_at and view.visit.ended_at:
        minutes = (view.visit.ended_at - view.visit.started_at) / MINUTE
        if minutes < least_min:
            yield None, {"minutes": round(minutes, 1), "leastMinutes": least_min}


def at_night(view: CheckContext) -> DetectedFindings:
    if view.visit.started_at is None:
        return
    hour = view.visit.started_at.astimezone(CHINA).hour
    if not view.rule("visit.earliest_hour") <= hour < view.rule("visit.latest_hour"):
        yield None, {"hour": hour}


def burst(view: CheckContext) -> DetectedFindings:
    """Of the stretches of time that hold this visit's start, the fullest: too many visits by one author."""
    most, minutes = view.rule("visit.burst_most"), view.rule("visit.burst_minutes")
    begun = view.visit.started_at
    if begun is None:
        return
    starts = [
        (one.started_at, one.id)
        for one in [*view.nearby, view.visit]
        if one.author_id == view.visit.author_id and one.started_at is not None
    ]
    width = timedelta(minutes=minutes)
    stretches = [
        [one for one in starts if first <= one[0] <= first + width]
        for first, _ in sorted(starts)
        if begun - width <= first <= begun
    ]
    fullest = max(stretches, key=len)
    if len(fullest) > most:
        others = sorted(str(visit_id) for _, visit_id in fullest if visit_id != view.visit.id)
        yield None, {"visits": len(fullest), "minutes": minutes, "most": most, "visitIds": others[:MOST_OTHERS]}


def overlaps(view: CheckContext) -> DetectedFindings:
    """Another visit that names one of the same people was under way at the same time.

    Neither by the two phones' clocks nor by the server's, as far as it knows how those are off.
    """
    least_min = view.rule("visit.overlap_min")
    begun, ended = view.visit.started_at, view.visit.ended_at
    for other in view.nearby:
        if begun is None or ended is None or other.started_at is None or other.ended_at is None:
            continue
        off = view.clock_off(view.visit) - view.clock_off(other)
        shared_min = min(
            (min(ended - shift, other.ended_at) - max(begun - shift, other.started_at)) / MINUTE
            for shift in (timedelta(), off)
        )
        if shared_min > least_min:
            yield None, {"sharedMinutes": round(shared_min, 1), "visitId": str(other.id)}


def clock_off(view: CheckContext) -> DetectedFindings:
    limit_s = view.rule("visit.clock_offset_max_s")
    device = view.devices.get(view.visit.device_id)
    if device is not None and device.clock_offset_ms is not None and abs(device.clock_offset_ms) > limit_s * 1000:
        yield (
            None,
            {
                "direction": "ahead" if device.clock_offset_ms > 0 else "behind",
                "hoursOff": round(abs(device.clock_offset_ms) / 3_600_000, 2),
                "limitS": limit_s,
            },
        )


def long_offline(view: CheckContext) -> DetectedFindings:
    limit_days = view.rule("visit.offline_days_max")
    if view.visit.ended_at is not None:
        days = (view.visit.received_at - view.visit.ended_at) / DAY
        if days > limit_days:
            yield None, {"days": round(days, 1), "limitDays": limit_days}


def late_after_reassignment(view: CheckContext) -> DetectedFindings:
    if view.visit.late_after_reassignment:
        yield None, {}
