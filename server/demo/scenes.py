"""Drawings of six scenes of a home visit: house, room, documents, household register, people, signature."""

import math
import random
from collections.abc import Callable
from importlib import resources
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 1600, 1200

Colour = tuple[int, int, int]
Point = tuple[float, float]


def draw_scene(name: str, chance: random.Random) -> Image.Image:
    """Draw one of SCENES at WIDTH × HEIGHT; KeyError for another name."""
    return _SCENES[name](chance)


def _house_outside(chance: random.Random) -> Image.Image:
    """A brick or plastered house with a tiled roof, a door with couplets, trees, a yard."""
    picture = _gradient(chance.choice(_SKIES), (232, 238, 240))
    draw = ImageDraw.Draw(picture)
    ground = chance.randint(760, 900)
    _hills(draw, chance, ground)
    draw.rectangle((0, ground, WIDTH, HEIGHT), fill=_vary(chance, (150, 132, 104), 25))
    left, width = chance.randint(120, 560), chance.randint(620, 960)
    eaves, ridge = ground - chance.randint(300, 420), ground - chance.randint(480, 620)
    wall = _vary(chance, chance.choice(_WALLS), 12)
    base = ground + 60
    draw.rectangle((left, eaves, left + width, base), fill=wall)
    _bricks(draw, (left, eaves, left + width, base), _darker(wall, 0.9))
    _roof(draw, chance, left, width, eaves, ridge)
    for place in chance.sample(range(4), 2):
        _window(draw, left + 40 + place * width // 4, eaves + 70, width // 7, 130)
    _door(draw, left + chance.randint(2, 5) * width // 7, base, width // 8)
    for _ in range(chance.randint(1, 4)):
        _tree(draw, chance, chance.randint(0, WIDTH), ground + chance.randint(-20, 120))
    return picture


def _room_inside(chance: random.Random) -> Image.Image:
    """A room: wall and floor, a window, a bed, a cupboard, a table, a lamp."""
    wall = _vary(chance, (206, 200, 184), 25)
    picture = _gradient(wall, _darker(wall, 0.86))
    draw = ImageDraw.Draw(picture)
    floor = chance.randint(700, 860)
    draw.rectangle((0, floor, WIDTH, HEIGHT), fill=_vary(chance, (138, 112, 86), 22))
    for x in range(-1600, 3200, 140):
        draw.line((x, HEIGHT, WIDTH / 2 + (x - WIDTH / 2) * 0.55, floor), fill=(104, 84, 66), width=3)
    window, calendar = chance.sample((160, 640, 1120), 2)
    _window(draw, window + chance.randint(-60, 60), chance.randint(120, 220), chance.randint(240, 340), 300)
    _calendar(draw, calendar + chance.randint(0, 200), chance.randint(150, 330))
    furniture = [_bed, _cupboard, _table]
    chance.shuffle(furniture)
    for place, piece in enumerate(furniture):
        piece(draw, chance, 60 + place * 500 + chance.randint(-50, 60), floor + chance.randint(60, 200))
    lamp = chance.randint(300, 1300)
    draw.line((lamp, 0, lamp, 130), fill=(60, 60, 60), width=5)
    draw.ellipse((lamp - 34, 120, lamp + 34, 190), fill=(255, 246, 206))
    return picture


def _documents(chance: random.Random) -> Image.Image:
    """Two or three sheets on a table: a certificate with its seal, a form, a receipt."""
    picture = _table_top(chance)
    for place in range(chance.randint(2, 3)):
        sheet = _sheet(chance, chance.choice(("医疗费用收据", "收入情况证明", "残疾人登记表", "低保申请书")))
        _lay(picture, sheet, chance, (90 + place * 480 + chance.randint(-70, 70), chance.randint(40, 330)))
    return picture


def _household_register(chance: random.Random) -> Image.Image:
    """An open household register: the edge of its red-brown cover and two printed pages."""
    picture = _table_top(chance)
    book = Image.new("RGBA", (1180, 800), (118, 36, 34, 255))
    draw = ImageDraw.Draw(book)
    for page, title in enumerate(("居民户口簿", "常住人口登记卡")):
        left = 24 + page * 570
        draw.rectangle((left, 24, left + 556, 776), fill=_vary(chance, (238, 232, 214), 8))
        draw.text((left + 278, 90), title, font=_font(50), fill=(60, 40, 40), anchor="mm")
        words = chance.sample(_REGISTER_WORDS, 8)
        for row, word in enumerate(words):
            top = 160 + row * 72
            draw.rectangle((left + 30, top, left + 526, top + 72), outline=(140, 120, 110), width=3)
            draw.line((left + 170, top, left + 170, top + 72), fill=(140, 120, 110), width=3)
            draw.text((left + 46, top + 36), word, font=_font(30), fill=(90, 70, 70), anchor="lm")
            draw.line(
                (left + 190, top + 38, left + 190 + chance.randint(60, 300), top + 38),
                fill=(50, 50, 70),
                width=9,
            )
    _seal(draw, chance.randint(700, 1040), chance.randint(520, 660), 84)
    _lay(picture, book, chance, (chance.randint(60, 340), chance.randint(60, 300)))
    return picture


def _people_met(chance: random.Random) -> Image.Image:
    """Two to four people in front of a wall, without faces."""
    wall = _vary(chance, chance.choice(_WALLS), 20)
    picture = _gradient(_darker(wall, 1.08), _darker(wall, 0.8))
    draw = ImageDraw.Draw(picture)
    _window(draw, chance.randint(60, 1200), chance.randint(40, 160), chance.randint(220, 380), 300)
    draw.rectangle((0, 1010, WIDTH, HEIGHT), fill=_vary(chance, (120, 104, 88), 20))
    count = chance.randint(2, 4)
    for place in range(count):
        middle = (place + 0.5) * WIDTH / count + chance.randint(-90, 90)
        _person(draw, chance, middle, top=chance.randint(230, 470), scale=chance.uniform(0.85, 1.2))
    return picture


def _signature(chance: random.Random) -> Image.Image:
    """The end of a form with a handwritten name and a thumbprint."""
    picture = _gradient(_vary(chance, (240, 238, 230), 8), (222, 218, 206))
    draw = ImageDraw.Draw(picture)
    top = chance.randint(180, 420)
    for row in range(3):
        draw.text((250, top - 190 + row * 80), "以上谈话记录已向本人宣读", font=_font(44), fill=(70, 70, 76))
        draw.line((850, top - 160 + row * 80, 1480, top - 160 + row * 80), fill=(170, 170, 170), width=3)
    draw.text((250, top + 140), "签名：", font=_font(72), fill=(50, 50, 56))
    draw.line((250, top + 330, 1380, top + 330), fill=(120, 120, 120), width=4)
    ink = chance.choice(((22, 26, 60), (24, 24, 24), (28, 44, 110)))
    left = chance.randint(470, 540)
    for character in range(chance.randint(2, 3)):
        _scribble(draw, chance, left + character * chance.randint(260, 290), top + chance.randint(20, 90), ink)
    _thumbprint(draw, chance.randint(1050, 1400), top + chance.randint(420, 560))
    return picture


_SCENES: Final[dict[str, Callable[[random.Random], Image.Image]]] = {
    "house_outside": _house_outside,
    "room_inside": _room_inside,
    "documents": _documents,
    "household_register": _household_register,
    "people_met": _people_met,
    "signature": _signature,
}
SCENES: Final = tuple(_SCENES)

_SKIES = ((120, 170, 220), (164, 190, 208), (196, 186, 176), (98, 140, 190))
_WALLS = ((196, 116, 88), (224, 214, 192), (176, 168, 156), (208, 188, 150))
_CLOTHES = ((52, 70, 112), (134, 52, 56), (70, 96, 74), (98, 98, 104), (176, 142, 84), (40, 44, 52))
_REGISTER_WORDS = ("姓名", "性别", "出生", "籍贯", "民族", "住址", "户别", "户号")

# --- parts of scenes ----------------------------------------------------------------------------------------


def _hills(draw: ImageDraw.ImageDraw, chance: random.Random, ground: int) -> None:
    for depth in range(3):
        colour = _vary(chance, (120 - depth * 12, 146 - depth * 10, 128 - depth * 22), 14)
        height, phase = chance.randint(60, 230), chance.uniform(0, 6)
        ridge: list[Point] = [
            (x, ground - height * (0.55 + 0.45 * math.sin(phase + x / (190 + 90 * depth)))) for x in range(0, 1601, 20)
        ]
        draw.polygon([(0, ground), *ridge, (WIDTH, ground)], fill=colour)


def _bricks(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: Colour) -> None:
    left, top, right, bottom = box
    for row, y in enumerate(range(top, bottom, 26)):
        draw.line((left, y, right, y), fill=colour, width=2)
        for x in range(left + row % 2 * 34, right, 68):
            draw.line((x, y, x, min(y + 26, bottom)), fill=colour, width=2)


def _roof(draw: ImageDraw.ImageDraw, chance: random.Random, left: int, width: int, eaves: int, ridge: int) -> None:
    colour = _vary(chance, chance.choice(((96, 98, 104), (150, 72, 52), (84, 104, 120))), 14)
    inset = width // 9
    draw.polygon(
        [
            (left - 50, eaves),
            (left + inset, ridge),
            (left + width - inset, ridge),
            (left + width + 50, eaves),
        ],
        fill=colour,
    )
    for x in range(0, width + 100, 26):
        share = x / (width + 100)
        foot, head = left - 50 + x, left + inset + share * (width - 2 * inset)
        draw.line((foot, eaves, head, ridge), fill=_darker(colour, 0.85), width=4)


def _window(draw: ImageDraw.ImageDraw, left: int, top: int, width: int, height: int) -> None:
    draw.rectangle((left - 8, top - 8, left + width + 8, top + height + 8), fill=(240, 240, 236))
    draw.rectangle((left, top, left + width, top + height), fill=(92, 122, 146))
    draw.polygon([(left, top), (left + width // 2, top), (left, top + height // 2)], fill=(150, 182, 204))
    draw.line((left + width / 2, top, left + width / 2, top + height), fill=(240, 240, 236), width=8)
    draw.line((left, top + height / 3, left + width, top + height / 3), fill=(240, 240, 236), width=8)


def _door(draw: ImageDraw.ImageDraw, left: int, base: int, width: int) -> None:
    top = base - int(width * 2.1)
    draw.rectangle((left, top, left + width, base), fill=(88, 54, 40))
    draw.line((left + width / 2, top, left + width / 2, base), fill=(50, 30, 24), width=5)
    for x in (left - 32, left + width + 6):
        draw.rectangle((x, top + 10, x + 26, base - 40), fill=(196, 40, 36))
    draw.rectangle((left, top - 34, left + width, top - 8), fill=(196, 40, 36))


def _tree(draw: ImageDraw.ImageDraw, chance: random.Random, x: int, base: int) -> None:
    height = chance.randint(200, 460)
    draw.rectangle((x - 13, base - height, x + 13, base), fill=(92, 70, 52))
    colour = _vary(chance, (78, 112, 62), 22)
    for _ in range(16):
        dx, dy, r = chance.gauss(0, 70), chance.gauss(0, 60), chance.randint(40, 90)
        draw.ellipse(
            (x + dx - r, base - height + dy - r, x + dx + r, base - height + dy + r),
            fill=_vary(chance, colour, 12),
        )


def _calendar(draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
    draw.rectangle((left, top, left + 130, top + 180), fill=(246, 244, 238))
    draw.rectangle((left, top, left + 130, top + 62), fill=(190, 46, 42))
    draw.text((left + 65, top + 122), "福", font=_font(70), fill=(190, 46, 42), anchor="mm")


def _bed(draw: ImageDraw.ImageDraw, chance: random.Random, left: int, base: int) -> None:
    quilt = _vary(chance, chance.choice(_CLOTHES), 25)
    draw.rectangle((left, base - 260, left + 26, base + 40), fill=(96, 66, 44))
    draw.rectangle((left + 26, base - 130, left + 480, base), fill=quilt)
    for x in range(left + 60, left + 470, 70):
        draw.line((x, base - 130, x - 20, base), fill=_darker(quilt, 1.25), width=9)
    draw.rounded_rectangle((left + 34, base - 180, left + 160, base - 116), 24, fill=(236, 232, 222))
    draw.rectangle((left + 450, base - 60, left + 480, base + 40), fill=(96, 66, 44))


def _cupboard(draw: ImageDraw.ImageDraw, chance: random.Random, left: int, base: int) -> None:
    colour = _vary(chance, (140, 94, 58), 24)
    height = chance.randint(380, 520)
    draw.rectangle((left, base - height, left + 300, base), fill=colour)
    draw.line((left + 150, base - height, left + 150, base), fill=_darker(colour, 0.6), width=6)
    for x in (left + 128, left + 172):
        draw.ellipse((x - 8, base - height // 2 - 8, x + 8, base - height // 2 + 8), fill=(220, 196, 120))


def _table(draw: ImageDraw.ImageDraw, chance: random.Random, left: int, base: int) -> None:
    colour = _vary(chance, (156, 116, 76), 24)
    draw.rectangle((left, base - 210, left + 420, base - 178), fill=colour)
    for x in (left + 20, left + 374):
        draw.rectangle((x, base - 178, x + 26, base + 20), fill=_darker(colour, 0.75))
    cup = left + chance.randint(60, 320)
    draw.rounded_rectangle((cup, base - 276, cup + 56, base - 210), 10, fill=chance.choice(_CLOTHES))
    draw.rectangle((cup - 30, base - 250, cup - 6, base - 210), fill=(226, 228, 230))


def _person(draw: ImageDraw.ImageDraw, chance: random.Random, middle: float, *, top: int, scale: float) -> None:
    coat, skin = _vary(chance, chance.choice(_CLOTHES), 18), _vary(chance, (214, 176, 146), 14)
    head, shoulder = 92 * scale, 178 * scale
    neck = top + 2 * head
    draw.rounded_rectangle((middle - shoulder, neck + 20, middle + shoulder, HEIGHT + 60), 90 * scale, fill=coat)
    draw.rectangle((middle - 34 * scale, neck - 30, middle + 34 * scale, neck + 50), fill=_darker(skin, 0.9))
    draw.ellipse((middle - head, top, middle + head, neck + 20), fill=skin)
    hair = chance.choice(((40, 38, 38), (120, 118, 116), (210, 208, 204)))
    draw.pieslice((middle - head - 8, top - 22, middle + head + 8, neck - 10), 180, 360, fill=hair)
    draw.line((middle, neck + 60, middle, HEIGHT), fill=_darker(coat, 0.7), width=7)
    for y in range(int(neck) + 120, HEIGHT, 120):
        draw.ellipse((middle - 34, y, middle - 14, y + 20), fill=_darker(coat, 1.5))


def _table_top(chance: random.Random) -> Image.Image:
    wood = _vary(chance, chance.choice(((150, 106, 68), (112, 84, 62), (186, 160, 122), (96, 110, 104))), 18)
    picture = _gradient(wood, _darker(wood, 0.78))
    draw = ImageDraw.Draw(picture)
    for y in range(0, HEIGHT, 22):
        bend = chance.randint(-26, 26)
        draw.line((0, y, WIDTH / 2, y + bend, WIDTH, y), fill=_darker(wood, chance.uniform(0.8, 1.05)), width=4)
    return picture


def _sheet(chance: random.Random, title: str) -> Image.Image:
    sheet = Image.new("RGBA", (560, 780), (*_vary(chance, (244, 242, 236), 8), 255))
    draw = ImageDraw.Draw(sheet)
    draw.text((280, 74), title, font=_font(52), fill=(40, 40, 44), anchor="mm")
    for y in range(150, 700, chance.randint(38, 64)):
        draw.line((50, y, 50 + chance.randint(180, 460), y), fill=(96, 96, 104), width=chance.randint(7, 14))
    if chance.random() < 0.5:  # noqa: PLR2004  half the sheets have a table
        for x in range(50, 520, 92):
            draw.line((x, 420, x, 640), fill=(120, 120, 120), width=3)
    _seal(draw, chance.randint(330, 450), chance.randint(540, 660), 78)
    return sheet


def _seal(draw: ImageDraw.ImageDraw, x: int, y: int, radius: int) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=(206, 36, 40), width=9)
    draw.text((x, y), "★", font=_font(int(radius * 0.9)), fill=(206, 36, 40), anchor="mm")
    draw.text((x, y + radius * 0.55), "示例专用章", font=_font(radius // 4), fill=(206, 36, 40), anchor="mm")


def _lay(picture: Image.Image, sheet: Image.Image, chance: random.Random, place: tuple[int, int]) -> None:
    """Paste a slightly rotated sheet with a shadow onto the table."""
    turned = sheet.rotate(chance.uniform(-17, 17), expand=True, resample=Image.Resampling.BILINEAR)
    shadow = Image.new("RGBA", turned.size, (20, 16, 12, 255))
    shadow.putalpha(turned.getchannel("A").filter(ImageFilter.BoxBlur(9)).point([v * 6 // 10 for v in range(256)]))
    picture.paste(shadow, (place[0] + 16, place[1] + 18), shadow)
    picture.paste(turned, place, turned)


def _scribble(draw: ImageDraw.ImageDraw, chance: random.Random, left: int, top: int, ink: Colour) -> None:
    """Draw five to eight pen strokes in a square, each from thick to thin."""
    for _ in range(chance.randint(5, 8)):
        a, b, c = [(left + chance.randint(0, 260), top + chance.randint(0, 260)) for _ in range(3)]
        for step in range(100):
            t = step / 99
            x = (1 - t) ** 2 * a[0] + 2 * t * (1 - t) * b[0] + t * t * c[0]
            y = (1 - t) ** 2 * a[1] + 2 * t * (1 - t) * b[1] + t * t * c[1]
            r = 9 - 5 * t
            draw.ellipse((x - r, y - r, x + r, y + r), fill=ink)


def _thumbprint(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    for ring in range(9, 0, -1):
        rx, ry = ring * 7, ring * 10
        draw.ellipse((x - rx, y - ry, x + rx, y + ry), outline=(200, 52, 48), width=4)


# --- colours and letters ------------------------------------------------------------------------------------


def _gradient(top: Colour, bottom: Colour) -> Image.Image:
    column = np.linspace(top, bottom, HEIGHT).astype(np.uint8)[:, None, :]
    return Image.fromarray(np.repeat(column, WIDTH, axis=1))


def _vary(chance: random.Random, colour: Colour, by: int) -> Colour:
    red, green, blue = (min(255, max(0, c + chance.randint(-by, by))) for c in colour)
    return red, green, blue


def _darker(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(c * factor)) for c in colour)
    return red, green, blue


def _font(size: int) -> ImageFont.FreeTypeFont:
    font_file = resources.files("pylopdf_fonts_zh_cn") / "NotoSansSC-Regular.otf"
    return ImageFont.truetype(str(font_file), size, layout_engine=ImageFont.Layout.BASIC)
