"""The formats of WeChat's messages: what WeChat would refuse is found before it is sent."""

import re
from collections.abc import Mapping
from typing import Literal

_DATE = r"\d{4}([-/.]\d{1,2}[-/.]\d{1,2}|年\d{1,2}月\d{1,2}日)"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2})?"
_HAN = "\u3400-\u9fff\U00020000-\U000323af"
_FIELD_FORMATS: dict[str, tuple[int, str | None]] = {
    "thing": (20, None),
    "phrase": (5, rf"[{_HAN}]+"),
    "name": (20, rf"[{_HAN}·]{{1,10}}|[^{_HAN}0-9]{{1,20}}"),
    "character_string": (32, r"[\x20-\x7e]+"),
    "letter": (32, r"[A-Za-z]+"),
    "number": (32, r"-?\d+(\.\d+)?"),
    "symbol": (5, r"[^\w\s]+"),
    "amount": (16, r"[¥$]?-?\d{1,10}(\.\d+)?元?"),
    "phone_number": (17, r"[-+\d()]+"),
    "car_number": (8, None),
    "date": (40, rf"{_DATE}( {_CLOCK})?"),
    "time": (40, rf"({_DATE} )?{_CLOCK}([~-]({_DATE} )?{_CLOCK})?"),
}
"""Maximum length in characters and pattern of each kind of template field."""


_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


def shape_field(name: str, value: str) -> str:
    """Return a value as the kind of its field wants it: a `time` has an hour, and a bare day lasts until its end."""
    day = _DAY.fullmatch(value)
    if day is None or not re.fullmatch(r"time\d+", name):
        return value
    year, month, of_month = (int(part) for part in day.groups())
    return f"{year}年{month}月{of_month}日 23:59"


class MessageInvalid(ValueError):
    """A message that WeChat would refuse for its format; it was not sent."""

    def __init__(self, field_name: str, reason: Literal["unknown_field", "empty", "too_long", "form"]) -> None:
        super().__init__(f"{field_name}: {reason}")
        self.field_name = field_name
        self.reason = reason


def check_message(data: Mapping[str, str]) -> None:
    """Validate each field by its template kind: `thing` ≤ 20 characters, `phrase` ≤ 5 Chinese ones, and so on."""
    for name, value in data.items():
        kind = re.fullmatch(r"([a-z_]+?)\d+", name)
        if kind is None or kind[1] not in _FIELD_FORMATS:
            raise MessageInvalid(name, "unknown_field")
        max_length, pattern = _FIELD_FORMATS[kind[1]]
        if not value.strip():
            raise MessageInvalid(name, "empty")
        if len(value) > max_length:
            raise MessageInvalid(name, "too_long")
        if pattern is not None and not re.fullmatch(pattern, value):
            raise MessageInvalid(name, "form")
