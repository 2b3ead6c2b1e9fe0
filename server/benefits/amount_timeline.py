"""What a case is paid from which month to which: one line of spans without gaps or overlaps.

A decision counts from its month on, over everything that was decided before it. So a cut that a stop overtakes before
its month was never paid, and stands among the decisions that had no effect, as does one that changes nothing.
"""

from collections.abc import Collection, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.http import ResponseBody
from server.models.benefits import BenefitChange


class AmountSpan(ResponseBody):
    """An amount each month, from a month until before another; `until_month` is null for what goes on.

    `before_fen`: the month before it. `kind` and `reason` are of the decision that begins the span, which explains the
    difference.
    """

    change_id: UUID
    kind: str
    from_month: date
    until_month: date | None
    before_fen: int
    amount_fen: int
    reason: str
    decided_on: date


class OvertakenDecision(ResponseBody):
    """A decision that changed nothing: a later one counts from its month or earlier, or the amount stayed as it was."""

    change_id: UUID
    kind: str
    month: date
    amount_fen: int
    decided_on: date


class AmountTimeline(NamedTuple):
    spans: list[AmountSpan]
    overtaken: list[OvertakenDecision]


def build_timeline(changes: Sequence[BenefitChange]) -> AmountTimeline:
    """Build the line from a case's decisions, in the order they were made."""
    effective: list[BenefitChange] = []
    for change in changes:
        effective = [earlier for earlier in effective if earlier.month < change.month]
        # A raise that was undone before its month leaves the amount as it was: nothing begins there.
        if not (effective and effective[-1].amount_fen == change.amount_fen):
            effective.append(change)
    spans: list[AmountSpan] = []
    for place, change in enumerate(effective):
        following = effective[place + 1] if place + 1 < len(effective) else None
        spans.append(
            AmountSpan(
                change_id=change.id,
                kind=change.kind,
                from_month=change.month,
                until_month=following.month if following else None,
                before_fen=spans[-1].amount_fen if spans else 0,
                amount_fen=change.amount_fen,
                reason=change.reason,
                decided_on=change.decided_on,
            )
        )
    counted = {change.id for change in effective}
    overtaken = [
        OvertakenDecision(
            change_id=change.id,
            kind=change.kind,
            month=change.month,
            amount_fen=change.amount_fen,
            decided_on=change.decided_on,
        )
        for change in changes
        if change.id not in counted
    ]
    return AmountTimeline(spans, overtaken)


def amount_to_show(spans: Sequence[AmountSpan], today: date) -> int | None:
    """Return what is paid today, what will be paid first, or what was paid last; None when nothing ever is."""
    begun = [span for span in spans if span.from_month <= today and span.amount_fen]
    paid_now = [span for span in begun if span.until_month is None or span.until_month > today]
    to_come = [span for span in spans if span.from_month > today and span.amount_fen]
    shown = paid_now or to_come[:1] or begun[-1:]
    return shown[0].amount_fen if shown else None


async def load_timelines(session: AsyncSession, case_ids: Collection[UUID]) -> dict[UUID, AmountTimeline]:
    """Return the timeline of each case that has a decision. One query."""
    changes: dict[UUID, list[BenefitChange]] = {}
    rows = await session.scalars(
        select(BenefitChange).where(BenefitChange.case_id.in_(case_ids)).order_by(BenefitChange.id)
    )
    for change in rows:
        changes.setdefault(change.case_id, []).append(change)
    return {case_id: build_timeline(of_case) for case_id, of_case in changes.items()}
