"""Terms by which a search finds a person, a number or an address, wherever a word begins in them.

A term list is stored as a `tsvector`, whose GIN index answers `term:*`. Every suffix of a name, number or address is a
term, so that any part of it is the beginning of one. Names are spelled in pinyin, too: 张三丰 is found by 三丰,
`zhangsan`, `sanf`, `zsf` and `sf`.
"""

import functools
import os
from collections.abc import Iterable, Iterator

from server.core.normalise import bare_number, name_key

# Of a longer address its beginning is found.
MAX_ADDRESS = 48


def spell(name: str) -> list[tuple[str, ...]]:
    """Return the pinyin syllables of a name, without tones: the usual reading, then each other of one character.

    单 is `dan`, `chan` and `shan`. Characters without a reading are left out; letters stand for themselves.
    """
    readings = [reading for reading in map(_readings, name_key(name)) if reading]
    usual = tuple(reading[0] for reading in readings)
    others = [
        (*usual[:place], other, *usual[place + 1 :]) for place, reading in enumerate(readings) for other in reading[1:]
    ]
    return [usual, *others] if usual else []


def spell_for_search(name: str) -> str:
    """Return the spellings of a name as one text, for clients that search without the server: `zhangsan zs`."""
    spelled = spell(name)
    words = ["".join(syllables) for syllables in spelled] + ["".join(part[0] for part in item) for item in spelled]
    return " ".join(dict.fromkeys(words))


def list_name_terms(name: str) -> set[str]:
    terms = set(_suffixes(name_key(name)))
    for syllables in spell(name):
        for start in range(len(syllables)):
            rest = syllables[start:]
            terms |= {"".join(rest), "".join(syllable[0] for syllable in rest)}
    return terms


def list_number_terms(number: str) -> set[str]:
    return set(_suffixes(bare_number(number).lower()))


def list_address_terms(address: str) -> set[str]:
    return set(_suffixes(name_key(address)[:MAX_ADDRESS]))


def to_vector(terms: Iterable[str]) -> str:
    """Return the text form of a `tsvector`."""
    return " ".join(_quote(term) for term in sorted(terms) if term)


def to_query(word: str) -> str | None:
    """Return the text form of the `tsquery` that finds terms beginning with a word; None if nothing is left of it."""
    keys = {name_key(word), bare_number(word).lower()} - {""}
    return " | ".join(f"{_quote(key)}:*" for key in sorted(keys)) or None


def _quote(term: str) -> str:
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"


def _suffixes(text: str) -> Iterator[str]:
    return (text[start:] for start in range(len(text)))


@functools.lru_cache(maxsize=8192)
def _readings(character: str) -> tuple[str, ...]:
    if character.isascii():
        return (character,) if character.isalnum() else ()
    # Readings of whole phrases would take another 10 MB and are of no use for names.
    os.environ.setdefault("PYPINYIN_NO_PHRASES", "true")
    from pypinyin import Style, pinyin  # noqa: PLC0415  13 MB, loaded when a name is first written

    found = pinyin(character, style=Style.NORMAL, heteronym=True, errors="ignore", v_to_u=False)
    return tuple(dict.fromkeys(found[0])) if found else ()
