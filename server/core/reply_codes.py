"""Codes with which whoever objected or complained reads the answer. They are printed once and stored as keyed hashes.

A code is short enough to be read aloud, so all of them can be tried against an unkeyed hash out of a dump.
"""

import hashlib

from server.core.encryption import Encryption
from server.core.normalise import bare_number

# Marks a keyed hash; unkeyed ones from before are the 32 bytes of SHA-256 alone.
_KEYED = b"\x01"
UNKEYED_LENGTH = hashlib.sha256().digest_size


def hash_reply_code(encryption: Encryption, code: str) -> bytes:
    return key_hash(encryption, _unkeyed(code))


def stored_hashes(encryption: Encryption, code: str) -> list[bytes]:
    """Return every form in which the code may be stored, also from before the hashes were keyed."""
    return [hash_reply_code(encryption, code), _unkeyed(code)]


def key_hash(encryption: Encryption, unkeyed: bytes) -> bytes:
    return _KEYED + encryption.index("reply_code", unkeyed.hex())


def _unkeyed(code: str) -> bytes:
    return hashlib.sha256(bare_number(code).encode()).digest()
