"""Canonical JSON (RFC 8785, JCS), so that two sides can compare hashes of one value."""

import hashlib
from typing import Any

import msgspec
import rfc8785

LARGEST_INTEGER = 2**53 - 1
# Within these bounds every encoder writes a fraction the same way: the shortest digits that round-trip, no exponent.
SMALLEST_FRACTION, LARGEST_FRACTION = 1e-4, 1e15

_SORTED = msgspec.json.Encoder(order="sorted")


class NotCanonical(ValueError):
    """The value holds a number that JSON in other languages loses (beyond 2^53, NaN, infinity)."""


def canonical_json(value: Any) -> bytes:
    """Return the RFC 8785 bytes of a value; Structs, times and ids are converted to their JSON form first."""
    plain = msgspec.to_builtins(value)
    if _is_simple(plain):
        return _SORTED.encode(plain)
    try:
        return rfc8785.dumps(plain)
    except rfc8785.CanonicalizationError as error:
        raise NotCanonical(str(error)) from None


def content_hash(value: Any) -> str:
    """Return the SHA-256 of the canonical bytes, in lower-case hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _is_simple(value: object) -> bool:
    """Tell whether plain JSON with sorted keys is already the canonical form, as it is for nearly every visit.

    It is not for whole numbers given as floats, very small or large fractions, and keys outside ASCII, which UTF-16
    may sort differently.
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
        return SMALLEST_FRACTION <= abs(value) < LARGEST_FRACTION and value % 1 != 0
    return False
