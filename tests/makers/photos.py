"""Makes the photos of the media tests: plain ones, ones with EXIF, and the broken and hostile ones."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def make_picture(width=900, height=600, seed=1):
    """Soft random patches: something to see at every size, different for each seed."""
    numbers = np.random.default_rng(seed)
    patches = numbers.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)


def make_scene(seed: int) -> Image.Image:
    """Patches of every size, the large ones strongest, as in photographs; leaves room to be made brighter."""
    numbers = np.random.default_rng(seed)
    total = np.zeros((900, 1200), dtype=np.float32)
    for cells, strength in ((4, 60), (8, 40), (16, 30), (32, 20), (64, 12)):
        patches = Image.fromarray(numbers.normal(0, strength, (cells, cells)).astype(np.float32))
        total += np.asarray(patches.resize((1200, 900), Image.Resampling.BICUBIC))
    return Image.fromarray((110 + total * 0.6).clip(0, 255).astype(np.uint8)).convert("RGB")


def encode(image, kind="JPEG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def make_jpeg(width=900, height=600, seed=1, **options):
    return encode(make_picture(width, height, seed), **options)


def make_exif(main=None, camera=None, gps=None):
    exif = Image.Exif()
    exif.update(main or {})
    exif.get_ifd(0x8769).update(camera or {})
    exif.get_ifd(0x8825).update(gps or {})
    return exif


def with_app1(jpeg, payload):
    """The JPEG with one more APP1 segment right after its start."""
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_png_bomb(width=50_000, height=20_000):
    """A gigapixel of black in some kilobytes; never made in memory here either."""
    squeeze = zlib.compressobj(9)
    row = b"\x00" * (width // 8 + 1)
    rows = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def make_jpeg_claiming(width, height):
    """A small JPEG whose frame header claims another size."""
    jpeg = bytearray(make_jpeg(64, 48))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(jpeg)
