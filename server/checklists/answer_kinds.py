"""The form of an answer to each kind of question, without regard to the question's limits."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Annotated, Any, Final, Literal

import msgspec

from server.checklists.faults import Fault, make_fault, make_pointer
from server.checklists.logic import MAX_SAFE_INTEGER
from server.checklists.template import Column, IncomeKind
from server.core.device_times import ReportedTime

MAX_ROWS = 50

EvidenceId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Fen = Annotated[int, msgspec.Meta(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER)]
Month = Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-(0[1-9]|1[0-2])$")]
Moment = ReportedTime
ShortText = Annotated[str, msgspec.Meta(max_length=500)]


class Geopoint(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Answer to a geopoint, in the datum in which the phone reported it."""

    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    datum: Literal["wgs84", "gcj02", "bd09"]
    accuracy_m: float | None = None
    captured_at: Moment | None = None


class SignatureItem(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A signature: its picture and who signed."""

    evidence_id: EvidenceId
    signer_name: ShortText
    signed_at: Moment
    member_id: ShortText | None = None


class IncomeRow(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Income of one kind from month `periodFrom` to `periodTo` inclusive; amounts in fen for the whole period.

    Amounts and months are optional in a draft and required in a submission.
    """

    kind: IncomeKind
    declared_fen: Fen | None = None
    found_fen: Fen | None = None
    period_from: Month | None = None
    period_to: Month | None = None
    note: ShortText = ""


def check_kind(cell: Column, answer: Any, at: str) -> Iterator[Fault]:
    """Yield faults unless the answer has the form of the question's kind."""
    if cell.kind in _COMPOSITES:
        yield from _check_composite(cell, answer, at)
    elif not _IS_OF_KIND[cell.kind](answer):
        yield wrong_kind_fault(at, cell.kind)


def wrong_kind_fault(at: str, kind: str) -> Fault:
    return make_fault(at, "answer.wrong_kind", kind=_EXPECTED[kind])


def _check_composite(cell: Column, answer: Any, at: str) -> Iterator[Fault]:
    if isinstance(answer, list) and len(answer) > MAX_ROWS:
        yield make_fault(at, "answer.too_large")
        return
    try:
        msgspec.convert(answer, _COMPOSITES[cell.kind])
    except msgspec.ValidationError as error:
        yield wrong_kind_fault(at + _pointer_in(str(error)), cell.kind)


def _pointer_in(message: str) -> str:
    """Return the pointer of the path that ends a msgspec message, such as `$[0].signedAt`, or "" without a path."""
    _, separator, path = message.rpartition(" - at `$")
    if not separator:
        return ""
    return make_pointer(*re.findall(r"[A-Za-z]\w*|\d+", path.removesuffix("`")))


def _is_safe_integer(answer: Any) -> bool:
    return isinstance(answer, int) and not isinstance(answer, bool) and abs(answer) <= MAX_SAFE_INTEGER


_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _is_date(answer: Any) -> bool:
    if not isinstance(answer, str) or not _ISO_DAY.fullmatch(answer):
        return False
    try:
        date.fromisoformat(answer)
    except ValueError:
        return False
    return True


def _is_code_list(answer: Any) -> bool:
    return isinstance(answer, list) and len(answer) <= MAX_ROWS * 2 and all(isinstance(code, str) for code in answer)


_IS_OF_KIND: Final[dict[str, Callable[[Any], bool]]] = {
    "text": lambda answer: isinstance(answer, str),
    "integer": _is_safe_integer,
    "money": _is_safe_integer,
    "date": _is_date,
    "choice": lambda answer: isinstance(answer, str),
    "multi_choice": _is_code_list,
    "yes_no": lambda answer: isinstance(answer, bool),
}
_COMPOSITES: Final[dict[str, Any]] = {
    "geopoint": Geopoint,
    "photo": list[EvidenceId],
    "signature": list[SignatureItem],
    "income_table": list[IncomeRow],
}
_EXPECTED: Final = {
    "text": "文字 text",
    "integer": "整数 a whole number",
    "money": "以分为单位的整数 whole fen",
    "date": "日期 a date YYYY-MM-DD",
    "choice": "选项代码 the code of a choice",
    "multi_choice": "选项代码列表 a list of codes",
    "yes_no": "是/否 true or false",
    "member_table": "按成员填写的表 rows with memberId",
    "income_table": "收入表 income rows",
    "geopoint": "定位 a location",
    "photo": "照片编号列表 a list of evidence ids",
    "signature": "签名列表 a list of signatures",
}
