"""Encryption of numbers and texts that identify a person, and the blind index that finds them.

AES-256-GCM, with the key's id in front of the value. Table, column and row are associated data: a value that was moved
to another column or another row can't be decrypted. The index is an HMAC, so equal numbers match without being
decrypted.

Values from before rows were bound are bound to their column alone. They are opened only by a process that is set to
read them (`ZOUFANG_UNBOUND_VALUES=read`), and `reseal` binds them: otherwise whoever can write to the database could
put back a value of that time.
"""

import hashlib
import hmac
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from server.core.errors import Problem
from server.core.keys import KeyRing
from server.core.log import log

NONCE_BYTES = 12
# The first byte of a value that is bound to its row; a key id never begins with it.
BOUND = b"\x02"


class Encryption:
    def __init__(self, ring: KeyRing, index_key: bytes, *, reads_unbound: bool = False) -> None:
        self._ring = ring
        self._index_key = index_key
        self._reads_unbound = reads_unbound

    def seal(self, column: str, row_id: UUID | str, plain: str) -> bytes:
        """Encrypt `plain` for `column` (named `table.column`, without `_sealed`) of the row with this primary key.

        The columns of a key of several are joined by a slash, in their order.
        """
        nonce = os.urandom(NONCE_BYTES)
        cipher = AESGCM(self._ring.keys[self._ring.current])
        sealed = cipher.encrypt(nonce, plain.encode(), _place(column, row_id))
        return BOUND + self._ring.current.encode() + b":" + nonce + sealed

    def open(self, column: str, row_id: UUID | str, sealed: bytes) -> str:
        """Decrypt. Raise `server.value_altered` when the key is missing or the value was altered or moved."""
        is_bound = sealed.startswith(BOUND)
        if not is_bound and not self._reads_unbound:
            raise _refuse(column, row_id, "bound to no row: run `python -m server reseal`, or it was put there")
        kid, _, rest = sealed.removeprefix(BOUND).partition(b":")
        key = self._ring.keys.get(kid.decode(errors="replace"))
        if key is None:
            raise _refuse(column, row_id, f"no key {kid.decode(errors='replace')!r}")
        place = _place(column, row_id) if is_bound else column.encode()
        try:
            plain = AESGCM(key).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], place)
        except (InvalidTag, ValueError):
            raise _refuse(column, row_id, "altered, moved, or sealed with another key") from None
        return plain.decode()

    def index(self, kind: str, plain: str) -> bytes:
        """Return the blind index of a number: equal for equal numbers of one kind; it reveals nothing else."""
        return hmac.digest(self._index_key, f"{kind}:{plain}".encode(), hashlib.sha256)


def _place(column: str, row_id: UUID | str) -> bytes:
    return f"{column}/{row_id}".encode()


def _refuse(column: str, row_id: UUID | str, why: str) -> Problem:
    log.error("value.refused", column=column, row=str(row_id), why=why)
    return Problem("server.value_altered")
