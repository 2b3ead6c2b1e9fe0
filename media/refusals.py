"""The reasons why a photo is refused. The codes are stable: phones, the desk and the error catalogue use them."""

from functools import partial
from typing import Final

EMPTY: Final = "photo.empty"  # no bytes at all
TOO_MANY_BYTES: Final = "photo.too_many_bytes"  # facts: size_bytes, max_bytes
NOT_AN_IMAGE: Final = "photo.not_an_image"  # text, video or anything else, by its content; facts: detected
TYPE_NOT_SUPPORTED: Final = "photo.type_not_supported"  # an image, but not JPEG, PNG, WebP or HEIC; facts: detected
TOO_MANY_PIXELS: Final = "photo.too_many_pixels"  # by the header; facts: width, height, max_pixels, max_side
ANIMATED: Final = "photo.animated"  # animated WebP or PNG: unclear which frame is the evidence; facts: frames
TRUNCATED: Final = "photo.truncated"  # the end is missing: the phone should upload it again
BROKEN: Final = "photo.broken"  # complete, but no decoder can read it; facts: reason

CODES: Final = frozenset(
    {EMPTY, TOO_MANY_BYTES, NOT_AN_IMAGE, TYPE_NOT_SUPPORTED, TOO_MANY_PIXELS, ANIMATED, TRUNCATED, BROKEN}
)


class PhotoRefused(Exception):
    """The photo can't be evidence. `code` is in CODES; `facts` are its JSON details."""

    def __init__(self, code: str, **facts: str | int) -> None:
        super().__init__(code, facts)
        self.code = code
        self.facts = facts

    def __reduce__(self) -> tuple[partial["PhotoRefused"], tuple[()]]:
        """Pickle with the facts, which `Exception` would pass as a positional argument."""
        return partial(type(self), self.code, **self.facts), ()

    def __str__(self) -> str:
        return f"{self.code} {self.facts}" if self.facts else self.code
