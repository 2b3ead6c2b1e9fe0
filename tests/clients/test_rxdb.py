"""RxDB, unmodified, against the running server."""

from tests.phones import make_kit


async def test_a_phone_pulls_what_it_should_have(phones, live, phone):
    handset = await phones.phone("a", live.url, phone.signed_in["accessToken"])
    await handset.sync()
    for collection in ("assignments", "households", "checklists"):
        assert await handset.documents(collection) == await phone.pull(collection), collection
    assert await handset.do("errors") == []
