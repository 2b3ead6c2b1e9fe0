"""The one spelling of numbers and names, however people type, paste or import them.

A number from a chat, a PDF or a spreadsheet carries zero-width characters, direction marks, full-width digits,
dashes of any kind, apostrophes and spaces. Every way in uses these functions, so that the same number is found
whatever surrounds it. They repair the spelling only: whether a number is valid is checked elsewhere.
"""

import re
import unicodedata
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column


def _expand(*ranges: int | tuple[int, int]) -> str:
    return "".join(
        chr(code) for item in ranges for code in (range(item[0], item[1] + 1) if isinstance(item, tuple) else (item,))
    )


# Control and format characters, variation selectors, and letters without a glyph. Scanning all of Unicode for them
# would take a third of a second at each start.
INVISIBLE = _expand(
    (0x01, 0x08), (0x0E, 0x1B), (0x7F, 0x84), (0x86, 0x9F), 0xAD, 0x034F, 0x061C, (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), 0x2800, 0x3164, (0xFE00, 0xFE0F), 0xFEFF,
    0xFFA0, (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
SPACES = _expand(
    (0x09, 0x0D), (0x1C, 0x20), 0x85, 0xA0, 0x1680, (0x2000, 0x200A), (0x2028, 0x2029), 0x202F, 0x205F, 0x3000
)
# The category "dash", and the minus signs, bullets and lines that stand in for a hyphen.
DASHES = "-֊־᐀᠆‐‑‒–—―⸗⸚⸺⸻⹀⹝〜〰゠︱︲﹘﹣－𐵮𐺭˗⁃−─━ー"
QUOTES = "'\"`´ʹʻʼʽˈ‘’‚‛“”„‟′″‵‹›«»＇＂｀"
# The public registers write U+00B7 between the parts of a name; keyboards and fonts offer these instead.
MIDDLE_DOTS = "·.•‧∙⋅・･․。．｡﹒●∘◦⸱·᛫ꞏ⦁"
_DOT = "·"

_DROP_FROM_NUMBERS = dict.fromkeys(map(ord, "\0=" + INVISIBLE + SPACES + DASHES + QUOTES))
# Letters of other scripts and signs that look like the check character X.
_LOOKS_LIKE_X = str.maketrans(dict.fromkeys("×✕✖ХхΧχ", "X"))
_DROP_FROM_PHONES = _DROP_FROM_NUMBERS | dict.fromkeys(map(ord, "()/." + MIDDLE_DOTS))
_FOREIGN_PREFIX_OF_CHINA = re.compile(r"^(?:\+|00)?86(?=1[0-9]{10}$)")
# What two names may differ in and still be equal, as the two halves of `translate`.
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAME_FROM = MIDDLE_DOTS + _UPPER + INVISIBLE + SPACES
_NAME_TO = _DOT * len(MIDDLE_DOTS) + _UPPER.lower()
_NAME_TABLE = dict.fromkeys(map(ord, "\0" + INVISIBLE + SPACES)) | str.maketrans(_NAME_FROM[: len(_NAME_TO)], _NAME_TO)
_INVISIBLE_TABLE = dict.fromkeys(map(ord, "\0" + INVISIBLE))
_DOT_IN_A_NAME = re.compile(rf"(?<=[^\W\d_a-zA-Z])\s*[{re.escape(MIDDLE_DOTS)}]\s*(?=[^\W\d_a-zA-Z])")


def bare_number(entered: str) -> str:
    """Return an application, archive, complaint or objection number, or a code, without dashes, in upper case.

    Compare it with `bare(column)`: the stored spelling with dashes is the one that people read.
    """
    return _compose(entered, _DROP_FROM_NUMBERS).upper()


def bare(column: Any) -> ColumnElement[str]:
    """Return the SQL of a stored number without its dashes; the tables have an index on this expression."""
    return func.replace(column, literal_column("'-'"), literal_column("''"))


def normalise_id(entered: str) -> str:
    """Return the one spelling of an identity number, so that the blind index finds it however it was typed."""
    return bare_number(entered.translate(_LOOKS_LIKE_X))


def normalise_card(entered: str) -> str:
    """Return a card or passbook number without its groups."""
    return bare_number(entered)


def normalise_phone(entered: str) -> str:
    """Return a phone number without groups and brackets; a Chinese mobile number also without +86."""
    return _FOREIGN_PREFIX_OF_CHINA.sub("", _compose(entered, _DROP_FROM_PHONES))


def clean_name(entered: str) -> str:
    """Return a name as it is stored: no invisible characters, single spaces, and U+00B7 between its parts."""
    visible = " ".join(entered.translate(_INVISIBLE_TABLE).split())
    return _DOT_IN_A_NAME.sub(_DOT, visible)


def name_key(name: str) -> str:
    """Return what two spellings of one name have in common. For comparisons only, never stored or shown."""
    return unicodedata.normalize("NFKC", name).translate(_NAME_TABLE)


def sql_name_key(column: Any) -> ColumnElement[str]:
    """Return the SQL of `name_key` for a column."""
    composed: Any = func.normalize(column, literal_column("NFKC"))
    return func.translate(composed, _NAME_FROM, _NAME_TO)


def same_name(column: Any, name: Any) -> ColumnElement[bool]:
    """Match a name, or the name in another column, apart from spaces, case, middle dots and invisible characters."""
    return sql_name_key(column) == (name_key(name) if isinstance(name, str) else sql_name_key(name))


def _compose(entered: str, dropped: dict[int, None]) -> str:
    """Drop the characters before and after NFKC, which turns some quotes into a combining accent."""
    return unicodedata.normalize("NFKC", entered.translate(dropped)).translate(dropped)
