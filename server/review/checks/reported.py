"""Checks of what a phone reports of itself: its clock, its sensors, and the household that it carried."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from server.core.location import implausible_readings
from server.review.check_context import CheckContext, field_bounds
from server.review.checks import DetectedFindings


def time_implausible(context: CheckContext) -> DetectedFindings:
    """Report each time that the area does not believe. Dates are then counted from the time of receipt."""
    visit = context.visit
    for moment, reported, received_at in _reported_times(context):
        if _is_implausible(context, reported, received_at):
            yield None, {"moment": moment, "reportedAt": reported, "receivedAt": visit.received_at.isoformat()}


def _reported_times(context: CheckContext) -> Iterator[tuple[str, str | None, datetime]]:
    visit, document = context.visit, context.visit.document
    for moment, field, fix in (("start", "startedAt", "startFix"), ("end", "endedAt", "endFix")):
        yield moment, document.get(field), visit.received_at
        yield f"{moment}_fix", (document.get(fix) or {}).get("capturedAt"), visit.received_at
    yield "amendment", (document.get("amendment") or {}).get("amendedAt"), visit.submitted_at or visit.received_at
    for attestation in context.attestations:
        attested = attestation.document
        yield "attestation", attested.get("attestedAt"), attestation.received_at
        yield "attestation_fix", (attested.get("fix") or {}).get("capturedAt"), attestation.received_at


def _is_implausible(context: CheckContext, reported: str | None, received_at: datetime) -> bool:
    if reported is None:
        return False
    return not field_bounds(context.settings, received_at).contain(msgspec.convert(reported, datetime))


def photo_time_implausible(context: CheckContext) -> DetectedFindings:
    for photo in context.photos:
        reported = photo.evidence.document.get("capturedAt")
        if _is_implausible(context, reported, photo.evidence.received_at):
            yield photo.evidence.id, {"reportedAt": reported, "receivedAt": photo.evidence.received_at.isoformat()}


def times_inverted(context: CheckContext) -> DetectedFindings:
    """Report a clock that was set back during the visit: it ends before it starts."""
    start, end = (context.visit.document.get(field) for field in ("startedAt", "endedAt"))
    if start is not None and end is not None:
        earlier_s = (msgspec.convert(start, datetime) - msgspec.convert(end, datetime)).total_seconds()
        if earlier_s > 0:
            yield None, {"hoursApart": round(earlier_s / 3600, 4)}


def reading_implausible(context: CheckContext) -> DetectedFindings:
    """Report what no sensor can give; such a reading counts as unknown in every other check."""
    for moment, fix in _reported_fixes(context):
        for name, value in implausible_readings(fix or {}).items():
            yield None, {"moment": moment, "reading": name, "reported": value}


def _reported_fixes(context: CheckContext) -> Iterator[tuple[str, dict[str, Any] | None]]:
    yield "start", context.visit.document.get("startFix")
    yield "end", context.visit.document.get("endFix")
    for attestation in context.attestations:
        yield "attestation", attestation.document.get("fix")
    for answer in context.answers.values():
        if isinstance(answer, dict) and "datum" in answer:
            yield "answer", answer


def household_changed(context: CheckContext) -> DetectedFindings:
    """Report a visit whose phone carried the household as it was before the desk changed it."""
    if context.members_then is None:
        return
    then, now = {member.id for member in context.members_then}, {member.id for member in context.members}
    version = context.visit.household_version
    yield None, {"householdVersion": version, "joined": len(now - then), "left": len(then - now)}
