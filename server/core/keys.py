"""Key rings: several keys by id. The first signs or encrypts; the others still verify or decrypt.

A ring is written `kid:base64,kid:base64`. To rotate, put the new key in front.
"""

import base64
import binascii
import os
from collections.abc import Mapping

from msgspec import Struct

from server.core.settings import SettingsError

KEY_BYTES = 32


class KeyRing(Struct, frozen=True):
    current: str
    keys: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"KeyRing(current={self.current!r}, {len(self.keys)} keys)"


def read_ring(name: str, text: str) -> KeyRing:
    """Parse a ring. `name` is the setting that a SettingsError names."""
    keys: dict[str, bytes] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        kid, _, encoded = part.partition(":")
        keys[kid] = read_key(name, encoded)
    if not keys:
        raise SettingsError(f"{name} holds no key")
    return KeyRing(next(iter(keys)), keys)


def read_key(name: str, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise SettingsError(f"{name} is not base64") from None
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{name} needs keys of {KEY_BYTES} bytes")
    return key


def generate_keys() -> dict[str, str]:
    """Generate the secrets of a new installation, by environment variable."""
    return {
        "ZOUFANG_TOKEN_KEYS": f"t1:{_fresh()}",
        "ZOUFANG_RECEIPT_KEYS": f"r1:{_fresh()}",
        "ZOUFANG_AUDIT_KEYS": f"a1:{_fresh()}",
        "ZOUFANG_PII_KEYS": f"p1:{_fresh()}",
        "ZOUFANG_BLIND_INDEX_KEY": _fresh(),
    }


def _fresh() -> str:
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()
