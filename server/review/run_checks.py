"""A whole visit comes to examination: every rule looks at it, and it enters the queue.

It is examined again when something that a rule looks at has changed: an amendment, the visit before it
that came later, a setting of its area, the outcome of a spot check. What is found is compared with what
stood: the same stays with what people said of it, what no longer holds becomes history.
"""

from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core import jobs
from server.core.database import open_session
from server.core.ids import new_id
from server.core.location import Fix
from server.core.services import Services
from server.core.tokens import utc_now
from server.models.evidence import Evidence, Photo
from server.models.review import SEVERITIES, Decision, Finding, ReviewItem, SeenFix, SeenPhoto, SpotCheck
from server.models.visits import ARRIVING_STATES, Attestation, Visit
from server.photos.near_duplicates import remember_marks
from server.review.check_context import LEAST_QUALITY, load_check_context, read_fix, visited_on
from server.review.checks import Facts
from server.review.checks.registry import DetectedFinding, codes_reading, reads_photos, run_checks
from server.review.tallies import fold_counts, fold_months, tally
from server.sync_feed.publish import publish_change

# Days of waiting that a finding counts for, by severity.
FINDING_DAYS = "review.finding_days"
BATCH = 500


@jobs.task("review.examine")
async def check_visit(services: Services, *, visit_id: str, codes: list[str] | None = None) -> None:
    """Safe to run again: what is found anew replaces what was found, and the item enters once.

    With `codes` only those rules look again, and only their findings change.
    """
    async with open_session(services.sessions) as session:
        visit = await _lock(session, UUID(visit_id))
        if _is_on_its_way(visit):
            return
        await _remember(session, visit)
    # Committed before others are looked at: of two visits examined at once, one at least then sees the other.
    async with open_session(services.sessions) as session:
        visit = await _lock(session, UUID(visit_id))
        if _is_on_its_way(visit):
            return
        view = await load_check_context(session, visit, with_photos=reads_photos(codes))
        fresh = await _replace_findings(session, visit, list(run_checks(view, codes)), codes, utc_now())
        await _enter_queue(session, visit, view.rule(FINDING_DAYS), utc_now())
        await session.flush()  # the tally reads the rows
        await tally(session, [visit.id])
        await _pass_on(session, visit, fresh)


async def _lock(session: AsyncSession, visit_id: UUID) -> Visit:
    """The item before the visit, as a decision locks them: the two then wait for each other and do not cross."""
    await session.get(ReviewItem, visit_id, with_for_update=True)
    return await session.get_one(Visit, visit_id, with_for_update=True)


def _is_on_its_way(visit: Visit) -> bool:
    """Amended since, and parts are missing: it is examined when they have come."""
    return visit.state == "amended" and visit.complete_at is None


async def _remember(session: AsyncSession, visit: Visit) -> None:
    """Leave for the examination of other visits what this one was: its fixes, its photos' fingerprints."""
    await session.execute(delete(SeenFix).where(SeenFix.visit_id == visit.id))
    attested = await session.scalars(
        select(Attestation).where(Attestation.visit_id == visit.id, Attestation.staff_id != visit.author_id)
    )
    told = [
        ("start", visit.author_id, read_fix(visit.document.get("startFix"))),
        ("end", visit.author_id, read_fix(visit.document.get("endFix"))),
        *(("attested", one.staff_id, read_fix(one.document.get("fix"))) for one in attested),
    ]
    fixes = {(moment, person): fix for moment, person, fix in told if fix is not None}
    session.add_all(_seen(visit, moment, person, fix) for (moment, person), fix in fixes.items())
    await _remember_photos(session, visit)
    await session.flush()  # the view reads them


async def _remember_photos(session: AsyncSession, visit: Visit) -> None:
    """What stands already stays: each row is in sixteen indices, and most examinations change none."""
    listed = [UUID(one["id"]) for one in visit.document.get("photos", [])]
    photos = await session.execute(
        select(Evidence.id, Photo)
        .join(Photo, Photo.sha256 == Evidence.sha256)
        .where(Evidence.id.in_(listed), Evidence.visit_id == visit.id)
    )
    told = [
        (evidence_id, part, photo.sha256, fingerprint)
        for evidence_id, photo in photos
        for part, fingerprint, quality in (
            ("whole", photo.fingerprint, photo.fingerprint_quality),
            ("inside", photo.inside_fingerprint, photo.inside_quality),
        )
        if fingerprint is not None and (quality or 0) >= LEAST_QUALITY
    ]
    stale = SeenPhoto.evidence_id.not_in({evidence_id for evidence_id, *_ in told})
    await session.execute(delete(SeenPhoto).where(SeenPhoto.visit_id == visit.id, stale))
    if told:
        rows = [
            {
                "evidence_id": evidence_id,
                "part": part,
                "visit_id": visit.id,
                "household_id": visit.household_id,
                "county_code": visit.area_code[:6],
                "sha256": sha256,
                "fingerprint": fingerprint,
            }
            for evidence_id, part, sha256, fingerprint in told
        ]
        fresh = await session.execute(
            insert(SeenPhoto).values(rows).on_conflict_do_nothing().returning(SeenPhoto.evidence_id, SeenPhoto.part)
        )
        await remember_marks(session, [(evidence_id, part) for evidence_id, part in fresh])


def _seen(visit: Visit, moment: str, person: UUID, fix: Fix) -> SeenFix:
    return SeenFix(
        visit_id=visit.id,
        staff_id=person,
        moment=moment,
        household_id=visit.household_id,
        area_code=visit.area_code,
        latitude=fix.latitude,
        longitude=fix.longitude,
        datum=fix.datum,
        accuracy_m=fix.accuracy_m,
        captured_at=fix.captured_at,
    )


async def _replace_findings(
    session: AsyncSession, visit: Visit, doubts: list[DetectedFinding], codes: Collection[str] | None, now: datetime
) -> list[Finding]:
    """Findings that still hold stay (with what people said of them); the others become history.

    Returns those that are new.
    """
    rows = select(Finding).where(Finding.visit_id == visit.id, Finding.superseded_at.is_(None))
    if codes is not None:
        rows = rows.where(Finding.code.in_(codes))
    standing = {_key(one): one for one in await session.scalars(rows)}
    wanted = {_key(one): one for one in doubts}
    for key, finding in standing.items():
        if key not in wanted:
            finding.superseded_at = now
    fresh = [
        Finding(
            id=new_id(),
            visit_id=visit.id,
            evidence_id=one.evidence_id,
            code=one.code,
            severity=one.severity,
            facts=one.facts,
            area_code=visit.area_code,
            visited_on=visited_on(visit) if visit.started_at else None,
        )
        for key, one in wanted.items()
        if key not in standing
    ]
    session.add_all(fresh)
    await session.flush()  # the queue's item is written from what stands now
    return fresh


def _key(one: DetectedFinding | Finding) -> tuple[str, str, str, str]:
    return one.code, one.severity, str(one.evidence_id), repr(sorted(one.facts.items()))


async def _enter_queue(session: AsyncSession, visit: Visit, days: dict[str, int], now: datetime) -> None:
    """Enter once, with the findings that stand. A visit that came again as `submitted` is to be decided again."""
    standing = (
        await session.execute(
            select(Finding.code, Finding.severity).where(Finding.visit_id == visit.id, Finding.superseded_at.is_(None))
        )
    ).all()
    values = _standing_values(standing, days)
    if visit.state not in {*ARRIVING_STATES, "under_review"}:
        await _note_findings(session, visit, values)
        return
    is_new = await session.get(ReviewItem, visit.id, with_for_update=True) is None
    if is_new:
        await session.execute(
            insert(ReviewItem).values(visit_id=visit.id, **_item_values(visit), **values, entered_at=now)
        )
    else:
        await _note_findings(session, visit, values)
    again = not is_new and await _reopen_if_due(session, visit, now)
    if visit.state in ARRIVING_STATES:
        visit.state = "under_review"
    if is_new or again:
        await session.flush()  # announce reads the new state
        _record_entry(session, visit, standing, again=again)
        await publish_change(session, "visits", [visit.id])


def _item_values(visit: Visit) -> dict[str, Any]:
    return {
        "area_code": visit.area_code,
        "kind": visit.kind,
        "household_id": visit.household_id,
        "author_id": visit.author_id,
        "state": "waiting",
        "version": 1,
    }


def _standing_values(standing: Iterable[Any], days: dict[str, int]) -> dict[str, Any]:
    rows = list(standing)
    return {
        "priority": sum(days[severity] for _, severity in rows),
        "finding_codes": sorted({code for code, _ in rows}),
        "gravest": max((SEVERITIES.index(severity) for _, severity in rows), default=-1),
    }


async def _note_findings(session: AsyncSession, visit: Visit, values: dict[str, Any]) -> None:
    item = await session.get(ReviewItem, visit.id, with_for_update=True)
    if item is not None:
        for name, value in values.items():
            setattr(item, name, value)
        item.changed_at = func.now()


async def _reopen_if_due(session: AsyncSession, visit: Visit, now: datetime) -> bool:
    """An amended visit, or one whose spot check has come back, goes before a reviewer again."""
    item = await session.get_one(ReviewItem, visit.id)
    if item.state == "amended":
        item.state, item.changed_at = "waiting", func.now()
        return True
    if item.state != "decided":
        return False
    decision = await session.scalar(
        select(Decision).where(Decision.visit_id == visit.id, Decision.undone_at.is_(None)).with_for_update()
    )
    amended = visit.state in ARRIVING_STATES
    if not amended and not await _spot_check_is_back(session, decision):
        return False
    reopen(item, decision, "amended" if amended else "spot_check", now)
    return True


async def _spot_check_is_back(session: AsyncSession, decision: Decision | None) -> bool:
    if decision is None or decision.outcome != "spot_check":
        return False
    compared = await session.scalar(
        select(SpotCheck.id).where(
            SpotCheck.visit_id == decision.visit_id,
            SpotCheck.state == "compared",
            SpotCheck.compared_at > decision.decided_at,
        )
    )
    return compared is not None


def reopen(item: ReviewItem, decision: Decision | None, why: str, now: datetime) -> None:
    """Back into the queue; the decision stays as history and stands no more."""
    if decision is not None:
        decision.undone_at, decision.undone_why = now, why
    item.state, item.holder_id, item.lease_until = "waiting", None, None
    item.entered_at, item.changed_at = now, func.now()
    item.version += 1


def _record_entry(session: AsyncSession, visit: Visit, standing: Iterable[Any], *, again: bool) -> None:
    audit.record(
        session,
        None,
        "review.entered_again" if again else "review.entered",
        "visit",
        visit.id,
        area_code=visit.area_code,
        doubts=len(list(standing)),
    )


async def _pass_on(session: AsyncSession, visit: Visit, fresh: list[Finding]) -> None:
    """Have those visits looked at again whose findings may follow from this one.

    Those that a new finding names, by the same rules, since it holds for both sides; and each investigator's next
    visit, to which this one may now be the one before. A second look passes nothing on, so this ends.
    A second visit's own outcome is for the spot checks to work out.
    """
    codes: dict[UUID, set[str]] = {}
    for finding in fresh:
        for one in _named_visits(finding.facts):
            codes.setdefault(one, set()).update(_BOTH_SIDES.get(finding.code, (finding.code,)))
    for following in await _following(session, visit):
        codes.setdefault(following, set()).add("visit.travelled_too_fast")
    # One that has no item yet is being examined at this moment, and may have missed this one.
    decided = exists().where(ReviewItem.visit_id == Visit.id, ReviewItem.state == "decided")
    undecided = select(Visit.id).where(Visit.id.in_(codes), Visit.complete_at.is_not(None), ~decided)
    for one in await session.scalars(undecided.order_by(Visit.id)):
        await jobs.defer(session, "review.look_again", visit_id=str(one), codes=sorted(codes[one]))
    if visit.kind == "spot_check":
        await jobs.defer(session, "spotchecks.compare", visit_id=str(visit.id))


async def _following(session: AsyncSession, visit: Visit) -> list[UUID]:
    """Where each investigator's phone was next, of visits that were examined: the others will see this one."""
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


# The same bytes may be a photo in one visit and a signature in the other.
_BOTH_SIDES = dict.fromkeys(("photo.reused", "signature.twice"), ("photo.reused", "signature.twice"))


def _named_visits(facts: Facts) -> set[UUID]:
    told = [facts.get("visitId"), facts.get("previousVisitId"), *facts.get("visitIds", [])]
    return {UUID(one) for one in told if one}


@jobs.task("review.look_again")
async def check_visit_again(services: Services, *, visit_id: str, codes: list[str] | None = None) -> None:
    """Some rules, or all, look at a visit again; it passes nothing on."""
    async with open_session(services.sessions) as session:
        visit = await _lock(session, UUID(visit_id))
        if _is_on_its_way(visit):
            return
        view = await load_check_context(session, visit, with_photos=reads_photos(codes))
        await _replace_findings(session, visit, list(run_checks(view, codes)), codes, utc_now())
        await _enter_queue(session, visit, view.rule(FINDING_DAYS), utc_now())


@jobs.task("review.home_changed")
async def on_home_changed(services: Services, *, household_id: str) -> None:
    """The register says something else of a home or its people: what is undecided there is looked at again."""
    async with open_session(services.sessions) as session:
        undecided = await session.scalars(
            select(ReviewItem.visit_id)
            .where(ReviewItem.household_id == UUID(household_id), ReviewItem.state != "decided")
            .order_by(ReviewItem.visit_id)
        )
        for visit_id in undecided:
            await jobs.defer(session, "review.look_again", visit_id=str(visit_id))


@jobs.task("review.fold_counts", cron="* * * * *")
async def fold(services: Services) -> None:
    """Sums of what came and went; nobody waits for it, and what is counted is right without it."""
    async with open_session(services.sessions) as session:
        await fold_counts(session)
        await fold_months(session)


@jobs.task("review.rule_changed")
async def on_rule_changed(
    services: Services, *, key: str, area_code: str, effective_from: str, beyond: str | None = None
) -> None:
    """A setting has another value from a day on: the rules that read it look again at what is undecided there.

    Goes on in batches, each in a job of its own.
    """
    codes = codes_reading(key)
    async with open_session(services.sessions) as session:
        rows = (
            select(Visit)
            .join(ReviewItem, ReviewItem.visit_id == Visit.id)
            .where(ReviewItem.state != "decided", ReviewItem.area_code.startswith(area_code, autoescape=True))
            .order_by(Visit.id)
            .limit(BATCH)
        )
        if beyond is not None:
            rows = rows.where(Visit.id > UUID(beyond))
        visits = list(await session.scalars(rows)) if codes or key == FINDING_DAYS else []
        for visit in visits:
            if visited_on(visit) >= date.fromisoformat(effective_from):
                await jobs.defer(session, "review.look_again", visit_id=str(visit.id), codes=codes)
        if len(visits) == BATCH:
            last = str(visits[-1].id)
            await jobs.defer(
                session,
                "review.rule_changed",
                key=key,
                area_code=area_code,
                effective_from=effective_from,
                beyond=last,
            )
