"""Cut a pushed batch into rows before anything is validated, and mend text that no database takes.

msgspec refuses a whole body for half an emoji, for `NaN` or for brackets 5,000 deep in any of its rows. Then the rows
are cut apart on the bytes alone: what is wrong with a row stays its own, and the others go through.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from server.core.errors import Fault, Problem
from server.core.free_text import mask_numbers
from server.core.pointers import error_pointer

# No document of ours is deeper than 12; a checklist's answers end at 8.
MOST_NESTED = 64
LARGEST_INTEGER = 2**63

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)
_MEMBER = re.compile(rb'\s*("[^"\\]*(?:\\.[^"\\]*)*")\s*:', re.DOTALL)
_TEXT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
# Sixteen digits with little between them, or an escape that may stand for one. Most rows hold nothing like it.
_MAY_HOLD_NUMBER = re.compile(r'\d(?:[^\dA-Za-z"/:,]{0,3}\d){15}|\\u')
# In this order: a whole pair, half of one, NUL, and any other escape, so that `\\u0000` is read as text.
_ESCAPE = re.compile(
    r"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|(\\u0000)|\\.",
    re.DOTALL,
)


class UnreadRow(Struct, rename="camel"):
    """A `PushedRow` whose document nobody has read yet."""

    new_document_state: Raw
    # Not `Raw | None`: msgspec reads that as null alone.
    assumed_master_state: Raw = Raw(b"null")


def read_batch(body: bytes) -> list[UnreadRow]:
    """Raises `request.not_json` for a body that can't be cut into rows, `request.invalid` for what is no list."""
    with contextlib.suppress(msgspec.ValidationError, *_UNREADABLE):
        return msgspec.json.decode(body, type=list[UnreadRow])
    rows = _cut(body.removeprefix(b"\xef\xbb\xbf"), b"[", b"]")
    if rows is not None:
        return [_read_row(row) for row in rows]
    try:
        msgspec.json.decode(body, type=list[Raw])
    except msgspec.ValidationError as error:
        raise Problem("request.invalid", faults=[Fault(error_pointer(str(error)), "row.invalid", str(error))]) from None
    except _UNREADABLE:
        pass
    raise Problem("request.not_json")


def _read_row(row: bytes) -> UnreadRow:
    """A row without a document is a document of its own, which the schema will refuse."""
    with contextlib.suppress(msgspec.ValidationError, *_UNREADABLE):
        return msgspec.json.decode(row, type=UnreadRow)
    members = dict(_members(row))
    document = members.get("newDocumentState", row.strip())
    return UnreadRow(Raw(document), Raw(members.get("assumedMasterState", b"null")))


def _members(text: bytes) -> Iterator[tuple[str, bytes]]:
    for piece in _cut(text, b"{", b"}") or []:
        if key := _MEMBER.match(piece):
            with contextlib.suppress(*_UNREADABLE):
                yield msgspec.json.decode(mend_text(key.group(1)), type=str), piece[key.end() :].strip()


def _cut(text: bytes, opening: bytes, closing: bytes) -> list[bytes] | None:
    """Return what stands between the commas of a list or an object; None if it does not open and close as one."""
    text = text.strip()
    if not text.startswith(opening):
        return None
    pieces: list[bytes] = []
    depth, start = 0, 1
    for token in _TOKEN.finditer(text):
        sign = token.group()
        if sign in b"[{":
            depth += 1
        elif sign in b"]}":
            depth -= 1
            if depth == 0:
                if token.end() != len(text) or sign != closing:
                    return None
                pieces.append(text[start : token.start()])
        elif sign == b"," and depth == 1:
            pieces.append(text[start : token.start()])
            start = token.end()
    if depth != 0:
        return None
    return [] if len(pieces) == 1 and not pieces[0].strip() else pieces


def mask_body(body: bytes) -> bytes:
    """Mask identity and card numbers in the texts of a row, which is kept in clear. The same every time.

    A phone's row must not be lost, so it is masked where a desk's would be refused.
    """
    text = body.decode("utf-8", "replace")
    if not _MAY_HOLD_NUMBER.search(text):
        return body
    masked = _TEXT.sub(_mask_token, text)
    return body if masked == text else masked.encode()


def _mask_token(token: re.Match[str]) -> str:
    text = token.group()
    if "\\" not in text:
        return mask_numbers(text)
    try:
        plain = msgspec.json.decode(mend_text(text.encode()), type=str)
    except msgspec.DecodeError:
        return text
    return text if (masked := mask_numbers(plain)) == plain else msgspec.json.encode(masked).decode()


def mend_text(body: bytes) -> bytes:
    """Replace half an emoji and bytes that are no UTF-8 by U+FFFD, and leave U+0000 out. The same every time.

    A phone's keyboard or a cut at a fixed length leaves half an emoji; PostgreSQL takes neither it nor U+0000.
    """
    text = body.decode("utf-8", "replace").replace("\0", "")
    if "\\u" in text:
        text = _ESCAPE.sub(_mend_escape, text)
    return text.encode()


def _mend_escape(escape: re.Match[str]) -> str:
    if escape.group(2):
        return r"\ufffd"
    return "" if escape.group(3) else escape.group()


def is_bounded(value: Any) -> bool:
    """Tell whether a decoded value can be encoded again, here and elsewhere. Never recurses."""
    level = [value]
    for _ in range(MOST_NESTED):
        if any(isinstance(item, int) and abs(item) >= LARGEST_INTEGER for item in level):
            return False
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return True
    return False


def read_what_can_be(body: bytes) -> dict[str, Any]:
    """Return a row for showing it again, null for whatever in it can't be read; empty when it is no object."""
    shown = _shown(mend_text(body), 0)
    return shown if isinstance(shown, dict) else {}


def _shown(text: bytes, depth: int) -> Any:
    with contextlib.suppress(msgspec.ValidationError, *_UNREADABLE):
        value = msgspec.json.decode(text)
        if is_bounded(value):
            return value
    if depth == MOST_NESTED // 2:
        return None
    if text.startswith(b"{"):
        return {key: _shown(value, depth + 1) for key, value in _members(text)}
    rows = _cut(text, b"[", b"]")
    return None if rows is None else [_shown(row.strip(), depth + 1) for row in rows]


def fingerprint(body: bytes) -> str:
    """Return an id for a row that has none, the same when it is pushed again."""
    return hashlib.sha256(body.strip()).hexdigest()[:32]
