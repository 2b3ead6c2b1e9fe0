"""One way to write a thing down as bytes, so that two sides can compare hashes of it (RFC 8785, JCS)."""

import hashlib
from typing import Any

import msgspec
import rfc8785


class NotCanonical(ValueError):
    """The value has a number that JSON in other languages would not keep (beyond 2^53, NaN, infinity)."""


def canonical_json(value: Any) -> bytes:
    """RFC 8785 bytes of a value; Structs, times and ids are written as on the wire first."""
    try:
        return rfc8785.dumps(msgspec.to_builtins(value))
    except rfc8785.CanonicalizationError as error:
        raise NotCanonical(str(error)) from None


def content_hash(value: Any) -> str:
    """SHA-256 of the canonical bytes, in lower-case hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
