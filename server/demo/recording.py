"""What is recorded at the home of the demo visit: photos, signatures, answers that fit the household, fixes."""

import asyncio
import itertools
import math
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from server.checklists.answers import Facts, HouseholdFacts, MemberFacts, is_acceptable, validate_answers
from server.checklists.examples import answers_example
from server.checklists.template import Template, questions_of
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
# From the register's words to the checklist's.
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
    """Drawn side by side in threads: each is a third of a second of arithmetic."""
    seed = UUID(visit_id).int & 0x7FFF_FFFF
    request = _photo_questions(walk.template)
    moments = [walk.started_at + timedelta(minutes=4 + 7 * place) for place in range(PHOTOS)]
    photos = (
        [_carry(*item) for item in zip(walk.files, request, moments, strict=True)]
        if walk.files
        else [
            asyncio.to_thread(_draw, walk, question_id, SCENES[question_id], seed, at, early=place == 2)  # noqa: PLR2004
            for place, (question_id, at) in enumerate(zip(request, moments, strict=True))
        ]
    )
    signing = walk.ended_at - timedelta(minutes=3)
    signatures = [
        asyncio.to_thread(_draw, walk, question_id, "signature", seed + place, signing)
        for place, question_id in enumerate(("sign_family", "sign_investigators", "sign_investigators"))
    ]
    return list(await asyncio.gather(*photos, *signatures))


def _photo_questions(template: Template) -> list[str]:
    """The four photos of this visit: those the checklist requires, then those it allows, in its order."""
    request = [item for item in questions_of(template) if item.kind == "photo"]
    chosen = sorted(request, key=lambda item: not item.required)[:PHOTOS]
    return [item.id for item in request if item in chosen]


async def _carry(file: Path, question_id: str, at: datetime) -> Picture:
    content = await asyncio.to_thread(file.read_bytes)
    return Picture(str(new_id()), question_id, file.name, content, IMAGE_TYPES[file.suffix.lower()], at)


def _draw(walk: Walk, question_id: str, scene: str, seed: int, at: datetime, *, early: bool = False) -> Picture:
    """`early`: the camera's own time belies the moment that the phone announces."""
    place = moved(walk.home, seed % 13 - 6, seed % 9 - 4)
    content = draw_picture(
        scene=scene,
        seed=seed,
        captured_at=(at - EARLY_PHOTO if early else at).astimezone(CHINA),
        latitude=place.latitude,
        longitude=place.longitude,
        accuracy_m=9.0,
        size=(800, 600) if scene == "signature" else (1600, 1200),
    )
    return Picture(str(new_id()), question_id, scene, content, "image/jpeg", at)


def fill_in(walk: Walk) -> Document:
    """Answers as a caseworker would give them, checked on the phone before they are sent."""
    facts = _facts(walk)
    ids = [member["id"] for member in walk.household["members"]]
    seed = int(walk.household["number"].rpartition("-")[2])
    pictures = itertools.cycle(picture.id for picture in walk.pictures)
    tries = (
        answers_example(walk.template, ids, seed + more, facts=facts, evidence_ids=pictures)
        for more in itertools.count(step=1000)
    )
    answers = next(item for item in tries if item["person_met"] == "applicant")
    _fit_to_household(walk, facts, answers)
    answers |= {"person_met_name": walk.household["headName"], "home_location": _location(walk)}
    answers |= _answers_with_evidence(walk)
    faults = validate_answers(walk.template, answers, member_ids=ids, facts=facts, stage="submitted")
    if not is_acceptable(faults) or len(answers) < ANSWERS_AT_LEAST:
        raise StepFailed(
            "", f"{len(answers)} answers: " + "; ".join(f"{fault.pointer} {fault.code}" for fault in faults)
        )
    return answers


def _fit_to_household(walk: Walk, facts: Facts, answers: Document) -> None:
    """Drawn answers are each possible and not all together so: a doubt of these would be nobody's plan."""
    health = {member["id"]: HEALTH.get(member["health"], member["health"]) for member in walk.household["members"]}
    ages = {member.member_id: member.age or 0 for member in facts.members}
    for row in answers.get("members", []):
        person = row["memberId"]
        illness = {"illness": row.get("illness", "高血压")} if health[person] != "healthy" else {}
        row.clear()
        row.update(memberId=person, lives_here=True, health=health[person], **illness)
        row.update(_work_and_school(ages[person]))
    if "staff_relative" in answers:
        answers["staff_relative"] = False
        answers.pop("staff_relative_note", None)
    earned_fen = sum(row.get("monthly_earnings_fen", 0) for row in answers.get("members", []))
    for row in answers.get("income", []):
        yearly = earned_fen * 12 if row["kind"] == "wages" else 0 if row["kind"] == "business" else row["declaredFen"]
        row.update(declaredFen=yearly, foundFen=yearly)


def _work_and_school(age: int) -> Document:
    if age < 18:  # noqa: PLR2004  years
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
    fix = fix_at(moved(walk.home, 3, 2), walk.started_at)
    return {key: value for key, value in fix.items() if key != "source"}


def _answers_with_evidence(walk: Walk) -> Document:
    """Photo questions that this visit leaves out are answered with nothing at all."""
    photos, (family, first, second) = walk.pictures[:PHOTOS], walk.pictures[PHOTOS:]
    answers: Document = {item.id: [] for item in questions_of(walk.template) if item.kind == "photo"}
    answers |= {photo.question_id: [photo.id] for photo in photos}
    investigators = ((first, walk.caseworker.name), (second, walk.partner.name))
    answers["sign_family"] = [_signed(family, walk.household["headName"])]
    answers["sign_investigators"] = [_signed(picture, name) for picture, name in investigators]
    return {key: value for key, value in answers.items() if value}


def _signed(picture: Picture, name: str) -> Document:
    return {"evidenceId": picture.id, "signerName": name, "signedAt": say_time(picture.captured_at)}


def fix_at(place: Point, at: datetime, datum: str = "wgs84") -> Document:
    return {
        "latitude": place.latitude,
        "longitude": place.longitude,
        "datum": datum,
        "accuracyM": 12.0,
        "capturedAt": say_time(at),
        "source": "wx.getLocation",
    }


def moved(place: Point, north_m: float, east_m: float) -> Point:
    metres = 111_320.0  # a degree of latitude; exact enough for a few hundred metres
    east = east_m / (metres * math.cos(math.radians(place.latitude)))
    return Point(round(place.latitude + north_m / metres, 6), round(place.longitude + east, 6))


def say_time(at: datetime) -> str:
    return at.astimezone(CHINA).isoformat()
