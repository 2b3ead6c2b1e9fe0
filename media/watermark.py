"""Draw the watermark of copies that leave the office: time, place, case and caseworker.

It is a dark strip with white Chinese text along the bottom of the large rendition. The text is wrapped, then made
smaller; if it would still hide too much of the picture, the strip goes below the picture. Originals never come here.
"""

import io
from collections.abc import Sequence
from importlib import resources
from typing import Final

from PIL import Image, ImageDraw, ImageFont

_QUALITY: Final = 85
_MIN_WIDTH: Final = 320  # pixels; a narrower picture gets margins, so that a line holds about ten characters
_LARGEST_TEXT, _SMALLEST_TEXT = 34, 15  # pixels; below 15 Chinese strokes run together
_MAX_COVERED: Final = 0.3  # of the picture's height
_STRIP: Final = (
    16,
    20,
    24,
    168,
)  # dark enough for white text over snow, transparent enough to show the picture under it
_INK: Final = (255, 255, 255, 255)
_EDGE: Final = (0, 0, 0, 255)
_LINE_HEIGHT: Final = 1.4


def watermark(large_jpeg: bytes, lines: Sequence[str]) -> bytes:
    """Return a new JPEG with all of `lines` on it; only pictures under 320 pixels become wider."""
    picture = Image.open(io.BytesIO(large_jpeg), formats=["JPEG"]).convert("RGBA")
    width = max(picture.width, _MIN_WIDTH)
    font, rows = _fit_text(lines, width, picture.height)
    strip = _draw_strip(rows, font, width)
    covers = strip.height <= picture.height * _MAX_COVERED
    height = picture.height if covers else picture.height + strip.height
    canvas = Image.new("RGBA", (width, height), "black")
    canvas.paste(picture, ((width - picture.width) // 2, 0))
    canvas.alpha_composite(strip, (0, height - strip.height))
    out = io.BytesIO()
    canvas.convert("RGB").save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def _fit_text(lines: Sequence[str], width: int, height: int) -> tuple[ImageFont.FreeTypeFont, list[str]]:
    """Choose the largest text whose rows stay below `_MAX_COVERED`, or else the smallest."""
    size = max(_SMALLEST_TEXT, min(_LARGEST_TEXT, max(width, height) // 38))
    while True:
        font = _load_font(size)
        rows = [row for line in lines for row in _wrap(_clean(line), font, width - 2 * _margin(font))]
        if size <= _SMALLEST_TEXT or _strip_height(rows, font) <= height * _MAX_COVERED:
            return font, rows
        size = max(_SMALLEST_TEXT, size - 3)


def _load_font(size: int) -> ImageFont.FreeTypeFont:
    """Open a new face each time: FreeType faces can't be shared between threads, and opening takes under 1 ms."""
    font_file = resources.files("pylopdf_fonts_zh_cn") / "NotoSansSC-Regular.otf"
    return ImageFont.truetype(str(font_file), size, layout_engine=ImageFont.Layout.BASIC)


def _clean(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in line).strip()


def _wrap(line: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Wrap a line. Chinese breaks anywhere; a Latin word or number stays whole if at least half a row remains."""
    rows = []
    while font.getlength(line) > width:
        cut = _count_fitting(line, font, width)
        space = line.rfind(" ", cut // 2, cut + 1)
        cut = space if space > 0 else cut
        rows.append(line[:cut].rstrip())
        line = line[cut:].lstrip()
    return [*rows, line] if line else rows


def _count_fitting(line: str, font: ImageFont.FreeTypeFont, width: int) -> int:
    """Count the first characters that fit in `width`, at least 1. Lengths only grow, so bisect."""
    low, high = 1, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(line[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def _margin(font: ImageFont.FreeTypeFont) -> int:
    return round(font.size * 0.7)


def _strip_height(rows: Sequence[str], font: ImageFont.FreeTypeFont) -> int:
    return round(len(rows) * font.size * _LINE_HEIGHT) + _margin(font) if rows else 0


def _draw_strip(rows: Sequence[str], font: ImageFont.FreeTypeFont, width: int) -> Image.Image:
    strip = Image.new("RGBA", (width, max(1, _strip_height(rows, font))), _STRIP if rows else (0, 0, 0, 0))
    draw = ImageDraw.Draw(strip)
    for index, row in enumerate(rows):
        baseline = round(_margin(font) / 2 + (index + 0.5) * font.size * _LINE_HEIGHT)
        draw.text(
            (_margin(font), baseline),
            row,
            font=font,
            fill=_INK,
            stroke_width=1,
            stroke_fill=_EDGE,
            anchor="lm",
        )
    return strip
