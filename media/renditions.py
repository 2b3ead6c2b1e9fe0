"""The copies people look at: 320 and 1280 pixels, upright, sRGB, with nothing of the original's metadata in
them.

The picture is decoded once, a JPEG at the smallest DCT scale that still gives what is wanted of it; the small
copy and the fingerprint come from that. A JPEG that is small, upright and plain sRGB already is its own large copy,
less its metadata: encoding it anew would cost most of the work and only blur it. The original is never written.
"""

import io
from typing import Final

import msgspec
import numpy as np
import pillow_heif
from PIL import Image, ImageCms

from media.fingerprint import Fingerprint, fingerprints
from media.photo import PhotoFacts
from media.refusals import BROKEN, TRUNCATED, PhotoRefused
from media.sniff import HEIC, JPEG, PNG, WEBP, parse_container, strip_jpeg_metadata

SMALL_SIDE: Final = 320
LARGE_SIDE: Final = 1280
_SMALL_QUALITY: Final = 80
_LARGE_QUALITY: Final = 85
# What a camera writes at its best: anything heavier is too much for a desk on a slow line.
_MOST_BYTES_PER_PIXEL: Final = 0.5
_PILLOW_FORMATS: Final = {JPEG: "JPEG", PNG: "PNG", WEBP: "WEBP"}


class Rendition(msgspec.Struct, frozen=True):
    jpeg: bytes
    width: int
    height: int


class Renditions(msgspec.Struct, frozen=True):
    small: Rendition
    large: Rendition
    fingerprint: Fingerprint
    # Of what its frame surrounds, where it has one.
    inside: Fingerprint | None


def make_renditions(data: bytes, facts: PhotoFacts) -> Renditions:
    """`facts` from `examine` of the same bytes. Raises PhotoRefused when the picture turns out unreadable."""
    as_it_is = _read_plain(data, facts)
    # The small copy is enough for a fingerprint too.
    picture = load_upright(data, facts, longest_side=SMALL_SIDE if as_it_is else LARGE_SIDE)
    small = _fit(picture, SMALL_SIDE)
    whole, inside = fingerprints(picture)
    return Renditions(
        small=_encode(small, _SMALL_QUALITY),
        large=as_it_is or _encode(picture, _LARGE_QUALITY),
        fingerprint=whole,
        inside=inside,
    )


def _read_plain(data: bytes, facts: PhotoFacts) -> Rendition | None:
    """The picture alone of a JPEG that needs neither shrinking nor turning nor other colours."""
    pixels = facts.stored_width * facts.stored_height
    if facts.media_type != JPEG or facts.orientation != 1 or max(facts.width, facts.height) > LARGE_SIDE:
        return None
    if facts.size_bytes > pixels * _MOST_BYTES_PER_PIXEL:
        return None
    jpeg = strip_jpeg_metadata(data)
    return Rendition(jpeg, facts.width, facts.height) if jpeg else None


def load_upright(data: bytes, facts: PhotoFacts, *, longest_side: int) -> Image.Image:
    """The picture as people see it, 8-bit sRGB, never enlarged, its longest side at most `longest_side`
    pixels.
    """
    image = _decode(data, facts, longest_side)
    image = _flatten(image)
    image = _fit(image, longest_side)
    image = _to_srgb(image)
    turn = _TURNS.get(facts.orientation)
    return image.transpose(turn) if turn is not None else image


def _decode(data: bytes, facts: PhotoFacts, longest_side: int) -> Image.Image:
    try:
        return _decode_heif(data) if facts.media_type == HEIC else _decode_pillow(data, facts, longest_side)
    except PhotoRefused:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, EOFError…: no list is promised
        code = TRUNCATED if "truncated" in str(error) else BROKEN
        raise PhotoRefused(code, **({} if code == TRUNCATED else {"reason": type(error).__name__})) from error


def _decode_heif(data: bytes) -> Image.Image:
    return pillow_heif.open_heif(io.BytesIO(data)).to_pillow()


def _decode_pillow(data: bytes, facts: PhotoFacts, longest_side: int) -> Image.Image:
    image = Image.open(io.BytesIO(_picture_bytes(data)), formats=[_PILLOW_FORMATS[facts.media_type]])
    if image.size != (facts.stored_width, facts.stored_height):
        # The decoder sees another size than the one held against the limits.
        raise PhotoRefused(BROKEN, reason="two sizes")
    if max(image.size) > longest_side:
        image.draft(None, _size_within(image.size, longest_side))
    image.load()
    return image


def _picture_bytes(data: bytes) -> bytes:
    return b"".join(data[start:end] for start, end in parse_container(data).picture_spans)


def _size_within(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    scale = longest_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _fit(image: Image.Image, longest_side: int) -> Image.Image:
    """Whole steps by the mean of each square, which costs a tenth; only what is left by a finer filter."""
    if max(image.size) <= longest_side:
        return image
    return image.resize(_size_within(image.size, longest_side), Image.Resampling.BICUBIC, reducing_gap=1.0)


def _flatten(image: Image.Image) -> Image.Image:
    """To a mode with 8 bits and no transparency: what was clear becomes white, as on paper."""
    if image.mode in {"RGB", "L", "CMYK"}:
        return image
    if image.mode.startswith("I"):  # 16-bit grey: Pillow would clip it to white instead of scaling
        return Image.fromarray((np.asarray(image, dtype=np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        flat = Image.alpha_composite(paper, rgba).convert("RGB")
    else:
        flat = image.convert("RGB")
    flat.info = {"icc_profile": image.info.get("icc_profile")}
    return flat


def _to_srgb(image: Image.Image) -> Image.Image:
    """By the photo's own colour profile. A profile that can't be used is set aside: a slightly wrong red is
    no loss.
    """
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            converted = None
        if converted is not None:
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def _encode(image: Image.Image, quality: int) -> Rendition:
    """`save` writes EXIF, comment and profile only when asked, except what `info` still holds: so it is
    emptied.
    """
    image.info = {}
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=False)
    return Rendition(out.getvalue(), image.width, image.height)


_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
