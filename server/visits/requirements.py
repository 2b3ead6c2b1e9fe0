"""What a submission needs: its home, its investigators, presence, photos and answers.

The law asks for at least two investigators, both at the home; by phone or video only in an emergency
(docs/domain.md#home-visit). What a phone can't help, such as its clock or a household that the desk changed meanwhile,
is no reason to refuse a visit: it is taken, and a finding marks it.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from uuid import UUID

from server.checklists.answers import validate_answers
from server.checklists.facts import Facts, HouseholdFacts, MemberFacts
from server.checklists.template import Template, iter_questions
from server.core.ages import age_on
from server.core.device_times import FIRST_DAY, TimeBounds, bound_times
from server.core.errors import Fault, Problem
from server.core.working_days import day_of
from server.sync_feed.documents import VisitDocument
from server.visits.statements import Context, Hold, HouseholdState

INVESTIGATORS_AT_LEAST = 2
# Questions that a paper form can't answer.
NOT_ON_PAPER = frozenset({"geopoint", "photo", "signature"})
# How long a phone may carry a household before a visit without hearing of its changes.
CARRIED_AT_MOST = timedelta(days=60)


def check_draft(context: Context, document: VisitDocument, now: datetime) -> None:
    hold = context.holds.get(document.household_id)
    if hold is None or _started_after_loss(context, hold, document, now):
        raise Problem("visit.household_unknown")
    checklist = context.checklists.get((document.checklist_code, document.checklist_version))
    if checklist is None or checklist.kind != document.kind:
        raise Problem("visit.checklist_unknown")


def _started_after_loss(context: Context, hold: Hold, document: VisitDocument, now: datetime) -> bool:
    """The visit's clock is the phone's: it may be ahead by what was measured, or by what the area allows.

    Of a time that nobody can believe, nothing follows: the visit is taken and marked.
    """
    started_at = document.started_at
    if hold.revoked_at is None or started_at is None or not time_bounds(hold, now).contain(started_at):
        return False
    ahead = max(context.clock_ahead, timedelta(minutes=hold.settings.clock_ahead_min))
    return started_at - hold.revoked_at > ahead


def time_bounds(hold: Hold, received_at: datetime) -> TimeBounds:
    settings = hold.settings
    return bound_times(received_at, settings.earliest_day, timedelta(minutes=settings.clock_ahead_min))


def check_investigators(context: Context, author_id: UUID, document: VisitDocument) -> None:
    people = set(document.investigator_ids)
    if author_id not in people:
        raise Problem("visit.author_not_investigator")
    if len(people) < INVESTIGATORS_AT_LEAST:
        raise Problem("visit.one_investigator")
    if not people <= context.staff:
        raise Problem("visit.investigator_unknown")


def check_submission(context: Context, document: VisitDocument, now: datetime, *, is_from_paper: bool = False) -> None:
    """Raise the first legal requirement that the submission breaks, else all faults of its answers at once.

    Paper has no position and holds no pictures: the photo of the form stands for them.
    """
    _check_presence(document, is_from_paper=is_from_paper)
    _check_photos(document)
    _check_answers(context, document, now, is_from_paper=is_from_paper)


def _check_presence(document: VisitDocument, *, is_from_paper: bool) -> None:
    if document.started_at is None or document.ended_at is None:
        raise Problem("visit.fix_missing")
    is_at_home = document.mode == "in_person" and not is_from_paper
    lacks_fix = is_at_home and (document.start_fix is None or document.end_fix is None)
    if lacks_fix and not document.no_fix_reason.strip():
        raise Problem("visit.fix_missing")
    if document.mode != "in_person" and not document.mode_reason.strip():
        raise Problem("visit.remote_without_reason")


def _check_photos(document: VisitDocument) -> None:
    if len({photo.id for photo in document.photos}) != len(document.photos):
        raise Problem("visit.photo_listed_twice")


def _check_answers(context: Context, document: VisitDocument, now: datetime, *, is_from_paper: bool) -> None:
    """Judge the answers by the household as it is, else by a version of it that the phone may have had.

    Raise the faults against the household as it is, when no version fits.
    """
    hold = context.holds[document.household_id]
    first_errors: list[Fault] = []
    for state, today in _circumstances(hold, document, now):
        errors = _answer_errors(context, document, state, today, is_from_paper=is_from_paper)
        if not errors:
            context.judged_by[document.id] = state.version
            return
        first_errors = first_errors or errors
    raise Problem("visit.answers_invalid", faults=first_errors)


def _circumstances(hold: Hold, document: VisitDocument, now: datetime) -> Iterator[tuple[HouseholdState, date]]:
    """Yield each household with each day that the phone may have asked its questions by, the likeliest first."""
    assert document.started_at is not None
    is_believed = time_bounds(hold, now).contain(document.started_at)
    # A phone asks by its own clock, however far off that is.
    days = [day_of(document.started_at)] if is_believed else [day_of(now), *_day_reported(document.started_at)]
    since = (document.started_at if is_believed else now) - CARRIED_AT_MOST
    current = HouseholdState(None, hold.class_, hold.members)
    earlier = [state for state in hold.earlier if state.replaced_at is not None and state.replaced_at >= since]
    for state in (current, *earlier):
        for day in days:
            yield state, day


def _day_reported(at: datetime) -> list[date]:
    try:
        day = day_of(at)
    except OverflowError:
        return []
    return [day] if day >= FIRST_DAY else []


def _answer_errors(
    context: Context, document: VisitDocument, state: HouseholdState, today: date, *, is_from_paper: bool
) -> list[Fault]:
    template = context.checklists[document.checklist_code, document.checklist_version]
    faults = validate_answers(
        template,
        document.answers,
        member_ids=[str(member.id) for member in state.members],
        facts=_facts(state, today, is_remote=document.mode != "in_person"),
        stage="submitted",
    )
    waived = {f"/answers/{name}" for name in _not_on_paper(template)} if is_from_paper else set()
    return [
        Fault(fault.pointer, fault.code, fault.zh)
        for fault in faults
        if fault.severity == "error" and fault.pointer not in waived
    ]


def _not_on_paper(template: Template) -> Iterator[str]:
    return (question.id for question in iter_questions(template) if question.kind in NOT_ON_PAPER)


def _facts(state: HouseholdState, today: date, *, is_remote: bool) -> Facts:
    return Facts(
        today=today,
        members=tuple(
            MemberFacts(
                member_id=str(member.id),
                age=age_on(member.born_on, today),
                sex=member.sex,  # type: ignore[arg-type]  # the database allows only these two
                relation=member.relation,
            )
            for member in state.members
        ),
        household=HouseholdFacts(class_=state.class_),  # type: ignore[arg-type]  # A, B, C by constraint
        remote=is_remote,
    )
