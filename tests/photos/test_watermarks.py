import asyncio
import hashlib
import io
from typing import cast

from PIL import Image, ImageChops

from media.store import original_key, rendition_key, watermarked_key
from server.core.tokens import receipt_short_code
from server.photos.store_check import check_store
from tests.evidence.conftest import drawn
from tests.phones import make_kit
from tests.uploads.tus import evidence_of, store_without


async def link(desk, kit, number, rendition="watermarked"):
    item = kit.evidence[number]["id"]
    return await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}/photos/{item}/link", params={"rendition": rendition})


@drawn
async def test_a_watermarked_copy_is_drawn_when_asked_for_and_the_original_stays_as_it_came(services, desk, kit):
    for number, item in enumerate(kit.evidence):
        key = watermarked_key(item["sha256"], item["id"])
        assert not await services.store.exists(key), "nobody has asked"
        answer = await link(desk, kit, number)
        assert answer.status_code == 200, answer.text
        assert f"watermarked-{item['id']}" in answer.json()["url"]
        plain = Image.open(io.BytesIO(await services.store.read(rendition_key(item["sha256"], "1280"))))
        marked = Image.open(io.BytesIO(await services.store.read(key)))
        top = (0, 0, plain.width, plain.height // 2)
        bands = cast(
            "tuple[tuple[int, int], ...]", ImageChops.difference(plain.crop(top), marked.crop(top)).getextrema()
        )
        assert max(high for _, high in bands) < 60
        differs = ImageChops.difference(plain, marked.crop((0, 0, *plain.size))).convert("L")
        _, high = cast("tuple[int, int]", differs.getextrema())
        assert high > 100 or marked.height > plain.height
        assert await services.store.read(original_key(item["sha256"])) == kit.photos[item["id"]]


async def test_a_copy_is_drawn_once_and_its_hash_tells_it_from_an_altered_one(services, settings, bucket, desk, kit):
    item = kit.evidence[0]
    key = watermarked_key(item["sha256"], item["id"])
    assert (await link(desk, kit, 0)).status_code == 200
    drawn_once = await services.store.read(key)
    assert (await evidence_of(services, item["id"])).watermark_sha256 == hashlib.sha256(drawn_once).hexdigest()
    with store_without(services, "put"):
        assert (await link(desk, kit, 0)).status_code == 200, "it is there"
    report = await check_store(services, deep=True)
    assert (report.found, report.expected, report.hashed) == ([], 13, 13)
    bucket.put_object(settings.s3_bucket, key, io.BytesIO(b"another"), 7)
    assert (await check_store(services, deep=True)).keys("altered") == [key]
    bucket.remove_object(settings.s3_bucket, key)
    assert (await check_store(services)).keys("missing") == [key]


async def test_a_copy_that_several_ask_for_at_once_is_drawn_once(services, desk, kit, monkeypatch):
    drawings = iter(range(9))
    monkeypatch.setattr("media.watermark.watermark", lambda jpeg, _: jpeg + bytes([next(drawings)]))
    item = kit.evidence[0]
    answers = await asyncio.gather(*(link(desk, kit, 0) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    held = await services.store.read(watermarked_key(item["sha256"], item["id"]))
    assert (await evidence_of(services, item["id"])).watermark_sha256 == hashlib.sha256(held).hexdigest()
    assert next(drawings) == 1


async def test_the_copy_says_when_where_whose_by_whom_and_of_which_receipt(phone, desk, kit, monkeypatch):
    said = []

    def note(jpeg, lines):
        said.append(list(lines))
        return jpeg

    monkeypatch.setattr("media.watermark.watermark", note)
    assert (await link(desk, kit, 0)).status_code == 200
    held = (await phone.pull("visits"))[kit.visit["id"]]
    home = (await phone.pull("households"))[kit.visit["householdId"]]
    text = "\n".join(said[0])
    for word in ("时间 20", "地点 ", "案件 ", home["number"], "、", receipt_short_code(held["server"]["receipt"])):
        assert word in text


async def test_a_visit_with_another_receipt_gets_another_copy(services, desk, kit, monkeypatch):
    assert (await link(desk, kit, 0)).status_code == 200
    first = await evidence_of(services, kit.evidence[0]["id"])
    monkeypatch.setattr("server.photos.watermarks.receipt_short_code", lambda _: "another")
    assert (await link(desk, kit, 0)).status_code == 200
    second = await evidence_of(services, kit.evidence[0]["id"])
    assert second.watermark_receipt == "another"
    assert second.watermark_sha256 != first.watermark_sha256


async def test_a_copy_waits_until_the_visit_is_whole_and_the_store_is_there(system, county, services, phone, desk, kit):
    with store_without(services, "put"):
        answer = await link(desk, kit, 1)
    assert (answer.status_code, answer.json()["code"]) == (503, "store.unavailable")
    assert (await evidence_of(services, kit.evidence[1]["id"])).watermark_sha256 is None
    assert (await link(desk, kit, 1)).status_code == 200
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    other = await make_kit(phone, partner.id, kind="review")
    assert await phone.push("evidence", *other.evidence) == await phone.push("visits", other.visit) == []
    await phone.upload(other.evidence[0]["id"], other.photos[other.evidence[0]["id"]])
    await system.run_jobs()
    answer = await link(desk, other, 0)
    assert (answer.status_code, answer.json()["code"]) == (409, "photo.not_ready")
