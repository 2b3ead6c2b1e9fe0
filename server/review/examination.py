"""A whole visit comes to examination: every rule looks at it once, and it enters the queue."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.database import open_session
from server.core.ids import new_id
from server.core.services import Services
from server.core.tokens import utc_now
from server.models import audit
from server.models.feed import announce
from server.models.review import Finding, ReviewItem
from server.models.visits import Visit
from server.review.rules import RULES, Facts
from server.review.view import VisitView, view_visit

# What a finding adds to the visit's place in the queue.
WEIGHTS = {"info": 0, "notice": 1, "warning": 5, "critical": 25}


class Doubt(Struct, frozen=True):
    code: str
    severity: str
    evidence_id: UUID | None
    facts: Facts


@jobs.task("review.examine")
async def examine_visit(services: Services, *, visit_id: str) -> None:
    """Safe to run again: what is found anew replaces what was found, and the item enters once."""
    async with open_session(services.sessions) as session:
        visit = await session.get_one(Visit, UUID(visit_id), with_for_update=True)
        doubts = find_doubts(await view_visit(session, visit))
        await _replace_findings(session, visit, doubts, utc_now())
        await _enter_queue(session, visit, doubts, utc_now())


def find_doubts(view: VisitView) -> list[Doubt]:
    return [
        Doubt(rule.code, rule.severity, evidence_id, facts) for rule in RULES for evidence_id, facts in rule.find(view)
    ]


async def _replace_findings(session: AsyncSession, visit: Visit, doubts: list[Doubt], now: datetime) -> None:
    """Findings that still hold stay (with what people said of them); the others become history."""
    standing = {
        _key(one.code, one.evidence_id, one.facts): one
        for one in await session.scalars(
            select(Finding).where(Finding.visit_id == visit.id, Finding.superseded_at.is_(None))
        )
    }
    wanted = {_key(one.code, one.evidence_id, one.facts): one for one in doubts}
    for key, finding in standing.items():
        if key not in wanted:
            finding.superseded_at = now
    session.add_all(
        Finding(
            id=new_id(),
            visit_id=visit.id,
            evidence_id=one.evidence_id,
            code=one.code,
            severity=one.severity,
            facts=one.facts,
        )
        for key, one in wanted.items()
        if key not in standing
    )


def _key(code: str, evidence_id: UUID | None, facts: Facts) -> tuple[str, str, str]:
    return code, str(evidence_id), repr(sorted(facts.items()))


async def _enter_queue(session: AsyncSession, visit: Visit, doubts: list[Doubt], now: datetime) -> None:
    priority = sum(WEIGHTS[one.severity] for one in doubts)
    entered = await session.scalar(
        insert(ReviewItem)
        .values(
            visit_id=visit.id,
            area_code=visit.area_code,
            kind=visit.kind,
            state="waiting",
            priority=priority,
            entered_at=now,
            version=1,
        )
        .on_conflict_do_update(
            index_elements=["visit_id"],
            set_={"priority": priority},
            where=ReviewItem.state != "decided",
        )
        .returning(ReviewItem.visit_id)
    )
    if entered is not None and visit.state == "submitted":
        visit.state = "under_review"
        await session.flush()  # announce reads the new state
        audit.record(
            session,
            None,
            "review.entered",
            "visit",
            visit.id,
            area_code=visit.area_code,
            priority=priority,
            doubts=len(doubts),
        )
        await announce(session, "visits", [visit.id])
