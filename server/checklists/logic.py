"""Conditions of a checklist: the subset of JsonLogic on which the server and all clients agree.

Phones evaluate with json-logic-js, the server again with panzi's `json_logic`. The libraries differ in many corner
cases (`true === 1`, null in sums, the empty string as a number, missing third arguments), so only the operators below
are allowed, with JavaScript's semantics. Both sides run tests/checklists/logic_table.json, which was verified with
json-logic-js 2.0.5.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from json_logic.apply import apply

MAX_CONDITION_NODES = 80
MAX_CONDITION_DEPTH = 12
MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that JavaScript represents exactly."""

_MAX_ARGUMENTS = 20
OPERATOR_ARGUMENTS: dict[str, tuple[int, int]] = {
    "var": (1, 1),
    "===": (2, 2),
    "!==": (2, 2),
    "<": (2, 2),
    "<=": (2, 2),
    ">": (2, 2),
    ">=": (2, 2),
    "!": (1, 1),
    "!!": (1, 1),
    "and": (1, _MAX_ARGUMENTS),
    "or": (1, _MAX_ARGUMENTS),
    "if": (3, _MAX_ARGUMENTS),
    "in": (2, 2),
    "+": (1, _MAX_ARGUMENTS),
    "-": (2, 2),
    "*": (2, _MAX_ARGUMENTS),
    "filter": (2, 2),
    "map": (2, 2),
    "all": (2, 2),
    "some": (2, 2),
    "none": (2, 2),
    "reduce": (3, 3),
}
"""Allowed operators, with the minimum and maximum number of their arguments."""

LIST_OPERATORS = frozenset({"filter", "map", "all", "some", "none", "reduce"})


class VariableScope(msgspec.Struct, frozen=True):
    """Variables that a condition may use.

    `lists` maps the path of a list to the fields of its items (empty if the items are plain values).
    `later` are paths of questions that come after the condition.
    """

    scalars: frozenset[str]
    lists: Mapping[str, frozenset[str]]
    later: frozenset[str] = frozenset()
    allows_lists: bool = True


ConditionFault = tuple[str, dict[str, Any]]
"""Code and params of a fault in a condition."""


def evaluate(condition: Any, data: Mapping[str, Any]) -> Any:
    """Return the value of a condition that passed `check_condition`; never raises, whatever the data are."""
    return apply(condition, dict(data), _OPERATIONS)


def is_true(condition: Any, data: Mapping[str, Any]) -> bool:
    """Whether the condition is truthy in JsonLogic: null, 0, NaN, "" and [] are false."""
    return _truth(evaluate(condition, data))


def check_condition(condition: Any, scope: VariableScope) -> list[ConditionFault]:
    """Return all faults of a condition: size, operators, arguments and variables."""
    if not isinstance(condition, dict) or len(condition) != 1:
        return [("logic.not_a_rule", {})]
    if count_nodes(condition) > MAX_CONDITION_NODES or not _is_shallow(condition, MAX_CONDITION_DEPTH):
        return [("logic.too_large", {})]
    return list(_check_part(condition, scope))


def count_nodes(condition: Any) -> int:
    """Count the values in a condition; stop soon after the limit."""
    stack, seen = [condition], 0
    while stack and seen <= MAX_CONDITION_NODES:
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


def _check_part(part: Any, scope: VariableScope) -> Iterator[ConditionFault]:
    if isinstance(part, list):
        for item in part:
            yield from _check_part(item, scope)
    elif isinstance(part, dict):
        yield from _check_operation(part, scope)
    elif isinstance(part, int | float) and not abs(part) <= MAX_SAFE_INTEGER:
        yield "logic.not_a_rule", {}


def _check_operation(part: dict[str, Any], scope: VariableScope) -> Iterator[ConditionFault]:
    if len(part) != 1:
        yield "logic.not_a_rule", {}
        return
    ((operator, value),) = part.items()
    args = value if isinstance(value, list) else [value]
    if operator not in OPERATOR_ARGUMENTS:
        yield "logic.unknown_operator", {"operator": operator, "allowed": " ".join(OPERATOR_ARGUMENTS)}
        return
    minimum, maximum = OPERATOR_ARGUMENTS[operator]
    if not minimum <= len(args) <= maximum or (operator == "if" and len(args) % 2 == 0):
        yield "logic.bad_arguments", {"operator": operator}
    elif operator == "var":
        yield from _check_variable(args[0], scope)
    elif operator in LIST_OPERATORS:
        yield from _check_list_operator(operator, args, scope)
    else:
        yield from _check_part(args, scope)


def _check_variable(name: Any, scope: VariableScope) -> Iterator[ConditionFault]:
    if not isinstance(name, str):
        yield "logic.bad_arguments", {"operator": "var"}
    elif name in scope.later or name.removesuffix(".length") in scope.later:
        yield "logic.forward_reference", {"name": name}
    elif not (name in scope.scalars or name in scope.lists or name.removesuffix(".length") in scope.lists):
        yield "logic.unknown_variable", {"name": name}


def _check_list_operator(operator: str, args: list[Any], scope: VariableScope) -> Iterator[ConditionFault]:
    """Check an operator over a list: the list must be a variable, and inside only the item's fields are in scope."""
    if not scope.allows_lists:
        yield "logic.list_not_allowed", {}
        return
    source = args[0]
    name = source.get("var") if isinstance(source, dict) and len(source) == 1 else None
    if isinstance(source, dict) and set(source) == {"filter"}:
        yield from _check_part(source, scope)
        name = _filtered_list(source)
    elif not isinstance(name, str):
        yield "logic.bad_arguments", {"operator": operator}
        return
    if name in scope.later:
        yield "logic.forward_reference", {"name": name}
        return
    if name not in scope.lists:
        yield "logic.not_a_list", {"name": name}
        return
    yield from _check_part(args[1], _item_scope(operator, scope.lists[name]))
    if operator == "reduce" and (isinstance(args[2], bool) or not isinstance(args[2], int | float)):
        yield "logic.bad_arguments", {"operator": operator}


def _filtered_list(part: Any) -> Any:
    args = part["filter"]
    first = args[0] if isinstance(args, list) and args else None
    return first.get("var") if isinstance(first, dict) else None


def _item_scope(operator: str, fields: frozenset[str]) -> VariableScope:
    if operator == "reduce":
        current = {f"current.{field}" for field in fields}
        return VariableScope(frozenset(current | {"current", "accumulator"}), {}, allows_lists=False)
    return VariableScope(fields | {""}, {}, allows_lists=False)


# -- operators with JavaScript's semantics ------------------------------------------------------------------


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
    """JavaScript's `===`: true is not 1, and a list equals only itself."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return a == b
    return a == b if isinstance(a, str) and isinstance(b, str) else a is b


def _truth(value: Any) -> bool:
    return True if isinstance(value, dict) else bool(value) and value == value  # noqa: PLR0124 - NaN is false


def _compare(a: Any, b: Any) -> float:
    """Return a negative number, zero or a positive one, or NaN if JavaScript can't order the values."""
    if isinstance(a, str | list | dict) and isinstance(b, str | list | dict):
        left, right = _utf16(_text(a)), _utf16(_text(b))
        return (left > right) - (left < right)
    left_number, right_number = _number(a), _number(b)
    if math.isnan(left_number) or math.isnan(right_number):
        return math.nan
    return (left_number > right_number) - (left_number < right_number)


def _utf16(text: str) -> bytes:
    # JavaScript compares UTF-16 units, Python code points; they differ above U+FFFF.
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
    match = _NUMBER.match(_text(value).lstrip(_JS_SPACE))
    return float(match[0]) if match else math.nan


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
