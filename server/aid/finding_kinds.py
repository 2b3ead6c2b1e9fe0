"""What may be wrong with aid, each with its sentence. A person judges it; the codes stand in rows and never change."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from server.aid.quantities import format_milli
from server.core.money import format_fen


class FindingKind(NamedTuple):
    zh: str
    en: str


FINDING_KINDS: Mapping[str, FindingKind] = {
    # of a line
    "not_in_force": FindingKind("{month} 没有在保", "No case in force in {month}"),
    "twice_in_month": FindingKind(
        "本月同类救助已有 {count} 次（{numbers}）", "{count} times the same kind in the month ({numbers})"
    ),
    "same_signature": FindingKind("与另外 {count} 户同一签名图片", "The same picture of a signature as {count} others"),
    "signature_missing": FindingKind(
        "手机登记列有签名，但签名图片没有传到或无法使用",
        "The phone listed a signature, but its picture has not come or is unusable",
    ),
    "recorded_after_handover": FindingKind(
        "手机登记收到时，{name} 已不负责这一户", "When it arrived, {name} had this home no more"
    ),
    "same_recipient": FindingKind("“{name}”在本批次代领 {count} 户", "{name} received for {count} homes of the batch"),
    "more_than_planned": FindingKind("发放 {given}，核定 {planned}", "{given} were given, {planned} were agreed"),
    "said_not_received": FindingKind("家庭说没有收到", "The household says that it did not receive it"),
    "recorded_again": FindingKind("已发放，手机又登记 {count} 次", "Handed out, and {count} more recorded by phone"),
    "recorded_late": FindingKind(
        "批次或该行已结束，手机登记 {count} 次未入账", "{count} recorded by phone after the batch or the line had ended"
    ),
    "given_after_close": FindingKind(
        "批次关闭时记为未发放，其后手机登记已发放 {count} 次；认定属实即入账",
        "Closed as not handed out; {count} recorded by phone afterwards say that it was, and are entered if that is so",
    ),
    "record_unreadable": FindingKind(
        "手机登记 {count} 次台账无法读取，未入账，请查看原记录",
        "{count} recorded by phone that the ledger could not read and did not enter: look at the records",
    ),
    "amended_on_phone": FindingKind(
        "手机登记已补正为第 {version} 版，发放情况有变",
        "Amended on the phone (version {version}), other than it was",
    ),
    "amended_not_given": FindingKind(
        "手机补正为未发放，台账仍为已发放",
        "Amended on the phone: not handed out; the ledger says it was",
    ),
    "by_hand": FindingKind("由经办人剔除", "Left out by hand"),
    # of the batch as a whole
    "more_than_bought": FindingKind("核定共 {planned}，采购 {bought}", "{planned} are planned, {bought} were bought"),
    "more_given_than_bought": FindingKind(
        "已发放 {given}，采购 {bought}", "{given} were handed out, {bought} were bought"
    ),
    "homes_differ": FindingKind("{counted} 户，文件写 {stated} 户", "{counted} homes, the paper says {stated}"),
    "people_differ": FindingKind("{counted} 人次，文件写 {stated} 人次", "{counted} people, the paper says {stated}"),
    "quantity_differs": FindingKind(
        "各行合计 {counted}，文件写 {stated}", "The lines add up to {counted}, the paper says {stated}"
    ),
    "amount_differs": FindingKind(
        "各行合计 {sum}，文件写 {total}", "The lines add up to {sum}, the paper says {total}"
    ),
}
# Facts in fen, and facts in thousandths of the batch's unit.
_MONEY = {"sum", "total"}
_QUANTITIES = {
    "more_than_planned": {"given", "planned"},
    "more_than_bought": {"planned", "bought"},
    "more_given_than_bought": {"given", "bought"},
    "quantity_differs": {"counted", "stated"},
}


def describe_finding(code: str, facts: Mapping[str, Any], unit_zh: str, unit_en: str) -> tuple[str, str]:
    """Return the sentence of a finding in Chinese and English."""
    kind = FINDING_KINDS[code]
    quantities = _QUANTITIES.get(code, set())

    def show(unit: str) -> dict[str, Any]:
        return {
            key: format_fen(value)
            if key in _MONEY
            else f"{format_milli(value)} {unit}"
            if key in quantities
            else "、".join(value)
            if isinstance(value, list)
            else value
            for key, value in facts.items()
        }

    return kind.zh.format_map(show(unit_zh)), kind.en.format_map(show(unit_en))
