"""The desk hears of what happens in its own areas, once, and no longer than its device is signed in."""

import asyncio
import json
from uuid import UUID

from sqlalchemy import update

from server.core.access import Caller, Grant, Role
from server.core.database import open_session
from server.core.tokens import utc_now
from server.models.people import Device
from server.review.live import QueueWatch
from tests.review.test_queue import claim


def listener(desk, prefix):
    return Caller(
        id=desk.id, name="x", device_id=UUID(desk.signed_in["deviceId"]), grants=(Grant(Role.SUPERVISOR, prefix),)
    )


async def next_change(stream):
    async with asyncio.timeout(8):
        async for event in stream:
            if event.startswith(b"event: changed"):
                return json.loads(event.split(b"data: ")[1])
    return None


async def test_a_claim_is_heard_once_and_only_where_it_concerns(ground, desk, services, monkeypatch):
    monkeypatch.setattr("server.review.live.LOOK_EVERY_S", 0.05)
    visit = await ground.examined()
    watch = QueueWatch(services)
    here, elsewhere = watch.stream(listener(desk, "339901")), watch.stream(listener(desk, "110101"))
    assert await anext(here) == await anext(elsewhere)
    silent = asyncio.create_task(anext(elsewhere))
    heard = asyncio.create_task(next_change(here))
    await asyncio.sleep(0.3)
    assert not heard.done()  # what was before is for the list to tell
    await claim(desk, visit)
    change = await heard
    assert (change["visitId"], change["state"]) == (str(visit), "claimed")
    again = asyncio.create_task(next_change(here))
    await asyncio.sleep(0.3)
    assert not again.done()
    assert not silent.done()
    async with open_session(services.sessions) as session:
        await session.execute(update(Device).values(ended_at=utc_now()))
    assert await again is None
    silent.cancel()
