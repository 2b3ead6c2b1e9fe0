"""Conditions as an office clerk writes them in a cell: `has_vehicle = 是 且 本行.age >= 16`.

The short form covers the everyday comparisons and stands for exactly one JsonLogic rule; anything else is
written as JsonLogic in JSON, in the same cell. Writing chooses the short form only when reading it back gives
the very same rule.
"""

import json
import re
from typing import Any

MAX_CONDITION_LENGTH = 4000


class ConditionError(ValueError):
    """The text is neither the short form nor a JSON object."""


def parse_condition(text: str) -> dict[str, Any]:
    """The JsonLogic of a cell; raises ConditionError. Operators and names are checked by the template."""
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


def format_condition(rule: dict[str, Any]) -> str:
    """The short form where it says the whole rule, else JSON."""
    try:
        text = _format_rule(rule)
        if parse_condition(text) == rule and _spelled(parse_condition(text)) == _spelled(rule):
            return text
    except (ConditionError, KeyError, TypeError, ValueError):
        pass
    return _spelled(rule)


def _spelled(rule: Any) -> str:
    """Tells true from 1 and 1 from 1.0, which Python's == does not."""
    return json.dumps(rule, ensure_ascii=False, separators=(",", ":"))


def _parse_json(text: str) -> dict[str, Any]:
    try:
        rule = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ConditionError from error
    if not isinstance(rule, dict):
        raise ConditionError
    return rule


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
    if found := _FILLED.fullmatch(text):
        return {"!==" if found["word"] == "已填" else "===": [_variable(found["name"]), None]}
    if found := _IN_LIST.fullmatch(text):
        return {"in": [_variable(found["name"]), [_parse_value(part) for part in found["values"].split("|")]]}
    if found := _HAS.fullmatch(text):
        contains = {"in": [_parse_value(found["value"]), _variable(found["name"])]}
        return contains if found["word"] == "含" else {"!": contains}
    if found := _COMPARISON.fullmatch(text):
        return {_SIGNS[found["sign"]]: [_variable(found["name"]), _parse_value(found["value"])]}
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
    if found := _YUAN.fullmatch(text):
        fen = int(found[1]) * 100
        cents = int((found[2] or "").ljust(2, "0"))
        return fen - cents if text.startswith("-") else fen + cents
    if _WHOLE.fullmatch(text):
        return int(text)
    if _PLAIN.fullmatch(text):
        return text
    raise ConditionError


def _format_rule(rule: dict[str, Any]) -> str:
    ((operator, args),) = rule.items()
    if operator in {"and", "or"}:
        return (" 且 " if operator == "and" else " 或 ").join(_format_clause(part) for part in args)
    return _format_clause(rule)


def _format_clause(rule: dict[str, Any]) -> str:
    if set(rule) == {"!"}:
        needle, haystack = rule["!"]["in"]
        return f"{_format_name(haystack)} 不含 {_format_value(needle)}"
    ((operator, (left, right)),) = rule.items()
    if operator == "in" and isinstance(right, list):
        return f"{_format_name(left)} 属于 {'|'.join(_format_value(item) for item in right)}"
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
