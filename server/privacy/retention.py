"""What is kept how long, in one table: for the desk, for people who ask, and for docs/retention.md.

Days that an area may set come from its policy settings; the rest is how the system is built.
"""

from datetime import date
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from server.core.http import ResponseBody
from server.policy.resolver import load_policy_values_with_sources


class RetentionRule(NamedTuple):
    """`setting` gives the days; without one `zh` and `en` say how long."""

    what_zh: str
    what_en: str
    zh: str
    en: str
    source: str
    setting: str | None = None


RETENTION: tuple[RetentionRule, ...] = (
    RetentionRule(
        "申请、审核、确认、变更、停发和金额的记录",
        "applications, decisions, changes, stops and amounts",
        "自停发或办结之日起至少 {days} 天，到期前不删除",
        "at least {days} days after the stop or the end; not deleted before",
        "最低生活保障审核确认办法",
        "privacy.case_file_days",
    ),
    RetentionRule(
        "走访记录、答案、疑点、审核决定",
        "visits, their answers, findings and decisions",
        "同所属家庭的申请记录",
        "as the applications of the household",
        "最低生活保障审核确认办法",
    ),
    RetentionRule(
        "救助台账：发放的钱物、领取人、疑点", "aid in money and goods: what was handed out, to whom, findings",
        "同所属家庭的申请记录", "as the applications of the household", "最低生活保障审核确认办法",
    ),
    RetentionRule(
        "走访照片和签名", "photos and signatures of visits",
        "家庭停保后 {days} 天", "{days} days after the household's stop",
        "最低生活保障审核确认办法", "retention.visit_photo_days",
    ),
    RetentionRule(
        "公示张贴的照片", "photos of postings", "张贴后 {days} 天", "{days} days after the posting",
        "最低生活保障审核确认办法", "retention.posting_photo_days",
    ),
    RetentionRule(
        "其他工作的照片和签名", "photos and signatures of other work",
        "提交后 {days} 天", "{days} days after submission",
        "个人信息保护法第十九条", "retention.record_photo_days",
    ),
    RetentionRule(
        "没有提交走访的照片", "photos of visits that never came", "{days} 天", "{days} days",
        "个人信息保护法第十九条", "retention.unsubmitted_photo_days",
    ),
    RetentionRule(
        "退回的材料照片", "photos of papers that were returned", "{days} 天", "{days} days",
        "个人信息保护法第十九条", "retention.returned_paper_days",
    ),
    RetentionRule(
        "与登记不符的文件", "bytes that nobody announced", "{days} 天", "{days} days",
        "个人信息保护法第十九条", "retention.mismatched_days",
    ),
    RetentionRule(
        "导出的加密数据包", "sealed packages of everything an area holds",
        "写成后 {days} 天", "{days} days after they were written",
        "个人信息保护法第十九条", "retention.package_days",
    ),
    RetentionRule(
        "身份证号、电话、账号", "numbers of identity cards, telephones, accounts",
        "加密保存，同家庭记录；电话和微信绑定可应请求删除",
        "sealed, as the household's record; telephone and WeChat bindings are deleted when asked",
        "个人信息保护法第四十七条、第五十一条",
    ),
    RetentionRule(
        "审计记录", "audit trail", "永久，不含姓名和号码", "for good, without names and numbers",
        "网络安全法第二十一条",
    ),
    RetentionRule(
        "查阅记录（谁看过谁）", "read trail (who looked at whom)",
        "由系统设置决定，默认 1095 天，至少 180 天",
        "as the installation sets it, 1095 days by default, at least 180",
        "网络安全法第二十一条",
    ),
    RetentionRule(
        "登录失败和查询次数", "failed sign-ins and look-ups", "密钥散列，2 天", "keyed hashes, 2 days",
        "个人信息保护法第十九条",
    ),
    RetentionRule(
        "隐私告知的同意、个人信息请求及答复", "consents, requests about data and their answers",
        "同所属家庭的申请记录", "as the applications of the household", "个人信息保护法第五十条",
    ),
    RetentionRule(
        "问题报告", "reports of problems", "不含个人信息，长期", "nothing personal, for good", "",
    ),
)  # fmt: skip


class RetentionTableRow(ResponseBody):
    what_zh: str
    what_en: str
    zh: str
    en: str
    source: str
    setting: str | None


async def list_retention(session: AsyncSession, area_code: str, on: date) -> list[RetentionTableRow]:
    """List what is kept how long in an area, by its settings of a day."""
    values = {
        key: value
        for prefix in ("privacy.", "retention.")
        for key, value in (await load_policy_values_with_sources(session, area_code, on, prefix)).items()
    }
    return [_line(rule, values[rule.setting].value if rule.setting else None) for rule in RETENTION]


def _line(rule: RetentionRule, days: int | None) -> RetentionTableRow:
    return RetentionTableRow(
        what_zh=rule.what_zh,
        what_en=rule.what_en,
        zh=rule.zh.format(days=days),
        en=rule.en.format(days=days),
        source=rule.source,
        setting=rule.setting,
    )


def write_table() -> str:
    """Return the table of docs/retention.md; days stand for the settings that give them."""
    rows = [
        f"| {rule.what_zh} / {rule.what_en} | {_said(rule.zh, rule)} / {_said(rule.en, rule)} | {rule.source or '–'} |"
        for rule in RETENTION
    ]
    return "\n".join(["| what | how long | source |", "|---|---|---|", *rows])


def _said(text: str, rule: RetentionRule) -> str:
    return text.format(days=f"`{rule.setting}`")
