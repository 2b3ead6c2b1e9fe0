"""Visits of a review test, written straight into the tables: honest ones, to plant one lie at a time in.

What a phone pushes is held to its rules elsewhere; here a visit is whole already, and only what the review
makes of it matters.
"""

import hashlib
import itertools
import os
import random
from datetime import UTC, datetime, time, timedelta
from typing import Any, Self
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from media.fingerprint import fingerprints
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import CheckVisit
from server.core.location import Point, distance_m
from server.core.services import Services
from server.models.evidence import Evidence, Photo
from server.models.households import Household
from server.models.people import Device, Staff
from server.models.review import Finding, ReviewItem
from server.models.visits import Attestation, Visit, VisitInvestigator
from server.photos.process import describe_features
from server.review.run_checks import check_visit
from tests import days

# A morning in China, in the middle of last month: far enough in the past that everything after it has happened too.
MORNING = datetime.combine(days.month(-1).replace(day=10), time(1, 30), tzinfo=UTC)


class Ground:
    """The demo county as these tests use it: staff by login, homes of one village in order, one phone a person."""

    def __init__(self, services, staff, homes):
        self.services = services
        self.staff = staff
        self.homes = homes
        self.devices: dict[UUID, UUID] = {}
        self.dice = random.Random(7)
        # Of those who plant a county here one after the other: the days that somebody has been anywhere, and the homes
        # of which something untrue was told, for what is told next differs from it.
        self.days = 0
        self.untrue: set[int] = set()

    @classmethod
    async def open(cls, services: Services) -> Self:
        async with open_session(services.sessions) as session:
            staff = {staff.login: staff.id for staff in await session.scalars(select(Staff))}
            homes = list(
                await session.scalars(
                    select(Household)
                    .where(Household.class_.is_not(None), Household.relative_on_staff.is_(False))
                    .order_by(Household.number)
                    .options(selectinload(Household.members))
                )
            )
        return cls(services, staff, homes)

    def neighbours(self) -> tuple[int, int]:
        """Two homes so near to each other that a fix in one is no doubt in the other."""
        for item, other in itertools.combinations(range(40), 2):
            a, b = self.homes[item], self.homes[other]
            if distance_m(Point(a.latitude, a.longitude), Point(b.latitude, b.longitude)) < 140:
                return item, other
        raise AssertionError("no two homes are near each other")

    async def device_of(self, session, staff_id: UUID, **facts: Any) -> UUID:
        if staff_id not in self.devices or facts:
            device = Device(
                id=new_id(),
                staff_id=staff_id,
                label="phone",
                platform="test",
                app_version="1",
                **{"hardware_id": f"own-{staff_id}", **facts},
            )
            session.add(device)
            await session.flush()
            if facts:
                return device.id
            self.devices[staff_id] = device.id
        return self.devices[staff_id]

    async def visit(
        self,
        home: int = 0,
        *,
        author: str = "linhexi",
        partner: str = "zhoutonglan",
        started_at: datetime = MORNING,
        minutes: float = 35,
        kind: str = "review",
        answers: dict[str, Any] | None = None,
        photos: list[dict[str, Any]] | None = None,
        start_fix: dict[str, Any] | None = None,
        end_fix: dict[str, Any] | None = None,
        partner_fix: dict[str, Any] | None = None,
        device: dict[str, Any] | None = None,
        partner_device: dict[str, Any] | None = None,
        received_after: timedelta = timedelta(minutes=20),
        state: str = "submitted",
        assignment_id: UUID | None = None,
        checklist: str = "review_standard",
        mode: str = "in_person",
        signatures: list[dict[str, Any]] | None = None,
        document: dict[str, Any] | None = None,
    ) -> UUID:
        household = self.homes[home]
        ended_at = started_at + timedelta(minutes=minutes)
        received_at = ended_at + received_after
        people = [self.staff[author], self.staff[partner]]
        async with open_session(self.services.sessions) as session:
            device_ids = [
                await self.device_of(session, people[0], **(device or {})),
                await self.device_of(session, people[1], **(partner_device or {})),
            ]
            visit_id = new_id()
            taken = photos if photos is not None else [{}, {}, {}]
            evidence = [
                self._photo(session, visit_id, people[0], device_ids[0], started_at, received_at, item)
                for item in taken
            ]
            visit = Visit(
                id=visit_id,
                household_id=household.id,
                area_code=household.area_code,
                kind=kind,
                checklist_code=checklist,
                checklist_version=2,
                author_id=people[0],
                device_id=device_ids[0],
                state=state,
                mode=mode,
                started_at=started_at,
                ended_at=ended_at,
                document={
                    "unorderedReason": "" if assignment_id else "路过，顺便看望",
                    "startFix": self.fix(household, started_at, **(start_fix or {})),
                    "endFix": self.fix(household, ended_at, **(end_fix or {})),
                    "answers": {**self.answers(household), **_signed(signatures, evidence), **(answers or {})},
                    "photos": [{"id": str(item.id), "sha256": item.sha256} for item in evidence],
                }
                | (document or {}),
                content_hash="0" * 64,
                received_at=received_at,
                submitted_at=received_at,
                complete_at=received_at,
                receipt="receipt",
                assignment_id=assignment_id,
                updated_at=received_at,
            )
            session.add(visit)
            await session.flush()
            session.add_all(VisitInvestigator(visit_id=visit_id, staff_id=person) for person in people)
            session.add(
                Attestation(
                    id=new_id(),
                    visit_id=visit_id,
                    staff_id=people[1],
                    device_id=device_ids[1],
                    attested_at=ended_at,
                    document={"fix": self.fix(household, ended_at, **(partner_fix or {}))},
                    content_hash="0" * 64,
                    received_at=received_at,
                )
            )
        return visit_id

    async def examined(self, home: int = 0, **result: Any) -> UUID:
        visit_id = await self.visit(home, **result)
        await check_visit(self.services, CheckVisit(visit_id=visit_id))
        return visit_id

    async def findings(self, visit_id: UUID) -> list[Finding]:
        async with self.services.sessions() as session:
            return list(
                await session.scalars(
                    select(Finding)
                    .where(Finding.visit_id == visit_id, Finding.superseded_at.is_(None))
                    .order_by(Finding.code)
                )
            )

    async def codes(self, visit_id: UUID) -> list[str]:
        return [finding.code for finding in await self.findings(visit_id)]

    async def item(self, visit_id: UUID) -> ReviewItem:
        async with self.services.sessions() as session:
            return await session.get_one(ReviewItem, visit_id)

    def fix(self, household, at, **changes: Any) -> dict[str, Any]:
        """A few metres off, as satellites are."""
        return {
            "latitude": household.latitude + self.dice.uniform(-3e-5, 3e-5),
            "longitude": household.longitude + self.dice.uniform(-3e-5, 3e-5),
            "datum": "wgs84",
            "accuracyM": round(self.dice.uniform(4, 30), 1),
            "capturedAt": at.isoformat(),
        } | changes

    def answers(self, household) -> dict[str, Any]:
        return {"members": [self.member(member) for member in household.members]}

    def member(self, item, **changes: Any) -> dict[str, Any]:
        result = "chronic" if item.health in {"disabled", "severely_disabled"} else "healthy"
        labour = "full" if item.born_on.year < 2005 else "partial"
        return {"memberId": str(item.id), "lives_here": True, "health": result, "labour": labour} | changes

    def _photo(self, session, visit_id, author_id, device_id, started_at, received_at, result):
        content = result.get("sha256") or hashlib.sha256(os.urandom(16)).hexdigest()
        if not result.get("known"):
            facts, looks = self._facts_and_looks(started_at, result)
            session.add(Photo(sha256=content, size_bytes=10, state="verified", facts=facts, **looks))
        evidence = Evidence(
            id=new_id(),
            visit_id=visit_id,
            author_id=author_id,
            device_id=device_id,
            question_id="photo_outside",
            sha256=content,
            size_bytes=10,
            captured_at=started_at,
            document=result.get("document", {}),
            content_hash="0" * 64,
            state=result.get("state", "verified"),
            refused_code=result.get("refused_code"),
            received_at=received_at,
            uploaded_at=received_at + result.get("after", timedelta()),
            settled_at=received_at,
        )
        session.add(evidence)
        return evidence

    def _facts_and_looks(self, started_at, result) -> tuple[dict[str, Any], dict[str, Any]]:
        """What was read from the photo, and what it looks like: random, unless a picture is given."""
        width, height = result["picture"].size if "picture" in result else (1440, 1080)
        facts = {
            "exif": "read",
            "cameraModel": "Demo 1",
            "width": width,
            "height": height,
            "capturedAt": (started_at + timedelta(minutes=5)).isoformat(),
            "capturedAtSource": "offset",
        } | result.get("facts", {})
        bits = result.get("bits") or f"{self.dice.getrandbits(256):0256b}"
        looks = _looks(result["picture"]) if "picture" in result else {"fingerprint": bits, "fingerprint_quality": 80}
        if "quality" in result:
            looks["fingerprint_quality"] = result["quality"]
        return facts, looks


def _looks(picture) -> dict[str, Any]:
    """What the examination of this picture would note of how it looks."""
    return describe_features(*fingerprints(picture))


def _signed(signatures, evidence) -> dict[str, Any]:
    """Each signature names which of the visit's photos is its picture."""
    if not signatures:
        return {}
    return {
        "sign_family": [
            {
                "evidenceId": str(evidence[signature["photo"]].id),
                "signerName": signature["name"],
                "signedAt": MORNING.isoformat(),
            }
            for signature in signatures
        ]
    }
