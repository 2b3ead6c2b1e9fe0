"""The people of the tests: phones, desks and residents that speak to the app as real clients do."""

import hashlib
import io
import itertools
import os
import zlib
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Self
from uuid import UUID

import httpx
import msgspec
from litestar import Litestar
from PIL import Image
from sqlalchemy import select

from server.checklists.examples import make_example_answers
from server.checklists.facts import Facts, HouseholdFacts, MemberFacts
from server.checklists.template import Template
from server.core import jobs
from server.core.clock import CHINA, utc_now
from server.core.ids import new_id
from server.core.services import Services
from server.demo.pictures import draw_picture
from server.demo.records import StaffRole
from server.demo.scenes import SCENES
from server.demo.staff import DEMO_PASSWORDS
from server.models.people import Staff
from tests.asgi import transport_to
from tests.connections import as_request
from tests.contract import hold_to_contract

Json = dict[str, Any]


async def step_up(http: httpx.AsyncClient, password: str, **proof: str) -> dict[str, str]:
    """Confirm who it is, and return the header that a change to sign-in needs."""
    answer = await http.post("/auth/v1/step-up", json={"password": password, **proof})
    assert answer.status_code == 200, answer.text
    return {"X-Step-Up": answer.json()["stepUpToken"]}


class System:
    def __init__(self, app: Litestar, services: Services) -> None:
        self.app = app
        self.services = services

    def client(self, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=transport_to(as_request(self.app), raise_app_exceptions=False),
            base_url="http://zoufang.test",
            headers=headers,
            event_hooks={"response": [hold_to_contract]},
        )

    async def sign_in(self, login: str, role: StaffRole, *, hardware_id: str | None = None) -> "Phone":
        return await self.open_phone(login, DEMO_PASSWORDS[role], hardware_id=hardware_id)

    async def sign_in_at_desk(self, login: str, role: StaffRole) -> "Desk":
        return await self.open_desk(login, DEMO_PASSWORDS[role])

    async def open_phone(self, login: str, password: str, *, hardware_id: str | None = None) -> "Phone":
        """A phone of anybody, also of somebody who is not of the demo county."""
        return Phone(self, await self._sign_in(login, password, hardware_id or f"hardware-{login}"), password)

    async def open_desk(self, login: str, password: str) -> "Desk":
        return Desk(self, await self._sign_in(login, password, None), password)

    async def _sign_in(self, login: str, password: str, hardware_id: str | None) -> Json:
        answer = await self.client().post(
            "/auth/v1/staff/sign-in",
            json={
                "login": login,
                "password": password,
                "device": {"label": "测试机", "platform": "web", "hardwareId": hardware_id},
            },
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def run_jobs(self) -> None:
        """Run every job that waits, and those they bring, as the worker would."""
        app = jobs.build_worker(self.services)
        async with app.open_async():
            await app.run_worker_async(
                queues=jobs.queue_names(),
                wait=False,
                concurrency=1,
                install_signal_handlers=False,
                listen_notify=False,
            )


class Person:
    def __init__(self, system: System, signed_in: Json, password: str = "") -> None:
        self.system = system
        self.signed_in = signed_in
        self.password = password
        self.id = UUID(signed_in["personId"])
        self.http = system.client(Authorization=f"Bearer {signed_in['accessToken']}")

    def at(self, system: System) -> Self:
        """The same person with the same session, at another server."""
        return type(self)(system, self.signed_in, self.password)

    async def prove(self) -> None:
        """Confirm who it is, for every request from now on."""
        self.http.headers.update(await step_up(self.http, self.password))


class Phone(Person):
    async def pull(self, collection: str, *, page: int = 500) -> dict[str, Json]:
        """Everything of a collection, page by page, as the phone ends up holding it."""
        held: dict[str, Json] = {}
        checkpoint: Json = {"lwt": 0, "id": ""}
        while True:
            answer = await self.http.get(f"/field/v1/sync/{collection}/1/pull", params={**checkpoint, "limit": page})
            assert answer.status_code == 200, answer.text
            body = answer.json()
            for document in body["documents"]:
                if document.get("_deleted"):
                    held.pop(document["id"], None)
                else:
                    held[document["id"]] = document
            checkpoint = body["checkpoint"]
            if len(body["documents"]) < page:
                return held

    async def ask_page(self, collection: str, checkpoint: Json | None = None, **params: str) -> httpx.Response:
        """A pull from where the phone stands."""
        return await self.http.get(
            f"/field/v1/sync/{collection}/1/pull", params={**(checkpoint or {}), "limit": 500, **params}
        )

    async def pull_page(self, collection: str, checkpoint: Json | None = None) -> Json:
        answer = await self.ask_page(collection, checkpoint)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @staticmethod
    def digest(held: dict[str, Json]) -> str:
        """What the phone says of the documents that it holds."""
        digest = 0
        for document in held.values():
            line = f"{document['id']}\n{document['server']['rev']}".encode()
            digest ^= int.from_bytes(hashlib.sha256(line).digest())
        return f"{digest:064x}"

    async def push(self, collection: str, *documents: Json, assumed: Json | None = None) -> list[Json]:
        """The server's state of what did not go through; empty when all did."""
        rows = [
            {"newDocumentState": document, **({"assumedMasterState": assumed} if assumed else {})}
            for document in documents
        ]
        answer = await self.http.post(f"/field/v1/sync/{collection}/1/push", json=rows)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def upload(self, evidence_id: str, content: bytes, *, name: str = "photo.jpg") -> httpx.Response:
        return await self.http.post(
            "/field/v1/photos", data={"evidenceId": evidence_id}, files={"file": (name, content, "image/jpeg")}
        )


class Desk(Person):
    pass


class VisitKit:
    """A visit ready to be pushed, with its photos and its partner's attestation."""

    def __init__(self, visit: Json, evidence: list[Json], attestation: Json, photos: dict[str, bytes]) -> None:
        self.visit = visit
        self.evidence = evidence
        self.attestation = attestation
        self.photos = photos


async def make_kit(
    phone: Phone,
    partner_id: UUID,
    *,
    kind: str = "intake",
    photos: list[bytes] | None = None,
    drawn: bool = False,
    **changes: Any,
) -> VisitKit:
    """A complete visit to the first home due, drawn with four photos of its own."""
    due, home, checklist = await _find_first_due(phone, kind)
    ended = utc_now().replace(microsecond=0) - timedelta(minutes=5)
    started = ended - timedelta(minutes=35)
    make = partial(_draw, home, started) if drawn else tiny_photo
    pictures = photos if photos is not None else [make(number) for number in range(4)]
    visit_id = str(new_id())
    evidence = [_manifest(visit_id, picture, started) for picture in pictures]
    visit = {
        "id": visit_id,
        "householdId": home["id"],
        "assignmentId": due["id"],
        "kind": kind,
        "checklistCode": due["checklistCode"],
        "checklistVersion": due["checklistVersion"],
        "state": "submitted",
        "mode": "in_person",
        "startedAt": started.isoformat(),
        "endedAt": ended.isoformat(),
        "startFix": fix_at(home, started),
        "endFix": fix_at(home, ended),
        "investigatorIds": [str(phone.id), str(partner_id)],
        "familyPresent": [{"name": home["headName"], "memberId": home["members"][0]["id"]}],
        "answers": answers_for(checklist, home, evidence, started.astimezone(CHINA).date()),
        "photos": [{"id": item["id"], "sha256": item["sha256"]} for item in evidence],
        "_deleted": False,
    } | changes
    contents = {item["id"]: picture for item, picture in zip(evidence, pictures, strict=True)}
    return VisitKit(visit, evidence, _attest(visit_id, home, ended), contents)


async def _find_first_due(phone: Phone, kind: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Find the first visit of the kind that is due, with its home and checklist."""
    assignments = await phone.pull("assignments")
    homes = await phone.pull("households")
    # By archive number, so that a test knows which home it is: ids that were made together have no order.
    due = min(
        (assignment for assignment in assignments.values() if assignment["kind"] == kind),
        key=lambda assignment: homes[assignment["householdId"]]["number"],
    )
    home = homes[due["householdId"]]
    checklist = next(
        item
        for item in (await phone.pull("checklists")).values()
        if (item["code"], item["version"]) == (due["checklistCode"], due["checklistVersion"])
    )
    return due, home, checklist


def _attest(visit_id: str, home: dict[str, Any], at: datetime) -> dict[str, Any]:
    return {
        "id": str(new_id()),
        "visitId": visit_id,
        "attestedAt": at.isoformat(),
        "fix": fix_at(home, at),
        "_deleted": False,
    }


def tiny_photo(number: int) -> bytes:
    """A real JPEG of few bytes, different each time, without camera facts: what WeChat leaves of a photo."""
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (40 * number, 90, 120)).save(out, "JPEG", comment=os.urandom(16))
    return out.getvalue()


def _draw(home: Json, started: datetime, number: int) -> bytes:
    return draw_picture(
        scene=SCENES[number % len(SCENES)],
        seed=zlib.crc32(home["id"].encode()) + number,
        captured_at=started + timedelta(minutes=5 + number),
        latitude=home["latitude"],
        longitude=home["longitude"],
        accuracy_m=8.0,
        size=(640, 480),
    )


def answers_for(checklist: Json, home: Json, evidence: list[Json], today: date) -> Json:
    """Complete answers; photos and signatures point at the visit's own evidence."""
    facts = Facts(
        today=today,
        members=tuple(
            MemberFacts(
                member_id=member["id"],
                age=_age(member["bornOn"], today),
                sex=member["sex"],
                relation=member["relation"],
            )
            for member in home["members"]
        ),
        household=HouseholdFacts(class_=home["class"]),
    )
    return make_example_answers(
        msgspec.convert(checklist["body"], Template),
        [member["id"] for member in home["members"]],
        7,
        facts=facts,
        evidence_ids=itertools.cycle(item["id"] for item in evidence) if evidence else None,
    )


def _age(born_on: str, today: date) -> int:
    born = date.fromisoformat(born_on)
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _manifest(visit_id: str, picture: bytes, started: datetime) -> Json:
    return {
        "id": str(new_id()),
        "visitId": visit_id,
        "questionId": "photo_outside",
        "sha256": hashlib.sha256(picture).hexdigest(),
        "sizeBytes": len(picture),
        "mediaType": "image/jpeg",
        "capturedAt": (started + timedelta(minutes=5)).isoformat(),
        "_deleted": False,
    }


def fix_at(home: Json, at: datetime, *, accuracy_m: float | None = 12.0) -> Json:
    return {
        "latitude": home["latitude"],
        "longitude": home["longitude"],
        "datum": home["datum"],
        "accuracyM": accuracy_m,
        "capturedAt": at.isoformat(),
    }


async def staff_id(services: Services, login: str) -> UUID:
    async with services.sessions() as session:
        found = await session.scalar(select(Staff.id).where(Staff.login == login))
        assert found is not None
        return found
