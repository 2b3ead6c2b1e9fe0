"""State of a run of the demo visit: signed-in people and what the steps have fetched and recorded."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx

from server.checklists.template import Template
from server.core.clock import CHINA, utc_now
from server.core.ids import new_id
from server.core.location import Point
from server.demo import records as demo
from server.demo.county import build_county
from server.demo.device import Device, Document, StepFailed, T, open_client, read_response
from server.demo.staff import DEMO_PASSWORDS

# What a demo visit may have wrong: it ends down the road, and one document was photographed earlier.
PLANTED = frozenset({"visit.far_from_home", "photo.time_off"})


class Picture(NamedTuple):
    """A photo or signature on the phone; `name` is the scene or the file name."""

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
    """State of one run; each step reads what earlier steps set."""

    caseworker: Device
    partner: Device
    supervisor: Device
    assignment: Document
    household: Document
    template: Template
    visit: Document
    pictures: list[Picture]
    lease: Document
    detail: Document

    def __init__(
        self,
        url: str,
        files: list[Path],
        connections: contextlib.AsyncExitStack,
        *,
        planted: frozenset[str] = PLANTED,
        ended_at: datetime | None = None,
    ) -> None:
        """The visit ended just now, if nothing else is said."""
        self.url = url
        self.planted = planted
        self.files = files
        self.connections = connections
        self.county = build_county(today=utc_now().astimezone(CHINA).date())
        self.ended_at = (ended_at or utc_now() - timedelta(minutes=4)).replace(microsecond=0)
        self.started_at = self.ended_at - timedelta(minutes=38)
        self.timeline: list[Document] = []

    async def sign_in(self, person: demo.Staff) -> Device:
        """Sign in on the person's own phone, which is the same in every run."""
        device = {"label": f"{person.name}'s phone", "platform": "demo", "hardwareId": f"demo-{person.login}"}
        body = {"login": person.login, "password": DEMO_PASSWORDS[person.role], "device": device}
        return await self._open_device("/auth/v1/staff/sign-in", body)

    async def sign_in_resident(self, person: demo.Resident) -> Device:
        """Sign in with a code such as `wx.login` gives this person's phone."""
        body = {"code": f"demo-{person.wechat_suffix}-{new_id().hex}", "device": {"label": "WeChat"}}
        return await self._open_device("/auth/v1/resident/sign-in-wechat", body)

    async def _open_device(self, path: str, body: Document) -> Device:
        """Open a device that signs out when the run ends, however it ends."""
        client = await self.connections.enter_async_context(open_client(self.url))
        device = Device(client, read_response(await client.post(path, json=body)))
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


def first_or_fail(items: Iterable[T], what: str) -> T:
    """Return the first item; raise StepFailed if there is none."""
    for item in items:
        return item
    raise StepFailed("", f"{what} not found")
