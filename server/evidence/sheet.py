"""The bundle's sheet for people: the visit in Chinese, with its pictures, to print and to file.

Facts go in as JSON and are set as text, so that nothing a person typed is read as markup.
"""

import shutil
from collections.abc import Iterator
from datetime import datetime
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from server.checklists.template import INCOME_KINDS, Column, Question, Template
from server.core.clock import CHINA
from server.core.tokens import receipt_short_code
from server.evidence.dossier import Dossier, JsonObject

_SHEETS = Path(__file__).parent / "sheets"
_FEN = 100
_PICTURED = ("photo", "signature")

KINDS: dict[str, str] = {
    "intake": "申请入户调查",
    "review": "定期核查",
    "neighbour": "邻里访问",
    "complaint": "投诉举报核查",
    "spot_check": "入户抽查",
    "care": "关爱探访",
}
MODES: dict[str, str] = {"in_person": "入户", "phone": "电话", "video": "视频"}
STATES: dict[str, str] = {
    "submitted": "已提交",
    "amended": "已补正",
    "under_review": "审核中",
    "accepted": "已通过",
    "returned": "已退回",
    "escalated": "已上报",
}
OUTCOMES: dict[str, str] = {"accepted": "通过", "returned": "退回", "spot_check": "转抽查", "escalated": "上报"}
SEVERITIES: dict[str, str] = {"info": "信息", "notice": "提示", "warning": "警示", "critical": "严重"}
MOMENTS: dict[str, str] = {"start": "开始", "end": "结束", "attested": "确认"}
DATUMS: dict[str, str] = {"wgs84": "WGS-84", "gcj02": "GCJ-02", "bd09": "BD-09"}
SETTLED: dict[str, str] = {"upheld": "属实", "dismissed": "排除"}
HELD: dict[str, str] = {
    "whole": "原件完整",
    "awaited": "原件尚未上传",
    "erased": "原件已按保存期限删除",
    "missing": "存储中缺失",
    "altered": "存储中的内容与登记不符",
}


def render_visit_pdf(dossier: Dossier, folder: Path, now: datetime) -> bytes:
    """A4 PDF. `folder` holds the renditions under the names that the dossier's photos tell."""
    import typst  # noqa: PLC0415  7 MB, and its fonts 20 MB more

    facts = _tell(dossier, now)
    with TemporaryDirectory(prefix="zoufang-") as name:
        desk = Path(name)
        shutil.copy(_SHEETS / "visit.typ", desk)
        (desk / "facts.json").write_bytes(msgspec.json.encode(facts))
        if (folder / "renditions").exists():
            (desk / "renditions").symlink_to(folder / "renditions")
        printed = typst.compile(
            str(desk / "visit.typ"),
            root=str(desk),
            font_paths=[str(resources.files("pylopdf_fonts_zh_cn"))],
            ignore_system_fonts=True,
            format="pdf",
        )
    assert isinstance(printed, bytes)
    return printed


def _tell(dossier: Dossier, now: datetime) -> JsonObject:
    told = dossier.told
    visit, household = told["visit"], told["household"]
    numbers = {str(one["id"]): number for number, one in enumerate(told["photos"], 1)}
    seal = told["audit"]["newestSeal"]
    return {
        "title": "走访证据材料",
        "kind": _word(KINDS, visit["kind"]),
        "visitId": str(visit["id"]),
        "shortCode": receipt_short_code(dossier.receipt),
        "madeAt": _time(now),
        "facts": _facts(visit, household),
        "people": [_person(one, told) for one in told["investigators"]],
        "fixes": [_fix(one, told) for one in told["fixes"]],
        "sections": list(_sections(told, dossier.member_names, numbers)),
        "photos": [_photo(one, numbers, told) for one in told["photos"]],
        "findings": [_finding(one, numbers) for one in _standing(told["findings"])],
        "decisions": [_decision(one) for one in told["decisions"]],
        "amendments": _amendments(told),
        "entries": len(told["audit"]["entries"]),
        "seal": f"第 {seal['position']} 号，{_time(seal['sealedAt'])}" if seal else "尚无",
        "sealHash": seal["hash"] if seal else "",
        "contentHash": visit["contentHash"],
    }


def _amendments(told: JsonObject) -> list[list[str]]:
    after = [*told["earlierVersions"], told["visit"]][1:]
    return [
        [f"第 {number} 次", _time(one["submittedAt"]), one["document"]["amendment"]["reason"]]
        for number, one in enumerate(after, 1)
    ]


def _facts(visit: JsonObject, household: JsonObject) -> list[list[str]]:
    document = visit["document"]
    present = "、".join(one.get("name", "") for one in document.get("familyPresent", []))
    return [
        ["户主", household["headName"]],
        ["户号", household["number"]],
        ["案件编号", household["caseNumber"] or "—"],
        ["地区", " ".join(household["areaNames"])],
        ["住址", household["address"]],
        ["方式", _word(MODES, visit["mode"])],
        ["开始", _time(document.get("startedAt"))],
        ["结束", _time(document.get("endedAt"))],
        ["在场家庭成员", present or "—"],
        ["服务器收到", _time(visit["receivedAt"])],
        ["状态", _word(STATES, visit["state"])],
    ]


def _person(one: JsonObject, told: JsonObject) -> list[str]:
    attested = next((word["attestedAt"] for word in told["attestations"] if word["staffId"] == one["staffId"]), None)
    if one["isAuthor"]:
        return [one["name"], "提交人", _time(told["visit"]["submittedAt"])]
    return [one["name"], "共同调查人", _time(attested) if attested else "尚未确认"]


def _fix(one: JsonObject, told: JsonObject) -> list[str]:
    who = next((person["name"] for person in told["investigators"] if person["staffId"] == one["staffId"]), "—")
    fix = one["fix"]
    return [who, MOMENTS[one["moment"]], *_place(fix), _time(fix.get("capturedAt"))]


def _place(fix: JsonObject) -> list[str]:
    accuracy = fix.get("accuracyM")
    return [
        f"{fix['latitude']:.6f}，{fix['longitude']:.6f}",
        _word(DATUMS, fix["datum"]),
        "—" if accuracy is None else f"{accuracy:.0f} 米",
    ]


def _photo(one: JsonObject, numbers: dict[str, int], told: JsonObject) -> JsonObject:
    facts = one["facts"] or {}
    return {
        "number": numbers[str(one["id"])],
        "picture": one["rendition"] or "",
        "label": _what_it_shows(one, told),
        "capturedAt": _time(one["capturedAt"]),
        "held": HELD[one["held"]] if one["state"] != "refused" else "内容不被接受，见原件",
        "camera": " ".join(facts[name] for name in ("camera_make", "camera_model") if facts.get(name)),
        "sha256": one["sha256"],
    }


def _what_it_shows(one: JsonObject, told: JsonObject) -> str:
    """The question it was taken for, or else the one that is answered with it."""
    answers = told["visit"]["document"].get("answers", {})
    questions = list(_questions(told))
    taken_for = [question for question in questions if question.id == one["questionId"]]
    answered_with = [
        question
        for question in questions
        if question.kind in _PICTURED and str(one["id"]) in msgspec.json.encode(answers.get(question.id)).decode()
    ]
    first = next(iter(taken_for + answered_with), None)
    return first.label.zh if first else str(one["questionId"])


def _questions(told: JsonObject) -> Iterator[Question]:
    for section in msgspec.convert(told["checklist"], Template).sections:
        yield from section.questions


def _standing(findings: list[JsonObject]) -> list[JsonObject]:
    """Those that still hold, the gravest first, as the desk shows them."""
    order = list(SEVERITIES)
    return sorted(
        (one for one in findings if one["supersededAt"] is None),
        key=lambda one: (-order.index(one["severity"]), one["code"]),
    )


def _finding(one: JsonObject, numbers: dict[str, int]) -> list[str]:
    photo = f"（照片 {numbers[str(one['evidenceId'])]}）" if str(one["evidenceId"]) in numbers else ""
    severity = _word(SEVERITIES, one["severity"])
    return [severity, one["zh"] + photo, SETTLED.get(one["settledAs"] or "", "未处理")]


def _decision(one: JsonObject) -> list[str]:
    undone = f"（{_time(one['undoneAt'])} 撤回）" if one["undoneAt"] else ""
    outcome = _word(OUTCOMES, one["outcome"])
    return [_time(one["decidedAt"]), one["reviewerName"], outcome + undone, one["reason"] or "—"]


# -- answers, in the words of the checklist


def _sections(told: JsonObject, members: dict[str, str], numbers: dict[str, int]) -> Iterator[JsonObject]:
    answers = told["visit"]["document"].get("answers", {})
    words = _Words(members, numbers)
    for section in msgspec.convert(told["checklist"], Template).sections:
        rows = [
            [question.label.zh, words.say(question, answers[question.id])]
            for question in section.questions
            if question.id in answers
        ]
        if rows:
            yield {"title": section.title.zh, "rows": rows}


class _Words:
    """Says answers; knows the members' names and which number each photo has on this sheet."""

    def __init__(self, members: dict[str, str], numbers: dict[str, int]) -> None:
        self.members = members
        self.numbers = numbers

    def say(self, cell: Column, value: Any) -> str:
        """A value that is not what the question asks for is shown as it came."""
        if value is None or value in ("", []):
            return "—"
        try:
            return self._say(cell, value)
        except (KeyError, TypeError, ValueError, AttributeError):
            return msgspec.json.encode(value).decode()

    def _say(self, cell: Column, value: Any) -> str:
        match cell.kind:
            case "money":
                return f"{value / _FEN:,.2f} 元"
            case "yes_no":
                return "是" if value else "否"
            case "choice":
                return _label(cell, value)
            case "multi_choice":
                return "、".join(_label(cell, one) for one in value)
            case "member_table":
                assert isinstance(cell, Question)
                return "\n".join(self._say_member(cell, row) for row in value)
            case "income_table":
                return "\n".join(_say_income(row) for row in value)
            case "geopoint":
                return "，".join(_place(value))
            case "photo":
                return self._say_photos(value)
            case "signature":
                return "\n".join(f"{one['signerName']}（{self._say_photos([one['evidenceId']])}）" for one in value)
        return str(value)

    def _say_member(self, table: Question, row: JsonObject) -> str:
        said = "；".join(
            f"{column.label.zh} {self.say(column, row[column.id])}" for column in table.columns if column.id in row
        )
        return f"{self.members.get(row['memberId'], row['memberId'])}：{said}"

    def _say_photos(self, ids: list[str]) -> str:
        return "照片 " + "、".join(str(self.numbers.get(one, "？")) for one in ids)


def _label(cell: Column, code: str) -> str:
    return next((one.label.zh for one in cell.choices if one.code == code), code)


def _say_income(row: JsonObject) -> str:
    kind = INCOME_KINDS[row["kind"]][0]
    said = [f"申报 {row['declaredFen'] / _FEN:,.2f} 元"] if row.get("declaredFen") is not None else []
    said += [f"核实 {row['foundFen'] / _FEN:,.2f} 元"] if row.get("foundFen") is not None else []
    period = f"（{row.get('periodFrom') or '—'} 至 {row.get('periodTo') or '—'}）"
    note = f"，{row['note']}" if row.get("note") else ""
    return f"{kind}{period}：{'，'.join(said)}{note}"


def _word(words: dict[str, str], code: str) -> str:
    return words.get(code, code)


def _time(value: datetime | str | None) -> str:
    """A moment as an office in China reads it; phones tell theirs as text."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return "—" if moment is None else f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
