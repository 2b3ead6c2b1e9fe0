"""What a file is, whether we take it, and what it says about itself."""

import hashlib
import io
import struct
import time
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pillow_heif
import pytest
from PIL import Image, ImageFile

from media import refusals
from media.limits import Limits
from media.photo import PhotoFacts, read_photo_facts
from media.renditions import make_renditions
from tests.makers.photos import (
    encode,
    make_exif,
    make_jpeg,
    make_jpeg_claiming,
    make_picture,
    make_png_bomb,
    png_chunk,
    with_app1,
)


def clock(*parts):
    return datetime(*parts)


def refusal_of(content, **limits):
    with pytest.raises(refusals.PhotoRefused) as refused:
        read_photo_facts(content, limits=Limits(**limits))
    assert refused.value.code in refusals.CODES
    return refused.value


def _never(*_arguments, **_named):
    pytest.fail("decoded")


def heic(image=None, **options):
    out = io.BytesIO()
    pillow_heif.from_pillow(image or make_picture(320, 240)).save(out, **options)
    return out.getvalue()


# --- the type is told by the content


@pytest.mark.parametrize(("kind", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_a_photo_is_known_by_its_content_whatever_its_name_says(kind, media_type):
    content = encode(make_picture(321, 203), kind)
    facts = read_photo_facts(content)
    assert (facts.media_type, facts.width, facts.height) == (media_type, 321, 203)
    assert facts.sha256 == hashlib.sha256(content).hexdigest()
    assert facts.size_bytes == len(content)
    assert facts.exif == "none"


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"exif": make_exif({0x010F: "Z"})}])
def test_all_three_kinds_of_webp_tell_their_size(options):
    facts = read_photo_facts(encode(make_picture(333, 222), "WEBP", **options))
    assert (facts.width, facts.height) == (333, 222)


def test_a_heic_is_taken():
    facts = read_photo_facts(heic())
    assert (facts.media_type, facts.width, facts.height, facts.exif) == ("image/heic", 320, 240, "none")


def test_a_progressive_and_a_grey_jpeg_are_taken():
    assert read_photo_facts(make_jpeg(progressive=True)).width == 900
    assert read_photo_facts(encode(make_picture().convert("L"))).width == 900


MOTION_VIDEO = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + struct.pack(">I", 8) + b"free"
MOTION_VIDEO += struct.pack(">I", 40_000) + b"mdat" + bytes(range(250)) * 40 + b"\xff\xd8\xff"
APPENDED = {
    "samsung": struct.pack("<HHI", 0, 0x0A30, 16) + b"MotionPhoto_Data" + MOTION_VIDEO + b"SEFT",
    "samsung, as a box": struct.pack(">I", 64) + b"\x10\x00\x00\x00MotionPhoto_Data" + MOTION_VIDEO,
    "google": struct.pack(">I4s", 8 + len(MOTION_VIDEO), b"mpvd") + MOTION_VIDEO,
    "google, cut": struct.pack(">I4s", 9 + len(MOTION_VIDEO), b"mpvd") + MOTION_VIDEO,
    "a second file": MOTION_VIDEO,
    "zeros": bytes(513),
    "ones": b"\xff" * 513,
    "a few bytes": b"end",
}


@pytest.mark.parametrize("appended", APPENDED)
@pytest.mark.parametrize("kind", ["HEIC", "JPEG", "PNG", "WEBP"])
def test_a_photo_with_a_motion_video_behind_it_is_read_and_its_hash_covers_all(kind, appended):
    plain = heic() if kind == "HEIC" else encode(make_picture(320, 240), kind)
    content = plain + APPENDED[appended]
    facts = read_photo_facts(content)
    assert (facts.width, facts.height, facts.frames, facts.size_bytes) == (320, 240, 1, len(content))
    assert facts.sha256 == hashlib.sha256(content).hexdigest()
    assert make_renditions(content, facts).small.jpeg == make_renditions(plain, read_photo_facts(plain)).small.jpeg


def test_a_second_picture_behind_a_jpeg_is_left_out():
    first, second = make_jpeg(320, 240), make_jpeg(900, 600, seed=2)
    index = struct.pack(">4s2sI", b"MPF\x00", b"MM", 8) + struct.pack(">II", len(first), len(second))
    content = first[:2] + b"\xff\xe2" + struct.pack(">H", len(index) + 2) + index + first[2:] + second
    facts = read_photo_facts(content)
    assert (facts.width, facts.height, facts.frames) == (320, 240, 1)
    assert make_renditions(content, facts).large.width == 320


@pytest.mark.parametrize("brand", ["heix", "mif1", "mif2", "mif3", "MiHE", "1pic", "msf1", "hevc", "mp42"])
def test_a_heic_is_taken_whatever_its_first_brand_is(brand):
    content = heic()
    facts = read_photo_facts(content[:8] + brand.encode() + content[12:])
    assert (facts.media_type, facts.width) == ("image/heic", 320)


def test_a_heif_that_lists_the_general_brand_mif3_alone_is_no_video():
    content = heic()
    length = int.from_bytes(content[:4])
    content = content[:8] + b"mif3" + b"heic" + b"mif3" * (length // 4 - 4) + content[length:]
    assert read_photo_facts(content).media_type == "image/heic"
    assert refusal_of(content[:12] + b"avif" + content[16:]).facts["detected"] == "image/avif"


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "AVIF"])
def test_other_images_are_refused_by_their_type(kind):
    refused = refusal_of(encode(make_picture(64, 48), kind))
    assert refused.code == "photo.type_not_supported"
    assert refused.facts["detected"] == f"image/{kind.lower()}"


@pytest.mark.parametrize(
    ("content", "detected"),
    [
        ("这不是照片\n".encode(), "text/plain"),
        (b"just a text", "text/plain"),
        (b"<html><script>alert(1)</script></html>", "text/plain"),
        (b"%PDF-1.7\n...", "application/pdf"),
        (b"PK\x03\x04 an archive", "application/zip"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "video/mp4"),
        (bytes(range(256)), "unknown"),
        (b"\xff", "unknown"),
    ],
)
def test_what_is_no_image_is_refused_whatever_its_name_says(content, detected):
    refused = refusal_of(content)
    assert (refused.code, refused.facts) == ("photo.not_an_image", {"detected": detected})


def test_an_empty_file_is_refused():
    assert refusal_of(b"").code == "photo.empty"


# --- limits


def test_too_many_bytes_are_refused_without_reading_them():
    content = make_jpeg()
    size = len(content)
    assert read_photo_facts(content, limits=Limits(max_bytes=size)).size_bytes == size
    refused = refusal_of(content, max_bytes=size - 1)
    assert (refused.code, refused.facts) == (
        "photo.too_many_bytes",
        {"size_bytes": size, "max_bytes": size - 1},
    )


def test_too_many_pixels_are_refused_at_the_exact_limit():
    content = make_jpeg(300, 200)
    assert read_photo_facts(content, limits=Limits(max_pixels=60_000)).width == 300
    refused = refusal_of(content, max_pixels=59_999)
    assert refused.code == "photo.too_many_pixels"
    assert (refused.facts["width"], refused.facts["height"]) == (300, 200)


@pytest.mark.parametrize("make", [lambda: make_jpeg_claiming(12_500, 8_000), make_png_bomb])
def test_a_bomb_is_refused_without_decoding(make, monkeypatch):
    content = make()
    monkeypatch.setattr(ImageFile.ImageFile, "load", _never)
    monkeypatch.setattr(Image, "open", _never)
    started = time.process_time()
    assert refusal_of(content).code == "photo.too_many_pixels"
    assert time.process_time() - started < 1


def test_a_heic_over_the_limit_is_refused_without_decoding(monkeypatch):
    content = heic()
    monkeypatch.setattr(pillow_heif.HeifImage, "load", _never)
    assert refusal_of(content, max_pixels=10_000).code == "photo.too_many_pixels"


def test_a_bomb_hidden_behind_a_second_frame_header_is_refused():
    jpeg = make_jpeg(64, 48)
    start = jpeg.index(b"\xff\xc0")
    header = jpeg[start : start + 2 + int.from_bytes(jpeg[start + 2 : start + 4])]
    big = header[:5] + b"\xff\xff\xff\xff" + header[9:]
    assert refusal_of(jpeg[:start] + header + big + jpeg[start + len(header) :]).code == "photo.broken"


def test_a_jpeg_of_thousands_of_scans_is_refused():
    jpeg = make_jpeg(64, 48, progressive=True)
    start = jpeg.rindex(b"\xff\xda")
    assert refusal_of(jpeg[:start] + jpeg[start:-2] * 3000 + b"\xff\xd9").code == "photo.broken"


def test_a_strip_of_one_pixel_height_is_refused():
    assert refusal_of(encode(Image.new("L", (30_000, 1)))).code == "photo.too_many_pixels"


def test_limits_above_what_pillow_takes_are_refused_when_set():
    with pytest.raises(ValueError, match="max_pixels"):
        Limits(max_pixels=100_000_000)


def test_pillows_own_guards_stay_as_they_were():
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    content = make_jpeg()
    make_renditions(content, read_photo_facts(content))
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == (89_478_485, False)


# --- truncated and broken


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIC"])
def test_a_truncated_photo_is_refused_with_its_reason(kind, share):
    whole = heic() if kind == "HEIC" else encode(make_picture(), kind)
    cut = whole[: max(40, int(len(whole) * share))]
    assert refusal_of(cut).code == "photo.truncated"


def test_every_prefix_of_a_jpeg_is_refused_and_never_crashes():
    whole = make_jpeg(32, 24, exif=make_exif({0x010F: "Zoufang"}))
    for length in range(1, len(whole)):
        assert refusal_of(whole[:length]).code in {"photo.truncated", "photo.not_an_image"}


def test_what_a_phone_appends_after_the_picture_is_no_harm():
    content = make_jpeg() + b"MotionPhoto_Data" + bytes(5000)
    facts = read_photo_facts(content)
    assert make_renditions(content, facts).large.width == 900


def test_a_second_picture_in_a_jpeg_is_left_aside():
    out = io.BytesIO()
    make_picture().save(out, "MPO", save_all=True, append_images=[make_picture(seed=2)])
    content = out.getvalue()
    facts = read_photo_facts(content)
    assert (facts.media_type, facts.frames) == ("image/jpeg", 1)
    alone = make_jpeg()
    assert make_renditions(content, facts).fingerprint == make_renditions(alone, read_photo_facts(alone)).fingerprint


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animated_picture_is_refused(kind):
    frames = [make_picture(64, 48, seed) for seed in (1, 2, 3)]
    refused = refusal_of(encode(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert (refused.code, refused.facts) == ("photo.animated", {"frames": 3})


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIC"])
def test_garbage_inside_a_photo_is_refused_or_decoded_but_never_crashes(kind):
    whole = heic() if kind == "HEIC" else encode(make_picture(200, 150), kind)
    for start in range(0, len(whole) - 24, max(1, len(whole) // 60)):
        content = whole[:start] + bytes([0xA5]) * 24 + whole[start + 24 :]
        try:
            make_renditions(content, read_photo_facts(content))
        except refusals.PhotoRefused as refused:
            assert refused.code in refusals.CODES  # noqa: PT017  either outcome is right


def test_a_png_whose_pixels_are_garbage_is_broken():
    header = b"\x00\x00\x00\x40\x00\x00\x00\x30\x08\x02\x00\x00\x00"
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"garbage") + png_chunk(b"IEND", b"")
    content = b"\x89PNG\r\n\x1a\n" + chunks
    facts = read_photo_facts(content)
    with pytest.raises(refusals.PhotoRefused) as refused:
        make_renditions(content, facts)
    assert refused.value.code == "photo.broken"


# --- EXIF


CAMERA = {0x9003: "2026:11:23 09:42:10", 0x9011: "+08:00"}
ARE_WE = {
    1: "N",
    2: (26.0, 6.0, 30.6),
    3: "E",
    4: (110.0, 12.0, 15.5),
    5: b"\x00",
    6: 412.5,
    18: "WGS-84",
    31: 8.25,
}


def examine_with(**exif):
    return read_photo_facts(make_jpeg(64, 48, exif=make_exif(**exif)))


def test_time_with_offset_place_and_camera_are_facts():
    facts = examine_with(
        main={0x010F: "Zoufang", 0x0110: "Phone 9\x00", 0x0131: "v1", 0x0132: "2026:11:24 08:00:00"},
        camera=CAMERA,
        gps=ARE_WE,
    )
    assert facts.exif == "read"
    assert (facts.camera_make, facts.camera_model, facts.software) == ("Zoufang", "Phone 9", "v1")
    assert facts.captured_at == datetime(2026, 11, 23, 9, 42, 10, tzinfo=timezone(timedelta(hours=8)))
    assert facts.captured_at_source == "offset"
    assert facts.modified_local == clock(2026, 11, 24, 8)
    position = facts.position
    assert (position.latitude, position.longitude) == (26.1085, 110.2043056)
    assert (position.altitude_m, position.accuracy_m, position.datum) == (412.5, 8.25, "WGS-84")


def taken_with_fix(fixed_at, place=None, offset=None):
    """Examine a photo of 09:42:10 on the camera's clock whose last fix the satellites dated `fixed_at`."""
    time = tuple(float(part) for part in (fixed_at.hour, fixed_at.minute, fixed_at.second))
    fix = {7: time, 29: f"{fixed_at:%Y:%m:%d}"}
    camera = {0x9003: CAMERA[0x9003]} | ({0x9011: offset} if offset else {})
    return examine_with(camera=camera, gps=(place or {}) | fix)


TAKEN = clock(2026, 11, 23, 9, 42, 10)
KUNMING = {1: "N", 2: (25.0, 3.0, 0.0), 3: "E", 4: (102.0, 42.0, 0.0)}
ITALY = {1: "N", 2: (43.0, 28.0, 0.0), 3: "E", 4: (11.0, 53.0, 0.0)}


@pytest.mark.parametrize("place", [None, KUNMING])
@pytest.mark.parametrize(
    ("fixed_at", "zone_min"),
    [
        (TAKEN - timedelta(hours=8, seconds=2), 480),
        (TAKEN - timedelta(hours=8, seconds=115), 480),
        (TAKEN - timedelta(hours=8, seconds=-40), 480),
        (TAKEN - timedelta(hours=6, seconds=2), 360),
        (TAKEN - timedelta(hours=5, minutes=45, seconds=2), 345),
        (TAKEN - timedelta(hours=8, seconds=2, weeks=1024), 480),
        (TAKEN - timedelta(hours=8, seconds=2, weeks=2048), 480),
        (TAKEN - timedelta(hours=8, seconds=2, weeks=-1024), 480),
        (TAKEN - timedelta(hours=8, seconds=2) + timedelta(days=1), 480),
    ],
    ids=["fresh", "two minutes old", "clock slow", "Xinjiang", "Nepal", "rollover", "two", "later", "local date"],
)
def test_the_satellites_give_at_most_the_zone_of_the_cameras_clock(fixed_at, zone_min, place):
    facts = taken_with_fix(fixed_at, place)
    assert (facts.captured_at.replace(tzinfo=None), facts.captured_local) == (TAKEN, TAKEN)
    assert facts.captured_at.utcoffset() == timedelta(minutes=zone_min)
    assert facts.captured_at_source == "gps_zone"
    assert facts.gps_at == fixed_at.replace(tzinfo=UTC)


@pytest.mark.parametrize("place", [None, KUNMING])
@pytest.mark.parametrize(
    "fixed_at",
    [
        TAKEN - timedelta(hours=11, minutes=30),
        TAKEN - timedelta(hours=9),
        TAKEN - timedelta(hours=8, minutes=37),
        TAKEN - timedelta(hours=8, days=1),
        TAKEN - timedelta(hours=8, weeks=3),
        TAKEN,
        TAKEN - timedelta(seconds=2),
        TAKEN + timedelta(hours=3),
    ],
    ids=["3.5 h old", "1 h old", "37 min old", "a day", "weeks", "local as UTC", "local as UTC, fresh", "ahead"],
)
def test_an_old_fix_or_a_local_time_written_as_utc_is_a_fact_of_its_own(fixed_at, place):
    facts = taken_with_fix(fixed_at, place)
    assert (facts.captured_at, facts.captured_at_source) == (None, None)
    assert facts.captured_local == TAKEN
    assert facts.gps_at == fixed_at.replace(tzinfo=UTC)


@pytest.mark.parametrize("hours", [-3.5, 0, 8, 11.5])
def test_the_offset_in_the_photo_wins_over_the_satellites(hours):
    facts = taken_with_fix(TAKEN - timedelta(hours=hours), KUNMING, offset="+09:00")
    assert facts.captured_at == TAKEN.replace(tzinfo=timezone(timedelta(hours=9)))
    assert facts.captured_at_source == "offset"


def test_elsewhere_the_place_says_which_zones_can_be():
    assert taken_with_fix(TAKEN - timedelta(hours=2), ITALY).captured_at.utcoffset() == timedelta(hours=2)
    assert taken_with_fix(TAKEN - timedelta(hours=8), ITALY).captured_at is None


def test_a_fix_alone_is_no_time_of_the_photo():
    facts = examine_with(gps={7: (1.0, 42.0, 8.0), 29: "2026:11:23"})
    assert (facts.captured_at, facts.captured_local) == (None, None)
    assert facts.gps_at == datetime(2026, 11, 23, 1, 42, 8, tzinfo=UTC)


def test_a_clock_without_a_zone_is_kept_but_is_no_instant():
    facts = examine_with(camera={0x9003: CAMERA[0x9003]})
    assert facts.captured_local == clock(2026, 11, 23, 9, 42, 10)
    assert (facts.captured_at, facts.captured_at_source) == (None, None)


@pytest.mark.parametrize(
    "clock", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2026:13:45 09:00:00", "yesterday", ""]
)
def test_a_clock_that_was_never_set_is_no_time_and_nothing_broken(clock):
    facts = examine_with(camera={0x9003: clock, 0x9011: "+08:00"})
    assert (facts.captured_at, facts.captured_local, facts.exif) == (None, None, "read")


@pytest.mark.parametrize(
    ("gps", "expected"),
    [
        (ARE_WE | {1: "S", 3: "W", 5: b"\x01"}, (-26.1085, -110.2043056, -412.5)),
        (ARE_WE | {2: (26.0, 6.51, 0.0), 4: (110.5, 0.0, 0.0)}, (26.1085, 110.5, 412.5)),
    ],
)
def test_south_west_and_below_the_sea_are_negative(gps, expected):
    position = examine_with(gps=gps).position
    assert (position.latitude, position.longitude, position.altitude_m) == expected


@pytest.mark.parametrize(
    "gps",
    [
        {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)},
        ARE_WE | {2: (97.0, 0.0, 0.0)},
        {1: "N", 2: (26.0, 6.0, 0.0)},
    ],
)
def test_no_fix_nonsense_and_half_a_fix_are_no_position(gps):
    assert examine_with(gps=gps).position is None


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II*\x00",
        b"XX*\x00\x08\x00\x00\x00",
        b"II*\x00\xff\xff\xff\x7f",
        b"II*\x00\x08\x00\x00\x00\xff\xff",
        b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x05\x00\x00\x00\x01\x7f\xff\xff\xff",
        b"II*\x00\x08\x00\x00\x00\x01\x00\x69\x87\x04\x00\x01\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00",
        b"II*\x00\x08\x00\x00\x00\x01\x00\x69\x87\x02\x00\xff\xff\xff\xff\x08\x00\x00\x00\x00\x00\x00\x00",
        bytes(range(256)) * 4,
    ],
)
def test_a_broken_exif_block_never_breaks_the_photo(block):
    content = with_app1(make_jpeg(), b"Exif\x00\x00" + block)
    facts = read_photo_facts(content)
    assert (facts.exif, facts.captured_at, facts.position) == ("broken", None, None)
    assert make_renditions(content, facts).large.width == 900


def test_what_can_be_read_of_a_broken_block_is_kept():
    exif = make_exif({0x010F: "Zoufang"}, CAMERA).tobytes()
    facts = read_photo_facts(with_app1(make_jpeg(), exif[: exif.rindex(b"2026")]))
    assert (facts.exif, facts.camera_make, facts.captured_at) == ("broken", "Zoufang", None)


def test_exif_cut_or_bent_at_any_byte_never_raises():
    exif = bytearray(make_exif({0x010F: "Zoufang", 0x0112: 6}, CAMERA, ARE_WE).tobytes())
    jpeg = make_jpeg(16, 16)
    for index in range(6, len(exif)):
        bent = exif[:]
        bent[index] ^= 0xFF
        for block in (exif[:index], bent):
            facts = read_photo_facts(with_app1(jpeg, bytes(block)))
            assert 1 <= facts.orientation <= 8


def test_exif_is_read_from_png_webp_and_heic_too():
    exif = make_exif({0x010F: "Zoufang"}, CAMERA, ARE_WE)
    picture = make_picture(320, 240)
    for content in (
        encode(picture, "PNG", exif=exif),
        encode(picture, "WEBP", exif=exif),
        heic(exif=exif.tobytes()),
    ):
        facts = read_photo_facts(content)
        assert (facts.camera_make, facts.captured_at_source, facts.exif) == ("Zoufang", "offset", "read")
        assert facts.position.latitude == 26.1085


def test_facts_survive_storage_as_json():
    facts = examine_with(main={0x010F: "Zou\x00fang\x07"}, camera=CAMERA, gps=ARE_WE)
    stored = msgspec.json.encode(facts)
    assert b"\\u0000" not in stored
    assert b'"capturedAt":"2026-11-23T09:42:10+08:00"' in stored
    assert msgspec.json.decode(stored, type=PhotoFacts) == facts


# --- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_gives_the_displayed_size(orientation):
    facts = examine_with(main={0x0112: orientation})
    assert (facts.stored_width, facts.stored_height, facts.orientation) == (64, 48, orientation)
    assert (facts.width, facts.height) == ((48, 64) if orientation >= 5 else (64, 48))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(orientation):
    assert examine_with(main={0x0112: orientation}).orientation == 1


# --- real cameras


def test_a_photo_taken_in_italy_says_so(photo):
    facts = read_photo_facts(photo("gps_0010.jpg"))
    assert (round(facts.position.latitude, 3), round(facts.position.longitude, 3)) == (43.467, 11.885)
    assert (facts.camera_make, facts.camera_model) == ("NIKON", "COOLPIX P6000")
    assert facts.captured_local == clock(2008, 10, 22, 16, 28, 39)


def test_a_phones_photo_says_when_with_its_zone(photo):
    facts = read_photo_facts(photo("phone_12mp.jpg"))
    assert facts.captured_at == datetime(2022, 8, 14, 14, 12, 31, tzinfo=timezone(timedelta(hours=3)))
    assert (facts.width, facts.height, facts.camera_make) == (4608, 1976, "HMD Global")


def test_a_phones_heic_is_read(photo):
    facts = read_photo_facts(photo("phone.heif"))
    assert (facts.media_type, facts.width, facts.height) == ("image/heic", 4608, 3456)
    assert round(facts.position.latitude, 3) == 40.663


def test_photos_without_exif_are_fine(photo):
    assert read_photo_facts(photo("tiny_no_exif.jpg")).exif == "none"
    assert read_photo_facts(photo("no_exif.jpg")).software == "Adobe Photoshop CC (Macintosh)"
