"""Identifiers: UUIDv7 (RFC 9562), sortable by time and made by the client or server that creates the row."""

import os
import secrets
import time
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
