"""Events that WeChat pushes to us (消息推送): the signature, the encrypted mode (AES-256-CBC), the XML or JSON inside.

Only the encrypted mode is taken: in the plain one the signature covers the time and not the content, so that whoever
sees one event forges others. Protocol: docs/domain.md#wechat.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

# WeChat's clock and ours; a request that was overheard is of no use for longer.
LONGEST_AGE_S = 300
_KEY_BYTES = 32
_IV_BYTES = 16
_BLOCK = 32
# 16 random bytes and the length of the message.
_HEAD_BYTES = 20
# The largest event that WeChat sends has a few kilobytes; anybody may send us a body.
LARGEST_BODY = 64 * 1024
# An event is a list of entries of fields.
_DEEPEST = 6
_ENCRYPT = re.compile(r"<Encrypt>\s*(?:<!\[CDATA\[)?([A-Za-z0-9+/=]+)(?:\]\]>)?\s*</Encrypt>")
Event = dict[str, Any]


class _Sealed(msgspec.Struct):
    """An encrypted event in JSON: the other fields are not read."""

    sealed: str = msgspec.field(name="Encrypt")


class PushRefused(Exception):
    """Not signed by WeChat, too old, of another app, or unreadable."""


def sign(token: str, *parts: str) -> str:
    """Return WeChat's signature: SHA-1 over the token and the parts, sorted."""
    return hashlib.sha1("".join(sorted((token, *parts))).encode()).hexdigest()  # noqa: S324  WeChat's choice


def check_echo(token: str, query: Mapping[str, str], now: datetime) -> str:
    """Return the text with which the address is proven to be ours. Raises `PushRefused`."""
    _check_age(query, now)
    _check_signature(query.get("signature", ""), sign(token, query.get("timestamp", ""), query.get("nonce", "")))
    return query.get("echostr", "")


def read_event(token: str, key: str, app_id: str, query: Mapping[str, str], body: bytes, now: datetime) -> Event:
    """Return the event of a request. Raises `PushRefused`."""
    _check_age(query, now)
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    sealed = _find_sealed(_read_text(body))
    _check_signature(query.get("msg_signature", ""), sign(token, timestamp, nonce, sealed))
    return parse(decrypt(key, app_id, sealed))


def decrypt(key: str, app_id: str, sealed: str) -> bytes:
    """Return the message inside; the app id behind it must be ours."""
    aes = read_aes_key(key)
    try:
        cipher = Cipher(algorithms.AES256(aes), modes.CBC(aes[:_IV_BYTES])).decryptor()
        plain = cipher.update(base64.b64decode(sealed, validate=True)) + cipher.finalize()
    except (ValueError, binascii.Error):
        raise PushRefused("not readable") from None
    padding = plain[-1] if plain else 0
    if not 1 <= padding <= _BLOCK or len(plain) < _HEAD_BYTES + padding:
        raise PushRefused("not readable")
    content = plain[:-padding]
    end = _HEAD_BYTES + int.from_bytes(content[_IV_BYTES:_HEAD_BYTES])
    if not hmac.compare_digest(content[end:], app_id.encode()):
        raise PushRefused("of another app")
    return content[_HEAD_BYTES:end]


def encrypt(key: str, app_id: str, message: bytes) -> str:
    """Return the message as WeChat encrypts it; for the stub."""
    aes = read_aes_key(key)
    content = os.urandom(16) + len(message).to_bytes(4) + message + app_id.encode()
    padding = _BLOCK - len(content) % _BLOCK
    cipher = Cipher(algorithms.AES256(aes), modes.CBC(aes[:_IV_BYTES])).encryptor()
    return base64.b64encode(cipher.update(content + bytes([padding]) * padding) + cipher.finalize()).decode()


def read_aes_key(key: str) -> bytes:
    """Return the key of an EncodingAESKey, 43 characters of base64. Raises ValueError."""
    aes = base64.b64decode(f"{key}=")
    if len(aes) != _KEY_BYTES:
        raise ValueError("an EncodingAESKey has 43 characters")
    return aes


def parse(body: bytes) -> Event:
    """Return the fields of XML or JSON. Repeated elements become a list, and no entity or doctype is read."""
    text = _read_text(body)
    if _is_json(text):
        try:
            return msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise PushRefused("not readable") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise PushRefused("not readable")
    try:
        root = ET.fromstring(text)  # noqa: S314  no doctype, so that there is no entity to expand
    except ET.ParseError:
        raise PushRefused("not readable") from None
    fields = _fields(root, _DEEPEST)
    return fields if isinstance(fields, dict) else {}


def _read_text(body: bytes) -> str:
    """Return the text of a body of a reasonable size. In UTF-16, what is searched for would not be found."""
    if len(body) > LARGEST_BODY or b"\0" in body:
        raise PushRefused("not readable")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise PushRefused("not readable") from None


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")


def _find_sealed(text: str) -> str:
    """Return what is encrypted without building a tree: nobody has signed it yet."""
    try:
        if _is_json(text):
            return msgspec.json.decode(text, type=_Sealed).sealed
    except (msgspec.MsgspecError, RecursionError):
        raise PushRefused("not encrypted") from None
    found = _ENCRYPT.search(text)
    if found is None:
        raise PushRefused("not encrypted")
    return found[1]


def _fields(element: ET.Element, deepest: int) -> Any:
    if not len(element):
        return element.text or ""
    if not deepest:
        raise PushRefused("too deep")
    fields: Event = {}
    for child in element:
        value = _fields(child, deepest - 1)
        before = fields.get(child.tag)
        if isinstance(before, list):
            before.append(value)
        else:
            fields[child.tag] = value if before is None else [before, value]
    return fields


def _check_age(query: Mapping[str, str], now: datetime) -> None:
    timestamp = query.get("timestamp", "")
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11  # noqa: PLR2004  digits of seconds
    if not is_number or abs(now.timestamp() - int(timestamp)) > LONGEST_AGE_S:
        raise PushRefused("too old")


def _check_signature(given: str, right: str) -> None:
    if not hmac.compare_digest(given.encode(), right.encode()):
        raise PushRefused("not signed by WeChat")
