"""Whether a phone's answers fit the checklist that they answer, decided again on the server.

Answers are a JSON object keyed by question id. What a phone sent is never changed here: the reading keeps
what is shown and well-formed apart (`Reading.shown`), and lists everything else as faults with JSON pointers.
A draft is held to the kinds alone. An answer to a question that other answers hide is **not** an error: the
phone may have been filled in the other order, and refusing would lose a visit. It is kept, noticed as
`answer.hidden`, and counts as unanswered in every condition and calculation.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from server.checklists.faults import Fault, fault, pointer
from server.checklists.logic import MAX_SAFE_INTEGER, is_true
from server.checklists.template import COUNT_KINDS, INCOME_KINDS, Column, IncomeKind, Question, Template, questions_of

Stage = Literal["draft", "submitted"]

MAX_VALUES = 20_000
MAX_DEPTH = 8
MAX_TEXT_LENGTH = 20_000
MAX_ROWS = 50
MAX_FAULTS = 300
DEFAULT_MAX_LENGTH = 2000
"""Characters (code points) of a text whose question sets no limit of its own."""

EvidenceId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Fen = Annotated[int, msgspec.Meta(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER)]
Month = Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-(0[1-9]|1[0-2])$")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
ShortText = Annotated[str, msgspec.Meta(max_length=500)]


class Geopoint(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The answer to a geopoint: what the phone said, in the datum in which it said it."""

    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    datum: Literal["wgs84", "gcj02", "bd09"]
    accuracy_m: Annotated[float, msgspec.Meta(ge=0)] | None = None
    captured_at: Moment | None = None


class SignatureItem(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """One signature of a signature question: the picture, and whose it is."""

    evidence_id: EvidenceId
    signer_name: ShortText
    signed_at: Moment
    member_id: ShortText | None = None


class IncomeRow(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """One kind of income from the month `periodFrom` to `periodTo`, both counted; fen for all of them.

    A draft may leave amounts and months open; a submitted income table may not.
    """

    kind: IncomeKind
    declared_fen: Fen | None = None
    found_fen: Fen | None = None
    period_from: Month | None = None
    period_to: Month | None = None
    note: ShortText = ""


class MemberFacts(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What conditions may know of a household member."""

    member_id: str
    age: int | None = None
    sex: Literal["male", "female"] | None = None
    relation: str | None = None


class HouseholdFacts(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    class_: Literal["A", "B", "C"] | None = msgspec.field(default=None, name="class")
    residence: Literal["urban", "rural"] | None = None


class Facts(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Everything outside the answers that a condition may see; nothing is taken from a clock or a database.

    `today` is the day of the visit in China. `remote` is an emergency visit by phone or video.
    """

    today: date
    members: tuple[MemberFacts, ...] = ()
    household: HouseholdFacts = HouseholdFacts()
    remote: bool = False


class Reading(msgspec.Struct):
    """Answers read against their template. `shown` holds only what is asked, answered and well-formed."""

    shown: dict[str, Any]
    faults: list[Fault]


def validate_answers(
    template: Template, answers: Any, *, member_ids: Collection[str], facts: Facts, stage: Stage
) -> list[Fault]:
    """Every fault of the answers; a submission may go on when none of them is an `error`.

    The template must have passed `check_template`. Answers may be anything at all: this never raises.
    """
    return read_answers(template, answers, member_ids=member_ids, facts=facts, stage=stage).faults


def read_answers(
    template: Template, answers: Any, *, member_ids: Collection[str], facts: Facts, stage: Stage
) -> Reading:
    """As `validate_answers`, with the answers that count beside the faults: for sums and comparisons."""
    if not isinstance(answers, dict):
        return Reading({}, [_wrong_kind("/answers", "member_table")])
    if not _is_bounded(answers):
        return Reading({}, [fault("/answers", "answer.too_large")])
    data = _context(facts, member_ids)
    faults = [*_find_unknown(template, answers), *_read_sections(template, answers, data)]
    if stage == "submitted":
        faults += _without_echoes(_check_submitted(template, data, member_ids), faults)
    else:
        faults = [item for item in faults if item.code in _DRAFT_CODES]
    return Reading(data["answers"], faults[:MAX_FAULTS])


_DRAFT_CODES: Final = frozenset({"answer.wrong_kind", "answer.unknown_question", "answer.too_large"})


def _without_echoes(later: Iterator[Fault], first: list[Fault]) -> Iterator[Fault]:
    """Leaves out "required" where something was answered and only its form was wrong."""
    wrong = [item.pointer + "/" for item in first if item.severity == "error"]
    for entry in later:
        if entry.code != "answer.required" or not any(at.startswith(entry.pointer + "/") for at in wrong):
            yield entry


def is_acceptable(faults: list[Fault]) -> bool:
    """Whether nothing among the faults blocks a submission."""
    return all(item.severity != "error" for item in faults)


def _is_bounded(answers: dict[str, Any]) -> bool:
    """Looks at every value once without recursion, and stops at the first limit passed."""
    stack: list[tuple[Any, int]] = [(answers, 1)]
    values = 0
    while stack:
        value, depth = stack.pop()
        values += 1
        if values > MAX_VALUES or depth > MAX_DEPTH or (isinstance(value, str) and len(value) > MAX_TEXT_LENGTH):
            return False
        if isinstance(value, dict):
            stack.extend((inner, depth + 1) for pair in value.items() for inner in pair)
        elif isinstance(value, list):
            stack.extend((inner, depth + 1) for inner in value)
    return True


def _context(facts: Facts, member_ids: Collection[str]) -> dict[str, Any]:
    """The data of every condition: explicit, and the same that a phone builds from its own store."""
    existing = {member.member_id: member for member in facts.members}
    household = facts.household
    return {
        "today": facts.today.isoformat(),
        "visit": {"remote": facts.remote},
        "household": {"class": household.class_, "residence": household.residence},
        "members": [
            msgspec.to_builtins(existing.get(member_id_, MemberFacts(member_id_))) for member_id_ in member_ids
        ],
        "answers": {},
    }


def _find_unknown(template: Template, answers: dict[str, Any]) -> Iterator[Fault]:
    existing = {question.id for question in questions_of(template)}
    for name in answers:
        if name not in existing:
            yield fault(pointer("answers", name), "answer.unknown_question")


# -- reading: what is shown, and is it of its kind ----------------------------------------------------------


def _read_sections(template: Template, answers: dict[str, Any], data: dict[str, Any]) -> Iterator[Fault]:
    """Fills `data["answers"]` in the order of asking, so that each condition sees what came before it."""
    for section in template.sections:
        section_shown = section.visible_if is None or is_true(section.visible_if, data)
        for question in section.questions:
            answer = answers.get(question.id)
            if answer is None:
                continue
            if not section_shown or not _is_shown(question, data):
                yield fault(pointer("answers", question.id), "answer.hidden", severity="notice")
                continue
            yield from _read_question(question, answer, data)


def _is_shown(cell: Column, data: Mapping[str, Any]) -> bool:
    return cell.visible_if is None or is_true(cell.visible_if, data)


def _read_question(question: Question, answer: Any, data: dict[str, Any]) -> Iterator[Fault]:
    at = pointer("answers", question.id)
    if question.kind == "member_table":
        yield from _read_rows(question, answer, data, at)
        return
    faults = list(_check_kind(question, answer, at))
    yield from faults
    if not faults:
        data["answers"][question.id] = answer


def _read_rows(table: Question, answer: Any, data: dict[str, Any], at: str) -> Iterator[Fault]:
    if not isinstance(answer, list):
        yield _wrong_kind(at, table.kind)
        return
    if len(answer) > MAX_ROWS:
        yield fault(at, "answer.too_large")
        return
    kept: list[dict[str, Any]] = []
    for index, row in enumerate(answer):
        place = f"{at}/{index}"
        if not isinstance(row, dict) or not isinstance(row.get("memberId"), str):
            yield _wrong_kind(place, table.kind)
            continue
        kept.append({"memberId": row["memberId"]})
        yield from _read_row(table, row, kept[-1], data, place)
    data["answers"][table.id] = kept


def _read_row(
    table: Question, row: dict[str, Any], kept: dict[str, Any], data: dict[str, Any], at: str
) -> Iterator[Fault]:
    existing = {"memberId", *(column.id for column in table.columns)}
    for name in row:
        if name not in existing:
            yield fault(at + pointer(name), "answer.unknown_question")
    scope = _row_scope(data, kept)
    for column in table.columns:
        cell = row.get(column.id)
        if cell is None:
            continue
        if not _is_shown(column, scope):
            yield fault(at + pointer(column.id), "answer.hidden", severity="notice")
            continue
        faults = list(_check_kind(column, cell, at + pointer(column.id)))
        yield from faults
        if not faults:
            kept[column.id] = cell


def _row_scope(data: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    member: dict[str, Any] = next((member for member in data["members"] if member["memberId"] == row["memberId"]), {})
    return {**data, "row": row, "member": member}


def _check_kind(cell: Column, answer: Any, at: str) -> Iterator[Fault]:
    if cell.kind in _COMPOSITES:
        yield from _check_composite(cell, answer, at)
    elif not _IS_OF_KIND[cell.kind](answer):
        yield _wrong_kind(at, cell.kind)


def _check_composite(cell: Column, answer: Any, at: str) -> Iterator[Fault]:
    if isinstance(answer, list) and len(answer) > MAX_ROWS:
        yield fault(at, "answer.too_large")
        return
    try:
        msgspec.convert(answer, _COMPOSITES[cell.kind])
    except msgspec.ValidationError as error:
        yield _wrong_kind(at + _pointer_in(str(error)), cell.kind)


def _pointer_in(message: str) -> str:
    """A message of msgspec ends with a path such as `$[0].signedAt`; nothing when it is the whole answer."""
    _, found, path = message.rpartition(" - at `$")
    if not found:
        return ""
    return pointer(*re.findall(r"[A-Za-z]\w*|\d+", path.removesuffix("`")))


def _is_whole(answer: Any) -> bool:
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


def _is_codes(answer: Any) -> bool:
    return isinstance(answer, list) and len(answer) <= MAX_ROWS * 2 and all(isinstance(code, str) for code in answer)


_IS_OF_KIND: Final[dict[str, Callable[[Any], bool]]] = {
    "text": lambda answer: isinstance(answer, str),
    "integer": _is_whole,
    "money": _is_whole,
    "date": _is_date,
    "choice": lambda answer: isinstance(answer, str),
    "multi_choice": _is_codes,
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


def _wrong_kind(at: str, kind: str) -> Fault:
    return fault(at, "answer.wrong_kind", kind=_EXPECTED[kind])


# -- a submission: complete, in range, and consistent -------------------------------------------------------


def _check_submitted(template: Template, data: dict[str, Any], member_ids: Collection[str]) -> Iterator[Fault]:
    for section in template.sections:
        if section.visible_if is not None and not is_true(section.visible_if, data):
            continue
        for question in section.questions:
            at = pointer("answers", question.id)
            yield from _check_cell(question, data["answers"].get(question.id), data, at)
            yield from _check_table(question, data, set(member_ids), at)


def _check_cell(cell: Column, answer: Any, data: dict[str, Any], at: str) -> Iterator[Fault]:
    if not _is_shown(cell, data):
        return
    if _is_blank(answer):
        if cell.required:
            yield fault(at, "answer.required")
        return
    yield from _check_content(cell, answer, at)
    if cell.constraint is not None and not is_true(cell.constraint, {**data, "value": answer}):
        message = cell.constraint_message
        assert message is not None, "check_template holds constraints to have a message"
        yield fault(at, "answer.constraint", severity=cell.constraint_severity, zh=message.zh, en=message.en)


def _is_blank(answer: Any) -> bool:
    return answer is None or answer == [] or (isinstance(answer, str) and not answer.strip())


def _check_content(cell: Column, answer: Any, at: str) -> Iterator[Fault]:
    if cell.kind == "text":
        limit = cell.max_length or DEFAULT_MAX_LENGTH
        if len(answer) > limit:
            yield fault(at, "answer.too_long", maxLength=limit)
    elif cell.kind in {"integer", "money"}:
        yield from _check_range(cell, answer, at)
    elif cell.kind == "choice":
        yield from _check_codes(cell, [answer], [at])
    elif cell.kind == "multi_choice":
        yield from _check_codes(cell, answer, [f"{at}/{index}" for index in range(len(answer))])
    elif cell.kind == "income_table":
        yield from _check_income(cell, answer, at)
    if cell.kind in COUNT_KINDS:
        yield from _check_items(cell, answer, at)


def _check_range(cell: Column, amount: int, at: str) -> Iterator[Fault]:
    minimum = -MAX_SAFE_INTEGER if cell.minimum is None else cell.minimum
    maximum = MAX_SAFE_INTEGER if cell.maximum is None else cell.maximum
    if not minimum <= amount <= maximum:
        yield fault(at, "answer.out_of_range", minimum=minimum, maximum=maximum)


def _check_codes(cell: Column, codes: list[str], places: list[str]) -> Iterator[Fault]:
    existing = {choice.code for choice in cell.choices}
    for code, place in zip(codes, places, strict=True):
        if code not in existing:
            yield fault(place, "answer.not_a_choice", value=code.encode("utf-8", "replace").decode()[:60])


def _check_items(cell: Column, items: list[Any], at: str) -> Iterator[Fault]:
    """Counts the items, and finds one photo, signature or code given twice."""
    least = cell.minimum if cell.minimum is not None else 0
    most = MAX_ROWS if cell.maximum is None else cell.maximum
    if not least <= len(items) <= most:
        yield fault(at, "answer.too_many", minimum=least, maximum=most, count=len(items))
    keys = [item["evidenceId"] if isinstance(item, dict) else item for item in items]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            yield fault(f"{at}/{index}", "answer.duplicate")


def _check_income(cell: Column, rows: list[dict[str, Any]], at: str) -> Iterator[Fault]:
    kinds = [row["kind"] for row in rows]
    for kind, (zh, en) in INCOME_KINDS.items():
        if kind not in kinds:
            yield fault(at, "answer.missing_income_kind", kind=kind, zh=zh, en=en)
    for index, row in enumerate(rows):
        place = f"{at}/{index}"
        if row["kind"] in kinds[:index]:
            yield fault(place + "/kind", "answer.duplicate")
        yield from _check_income_row(cell, row, place)


def _check_income_row(cell: Column, row: dict[str, Any], at: str) -> Iterator[Fault]:
    for field in ("declaredFen", "foundFen", "periodFrom", "periodTo"):
        if row.get(field) is None:
            yield fault(f"{at}/{field}", "answer.required")
        elif field.endswith("Fen"):
            yield from _check_range(cell, row[field], f"{at}/{field}")
    start, end = row.get("periodFrom"), row.get("periodTo")
    if start is not None and end is not None and end < start:
        yield fault(at + "/periodTo", "answer.period_inverted")


def _check_table(question: Question, data: dict[str, Any], members: set[str], at: str) -> Iterator[Fault]:
    rows = data["answers"].get(question.id)
    if question.kind != "member_table" or rows is None:
        return
    seen: set[str] = set()
    for index, row in enumerate(rows):
        place = f"{at}/{index}"
        if row["memberId"] in seen:
            yield fault(place + "/memberId", "answer.duplicate")
        elif row["memberId"] not in members:
            yield fault(place + "/memberId", "answer.unknown_member")
        seen.add(row["memberId"])
        scope = _row_scope(data, row)
        for column in question.columns:
            yield from _check_cell(column, row.get(column.id), scope, place + pointer(column.id))
    if question.required and rows:
        for missing in sorted(members - seen):
            yield fault(at, "answer.missing_member", memberId=missing)
