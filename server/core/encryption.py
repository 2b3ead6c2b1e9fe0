"""Encryption of numbers that identify a person (ID, phone, card), and the blind index that finds them.

AES-256-GCM, with the key's id in front of the value and the column's name as associated data: a value that was
moved to another column can't be decrypted. The index is an HMAC, so equal numbers match without being decrypted.
"""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.core.keys import KeyRing

NONCE_BYTES = 12


class Encryption:
    def __init__(self, ring: KeyRing, index_key: bytes) -> None:
        self._ring = ring
        self._index_key = index_key

    def seal(self, column: str, plain: str) -> bytes:
        """Encrypt `plain` for `column` (named `table.column`)."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = AESGCM(self._ring.keys[self._ring.current])
        sealed = cipher.encrypt(nonce, plain.encode(), column.encode())
        return self._ring.current.encode() + b":" + nonce + sealed

    def open(self, column: str, sealed: bytes) -> str:
        """Decrypt. Raise ValueError when the key is missing or the value was altered or moved."""
        kid, _, rest = sealed.partition(b":")
        key = self._ring.keys.get(kid.decode())
        if key is None:
            raise ValueError(f"no key {kid.decode()!r} for {column}")
        try:
            plain = AESGCM(key).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], column.encode())
        except InvalidTag:
            raise ValueError(f"{column} can't be decrypted: altered, moved, or another key") from None
        return plain.decode()

    def index(self, kind: str, plain: str) -> bytes:
        """Return the blind index of a number: equal for equal numbers of one kind; it reveals nothing else."""
        return hmac.digest(self._index_key, f"{kind}:{plain}".encode(), hashlib.sha256)
