"""The keys of an installation in one file, sealed to a public key or by a passphrase.

A backup without them can't be read, and with them everybody can read it: the file lies apart from the backup, and the
private key or passphrase that opens it with other people. X25519, HKDF and AES-256-GCM; for a passphrase scrypt.
"""

import base64
import hashlib
import os
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from server.core.keys import read_ring
from server.core.settings import Settings

FORMAT = "zoufang-keys/1"
# What can't be made anew: without these nothing sealed is read, no signature is checked, no session goes on.
KEY_SETTINGS = ("token_keys", "receipt_keys", "audit_keys", "pii_keys", "blind_index_key")
_RINGS = KEY_SETTINGS[:-1]
_KEY_BYTES, _NONCE_BYTES, _SALT_BYTES = 32, 12, 16
# 128 MiB and about half a second.
_SCRYPT: dict[str, int] = {"n": 2**17, "r": 8, "p": 1}
_SHORTEST_PASSPHRASE = 16


class KeysRefused(Exception):
    """The keys can't be sealed or opened; the message says why and holds none of them."""


def collect_keys(settings: Settings) -> dict[str, str]:
    return {name: getattr(settings, name) for name in KEY_SETTINGS}


def fingerprints(keys: dict[str, str]) -> dict[str, list[str]]:
    """Return a fingerprint of each key, by setting, by which a restore knows whether it has the right ones."""
    found = {
        name: [f"{kid}:{_digest(key)}" for kid, key in read_ring(name, keys[name]).keys.items()] for name in _RINGS
    }
    return found | {"blind_index_key": [_digest(base64.b64decode(keys["blind_index_key"]))]}


def _digest(key: bytes) -> str:
    # The keys are random, so a hash tells nothing of them.
    return hashlib.sha256(b"zoufang key fingerprint" + key).hexdigest()[:16]


def seal_to_public_key(keys: dict[str, str], pem: bytes) -> bytes:
    """Seal to an X25519 public key in PEM: `openssl genpkey -algorithm X25519`, `openssl pkey -pubout`."""
    try:
        public = load_pem_public_key(pem)
    except ValueError:
        public = None
    if not isinstance(public, X25519PublicKey):
        raise KeysRefused("that is no X25519 public key in PEM")
    ephemeral = X25519PrivateKey.generate()
    shown = ephemeral.public_key().public_bytes_raw()
    key = _derive(ephemeral.exchange(public), shown)
    return _seal(keys, key, {"to": "x25519", "ephemeral": _encode(shown)})


def seal_by_passphrase(keys: dict[str, str], passphrase: str) -> bytes:
    if len(passphrase) < _SHORTEST_PASSPHRASE:
        raise KeysRefused(f"the passphrase needs {_SHORTEST_PASSPHRASE} characters or more")
    salt = os.urandom(_SALT_BYTES)
    key = Scrypt(salt=salt, length=_KEY_BYTES, **_SCRYPT).derive(passphrase.encode())
    return _seal(keys, key, {"to": "passphrase", "salt": _encode(salt)})


def open_keys(sealed: bytes, *, private_key: bytes | None = None, passphrase: str | None = None) -> dict[str, str]:
    """Open the file with the private key in PEM or the passphrase, whichever it was sealed for."""
    try:
        content: dict[str, str] = msgspec.json.decode(sealed, type=dict[str, str])
        if content["format"] != FORMAT:
            raise KeysRefused(f"not a file of {FORMAT}")
        key = _find_key(content, private_key, passphrase)
        plain = AESGCM(key).decrypt(_decode(content["nonce"]), _decode(content["sealed"]), FORMAT.encode())
        return msgspec.json.decode(plain, type=dict[str, str])
    except (msgspec.MsgspecError, KeyError, ValueError):
        raise KeysRefused("the file of the keys can't be read") from None
    except InvalidTag:
        raise KeysRefused("another key or passphrase opens this file, or it was altered") from None


def _find_key(content: dict[str, str], private_key: bytes | None, passphrase: str | None) -> bytes:
    if content["to"] == "passphrase":
        if passphrase is None:
            raise KeysRefused("the file is sealed by a passphrase")
        return Scrypt(salt=_decode(content["salt"]), length=_KEY_BYTES, **_SCRYPT).derive(passphrase.encode())
    if private_key is None:
        raise KeysRefused("the file is sealed to a public key: give the private one")
    try:
        private: Any = load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, X25519PrivateKey):
        raise KeysRefused("that is no X25519 private key in PEM, or it is encrypted")
    shown = _decode(content["ephemeral"])
    return _derive(private.exchange(X25519PublicKey.from_public_bytes(shown)), shown)


def _derive(shared: bytes, ephemeral: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=ephemeral, info=FORMAT.encode()).derive(shared)


def _seal(keys: dict[str, str], key: bytes, header: dict[str, str]) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, msgspec.json.encode(keys), FORMAT.encode())
    content = {"format": FORMAT, **header, "nonce": _encode(nonce), "sealed": _encode(sealed)}
    return msgspec.json.format(msgspec.json.encode(content)) + b"\n"


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decode(value: str) -> bytes:
    return base64.b64decode(value, validate=True)
