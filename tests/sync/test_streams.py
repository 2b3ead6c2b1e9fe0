"""How many live streams a person may hold open: each idle phone costs a socket, and nobody may take them all."""

import contextlib
from uuid import uuid4

import pytest

from field_api.sync import live
from field_api.sync.live import Watch
from server.core.access import Caller, Grant, Role


def on_device(person: Caller) -> Caller:
    return Caller(id=person.id, name="", device_id=uuid4(), grants=person.grants)


@pytest.fixture
def watch(services, monkeypatch) -> Watch:
    async def never(_: Watch) -> None:
        return

    monkeypatch.setattr(Watch, "_look", never)
    return Watch(services)


PERSON = Caller(id=uuid4(), name="", device_id=uuid4(), grants=(Grant(Role.CASEWORKER, ""),))


async def open_stream(watch, caller, collection):
    stream = watch.stream(caller, [collection])
    assert await anext(stream) == live.FIRST
    return stream


async def has_ended(stream) -> bool:
    """Whether the stream ends after its last line; one that is still open would wait for its heartbeat."""
    return [line async for line in stream] in ([], [live.HEARTBEAT])


async def test_a_thousand_streams_of_one_person_leave_few_open_and_the_newest_always(watch):
    streams = [await open_stream(watch, PERSON, "visits") for _ in range(1040)]
    assert len([listener for listener in watch._listeners if not listener.is_over]) == live.STREAMS_OF_A_KIND
    for stream in streams[: -live.STREAMS_OF_A_KIND]:
        assert await has_ended(stream)
    assert len(watch._listeners) == live.STREAMS_OF_A_KIND


async def test_many_devices_of_one_person_share_a_limit_and_others_keep_theirs(watch):
    other = await open_stream(watch, on_device(Caller(id=uuid4(), name="", device_id=uuid4(), grants=())), "visits")
    for _ in range(200):
        await open_stream(watch, on_device(PERSON), "visits")
    still_open = [listener for listener in watch._listeners if not listener.is_over]
    assert len([listener for listener in still_open if listener.staff_id == PERSON.id]) == live.STREAMS_PER_PERSON
    assert len(still_open) == live.STREAMS_PER_PERSON + 1
    await other.aclose()


async def test_one_phone_has_a_stream_for_each_of_its_collections(watch):
    for collection in ("visits", "households", "assignments", "checklists"):
        await open_stream(watch, PERSON, collection)
    assert not [listener for listener in watch._listeners if listener.is_over]


async def test_a_stream_that_opens_while_the_database_is_asked_is_not_taken_for_an_ended_device(watch, services):
    streams = [await open_stream(watch, PERSON, "visits")]

    class Slow:
        @staticmethod
        @contextlib.asynccontextmanager
        async def sessions():
            async with services.sessions() as session:
                yield session
                streams.append(await open_stream(watch, on_device(PERSON), "visits"))

    watch._services = Slow
    await watch._look_once(None)
    unknown, newcomer = watch._listeners
    assert (unknown.is_over, newcomer.is_over) == (True, False)
