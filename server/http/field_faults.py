"""What is wrong with a field, in the caller's language and by the field's name on the wire.

The validator writes English for programmers. Whoever reads Chinese gets the same in Chinese.
"""

import re
from collections.abc import Sequence
from typing import Any

from litestar import Request
from litestar.params import ParameterKwarg

from server.core.errors import Fault, Language

_SENTENCES_ZH: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (r"missing required field `(.+)`", "缺少“{}”"),
        (r"Missing required", "没有填写"),
        (r"unknown field `(.+)`", "没有“{}”这一项"),
        (r"got `null`", "没有填写"),
        (r"Expected `(?:str|bytes)` of length <= (\d+)", "最多 {} 个字"),
        (r"Expected `(?:str|bytes)` of length >= (\d+)", "至少 {} 个字"),
        (r"Expected `(?:array|object)` of length <= (\d+)", "最多 {} 项"),
        (r"Expected `(?:array|object)` of (?:length >=|at least length) (\d+)", "至少 {} 项"),
        (r"Expected `(?:int|float|decimal)` <= (\S+)", "不能大于 {}"),
        (r"Expected `(?:int|float|decimal)` >= (\S+)", "不能小于 {}"),
        (r"Expected `(?:int|float|decimal)` < (\S+)", "要小于 {}"),
        (r"Expected `(?:int|float|decimal)` > (\S+)", "要大于 {}"),
        (r"out of range", "超出允许范围"),
        (r"Invalid enum value '?(.*?)'?$", "“{}”不在可选的范围内"),
        (r"matching regex|Invalid UUID|Invalid base64|Invalid decimal", "格式不对"),
        (r"`(?:date|datetime)`|RFC ?3339|ISO ?8601|timezone", "不是正确的日期或时间"),
        (r"Expected `int`", "要填整数"),
        (r"Expected `(?:float|decimal)`", "要填数字"),
        (r"Expected `bool`", "只能填 true 或 false"),
        (r"Expected `str`", "要填文字"),
        (r"Expected `array`", "要填一个列表"),
        (r"Expected `object`", "要填一组内容"),
    )
]


_MISSING_PARAMETER = re.compile(r"Missing required (?:\w+ )?parameter '(\w+)'")


def describe_fault(message: str, language: Language) -> str:
    """Return the validator's message in this language; one that is not known stays as it is."""
    if language != "zh":
        return message
    for pattern, sentence in _SENTENCES_ZH:
        if found := pattern.search(message):
            return sentence.format(*found.groups())
    return message


def read_field_faults(request: Request[Any, Any, Any], extra: Any, detail: str, language: Language) -> list[Fault]:
    """Return the faults that the validator found in a request; `detail` is its message when it lists none."""
    if missing := _MISSING_PARAMETER.search(detail):
        message = "没有填写" if language == "zh" else "Missing required parameter"
        return [Fault("/" + _wire_name(request, {"key": missing.group(1)}), "field.invalid", message)]
    return [
        Fault(
            pointer="/" + _wire_name(request, item).replace(".", "/").replace("[", "/").replace("]", ""),
            code="field.invalid",
            detail=describe_fault(str(item.get("message", "")), language),
        )
        for item in (extra if isinstance(extra, list) else [])
        if isinstance(item, dict)
    ]


def _wire_name(request: Request[Any, Any, Any], item: dict[str, Any]) -> str:
    """Return the name as the client wrote it: a parameter may have another one in the code."""
    key = str(item.get("key", ""))
    parameter = request.route_handler.parsed_fn_signature.parameters.get(key)
    declared = parameter.kwarg_definition if parameter else None
    return declared.name or key if isinstance(declared, ParameterKwarg) else key
