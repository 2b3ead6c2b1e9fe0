"""One way to write a thing down as bytes, so that two sides can compare hashes of it (RFC 8785, JCS)."""

import hashlib
from typing import Any

import msgspec
import rfc8785

LARGEST_INTEGER = 2**53 - 1
# Between these, a fraction is written alike by all: the shortest digits that read back, without an exponent.
LEAST_FRACTION, LARGEST_FRACTION = 1e-4, 1e15

_SORTED = msgspec.json.Encoder(order="sorted")


class NotCanonical(ValueError):
    """The value has a number that JSON in other languages would not keep (beyond 2^53, NaN, infinity)."""


def canonical_json(value: Any) -> bytes:
    """RFC 8785 bytes of a value; Structs, times and ids are written as on the wire first."""
    plain = msgspec.to_builtins(value)
    if _is_simple(plain):
        return _SORTED.encode(plain)
    try:
        return rfc8785.dumps(plain)
    except rfc8785.CanonicalizationError as error:
        raise NotCanonical(str(error)) from None


def content_hash(value: Any) -> str:
    """SHA-256 of the canonical bytes, in lower-case hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _is_simple(value: object) -> bool:
    """Whether plain JSON with sorted keys is the canonical form already, as of nearly every visit.

    Not so: whole numbers told with a point, numbers far from 1, and keys that sort otherwise in UTF-16.
    """
    if isinstance(value, str | bool | None):
        return True
    if isinstance(value, dict):
        return all(key.isascii() and _is_simple(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_simple, value))
    if isinstance(value, int):
        return -LARGEST_INTEGER <= value <= LARGEST_INTEGER
    if isinstance(value, float):
        return LEAST_FRACTION <= abs(value) < LARGEST_FRACTION and value % 1 != 0
    return False
