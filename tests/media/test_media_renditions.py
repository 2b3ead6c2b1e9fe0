"""The copies: upright, within their size, in sRGB, and silent about where and when."""

import io

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat
from PIL.JpegImagePlugin import JpegImageFile

from media import refusals
from media.photo import read_photo_facts
from media.renditions import load_upright, make_renditions
from tests.makers.photos import encode, make_exif, make_jpeg, make_picture


def render(content):
    return make_renditions(content, read_photo_facts(content))


def opened(rendition):
    image = Image.open(io.BytesIO(rendition.jpeg))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (rendition.width, rendition.height))
    return image


def difference(a, b):
    """Mean difference per pixel, 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(a.convert("RGB"), b.convert("RGB"))).mean)


@pytest.mark.parametrize(
    ("size", "large", "small"),
    [
        ((2000, 1500), (1280, 960), (320, 240)),
        ((1500, 2000), (960, 1280), (240, 320)),
        ((1280, 720), (1280, 720), (320, 180)),
        ((500, 400), (500, 400), (320, 256)),
        ((88, 64), (88, 64), (88, 64)),
        ((3000, 10), (1280, 4), (320, 1)),
    ],
)
def test_copies_fit_their_longest_side_and_are_never_enlarged(size, large, small):
    made = render(make_jpeg(*size))
    assert opened(made.large).size == large
    assert opened(made.small).size == small


@pytest.mark.parametrize("orientation", range(1, 9))
def test_copies_are_upright_in_all_eight_orientations(orientation):
    upright = make_picture(400, 300)
    undo = {
        2: "FLIP_LEFT_RIGHT",
        3: "ROTATE_180",
        4: "FLIP_TOP_BOTTOM",
        5: "TRANSPOSE",
        6: "ROTATE_90",
        7: "TRANSVERSE",
        8: "ROTATE_270",
    }
    stored = upright.transpose(Image.Transpose[undo[orientation]]) if orientation in undo else upright
    made = render(encode(stored, quality=95, exif=make_exif({0x0112: orientation})))
    assert opened(made.large).size == (400, 300)
    assert difference(opened(made.large), upright) < 3


def test_copies_carry_no_metadata_at_all():
    exif = make_exif({0x010F: "Zoufang"}, {0x9003: "2026:11:23 09:42:10"}, {1: "N", 2: (26.0, 6.0, 30.0)})
    made = render(make_jpeg(exif=exif, comment=b"a secret", xmp=b"<secret/>", dpi=(300, 300)))
    for rendition in (made.small, made.large):
        assert set(opened(rendition).info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert not any(word in rendition.jpeg for word in (b"Exif", b"Zoufang", b"secret", b"ICC_PROFILE"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_copies_of_png_and_webp_carry_no_metadata_either(kind):
    made = render(encode(make_picture(), kind, exif=make_exif({0x010F: "Zoufang"})))
    assert b"Zoufang" not in made.large.jpeg
    assert set(opened(made.large).info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_small_plain_jpeg_is_its_own_large_copy_less_its_metadata():
    exif = make_exif({0x010F: "Zoufang"}, {0x9003: "2026:11:23 09:42:10"}, {1: "N", 2: (26.0, 6.0, 30.0)})
    picture = encode(make_picture(1280, 960), quality=80, progressive=True)
    content = encode(make_picture(1280, 960), quality=80, progressive=True, exif=exif, comment=b"a secret")
    made = render(content)
    assert made.large.jpeg == picture
    assert opened(made.large).size == (1280, 960)
    assert b"secret" not in made.large.jpeg + made.small.jpeg


@pytest.mark.parametrize(
    "make",
    [
        lambda: encode(make_picture(1281, 960)),
        lambda: encode(make_picture(400, 300), exif=make_exif({0x0112: 6})),
        lambda: encode(make_picture(400, 300), icc_profile=_swapped_srgb_profile()),
        lambda: encode(make_picture(400, 300).convert("L")),
        lambda: encode(make_picture(400, 300).convert("CMYK")),
        lambda: encode(make_picture(400, 300), keep_rgb=True),
        lambda: encode(Image.effect_noise((400, 300), 90).convert("RGB"), quality=100, subsampling=0),
    ],
    ids=["too wide", "turned", "other colours", "grey", "for print", "red, green, blue", "heavy"],
)
def test_every_other_jpeg_is_encoded_anew(make):
    made = render(make())
    large = opened(made.large)
    again = io.BytesIO()
    large.save(again, "JPEG", quality="keep")
    expected = Image.open(io.BytesIO(encode(make_picture(8, 8), quality=85)))
    assert isinstance(large, JpegImageFile)
    assert isinstance(expected, JpegImageFile)
    assert large.quantization == expected.quantization


def test_the_same_photo_gives_the_same_bytes_again():
    content = make_jpeg()
    assert render(content) == render(content)


def test_colours_of_another_profile_become_srgb():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    srgb = ImageCms.createProfile("sRGB")
    picture = make_picture(300, 200)
    in_lab = ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB")
    swapped = _swapped_srgb_profile()
    stored = Image.merge("RGB", [picture.getchannel(c) for c in "GRB"])
    made = render(encode(stored, quality=95, icc_profile=swapped))
    assert in_lab.mode == "LAB"
    assert difference(opened(made.large), picture) < difference(stored, picture) / 4


def _swapped_srgb_profile():
    """sRGB with its red and green primaries swapped: a profile whose neglect anyone would see."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[84:100] = bytes(16)
    count = int.from_bytes(profile[128:132])
    tags = {bytes(profile[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    profile[red + 4 : red + 12], profile[green + 4 : green + 12] = (
        profile[green + 4 : green + 12],
        profile[red + 4 : red + 12],
    )
    return bytes(profile)


@pytest.mark.parametrize("profile", [b"not a profile", b"\x00" * 200])
def test_a_useless_profile_is_set_aside(profile):
    content = make_jpeg(300, 200, icc_profile=profile)
    assert difference(opened(render(content).large), make_picture(300, 200)) < 3


def test_transparent_becomes_white_paper():
    picture = Image.new("RGBA", (100, 80), (255, 0, 0, 0))
    assert opened(render(encode(picture, "PNG")).large).getpixel((50, 40)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel_becomes_plain_rgb(mode):
    grey = make_picture(200, 150).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        image = grey.quantize(256) if mode == "P" else grey.convert("RGB").convert(mode)
    made = render(encode(image, "JPEG" if mode == "CMYK" else "PNG"))
    if mode != "1":
        assert difference(opened(made.large), grey) < 6


def test_a_heic_is_rendered():
    out = io.BytesIO()
    pillow_heif.from_pillow(make_picture(1440, 1080)).save(out, quality=90)
    made = render(out.getvalue())
    assert difference(opened(made.large), make_picture(1440, 1080).resize((1280, 960))) < 4


def test_a_large_jpeg_is_decoded_at_a_smaller_scale(monkeypatch):
    content = make_jpeg(4000, 3000)
    facts = read_photo_facts(content)
    seen = []
    load = Image.Image.load

    def load_and_note(self):
        seen.append(self.size)
        return load(self)

    monkeypatch.setattr(Image.Image, "load", load_and_note)
    assert load_upright(content, facts, longest_side=1280).size == (1280, 960)
    assert max(seen) <= (2000, 1500)


def test_a_photo_changed_since_it_was_examined_is_refused():
    content = make_jpeg(300, 200)
    facts = read_photo_facts(content)
    with pytest.raises(refusals.PhotoRefused) as refused:
        make_renditions(make_jpeg(3000, 2000), facts)
    assert refused.value.code == "photo.broken"


@pytest.mark.parametrize("number", range(1, 9))
def test_the_real_photo_of_eight_orientations_is_upright_in_each(photo, number):
    """The scene is wider than high, bright at the top (the sky) and dark below (the pool)."""
    image = opened(render(photo(f"orientation_{number}.jpg")).large)
    assert image.size == (600, 450)
    reference = opened(render(photo("orientation_1.jpg")).large)
    assert difference(image, reference) < 12
    assert difference(image.rotate(180), reference) > 24


def test_a_phones_heic_is_rendered(photo):
    assert opened(render(photo("phone.heif")).large).size == (1280, 960)
