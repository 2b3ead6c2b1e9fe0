import io

from PIL import Image, ImageChops

from media.store import original_key, rendition_key, watermarked_key
from server.core.tokens import receipt_short_code
from tests.evidence.conftest import drawn


async def link(desk, kit, number, rendition):
    one = kit.evidence[number]["id"]
    return await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}/photos/{one}/link", params={"rendition": rendition})


@drawn
async def test_a_complete_visit_has_watermarked_copies_and_its_originals_as_they_came(services, desk, kit):
    for one in kit.evidence:
        plain = Image.open(io.BytesIO(await services.store.read(rendition_key(one["sha256"], "1280"))))
        marked = Image.open(io.BytesIO(await services.store.read(watermarked_key(one["sha256"], one["id"]))))
        top = (0, 0, plain.width, plain.height // 2)
        assert max(high for _, high in ImageChops.difference(plain.crop(top), marked.crop(top)).getextrema()) < 60
        differs = ImageChops.difference(plain, marked.crop((0, 0, *plain.size))).convert("L")
        assert max(differs.getextrema()) > 100 or marked.height > plain.height
        assert await services.store.read(original_key(one["sha256"])) == kit.photos[one["id"]]
    answer = await link(desk, kit, 0, "watermarked")
    assert answer.status_code == 200
    assert f"watermarked-{kit.evidence[0]['id']}" in answer.json()["url"]


async def test_the_copy_says_when_where_whose_by_whom_and_of_which_receipt(system, services, phone, kit, monkeypatch):
    said = []
    monkeypatch.setattr("server.evidence.watermarks.watermark", lambda jpeg, lines: said.append(list(lines)) or jpeg)
    from server.evidence.watermarks import watermark_visit

    await watermark_visit(services, visit_id=kit.visit["id"])
    held = (await phone.pull("visits"))[kit.visit["id"]]
    home = (await phone.pull("households"))[kit.visit["householdId"]]
    assert len(said) == 4
    text = "\n".join(said[0])
    for word in ("时间 20", "地点 ", "案件 ", home["number"], "、", receipt_short_code(held["server"]["receipt"])):
        assert word in text


async def test_a_copy_not_made_yet_is_not_linked(services, settings, bucket, desk, kit):
    one = kit.evidence[1]
    bucket.remove_object(settings.s3_bucket, watermarked_key(one["sha256"], one["id"]))
    answer = await link(desk, kit, 1, "watermarked")
    assert (answer.status_code, answer.json()["code"]) == (409, "photo.not_ready")
