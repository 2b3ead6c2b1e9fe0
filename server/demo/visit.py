"""One home visit walked through a running system: two phones, a supervisor's desk and a resident, over HTTP alone.

It does what real clients do and nothing that they could not: RxDB's pull and push, one form a photo, a claim, a
decision. The demo's own doubts are planted on purpose (see PLANTED), so that the supervisor has something to
judge. It may be run again and again: each run takes the next intake visit, and a review when none is left.
"""

import asyncio
import contextlib
import hashlib
import io
import itertools
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import msgspec
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.core.canonical import content_hash
from server.core.checklists.answers import Facts, HouseholdFacts, MemberFacts, is_acceptable, validate_answers
from server.core.checklists.examples import answers_example
from server.core.checklists.template import Template, questions_of
from server.core.ids import new_id
from server.core.location import Point, wgs84_to_gcj02
from server.core.tokens import ReceiptError, receipt_short_code, utc_now, verify_receipt
from server.demo import county as demo
from server.demo.pictures import draw_picture

CHINA = ZoneInfo("Asia/Shanghai")
SCHEMA_VERSION = 1
PHOTOS = 4
LONGEST_SIDE_PX = 1280
WORKER_SECONDS = 60
ANSWERS_AT_LEAST = 25
IMAGE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heic",
}

# The caseworker of the story ends the visit down the road, and photographed one paper in the office before.
END_FIX_AWAY_M = 230.0
EARLY_PHOTO = timedelta(hours=3)
PLANTED = frozenset({"visit.far_from_home", "photo.time_off"})
OF_THE_PHOTO = ("photo.abroad", "photo.place_off", "photo.time_off", "photo.after_receipt", "photo.reused")

SCENES = {
    "photo_outside": "house_outside",
    "photo_inside": "room_inside",
    "photo_register": "household_register",
    "photo_documents": "documents",
    "photo_person": "people_met",
}

T = TypeVar("T")
Document = dict[str, Any]


class StepFailed(Exception):
    """What went wrong, in the server's own code and words where it is the server that refused."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}" if code else sentence)


class StepSkipped(Exception):
    """There is nothing true to show at this step, and why."""


async def run_demo_visit(url: str, photos: Path | None) -> int:
    """Walk the visit and print each step with its time; 0 when every step that could be walked went well.

    `photos`: a folder of real photos, of which four take the place of the drawn ones.
    """
    screen, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        files = _choose_photos(photos) if photos is not None else []
        async with contextlib.AsyncExitStack() as connections:
            await _check_server(url)
            walk = Walk(url, files, connections)
            return await _walk_all(walk, screen)
    except StepFailed as failed:
        errors.print(f"zoufang: {failed}", markup=False, soft_wrap=True)
        return 1


def _choose_photos(folder: Path) -> list[Path]:
    """Four images of the folder, by name; those that a camera marked with a place first."""
    found = sorted(file for file in folder.iterdir() if file.is_file() and file.suffix.lower() in IMAGE_TYPES)
    with_place = [file for file in found if file.name.startswith("gps_")]
    chosen = (with_place if len(with_place) >= PHOTOS else found)[:PHOTOS]
    if len(chosen) < PHOTOS:
        raise StepFailed("", f"{folder} holds {len(chosen)} images; {PHOTOS} are needed ({', '.join(IMAGE_TYPES)})")
    return chosen


async def _check_server(url: str) -> None:
    hint = "start it with `make run`, or name another with --url"
    try:
        async with _open_client(url) as client:
            answer = await client.get("/health/ready")
            readiness = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL):
        raise StepFailed("", f"nothing answers at {url}: {hint}") from None
    except ValueError:
        readiness = None
    if not isinstance(readiness, dict) or "migrations" not in readiness:
        raise StepFailed("", f"what answers at {url} is not zoufang: {hint}")
    if not answer.is_success:
        told = ", ".join(f"{key} {value}" for key, value in readiness.items())
        raise StepFailed("", f"zoufang at {url} is not ready ({told})")


def _open_client(url: str) -> httpx.AsyncClient:
    # The proxies of the environment are for the world outside, not for a server on this machine.
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=30, headers={"Accept-Language": "en"})


# --- a signed-in device -------------------------------------------------------------------------------------


class Device:
    """One device that has signed in, with what it has pulled so far: `documents[collection][id]`."""

    def __init__(self, client: httpx.AsyncClient, signed_in: Document) -> None:
        self.client = client
        self.person_id: str = signed_in["personId"]
        self.name: str = signed_in["name"]
        self.documents: dict[str, dict[str, Document]] = {}
        self.checkpoints: dict[str, Document] = {}
        client.headers["Authorization"] = f"Bearer {signed_in['accessToken']}"

    async def get(self, path: str, **query: Any) -> Any:
        return _read(await self.client.get(path, params=query))

    async def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return _read(await self.client.post(path, json=body, **more))

    async def pull(self, collection: str) -> dict[str, Document]:
        """Everything new since the last checkpoint, page by page; what the device then holds."""
        held = self.documents.setdefault(collection, {})
        path = f"/field/v1/sync/{collection}/{SCHEMA_VERSION}/pull"
        while True:
            page = await self.get(path, **self.checkpoints.get(collection, {}), limit=200)
            self.checkpoints[collection] = page["checkpoint"]
            for one in page["documents"]:
                if one.get("_deleted"):
                    held.pop(one["id"], None)
                else:
                    held[one["id"]] = one
            if not page["documents"]:
                return held

    async def push(self, collection: str, documents: Iterable[Document]) -> None:
        """Raises StepFailed for the first row that did not go through, with the server's reason."""
        rows = [{"newDocumentState": one} for one in documents]
        refused = await self.post(f"/field/v1/sync/{collection}/{SCHEMA_VERSION}/push", rows)
        for one in refused:
            told = one.get("server", {}).get("problem")
            raise _from_problem(told["en"]) if told else StepFailed("conflict", f"{collection} {one['id']} differs")


def _read(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json() if response.content else None
    try:
        raise _from_problem(response.json())
    except (ValueError, KeyError, TypeError):
        raise StepFailed(f"HTTP {response.status_code}", response.text[:200]) from None


def _from_problem(problem: Document) -> StepFailed:
    places = "; ".join(f"{one['pointer']} {one['code']}" for one in problem.get("errors") or [])
    sentence = ". ".join(part.rstrip(".") for part in (problem["title"], problem.get("detail"), places) if part)
    return StepFailed(problem["code"], sentence)


async def _wait_for(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """Look until there is something to see; the worker has WORKER_SECONDS."""
    ends_at = time.monotonic() + WORKER_SECONDS
    while (seen := await look()) is None:
        if time.monotonic() > ends_at:
            raise StepFailed("timeout", f"{what}: still not so after {WORKER_SECONDS} s (is the worker running?)")
        await asyncio.sleep(0.1)
    return seen


# --- the walk -----------------------------------------------------------------------------------------------


class Picture(NamedTuple):
    """A photo or a signature as it lies on the phone; `name` is the scene, or the file it was."""

    id: str
    question_id: str
    name: str
    content: bytes
    media_type: str
    captured_at: datetime

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class Walk:
    """What one run has come to know; each step reads what the steps before it left here."""

    caseworker: Device
    partner: Device
    supervisor: Device
    assignment: Document
    household: Document
    template: Template
    visit: Document
    pictures: list[Picture]
    claim: Document
    page: Document

    def __init__(self, url: str, files: list[Path], connections: contextlib.AsyncExitStack) -> None:
        self.url = url
        self.files = files
        self.connections = connections
        self.county = demo.build_county(today=utc_now().astimezone(CHINA).date())
        self.ended_at = utc_now().replace(microsecond=0) - timedelta(minutes=4)
        self.started_at = self.ended_at - timedelta(minutes=38)
        self.timeline: list[Document] = []

    async def sign_in(self, person: demo.Staff) -> Device:
        """Every person has a phone of their own, the same at each run."""
        intro = {"label": f"{person.name}'s phone", "platform": "demo", "hardwareId": f"demo-{person.login}"}
        body = {"login": person.login, "password": demo.DEMO_PASSWORDS[person.role], "device": intro}
        return await self._open_device("/auth/v1/staff/sign-in", body)

    async def sign_in_resident(self, person: demo.Resident) -> Device:
        """With the code that `wx.login` would give this person's phone."""
        body = {"code": f"demo-{person.wechat_suffix}-{new_id().hex}", "device": {"label": "WeChat"}}
        return await self._open_device("/auth/v1/resident/sign-in-wechat", body)

    async def _open_device(self, path: str, body: Document) -> Device:
        """Signed out again when the walk is over, however it ended."""
        client = await self.connections.enter_async_context(_open_client(self.url))
        device = Device(client, _read(await client.post(path, json=body)))
        self.connections.push_async_callback(_sign_out, device)
        return device

    def staff(self, role: demo.StaffRole) -> Iterator[demo.Staff]:
        return (person for person in self.county.staff if person.role == role)

    @property
    def home(self) -> Point:
        return Point(self.household["latitude"], self.household["longitude"])


async def _sign_out(device: Device) -> None:
    with contextlib.suppress(StepFailed, httpx.HTTPError):
        await device.post("/auth/v1/sign-out")


def _first(things: Iterable[T], what: str) -> T:
    for one in things:
        return one
    raise StepFailed("", f"{what} is not there")


async def sign_in_caseworker(walk: Walk) -> str:
    """The first caseworker of the county with an intake of their own still to do; else one with a review."""
    spare: tuple[demo.Staff, Device, Document] | None = None
    for passed, person in enumerate(walk.staff("caseworker")):
        device = await walk.sign_in(person)
        own = _own_assignments(device, await device.pull("assignments"))
        intake = next((one for one in own if one["kind"] == "intake"), None)
        if intake is not None:
            walk.caseworker, walk.assignment = device, intake
            return f"{person.login} {person.name}" + (f"; the intakes of {passed} before are done" if passed else "")
        if spare is None and own:
            spare = person, device, own[0]
    if spare is None:
        raise StepFailed("", "every assignment of the demo county is done; start afresh with another data directory")
    person, walk.caseworker, walk.assignment = spare
    return f"{person.login} {person.name}; every intake is done, so this is a review visit"


def _own_assignments(device: Device, assignments: dict[str, Document]) -> list[Document]:
    """Of a pair both see the assignment; it is for the one to lead who is not named as the partner."""
    mine = [one for one in assignments.values() if one["partnerId"] not in {None, device.person_id}]
    return sorted((one for one in mine if one["kind"] in {"intake", "review"}), key=lambda one: one["dueOn"])


async def sign_in_partner(walk: Walk) -> str:
    name = walk.assignment["partnerName"]
    person = _first((one for one in walk.staff("caseworker") if one.name == name), f"the partner {name}")
    walk.partner = await walk.sign_in(person)
    if walk.partner.person_id != walk.assignment["partnerId"]:
        raise StepFailed("", f"{person.login} is not the partner that the assignment names")
    return f"{person.login} {person.name}, on another phone"


async def pull_work(walk: Walk) -> str:
    device = walk.caseworker
    households = await device.pull("households")
    checklists = await device.pull("checklists")
    walk.household = households[walk.assignment["householdId"]]
    wanted = (walk.assignment["checklistCode"], walk.assignment["checklistVersion"])
    fitting = (one for one in checklists.values() if (one["code"], one["version"]) == wanted)
    checklist = _first(fitting, f"checklist {wanted}")
    walk.template = msgspec.convert(checklist["body"], Template)
    counts = f"{len(device.documents['assignments'])} assignments, {len(households)} households"
    return (
        f"{counts}, {len(checklists)} checklists; chosen: {walk.household['number']} {walk.household['headName']}, "
        f"{walk.household['areaName']}"
    )


async def record_visit(walk: Walk) -> str:
    """At the home, on the phone alone: photos, signatures, answers, a fix at the start and one at the end."""
    visit_id = str(new_id())
    walk.pictures = await _take_pictures(walk, visit_id)
    answers = _fill_in(walk)
    walk.visit = {
        "id": visit_id,
        "householdId": walk.household["id"],
        "assignmentId": walk.assignment["id"],
        "kind": walk.assignment["kind"],
        "checklistCode": walk.template.code,
        "checklistVersion": walk.template.version,
        "state": "submitted",
        "startedAt": _told(walk.started_at),
        "endedAt": _told(walk.ended_at),
        "startFix": _fix(_moved(walk.home, 6, -4), walk.started_at),
        "endFix": _fix(_moved(walk.home, 0, END_FIX_AWAY_M), walk.ended_at),
        "investigatorIds": [walk.caseworker.person_id, walk.partner.person_id],
        "familyPresent": [{"name": walk.household["headName"], "memberId": walk.household["members"][0]["id"]}],
        "answers": answers,
        "photos": [{"id": one.id, "sha256": one.sha256} for one in walk.pictures],
        "_deleted": False,
    }
    return f"{len(answers)} answers, {PHOTOS} photos, {len(walk.pictures) - PHOTOS} signatures, 2 fixes"


async def _take_pictures(walk: Walk, visit_id: str) -> list[Picture]:
    """Drawn side by side in threads: each is a third of a second of arithmetic."""
    seed = UUID(visit_id).int & 0x7FFF_FFFF
    asked = _photo_questions(walk.template)
    moments = [walk.started_at + timedelta(minutes=4 + 7 * place) for place in range(PHOTOS)]
    photos = (
        [_carry(*one) for one in zip(walk.files, asked, moments, strict=True)]
        if walk.files
        else [
            asyncio.to_thread(_draw, walk, question_id, SCENES[question_id], seed, at, early=place == 2)  # noqa: PLR2004
            for place, (question_id, at) in enumerate(zip(asked, moments, strict=True))
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
    asked = [one for one in questions_of(template) if one.kind == "photo"]
    chosen = sorted(asked, key=lambda one: not one.required)[:PHOTOS]
    return [one.id for one in asked if one in chosen]


async def _carry(file: Path, question_id: str, at: datetime) -> Picture:
    content = await asyncio.to_thread(file.read_bytes)
    return Picture(str(new_id()), question_id, file.name, content, IMAGE_TYPES[file.suffix.lower()], at)


def _draw(walk: Walk, question_id: str, scene: str, seed: int, at: datetime, *, early: bool = False) -> Picture:
    """`early`: the camera's own time belies the moment that the phone announces."""
    place = _moved(walk.home, seed % 13 - 6, seed % 9 - 4)
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


def _fill_in(walk: Walk) -> Document:
    """Answers as a caseworker would give them, checked on the phone before they are sent."""
    facts = _facts(walk)
    ids = [one["id"] for one in walk.household["members"]]
    seed = int(walk.household["number"].rpartition("-")[2])
    tries = (answers_example(walk.template, ids, seed + more, facts=facts) for more in itertools.count(step=1000))
    answers = next(one for one in tries if one["person_met"] == "applicant")
    answers |= {"person_met_name": walk.household["headName"], "home_location": _location(walk)}
    answers |= _answers_with_evidence(walk)
    faults = validate_answers(walk.template, answers, member_ids=ids, facts=facts, stage="submitted")
    if not is_acceptable(faults) or len(answers) < ANSWERS_AT_LEAST:
        raise StepFailed("", f"{len(answers)} answers: " + "; ".join(f"{one.pointer} {one.code}" for one in faults))
    return answers


def _facts(walk: Walk) -> Facts:
    today = walk.started_at.astimezone(CHINA).date()
    members = [
        MemberFacts(member_id=one["id"], age=_age(one["bornOn"], today), sex=one["sex"], relation=one["relation"])
        for one in walk.household["members"]
    ]
    return Facts(today=today, members=tuple(members), household=HouseholdFacts(class_=walk.household["class"]))


def _age(born_on: str, today: date) -> int:
    born = date.fromisoformat(born_on)
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _location(walk: Walk) -> Document:
    fix = _fix(_moved(walk.home, 3, 2), walk.started_at)
    return {key: value for key, value in fix.items() if key != "source"}


def _answers_with_evidence(walk: Walk) -> Document:
    """Photo questions that this visit leaves out are answered with nothing at all."""
    photos, (family, first, second) = walk.pictures[:PHOTOS], walk.pictures[PHOTOS:]
    answers: Document = {one.id: [] for one in questions_of(walk.template) if one.kind == "photo"}
    answers |= {one.question_id: [one.id] for one in photos}
    investigators = ((first, walk.caseworker.name), (second, walk.partner.name))
    answers["sign_family"] = [_signed(family, walk.household["headName"])]
    answers["sign_investigators"] = [_signed(picture, name) for picture, name in investigators]
    return {key: value for key, value in answers.items() if value}


def _signed(picture: Picture, name: str) -> Document:
    return {"evidenceId": picture.id, "signerName": name, "signedAt": _told(picture.captured_at)}


def _fix(place: Point, at: datetime, datum: str = "wgs84") -> Document:
    return {
        "latitude": place.latitude,
        "longitude": place.longitude,
        "datum": datum,
        "accuracyM": 12.0,
        "capturedAt": _told(at),
        "source": "wx.getLocation",
    }


def _moved(place: Point, north_m: float, east_m: float) -> Point:
    metres = 111_320.0  # a degree of latitude; exact enough for a few hundred metres
    east = east_m / (metres * math.cos(math.radians(place.latitude)))
    return Point(round(place.latitude + north_m / metres, 6), round(place.longitude + east, 6))


def _told(at: datetime) -> str:
    return at.astimezone(CHINA).isoformat()


async def push_visit(walk: Walk) -> str:
    manifests = [
        {
            "id": one.id,
            "visitId": walk.visit["id"],
            "questionId": one.question_id,
            "sha256": one.sha256,
            "sizeBytes": len(one.content),
            "mediaType": one.media_type,
            "capturedAt": _told(one.captured_at),
            "fix": _fix(_moved(walk.home, 2, 3), one.captured_at),
            "_deleted": False,
        }
        for one in walk.pictures
    ]
    await walk.caseworker.push("evidence", manifests)
    await walk.caseworker.push("visits", [walk.visit])
    return f"{len(manifests)} manifests and the {walk.visit['kind']} visit, submitted"


async def attest_visit(walk: Walk) -> str:
    """The partner's phone speaks the datum of Chinese maps, as many do."""
    place = wgs84_to_gcj02(*_moved(walk.home, -5, 7))
    attestation = {
        "id": str(new_id()),
        "visitId": walk.visit["id"],
        "attestedAt": _told(walk.ended_at),
        "fix": _fix(place, walk.ended_at, "gcj02"),
        "_deleted": False,
    }
    await walk.partner.push("attestations", [attestation])
    return f"{walk.partner.name} was there too (own fix, GCJ-02)"


async def upload_photos(walk: Walk) -> str:
    for one in walk.pictures:
        received = _read(
            await walk.caseworker.client.post(
                "/field/v1/photos",
                data={"evidenceId": one.id},
                files={"file": (one.name, one.content, one.media_type)},
            )
        )
        if received["sha256"] != one.sha256:
            raise StepFailed("", f"{one.name}: the server says it received other bytes")
    kilobytes = sum(len(one.content) for one in walk.pictures) // 1024
    return f"{PHOTOS} photos and {len(walk.pictures) - PHOTOS} signatures, {kilobytes:,} KB"


async def wait_until_verified(walk: Walk) -> str:
    async def look() -> list[Document] | None:
        held = await walk.caseworker.pull("evidence")
        # A row comes down only when every transaction older than its own has ended: perhaps not at the first pull.
        ours = [held[one.id]["server"] for one in walk.pictures if one.id in held]
        settled = [one for one in ours if one["state"] in {"verified", "refused"}]
        return settled if len(settled) == len(walk.pictures) else None

    for picture, server in zip(walk.pictures, await _wait_for("all photos are examined", look), strict=True):
        if server["state"] == "refused":
            raise StepFailed(server["refusedCode"], f"{picture.name} can be no evidence")
    return f"{len(walk.pictures)} of {len(walk.pictures)} verified: hash, type, EXIF, renditions"


async def check_receipt(walk: Walk) -> str:
    async def look() -> Document | None:
        held = (await walk.caseworker.pull("visits")).get(walk.visit["id"])
        return held if held is not None and held["server"]["state"] == "under_review" else None

    visit = await _wait_for("the visit is under review", look)
    receipt = visit["server"]["receipt"]
    statement = verify_receipt(receipt, await walk.caseworker.get("/.well-known/zoufang-receipt-keys.json"))
    if (statement["visitId"], statement["sha256"]) != (walk.visit["id"], content_hash(walk.visit)):
        raise StepFailed("", "the receipt is for another visit than the phone holds")
    return f"state under_review; signature and hash hold, {receipt_short_code(receipt)}"


async def claim_visit(walk: Walk) -> str:
    person = _first(walk.staff("supervisor"), "a supervisor")
    walk.supervisor = await walk.sign_in(person)
    place = 0
    async for line in _queue(walk.supervisor):
        place += 1
        if line["visitId"] == walk.visit["id"]:
            walk.claim = await walk.supervisor.post(f"/desk/v1/queue/{walk.visit['id']}/claim")
            return f"{person.login} {person.name}; number {place} in the queue, priority {line['priority']}; claimed"
    raise StepFailed("", f"the visit is not among the {place} that wait in the queue")


async def _queue(device: Device) -> AsyncIterator[Document]:
    more: Document = {}
    while True:
        page = await device.get("/desk/v1/queue", state="waiting", **more)
        for line in page["items"]:
            yield line
        if page["nextCursor"] is None:
            return
        more = {"cursor": page["nextCursor"]}


async def open_page(walk: Walk) -> str:
    walk.page = await walk.supervisor.get(f"/desk/v1/visits/{walk.visit['id']}")
    codes = {one["code"] for one in walk.page["findings"]}
    planted = PLANTED - ({"photo.time_off"} if walk.files else set())
    if missing := planted - codes:
        raise StepFailed("", f"the server has no doubt where it should: {', '.join(sorted(missing))}")
    attested = sum(one["attestedAt"] is not None for one in walk.page["investigators"])
    return (
        f"{attested} investigators attested, {len(walk.page['photos'])} pictures, {len(walk.page['findings'])} doubts"
    )


async def open_photos(walk: Walk) -> str:
    """Each by its own short-lived link, fetched without a token: the link alone opens it."""
    names = {one.id: one.name for one in walk.pictures}
    largest = 0
    async with httpx.AsyncClient(trust_env=False, timeout=30) as store:
        for one in walk.page["photos"]:
            link = await walk.supervisor.get(f"/desk/v1/visits/{walk.visit['id']}/photos/{one['evidenceId']}/link")
            answer = await store.get(link["url"])
            if not answer.is_success:
                raise StepFailed(f"HTTP {answer.status_code}", f"the link to {names[one['evidenceId']]} does not open")
            largest = max(largest, _check_rendition(answer.content, names[one["evidenceId"]]))
    return f"{len(walk.page['photos'])} opened: JPEG, at most {largest} px, no EXIF left"


def _check_rendition(content: bytes, name: str) -> int:
    """The longest side in pixels."""
    with Image.open(io.BytesIO(content)) as picture:
        if picture.format != "JPEG" or max(picture.size) > LONGEST_SIDE_PX:
            raise StepFailed("", f"{name} came as {picture.format}, {picture.width} × {picture.height}")
        if picture.getexif() or "exif" in picture.info:
            raise StepFailed("", f"{name} still carries EXIF")
        return max(picture.size)


async def accept_visit(walk: Walk) -> str:
    findings = walk.page["findings"]
    upheld = [one["id"] for one in findings if one["severity"] == "critical"]
    dismissed = [one["id"] for one in findings if one["severity"] != "critical"]
    body = {
        "outcome": "accepted",
        "reason": "演示：照片疑点成立，为走完流程仍予通过" if upheld else "演示：已向两名调查人员核实",
        "upheld": upheld,
        "dismissed": dismissed,
    }
    headers = {"Idempotency-Key": str(new_id()), "If-Match": f'"{walk.claim["version"]}"'}
    path = f"/desk/v1/visits/{walk.visit['id']}/decision"
    first = await walk.supervisor.post(path, body, headers=headers)
    again = await walk.supervisor.post(path, body, headers=headers)
    if first["id"] != again["id"]:
        raise StepFailed("", "the same key was decided twice")
    counts = f"accepted; {len(upheld)} doubts upheld, {len(dismissed)} dismissed"
    return counts + (" (accepted all the same, to walk on)" if upheld else "")


async def show_resident(walk: Walk) -> str:
    if walk.visit["kind"] != "intake":
        raise StepSkipped("no application waits for a survey any more, and a review changes no application")
    number = walk.household["number"]
    person = _first((one for one in walk.county.residents if one.household_number == number), f"{number}'s resident")
    resident = await walk.sign_in_resident(person)
    binding = {"idNumber": person.id_number, "applicationNumber": person.application_number}
    bound = await resident.post("/auth/v1/resident/bind", binding)

    async def look() -> list[Document] | None:
        cases = await resident.get("/resident/v1/cases")
        timeline: list[Document] = _first((one for one in cases if one["id"] == bound["caseId"]), "the case")[
            "timeline"
        ]
        return timeline if any(step["step"] == "survey_done" for step in timeline) else None

    walk.timeline = await _wait_for("the resident sees the survey done", look)
    return f"{person.name} by WeChat, bound to {person.application_number}: {walk.timeline[-1]['zh']}"


async def show_caseworker(walk: Walk) -> str:
    async def look() -> Document | None:
        server: Document = (await walk.caseworker.pull("visits"))[walk.visit["id"]]["server"]
        return server if server["state"] == "accepted" else None

    server = await _wait_for("the phone sees the decision", look)
    left = len(_own_assignments(walk.caseworker, await walk.caseworker.pull("assignments")))
    return f"state accepted, “{server['decision']['reason']}”; {left} assignments left"


Step = Callable[[Walk], Awaitable[str]]
STEPS: tuple[tuple[str, Step], ...] = (
    ("Caseworker signs in", sign_in_caseworker),
    ("Partner signs in", sign_in_partner),
    ("Phone pulls its work", pull_work),
    ("Home visit recorded", record_visit),
    ("Visit pushed", push_visit),
    ("Partner attests", attest_visit),
    ("Photos uploaded", upload_photos),
    ("Worker verifies them", wait_until_verified),
    ("Receipt checked", check_receipt),
    ("Supervisor claims it", claim_visit),
    ("Visit page opened", open_page),
    ("Photos opened by link", open_photos),
    ("Supervisor accepts", accept_visit),
    ("Resident sees it", show_resident),
    ("Caseworker sees it", show_caseworker),
)


# --- what is printed ----------------------------------------------------------------------------------------


async def _walk_all(walk: Walk, screen: Console) -> int:
    """Rows are printed as the steps end, so that a slow one can be seen waiting."""
    screen.print(f"\nOne home visit through {walk.url}, from the phone to the resident\n", markup=False)
    _print_row(screen, "", "", "step", "ms", "result", style="bold")
    started = time.monotonic()
    skipped = 0
    failed: str | None = None
    for number, (name, step) in enumerate(STEPS, start=1):
        mark, took_ms, result = await _take_step(walk, screen, name, step)
        _print_row(screen, mark, str(number), name, f"{took_ms:,.0f}", result)
        skipped += mark == "–"
        if mark == "✗":
            failed = f"Step {number} failed and the rest was not run: {result}"
            break
    _print_findings(walk, screen)
    _print_timeline(walk, screen)
    took_s = time.monotonic() - started
    if failed is not None:
        screen.print(Text(f"\n✗ {failed}", style="bold red"))
        return 1
    told = f"✓ From the phone to the {'decision' if skipped else 'resident'} in {took_s:.1f} s."
    screen.print(Text(f"\n{told}", style="bold green"))
    return 0


async def _take_step(walk: Walk, screen: Console, name: str, step: Step) -> tuple[str, float, str]:
    started = time.perf_counter()
    mark = "✗"
    try:
        with screen.status(f"{name} …"):
            result = await step(walk)
        mark = "✓"
    except StepSkipped as skipped:
        mark, result = "–", f"skipped: {skipped}"
    except StepFailed as failed:
        result = str(failed)
    except ReceiptError as error:
        result = f"the receipt does not hold: {error}"
    except httpx.HTTPError as error:
        result = f"no answer: {type(error).__name__} {error}".strip()
    except (LookupError, TypeError, msgspec.ValidationError) as error:
        result = f"the answer is not what was agreed: {type(error).__name__} {error}"
    return mark, (time.perf_counter() - started) * 1000, result


_MARK_STYLES = {"✓": "green", "✗": "bold red", "–": "yellow"}


def _print_row(screen: Console, mark: str, number: str, name: str, ms: str, result: str, style: str = "") -> None:
    """One table a row, all of one shape: a table that grows as the walk goes on, on a terminal and in a file."""
    row = Table.grid(padding=(0, 2, 0, 0), expand=True)
    row.add_column(width=1)
    row.add_column(width=2, justify="right")
    row.add_column(width=21)
    row.add_column(width=6, justify="right")
    row.add_column(ratio=1, overflow="fold")
    outcome = style or ("red" if mark == "✗" else "yellow" if mark == "–" else "")
    row.add_row(
        Text(mark, _MARK_STYLES.get(mark, "")),
        Text(number, "dim"),
        Text(name, style),
        Text(ms, style or "cyan"),
        Text(result, outcome),
    )
    screen.print(row)


_SEVERITY_STYLES = {"critical": "bold red", "warning": "yellow", "notice": "cyan", "info": "dim"}


def _print_findings(walk: Walk, screen: Console) -> None:
    if not hasattr(walk, "page"):
        return
    names = {one.id: one.name for one in walk.pictures}
    table = Table(title="What the server doubts, for the supervisor to judge", title_justify="left", expand=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("code", overflow="fold", max_width=24)
    table.add_column("photo", overflow="fold", max_width=12)
    table.add_column("说明", ratio=1, overflow="fold", min_width=28)
    for one in walk.page["findings"]:
        style = _SEVERITY_STYLES[one["severity"]]
        photo = names.get(one["evidenceId"], "")
        table.add_row(Text(one["severity"], style), Text(one["code"]), Text(photo), Text(one["zh"], style))
    screen.print()
    screen.print(table)
    if walk.files:
        _print_verdict_on_files(walk, screen)


def _print_verdict_on_files(walk: Walk, screen: Console) -> None:
    """What the real photos gave away, in one line."""
    ours = {one.id for one in walk.pictures[:PHOTOS]}
    counts = {
        code: len({one["evidenceId"] for one in walk.page["findings"] if one["code"] == code} & ours)
        for code in OF_THE_PHOTO
    }
    told = ", ".join(f"{code} on {count} of {PHOTOS}" for code, count in counts.items() if count)
    line = f"These photos: {told}." if told else "These photos: nothing speaks against them."
    screen.print(Text(line, "bold red" if told else "green"))


def _print_timeline(walk: Walk, screen: Console) -> None:
    if not walk.timeline:
        return
    table = Table(title="What the resident reads", title_justify="left")
    table.add_column("when", no_wrap=True)
    table.add_column("step", no_wrap=True)
    table.add_column("进度", overflow="fold")
    for one in walk.timeline:
        at = datetime.fromisoformat(one["at"]).astimezone(CHINA)
        table.add_row(at.strftime("%Y-%m-%d %H:%M"), one["step"], one["zh"])
    screen.print()
    screen.print(table)
