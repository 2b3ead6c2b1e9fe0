"""Print the bundle's sheet for people: the visit in Chinese, with its pictures, to print and to file.

Facts are passed as JSON and set as text, so that nothing a person typed is read as markup.
"""

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from server.checklists.feeds import count_months
from server.checklists.template import INCOME_KINDS, Column, Question, Template
from server.core import fonts
from server.core.clock import CHINA
from server.core.tokens import receipt_short_code
from server.evidence.dossier import Dossier, JsonObject
from server.models.evidence import PAPER_FORM

_SHEETS = Path(__file__).parent / "templates"
_FEN = 100
_KINDS_WITH_PHOTOS = ("photo", "signature")

KINDS: dict[str, str] = {
    "intake": "申请入户调查",
    "review": "定期核查",
    "neighbour": "邻里访问",
    "complaint": "投诉举报核查",
    "spot_check": "入户抽查",
    "care": "关爱探访",
    "housing": "廉租房核查",
}
MODES: dict[str, str] = {"in_person": "入户", "phone": "电话", "video": "视频"}
STATES: dict[str, str] = {
    "submitted": "已提交",
    "amended": "已补正",
    "under_review": "审核中",
    "accepted": "已通过",
    "returned": "已退回",
    "escalated": "已上报",
    "voided": "已作废",
}
OUTCOMES: dict[str, str] = {"accepted": "通过", "returned": "退回", "spot_check": "转抽查", "escalated": "上报"}
SEVERITIES: dict[str, str] = {"info": "信息", "notice": "提示", "warning": "警示", "critical": "严重"}
MOMENTS: dict[str, str] = {"start": "开始", "end": "结束", "attested": "确认"}
DATUMS: dict[str, str] = {"wgs84": "WGS-84", "gcj02": "GCJ-02", "bd09": "BD-09"}
VERDICTS: dict[str, str] = {"upheld": "属实", "dismissed": "排除"}
ORIGINAL_STATES: dict[str, str] = {
    "whole": "原件完整",
    "awaited": "原件尚未上传",
    "erased": "原件已按保存期限删除",
    "missing": "存储中缺失",
    "altered": "存储中的内容与登记不符",
}


def render_visit_pdf(dossier: Dossier, folder: Path, now: datetime) -> bytes:
    """Render the sheet as an A4 PDF. `folder` holds the renditions under the names in the manifest."""
    import typst  # noqa: PLC0415  7 MB, and its fonts 20 MB more

    # A note may hold anything, and a bundle is never refused for it; the manifest beside has the character itself.
    facts = fonts.spell_out_missing(_build_facts(dossier, now))
    with TemporaryDirectory(prefix="zoufang-") as name:
        root = Path(name)
        shutil.copy(_SHEETS / "visit.typ", root)
        (root / "facts.json").write_bytes(msgspec.json.encode(facts))
        if (folder / "renditions").exists():
            (root / "renditions").symlink_to(folder / "renditions")
        pdf = typst.compile(
            str(root / "visit.typ"),
            root=str(root),
            font_paths=[str(fonts.FOLDER)],
            ignore_system_fonts=True,
            format="pdf",
        )
    assert isinstance(pdf, bytes)
    return pdf


def _build_facts(dossier: Dossier, now: datetime) -> JsonObject:
    manifest = dossier.manifest
    visit, household = manifest["visit"], manifest["household"]
    numbers = {str(photo["id"]): number for number, photo in enumerate(manifest["photos"], 1)}
    seal = manifest["audit"]["newestSeal"]
    return {
        "title": "走访证据材料",
        "kind": _label(KINDS, visit["kind"]),
        "visitId": str(visit["id"]),
        "shortCode": receipt_short_code(dossier.receipt),
        "madeAt": _format_time(now),
        "facts": _list_visit_facts(visit, household),
        "people": [_render_investigator(investigator, manifest) for investigator in manifest["investigators"]],
        "fixes": [_render_fix(entry, manifest) for entry in manifest["fixes"]],
        "sections": list(_render_sections(manifest, dossier.member_names, numbers)),
        "photos": [_render_photo(photo, numbers, manifest) for photo in manifest["photos"]],
        "findings": [_render_finding(finding, numbers) for finding in _select_current(manifest["findings"])],
        "decisions": [_render_decision(decision) for decision in manifest["decisions"]],
        "amendments": _render_amendments(manifest),
        "entries": len(manifest["audit"]["entries"]),
        "seal": f"第 {seal['position']} 号，{_format_time(seal['sealedAt'])}" if seal else "尚无",
        "sealHash": seal["hash"] if seal else "",
        "contentHash": visit["contentHash"],
    }


def _render_amendments(manifest: JsonObject) -> list[list[str]]:
    amended = [*manifest["earlierVersions"], manifest["visit"]][1:]
    return [
        [f"第 {number} 次", _format_time(version["submittedAt"]), version["document"]["amendment"]["reason"]]
        for number, version in enumerate(amended, 1)
    ]


def _list_visit_facts(visit: JsonObject, household: JsonObject) -> list[list[str]]:
    document = visit["document"]
    present = "、".join(member.get("name", "") for member in document.get("familyPresent", []))
    return [
        ["户主", household["headName"]],
        ["户号", household["number"]],
        ["案件编号", household["caseNumber"] or "—"],
        ["地区", " ".join(household["areaNames"])],
        ["住址", household["address"]],
        ["方式", _label(MODES, visit["mode"])],
        ["开始", _format_time(document.get("startedAt"))],
        ["结束", _format_time(document.get("endedAt"))],
        ["在场家庭成员", present or "—"],
        ["安排", _describe_order(document)],
        *([["没有定位的原因", document["noFixReason"]]] if document.get("noFixReason") else []),
        *([["记录", "纸质走访表，由办公室补录"]] if visit["typedBy"] else []),
        ["服务器收到", _format_time(visit["receivedAt"])],
        ["状态", _label(STATES, visit["state"])],
    ]


def _describe_order(document: JsonObject) -> str:
    if document.get("assignmentId"):
        return "按任务走访"
    return f"没有任务，自行发起：{document.get('unorderedReason') or '未写明原因'}"


def _render_investigator(investigator: JsonObject, manifest: JsonObject) -> list[str]:
    if investigator["isAuthor"]:
        return [investigator["name"], "提交人", _format_time(manifest["visit"]["submittedAt"])]
    own = [entry for entry in manifest["attestations"] if entry["staffId"] == investigator["staffId"]]
    attested_at = own[0]["attestedAt"] if own else None
    return [investigator["name"], "共同调查人", _format_time(attested_at) if attested_at else "尚未确认"]


def _render_fix(entry: JsonObject, manifest: JsonObject) -> list[str]:
    names = {investigator["staffId"]: investigator["name"] for investigator in manifest["investigators"]}
    fix = entry["fix"]
    name = names.get(entry["staffId"], "—")
    return [name, MOMENTS[entry["moment"]], *_render_position(fix), _format_time(fix.get("capturedAt"))]


def _render_position(fix: JsonObject) -> list[str]:
    accuracy = fix.get("accuracyM")
    return [
        f"{fix['latitude']:.6f}，{fix['longitude']:.6f}",
        _label(DATUMS, fix["datum"]),
        "—" if accuracy is None else f"{accuracy:.0f} 米",
    ]


def _render_photo(photo: JsonObject, numbers: dict[str, int], manifest: JsonObject) -> JsonObject:
    facts = photo["facts"] or {}
    return {
        "number": numbers[str(photo["id"])],
        "picture": photo["rendition"] or "",
        "label": _find_caption(photo, manifest),
        "capturedAt": _format_time(photo["capturedAt"]),
        "held": ORIGINAL_STATES[photo["held"]] if photo["state"] != "refused" else "内容不被接受，见原件",
        "camera": " ".join(facts[name] for name in ("cameraMake", "cameraModel") if facts.get(name)),
        "sha256": photo["sha256"],
    }


def _find_caption(photo: JsonObject, manifest: JsonObject) -> str:
    """Return the label of the question that the photo was taken for, or else of the question it answers."""
    answers = manifest["visit"]["document"].get("answers", {})
    questions = list(_iterate_questions(manifest))
    taken_for = [question for question in questions if question.id == photo["questionId"]]
    answered_with = [
        question
        for question in questions
        if question.kind in _KINDS_WITH_PHOTOS
        and str(photo["id"]) in msgspec.json.encode(answers.get(question.id)).decode()
    ]
    first = next(iter(taken_for + answered_with), None)
    if first is not None:
        return first.label.zh
    return "纸质走访表" if photo["questionId"] == PAPER_FORM else str(photo["questionId"])


def _iterate_questions(manifest: JsonObject) -> Iterator[Question]:
    for section in msgspec.convert(manifest["checklist"], Template).sections:
        yield from section.questions


def _select_current(findings: list[JsonObject]) -> list[JsonObject]:
    """Select the findings that are not superseded, most severe first, as the desk shows them."""
    order = list(SEVERITIES)
    return sorted(
        (finding for finding in findings if finding["supersededAt"] is None),
        key=lambda finding: (-order.index(finding["severity"]), finding["code"]),
    )


def _render_finding(finding: JsonObject, numbers: dict[str, int]) -> list[str]:
    number = numbers.get(str(finding["evidenceId"]))
    photo = f"（照片 {number}）" if number is not None else ""
    severity = _label(SEVERITIES, finding["severity"])
    return [severity, finding["zh"] + photo, VERDICTS.get(finding["settledAs"] or "", "未处理")]


def _render_decision(decision: JsonObject) -> list[str]:
    undone = f"（{_format_time(decision['undoneAt'])} 撤回）" if decision["undoneAt"] else ""
    outcome = _label(OUTCOMES, decision["outcome"])
    return [
        _format_time(decision["decidedAt"]),
        decision["reviewerName"],
        outcome + undone,
        decision["reason"] or "—",
    ]


# -- answers, with the labels of the checklist


def _render_sections(manifest: JsonObject, members: dict[str, str], numbers: dict[str, int]) -> Iterator[JsonObject]:
    answers = manifest["visit"]["document"].get("answers", {})
    renderer = _AnswerRenderer(members, numbers)
    for section in msgspec.convert(manifest["checklist"], Template).sections:
        rows = [
            [question.label.zh, renderer.render(question, answers[question.id])]
            for question in section.questions
            if question.id in answers
        ]
        if rows:
            yield {"title": section.title.zh, "rows": rows}


class _AnswerRenderer:
    """Renders answers as text, with the members' names and the numbers of the photos on this sheet."""

    def __init__(self, members: dict[str, str], numbers: dict[str, int]) -> None:
        self.members = members
        self.numbers = numbers

    def render(self, cell: Column, value: Any) -> str:
        """Render a value; one of another type than the question's is shown as raw JSON."""
        if value is None or value in ("", []):
            return "—"
        try:
            return self._render_kind(cell, value)
        except (KeyError, TypeError, ValueError, AttributeError):
            return msgspec.json.encode(value).decode()

    def _render_kind(self, cell: Column, value: Any) -> str:
        match cell.kind:
            case "money":
                return f"{value / _FEN:,.2f} 元"
            case "yes_no":
                return "是" if value else "否"
            case "choice":
                return _choice_label(cell, value)
            case "multi_choice":
                return "、".join(_choice_label(cell, code) for code in value)
            case "member_table":
                assert isinstance(cell, Question)
                return "\n".join(self._render_member(cell, row) for row in value)
            case "income_table":
                return "\n".join(_render_income(row) for row in value)
            case "geopoint":
                return "，".join(_render_position(value))
            case "photo":
                return self._render_photos(value)
            case "signature":
                return "\n".join(
                    f"{signature['signerName']}（{self._render_photos([signature['evidenceId']])}）"
                    for signature in value
                )
        return str(value)

    def _render_member(self, table: Question, row: JsonObject) -> str:
        cells = "；".join(
            f"{column.label.zh} {self.render(column, row[column.id])}" for column in table.columns if column.id in row
        )
        return f"{self.members.get(row['memberId'], row['memberId'])}：{cells}"

    def _render_photos(self, ids: list[str]) -> str:
        return "照片 " + "、".join(str(self.numbers.get(photo_id, "？")) for photo_id in ids)


def _choice_label(cell: Column, code: str) -> str:
    return next((choice.label.zh for choice in cell.choices if choice.code == code), code)


def _render_income(row: JsonObject) -> str:
    kind = INCOME_KINDS[row["kind"]][0]
    months = count_months(row.get("periodFrom"), row.get("periodTo"))
    amounts = [
        f"{name}合计 {row[field] / _FEN:,.2f} 元"
        + (f"（每月 {row[field] // months / _FEN:,.2f} 元）" if months else "")
        for field, name in (("declaredFen", "申报"), ("foundFen", "核实"))
        if row.get(field) is not None
    ]
    period = f"（{row.get('periodFrom') or '—'} 至 {row.get('periodTo') or '—'}）"
    note = f"，{row['note']}" if row.get("note") else ""
    return f"{kind}{period}：{'，'.join(amounts)}{note}"


def _label(labels: dict[str, str], code: str) -> str:
    return labels.get(code, code)


def _format_time(value: datetime | str | None) -> str:
    """Format a moment in Chinese time; phones send theirs as text."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return "—" if moment is None else f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
