"""Files sealed to a public key in the format of age (age-encryption.org/v1), written and read as a stream.

Whoever holds the private key opens such a file with any program of that format, also without this one. A key is a line
`age1…` (private `AGE-SECRET-KEY-1…`), as `age-keygen` makes it: those programs read no other.
"""

import base64
import hashlib
import hmac
import io
import os
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"age-encryption.org/v1"
_CHUNK, _TAG = 64 * 1024, 16
_FILE_KEY_BYTES, _KEY_BYTES, _NONCE_BYTES = 16, 32, 16
# A line of a header; a file of another kind has no line break for long.
_LONGEST_LINE = 4096
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_LETTERS = 6


class AgeRefused(Exception):
    """The key or the file can't be used; the message says why."""


def read_public_key(text: bytes) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(_read_bech32(public_key_line(text), "age"))


def public_key_line(text: bytes) -> str:
    """Return the key in one spelling, without the comments of its file."""
    return _key_line(text, "age1")


def read_private_key(text: bytes) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(_read_bech32(_key_line(text, "age-secret-key-1"), "age-secret-key-"))


def _key_line(text: bytes, prefix: str) -> str:
    """Return the key of a key file, whose other lines are comments."""
    for line in text.decode(errors="replace").splitlines():
        word = line.strip()
        if word.lower().startswith(prefix) and word in {word.lower(), word.upper()}:
            return word.lower()
    raise AgeRefused(f"there is no key: a line {prefix}…")


def _read_bech32(word: str, prefix: str) -> bytes:
    """Return the 32 bytes of a Bech32 word (BIP 173, without its limit of length)."""
    letters = word[len(prefix) + 1 :]
    if word[: len(prefix) + 1] != f"{prefix}1" or not set(letters) <= set(_BECH32):
        raise AgeRefused("the key is misspelled")
    values = [_BECH32.index(letter) for letter in letters]
    expanded = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    if _bech32_checksum(expanded + values) != 1:
        raise AgeRefused("the key is misspelled: its check letters don't fit")
    bits = "".join(f"{value:05b}" for value in values[:-_CHECKSUM_LETTERS])
    key = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - len(bits) % 8, 8))
    if len(key) != _KEY_BYTES:
        raise AgeRefused("the key has another length")
    return key


def _bech32_checksum(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATOR):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum


class AgeWriter(io.RawIOBase):
    """Writes what it is given sealed into `target`. Only `finish` makes a whole file; without it none opens."""

    def __init__(self, target: IO[bytes], recipient: X25519PublicKey) -> None:
        self._target = target
        file_key, nonce = os.urandom(_FILE_KEY_BYTES), os.urandom(_NONCE_BYTES)
        target.write(_make_header(file_key, recipient) + nonce)
        self._cipher = ChaCha20Poly1305(_derive(file_key, nonce, b"payload"))
        self._waiting = bytearray()
        self._position = 0
        self._written = 0

    def tell(self) -> int:
        return self._written

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._waiting += content
        self._written += len(content)
        # The last chunk is marked, so a full one waits until another byte follows it.
        while len(self._waiting) > _CHUNK:
            self._write_chunk(bytes(self._waiting[:_CHUNK]), is_last=False)
            del self._waiting[:_CHUNK]
        return len(content)

    def finish(self) -> None:
        self._write_chunk(bytes(self._waiting), is_last=True)
        self._waiting.clear()

    def _write_chunk(self, chunk: bytes, *, is_last: bool) -> None:
        self._target.write(self._cipher.encrypt(_chunk_nonce(self._position, is_last=is_last), chunk, None))
        self._position += 1


class AgeReader(io.RawIOBase):
    """Reads a sealed file from `source`. Raises AgeRefused for another key, and for a file that was altered or cut."""

    def __init__(self, source: IO[bytes], identity: X25519PrivateKey) -> None:
        self._source = source
        file_key = _read_header(source, identity)
        self._cipher = ChaCha20Poly1305(_derive(file_key, source.read(_NONCE_BYTES), b"payload"))
        self._sealed = source.read(_CHUNK + _TAG)
        self._plain = b""
        self._position = 0
        self._is_done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._plain and not self._is_done:
            self._open_chunk()
        count = min(len(buffer), len(self._plain))
        buffer[:count], self._plain = self._plain[:count], self._plain[count:]
        return count

    def _open_chunk(self) -> None:
        following = self._source.read(_CHUNK + _TAG)
        nonce = _chunk_nonce(self._position, is_last=not following)
        try:
            self._plain = self._cipher.decrypt(nonce, self._sealed, None)
        except InvalidTag:
            raise AgeRefused("the file was altered, or its end is missing") from None
        self._sealed, self._is_done = following, not following
        self._position += 1


def _chunk_nonce(position: int, *, is_last: bool) -> bytes:
    return position.to_bytes(11) + bytes([is_last])


def _make_header(file_key: bytes, recipient: X25519PublicKey) -> bytes:
    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    wrapping = ChaCha20Poly1305(_wrapping_key(ephemeral.exchange(recipient), share, recipient))
    body = _encode(wrapping.encrypt(bytes(12), file_key, None))
    signed = b"%s\n-> X25519 %s\n%s\n---" % (_VERSION, _encode(share), body)
    return b"%s %s\n" % (signed, _encode(_sign(file_key, signed)))


def _read_header(source: IO[bytes], identity: X25519PrivateKey) -> bytes:
    """Return the key of the file, which the header holds sealed to one or several recipients."""
    if source.readline(_LONGEST_LINE) != _VERSION + b"\n":
        raise AgeRefused("that is no file of age-encryption.org/v1")
    signed, file_key = _VERSION + b"\n", None
    arguments: list[bytes] = []
    while (line := source.readline(_LONGEST_LINE)) and not line.startswith(b"---"):
        signed += line
        if line.startswith(b"-> "):
            arguments = line.split()[1:]
        elif file_key is None and arguments[:1] == [b"X25519"]:
            file_key = _unwrap(arguments, line, identity)
    if file_key is None:
        raise AgeRefused("another key opens this file")
    if not hmac.compare_digest(_encode(_sign(file_key, signed + b"---")), line[4:].strip()):
        raise AgeRefused("the head of the file was altered")
    return file_key


def _unwrap(arguments: list[bytes], body: bytes, identity: X25519PrivateKey) -> bytes | None:
    try:
        share = _decode(arguments[1])
        shared = identity.exchange(X25519PublicKey.from_public_bytes(share))
        wrapping = ChaCha20Poly1305(_wrapping_key(shared, share, identity.public_key()))
        return wrapping.decrypt(bytes(12), _decode(body.strip()), None)
    except (InvalidTag, ValueError, IndexError):
        return None


def _wrapping_key(shared: bytes, share: bytes, recipient: X25519PublicKey) -> bytes:
    return _derive(shared, share + recipient.public_bytes_raw(), _VERSION + b"/X25519")


def _derive(secret: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=salt, info=purpose).derive(secret)


def _sign(file_key: bytes, signed: bytes) -> bytes:
    return hmac.digest(_derive(file_key, b"", b"header"), signed, hashlib.sha256)


def _encode(value: bytes) -> bytes:
    return base64.b64encode(value).rstrip(b"=")


def _decode(value: bytes) -> bytes:
    return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
