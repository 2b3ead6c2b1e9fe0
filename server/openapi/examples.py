"""The examples of the document.

Requests and answers are exchanges that tests had with the app over the demo county, kept in `openapi/examples/` by tag
(`make examples` records those that are missing). An error's example is made from the catalogue, with the facts below.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from server.core.errors import CATALOGUE, Fault, Problem, problem_body
from server.core.paths import OPENAPI

EXAMPLES = OPENAPI.parent / "examples"
REQUEST_ID = "0192f3c4-8a1e-7d20-9c55-2f6b7a3e4d18"


class Exchange(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A request of one operation and its answer; a text where either is no JSON, and left out where it is bytes."""

    status: int
    path: dict[str, Any] = {}
    query: dict[str, Any] = {}
    header: dict[str, Any] = {}
    body: Any | UnsetType = field(default=UNSET)
    answer: Any | UnsetType = field(default=UNSET)
    answer_headers: dict[str, str] = {}


class Examples(NamedTuple):
    of_operations: dict[str, Exchange]
    of_problems: dict[str, dict[str, Any]]


def read_examples() -> Examples:
    exchanges: dict[str, Exchange] = {}
    for file in sorted(EXAMPLES.glob("*.json")):
        exchanges |= msgspec.json.decode(file.read_bytes(), type=dict[str, Exchange])
    return Examples(exchanges, dict(_problems()))


def _problems() -> Iterator[tuple[str, dict[str, Any]]]:
    for code, entry in CATALOGUE.items():
        problem = Problem(code, faults=FAULTS.get(code, ()), **FACTS.get(code, {}))
        yield code, {"summary": entry.en, "value": msgspec.to_builtins(problem_body(problem, "zh", REQUEST_ID))}


# What fills the sentences of the catalogue, by code.
FACTS: dict[str, dict[str, Any]] = {
    "request.too_large": {"limit_mb": 8},
    "request.unsupported_media_type": {"required": "multipart/form-data"},
    "export.too_long": {"most": 50_000},
    "staff.deputy_away": {"name": "穆清和"},
    "aid.not_now": {"state": "closed"},
    "aid.findings_open": {"count": 3},
    "aid.lines_open": {"count": 2},
    "aid.handed_out": {"home": "TS-00012"},
    "aid.too_many": {"most": 30_000},
    "roster.not_now": {"state": "sent"},
    "change_return.not_now": {"state": "sent"},
    "roster.line_not_paid": {"state": "returned"},
    "roster.findings_open": {"count": 3},
    "roster.file_unfit": {"why": "户名过长：FF2026110001-00001", "why_en": "A name is too long: FF2026110001-00001"},
    "bank_answer.columns_missing": {"columns": "业务编号"},
    "request.rate_limited": {"retry_after_s": 300},
    "case.visit_differs": {"difference": "¥370.00", "tolerance": "¥10.00"},
    "visit.void_takes_back": {"count": 2},
    "order.too_many": {"most": 2000},
    "raise.not_ready": {"state": "previewing"},
    "raise.later_standard": {"on": "2027-01-01"},
    "household.id_checks_spent": {"limit": 60},
    "print.characters_missing": {"characters": "𠮷", "numbers": "U+20BB7"},
    "case.check_cells_unread": {"count": 2},
    "auth.password_weak": {"why": "密码至少 8 个字符。", "why_en": "Use at least 8 characters."},
    "staff.login_taken": {"login": "linhexi"},
    "import.unreadable": {"why": "文件已损坏或不是表格文件。", "why_en": "the file is damaged or not a spreadsheet."},
    "import.columns_missing": {"columns": "姓名、身份证号"},
    "import.acted_upon": {"count": 3},
    "auth.forbidden": {"roles": "county_officer, supervisor, town_officer"},
    "sync.schema_version_gone": {"served": 1},
    "sync.batch_too_long": {"limit": 200},
    "sync.page_too_long": {"limit": 1000},
    "sync.digest_mismatch": {"collection": "assignments"},
    "visit.amends_the_record": {"fields": "startedAt, endedAt"},
    "record.amends_the_record": {"fields": "startedAt"},
    "photo.hash_mismatch": {"expected": "9f2c41d07ab3", "received": "51e8a6c0f94d"},
    "upload.header_invalid": {"header": "Upload-Metadata", "required": "evidenceId"},
    "upload.size_differs": {"announced": 248_113, "received": 248_000},
    "upload.offset_differs": {"offset": 131_072},
    "review.claimed_by_other": {"holder": "沈素心"},
    "review.decided": {"decided_by": "沈素心", "outcome": "returned"},
    "review.findings_not_judged": {"count": 2},
    "review.undo_too_late": {"seconds": 60},
    "case.not_now": {"state": "accepted"},
    "case.closed": {"state": "rejected"},
    "case.changed": {"by": "沈素心", "step": "accept"},
    "case.papers_missing": {"papers": "银行流水", "papers_en": "bank statement"},
    "case.paper_photos_full": {"most": 6},
    "case.standard_missing": {"month": "2026-12-01"},
    "case.open_already": {"number": "DB3399-2026-000017"},
    "case.granted_already": {"number": "DB3399-2026-000009"},
    "case.check_unreadable": {"why": "缺少列 身份证号"},
    "posting.not_now": {"state": "surveying"},
    "posting.places_missing": {"least": 2},
    "hearing.panel_short": {"required": 7, "found": 5},
    "hearing.no_quorum": {"quorum": 5},
    "hearing.count_differs": {"attended": 6, "votes": 7},
    "complaint.not_now": {"state": "decided"},
    "reveal.limit_reached": {"most": 30},
    "rule.unknown": {"key": "visit.nearest_m"},
    "rule.written": {"by": "沈素心"},
    "server.error": {"request_id": REQUEST_ID},
}
# What an error points at, where it points at places of the request.
FAULTS: dict[str, list[Fault]] = {
    "request.invalid": [Fault("/areaCode", "area.unknown", "339999")],
    "row.invalid": [Fault("/kind", "row.invalid", "Invalid enum value 'holiday'")],
    "visit.answers_invalid": [Fault("/answers/household_size", "answer.required", "请填写“共同生活的家庭成员人数”")],
}
