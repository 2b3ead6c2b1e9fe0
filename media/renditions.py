"""Make the renditions for screens: 320 and 1280 pixels, upright, sRGB, without the original's metadata.

The picture is decoded once, a JPEG at the smallest DCT scale that is large enough; the small rendition and the
fingerprint come from that. A JPEG that is already small, upright and plain sRGB becomes the large rendition as it is,
without its metadata: re-encoding would cost most of the work and only blur it. The original is never written.
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
from media.sniff import HEIC, JPEG, PNG, WEBP, parse_container, picture_bytes, strip_jpeg_metadata

SMALL_SIDE: Final = 320
LARGE_SIDE: Final = 1280
_SMALL_QUALITY: Final = 80
_LARGE_QUALITY: Final = 85
# A camera's best quality; heavier files are too large for an office on a slow line.
_MAX_BYTES_PER_PIXEL: Final = 0.5
_PILLOW_FORMATS: Final = {JPEG: "JPEG", PNG: "PNG", WEBP: "WEBP"}


class Rendition(msgspec.Struct, frozen=True):
    jpeg: bytes
    width: int
    height: int


class Renditions(msgspec.Struct, frozen=True):
    small: Rendition
    large: Rendition
    fingerprint: Fingerprint
    # Of the content inside the frame, when the picture has one.
    inside: Fingerprint | None


def make_renditions(data: bytes, facts: PhotoFacts) -> Renditions:
    """Make both renditions; `facts` come from `read_photo_facts` of the same bytes.

    Raises PhotoRefused when the picture can't be decoded.
    """
    unchanged = _strip_to_rendition(data, facts)
    # The small size is enough for the fingerprint too.
    picture = load_upright(data, facts, longest_side=SMALL_SIDE if unchanged else LARGE_SIDE)
    small = _fit(picture, SMALL_SIDE)
    whole, inside = fingerprints(picture)
    return Renditions(
        small=_encode(small, _SMALL_QUALITY),
        large=unchanged or _encode(picture, _LARGE_QUALITY),
        fingerprint=whole,
        inside=inside,
    )


def _strip_to_rendition(data: bytes, facts: PhotoFacts) -> Rendition | None:
    """Return a JPEG without its metadata when it needs no shrinking, rotation or colour conversion."""
    pixels = facts.stored_width * facts.stored_height
    if facts.media_type != JPEG or facts.orientation != 1 or max(facts.width, facts.height) > LARGE_SIDE:
        return None
    if facts.size_bytes > pixels * _MAX_BYTES_PER_PIXEL:
        return None
    jpeg = strip_jpeg_metadata(data)
    return Rendition(jpeg, facts.width, facts.height) if jpeg else None


def load_upright(data: bytes, facts: PhotoFacts, *, longest_side: int) -> Image.Image:
    """Decode the picture upright, as 8-bit sRGB, shrunk to at most `longest_side` pixels and never enlarged."""
    decoded = _decode(data, facts, longest_side)
    image = _fit(_flatten(decoded, longest_side), longest_side, of=decoded.size)
    image = _to_srgb(image)
    turn = _TURNS.get(facts.orientation)
    return image.transpose(turn) if turn is not None else image


def _decode(data: bytes, facts: PhotoFacts, longest_side: int) -> Image.Image:
    try:
        return _decode_heif(data) if facts.media_type == HEIC else _decode_pillow(data, facts, longest_side)
    except (PhotoRefused, MemoryError):
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, EOFError… and document no list
        code = TRUNCATED if "truncated" in str(error) else BROKEN
        raise PhotoRefused(code, **({} if code == TRUNCATED else {"reason": type(error).__name__})) from error


def _decode_heif(data: bytes) -> Image.Image:
    return pillow_heif.open_heif(io.BytesIO(_picture_bytes(data))).to_pillow()


def _decode_pillow(data: bytes, facts: PhotoFacts, longest_side: int) -> Image.Image:
    image = Image.open(io.BytesIO(_picture_bytes(data)), formats=[_PILLOW_FORMATS[facts.media_type]])
    if image.size != (facts.stored_width, facts.stored_height):
        # The decoder sees another size than the one checked against the limits.
        raise PhotoRefused(BROKEN, reason="two sizes")
    if max(image.size) > longest_side:
        image.draft(None, _size_within(image.size, longest_side))
    image.load()
    return image


def _picture_bytes(data: bytes) -> bytes:
    return picture_bytes(data, parse_container(data))


def _size_within(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    scale = longest_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _fit(image: Image.Image, longest_side: int, *, of: tuple[int, int] | None = None) -> Image.Image:
    """Shrink to fit, in the proportions of `of`: an image that was reduced before has rounded ones.

    `reducing_gap` averages squares first, at a tenth of the cost of the finer filter alone.
    """
    if max(image.size) <= longest_side:
        return image
    return image.resize(_size_within(of or image.size, longest_side), Image.Resampling.BICUBIC, reducing_gap=1.0)


# Pixels that are converted at a time: 1 MB of RGBA for each of the few copies that a conversion makes.
_BAND_PIXELS: Final = 262_144


def _flatten(image: Image.Image, longest_side: int) -> Image.Image:
    """Convert to an 8-bit mode without transparency; transparent parts become white, as on paper.

    Band by band, each shrunk at once by the whole factor that `_fit` would average first: a converted copy of all
    pixels would take up to 20 bytes for each.
    """
    if image.mode in {"RGB", "L", "CMYK"}:
        return image
    factor = max(1, max(image.size) // longest_side)
    width, height = image.size
    rows = max(1, _BAND_PIXELS // width // factor) * factor
    flat: Image.Image | None = None
    for top in range(0, height, rows):
        band = _flatten_band(image.crop((0, top, width, min(top + rows, height))))
        band = band.reduce(factor) if factor > 1 else band
        if flat is None:
            flat = Image.new(band.mode, (-(-width // factor), -(-height // factor)))
        flat.paste(band, (0, top // factor))
    assert flat is not None  # a picture has at least one row
    flat.info = {"icc_profile": image.info.get("icc_profile")}
    return flat


def _flatten_band(band: Image.Image) -> Image.Image:
    if band.mode.startswith("I"):  # 16-bit grey: Pillow would clip it to white instead of scaling
        return Image.fromarray((np.asarray(band, dtype=np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    if not band.has_transparency_data:
        return band.convert("RGB")
    rgba = band.convert("RGBA")
    paper = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(paper, rgba).convert("RGB")


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert by the photo's own colour profile. Ignore an unusable profile: a slightly wrong red is no loss."""
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
    """Encode without metadata. `save` would write EXIF, comment and profile from `info`, so clear it first."""
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
