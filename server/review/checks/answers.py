"""Answers that do not fit each other, the register, the last visit, or what a second team found.

They go by the question ids that the shipped checklists share; a checklist without them raises none of these.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from server.review.check_context import CheckContext, visited_on
from server.review.checks import DetectedFindings, Facts

AT_SCHOOL = frozenset({"compulsory", "upper", "college"})
AT_WORK = frozenset({"employed", "casual", "business", "away"})
DISABLED = frozenset({"disabled_severe", "disabled_other"})
REGISTERED_DISABLED = frozenset({"disabled", "severely_disabled"})

Row = dict[str, Any]


def income_found_differs(view: CheckContext) -> DetectedFindings:
    """Declared and found are for the same months, so they are compared as they stand."""
    percent, least_fen = view.rule("income.differs_percent"), view.rule("income.differs_fen")
    for row in view.answers.get("income", []):
        declared, found = row.get("declaredFen"), row.get("foundFen")
        if declared is None or found is None:
            continue
        if abs(found - declared) > max(least_fen, abs(declared) * percent / 100):
            yield None, {"income": row["kind"], "declaredFen": declared, "foundFen": found}


def members_differ_from_register(view: CheckContext) -> DetectedFindings:
    living = _living_here(view.answers)
    if living is not None and living != len(view.members):
        yield None, {"living": living, "registered": len(view.members)}


def members_differ_from_last_visit(view: CheckContext) -> DetectedFindings:
    living, before = _living_here(view.answers), _living_here(view.last_answers)
    if (
        living is not None
        and before is not None
        and living != before
        and view.answers.get("members_changed") is not True
    ):
        yield None, {"living": living, "before": before, **_last(view)}


def _living_here(answers: dict[str, Any]) -> int | None:
    """None where the checklist does not ask."""
    rows = answers.get("members")
    if not rows or all("lives_here" not in row for row in rows):
        return None
    return sum(row.get("lives_here") is True for row in rows)


def _last(view: CheckContext) -> Facts:
    return {"lastVisitId": str(view.last_visit.id)} if view.last_visit else {}


def school_and_job(view: CheckContext) -> DetectedFindings:
    for row in _rows(view):
        if row.get("school") in AT_SCHOOL and row.get("occupation") in AT_WORK:
            yield None, {"memberId": row["memberId"], "school": row["school"], "occupation": row["occupation"]}


def _rows(view: CheckContext) -> Iterator[Row]:
    yield from view.answers.get("members", [])


def school_against_age(view: CheckContext) -> DetectedFindings:
    """Compulsory school at forty, or at three."""
    ages = _ages(view)
    first, last = view.rule("answers.school_from_age"), view.rule("answers.school_until_age")
    for row in _rows(view):
        age = ages.get(row["memberId"])
        if row.get("school") == "compulsory" and age is not None and not first <= age <= last:
            yield None, {"memberId": row["memberId"], "age": age}


def _ages(view: CheckContext) -> dict[str, int]:
    on = visited_on(view.visit)
    return {
        str(one.id): on.year - one.born_on.year - ((on.month, on.day) < (one.born_on.month, one.born_on.day))
        for one in view.members
    }


def labour_against_age(view: CheckContext) -> DetectedFindings:
    """A grown-up said to be a minor, or a child said to be fully able to work."""
    ages = _ages(view)
    grown_up, may_work = view.rule("answers.grown_up_age"), view.rule("answers.work_from_age")
    for row in _rows(view):
        age, labour = ages.get(row["memberId"]), row.get("labour")
        if age is not None and ((labour == "minor" and age >= grown_up) or (labour == "full" and age < may_work)):
            yield None, {"memberId": row["memberId"], "age": age}


def earnings_against_income(view: CheckContext) -> DetectedFindings:
    """What the members earn a month, by their own rows, against what the income table found of wages and trade."""
    percent, least_fen = view.rule("income.differs_percent"), view.rule("income.differs_fen")
    by_member = [row["monthly_earnings_fen"] for row in _rows(view) if "monthly_earnings_fen" in row]
    by_table = [_monthly_fen(row) for row in view.answers.get("income", []) if row["kind"] in {"wages", "business"}]
    if not by_member or not by_table or None in by_table:
        return
    earned, found = sum(by_member), round(sum(one for one in by_table if one is not None))
    if abs(earned - found) > max(least_fen, abs(found) * percent / 100):
        yield None, {"earnedFen": earned, "foundFen": found}


def _monthly_fen(row: Row) -> float | None:
    found, first, last = row.get("foundFen"), row.get("periodFrom"), row.get("periodTo")
    if found is None or not first or not last:
        return None
    months = (int(last[:4]) - int(first[:4])) * 12 + int(last[5:]) - int(first[5:]) + 1
    return float(found / months) if months > 0 else None


def disability_gone(view: CheckContext) -> DetectedFindings:
    """Disabled at the last visit, or by the register where there was none, and healthy now."""
    before = {row["memberId"]: row.get("health") in DISABLED for row in view.last_answers.get("members", [])}
    registered = {str(one.id): one.health in REGISTERED_DISABLED for one in view.members}
    for row in _rows(view):
        told = before.get(row["memberId"], registered.get(row["memberId"], False))
        if told and row.get("health") == "healthy":
            source = "last_visit" if row["memberId"] in before else "register"
            yield None, {"memberId": row["memberId"], "source": source, **(_last(view) if before else {})}


def differs_at_spot_check(view: CheckContext) -> DetectedFindings:
    check = view.spot_check
    if check is None or not check.comparison:
        return
    differing = [one for one in check.comparison if not one["agrees"]]
    if differing:
        yield (
            None,
            {
                "differing": len(differing),
                "compared": len(check.comparison),
                "questions": sorted({one["question"] for one in differing}),
                "spotCheckId": str(check.id),
                "visitId": str(check.second_visit_id),
            },
        )


def signatures(answers: dict[str, Any]) -> Iterator[tuple[UUID, str]]:
    """Every signature of the answers: its picture, and whose it is said to be."""
    for answer in answers.values():
        for item in answer if isinstance(answer, list) else []:
            if isinstance(item, dict) and "evidenceId" in item and "signerName" in item:
                yield UUID(item["evidenceId"]), item["signerName"]


def pictures(answers: dict[str, Any]) -> set[UUID]:
    """Every photo that the answers point at, signatures included."""
    found = {evidence_id for evidence_id, _ in signatures(answers)}
    for question, answer in answers.items():
        if question.startswith("photo_") and isinstance(answer, list):
            found |= {UUID(one) for one in answer if isinstance(one, str)}
    return found
