"""Checks of visits that nobody ordered: they count like any other, and the reviewer sees what is unusual of them."""

from server.review.check_context import CheckContext
from server.review.checks import DetectedFindings


def kind_needs_order(context: CheckContext) -> DetectedFindings:
    """Report a kind of visit that the area wants ordered. The phone may not have known: the visit is taken."""
    visit = context.visit
    if visit.assignment_id is None and visit.kind not in context.setting("visit.unordered_kinds"):
        yield None, {"kind": visit.kind}


def unordered_without_reason(context: CheckContext) -> DetectedFindings:
    visit = context.visit
    if visit.assignment_id is None and not visit.document.get("unorderedReason", "").strip():
        yield None, {}
