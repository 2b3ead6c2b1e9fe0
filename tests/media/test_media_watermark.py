"""The marked copy: every character on it, readable, and the picture still to be seen."""

import io

import pytest
from PIL import Image

from media.watermark import _fit_text, _load_font, _margin, watermark
from tests.makers.photos import encode, make_jpeg

LINES = [
    "2026-11-23 09:42:10 +08:00  示例县青山镇柳树村民委员会",
    "案件 DB-2026-000123  低保专干 王示例  回执 7KQ2-9FXM",
]


def opened(jpeg):
    image = Image.open(io.BytesIO(jpeg))
    image.load()
    return image


@pytest.mark.parametrize("size", [(1280, 960), (960, 1280), (1280, 549), (600, 450)])
def test_the_mark_lies_at_the_foot_and_the_size_stays(size):
    marked = opened(watermark(make_jpeg(*size), LINES))
    assert (marked.size, marked.mode, marked.format) == (size, "RGB", "JPEG")


def test_the_picture_above_the_mark_is_unchanged():
    plain = make_jpeg(1280, 960, quality=95)
    marked = opened(watermark(plain, LINES))
    top = (0, 0, 1280, 480)
    before, after = opened(plain).crop(top).resize((16, 8)), marked.crop(top).resize((16, 8))
    assert max(abs(a - b) for a, b in zip(before.tobytes(), after.tobytes(), strict=True)) <= 3


@pytest.mark.parametrize("colour", ["white", "black", (128, 128, 128), (250, 240, 90)])
def test_the_text_is_light_on_dark_over_any_background(colour):
    marked = opened(watermark(encode(Image.new("RGB", (1280, 960), colour)), LINES)).convert("L")
    foot = marked.crop((0, 870, 1280, 960))
    low, high = foot.getextrema()
    assert high - low > 120  # letters stand out from the strip
    assert sum(value > 200 for value in foot.tobytes()) > 2000  # there are letters, not specks


@pytest.mark.parametrize("width", [320, 600, 1280])
@pytest.mark.parametrize("lines", [LINES, ["村" * 300], ["W" * 200], ["a b " * 80, "", "短"]])
def test_no_text_runs_over_the_edge_and_none_is_lost(width, lines):
    font, rows = _fit_text(lines, width, 240)
    assert max(font.getlength(row) for row in rows) <= width - 2 * _margin(font)
    assert "".join(rows).replace(" ", "") == "".join(lines).replace(" ", "")


def test_a_tiny_picture_is_not_hidden_by_its_mark():
    marked = opened(watermark(make_jpeg(88, 64, quality=95), LINES))
    assert marked.width == 320
    assert marked.height > 64
    plain = opened(make_jpeg(88, 64, quality=95)).resize((11, 8))
    inside = marked.crop((116, 0, 204, 64)).resize((11, 8))
    assert max(abs(a - b) for a, b in zip(plain.tobytes(), inside.tobytes(), strict=True)) < 40


def test_line_breaks_and_control_characters_in_a_name_do_no_harm():
    assert watermark(make_jpeg(600, 450), ["王\n示\x07例\t村"]) == watermark(make_jpeg(600, 450), ["王 示 例 村"])


def test_without_lines_nothing_is_drawn():
    marked = opened(watermark(encode(Image.new("RGB", (600, 450), "white")), []))
    assert marked.convert("L").getextrema()[0] > 250


def test_the_font_has_the_letters_of_a_chinese_report():
    font = _load_font(40)
    missing = font.getmask("\U0010ffff").getbbox()
    for character in "县镇村案件低保专干回执时间地点编号拍摄①２ABCxyz0123456789：（）·":
        assert font.getmask(character).getbbox() != missing


def test_the_mark_is_the_same_each_time():
    assert watermark(make_jpeg(), LINES) == watermark(make_jpeg(), LINES)
