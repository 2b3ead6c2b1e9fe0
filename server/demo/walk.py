"""What one run of the demo visit has come to know, and the people it signs in."""

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
from server.demo import county as demo
from server.demo.device import Device, Document, StepFailed, T, open_client, read_answer


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
        client = await self.connections.enter_async_context(open_client(self.url))
        device = Device(client, read_answer(await client.post(path, json=body)))
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


def first_of(things: Iterable[T], what: str) -> T:
    for thing in things:
        return thing
    raise StepFailed("", f"{what} is not there")
