"""Identifiers: UUIDv7 (RFC 9562), sortable by time and made by the client or server that creates the row."""

import os
import re
import secrets
import time
from typing import Any
from uuid import UUID


def new_id() -> UUID:
    """Make a UUIDv7: 48 bits of milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)


def new_secret_id() -> str:
    """Make an id of 192 random bits, which nobody can guess."""
    return secrets.token_urlsafe(24)


_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID_LENGTH = 36


def canonical_id(text: str) -> str:
    """Return a UUID in lower case, as this server writes it; any other text unchanged. iOS writes upper case."""
    return text.lower() if len(text) == _UUID_LENGTH and _UUID.fullmatch(text) else text


def is_same_id(candidate: Any, other: str) -> bool:
    return isinstance(candidate, str) and canonical_id(candidate) == canonical_id(other)


def canonical_ids(value: Any) -> Any:
    """Return JSON with every UUID in it in lower case, as ids are compared."""
    if isinstance(value, dict):
        return {key: canonical_ids(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [canonical_ids(inner) for inner in value]
    return canonical_id(value) if isinstance(value, str) else value
