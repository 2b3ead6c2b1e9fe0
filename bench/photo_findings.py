"""Precision and recall of photo findings on visits with known faults.

Two phones send each complete visit over HTTP, the worker processes it, and the findings are read from the table that
supervisors read. Some honest visits resemble faults: a scene retaken from nearer, three shots of one scene, photos
that WeChat stripped, wide photos in screen size, a camera's own software.
"""

import asyncio
import hashlib
import io
import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from PIL import Image, ImageOps

from bench.load import Request
from bench.photo_changes import PHOTO_CHANGES, make_screenshot
from bench.photos import make_photo_form
from bench.rows import Row
from bench.sync import pull_households
from bench.system import System, running_system, sign_in
from bench.workload import make_push, make_template, make_visit
from server.checklists.publishing import publish
from server.core.clock import today
from server.core.database import open_once
from server.core.ids import new_id
from server.demo.county import build_county
from server.demo.pictures import draw_picture
from server.demo.staff import DEMO_PASSWORDS

Json = dict[str, Any]
BARE, SCREEN, NEAR = "photo.without_camera_facts", "photo.like_a_screenshot", "photo.near_duplicate"
EARLIER = "photo.like_earlier"
CODES = (
    "photo.swapped",
    "photo.reused",
    NEAR,
    EARLIER,
    "signature.twice",
    "photo.time_off",
    "photo.after_receipt",
    "photo.place_off",
    BARE,
    "photo.edited",
    SCREEN,
)
SCENES = ("house_outside", "room_inside", "documents", "signature")
SIZE = (1280, 960)
OF_EACH = 5
EDITORS = ("Adobe Photoshop 25.0", "Snapseed 2.21", "美图秀秀", "PicsArt", "GIMP 2.10.36", "醒图 9.1")
CAMERAS = ("HarmonyOS 4.0", "MIUI 14.0.7", "17.5.1", "OPPO ColorOS 14", "Camera 5.2", "HDR+ 1.0.6")
# Three of them are not in the default policy setting.
SCREENS = ((1080, 2400), (1220, 2712), (720, 1600), (1264, 2780), (1080, 1920), (1440, 3088))


@dataclass
class Shot:
    """A photo and its expected findings. `wrong` holds other bytes that are uploaded first under its id."""

    content: bytes
    expected: set[str] = field(default_factory=set)
    change: str = ""
    wrong: bytes | None = None
    id: str = field(default_factory=lambda: str(new_id()))


@dataclass
class Plan:
    """A visit with three photos and the signatures of one or more people."""

    document: Json
    at: list[datetime]
    shots: list[Shot]
    signers: list[str]

    def draw(self, place: int, **changes: Any) -> bytes:
        """Draw the scene of this photo with changed EXIF."""
        return _draw((SCENES[place], _seed(self.document), self.document["startFix"], self.at[place], changes))

    def strip(self, place: int) -> Shot:
        """Remove all metadata, as WeChat does."""
        shot = self.shots[place]
        shot.content, shot.expected = _jpeg(_open(shot.content)), {BARE}
        return shot


def measure(seconds: float) -> Iterator[Row]:
    del seconds  # measures a number of visits
    with running_system() as system:
        asyncio.run(_publish(system))
        caseworker = next(person for person in build_county(today=today()).staff if person.role == "caseworker")
        logins = [login for login in (caseworker.login, caseworker.partner_login) if login is not None]
        phones = [sign_in(system.url, login, DEMO_PASSWORDS["caseworker"]) for login in logins]
        tokens, people = [phone["accessToken"] for phone in phones], [phone["personId"] for phone in phones]
        plans = _plan_visits(pull_households(system, tokens[0]), people)
        asyncio.run(_send(system, tokens, plans))
        system.wait_for_jobs()
        yield from _compare(system, plans)


async def _publish(system: System) -> None:
    async with open_once(system.environment["ZOUFANG_DATABASE_URL"]) as session:
        await publish(session, make_template("truth", [{"id": "sign", "kind": "signature"}]))


# -- plan


def _plan_visits(households: list[Json], people: list[str]) -> list[Plan]:
    """Plan all visits from one seed; draw their pictures in a process per core."""
    chance = random.Random(20261123)
    plans = []
    # First pairs of visits to one home; after them, each visit goes to another home than the one before.
    homes = [households[number // 2] for number in range(2 * OF_EACH)]
    homes += [households[number % len(households)] for number in range(10 * OF_EACH + 2 * len(PHOTO_CHANGES))]
    for number, home in enumerate(homes):
        document = make_visit(home, people, chance, []) | {"checklistCode": "truth"}
        start = datetime.fromisoformat(document["startedAt"])
        at = [start + timedelta(minutes=chance.uniform(1, 14)) for _ in SCENES]
        plans.append(Plan(document, at, [], [f"签名人{number}"]))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs: list[tuple[str, int, Json, datetime, Json]] = [
            (scene, _seed(plan.document), plan.document["startFix"], at, {})
            for plan in plans
            for scene, at in zip(SCENES, plan.at, strict=True)
        ]
        drawings = iter(list(pool.map(_draw, jobs, chunksize=4)))
    for plan in plans:
        plan.shots = [Shot(next(drawings)) for _ in SCENES]
        plan.strip(3)
    for earlier, later in zip(plans[: 2 * OF_EACH : 2], plans[1 : 2 * OF_EACH : 2], strict=True):
        _revisit(earlier, later)
    _plant_faults(iter(plans[2 * OF_EACH :]), chance)
    return plans


def _seed(document: Json) -> int:
    return int(document["id"][-8:], 16)


def _draw(job: tuple[str, int, Json, datetime, Json]) -> bytes:
    scene, seed, fix, at, changes = job
    chance = random.Random(seed)
    software = changes.get("software")
    jpeg = draw_picture(
        scene=scene,
        seed=seed,
        captured_at=at + changes.get("later", timedelta()),
        latitude=fix["latitude"] + chance.uniform(-2e-4, 2e-4) + changes.get("north", 0),
        longitude=fix["longitude"] + chance.uniform(-2e-4, 2e-4),
        accuracy_m=10.0,
        size=SIZE,
    )
    if software is None:
        return jpeg
    image = Image.open(io.BytesIO(jpeg))
    exif = image.getexif()
    exif[0x0131] = software.encode()
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85, exif=exif)
    return out.getvalue()


def _plant_faults(rest: Iterator[Plan], chance: random.Random) -> None:
    """Plant one kind of fault in each visit, or something that only resembles one."""
    for number in range(OF_EACH):
        plan = next(rest)
        early = -timedelta(hours=chance.uniform(3, 72))
        plan.shots[0] = Shot(plan.draw(0, later=early), {"photo.time_off"})
        plan = next(rest)
        late = timedelta(hours=chance.uniform(20, 60))
        plan.shots[1] = Shot(plan.draw(1, later=late), {"photo.time_off", "photo.after_receipt"})
        plan = next(rest)
        plan.shots[2] = Shot(plan.draw(2, north=chance.uniform(0.02, 0.4)), {"photo.place_off"})
        plan = next(rest)
        plan.shots[0] = Shot(plan.draw(0, software=EDITORS[number]), {"photo.edited"})
        plan.shots[1] = Shot(plan.draw(1, software=CAMERAS[number]))
        plan = next(rest)
        plan.shots[0] = Shot(_jpeg(make_screenshot(_open(plan.shots[0].content), SCREENS[number])), {BARE, SCREEN})
        plan.shots[1] = Shot(_jpeg(ImageOps.fit(_open(plan.shots[1].content), (1920, 1080))), {BARE})
        next(rest).shots[0].wrong = os.urandom(50_000)
        _reuse(next(rest), next(rest), number)
        _make_near_duplicates(rest) if number == 0 else None
        _shoot_burst(next(rest), chance)
    for plan in rest:
        plan.strip(1)


def _reuse(original: Plan, copy: Plan, number: int) -> None:
    shot = original.strip(0)
    shot.expected.add("photo.reused")
    copy.shots[0] = Shot(shot.content, set(shot.expected))
    if number % 2:
        copy.shots[3] = Shot(original.shots[3].content, {BARE, "signature.twice"})
        original.shots[3].expected.add("signature.twice")
    else:
        copy.signers.append("另一人")
        copy.shots[3].expected.add("signature.twice")
        copy.shots.append(Shot(copy.shots[3].content, {BARE}))


def _revisit(earlier: Plan, later: Plan) -> None:
    """Send a similar photo from the same home, such as a wall photographed again."""
    shot = earlier.strip(0)
    shot.expected.add(EARLIER)
    later.shots[0] = Shot(_jpeg(_open(shot.content), 60), {BARE, EARLIER})


def _make_near_duplicates(rest: Iterator[Plan]) -> None:
    """Apply each change to the three photos of a visit and send them from another home."""
    chance = random.Random(20261127)
    for name, (change, quality) in PHOTO_CHANGES.items():
        original, copy = next(rest), next(rest)
        for place in range(3):
            shot = original.strip(place)
            shot.expected.add(NEAR)
            changed = _jpeg(change(_open(shot.content), chance), quality)
            copy.shots[place] = Shot(changed, {BARE, NEAR} | ({SCREEN} if "screenshot" in name else set()), name)


def _shoot_burst(plan: Plan, chance: random.Random) -> None:
    """Send three honest shots of one scene, each from slightly nearer."""
    picture = _open(plan.shots[0].content)
    for place in range(3):
        cut = place * chance.uniform(0.004, 0.01)
        box = (int(cut * SIZE[0]), int(cut * SIZE[1]), int((1 - cut) * SIZE[0]), int((1 - cut) * SIZE[1]))
        plan.shots[place] = Shot(_jpeg(picture.crop(box)), {BARE})


def _open(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


def _jpeg(image: Image.Image, quality: int = 85) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


# -- send


async def _send(system: System, tokens: list[str], plans: list[Plan]) -> None:
    clients = [
        httpx.AsyncClient(base_url=system.url, headers={"Authorization": f"Bearer {token}"}, timeout=120)
        for token in tokens
    ]
    gate = asyncio.Semaphore(4)

    phone, partner = clients

    async def run_plan(plan: Plan) -> None:
        async with gate:
            await _send_visit(phone, partner, plan)

    try:
        await asyncio.gather(*map(run_plan, plans))
    finally:
        for client in clients:
            await client.aclose()


async def _send_visit(phone: httpx.AsyncClient, partner: httpx.AsyncClient, plan: Plan) -> None:
    document = plan.document
    document["photos"] = [{"id": shot.id, "sha256": _sha256(shot.content)} for shot in plan.shots]
    document["answers"]["sign"] = [
        {"evidenceId": shot.id, "signerName": name, "signedAt": document["endedAt"]}
        for shot, name in zip(plan.shots[3:], plan.signers, strict=True)
    ]
    manifests = [
        {
            "id": shot.id,
            "visitId": document["id"],
            "questionId": "sign",
            "sha256": _sha256(shot.content),
            "sizeBytes": len(shot.content),
            "_deleted": False,
        }
        for shot in plan.shots
    ]
    attestation = {
        "id": str(new_id()),
        "visitId": document["id"],
        "attestedAt": document["endedAt"],
        "fix": document["endFix"],
        "_deleted": False,
    }
    await _request(phone, make_push("evidence", manifests))
    await _request(phone, make_push("visits", [document]))
    await _request(partner, make_push("attestations", [attestation]))
    for shot in plan.shots:
        if shot.wrong is not None:
            shot.expected.add("photo.swapped")
            await _request(phone, make_photo_form(shot.id, shot.wrong), status=422)
        await _request(phone, make_photo_form(shot.id, shot.content))


async def _request(client: httpx.AsyncClient, request: Request, status: int = 200) -> None:
    method, path, content_type, body = request
    response = await client.request(method, path, content=body, headers={"Content-Type": content_type})
    assert response.status_code == status, response.text
    assert "/push" not in path or response.json() == [], response.text


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# -- compare


def _compare(system: System, plans: list[Plan]) -> Iterator[Row]:
    shots = {shot.id: shot for plan in plans for shot in plan.shots}
    with system.connect() as connection:
        rows = connection.execute(
            "SELECT evidence_id::text, code FROM finding WHERE superseded_at IS NULL AND evidence_id IS NOT NULL"
        ).fetchall()
        entered = connection.execute("SELECT count(*) FROM review_item").fetchone()
    assert entered == (len(plans),), f"{entered} of {len(plans)} visits were checked"
    found = {(evidence_id, code) for evidence_id, code in rows if evidence_id in shots}
    expected = {(shot.id, code) for shot in shots.values() for code in shot.expected}
    for code in CODES:
        found_ids = {evidence_id for evidence_id, found_code in found if found_code == code}
        expected_ids = {evidence_id for evidence_id, expected_code in expected if expected_code == code}
        hits = len(found_ids & expected_ids)
        precision = f"{hits / len(found_ids):.2f}" if found_ids else "–"
        recall = f"{hits / len(expected_ids):.2f}" if expected_ids else "–"
        missed = Counter(shots[evidence_id].change or "–" for evidence_id in expected_ids - found_ids)
        yield Row(
            f"{code}: precision, recall",
            f"{precision}, {recall}",
            f"{len(expected_ids)} true among {len(shots)} photos of {len(plans)} visits",
            "",
            _describe_errors(missed, len(found_ids - expected_ids)),
        )


def _describe_errors(missed: Counter[str], false_positives: int) -> str:
    parts = [f"missed: {', '.join(f'{count} {name}' for name, count in missed.items())}"] if missed else []
    return "; ".join([*parts, *([f"{false_positives} false positives"] if false_positives else [])])
