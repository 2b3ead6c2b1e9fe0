"""Which characters the font of printed papers has. One that it lacks would print as an empty box, without a warning.

Noto Sans SC covers 20,902 common and 6,582 rarer characters, and few of the planes beyond (𠮷, 𮧵 are not among them).
"""

import struct
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

# The package of the font; Typst gets the whole folder and takes the sans of it.
FOLDER = resources.files("pylopdf_fonts_zh_cn")
_FONT = "NotoSansSC-Regular.otf"
# Left to the fonts that Typst brings along: Latin, Greek, Cyrillic; punctuation, mathematics, arrows.
_OF_TYPST = (range(0x590), range(0x1E00, 0x2C00))
# Nothing is drawn for controls, formats and separators, nor for the selectors of a variant.
_UNDRAWN = {"Cc", "Cf", "Zs", "Zl", "Zp"}
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
# cmap subtables of a font file: the format that lists ranges of the whole of Unicode.
_SEGMENTED_COVERAGE = 12


def find_missing(text: str) -> str:
    """Return the characters of a text that the font lacks, each once."""
    return "".join(dict.fromkeys(character for character in text if not _is_printable(ord(character))))


def find_missing_in(facts: Any) -> str:
    """Return the characters that the font lacks, in all texts of a JSON value."""
    return find_missing("".join(_texts(facts)))


def spell_out_missing(facts: Any) -> Any:
    """Return a JSON value in whose texts a character that the font lacks is written as its number: 〔U+20BB7〕."""
    if isinstance(facts, str):
        return "".join(c if _is_printable(ord(c)) else f"〔U+{ord(c):04X}〕" for c in facts)
    if isinstance(facts, Mapping):
        return {key: spell_out_missing(value) for key, value in facts.items()}
    if isinstance(facts, Sequence):
        return [spell_out_missing(value) for value in facts]
    return facts


def _texts(facts: Any) -> Iterable[str]:
    if isinstance(facts, str):
        yield facts
    elif isinstance(facts, Mapping):
        for value in facts.values():
            yield from _texts(value)
    elif isinstance(facts, Sequence):
        for value in facts:
            yield from _texts(value)


def _is_printable(code: int) -> bool:
    if any(code in block for block in (*_OF_TYPST, *_SELECTORS)) or unicodedata.category(chr(code)) in _UNDRAWN:
        return True
    starts, ends = _load_ranges()
    position = bisect_right(starts, code) - 1
    return position >= 0 and code <= ends[position]


@cache
def _load_ranges() -> tuple[list[int], list[int]]:
    """Read the first and the last characters of the ranges that the font has (OpenType, table `cmap`)."""
    data = Path(str(FOLDER / _FONT)).read_bytes()
    (tables,) = struct.unpack_from(">4xH", data)
    offsets = dict(struct.unpack_from(">4s4xI4x", data, 12 + 16 * number) for number in range(tables))
    cmap = offsets[b"cmap"]
    (subtables,) = struct.unpack_from(">2xH", data, cmap)
    for number in range(subtables):
        start = cmap + struct.unpack_from(">4xI", data, cmap + 4 + 8 * number)[0]
        if struct.unpack_from(">H", data, start)[0] == _SEGMENTED_COVERAGE:
            (groups,) = struct.unpack_from(">12xI", data, start)
            ranges = [struct.unpack_from(">II", data, start + 16 + 12 * group) for group in range(groups)]
            return [first for first, _ in ranges], [last for _, last in ranges]
    raise ValueError(f"{_FONT} has no table of all characters")
