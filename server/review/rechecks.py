"""Which undecided visits are checked again after a change, as jobs: a new visit, a household's record, a setting."""

from uuid import UUID

import msgspec
from sqlalchemy import exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.database import open_session
from server.core.job_types import CompareVisits, RecheckAfterSetting, RecheckHousehold, RecheckVisit
from server.core.services import Services
from server.models.review import Finding, ReviewItem, SeenFix
from server.models.visits import Visit
from server.review.check_context import visited_on
from server.review.checks import Facts
from server.review.checks.registry import codes_using_setting
from server.review.queue_entry import FINDING_DAYS

BATCH = 500


async def recheck_related_visits(session: AsyncSession, visit: Visit, new_findings: list[Finding]) -> None:
    """Defer rechecks of undecided visits whose findings may follow from this visit.

    These are the visits that a new finding names, by the same checks, since it holds for both sides, and each
    investigator's next visit, whose last fix before may now be this visit's. A recheck causes no further rechecks, so
    this ends. A second visit is also compared with the first, by the spot checks' own job.
    """
    codes: dict[UUID, set[str]] = {}
    for finding in new_findings:
        for visit_id in _named_visits(finding.facts):
            codes.setdefault(visit_id, set()).update(_BOTH_SIDES.get(finding.code, (finding.code,)))
    for visit_id in await _next_visits(session, visit):
        codes.setdefault(visit_id, set()).add("visit.travelled_too_fast")
    # A complete visit without an item is being checked at this moment, and may have missed this one.
    decided = exists().where(ReviewItem.visit_id == Visit.id, ReviewItem.state == "decided")
    undecided = select(Visit.id).where(Visit.id.in_(codes), Visit.complete_at.is_not(None), ~decided)
    for visit_id in await session.scalars(undecided.order_by(Visit.id)):
        await jobs.defer(session, RecheckVisit(visit_id=visit_id, codes=sorted(codes[visit_id])))
    if visit.kind == "spot_check":
        await jobs.defer(session, CompareVisits(visit_id=visit.id))


# The same bytes may be a photo in one visit and a signature in the other.
_BOTH_SIDES = dict.fromkeys(("photo.reused", "signature.twice"), ("photo.reused", "signature.twice"))


def _named_visits(facts: Facts) -> set[UUID]:
    ids = [facts.get("visitId"), facts.get("previousVisitId"), *facts.get("visitIds", [])]
    return {UUID(visit_id) for visit_id in ids if visit_id}


async def _next_visits(session: AsyncSession, visit: Visit) -> list[UUID]:
    """Return each investigator's next visit among those checked already; the others will read this visit's traces."""
    own = (
        select(SeenFix.staff_id, func.max(SeenFix.captured_at).label("last"))
        .where(SeenFix.visit_id == visit.id)
        .group_by(SeenFix.staff_id)
        .subquery()
    )
    after = (
        select(SeenFix.visit_id)
        .where(SeenFix.staff_id == own.c.staff_id, SeenFix.captured_at > own.c.last, SeenFix.visit_id != visit.id)
        .order_by(SeenFix.captured_at)
        .limit(1)
        .lateral()
    )
    return list(await session.scalars(select(after.c.visit_id).distinct().select_from(own).join(after, true())))


@jobs.task(RecheckHousehold)
async def on_household_changed(services: Services, job: RecheckHousehold) -> None:
    """Recheck the undecided visits of a household whose record or members changed."""
    async with open_session(services.sessions) as session:
        undecided = await session.scalars(
            select(ReviewItem.visit_id)
            .where(ReviewItem.household_id == job.household_id, ReviewItem.state != "decided")
            .order_by(ReviewItem.visit_id)
        )
        for visit_id in undecided:
            await jobs.defer(session, RecheckVisit(visit_id=visit_id))


@jobs.task(RecheckAfterSetting)
async def on_setting_changed(services: Services, job: RecheckAfterSetting) -> None:
    """Recheck undecided visits, by the checks that use a setting, from the day on which its new value applies.

    Continues in batches, each in its own job.
    """
    codes = codes_using_setting(job.key)
    async with open_session(services.sessions) as session:
        rows = (
            select(Visit)
            .join(ReviewItem, ReviewItem.visit_id == Visit.id)
            .where(ReviewItem.state != "decided", ReviewItem.area_code.startswith(job.area_code, autoescape=True))
            .order_by(Visit.id)
            .limit(BATCH)
        )
        if job.beyond is not None:
            rows = rows.where(Visit.id > job.beyond)
        visits = list(await session.scalars(rows)) if codes or job.key == FINDING_DAYS else []
        for visit in visits:
            if visited_on(visit) >= job.effective_from:
                await jobs.defer(session, RecheckVisit(visit_id=visit.id, codes=codes))
        if len(visits) == BATCH:
            await jobs.defer(session, msgspec.structs.replace(job, beyond=visits[-1].id))
