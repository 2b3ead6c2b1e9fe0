import asyncio
import io

import msgspec
import pytest
from click.testing import CliRunner

from media.store import StoreUnavailable, original_key, rendition_key
from server.__main__ import main
from server.core.clock import utc_now
from server.core.database import open_session
from server.models.uploads import Upload
from server.photos import store_check
from server.photos.store_check import check_store
from tests.conftest import environment


def put(bucket, settings, key, content=b"left over"):
    bucket.put_object(settings.s3_bucket, key, io.BytesIO(content), len(content))


async def test_a_store_that_holds_all_it_should_has_no_findings(services, kit):
    report = await check_store(services, deep=True)
    assert report.found == []
    assert report.expected == 12
    assert report.objects == 12
    assert report.hashed == 12


async def test_missing_originals_and_renditions_are_named(services, settings, bucket, kit):
    first, second = kit.evidence[0]["sha256"], kit.evidence[1]["sha256"]
    bucket.remove_object(settings.s3_bucket, original_key(first))
    bucket.remove_object(settings.s3_bucket, rendition_key(second, "320"))
    report = await check_store(services)
    assert sorted(report.keys("missing")) == sorted([original_key(first), rendition_key(second, "320")])
    assert report.has_losses
    assert report.keys("orphaned") == []


async def test_an_altered_original_is_found_by_hashing_alone(services, settings, bucket, kit):
    key = original_key(kit.evidence[2]["sha256"])
    put(bucket, settings, key, b"another picture")
    assert (await check_store(services)).found == []
    assert (await check_store(services, deep=True)).keys("altered") == [key]


async def test_an_altered_copy_is_found_by_hashing_too(services, settings, bucket, kit):
    keys = [rendition_key(kit.evidence[place]["sha256"], name) for place, name in ((0, "320"), (1, "1280"))]
    for key in keys:
        put(bucket, settings, key, b"another picture")
    report = await check_store(services, deep=True)
    assert sorted(report.keys("altered")) == sorted(keys)
    assert report.has_losses


async def test_objects_without_a_row_are_orphans_and_no_loss(services, settings, bucket, kit):
    left = [
        original_key("0" * 64),
        rendition_key("f" * 64, "1280"),
        rendition_key(kit.evidence[0]["sha256"], "watermarked-of-nobody"),
        rendition_key(kit.evidence[0]["sha256"], f"watermarked-{kit.evidence[1]['id']}"),
        "mismatched/" + "a" * 64,
        "spool/nobody/000000000000",
    ]
    for key in left:
        put(bucket, settings, key)
    report = await check_store(services)
    assert sorted(report.keys("orphaned")) == sorted(left)
    assert not report.has_losses


async def test_bytes_kept_aside_and_pieces_under_way_are_no_orphans(system, services, settings, bucket, phone, kit):
    from datetime import timedelta

    from tests.phones import make_kit

    other = await make_kit(phone, phone.id, kind="review")
    assert await phone.push("evidence", *other.evidence) == []
    answer = await phone.upload(other.evidence[0]["id"], b"not the photo announced")
    assert answer.json()["code"] == "photo.hash_mismatch"
    async with open_session(services.sessions) as session:
        upload = Upload(
            evidence_id=other.evidence[1]["id"],
            author_id=phone.id,
            device_id=phone.signed_in["deviceId"],
            way="tus",
            size_bytes=9,
            expires_at=utc_now() + timedelta(days=1),
        )
        session.add(upload)
        await session.flush()
        put(bucket, settings, f"spool/{upload.id}/000000000000")
    assert (await check_store(services, deep=True)).found == []


def break_off(services, monkeypatch, keys):
    """The store lists these objects, and breaks off when it is to give them."""
    join = services.store.join

    async def fail(request, path):
        if keys(request[0]):
            raise StoreUnavailable("ProtocolError", request[0])
        return await join(request, path)

    monkeypatch.setattr(services.store, "join", fail)


async def test_what_the_store_lists_and_does_not_give_is_named_and_the_rest_is_looked_at(services, kit, monkeypatch):
    key = original_key(kit.evidence[1]["sha256"])
    break_off(services, monkeypatch, lambda request: request == key)
    report = await check_store(services, deep=True)
    assert (report.keys("unreadable"), report.hashed, report.has_losses) == ([key], 11, True)


async def test_a_store_that_gives_nothing_any_more_ends_the_check_with_one_error(services, kit, monkeypatch):
    monkeypatch.setattr(store_check, "_MAX_UNREADABLE", 3)
    break_off(services, monkeypatch, lambda request: True)
    with pytest.raises(StoreUnavailable):
        await check_store(services, deep=True)


async def test_the_command_says_in_one_line_that_the_store_is_down(settings, kit):
    down = msgspec.structs.replace(settings, s3_endpoint="http://127.0.0.1:1")
    done = await asyncio.to_thread(lambda: CliRunner().invoke(main, ["check-store"], env=environment(down)))
    assert done.exit_code == 1
    assert "The store does not answer: StoreUnavailable" in done.output
    assert "Traceback" not in done.output


async def test_the_command_reports_and_fails_on_losses(services, settings, bucket, kit):
    def run(*arguments):
        return CliRunner().invoke(main, ["check-store", *arguments], env=environment(settings))

    whole = await asyncio.to_thread(run, "--deep")
    assert (whole.exit_code, "holds all" in whole.output) == (0, True), whole.output
    key = original_key(kit.evidence[0]["sha256"])
    bucket.remove_object(settings.s3_bucket, key)
    lossy = await asyncio.to_thread(run)
    assert lossy.exit_code == 1
    assert f"missing    {key}" in lossy.output
