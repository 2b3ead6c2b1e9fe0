"""Money as integer fen, how it is shown, and how amounts that people typed by hand are read.

Reports come with “107、47万” and “42288、”: the reader says what it made of such a thing and what it
doubts, keeps what was entered, and gives no amount at all where two readings are equally likely. Nothing is
corrected silently.
"""

import re
import unicodedata
from fractions import Fraction
from typing import Literal

import msgspec

Doubt = Literal[
    "empty",
    "unreadable",  # letters, Chinese numerals, two signs, two points
    "mark_as_point",  # a 、 or 。 was read as a decimal point
    "unclear_mark",  # a 、 or 。 that may as well part thousands, or two numbers
    "trailing_mark",  # punctuation after the number was passed over
    "odd_grouping",  # commas that are not every three digits
    "inner_space",  # a gap inside the number was passed over
    "approximate",  # 约, 多, 左右: not an exact amount
    "below_a_fen",  # a fraction that no fen can hold
    "too_large",
]

LARGEST_FEN = 10**15
"""Ten trillion yuan, many times what the country spends on dibao in a year: more is a slip of the pen."""

_UNITS = {"": 1, "十": 10, "百": 100, "千": 10**3, "万": 10**4, "亿": 10**8}
_UNITS |= {"十万": 10**5, "百万": 10**6, "千万": 10**7}
_AMOUNT = re.compile(
    r"(?P<about>大约|约|近)?(?P<sign>-?(?:人民币|RMB|CNY|¥)?-?)\s*(?P<number>[0-9][0-9.,、。\s]*)"
    r"(?P<more>[多余])?(?P<unit>[十百千]万|[十百千万亿])?(?P<more_too>[多余])?\s*[元圆块]?整?"
    r"(?P<about_too>左右|上下)?(?P<after>[、。.,;:\s]*)",
    re.IGNORECASE,
)
_MARK = re.compile(r"[、。]")
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+")
_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_JIAO_AND_FEN = 2
_LONGEST = 60


class ParsedAmount(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """An amount as it was read; `entered` is kept letter for letter.

    `fen` is `None` where no reading is likelier than another. `fen` beside doubts needs a person's look.
    """

    fen: int | None
    doubts: tuple[Doubt, ...]
    entered: str


def format_fen(amount_fen: int) -> str:
    """`¥1,234.56`; the minus sign stands before the currency."""
    yuan, fen = divmod(abs(amount_fen), 100)
    return f"{'-' if amount_fen < 0 else ''}¥{yuan:,}.{fen:02d}"


def format_yuan(amount_fen: int) -> str:
    """`1234.56`, for a column whose heading says yuan; an amount that is paid is never below nothing."""
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def parse_amount(entered: str) -> ParsedAmount:
    """Read an amount in yuan, in Arabic digits with or without 万, 亿 or 元. Never raises."""
    doubts: list[Doubt] = []
    try:
        fen = _read(unicodedata.normalize("NFKC", entered).replace("−", "-").strip(), doubts)
    except _NoReadingError as no_reading:
        doubts.append(no_reading.doubt)
        fen = None
    return ParsedAmount(fen=fen, doubts=tuple(dict.fromkeys(doubts)), entered=entered)


class _NoReadingError(Exception):
    def __init__(self, doubt: Doubt) -> None:
        super().__init__(doubt)
        self.doubt: Doubt = doubt


def _read(text: str, doubts: list[Doubt]) -> int:
    match = _AMOUNT.fullmatch(text)
    if match is None or len(text) > _LONGEST or match["sign"].count("-") > 1:
        raise _NoReadingError("unreadable" if text else "empty")
    if any(match[word] for word in ("about", "more", "more_too", "about_too")):
        doubts.append("approximate")
    if match["after"].strip():
        doubts.append("trailing_mark")
    yuan = _number(match["number"].strip(), doubts) * _UNITS[match["unit"] or ""]
    return _to_fen(-yuan if "-" in match["sign"] else yuan)


def _number(text: str, doubts: list[Doubt]) -> Fraction:
    bare = text.rstrip("、。., ")
    if bare != text:
        doubts.append("trailing_mark")
    if re.search(r"\s", bare):
        doubts.append("inner_space")
    return Fraction(_ungroup(_with_point("".join(bare.split()), doubts)))


def _with_point(text: str, doubts: list[Doubt]) -> str:
    """One 、 before one or two digits is read as a point; before three it may as well part thousands, and
    twice in a number it parts numbers.
    """
    whole, *rest = _MARK.split(text)
    if not rest:
        return text
    if len(rest) > 1 or "." in text or len(rest[0]) > _JIAO_AND_FEN:
        raise _NoReadingError("unclear_mark")
    doubts.append("mark_as_point")
    return f"{whole}.{rest[0]}"


def _ungroup(text: str) -> str:
    whole, point, fraction = text.partition(".")
    if "," in whole and not _GROUPED.fullmatch(whole):
        raise _NoReadingError("odd_grouping")
    plain = whole.replace(",", "") + point + fraction
    if not _PLAIN.fullmatch(plain):
        raise _NoReadingError("unreadable")
    return plain


def _to_fen(yuan: Fraction) -> int:
    fen = yuan * 100
    if abs(fen) > LARGEST_FEN:
        raise _NoReadingError("too_large")
    if fen.denominator != 1:
        raise _NoReadingError("below_a_fen")
    return int(fen)
