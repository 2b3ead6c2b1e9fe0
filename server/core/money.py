"""Money as integer fen: formatting, and parsing of amounts that people typed.

Files from other offices contain “107、47万” and “42288、”. The parser returns the amount, warnings about how it read
the text, and the text itself; where two readings are equally likely it returns no amount. Nothing is corrected
silently.
"""

import re
import unicodedata
from fractions import Fraction
from typing import Literal

import msgspec

ParseWarning = Literal[
    "empty",
    "unreadable",  # letters, Chinese numerals, two signs, two points
    "mark_as_point",  # a 、 or 。 was read as a decimal point
    "unclear_mark",  # a 、 or 。 that may also separate thousands, or two numbers
    "trailing_mark",  # punctuation after the number was ignored
    "odd_grouping",  # commas that do not group three digits
    "inner_space",  # a space inside the number was ignored
    "approximate",  # 约, 多, 左右: not an exact amount
    "below_a_fen",  # a fraction of a fen
    "too_large",
]

LARGEST_FEN = 10**15
"""Ten trillion yuan, many times what the country spends on dibao in a year: a larger amount is a typing error."""

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
_MAX_LENGTH = 60


class ParsedAmount(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A parsed amount and the text that was `entered`, unchanged.

    `fen` is None where no reading is more likely than another. An amount with warnings must be checked by a person.
    """

    fen: int | None
    warnings: tuple[ParseWarning, ...]
    entered: str


def format_fen(amount_fen: int) -> str:
    """`¥1,234.56`; a minus sign precedes the currency sign."""
    yuan, fen = divmod(abs(amount_fen), 100)
    return f"{'-' if amount_fen < 0 else ''}¥{yuan:,}.{fen:02d}"


def format_yuan(amount_fen: int) -> str:
    """`1234.56`, for a column in yuan. The amount must not be negative."""
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def parse_amount(entered: str) -> ParsedAmount:
    """Parse an amount in yuan, in Arabic digits with or without 万, 亿 or 元. Never raises."""
    warnings: list[ParseWarning] = []
    try:
        fen = _parse(unicodedata.normalize("NFKC", entered).replace("−", "-").strip(), warnings)
    except _UnparsableError as error:
        warnings.append(error.warning)
        fen = None
    return ParsedAmount(fen=fen, warnings=tuple(dict.fromkeys(warnings)), entered=entered)


class _UnparsableError(Exception):
    def __init__(self, warning: ParseWarning) -> None:
        super().__init__(warning)
        self.warning: ParseWarning = warning


def _parse(text: str, warnings: list[ParseWarning]) -> int:
    match = _AMOUNT.fullmatch(text)
    if match is None or len(text) > _MAX_LENGTH or match["sign"].count("-") > 1:
        raise _UnparsableError("unreadable" if text else "empty")
    if any(match[group] for group in ("about", "more", "more_too", "about_too")):
        warnings.append("approximate")
    if match["after"].strip():
        warnings.append("trailing_mark")
    yuan = _parse_number(match["number"].strip(), warnings) * _UNITS[match["unit"] or ""]
    return _to_fen(-yuan if "-" in match["sign"] else yuan)


def _parse_number(text: str, warnings: list[ParseWarning]) -> Fraction:
    trimmed = text.rstrip("、。., ")
    if trimmed != text:
        warnings.append("trailing_mark")
    if re.search(r"\s", trimmed):
        warnings.append("inner_space")
    return Fraction(_ungroup(_replace_mark("".join(trimmed.split()), warnings)))


def _replace_mark(text: str, warnings: list[ParseWarning]) -> str:
    """Read a single 、 or 。 before one or two digits as a decimal point.

    Before three digits it may also separate thousands, and twice in a text it separates numbers.
    """
    whole, *rest = _MARK.split(text)
    if not rest:
        return text
    if len(rest) > 1 or "." in text or len(rest[0]) > _JIAO_AND_FEN:
        raise _UnparsableError("unclear_mark")
    warnings.append("mark_as_point")
    return f"{whole}.{rest[0]}"


def _ungroup(text: str) -> str:
    whole, point, fraction = text.partition(".")
    if "," in whole and not _GROUPED.fullmatch(whole):
        raise _UnparsableError("odd_grouping")
    plain = whole.replace(",", "") + point + fraction
    if not _PLAIN.fullmatch(plain):
        raise _UnparsableError("unreadable")
    return plain


def _to_fen(yuan: Fraction) -> int:
    fen = yuan * 100
    if abs(fen) > LARGEST_FEN:
        raise _UnparsableError("too_large")
    if fen.denominator != 1:
        raise _UnparsableError("below_a_fen")
    return int(fen)
