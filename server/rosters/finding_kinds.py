"""What may be wrong with a line of a roster, each with its sentence. The codes stand in rows and never change.

Nobody may pay in spite of a `certain` finding: the line is left out, or its cause is mended and the roster drafted
again. The others a person judges, with a reason.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from server.core.money import format_fen


class FindingKind(NamedTuple):
    zh: str
    en: str
    is_certain: bool = False


FINDING_KINDS: Mapping[str, FindingKind] = {
    # of the line's people
    "no_account": FindingKind("没有收款账户", "There is no account", is_certain=True),
    "head_no_member": FindingKind("户主不在家庭成员中", "The head is no member of the household"),
    "payee_no_member": FindingKind(
        "账户户名“{payee}”不是家庭成员，也不是户主", "The account is in the name of {payee}, who is no member"
    ),
    "payee_not_head": FindingKind(
        "账户户名“{payee}”不是户主，是家庭成员", "The account is in the name of {payee}, a member but not the head"
    ),
    "beneficiary_left": FindingKind(
        "{count} 名享受人已不在家庭成员中", "{count} beneficiaries are no members any more"
    ),
    "people_differ": FindingKind(
        "享受人数 {people} 与核算人数 {counted} 不符", "{people} people by the decision, {counted} by the calculation"
    ),
    "two_cases": FindingKind("同一户有 {count} 件在保案件", "{count} cases of the household are paid at once"),
    "person_elsewhere": FindingKind(
        "家庭成员中有 {count} 人同时是本月另一发放户的成员",
        "{count} members are also members of another household that is paid this month",
    ),
    "certificate_missing": FindingKind("本月没有有效的低保证", "No certificate is valid in this month"),
    "certificate_differs": FindingKind(
        "低保证 {number} 的持证人是“{holder}”，不是户主", "Certificate {number} is of {holder}, who is not the head"
    ),
    # of its account
    "shared_account": FindingKind("与另外 {count} 户同一账户", "{count} other households have the same account"),
    "account_changed": FindingKind(
        "账户与上次发放不同（经办 {by}，复核 {agreed}）", "Another account than last time (by {by}, agreed by {agreed})"
    ),
    "account_stale": FindingKind(
        "造册后账户已变更，请重新造册", "The account changed since the draft: draft again", is_certain=True
    ),
    "account_unchanged": FindingKind(
        "退回后账户没有变更（{why}）", "Returned ({why}), and the account is still the same"
    ),
    # of its amount
    "first_payment": FindingKind("首次发放", "Paid for the first time"),
    "outlier": FindingKind(
        "本次 {total}，近几个月平均 {average}", "{total} this time, {average} on average of the last months"
    ),
    "arrears": FindingKind("补发 {arrears}（{months} 个月）", "Arrears of {arrears} for {months} months"),
    "recovery": FindingKind("扣回 {recovery}（{months} 个月多发）", "Recovers {recovery} overpaid in {months} months"),
    "recovery_whole": FindingKind("扣回后实发为零", "Nothing is left after the recovery"),
    "amount_differs": FindingKind(
        "名册 {line}，按决定应为 {now}，请重新造册", "{line} here, {now} by the decisions: draft again", is_certain=True
    ),
    "arrears_twice": FindingKind(
        "补发的月份已发过，请重新造册", "Pays months again that are paid already: draft again", is_certain=True
    ),
    "correction_differs": FindingKind(
        "更正 {line}，按现在的决定应为 {now}，请重新造册",
        "The correction pays {line}, {now} by the decisions: draft again",
        is_certain=True,
    ),
    "correction_changed": FindingKind(
        "退回 {now}，按退回后的决定更正为 {line}", "{now} were returned, {line} by the decisions made since"
    ),
    "returned_late": FindingKind(
        "银行曾于 {on} 答复已发放，后又退回", "The bank had answered on {on} that it was paid, and returned it later"
    ),
    "visit_differs": FindingKind(
        "走访或核对查明的收入与核算不符（人均每月 {difference}）",
        "A visit or another office found other incomes ({difference} a head and month)",
    ),
    # of what was reported
    "dead": FindingKind("有人报告家庭成员去世", "A death in the household was reported"),
    "death_certain": FindingKind("因去世已决定停发", "The payment is stopped because of a death", is_certain=True),
    "stopped": FindingKind("本月已停发", "The payment is stopped for this month", is_certain=True),
    "stop_proposed": FindingKind("已提出停发或调整，尚未决定", "A stop or change is proposed and not decided"),
    # of the roster as a whole
    "home_missing": FindingKind(
        "应发而未列入名册，请重新造册", "Owed, and not on the roster: draft again", is_certain=True
    ),
    "not_on_roster": FindingKind(
        "{count} 户在保但未确认城乡类别，未列入任何名册", "{count} households in force have no programme, so no roster"
    ),
    "not_published": FindingKind(
        "{count} 户已确认并应从本月或更早起发放，但尚未公布，未列入名册",
        "{count} households are granted from this month or before and not disclosed, so on no roster",
    ),
    "paid_without_case": FindingKind(
        "{count} 户登记了月金额但没有在保案件，未列入名册", "{count} households have an amount but no case in force"
    ),
    "first_roster": FindingKind(
        "本地区此项目第一次造册：{count} 户都是首次发放",
        "The program's first roster here: all {count} are first payments",
    ),
    "by_hand": FindingKind("由经办人剔除", "Left out by hand"),
}
# Amounts in fen among the facts, shown as money.
_MONEY = {"line", "now", "total", "average", "arrears", "recovery", "difference"}


def describe_finding(code: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return the sentence of a finding in Chinese and English."""
    kind = FINDING_KINDS[code]
    shown = {key: format_fen(value) if key in _MONEY else value for key, value in facts.items()}
    return kind.zh.format_map(_Shown(shown)), kind.en.format_map(_Shown(shown))


class _Shown(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "–"
