"""Identity and card numbers in free text: addresses, notes and reasons are stored in clear, such numbers are not."""

import re
from collections.abc import Iterator

from server.core.id_numbers import check_id, luhn_ok
from server.core.normalise import normalise_id

_ID_LENGTH = 18
_CARD_LENGTHS = range(16, 20)
_GROUP = 4
# What people and clipboards put between digits: spaces, dashes and dots, and signs that nobody sees.
_UNSEEN = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
_SEEN = r"\s\-.\u00b7\u2010-\u2015\u2022\u2212\u30fb\uff0d\uff0e"
_GAP = f"[{_UNSEEN}{_SEEN}]{{0,3}}"
# Digits of any script that NFKC makes 0–9. Letters before or behind make it a hash or an id of ours.
_CANDIDATE = re.compile(rf"(?<![0-9A-Za-z])\d(?:{_GAP}\d){{15,}}(?:{_GAP}[XxＸｘ])?")
_PART = re.compile(rf"(?:[\dXxＸｘ][{_UNSEEN}]*)+")
_WORD = re.compile(r"[0-9A-Za-z]")


def holds_number(text: str) -> bool:
    """Tell whether a text holds an identity number, or a bank card number that passes the Luhn check."""
    return any(True for _ in _find(text))


def mask_numbers(text: str) -> str:
    """Replace each digit of such a number by `*`. Masking again changes nothing."""
    for start, end in reversed(list(_find(text))):
        masked = re.sub(r"[\dXxＸｘ]", "*", text[start:end])
        text = text[:start] + masked + text[end:]
    return text


def _find(text: str) -> Iterator[tuple[int, int]]:
    if len(text) < min(_CARD_LENGTHS):
        return
    for candidate in _CANDIDATE.finditer(text):
        parts = [
            (candidate.start() + part.start(), candidate.start() + part.end(), normalise_id(_drop_unseen(part.group())))
            for part in _PART.finditer(candidate.group())
        ]
        if _WORD.match(text, candidate.end()):
            parts.pop()
        yield from _find_in(parts)


def _drop_unseen(text: str) -> str:
    return re.sub(f"[{_UNSEEN}]", "", text)


def _find_in(parts: list[tuple[int, int, str]]) -> Iterator[tuple[int, int]]:
    """Try each run of parts that stand beside each other, from the left, and go on behind a hit."""
    first = 0
    while first < len(parts):
        last = next((last for last in range(first, len(parts)) if _is_number(parts[first : last + 1])), None)
        if last is None:
            first += 1
        else:
            yield parts[first][0], parts[last][1]
            first = last + 1


def _is_number(parts: list[tuple[int, int, str]]) -> bool:
    digits = "".join(part for _, _, part in parts)
    if len(digits) == _ID_LENGTH and check_id(digits).problem is None:
        return True
    in_groups = len(parts) == 1 or (
        all(len(part) == _GROUP for _, _, part in parts[:-1]) and len(parts[-1][2]) <= _GROUP
    )
    return len(digits) in _CARD_LENGTHS and in_groups and digits[0] != "0" and luhn_ok(digits)
