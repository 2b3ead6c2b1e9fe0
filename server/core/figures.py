"""Check the figures of a paper: whether its sums, products and quotients agree, as they are written there.

A statement is a line such as `165 + 2,861 = 3,026`, `594 ≥ 457 × 1.3`, `860 = (717 - 430) × 3 ± 1.5`, or a series such
as `36,960/85; 43,512/86; 42,288/43`, of which each part should be like the others. Numbers are read as amounts are,
with 万 and 亿 and the slips that people make. Everything is exact; nothing is corrected.
"""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Literal

import msgspec

from server.core.money import parse_amount

# `rounded`, `rounded_up` and `cut`: agrees to the last digit that is written, in that way.
FigureVerdict = Literal["agrees", "rounded", "rounded_up", "cut", "differs", "unreadable"]
_TOKEN = re.compile(r"\s*(?:(?P<number>[0-9][0-9,、.]*\s*[万亿]?)|(?P<sign>[-+*/()]))")
_RELATION = re.compile(r"=|≥|≤")
_SIGNS = str.maketrans(
    {"×": "*", "x": "*", "÷": "/", "−": "-", "–": "-", "（": "(", "）": ")", "＋": "+", "；": ";", "，": ","}
)
_UNITS = {"万": 10**4, "亿": 10**8}
# From which share of the others' average on a part of a series is odd.
_ODD = Fraction(1, 2)
_LEAST_OF_SERIES = 3
MOST_STATEMENTS = 500


class CheckedFigure(msgspec.Struct, rename="camel", frozen=True):
    """A statement and what becomes of it. `difference`: left less right. `odd`: parts of a series, from 1."""

    statement: str
    verdict: FigureVerdict
    left: str = ""
    right: str = ""
    difference: str = ""
    odd: list[int] = []


class _UnreadableError(Exception):
    pass


def check_figures(text: str) -> list[CheckedFigure]:
    """Check each line that is not empty. Never raises."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [_check(line) for line in lines[:MOST_STATEMENTS]]


def _check(statement: str) -> CheckedFigure:
    try:
        plain = statement.translate(_SIGNS)
        if ";" in plain:
            return _check_series(statement, plain.rstrip("; "))
        return _check_relation(statement, plain)
    except (_UnreadableError, ZeroDivisionError):
        return CheckedFigure(statement, "unreadable")


def _check_series(statement: str, plain: str) -> CheckedFigure:
    """Compare each part with the average of the others."""
    values = [_evaluate(part) for part in plain.split(";")]
    if len(values) < _LEAST_OF_SERIES:
        raise _UnreadableError
    odd = []
    for place, value in enumerate(values):
        others = (sum(values) - value) / (len(values) - 1)
        if abs(value - others) > abs(others) * _ODD:
            odd.append(place + 1)
    return CheckedFigure(statement, "differs" if odd else "agrees", odd=odd)


def _check_relation(statement: str, plain: str) -> CheckedFigure:
    relations = _RELATION.findall(plain)
    if len(relations) != 1:
        raise _UnreadableError
    before, after = _RELATION.split(plain)
    after, _, tolerance_text = after.partition("±")
    left, right = _evaluate(before), _evaluate(after)
    tolerance = _evaluate(tolerance_text) if tolerance_text else Fraction()
    verdict: FigureVerdict
    if relations[0] == "=":
        verdict = _compare(left, right, _find_step(after), tolerance)
        if verdict == "differs":
            verdict = _compare(right, left, _find_step(before), tolerance)
    else:
        verdict = "agrees" if (left >= right) == (relations[0] == "≥") or left == right else "differs"
    return CheckedFigure(statement, verdict, _show(left), _show(right), _show(left - right))


def _compare(computed: Fraction, written: Fraction, step: Fraction | None, tolerance: Fraction) -> FigureVerdict:
    """Compare with a figure as it is written. `step` is its last digit, None where it is computed itself."""
    if abs(computed - written) <= tolerance:
        return "agrees"
    if step is None:
        return "differs"
    steps = computed / step
    if floor(steps + Fraction(1, 2)) * step == written:
        return "rounded"
    if floor(steps) * step == written:
        return "cut"
    return "rounded_up" if ceil(steps) * step == written else "differs"


def _find_step(side: str) -> Fraction | None:
    """Return the value of the last digit of a side that is a single number."""
    match = _TOKEN.fullmatch(side.strip())
    if match is None or match["number"] is None:
        return None
    number = match["number"].strip()
    unit = _UNITS.get(number[-1], 1)
    _, point, decimals = number.rstrip("万亿 ").replace("、", ".").partition(".")
    return Fraction(unit, 10 ** len(decimals)) if point else Fraction(unit)


def _evaluate(text: str) -> Fraction:
    tokens = list(_tokenize(text))
    value, rest = _read_sum(tokens)
    if rest:
        raise _UnreadableError
    return value


def _tokenize(text: str) -> Iterator[str]:
    place = 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise _UnreadableError
        yield (match["number"] or match["sign"]).strip()
        place = match.end()


def _read_sum(tokens: Sequence[str]) -> tuple[Fraction, Sequence[str]]:
    value, tokens = _read_product(tokens)
    while tokens and tokens[0] in "+-":
        sign, (part, tokens) = tokens[0], _read_product(tokens[1:])
        value = value + part if sign == "+" else value - part
    return value, tokens


def _read_product(tokens: Sequence[str]) -> tuple[Fraction, Sequence[str]]:
    value, tokens = _read_factor(tokens)
    while tokens and tokens[0] in "*/":
        sign, (factor, tokens) = tokens[0], _read_factor(tokens[1:])
        value = value * factor if sign == "*" else value / factor
    return value, tokens


def _read_factor(tokens: Sequence[str]) -> tuple[Fraction, Sequence[str]]:
    if not tokens:
        raise _UnreadableError
    if tokens[0] == "-":
        value, rest = _read_factor(tokens[1:])
        return -value, rest
    if tokens[0] == "(":
        value, rest = _read_sum(tokens[1:])
        if not rest or rest[0] != ")":
            raise _UnreadableError
        return value, rest[1:]
    fen = parse_amount(tokens[0]).fen
    if fen is None:
        raise _UnreadableError
    return Fraction(fen, 100), tokens[1:]


def _show(value: Fraction) -> str:
    """Two decimals, half up, without zeros at the end."""
    hundredths = floor(abs(value) * 100 + Fraction(1, 2))
    text = f"{hundredths // 100:,}.{hundredths % 100:02d}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 and hundredths else text
