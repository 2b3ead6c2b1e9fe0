"""Run a home visit through a running system: two phones, a supervisor's desk and a resident, over HTTP alone.

It uses only requests that real clients send: RxDB's pull and push, one form per photo, a lease, a decision. Two
findings are planted (PLANTED), so that the supervisor has something to resolve. Each run takes the next intake visit,
or a review when no intake is left.
"""

import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
from PIL import Image
from rich.console import Console

from server.checklists.template import Template
from server.core.canonical import content_hash
from server.core.ids import new_id
from server.core.location import wgs84_to_gcj02
from server.core.tokens import receipt_short_code, verify_receipt
from server.demo import records as demo
from server.demo.console import Step, StepSkipped, run_steps
from server.demo.device import Device, Document, StepFailed, open_client, read_response, wait_for
from server.demo.recording import IMAGE_TYPES, PHOTOS, format_time, make_answers, make_fix, shift_point, take_pictures
from server.demo.walk import Walk, first_or_fail

LONGEST_SIDE_PX = 1280
END_FIX_AWAY_M = 230.0


async def run_demo_visit(url: str, photos: Path | None) -> int:
    """Run the visit, print each step with its time, and return the exit code.

    `photos` is a folder of real photos; four of them replace the drawn ones.
    """
    screen, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        files = _choose_photos(photos) if photos is not None else []
        async with contextlib.AsyncExitStack() as connections:
            await _check_server(url)
            walk = Walk(url, files, connections)
            return await run_steps(walk, STEPS, screen)
    except StepFailed as failed:
        errors.print(f"zoufang: {failed}", markup=False, soft_wrap=True)
        return 1


def _choose_photos(folder: Path) -> list[Path]:
    """Return four images of the folder, by name; those with `gps_` names if there are four."""
    found = sorted(file for file in folder.iterdir() if file.is_file() and file.suffix.lower() in IMAGE_TYPES)
    with_place = [file for file in found if file.name.startswith("gps_")]
    chosen = (with_place if len(with_place) >= PHOTOS else found)[:PHOTOS]
    if len(chosen) < PHOTOS:
        raise StepFailed("", f"{folder} holds {len(chosen)} images; {PHOTOS} are needed ({', '.join(IMAGE_TYPES)})")
    return chosen


async def _check_server(url: str) -> None:
    hint = "start it with `make run`, or name another with --url"
    try:
        async with open_client(url) as client:
            response = await client.get("/health/ready")
            readiness = response.json()
    except (httpx.HTTPError, httpx.InvalidURL):
        raise StepFailed("", f"nothing answers at {url}: {hint}") from None
    except ValueError:
        readiness = None
    if not isinstance(readiness, dict) or "migrations" not in readiness:
        raise StepFailed("", f"what answers at {url} is not zoufang: {hint}")
    if not response.is_success:
        checks = ", ".join(f"{key} {value}" for key, value in readiness.items())
        raise StepFailed("", f"zoufang at {url} is not ready ({checks})")


async def sign_in_caseworker(walk: Walk) -> str:
    """Sign in the first caseworker who has an open intake to lead; if there is none, one with a review."""
    spare: tuple[demo.Staff, Device, Document] | None = None
    for skipped, person in enumerate(walk.staff("caseworker")):
        device = await walk.sign_in(person)
        own = list_led_assignments(device, await device.pull("assignments"))
        intake = next((assignment for assignment in own if assignment["kind"] == "intake"), None)
        if intake is not None:
            walk.caseworker, walk.assignment = device, intake
            return f"{person.login} {person.name}" + (f"; the {skipped} before have no intake left" if skipped else "")
        if spare is None and own:
            spare = person, device, own[0]
    if spare is None:
        raise StepFailed("", "all assignments of the demo county are done; use a new data directory")
    person, walk.caseworker, walk.assignment = spare
    return f"{person.login} {person.name}; all intakes are done, so this is a review"


def list_led_assignments(device: Device, assignments: dict[str, Document]) -> list[Document]:
    """Return the intakes and reviews that this person leads, by due date.

    Both of a pair see an assignment; the partner named in it doesn't lead.
    """
    led = [
        assignment
        for assignment in assignments.values()
        if assignment["partnerId"] not in {None, device.person_id} and assignment["kind"] in {"intake", "review"}
    ]
    return sorted(led, key=lambda assignment: assignment["dueOn"])


async def sign_in_partner(walk: Walk) -> str:
    name = walk.assignment["partnerName"]
    person = first_or_fail(
        (caseworker for caseworker in walk.staff("caseworker") if caseworker.name == name), f"the partner {name}"
    )
    walk.partner = await walk.sign_in(person)
    if walk.partner.person_id != walk.assignment["partnerId"]:
        raise StepFailed("", f"{person.login} is not the partner named in the assignment")
    return f"{person.login} {person.name}, on another phone"


async def pull_work(walk: Walk) -> str:
    device = walk.caseworker
    households = await device.pull("households")
    checklists = await device.pull("checklists")
    walk.household = households[walk.assignment["householdId"]]
    expected = (walk.assignment["checklistCode"], walk.assignment["checklistVersion"])
    matching = (checklist for checklist in checklists.values() if (checklist["code"], checklist["version"]) == expected)
    checklist = first_or_fail(matching, f"checklist {expected}")
    walk.template = msgspec.convert(checklist["body"], Template)
    counts = f"{len(device.documents['assignments'])} assignments, {len(households)} households"
    return (
        f"{counts}, {len(checklists)} checklists; chosen: {walk.household['number']} {walk.household['headName']}, "
        f"{walk.household['areaName']}"
    )


async def record_visit(walk: Walk) -> str:
    """Record the visit on the phone: photos, signatures, answers, a fix at the start and at the end."""
    visit_id = str(new_id())
    walk.pictures = await take_pictures(walk, visit_id)
    answers = make_answers(walk)
    walk.visit = {
        "id": visit_id,
        "householdId": walk.household["id"],
        "assignmentId": walk.assignment["id"],
        "kind": walk.assignment["kind"],
        "checklistCode": walk.template.code,
        "checklistVersion": walk.template.version,
        "state": "submitted",
        "startedAt": format_time(walk.started_at),
        "endedAt": format_time(walk.ended_at),
        "startFix": make_fix(shift_point(walk.home, 6, -4), walk.started_at),
        "endFix": make_fix(shift_point(walk.home, 0, _end_away_m(walk)), walk.ended_at),
        "investigatorIds": [walk.caseworker.person_id, walk.partner.person_id],
        "familyPresent": [{"name": walk.household["headName"], "memberId": walk.household["members"][0]["id"]}],
        "answers": answers,
        "photos": [{"id": picture.id, "sha256": picture.sha256} for picture in walk.pictures],
        "_deleted": False,
    }
    return f"{len(answers)} answers, {PHOTOS} photos, {len(walk.pictures) - PHOTOS} signatures, 2 fixes"


def _end_away_m(walk: Walk) -> float:
    return END_FIX_AWAY_M if "visit.far_from_home" in walk.planted else 5.0


async def push_visit(walk: Walk) -> str:
    manifests = [
        {
            "id": picture.id,
            "visitId": walk.visit["id"],
            "questionId": picture.question_id,
            "sha256": picture.sha256,
            "sizeBytes": len(picture.content),
            "mediaType": picture.media_type,
            "capturedAt": format_time(picture.captured_at),
            "fix": make_fix(shift_point(walk.home, 2, 3), picture.captured_at),
            "_deleted": False,
        }
        for picture in walk.pictures
    ]
    await walk.caseworker.push("evidence", manifests)
    await walk.caseworker.push("visits", [walk.visit])
    return f"{len(manifests)} manifests and the {walk.visit['kind']} visit, submitted"


async def attest_visit(walk: Walk) -> str:
    """Attest with a fix in GCJ-02, the datum of many phones in China."""
    place = wgs84_to_gcj02(*shift_point(walk.home, -5, 7))
    attestation = {
        "id": str(new_id()),
        "visitId": walk.visit["id"],
        "attestedAt": format_time(walk.ended_at),
        "fix": make_fix(place, walk.ended_at, "gcj02"),
        "_deleted": False,
    }
    await walk.partner.push("attestations", [attestation])
    return f"{walk.partner.name} attested with an own fix (GCJ-02)"


async def upload_photos(walk: Walk) -> str:
    for picture in walk.pictures:
        received = read_response(
            await walk.caseworker.client.post(
                "/field/v1/photos",
                data={"evidenceId": picture.id},
                files={"file": (picture.name, picture.content, picture.media_type)},
            )
        )
        if received["sha256"] != picture.sha256:
            raise StepFailed("", f"{picture.name}: the server received other bytes")
    kilobytes = sum(len(picture.content) for picture in walk.pictures) // 1024
    return f"{PHOTOS} photos and {len(walk.pictures) - PHOTOS} signatures, {kilobytes:,} KB"


async def wait_until_verified(walk: Walk) -> str:
    async def poll() -> list[Document] | None:
        manifests = await walk.caseworker.pull("evidence")
        # The feed delivers a row once all older transactions have ended, so the first pull may miss it.
        states = [manifests[picture.id]["server"] for picture in walk.pictures if picture.id in manifests]
        processed = [state for state in states if state["state"] in {"verified", "refused"}]
        return processed if len(processed) == len(walk.pictures) else None

    for picture, server in zip(walk.pictures, await wait_for("all photos are processed", poll), strict=True):
        if server["state"] == "refused":
            raise StepFailed(server["refusedCode"], f"{picture.name} was refused")
    return f"{len(walk.pictures)} of {len(walk.pictures)} verified: hash, type, EXIF, renditions"


async def check_receipt(walk: Walk) -> str:
    async def poll() -> Document | None:
        visit = (await walk.caseworker.pull("visits")).get(walk.visit["id"])
        return visit if visit is not None and visit["server"]["state"] == "under_review" else None

    visit = await wait_for("the visit is under review", poll)
    receipt = visit["server"]["receipt"]
    statement = verify_receipt(receipt, await walk.caseworker.get("/.well-known/zoufang-receipt-keys.json"))
    if (statement["visitId"], statement["sha256"]) != (walk.visit["id"], content_hash(walk.visit)):
        raise StepFailed("", "the receipt is for another visit than the phone's")
    return f"state under_review; signature and hash are valid, {receipt_short_code(receipt)}"


async def acquire_lease(walk: Walk) -> str:
    person = first_or_fail(walk.staff("supervisor"), "a supervisor")
    walk.supervisor = await walk.sign_in(person)
    position = 0
    async for queued in _iter_queue(walk.supervisor):
        position += 1
        if queued["visitId"] == walk.visit["id"]:
            walk.lease = await walk.supervisor.post(f"/desk/v1/queue/{walk.visit['id']}/claim")
            return (
                f"{person.login} {person.name}; number {position} in the queue, priority {queued['priority']}; leased"
            )
    raise StepFailed("", f"the visit is not among the {position} in the queue")


async def _iter_queue(device: Device) -> AsyncIterator[Document]:
    cursor: Document = {}
    while True:
        page = await device.get("/desk/v1/queue", state="waiting", **cursor)
        for queued in page["items"]:
            yield queued
        if page["nextCursor"] is None:
            return
        cursor = {"cursor": page["nextCursor"]}


async def open_visit(walk: Walk) -> str:
    walk.detail = await walk.supervisor.get(f"/desk/v1/visits/{walk.visit['id']}")
    codes = {finding["code"] for finding in walk.detail["findings"]}
    planted = walk.planted - ({"photo.time_off"} if walk.files else set())
    if missing := planted - codes:
        raise StepFailed("", f"planted findings are missing: {', '.join(sorted(missing))}")
    attested = sum(investigator["attestedAt"] is not None for investigator in walk.detail["investigators"])
    photos, findings = len(walk.detail["photos"]), len(walk.detail["findings"])
    return f"{attested} investigators attested, {photos} pictures, {findings} findings"


async def open_photos(walk: Walk) -> str:
    """Open each photo by its short-lived link, without a token: the link alone authorizes."""
    names = {picture.id: picture.name for picture in walk.pictures}
    largest = 0
    async with httpx.AsyncClient(trust_env=False, timeout=30) as store:
        for photo in walk.detail["photos"]:
            link = await walk.supervisor.get(f"/desk/v1/visits/{walk.visit['id']}/photos/{photo['evidenceId']}/link")
            response = await store.get(link["url"])
            name = names[photo["evidenceId"]]
            if not response.is_success:
                raise StepFailed(f"HTTP {response.status_code}", f"the link to {name} does not open")
            largest = max(largest, _check_rendition(response.content, name))
    return f"{len(walk.detail['photos'])} opened: JPEG, at most {largest} px, no EXIF left"


def _check_rendition(content: bytes, name: str) -> int:
    """Return the longest side in pixels; raise StepFailed unless it is a small JPEG without EXIF."""
    with Image.open(io.BytesIO(content)) as picture:
        if picture.format != "JPEG" or max(picture.size) > LONGEST_SIDE_PX:
            raise StepFailed("", f"{name} is {picture.format}, {picture.width} × {picture.height}")
        if picture.getexif() or "exif" in picture.info:
            raise StepFailed("", f"{name} still has EXIF")
        return max(picture.size)


async def accept_visit(walk: Walk) -> str:
    findings = walk.detail["findings"]
    upheld = [finding["id"] for finding in findings if finding["severity"] == "critical"]
    dismissed = [finding["id"] for finding in findings if finding["severity"] != "critical"]
    body = {
        "outcome": "accepted",
        "reason": "演示：照片疑点成立，为走完流程仍予通过" if upheld else "演示：已向两名调查人员核实",
        "upheld": upheld,
        "dismissed": dismissed,
    }
    headers = {"Idempotency-Key": str(new_id()), "If-Match": f'"{walk.lease["version"]}"'}
    path = f"/desk/v1/visits/{walk.visit['id']}/decision"
    first = await walk.supervisor.post(path, body, headers=headers)
    repeated = await walk.supervisor.post(path, body, headers=headers)
    if first["id"] != repeated["id"]:
        raise StepFailed("", "the same Idempotency-Key made two decisions")
    counts = f"accepted; {len(upheld)} findings upheld, {len(dismissed)} dismissed"
    return counts + (" (accepted all the same, so that the demo goes on)" if upheld else "")


async def show_resident(walk: Walk) -> str:
    if walk.visit["kind"] != "intake":
        raise StepSkipped("this visit is a review, which changes no application")
    number = walk.household["number"]
    person = first_or_fail(
        (resident for resident in walk.county.residents if resident.household_number == number), f"{number}'s resident"
    )
    resident = await walk.sign_in_resident(person)
    binding = {"idNumber": person.id_number, "applicationNumber": person.application_number}
    bound = await resident.post("/auth/v1/resident/bind", binding)

    async def poll() -> list[Document] | None:
        cases = await resident.get("/resident/v1/cases")
        case = first_or_fail((case for case in cases if case["id"] == bound["caseId"]), "the case")
        timeline: list[Document] = case["timeline"]
        return timeline if any(step["step"] == "survey_done" for step in timeline) else None

    walk.timeline = await wait_for("the resident sees the survey done", poll)
    return f"{person.name} by WeChat, bound to {person.application_number}: {walk.timeline[-1]['zh']}"


async def show_caseworker(walk: Walk) -> str:
    async def poll() -> Document | None:
        server: Document = (await walk.caseworker.pull("visits"))[walk.visit["id"]]["server"]
        return server if server["state"] == "accepted" else None

    server = await wait_for("the phone sees the decision", poll)
    open_count = len(list_led_assignments(walk.caseworker, await walk.caseworker.pull("assignments")))
    return f"state accepted, “{server['decision']['reason']}”; {open_count} assignments left"


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
    ("Supervisor leases it", acquire_lease),
    ("Visit opened", open_visit),
    ("Photos opened by link", open_photos),
    ("Supervisor accepts", accept_visit),
    ("Resident sees it", show_resident),
    ("Caseworker sees it", show_caseworker),
)
