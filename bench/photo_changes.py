"""Photos with known relations: scenes, manipulated copies, and honest new photos of the same place."""

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
PhotoChange = Callable[[Picture, random.Random], Picture]
REAL_PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"
# Eight of the real photos show one scene in different orientations; one is smaller than the fingerprint's input.
NOT_SCENES = {*(f"orientation_{number}.jpg" for number in range(2, 9)), "tiny_no_exif.jpg"}
OUTSIDE, INSIDE, PAPERS = "house_outside", "room_inside", "documents"


def load_scenes(count: int) -> dict[str, Picture]:
    """Return scenes by name: real photos if available, and `count` of each kind of drawn scene and noise pattern."""
    drawings = {f"{kind} {seed}": draw_scene(kind, seed) for kind in (OUTSIDE, INSIDE, PAPERS) for seed in range(count)}
    return {**dict(iter_photographs()), **drawings, **{f"patches {seed}": make_scene(seed) for seed in range(count)}}


def iter_photographs() -> Iterator[tuple[str, Picture]]:
    for path in sorted(REAL_PHOTOS.glob("*")):
        data = path.read_bytes()
        try:
            facts = read_photo_facts(data)
        except PhotoRefused:
            continue
        if path.name not in NOT_SCENES:
            yield f"photograph {path.stem}", load_upright(data, facts, longest_side=LARGE_SIDE).convert("RGB")


def draw_scene(kind: str, seed: int) -> Picture:
    return decode(
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


def decode(jpeg: bytes) -> Picture:
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


def reencode(picture: Picture, quality: int = 82) -> Picture:
    """Encode as JPEG once more, as a phone does before it sends a photo."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return decode(out.getvalue())


# -- manipulations


def make_crop(left: float, top: float, right: float, bottom: float) -> Callable[[Picture], Picture]:
    """Crop by shares of the width and height."""

    def apply(picture: Picture) -> Picture:
        width, height = picture.size
        box = left * width, top * height, (1 - right) * width, (1 - bottom) * height
        return picture.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3])))

    return apply


def make_random_crop(share: float) -> PhotoChange:
    """Crop to a share of each side at a random place."""

    def apply(picture: Picture, chance: random.Random) -> Picture:
        left, top = (chance.uniform(0, 1 - share) for _ in range(2))
        return make_crop(left, top, 1 - share - left, 1 - share - top)(picture)

    return apply


def make_side_crop(share: float) -> PhotoChange:
    def apply(picture: Picture, chance: random.Random) -> Picture:
        edges = [0.0, 0.0, 0.0, 0.0]
        edges[chance.randrange(4)] = 1 - share
        return make_crop(*edges)(picture)

    return apply


def make_rotation(degrees: float) -> PhotoChange:
    """Rotate, and crop so that no corner is empty."""

    def apply(picture: Picture, chance: random.Random) -> Picture:
        edge = 0.02 * degrees
        rotated = picture.rotate(chance.choice((-1, 1)) * degrees, Image.Resampling.BICUBIC)
        return make_crop(edge, edge, edge, edge)(rotated)

    return apply


def mirror(picture: Picture, chance: random.Random) -> Picture:
    del chance
    return ImageOps.mirror(picture)


def change_brightness(picture: Picture, chance: random.Random) -> Picture:
    return ImageEnhance.Brightness(picture).enhance(chance.choice((0.75, 1.25)))


def halve(picture: Picture, chance: random.Random) -> Picture:
    del chance
    return picture.resize((picture.width // 2, picture.height // 2))


def add_border(picture: Picture, chance: random.Random) -> Picture:
    del chance
    return ImageOps.expand(picture, 36, (255, 255, 255))


def make_screenshot(picture: Picture, screen: tuple[int, int] = (1080, 2400)) -> Picture:
    """Return a screenshot of the photo on a phone: black above and below, with a status bar and a navigation bar."""
    image = Image.new("RGB", screen)
    fitted = picture.resize((screen[0], screen[0] * picture.height // picture.width))
    image.paste(fitted, (0, (screen[1] - fitted.height) // 2))
    pen = ImageDraw.Draw(image)
    pen.text((screen[0] // 20, 24), "18:42      5G 87%", font_size=screen[0] // 26, fill=(240, 240, 240))
    pen.rectangle((screen[0] * 2 // 5, screen[1] - 28, screen[0] * 3 // 5, screen[1] - 18), fill=(240, 240, 240))
    return image


def _chain(*changes: PhotoChange) -> PhotoChange:
    def apply(picture: Picture, chance: random.Random) -> Picture:
        for change in changes:
            picture = change(picture, chance)
        return picture

    return apply


def _make_screenshot(picture: Picture, chance: random.Random) -> Picture:
    del chance
    return make_screenshot(picture)


# Manipulations that have to be found, each with the JPEG quality of the result.
PHOTO_CHANGES: dict[str, tuple[PhotoChange, int]] = {
    "recompressed": (lambda picture, _: picture, 30),
    "half the size": (halve, 82),
    "brighter or darker": (change_brightness, 82),
    "white border": (add_border, 82),
    "screenshot": (_make_screenshot, 82),
    "mirrored": (mirror, 82),
    **{f"cut to {share:.0%}, anywhere": (make_random_crop(share), 82) for share in (0.97, 0.95, 0.9, 0.85, 0.8, 0.75)},
    **{f"cut to {share:.0%} at one side": (make_side_crop(share), 82) for share in (0.95, 0.9, 0.85)},
    "cut to 90%, recompressed": (make_random_crop(0.9), 40),
    "cut to 90%, half the size": (_chain(make_random_crop(0.9), halve), 82),
    "cut to 90%, brighter or darker": (_chain(make_random_crop(0.9), change_brightness), 82),
    "cut to 90%, mirrored": (_chain(make_random_crop(0.9), mirror), 82),
    "cut to 90%, white border": (_chain(make_random_crop(0.9), add_border), 82),
    "cut to 90%, screenshot": (_chain(make_random_crop(0.9), _make_screenshot), 82),
    "turned by 1 degree": (make_rotation(1), 82),
    "turned by 2 degrees": (make_rotation(2), 82),
    "turned by 3 degrees": (make_rotation(3), 82),
}


# -- honest photos


def make_retake(wobble: float) -> PhotoChange:
    """Retake from about the same place: each corner moves by up to `wobble` of a side, and the light differs."""

    def apply(picture: Picture, chance: random.Random) -> Picture:
        width, height = picture.size
        corners = ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0))
        inner = [(wobble + at * (1 - 2 * wobble) + chance.uniform(-wobble, wobble)) for pair in corners for at in pair]
        quad = [share * (width, height)[index % 2] for index, share in enumerate(inner)]
        view = picture.transform(picture.size, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
        view = ImageEnhance.Brightness(view).enhance(chance.uniform(0.8, 1.2))
        return ImageEnhance.Contrast(view).enhance(chance.uniform(0.85, 1.15))

    return apply


def make_pair(share: float) -> Callable[[Picture], tuple[Picture, Picture]]:
    """Return two shots from one place, the second moved right and down by `share`."""

    def apply(picture: Picture) -> tuple[Picture, Picture]:
        return make_crop(0, 0, share, share)(picture), make_crop(share, share, 0, 0)(picture)

    return apply
