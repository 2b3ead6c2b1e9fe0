"""The conditions of a checklist: the part of JsonLogic on which the server and every client agree.

A phone decides with json-logic-js what to show; the server decides again with panzi's `json_logic`. The two
libraries differ in many corners (`true === 1`, null in sums, the empty string as a number, missing third
arguments), so only the operators below are allowed and their meaning here is JavaScript's. The table
tests/checklists/logic_table.json is run by both sides; it was verified with json-logic-js 2.0.5.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from json_logic.apply import apply

MAX_RULE_NODES = 80
MAX_RULE_DEPTH = 12
MAX_SAFE_INTEGER = 2**53 - 1
"""The largest whole number that JavaScript holds exactly."""

_MANY = 20
ARGUMENTS: dict[str, tuple[int, int]] = {
    "var": (1, 1),
    "===": (2, 2),
    "!==": (2, 2),
    "<": (2, 2),
    "<=": (2, 2),
    ">": (2, 2),
    ">=": (2, 2),
    "!": (1, 1),
    "!!": (1, 1),
    "and": (1, _MANY),
    "or": (1, _MANY),
    "if": (3, _MANY),
    "in": (2, 2),
    "+": (1, _MANY),
    "-": (2, 2),
    "*": (2, _MANY),
    "filter": (2, 2),
    "map": (2, 2),
    "all": (2, 2),
    "some": (2, 2),
    "none": (2, 2),
    "reduce": (3, 3),
}
"""Every operator a rule may use, with the least and the greatest number of its arguments."""

LIST_OPERATORS = frozenset({"filter", "map", "all", "some", "none", "reduce"})


class Names(msgspec.Struct, frozen=True):
    """What the variables of one rule may name.

    `lists` maps the path of a list to the fields of its items (none: the items are plain values).
    `later` are paths that exist but are answered only after the rule is needed.
    """

    scalars: frozenset[str]
    lists: Mapping[str, frozenset[str]]
    later: frozenset[str] = frozenset()
    may_walk_lists: bool = True


Finding = tuple[str, dict[str, Any]]
"""The code of a fault in a rule, and its params."""


def evaluate(rule: Any, data: Mapping[str, Any]) -> Any:
    """The value of a rule that passed `check_rule`; raises for no data whatever."""
    return apply(rule, dict(data), _OPERATIONS)


def is_true(rule: Any, data: Mapping[str, Any]) -> bool:
    """Whether the rule holds, by JsonLogic's truth: null, 0, NaN, "" and [] are false."""
    return _truth(evaluate(rule, data))


def check_rule(rule: Any, names: Names) -> list[Finding]:
    """Everything wrong with a rule: its size, operators, arguments and the variables it names."""
    if not isinstance(rule, dict) or len(rule) != 1:
        return [("logic.not_a_rule", {})]
    if count_nodes(rule) > MAX_RULE_NODES or not _is_shallow(rule, MAX_RULE_DEPTH):
        return [("logic.too_large", {})]
    return list(_check_part(rule, names))


def count_nodes(rule: Any) -> int:
    """How many values a rule is made of; stops counting soon after the limit, however large the rule."""
    stack, seen = [rule], 0
    while stack and seen <= MAX_RULE_NODES:
        part = stack.pop()
        seen += 1
        if isinstance(part, dict):
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)
    return seen


def _is_shallow(part: Any, depth: int) -> bool:
    if depth == 0:
        return False
    if isinstance(part, dict):
        return all(_is_shallow(inner, depth - 1) for inner in part.values())
    if isinstance(part, list):
        return all(_is_shallow(inner, depth - 1) for inner in part)
    return True


def _check_part(part: Any, names: Names) -> Iterator[Finding]:
    if isinstance(part, list):
        for item in part:
            yield from _check_part(item, names)
    elif isinstance(part, dict):
        yield from _check_operation(part, names)
    elif isinstance(part, int | float) and not abs(part) <= MAX_SAFE_INTEGER:
        yield "logic.not_a_rule", {}


def _check_operation(part: dict[str, Any], names: Names) -> Iterator[Finding]:
    if len(part) != 1:
        yield "logic.not_a_rule", {}
        return
    ((operator, given),) = part.items()
    args = given if isinstance(given, list) else [given]
    if operator not in ARGUMENTS:
        yield "logic.unknown_operator", {"operator": operator, "allowed": " ".join(ARGUMENTS)}
        return
    least, most = ARGUMENTS[operator]
    if not least <= len(args) <= most or (operator == "if" and len(args) % 2 == 0):
        yield "logic.bad_arguments", {"operator": operator}
    elif operator == "var":
        yield from _check_variable(args[0], names)
    elif operator in LIST_OPERATORS:
        yield from _check_walk(operator, args, names)
    else:
        yield from _check_part(args, names)


def _check_variable(name: Any, names: Names) -> Iterator[Finding]:
    if not isinstance(name, str):
        yield "logic.bad_arguments", {"operator": "var"}
    elif name in names.later or name.removesuffix(".length") in names.later:
        yield "logic.forward_reference", {"name": name}
    elif not (name in names.scalars or name in names.lists or name.removesuffix(".length") in names.lists):
        yield "logic.unknown_variable", {"name": name}


def _check_walk(operator: str, args: list[Any], names: Names) -> Iterator[Finding]:
    """A walk goes over a list named by a variable, and inside it only the item's own fields have names."""
    if not names.may_walk_lists:
        yield "logic.list_not_allowed", {}
        return
    source = args[0]
    name = source.get("var") if isinstance(source, dict) and len(source) == 1 else None
    if isinstance(source, dict) and set(source) == {"filter"}:
        yield from _check_part(source, names)
        name = _filtered_name(source)
    elif not isinstance(name, str):
        yield "logic.bad_arguments", {"operator": operator}
        return
    if name in names.later:
        yield "logic.forward_reference", {"name": name}
        return
    if name not in names.lists:
        yield "logic.not_a_list", {"name": name}
        return
    yield from _check_part(args[1], _names_inside(operator, names.lists[name]))
    if operator == "reduce" and (isinstance(args[2], bool) or not isinstance(args[2], int | float)):
        yield "logic.bad_arguments", {"operator": operator}


def _filtered_name(part: Any) -> Any:
    args = part["filter"]
    first = args[0] if isinstance(args, list) and args else None
    return first.get("var") if isinstance(first, dict) else None


def _names_inside(operator: str, fields: frozenset[str]) -> Names:
    if operator == "reduce":
        current = {f"current.{field}" for field in fields}
        return Names(frozenset(current | {"current", "accumulator"}), {}, may_walk_lists=False)
    return Names(fields | {""}, {}, may_walk_lists=False)


# -- the operators, with JavaScript's meaning ---------------------------------------------------------------


def _var(data: Any, name: Any = "", *_: Any) -> Any:
    if name == "":
        return data
    for part in str(name).split("."):
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and part == "length":
            data = len(data)
        else:
            return None
    return data


def _same(a: Any, b: Any) -> bool:
    """JavaScript's `===`: true is not 1, and a list equals nothing but itself."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b
    return a == b if isinstance(a, str) and isinstance(b, str) else a is b


def _truth(value: Any) -> bool:
    return True if isinstance(value, dict) else bool(value) and value == value  # noqa: PLR0124 - NaN is false


def _compare(a: Any, b: Any) -> float:
    """Negative, zero or positive, or NaN when JavaScript finds no order."""
    if isinstance(a, str | list | dict) and isinstance(b, str | list | dict):
        left, right = _utf16(_text(a)), _utf16(_text(b))
        return (left > right) - (left < right)
    left_number, right_number = _number(a), _number(b)
    if math.isnan(left_number) or math.isnan(right_number):
        return math.nan
    return (left_number > right_number) - (left_number < right_number)


def _utf16(text: str) -> bytes:
    # JavaScript orders by UTF-16 unit, Python by code point: they differ beyond U+FFFF.
    return text.encode("utf-16-be", "surrogatepass")


def _number(value: Any) -> float:
    """JavaScript's Number(), which `-` and the comparisons use: null and "" are 0."""
    if value is None:
        return 0.0
    if isinstance(value, int | float):
        return _float(value)
    text = _text(value).strip(_JS_SPACE)
    if not text:
        return 0.0
    if _PREFIXED.fullmatch(text):
        return _float(int(text, 0))
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def _leading_number(value: Any) -> float:
    """JavaScript's parseFloat(), which `+` and `*` use: null and "" are not a number, "3元" is 3."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _float(value)
    found = _NUMBER.match(_text(value).lstrip(_JS_SPACE))
    return float(found[0]) if found else math.nan


_JS_SPACE = (
    "\t\n\v\f\r \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_PREFIXED = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")
_NUMBER = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return ",".join("" if item is None else _text(item) for item in value)
    if isinstance(value, dict):
        return "[object Object]"
    if not math.isfinite(_float(value)):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(_float(value))]
    return str(int(value)) if value == value // 1 and abs(value) <= MAX_SAFE_INTEGER else repr(value)


def _add(_data: Any, *args: Any) -> float:
    total = 0.0
    for arg in args:
        total += _leading_number(arg)
    return total


def _multiply(_data: Any, *args: Any) -> float:
    return math.prod(_leading_number(arg) for arg in args)


def _contains(_data: Any, needle: Any = None, haystack: Any = None, *_: Any) -> bool:
    if isinstance(haystack, str):
        return haystack != "" and _text(needle) in haystack
    return isinstance(haystack, list) and any(_same(needle, item) for item in haystack)


_OPERATIONS: dict[str, Any] = {
    "var": _var,
    "===": lambda _, a, b: _same(a, b),
    "!==": lambda _, a, b: not _same(a, b),
    "<": lambda _, a, b: _compare(a, b) < 0,
    "<=": lambda _, a, b: _compare(a, b) <= 0,
    ">": lambda _, a, b: _compare(a, b) > 0,
    ">=": lambda _, a, b: _compare(a, b) >= 0,
    "!": lambda _, a: not _truth(a),
    "!!": lambda _, a: _truth(a),
    "in": _contains,
    "+": _add,
    "-": lambda _, a, b: _number(a) - _number(b),
    "*": _multiply,
}
