"""The title and paragraphs of each notice about a step of a case, in Chinese."""

from datetime import date
from typing import NamedTuple

from server.core.money import format_fen
from server.core.pdf import format_date_zh
from server.core.working_days import day_of
from server.models.cases import CaseEvent, CaseFile

_APPEAL = "如不服本决定，可以向本机关申诉，也可以依法申请行政复议或者提起行政诉讼。"


class NoticeText(NamedTuple):
    title: str
    paragraphs: list[str]


def notice_text(kind: str, case: CaseFile, event: CaseEvent) -> NoticeText:
    """Return the text of a notice about a stored event."""
    return _TEXTS[kind](case, event)


def _accepted_text(case: CaseFile, event: CaseEvent) -> NoticeText:
    applied, accepted = format_date_zh(case.applied_on), format_date_zh(day_of(event.at))
    opening = f"您于{applied}提出的最低生活保障申请，材料齐全，已于{accepted}受理。"
    return NoticeText("最低生活保障申请受理通知书", [opening])


def _papers_text(case: CaseFile, event: CaseEvent) -> NoticeText:
    del event
    opening = f"您于{format_date_zh(case.applied_on)}提出的最低生活保障申请，尚缺下列材料，现一次性告知，请补齐："
    return NoticeText("补正材料一次性告知书", [opening])


def _refused_text(case: CaseFile, event: CaseEvent) -> NoticeText:
    if event.step == "not_accepted":
        opening = f"您于{format_date_zh(case.applied_on)}提出的最低生活保障申请，经审查不予受理。理由如下："
        return NoticeText("最低生活保障申请不予受理通知书", [opening, event.facts.get("reason", ""), _APPEAL])
    opening = f"您于{format_date_zh(case.applied_on)}提出的最低生活保障申请，经审核不予确认。理由如下："
    return NoticeText("最低生活保障不予确认通知书", [opening, event.facts.get("reason", ""), _APPEAL])


def _confirmed_text(case: CaseFile, event: CaseEvent) -> NoticeText:
    amount_fen = int(event.facts.get("amountFen", 0))
    if event.step == "came_back":
        return _came_back_text(case, event, amount_fen)
    since = case.paid_from or day_of(event.at)
    opening = f"您于{format_date_zh(case.applied_on)}提出的最低生活保障申请，经审核确认，予以保障。"
    money = f"每月保障金{format_fen(amount_fen)}，自{since.year}年{since.month}月起发放。"
    return NoticeText("最低生活保障确认通知书", [opening, money, "家庭情况发生变化的，请及时报告。", _APPEAL])


def _came_back_text(case: CaseFile, event: CaseEvent, amount_fen: int) -> NoticeText:
    month = date.fromisoformat(event.facts["month"])
    opening = f"您家庭的最低生活保障（{case.number}）停发后，经重新核实，决定恢复保障。理由如下："
    money = f"每月保障金{format_fen(amount_fen)}，自{month.year}年{month.month}月起发放。"
    return NoticeText(
        "恢复最低生活保障通知书",
        [opening, event.facts.get("reason", ""), money, "家庭情况发生变化的，请及时报告。", _APPEAL],
    )


def _changed_text(case: CaseFile, event: CaseEvent) -> NoticeText:
    del case
    before_fen, amount_fen = int(event.facts["beforeFen"]), int(event.facts["amountFen"])
    month = date.fromisoformat(event.facts["month"])
    word = "增发" if amount_fen > before_fen else "减发"
    opening = (
        f"经核定，您家庭的最低生活保障金自{month.year}年{month.month}月起{word}，"
        f"由每月{format_fen(before_fen)}调整为每月{format_fen(amount_fen)}。理由如下："
    )
    return NoticeText("最低生活保障金调整通知书", [opening, event.facts.get("reason", ""), _APPEAL])


def _stopped_text(case: CaseFile, event: CaseEvent) -> NoticeText:
    month = date.fromisoformat(event.facts["month"])
    opening = f"您家庭的最低生活保障金（{case.number}）自{month.year}年{month.month}月起停发。理由如下："
    reapply = "家庭再次出现困难的，可以重新提出申请。"
    return NoticeText("停发最低生活保障金通知书", [opening, event.facts.get("reason", ""), reapply, _APPEAL])


_TEXTS = {
    "accepted": _accepted_text,
    "papers": _papers_text,
    "refused": _refused_text,
    "confirmed": _confirmed_text,
    "changed": _changed_text,
    "stopped": _stopped_text,
}
