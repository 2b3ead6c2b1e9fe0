"""Pictures made to fill the worker: what they cost, and what happens to a photo that no child process survives."""

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing

import pytest
from PIL import Image

from media.limits import Limits
from media.processing import Outcome, process_bytes
from media.refusals import PhotoRefused
from server.core.child_process import ChildFailed, ChildLimits, ChildProcess
from server.photos import children, process
from server.photos.children import PhotoChildren
from tests.phones import make_kit
from tests.photos.test_failed import exhaust
from tests.test_first_path import push_whole
from tests.uploads.tus import evidence_of

MEGABYTE = 1024 * 1024
SIDE = 5000
# Bytes a pixel: PNG's colour type, its depth, and further chunks.
PNGS = {
    "RGBA": (6, 8, b""),
    "LA": (4, 8, b""),
    "16-bit grey": (0, 16, b""),
    "16-bit RGBA": (6, 16, b""),
    "palette with tRNS": (3, 8, b"transparent"),
}
SAMPLES = {0: 1, 3: 1, 4: 2, 6: 4}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_png(name: str, side: int = SIDE) -> bytes:
    """A picture of zeros, a few kilobytes in size, written without ever holding its pixels."""
    colour, depth, palette = PNGS[name]
    row = bytes(1 + side * SAMPLES[colour] * depth // 8)
    packer = zlib.compressobj()
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    chunks = [chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0))]
    if palette:
        chunks += [chunk(b"PLTE", bytes(3)), chunk(b"tRNS", b"\x40")]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, chunk(b"IDAT", packed), chunk(b"IEND", b"")])


def make_webp(side: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (side, side), (200, 10, 20, 128)).save(out, "WEBP", lossless=True, method=0)
    return out.getvalue()


def process_and_measure(data: bytes) -> tuple[Outcome, float]:
    """Run by a child: the outcome, and the most memory it held, in MB."""
    import resource

    outcome = process_bytes(data, hashlib.sha256(data).hexdigest())
    return outcome, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bytes_per_pixel(child: ChildProcess, data: bytes, side: int) -> float:
    """What a large picture takes more than a tiny one, by the most memory that the child held."""
    _, tiny_mb = child.run(process_and_measure, make_png("RGBA", 8))
    outcome, peak_mb = child.run(process_and_measure, data)
    assert not isinstance(outcome, PhotoRefused)
    assert outcome[1].large.width == 1280
    return (peak_mb - tiny_mb) * MEGABYTE / side**2


@pytest.fixture
def fresh_child() -> Iterator[ChildProcess]:
    child = ChildProcess(children.LIMITS)
    yield child
    child.close()


@pytest.mark.parametrize("name", PNGS)
def test_a_small_png_of_many_pixels_costs_its_decoded_pixels_and_no_copy_of_them(name: str, fresh_child: ChildProcess):
    data = make_png(name)
    assert len(data) < 700_000
    assert bytes_per_pixel(fresh_child, data, SIDE) < 5


def test_a_webp_of_many_pixels_stays_below_the_limit_of_a_child(fresh_child: ChildProcess):
    side = 4000
    most = bytes_per_pixel(fresh_child, make_webp(side), side)
    assert 150 + most * Limits().max_pixels / MEGABYTE < children.LIMITS.memory_mb


def test_transparent_parts_become_white_whatever_the_size(fresh_child: ChildProcess):
    data = make_png("palette with tRNS", 3001)
    outcome, _ = fresh_child.run(process_and_measure, data)
    assert not isinstance(outcome, PhotoRefused)
    large = outcome[1].large
    assert (large.width, large.height) == (1280, 1280)
    # Black at a quarter of opacity over white; no edge is left over from the bands.
    extrema = Image.open(io.BytesIO(large.jpeg)).convert("L").getextrema()
    assert extrema == pytest.approx((191, 191), abs=2)


def test_a_photo_above_the_memory_of_its_child_fails_its_own_call_alone():
    data, small = make_png("RGBA", 7700), make_png("RGBA", 300)
    with closing(PhotoChildren(1, ChildLimits(memory_mb=300, seconds=60))) as narrow:
        with pytest.raises(ChildFailed):
            narrow.process(data, hashlib.sha256(data).hexdigest(), Limits())
        assert not isinstance(narrow.process(small, hashlib.sha256(small).hexdigest(), Limits()), PhotoRefused)


def test_a_refusal_keeps_its_facts_on_the_way_out_of_the_child():
    data = make_png("RGBA", 9000)
    refused = children.photo_children.process(data, hashlib.sha256(data).hexdigest(), Limits())
    assert isinstance(refused, PhotoRefused)
    assert (refused.code, refused.facts["width"]) == ("photo.too_many_pixels", 9000)


async def test_a_photo_that_ends_its_child_twice_is_set_aside_and_shown(
    system, county, services, phone, desk, monkeypatch
):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)
    with closing(PhotoChildren(1, ChildLimits(memory_mb=1280, seconds=0.001))) as starved:
        monkeypatch.setattr(process, "photo_children", starved)
        await system.run_jobs()
        assert (await desk.http.get("/desk/v1/parked-photos")).json()["items"] == []
        await exhaust(system, attempts=1)
    parked = (await desk.http.get("/desk/v1/parked-photos")).json()["items"]
    assert {item["error"] for item in parked} == {"ChildFailed: time"}
    assert len(parked) == len(kit.evidence)
    assert (await evidence_of(services, kit.evidence[0]["id"])).state == "received"
