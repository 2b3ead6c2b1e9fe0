"""Photos of known truth: scenes, what a deceiver makes of one, and what an honest person takes of the same place."""

import io
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from media.photo import read_photo_facts
from media.refusals import PhotoRefused
from media.renditions import LARGE_SIDE, load_upright
from server.demo.pictures import draw_picture
from tests.makers.photos import make_scene

Picture = Image.Image
Change = Callable[[Picture, random.Random], Picture]
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"
# Eight of the real photos are one scene, turned; one is smaller than a look.
NOT_SCENES = {*(f"orientation_{number}.jpg" for number in range(2, 9)), "tiny_no_exif.jpg"}
OUTSIDE, INSIDE, PAPERS = "house_outside", "room_inside", "documents"


def scenes(each: int) -> dict[str, Picture]:
    """By name: photographs where there are any, drawn homes and papers, and patches as in photographs."""
    drawn = {f"{kind} {seed}": draw(kind, seed) for kind in (OUTSIDE, INSIDE, PAPERS) for seed in range(each)}
    return {**dict(photographs()), **drawn, **{f"patches {seed}": make_scene(seed) for seed in range(each)}}


def photographs() -> Iterator[tuple[str, Picture]]:
    for path in sorted(REAL.glob("*")):
        data = path.read_bytes()
        try:
            facts = read_photo_facts(data)
        except PhotoRefused:
            continue
        if path.name not in NOT_SCENES:
            yield f"photograph {path.stem}", load_upright(data, facts, longest_side=LARGE_SIDE).convert("RGB")


def draw(kind: str, seed: int) -> Picture:
    return opened(
        draw_picture(
            scene=kind,
            seed=seed,
            captured_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
            latitude=30.2,
            longitude=119.7,
            accuracy_m=8.0,
            size=(1280, 960),
        )
    )


def opened(jpeg: bytes) -> Picture:
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


def sent(picture: Picture, quality: int = 82) -> Picture:
    """As it arrives: encoded once more."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return opened(out.getvalue())


# -- what a deceiver does


def cut(left: float, top: float, right: float, bottom: float) -> Callable[[Picture], Picture]:
    """Shares of the sides."""

    def do(picture: Picture) -> Picture:
        width, height = picture.size
        box = left * width, top * height, (1 - right) * width, (1 - bottom) * height
        return picture.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3])))

    return do


def cut_to(share: float) -> Change:
    """Anywhere in the picture, of its shape."""

    def do(picture: Picture, chance: random.Random) -> Picture:
        left, top = (chance.uniform(0, 1 - share) for _ in range(2))
        return cut(left, top, 1 - share - left, 1 - share - top)(picture)

    return do


def cut_one_side(share: float) -> Change:
    def do(picture: Picture, chance: random.Random) -> Picture:
        edges = [0.0, 0.0, 0.0, 0.0]
        edges[chance.randrange(4)] = 1 - share
        return cut(*edges)(picture)

    return do


def turned(degrees: float) -> Change:
    """And cut, so that no corner is empty."""

    def do(picture: Picture, chance: random.Random) -> Picture:
        edge = 0.02 * degrees
        whole = picture.rotate(chance.choice((-1, 1)) * degrees, Image.Resampling.BICUBIC)
        return cut(edge, edge, edge, edge)(whole)

    return do


def mirrored(picture: Picture, chance: random.Random) -> Picture:
    del chance
    return ImageOps.mirror(picture)


def lit(picture: Picture, chance: random.Random) -> Picture:
    return ImageEnhance.Brightness(picture).enhance(chance.choice((0.75, 1.25)))


def smaller(picture: Picture, chance: random.Random) -> Picture:
    del chance
    return picture.resize((picture.width // 2, picture.height // 2))


def bordered(picture: Picture, chance: random.Random) -> Picture:
    del chance
    return ImageOps.expand(picture, 36, (255, 255, 255))


def screenshot(picture: Picture, screen: tuple[int, int] = (1080, 2400)) -> Picture:
    """As the phone shows a photo: black above and below, the clock and the bar to swipe on it."""
    shown = Image.new("RGB", screen)
    fitted = picture.resize((screen[0], screen[0] * picture.height // picture.width))
    shown.paste(fitted, (0, (screen[1] - fitted.height) // 2))
    pen = ImageDraw.Draw(shown)
    pen.text((screen[0] // 20, 24), "18:42      5G 87%", font_size=screen[0] // 26, fill=(240, 240, 240))
    pen.rectangle((screen[0] * 2 // 5, screen[1] - 28, screen[0] * 3 // 5, screen[1] - 18), fill=(240, 240, 240))
    return shown


def _both(*changes: Change) -> Change:
    def do(picture: Picture, chance: random.Random) -> Picture:
        for change in changes:
            picture = change(picture, chance)
        return picture

    return do


def _screenshot(picture: Picture, chance: random.Random) -> Picture:
    del chance
    return screenshot(picture)


# What has to be found, and how strongly it is encoded in the end.
CHANGES: dict[str, tuple[Change, int]] = {
    "recompressed": (lambda picture, _: picture, 30),
    "half the size": (smaller, 82),
    "brighter or darker": (lit, 82),
    "white border": (bordered, 82),
    "screenshot": (_screenshot, 82),
    "mirrored": (mirrored, 82),
    **{f"cut to {share:.0%}, anywhere": (cut_to(share), 82) for share in (0.97, 0.95, 0.9, 0.85, 0.8, 0.75)},
    **{f"cut to {share:.0%} at one side": (cut_one_side(share), 82) for share in (0.95, 0.9, 0.85)},
    "cut to 90%, recompressed": (cut_to(0.9), 40),
    "cut to 90%, half the size": (_both(cut_to(0.9), smaller), 82),
    "cut to 90%, brighter or darker": (_both(cut_to(0.9), lit), 82),
    "cut to 90%, mirrored": (_both(cut_to(0.9), mirrored), 82),
    "cut to 90%, white border": (_both(cut_to(0.9), bordered), 82),
    "cut to 90%, screenshot": (_both(cut_to(0.9), _screenshot), 82),
    "turned by 1 degree": (turned(1), 82),
    "turned by 2 degrees": (turned(2), 82),
    "turned by 3 degrees": (turned(3), 82),
}


# -- what an honest person does


def again(wobble: float) -> Change:
    """Taken anew from about the same place: each corner of the view elsewhere by so much of a side, in other light."""

    def do(picture: Picture, chance: random.Random) -> Picture:
        width, height = picture.size
        corners = ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0))
        inner = [(wobble + at * (1 - 2 * wobble) + chance.uniform(-wobble, wobble)) for pair in corners for at in pair]
        quad = [share * (width, height)[place % 2] for place, share in enumerate(inner)]
        view = picture.transform(picture.size, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
        view = ImageEnhance.Brightness(view).enhance(chance.uniform(0.8, 1.2))
        return ImageEnhance.Contrast(view).enhance(chance.uniform(0.85, 1.15))

    return do


def beside(share: float) -> Callable[[Picture], tuple[Picture, Picture]]:
    """Two shots from one place, the second held further to the right and down."""

    def do(picture: Picture) -> tuple[Picture, Picture]:
        return cut(0, 0, share, share)(picture), cut(share, share, 0, 0)(picture)

    return do
