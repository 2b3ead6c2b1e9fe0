"""Checks of answers: against each other, the household's record, the last visit and the second team's answers.

They use the question ids that the shipped checklists share; a checklist without these ids raises no such finding.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any
from uuid import UUID

from server.review.check_context import CheckContext, visited_on
from server.review.checks import DetectedFindings, Facts

AT_SCHOOL = frozenset({"compulsory", "upper", "college"})
AT_WORK = frozenset({"employed", "casual", "business", "away"})
DISABLED = frozenset({"disabled_severe", "disabled_other"})
REGISTERED_DISABLED = frozenset({"disabled", "severely_disabled"})

Row = dict[str, Any]


def income_found_differs(context: CheckContext) -> DetectedFindings:
    """Declared and found amounts cover the same months, so they are compared directly."""
    percent, least_fen = context.setting("income.differs_percent"), context.setting("income.differs_fen")
    for row in context.answers.get("income", []):
        declared, found = row.get("declaredFen"), row.get("foundFen")
        if declared is None or found is None:
            continue
        if abs(found - declared) > max(least_fen, abs(declared) * percent / 100):
            yield None, {"income": row["kind"], "declaredFen": declared, "foundFen": found}


def always_unchanged(context: CheckContext) -> DetectedFindings:
    """Something changes in every few homes: whoever never finds anything may not have asked."""
    visits = context.setting("visit.unchanged_visits")
    latest = context.author_offered
    if len(latest) == visits and all(map(_is_all_unchanged, latest)):
        yield None, {"visits": visits}


def _is_all_unchanged(document: dict[str, Any]) -> bool:
    """Every row of the member tables was taken over; False where none was."""
    taken: dict[str, set[str]] = {}
    for row in document["unchanged"]:
        taken.setdefault(row["questionId"], set()).add(row["memberId"])
    tables = [(document["answers"].get(name), members) for name, members in taken.items()]
    # The phone says which question; it may be none with members, or none of the checklist.
    rows = [
        (row.get("memberId"), members)
        for rows, members in tables
        if isinstance(rows, list)
        for row in rows
        if isinstance(row, dict)
    ]
    return bool(rows) and all(member in members for member, members in rows)


def members_differ_from_register(context: CheckContext) -> DetectedFindings:
    living = _living_here(context.answers)
    if living is not None and living != len(context.members):
        yield None, {"living": living, "registered": len(context.members)}


def members_differ_from_last_visit(context: CheckContext) -> DetectedFindings:
    living, before = _living_here(context.answers), _living_here(context.last_answers)
    if (
        living is not None
        and before is not None
        and living != before
        and context.answers.get("members_changed") is not True
    ):
        yield None, {"living": living, "before": before, **_last(context)}


def _living_here(answers: dict[str, Any]) -> int | None:
    """Count the members who live here; None when the checklist does not ask."""
    rows = answers.get("members")
    if not rows or all("lives_here" not in row for row in rows):
        return None
    return sum(row.get("lives_here") is True for row in rows)


def _last(context: CheckContext) -> Facts:
    return {"lastVisitId": str(context.last_visit.id)} if context.last_visit else {}


def school_and_job(context: CheckContext) -> DetectedFindings:
    for row in _rows(context):
        if row.get("school") in AT_SCHOOL and row.get("occupation") in AT_WORK:
            yield None, {"memberId": row["memberId"], "school": row["school"], "occupation": row["occupation"]}


def _rows(context: CheckContext) -> Iterator[Row]:
    yield from context.answers.get("members", [])


def school_against_age(context: CheckContext) -> DetectedFindings:
    """Report compulsory school outside its ages, such as at forty or at three."""
    ages = _ages(context)
    first, last = context.setting("answers.school_from_age"), context.setting("answers.school_until_age")
    for row in _rows(context):
        age = ages.get(row["memberId"])
        if row.get("school") == "compulsory" and age is not None and not first <= age <= last:
            yield None, {"memberId": row["memberId"], "age": age}


def _ages(context: CheckContext) -> dict[str, int]:
    on = visited_on(context.visit)
    return {str(member.id): _age(member.born_on, on) for member in context.members}


def _age(born_on: date, on: date) -> int:
    return on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))


def labour_against_age(context: CheckContext) -> DetectedFindings:
    """Report an adult recorded as a minor, or a child recorded as fully able to work."""
    ages = _ages(context)
    grown_up, may_work = context.setting("answers.grown_up_age"), context.setting("answers.work_from_age")
    for row in _rows(context):
        age, labour = ages.get(row["memberId"]), row.get("labour")
        if age is not None and ((labour == "minor" and age >= grown_up) or (labour == "full" and age < may_work)):
            yield None, {"memberId": row["memberId"], "age": age}


def earnings_against_income(context: CheckContext) -> DetectedFindings:
    """Compare the members' monthly earnings with the wages and business income that the income table found."""
    percent, least_fen = context.setting("income.differs_percent"), context.setting("income.differs_fen")
    by_member = [row["monthly_earnings_fen"] for row in _rows(context) if "monthly_earnings_fen" in row]
    by_table = [_monthly_fen(row) for row in context.answers.get("income", []) if row["kind"] in {"wages", "business"}]
    if not by_member or not by_table or None in by_table:
        return
    earned, found = sum(by_member), round(sum(monthly_fen for monthly_fen in by_table if monthly_fen is not None))
    if abs(earned - found) > max(least_fen, abs(found) * percent / 100):
        yield None, {"earnedFen": earned, "foundFen": found}


def _monthly_fen(row: Row) -> float | None:
    found, first, last = row.get("foundFen"), row.get("periodFrom"), row.get("periodTo")
    if found is None or not first or not last:
        return None
    months = (int(last[:4]) - int(first[:4])) * 12 + int(last[5:]) - int(first[5:]) + 1
    return float(found / months) if months > 0 else None


def disability_gone(context: CheckContext) -> DetectedFindings:
    """Report members healthy now but disabled at the last visit, or on record when the last visit lacks them."""
    before = {row["memberId"]: row.get("health") in DISABLED for row in context.last_answers.get("members", [])}
    registered = {str(member.id): member.health in REGISTERED_DISABLED for member in context.members}
    for row in _rows(context):
        was_disabled = before.get(row["memberId"], registered.get(row["memberId"], False))
        if was_disabled and row.get("health") == "healthy":
            source = "last_visit" if row["memberId"] in before else "register"
            yield None, {"memberId": row["memberId"], "source": source, **(_last(context) if before else {})}


def differs_at_spot_check(context: CheckContext) -> DetectedFindings:
    check = context.spot_check
    if check is None or not check.comparison:
        return
    differing = [answer for answer in check.comparison if not answer["agrees"]]
    if differing:
        yield (
            None,
            {
                "differing": len(differing),
                "compared": len(check.comparison),
                "questions": sorted({answer["question"] for answer in differing}),
                "spotCheckId": str(check.id),
                "visitId": str(check.second_visit_id),
            },
        )


def signatures(answers: dict[str, Any]) -> Iterator[tuple[UUID, str]]:
    """Yield each signature in the answers: the photo's id and the signer's name."""
    for answer in answers.values():
        for item in answer if isinstance(answer, list) else []:
            if isinstance(item, dict) and "evidenceId" in item and "signerName" in item:
                yield UUID(item["evidenceId"]), item["signerName"]


def pictures(answers: dict[str, Any]) -> set[UUID]:
    """Return the ids of all photos that the answers refer to, signatures included."""
    found = {evidence_id for evidence_id, _ in signatures(answers)}
    for question, answer in answers.items():
        if question.startswith("photo_") and isinstance(answer, list):
            found |= {UUID(photo_id) for photo_id in answer if isinstance(photo_id, str)}
    return found
