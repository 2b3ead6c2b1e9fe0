"""Detect a file's type from its bytes, never from its name.

Parses the container (JPEG segments, PNG and WebP chunks, HEIF boxes) without decoding. That gives the type, the size
in pixels, the EXIF block and whether the file is complete. `picture_spans` are the parts a decoder needs, without
metadata other than the colour profile, so no decoder parses untrusted metadata.
"""

import re
import struct
from collections.abc import Iterator

import msgspec

from media.refusals import BROKEN, NOT_AN_IMAGE, TRUNCATED, TYPE_NOT_SUPPORTED, PhotoRefused

JPEG = "image/jpeg"
PNG = "image/png"
WEBP = "image/webp"
HEIC = "image/heic"

Span = tuple[int, int]


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed container. Size and frames of a HEIF are left to libheif (0 here), since its boxes nest too deep."""

    media_type: str
    width: int = 0
    height: int = 0
    frames: int = 1
    scans: int = 1
    exif: bytes | None = None
    picture_spans: tuple[Span, ...] = ()


def parse_container(data: bytes) -> Container:
    """Parse the container. Raises PhotoRefused: not an image, type not supported, truncated, broken."""
    media_type = detect_media_type(data[:_HEAD_BYTES])
    if media_type == JPEG:
        return _parse_jpeg(data)
    if media_type == PNG:
        return _parse_png(data)
    if media_type == WEBP:
        return _parse_webp(data)
    return _parse_heif(data)


def picture_bytes(data: bytes, container: Container) -> bytes:
    """Return the parts of the file that a decoder needs."""
    if container.picture_spans == ((0, len(data)),):
        return data
    return b"".join(data[start:end] for start, end in container.picture_spans)


def detect_media_type(head: bytes) -> str:
    """Detect the media type from the first bytes; refuse anything but our four types."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(_PNG_SIGNATURE):
        return PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp":
        return _detect_brand(head)
    for magic, media_type in _OTHER_IMAGES:
        if head.startswith(magic):
            raise PhotoRefused(TYPE_NOT_SUPPORTED, detected=media_type)
    raise PhotoRefused(NOT_AN_IMAGE, detected=_guess_other(head))


# A HEIF lists its brands at the start, four bytes each; real files list up to about twenty.
_HEAD_BYTES = 256
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OTHER_IMAGES = (
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x00\x00\x00\x0cJXL ", "image/jxl"),
    (b"\xff\x0a", "image/jxl"),
    (b"\x00\x00\x00\x0cjP  ", "image/jp2"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
)
# Brands of a single picture that libheif reads (ISO 23008-12 annex B, ISO 23000-22). `1pic`, `miaf`, `MiHE`, `MiHB`
# and `mif2` say more about a `mif1`; a `mif3` may be of the short form.
_HEIC_BRANDS = frozenset({
    b"heic", b"heix", b"heim", b"heis", b"heif", b"mif1", b"mif2", b"mif3", b"miaf", b"MiHE", b"MiHB", b"1pic",
})  # fmt: skip
# Brands that name the coding, so they say more than `mif1`.
_HEVC_PICTURE_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"MiHE", b"MiHB"})
_OTHER_IMAGE_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"MA1A": "image/avif",
    b"MA1B": "image/avif",
    b"avci": "image/avci",
    b"avcs": "image/avcs",
    b"j2ki": "image/hej2k",
    b"vvic": "image/vvic",
    b"crx ": "image/x-canon-cr3",
    b"hevc": "image/heic-sequence",
    b"hevx": "image/heic-sequence",
    b"msf1": "image/heif-sequence",
}


def _detect_brand(head: bytes) -> str:
    """Tell AVIF, HEIC and MP4 apart by brand: they share the ISO base media format (ISO 23008-12, annex B)."""
    major, minor = head[8:12], head[12:16]
    end = min(struct.unpack(">I", head[:4])[0], len(head))
    # A `mif3` names its coding in the field of the minor version.
    brands = [major, *([minor] if major == b"mif3" else []), *(head[i : i + 4] for i in range(16, end - 3, 4))]
    if major not in _HEVC_PICTURE_BRANDS and not _HEVC_PICTURE_BRANDS.intersection(brands):
        # `mif1` and its like mean only "some image" and an AVIF carries them too: a more specific brand wins.
        for brand in brands:
            if brand in _OTHER_IMAGE_BRANDS and (brand == major or major in _HEIC_BRANDS):
                raise PhotoRefused(TYPE_NOT_SUPPORTED, detected=_OTHER_IMAGE_BRANDS[brand])
    if _HEIC_BRANDS.intersection(brands):
        return HEIC
    raise PhotoRefused(NOT_AN_IMAGE, detected="video/mp4")


def _guess_other(head: bytes) -> str:
    """Guess a media type for the refusal's facts; never used to accept anything."""
    if head.startswith(b"%PDF"):
        return "application/pdf"
    if head.startswith(b"PK\x03\x04"):
        return "application/zip"
    return "text/plain" if _is_text(head) else "unknown"


def _is_text(head: bytes) -> bool:
    """Return whether it is UTF-8 without control characters; the end of the head may cut the last character."""
    for cut in range(4):
        try:
            text = head[: len(head) - cut].decode()
        except UnicodeDecodeError:
            continue
        return bool(text) and all(c.isprintable() or c in "\t\r\n\ufeff" for c in text)
    return False


# --- JPEG (ITU-T T.81) --------------------------------------------------------------------------------------

_FRAME_HEADER_BYTES = 10  # marker, length, precision, height, width, components
_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_APP0, _APP1, _APP2, _APP14, _APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
# After a scan header everything is picture data until an FF that is neither stuffed (00) nor a restart (D0-D7).
# The pattern starts with a single FF, not FF+, so that `re` uses memchr: 17 times as fast on a phone's photo.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def _parse_jpeg(data: bytes) -> Container:
    """Parse the segments. Data that phones append (motion-photo videos, gain maps, MPO siblings) is left out."""
    spans: list[Span] = [(0, 2)]
    exif = None
    size: tuple[int, int] | None = None
    scans = 0
    for marker, start, end in _jpeg_segments(data):
        if marker in _FRAME_HEADERS:
            size = _read_jpeg_size(data, start, end, earlier=size)
        if marker == _APP1 and exif is None and data[start + 4 : start + 10] == b"Exif\x00\x00":
            exif = data[start + 10 : end]
        scans += marker == _SOS
        if _is_picture_segment(data, marker, start):
            spans.append((start, end))
    if size is None or not scans:
        raise PhotoRefused(BROKEN, reason="no picture between start and end")
    return Container(media_type=JPEG, width=size[0], height=size[1], scans=scans, exif=exif, picture_spans=tuple(spans))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) up to and including the end-of-image marker; refuse a file without it."""
    position = 2
    while True:
        start = data.find(b"\xff", position)
        if start < 0 or start + 1 >= len(data):
            raise PhotoRefused(TRUNCATED)
        marker = data[start + 1]
        if marker in {0x00, 0xFF}:  # stuffing or fill
            position = start + 1
            continue
        position = start + 2
        if marker not in _STANDALONE | {_SOI, _EOI}:
            position = _jpeg_segment_end(data, marker, start)
        yield marker, start, position
        if marker == _EOI:
            return


def _jpeg_segment_end(data: bytes, marker: int, start: int) -> int:
    if start + 4 > len(data):
        raise PhotoRefused(TRUNCATED)
    end = start + 2 + int(struct.unpack(">H", data[start + 2 : start + 4])[0])
    if end > len(data):
        raise PhotoRefused(TRUNCATED)
    if marker != _SOS:
        return end
    found = _END_OF_SCAN.search(data, end)
    if found is None:
        raise PhotoRefused(TRUNCATED)
    return found.start()


def _read_jpeg_size(data: bytes, start: int, end: int, *, earlier: tuple[int, int] | None) -> tuple[int, int]:
    if earlier is not None or end - start < _FRAME_HEADER_BYTES:
        # Decoders disagree on which of two frame headers counts, so a bomb could hide behind a small header.
        raise PhotoRefused(BROKEN, reason="frame header repeated or cut short")
    height, width = struct.unpack(">HH", data[start + 5 : start + 9])
    if not width or not height:
        raise PhotoRefused(BROKEN, reason="no size in the frame header")
    return width, height


def _is_picture_segment(data: bytes, marker: int, start: int) -> bool:
    if marker == _APP2:
        return data[start + 4 : start + 16] == b"ICC_PROFILE\x00"
    if _APP0 <= marker <= _APP15:
        return marker in {_APP0, _APP14}  # JFIF and Adobe define the colour encoding
    return marker not in {_COM, _SOI}


# JFIF 1.01 without a thumbnail, density 1:1.
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_PLAIN_COLOURS = (8, 3, b"\x01\x02\x03")


def strip_jpeg_metadata(data: bytes) -> bytes | None:
    """Return a plain YCbCr JPEG without its metadata; None when it has a colour profile or other colours.

    Raises PhotoRefused as `parse_container` does.
    """
    parts = [data[:2], _JFIF]
    for marker, start, end in _jpeg_segments(data):
        is_profile = marker == _APP2 and _is_picture_segment(data, marker, start)
        if marker == _APP14 or is_profile or (marker in _FRAME_HEADERS and not _has_plain_colours(data[start:end])):
            return None
        if marker != _APP0 and _is_picture_segment(data, marker, start):
            parts.append(data[start:end])
    return b"".join(parts)


def _has_plain_colours(frame_header: bytes) -> bool:
    """Return whether it has 8 bits and JFIF's components Y, Cb and Cr."""
    return (frame_header[4], frame_header[9], frame_header[10::3]) == _PLAIN_COLOURS


# --- PNG (ISO 15948) ----------------------------------------------------------------------------------------

_PNG_PICTURE_CHUNKS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})


def _parse_png(data: bytes) -> Container:
    spans: list[Span] = [(0, 8)]
    exif = None
    frames = 1
    chunks = list(_png_chunks(data))
    if chunks[0][0] != b"IHDR" or not any(kind == b"IDAT" for kind, _, _ in chunks):
        raise PhotoRefused(BROKEN, reason="no picture in the chunks")
    width, height = struct.unpack(">II", data[16:24])
    for kind, start, end in chunks:
        if kind == b"eXIf":
            exif = data[start + 8 : end - 4]
        if kind == b"acTL" and end - start >= 16:  # noqa: PLR2004  header, two numbers, checksum
            frames = max(1, struct.unpack(">I", data[start + 8 : start + 12])[0])
        if kind in _PNG_PICTURE_CHUNKS:
            spans.append((start, end))
    return Container(media_type=PNG, width=width, height=height, frames=frames, exif=exif, picture_spans=tuple(spans))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        end = position + 12 + length
        if end > len(data):
            break
        yield kind, position, end
        if kind == b"IEND":
            return
        position = end
    raise PhotoRefused(TRUNCATED)


# --- WebP (RFC 9649) ----------------------------------------------------------------------------------------


def _parse_webp(data: bytes) -> Container:
    riff_end = 8 + struct.unpack("<I", data[4:8])[0]
    if riff_end > len(data):
        raise PhotoRefused(TRUNCATED)
    exif = None
    frames = 0
    size: tuple[int, int] | None = None
    for kind, start, end in _riff_chunks(data, riff_end):
        size = size or _webp_size(kind, data[start : start + 10])
        frames += kind in {b"ANMF", b"VP8 ", b"VP8L"}
        if kind == b"EXIF":
            exif = data[start:end]
    if size is None or not frames:
        raise PhotoRefused(BROKEN, reason="no picture in the chunks")
    return Container(
        media_type=WEBP,
        width=size[0],
        height=size[1],
        frames=frames,
        exif=exif,
        picture_spans=((0, riff_end),),
    )


def _riff_chunks(data: bytes, riff_end: int) -> Iterator[tuple[bytes, int, int]]:
    position = 12
    while position + 8 <= riff_end:
        kind, length = struct.unpack("<4sI", data[position : position + 8])
        end = position + 8 + length
        if end > riff_end:
            raise PhotoRefused(TRUNCATED)
        yield kind, position + 8, end
        position = end + (length & 1)


def _webp_size(kind: bytes, head: bytes) -> tuple[int, int] | None:
    if len(head) < 10:  # noqa: PLR2004  all three kinds have it in their first ten bytes
        return None
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[6:10])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


# --- HEIF (ISO 23008-12) ------------------------------------------------------------------------------------


# A picture is complete when these boxes are; a short `mif3` has all in one.
_PICTURE_BOXES = (frozenset({b"ftyp", b"meta", b"mdat"}), frozenset({b"ftyp", b"mini"}))
# A box of these kinds belongs to the picture, so a file that ends inside one is cut.
_BOXES_OF_PICTURE = frozenset({b"ftyp", b"meta", b"mdat", b"mini", b"moov"})
_BOX_HEADER_BYTES = 8


def _parse_heif(data: bytes) -> Container:
    """Parse only the outermost boxes. What phones append behind a complete picture is left out: a motion video in
    no box (Samsung), in a box of its own (Google), or as a second file.
    """
    position = 0
    kinds: set[bytes] = set()
    while position + _BOX_HEADER_BYTES <= len(data):
        kind, end = _read_box(data, position)
        if _has_picture(kinds) and _is_appended(kind, is_box=position + _BOX_HEADER_BYTES <= end <= len(data)):
            break
        if end < position + _BOX_HEADER_BYTES:
            raise PhotoRefused(BROKEN, reason="box shorter than its header")
        if end > len(data):
            raise PhotoRefused(TRUNCATED)
        kinds.add(kind)
        position = end
    if not _has_picture(kinds):
        raise PhotoRefused(TRUNCATED)
    return Container(media_type=HEIC, picture_spans=((0, position),))


def _has_picture(kinds: set[bytes]) -> bool:
    return any(boxes <= kinds for boxes in _PICTURE_BOXES)


def _is_appended(kind: bytes, *, is_box: bool) -> bool:
    """Return whether it is no part of the picture: a second file, bytes that are no box, or a box that is cut."""
    is_named = all(0x20 <= character < 0x7F for character in kind)  # noqa: PLR2004  printable ASCII
    return kind == b"ftyp" or not is_named or (kind not in _BOXES_OF_PICTURE and not is_box)


def _read_box(data: bytes, position: int) -> tuple[bytes, int]:
    """Return the kind of the box and where it says that it ends."""
    size, kind = struct.unpack(">I4s", data[position : position + _BOX_HEADER_BYTES])
    if size == 1 and position + 16 <= len(data):
        size = struct.unpack(">Q", data[position + 8 : position + 16])[0]
    return kind, len(data) if size == 0 else position + size  # 0 means up to the end of the file
