"""Conditions in the short form of a workbook cell: `has_vehicle = 是 且 本行.age >= 16`.

The short form covers common comparisons and maps to exactly one JsonLogic rule; other conditions are written as
JSON in the same cell. Formatting uses the short form only if parsing it gives an identical condition.
"""

import json
import re
from typing import Any

MAX_CONDITION_LENGTH = 4000


class ConditionError(ValueError):
    """The text is neither a valid short form nor a JSON object."""


def parse_condition(text: str) -> dict[str, Any]:
    """Return the JsonLogic of a cell or raise ConditionError. `check_template` checks operators and names."""
    text = text.strip()
    if len(text) > MAX_CONDITION_LENGTH:
        raise ConditionError
    if text.startswith("{"):
        return _parse_json(text)
    for word, operator in (("且", "and"), ("或", "or")):
        parts = re.split(rf"\s+{word}\s+", text)
        if len(parts) > 1:
            return {operator: [_parse_clause(part) for part in parts]}
    return _parse_clause(text)


def format_condition(condition: dict[str, Any]) -> str:
    """Return the short form if it expresses the condition exactly, else JSON."""
    try:
        text = _format_condition(condition)
        if parse_condition(text) == condition and _to_json(parse_condition(text)) == _to_json(condition):
            return text
    except (ConditionError, KeyError, TypeError, ValueError):
        pass
    return _to_json(condition)


def _to_json(condition: Any) -> str:
    """Serialize; unlike ==, the text distinguishes true, 1 and 1.0."""
    return json.dumps(condition, ensure_ascii=False, separators=(",", ":"))


def _parse_json(text: str) -> dict[str, Any]:
    try:
        condition = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ConditionError from error
    if not isinstance(condition, dict):
        raise ConditionError
    return condition


def _refuse(name: str) -> None:
    raise ConditionError(name)


# -- the short form ------------------------------------------------------------------------------------------

_NAME = r"(?P<name>[A-Za-z_][\w.]*|本题|今天|远程走访|(?:本行|成员)\.\w+)"
_COMPARISON = re.compile(_NAME + r"\s*(?P<sign>!==|===|!=|==|>=|<=|<>|≠|≥|≤|=|>|<)\s*(?P<value>\S.*)", re.DOTALL)
_IN_LIST = re.compile(_NAME + r"\s+属于\s+(?P<values>\S.*)", re.DOTALL)
_HAS = re.compile(_NAME + r"\s+(?P<word>含|不含)\s+(?P<value>\S.*)", re.DOTALL)
_FILLED = re.compile(_NAME + r"\s+(?P<word>已填|未填)")

_SIGNS = {
    "=": "===", "==": "===", "===": "===",
    "!=": "!==", "!==": "!==", "<>": "!==", "≠": "!==",
    ">": ">", ">=": ">=", "≥": ">=", "<": "<", "<=": "<=", "≤": "<=",
}  # fmt: skip
_SPECIAL = {"本题": "value", "今天": "today", "远程走访": "visit.remote"}
_PREFIXES = {"本行.": "row.", "成员.": "member."}


def _parse_clause(text: str) -> dict[str, Any]:
    text = text.strip()
    if match := _FILLED.fullmatch(text):
        return {"!==" if match["word"] == "已填" else "===": [_variable(match["name"]), None]}
    if match := _IN_LIST.fullmatch(text):
        return {"in": [_variable(match["name"]), [_parse_value(part) for part in match["values"].split("|")]]}
    if match := _HAS.fullmatch(text):
        contains = {"in": [_parse_value(match["value"]), _variable(match["name"])]}
        return contains if match["word"] == "含" else {"!": contains}
    if match := _COMPARISON.fullmatch(text):
        return {_SIGNS[match["sign"]]: [_variable(match["name"]), _parse_value(match["value"])]}
    raise ConditionError


def _variable(name: str) -> dict[str, str]:
    if name in _SPECIAL:
        return {"var": _SPECIAL[name]}
    for chinese, path in _PREFIXES.items():
        if name.startswith(chinese):
            return {"var": path + name.removeprefix(chinese)}
    return {"var": name if "." in name else f"answers.{name}"}


_WHOLE = re.compile(r"-?\d{1,15}", re.ASCII)
_YUAN = re.compile(r"(-?\d{1,13})(?:\.(\d{1,2}))?\s*元", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def _parse_value(text: str) -> Any:
    text = text.strip()
    if text in {"是", "否"}:
        return text == "是"
    if text in _SPECIAL:
        return _variable(text)
    if text.startswith("@"):
        return _variable(text[1:])
    if match := _YUAN.fullmatch(text):
        fen = int(match[1]) * 100
        cents = int((match[2] or "").ljust(2, "0"))
        return fen - cents if text.startswith("-") else fen + cents
    if _WHOLE.fullmatch(text):
        return int(text)
    if _PLAIN.fullmatch(text):
        return text
    raise ConditionError


def _format_condition(condition: dict[str, Any]) -> str:
    ((operator, args),) = condition.items()
    if operator in {"and", "or"}:
        return (" 且 " if operator == "and" else " 或 ").join(_format_clause(part) for part in args)
    return _format_clause(condition)


def _format_clause(condition: dict[str, Any]) -> str:
    if set(condition) == {"!"}:
        needle, haystack = condition["!"]["in"]
        return f"{_format_name(haystack)} 不含 {_format_value(needle)}"
    ((operator, (left, right)),) = condition.items()
    if operator == "in" and isinstance(right, list):
        return f"{_format_name(left)} 属于 {'|'.join(_format_value(value) for value in right)}"
    if operator == "in":
        return f"{_format_name(right)} 含 {_format_value(left)}"
    if right is None:
        return f"{_format_name(left)} {'已填' if operator == '!==' else '未填'}"
    sign = {"===": "=", "!==": "!="}.get(operator, operator)
    return f"{_format_name(left)} {sign} {_format_value(right)}"


def _format_name(variable: dict[str, str]) -> str:
    path = variable["var"]
    for chinese, special in _SPECIAL.items():
        if path == special:
            return chinese
    for chinese, prefix in _PREFIXES.items():
        if path.startswith(prefix):
            return chinese + path.removeprefix(prefix)
    return path.removeprefix("answers.") if path.count(".") == 1 else path


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, dict):
        name = _format_name(value)
        return name if name in _SPECIAL else "@" + name
    return str(value)
