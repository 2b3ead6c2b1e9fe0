"""The conformance command: what works on the embedded store, and that a store that lacks something is found out."""

import asyncio

from click.testing import CliRunner

from media.conformance import check_conformance
from server.__main__ import main
from tests.conftest import environment


async def by_way(store):
    return {line.way: line.state for line in await check_conformance(store)}


async def test_every_way_in_and_out_works_on_the_embedded_store_and_leaves_nothing(services):
    states = await by_way(services.store)
    assert {way for way, state in states.items() if state != "ok"} == {"ranges of a signed link"}
    assert states["ranges of a signed link"] == "differs"
    assert [key async for key in services.store.list_keys("conformance/")] == []


async def test_a_store_that_alters_or_hides_something_is_found_out(services, monkeypatch):
    """One fault of the store after the other, each named by the way that it breaks."""
    store = services.store
    read, sign, remove, stat = store._read, store._sign, store._remove, store._stat
    broken = {
        "put, small": ("_read", lambda key, most: read(key, most)[:-1]),
        "put over what is there": ("_read", lambda key, most: b"first" if key.endswith("again") else read(key, most)),
        "signed link to read": ("_sign", lambda method, key, lifetime, _: sign(method, key, lifetime, None)),
        "remove, twice": ("_remove", lambda key: None if key.endswith("small") else remove(key)),
        "missing object": ("_stat", lambda key: stat(key.replace("nothing", "small"))),
    }
    for way, (name, replacement) in broken.items():
        with monkeypatch.context() as patch:
            patch.setattr(store, name, replacement)
            assert (await by_way(store))[way] == "failed", way
    for key in [key async for key in store.list_keys("conformance/")]:
        await store.remove(key)


async def test_the_command_prints_a_table_and_succeeds(settings):
    result = await asyncio.to_thread(CliRunner().invoke, main, ["store-conformance"], env=environment(settings))
    assert result.exit_code == 0, result.output
    assert "signed link to write" in result.output
