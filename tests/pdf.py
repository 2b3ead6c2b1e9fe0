"""What a reader of a printed sheet sees: the text of a PDF, from its glyphs and each font's own table of letters.

Enough of PDF for the sheets of this project (one byte stream an object, two bytes a glyph) and no more.
"""

import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj\b(.*?)\bendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_FONTS = re.compile(rb"/Font\s*<<(.*?)>>", re.DOTALL)
_FONT = re.compile(rb"/(f\d+)\s+[\d.]+\s+Tf")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def words(pdf: bytes) -> str:
    """All text in the order it was drawn, without any white space."""
    objects = {int(number): body for number, body in _OBJECT.findall(pdf)}
    letters = {name: _letters(objects, number) for name, number in _fonts(pdf)}
    pages = [content for body in objects.values() if b"BT" in (content := _content(body)) and b"TJ" in content]
    assert letters, "the sheet has no font"
    return "".join("".join(_read(page, letters)) for page in pages)


def _fonts(pdf: bytes) -> set[tuple[bytes, int]]:
    found = {pair for result in _FONTS.findall(pdf) for pair in re.findall(rb"/(f\d+)\s+(\d+) 0 R", result)}
    assert len({name for name, _ in found}) == len(found), "one name, two fonts: read the page's own table"
    return {(name, int(number)) for name, number in found}


def _letters(objects: dict[int, bytes], font: int) -> dict[int, str]:
    table = re.search(rb"/ToUnicode (\d+) 0 R", objects[font])
    assert table, "a font that says nothing of its letters"
    pairs = re.findall(rb"<([0-9A-Fa-f]{4})>\s*<([0-9A-Fa-f]+)>", _content(objects[int(table[1])]))
    return {int(glyph, 16): bytes.fromhex(text.decode()).decode("utf-16-be") for glyph, text in pairs}


def _content(body: bytes) -> bytes:
    stream = _STREAM.search(body)
    if stream is None or b"/FlateDecode" not in body:
        return b""
    return zlib.decompress(stream[1])


def _read(page: bytes, letters: dict[bytes, dict[int, str]]):
    font, place = b"", 0
    while place < len(page):
        if chosen := _FONT.match(page, place):
            font, place = chosen[1], chosen.end()
        elif page[place : place + 1] == b"(":
            end = _end_of_string(page, place)
            glyphs = _ESCAPE.sub(_unescape, page[place + 1 : end])
            for at in range(0, len(glyphs), 2):
                yield letters[font].get(int.from_bytes(glyphs[at : at + 2]), "").strip()
            place = end
        else:
            place += 1


def _end_of_string(page: bytes, start: int) -> int:
    """Parentheses stand in a string as they are where they are balanced."""
    depth, place = 0, start
    while True:
        item = page[place : place + 1]
        depth += {b"(": 1, b")": -1}.get(item, 0)
        if depth == 0:
            return place
        place += 2 if item == b"\\" else 1


def _unescape(found: re.Match[bytes]) -> bytes:
    if found[1].isdigit():
        return bytes([int(found[1], 8) & 255])
    return _LETTERS.get(found[1], found[1])
