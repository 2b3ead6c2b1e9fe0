"""Record the demo visit on the phone: photos, signatures, fixes, and answers that fit the household."""

import asyncio
import itertools
import math
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from server.checklists.answers import is_acceptable, validate_answers
from server.checklists.examples import make_example_answers
from server.checklists.facts import Facts, HouseholdFacts, MemberFacts
from server.checklists.template import Template, iter_questions
from server.core.clock import CHINA
from server.core.ids import new_id
from server.core.location import Point
from server.demo.device import Document, StepFailed
from server.demo.pictures import draw_picture
from server.demo.walk import Picture, Walk

PHOTOS = 4
ANSWERS_AT_LEAST = 25
IMAGE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heic",
}
EARLY_PHOTO = timedelta(hours=3)
# Health codes of a household's record → codes of the checklist.
HEALTH = {
    None: "healthy",
    "serious_illness": "serious",
    "severely_disabled": "disabled_severe",
    "disabled": "disabled_other",
}
SCHOOLS = ((16, "upper"), (6, "compulsory"), (0, "preschool"))
SCENES = {
    "photo_outside": "house_outside",
    "photo_inside": "room_inside",
    "photo_register": "household_register",
    "photo_documents": "documents",
    "photo_person": "people_met",
}


async def take_pictures(walk: Walk, visit_id: str) -> list[Picture]:
    """Draw photos and signatures, each in a thread of its own: one takes about 0.3 s of CPU."""
    seed = UUID(visit_id).int & 0x7FFF_FFFF
    question_ids = _choose_photo_questions(walk.template)
    moments = [walk.started_at + timedelta(minutes=4 + 7 * position) for position in range(PHOTOS)]
    is_early = 2 if "photo.time_off" in walk.planted else None
    photos = (
        [_load_picture(*photo) for photo in zip(walk.files, question_ids, moments, strict=True)]
        if walk.files
        else [
            asyncio.to_thread(_draw, walk, question_id, SCENES[question_id], seed, at, is_early=position == is_early)
            for position, (question_id, at) in enumerate(zip(question_ids, moments, strict=True))
        ]
    )
    signed_at = walk.ended_at - timedelta(minutes=3)
    signatures = [
        asyncio.to_thread(_draw, walk, question_id, "signature", seed + position, signed_at)
        for position, question_id in enumerate(("sign_family", "sign_investigators", "sign_investigators"))
    ]
    return list(await asyncio.gather(*photos, *signatures))


def _choose_photo_questions(template: Template) -> list[str]:
    """Return four photo questions in the checklist's order: required ones first, then optional ones."""
    questions = [question for question in iter_questions(template) if question.kind == "photo"]
    chosen = sorted(questions, key=lambda question: not question.required)[:PHOTOS]
    return [question.id for question in questions if question in chosen]


async def _load_picture(file: Path, question_id: str, at: datetime) -> Picture:
    content = await asyncio.to_thread(file.read_bytes)
    return Picture(str(new_id()), question_id, file.name, content, IMAGE_TYPES[file.suffix.lower()], at)


def _draw(walk: Walk, question_id: str, scene: str, seed: int, at: datetime, *, is_early: bool = False) -> Picture:
    """Draw a picture. If `is_early`, its EXIF time is before the time in the phone's manifest."""
    place = shift_point(walk.home, seed % 13 - 6, seed % 9 - 4)
    content = draw_picture(
        scene=scene,
        seed=seed,
        captured_at=(at - EARLY_PHOTO if is_early else at).astimezone(CHINA),
        latitude=place.latitude,
        longitude=place.longitude,
        accuracy_m=9.0,
        size=(800, 600) if scene == "signature" else (1600, 1200),
    )
    return Picture(str(new_id()), question_id, scene, content, "image/jpeg", at)


def make_answers(walk: Walk) -> Document:
    """Return answers that fit the household, validated as on the phone."""
    facts = _facts(walk)
    ids = [member["id"] for member in walk.household["members"]]
    seed = int(walk.household["number"].rpartition("-")[2])
    pictures = itertools.cycle(picture.id for picture in walk.pictures)
    attempts = (
        make_example_answers(walk.template, ids, seed + offset, facts=facts, evidence_ids=pictures)
        for offset in itertools.count(step=1000)
    )
    answers = next(attempt for attempt in attempts if attempt["person_met"] == "applicant")
    _fit_to_household(walk, facts, answers)
    answers |= {"person_met_name": walk.household["headName"], "home_location": _location(walk)}
    answers |= _evidence_answers(walk)
    faults = validate_answers(walk.template, answers, member_ids=ids, facts=facts, stage="submitted")
    if not is_acceptable(faults) or len(answers) < ANSWERS_AT_LEAST:
        raise StepFailed(
            "", f"{len(answers)} answers: " + "; ".join(f"{fault.pointer} {fault.code}" for fault in faults)
        )
    return answers


def _fit_to_household(walk: Walk, facts: Facts, answers: Document) -> None:
    """Make the random answers consistent with each other and the record, so that checks find only planted faults."""
    health = {member["id"]: HEALTH.get(member["health"], member["health"]) for member in walk.household["members"]}
    ages = {member.member_id: member.age or 0 for member in facts.members}
    for row in answers.get("members", []):
        person = row["memberId"]
        illness = {"illness": row.get("illness", "高血压")} if health[person] != "healthy" else {}
        row.clear()
        row.update(memberId=person, lives_here=True, health=health[person], **illness)
        row.update(_work_and_school(ages[person]))
    if "housing_area_m2" in answers:
        answers["housing_area_m2"] = 30 + 18 * len(walk.household["members"])
    if "conclusion" in answers:
        answers |= {"conclusion": "eligible", "opinion": "家庭收入低于标准，情况与申报一致，建议按规定办理。"}
    if "proposal" in answers:
        answers["proposal"] = "keep"
    if "staff_relative" in answers:
        answers["staff_relative"] = False
        answers.pop("staff_relative_note", None)
    earned_fen = sum(row.get("monthly_earnings_fen", 0) for row in answers.get("members", []))
    for row in answers.get("income", []):
        yearly = earned_fen * 12 if row["kind"] == "wages" else 0 if row["kind"] == "business" else row["declaredFen"]
        row.update(declaredFen=yearly, foundFen=yearly)


def _work_and_school(age: int) -> Document:
    if age < 18:  # noqa: PLR2004  years of age
        school = next(name for least, name in SCHOOLS if age >= least)
        return {"labour": "minor", "school": school}
    if age >= 60:  # noqa: PLR2004
        return {"labour": "none", "school": "none"}
    return {"labour": "partial", "occupation": "farming", "monthly_earnings_fen": 20_000, "school": "none"}


def _facts(walk: Walk) -> Facts:
    today = walk.started_at.astimezone(CHINA).date()
    members = [
        MemberFacts(
            member_id=member["id"], age=_age(member["bornOn"], today), sex=member["sex"], relation=member["relation"]
        )
        for member in walk.household["members"]
    ]
    return Facts(today=today, members=tuple(members), household=HouseholdFacts(class_=walk.household["class"]))


def _age(born_on: str, today: date) -> int:
    born = date.fromisoformat(born_on)
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _location(walk: Walk) -> Document:
    fix = make_fix(shift_point(walk.home, 3, 2), walk.started_at)
    return {key: value for key, value in fix.items() if key != "source"}


def _evidence_answers(walk: Walk) -> Document:
    """Return the answers to photo and signature questions; unused photo questions stay unanswered."""
    photos, (family, first, second) = walk.pictures[:PHOTOS], walk.pictures[PHOTOS:]
    answers: Document = {question.id: [] for question in iter_questions(walk.template) if question.kind == "photo"}
    answers |= {photo.question_id: [photo.id] for photo in photos}
    investigators = ((first, walk.caseworker.name), (second, walk.partner.name))
    answers["sign_family"] = [_signature(family, walk.household["headName"])]
    answers["sign_investigators"] = [_signature(picture, name) for picture, name in investigators]
    return {key: value for key, value in answers.items() if value}


def _signature(picture: Picture, name: str) -> Document:
    return {"evidenceId": picture.id, "signerName": name, "signedAt": format_time(picture.captured_at)}


def make_fix(place: Point, at: datetime, datum: str = "wgs84") -> Document:
    return {
        "latitude": place.latitude,
        "longitude": place.longitude,
        "datum": datum,
        "accuracyM": 12.0,
        "capturedAt": format_time(at),
        "source": "wx.getLocation",
    }


def shift_point(place: Point, north_m: float, east_m: float) -> Point:
    metres_per_degree = 111_320.0  # per degree of latitude; precise enough for a few hundred metres
    east = east_m / (metres_per_degree * math.cos(math.radians(place.latitude)))
    return Point(round(place.latitude + north_m / metres_per_degree, 6), round(place.longitude + east, 6))


def format_time(at: datetime) -> str:
    return at.astimezone(CHINA).isoformat()
