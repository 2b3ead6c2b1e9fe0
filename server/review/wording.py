"""Render the facts of a finding as text, in units that people read easily whatever the size of the figure."""

from collections.abc import Callable
from string import Formatter
from typing import Any, Literal

from server.checklists.wording import visit_kind_text

Language = Literal["zh", "en"]

KM, HOURS_IN_DAY, DAYS_IN_YEAR = 1000, 24, 365
TERMS: dict[str, tuple[str, str]] = {
    "start": ("开始", "start"),
    "end": ("结束", "end"),
    "answer": ("答案", "answer's"),
    "start_fix": ("开始定位", "start fix"),
    "end_fix": ("结束定位", "end fix"),
    "attestation": ("共同调查人确认", "attestation"),
    "attestation_fix": ("确认定位", "attestation's fix"),
    "amendment": ("补正", "amendment"),
    "ahead": ("快", "ahead"),
    "behind": ("慢", "behind"),
    "wages": ("工资性收入", "wages"),
    "business": ("经营净收入", "net business income"),
    "property": ("财产净收入", "net property income"),
    "transfer": ("转移净收入", "net transfer income"),
    "last_visit": ("上次走访", "the last visit"),
    "register": ("登记", "the record"),
    "none": ("无", "nothing"),
    "cut": ("裁剪", "cut"),
    "mirrored": ("镜像翻转", "mirrored"),
    "turned": ("旋转", "turned"),
}


def render_template(template: str, facts: dict[str, Any], language: Language) -> str:
    """Fill a template. A field's kind follows a colon: `{distanceM:m}`, `{hoursAway:hours}`, `{foundFen:yuan}`.

    A fact that an older finding lacks renders as a dash, so that its history stays readable.
    """
    return _FactFormatter(language).vformat(template, (), facts)


class _FactFormatter(Formatter):
    def __init__(self, language: Language) -> None:
        self.language = language

    def get_value(self, key: int | str, args: Any, kwargs: Any) -> Any:
        del args
        return kwargs.get(key)

    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None:
            return "–"
        if format_spec == "":
            return str(value)
        return _KINDS[format_spec](value, self.language)


def format_distance(metres: float, language: Language) -> str:
    """Format as metres below one kilometre, then as kilometres, with a decimal below ten."""
    if metres < KM:
        return f"{metres:.0f} " + ("米" if language == "zh" else "m")
    km = metres / KM
    return (f"{km:.1f} " if km < 10 else f"{km:,.0f} ") + ("公里" if language == "zh" else "km")  # noqa: PLR2004


def format_duration(hours: float, language: Language) -> str:
    """Format in the unit from seconds to years that keeps the figure small."""
    for unit_hours, limit, zh, en in _DURATION_UNITS:
        if hours < limit:
            count = hours / unit_hours
            shown = f"{count:.1f}".removesuffix(".0") if count < 10 else f"{count:.0f}"  # noqa: PLR2004
            return f"{shown} {zh}" if language == "zh" else f"{shown} {en}" + ("" if shown == "1" else "s")
    raise AssertionError("the last span has no limit")


_DURATION_UNITS = (
    (1 / 3600, 2 / 60, "秒", "second"),
    (1 / 60, 2, "分钟", "minute"),
    (1, 2 * HOURS_IN_DAY, "小时", "hour"),
    (HOURS_IN_DAY, 2 * DAYS_IN_YEAR * HOURS_IN_DAY, "天", "day"),
    (DAYS_IN_YEAR * HOURS_IN_DAY, float("inf"), "年", "year"),
)


def _yuan(fen: int, language: Language) -> str:
    del language
    return f"{fen / 100:,.2f}".removesuffix(".00")


def _term(value: str, language: Language) -> str:
    return TERMS.get(value, (value, value))[language == "en"]


def _visit_kind(value: str, language: Language) -> str:
    text = visit_kind_text(value)
    return text.zh if language == "zh" else text.en


def _terms(values: list[str], language: Language) -> str:
    return ("、" if language == "zh" else ", ").join(_term(value, language) for value in values)


_KINDS: dict[str, Callable[[Any, Language], str]] = {
    "m": format_distance,
    "hours": format_duration,
    "days": lambda value, language: format_duration(value * HOURS_IN_DAY, language),
    "minutes": lambda value, language: format_duration(value / 60, language),
    "yuan": _yuan,
    "term": _term,
    "terms": _terms,
    "visit_kind": _visit_kind,
}
