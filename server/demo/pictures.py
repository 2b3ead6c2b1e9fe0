"""Draw the photos of demo visits: one of six scenes, as a hand-held phone takes it.

The same scene and seed give the same bytes; another seed gives another home, light and camera angle, different enough
that no two photos count as reused. Each has EXIF as a phone writes it: time with its zone, fix, make, model.
"""

import io
import random
import zlib
from datetime import datetime
from typing import Final

import numpy as np
from PIL import Image, ImageEnhance

from server.demo.scenes import HEIGHT, WIDTH, draw_scene

CAMERA_MAKE: Final = "Zoufang Demo"
CAMERA_MODEL: Final = "Drawn Phone 1"
_QUALITY: Final = 82


def draw_picture(
    *,
    scene: str,
    seed: int,
    captured_at: datetime,
    latitude: float,
    longitude: float,
    accuracy_m: float,
    size: tuple[int, int] = (1600, 1200),
) -> bytes:
    """Return a JPEG of one of SCENES (else KeyError). `captured_at` must be aware; EXIF gets its offset."""
    chance = random.Random(zlib.crc32(scene.encode()) ^ seed * 2_654_435_761)  # noqa: S311  drawings, not secrets
    picture = draw_scene(scene, chance)
    picture = _apply_camera_shake(picture, chance)
    picture = _apply_light(picture, chance)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    exif = _write_exif(captured_at, latitude, longitude, accuracy_m)
    picture.save(out, "JPEG", quality=_QUALITY, exif=exif)
    return out.getvalue()


def _apply_camera_shake(picture: Image.Image, chance: random.Random) -> Image.Image:
    """Zoom in, shift and rotate slightly."""
    turned = picture.rotate(chance.uniform(-4, 4), resample=Image.Resampling.BILINEAR)
    zoom = chance.uniform(1.14, 1.34)
    width, height = WIDTH / zoom, HEIGHT / zoom
    slack_x, slack_y = WIDTH - width - 140, HEIGHT - height - 120
    left, top = 70 + max(0.0, slack_x) * chance.random(), 60 + max(0.0, slack_y) * chance.random()
    box = (left, top, left + width, top + height)
    return turned.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=box)


def _apply_light(picture: Image.Image, chance: random.Random) -> Image.Image:
    """Add soft light and shade, the noise of a small sensor, and a white balance."""
    numbers = np.random.default_rng(chance.getrandbits(64))
    patches = Image.fromarray(numbers.normal(0, 17, (6, 8)).astype(np.float32))
    shade = np.asarray(patches.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    grain = numbers.normal(0, 3.5, (HEIGHT, WIDTH)).astype(np.float32)
    balance = np.array([chance.uniform(-8, 8), 0, chance.uniform(-8, 8)], dtype=np.float32)
    lit = np.asarray(picture, dtype=np.float32) + (shade + grain)[:, :, None] + balance
    result = Image.fromarray(lit.clip(0, 255).astype(np.uint8))
    return ImageEnhance.Contrast(result).enhance(chance.uniform(0.9, 1.1))


def _write_exif(captured_at: datetime, latitude: float, longitude: float, accuracy_m: float) -> Image.Exif:
    """Return EXIF tags (CIPA DC-008) as a phone writes them."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131], exif[0x0112] = CAMERA_MAKE, CAMERA_MODEL, "drawn by zoufang", 1
    camera = exif.get_ifd(0x8769)
    clock = captured_at.strftime("%Y:%m:%d %H:%M:%S")
    zone = captured_at.strftime("%z")
    exif[0x0132] = camera[0x9003] = camera[0x9004] = clock
    camera[0x9010] = camera[0x9011] = camera[0x9012] = f"{zone[:3]}:{zone[3:5]}"
    gps = exif.get_ifd(0x8825)
    gps[0] = b"\x02\x03\x00\x00"
    gps[1], gps[2] = "N" if latitude >= 0 else "S", _degrees(latitude)
    gps[3], gps[4] = "E" if longitude >= 0 else "W", _degrees(longitude)
    gps[18], gps[31] = "WGS-84", accuracy_m
    return exif


def _degrees(value: float) -> tuple[float, float, float]:
    minutes = abs(value) % 1 * 60
    return float(int(abs(value))), float(int(minutes)), round(minutes % 1 * 60, 4)
