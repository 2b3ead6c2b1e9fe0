"""Which tables a package of an area holds, in which words, and how their rows of the area are found.

Every table is declared, in `PACKAGED` or in `LEFT_OUT` with the reason (tests/packages). The conditions are SQL over
the row `t`; `:area` is the code of the area with a `%` behind it.
"""

from typing import NamedTuple

from sqlalchemy import Table

from server.models import Base


class PackagedTable(NamedTuple):
    """`is_read_back`: an import writes it. `is_shared`: rows that the other installation has already are left there."""

    zh: str
    condition: str
    left_out: tuple[str, ...] = ()
    is_read_back: bool = True
    is_shared: bool = False


_IN_AREA = "t.area_code LIKE :area"
_OF_HOME = "t.household_id IN (SELECT id FROM household_rows)"
_OF_CASE = "t.case_id IN (SELECT id FROM case_file_rows)"
_OF_VISIT = "t.visit_id IN (SELECT id FROM visit_rows)"


def _of(column: str, table: str) -> str:
    return f"t.{column} IN (SELECT id FROM {table}_rows)"  # noqa: S608  names of the models


def _in_area_or_named_by(table: str, column: str) -> str:
    """A list of a wider area belongs to the package of every home it names."""
    return f"{_IN_AREA} OR t.id IN (SELECT {column} FROM {table}_rows)"  # noqa: S608  names of the models


# Rows that other rows of the package name; `list_references` finds them by the foreign keys.
_NAMED = "t.id IN (SELECT id FROM named_{table})"
_HOMES = (
    "t.area_code LIKE :area"
    " OR t.id IN (SELECT merged_into FROM household WHERE area_code LIKE :area)"
    " OR t.merged_into IN (SELECT id FROM household WHERE area_code LIKE :area)"
)

PACKAGED: dict[str, PackagedTable] = {
    "area": PackagedTable("行政区划", "t.code IN (SELECT code FROM named_area)", is_shared=True),
    "area_change": PackagedTable("区划变更", "t.from_code LIKE :area"),
    "area_rule": PackagedTable("本地政策设置", _IN_AREA),
    "area_rule_proposal": PackagedTable("政策设置提议", _IN_AREA),
    "village_group": PackagedTable("村民组", "t.village_code LIKE :area"),
    "checklist_template": PackagedTable(
        "走访表版本",
        "(t.code, t.version) IN (SELECT checklist_code, checklist_version FROM visit_rows"
        " UNION SELECT checklist_code, checklist_version FROM record_rows"
        " UNION SELECT checklist_code, checklist_version FROM assignment_rows)",
        ("id", "published_at", "published_by"),
        is_shared=True,
    ),
    "staff": PackagedTable("工作人员", _NAMED.format(table="staff"), ("password_hash", "wechat_openid")),
    "staff_role": PackagedTable("岗位", _IN_AREA),
    "deputyship": PackagedTable("代班", _NAMED.format(table="deputyship")),
    "resident": PackagedTable("群众账号（无微信标识）", _NAMED.format(table="resident"), ("wechat_openid",)),
    "device": PackagedTable(
        "设备（仅作来源）",
        _NAMED.format(table="device"),
        (
            "hardware_id", "last_seen_at", "last_sync_at", "pending_rows", "clock_offset_ms", "second_factor_due",
            "ended_at", "end_reason",
        ),
    ),
    "household": PackagedTable("家庭", _HOMES),
    "household_member": PackagedTable("家庭成员", _OF_HOME),
    "household_version": PackagedTable("家庭历史版本", _OF_HOME),
    "household_merge": PackagedTable("家庭合并", _of("kept_id", "household")),
    "duplicate_pair": PackagedTable(
        "疑似重复", f"{_of('first_id', 'household')} AND {_of('second_id', 'household')}"
    ),
    "bank_account": PackagedTable("银行账户", _OF_HOME),
    "relative_on_staff": PackagedTable("近亲属备案", _OF_HOME),
    "caseload": PackagedTable("包户", _OF_HOME),
    "assignment": PackagedTable("走访任务", _OF_HOME),
    "blocked_visit": PackagedTable("暂不能派的走访", _OF_HOME),
    "proposal": PackagedTable("更正申请", _OF_HOME),
    "privacy_consent": PackagedTable("隐私告知同意", _OF_HOME),
    "data_request": PackagedTable("个人信息请求", _OF_HOME),
    "case_file": PackagedTable("申请案卷", _OF_HOME),
    "door_application": PackagedTable("上门申请待处理", _IN_AREA),
    "case_event": PackagedTable("案卷经过", _OF_CASE),
    "case_deadline": PackagedTable("时限", _OF_CASE),
    "case_paper": PackagedTable("材料", _OF_CASE),
    "paper_photo": PackagedTable("材料照片", _OF_CASE),
    "income_item": PackagedTable("收入", _OF_HOME),
    "property_item": PackagedTable("财产", _OF_HOME),
    "calculation": PackagedTable("测算", _OF_CASE),
    "difference_reason": PackagedTable("差异说明", _OF_CASE),
    "certificate": PackagedTable("保障证", _OF_CASE),
    "change_report": PackagedTable("变化报告", _OF_CASE),
    "cross_check_batch": PackagedTable("核对批次", _in_area_or_named_by("cross_check", "batch_id")),
    "cross_check": PackagedTable("核对", _OF_CASE),
    "grace_end": PackagedTable("渐退期满", _OF_CASE),
    "hearing": PackagedTable("评议", _OF_CASE),
    "panel_seat": PackagedTable("评议席位", _of("hearing_id", "hearing")),
    "benefit_change": PackagedTable("待遇变动", _OF_CASE),
    "payment_proposal": PackagedTable("金额提议", _OF_CASE),
    "periodic_proof": PackagedTable("定期证明", _OF_CASE),
    "found_figure": PackagedTable("走访所见数字", _OF_VISIT),
    "standard_raise": PackagedTable("提标", _in_area_or_named_by("standard_raise_line", "raise_id")),
    "standard_raise_line": PackagedTable("提标明细", _OF_CASE),
    "change_return": PackagedTable("变动月报", _IN_AREA),
    "posting": PackagedTable("公示", _in_area_or_named_by("posting_entry", "posting_id")),
    "posting_entry": PackagedTable("公示名单", _OF_CASE),
    "posting_place": PackagedTable("张贴地点", _of("posting_id", "posting")),
    "disclosure": PackagedTable("长期公示", _IN_AREA),
    "objection": PackagedTable("异议", _OF_CASE),
    "complaint": PackagedTable("投诉举报", f"{_IN_AREA} OR {_OF_HOME}"),
    "visit": PackagedTable("走访", _OF_HOME),
    "visit_version": PackagedTable("走访历史版本", _OF_VISIT),
    "visit_investigator": PackagedTable("走访人员", _OF_VISIT),
    "attestation": PackagedTable("走访人员确认", _OF_VISIT),
    "withdrawal_proposal": PackagedTable("撤销提议", _OF_VISIT),
    "finding": PackagedTable("疑点", _OF_VISIT),
    "review_item": PackagedTable("审核", _OF_VISIT),
    "decision": PackagedTable("审核决定", _OF_VISIT),
    "visit_tally": PackagedTable("走访统计", _OF_VISIT),
    "seen_fix": PackagedTable("走访定位", _OF_VISIT),
    "seen_photo": PackagedTable("照片指纹", _OF_VISIT),
    "spot_check_plan": PackagedTable("抽查计划", _in_area_or_named_by("spot_check", "plan_id")),
    "spot_check": PackagedTable("抽查", _OF_VISIT),
    "evidence": PackagedTable("照片登记", f"{_OF_VISIT} OR {_of('subject_id', 'record')}"),
    "photo": PackagedTable(
        "照片",
        "t.sha256 IN (SELECT sha256 FROM evidence_rows UNION SELECT sha256 FROM paper_photo_rows)",
    ),
    "photo_tombstone": PackagedTable(
        "到期删除的照片",
        "t.sha256 IN (SELECT sha256 FROM evidence_rows UNION SELECT sha256 FROM paper_photo_rows)",
    ),
    "task": PackagedTable("其他工作任务", _IN_AREA),
    "record": PackagedTable("其他工作记录", _in_area_or_named_by("aid_line", "record_id")),
    "record_version": PackagedTable("其他工作历史版本", _of("record_id", "record")),
    "roster": PackagedTable("发放册", _in_area_or_named_by("roster_line", "roster_id")),
    "roster_line": PackagedTable("发放明细", _OF_HOME),
    "roster_part": PackagedTable("发放构成", _of("line_id", "roster_line")),
    "roster_finding": PackagedTable(
        "发放疑点", f"{_of('roster_id', 'roster')} AND (t.household_id IS NULL OR {_OF_HOME})"
    ),
    "bank_answer": PackagedTable("银行回执", _of("roster_id", "roster")),
    "late_return": PackagedTable("事后退回", _of("line_id", "roster_line")),
    "aid_batch": PackagedTable("救助批次", _in_area_or_named_by("aid_line", "batch_id")),
    "aid_line": PackagedTable("救助明细", _OF_HOME),
    "aid_line_record": PackagedTable(
        "救助手机登记", f"{_of('line_id', 'aid_line')} AND {_of('record_id', 'record')}"
    ),
    "aid_finding": PackagedTable(
        "救助疑点", f"{_of('batch_id', 'aid_batch')} AND (t.line_id IS NULL OR {_of('line_id', 'aid_line')})"
    ),
    "audit_entry": PackagedTable("审计记录（只供查阅）", _IN_AREA, is_read_back=False),
}  # fmt: skip

# What an export from the desk leaves empty: whoever complained or objected, of whom, and in which words. Nobody reads
# all of it at the desk, and the person it is about may be the one who exports. The command line has it.
WITHHELD: dict[str, tuple[str, ...]] = {
    "aid_line": ("complaint_id",),
    "complaint": ("against", "case_id", "household_id", "reply", "reporter", "resident_id", "text"),
    "objection": ("answer", "contact", "text"),
    "roster_line": ("complaint_id",),
}
# Of entries about a complaint or an objection.
WITHHELD_OF_TRAIL = ("actor_id", "device_id", "facts", "request_id")

_SESSION = "a session or a secret of this installation"
_DERIVED = "computed from other rows"
_PASSING = "work of the day, of no use elsewhere"
_MESSAGE = "a message to an account of this installation"
_WECHAT = "belongs to the WeChat accounts of this installation"
LEFT_OUT: dict[str, str] = {
    "announcement": _MESSAGE,
    "area_export": "who took what out of this installation",
    "attempt_lock": _SESSION,
    "attempt_window": _SESSION,
    "audit_seal": "a chain of signatures goes on in no other installation",
    "binding_code": _SESSION,
    "calendar_day": "each installation enters the decree of the State Council",
    "day_plan_stop": _PASSING,
    "failed_job": "jobs of this installation",
    "feed": "what each phone holds; written anew for those who hold the homes",
    "identity": _WECHAT,
    "import_batch": _PASSING,
    "import_line": _PASSING,
    "installation": "names this installation",
    "kept_row": "what a phone sent and this installation refused; its staff must answer it here",
    "message_consent": _MESSAGE,
    "message_delivery": _MESSAGE,
    "message_stop": _MESSAGE,
    "mismatched_upload": "bytes that nobody announced",
    "notice": _MESSAGE,
    "phone_key": _SESSION,
    "problem_report": "of this installation's program, nothing personal",
    "qr_sign_in": _SESSION,
    "queue_count": _DERIVED,
    "read_entry": "who looked at whom is answered for by the office that showed it",
    "recovery_code": _SESSION,
    "refresh_token": _SESSION,
    "resident_binding": "people bind anew, to the WeChat account of the other office",
    "saved_view": _PASSING,
    "second_factor": _SESSION,
    "seen_mark": "computed from the photos by `backfill-photo-features`",
    "sign_in_code": _SESSION,
    "sign_in_link": _SESSION,
    "upload": _PASSING,
    "upload_chunk": _PASSING,
    "visit_month": _DERIVED,
    "visit_month_change": _DERIVED,
    "wechat_event": _WECHAT,
    "wechat_flow": _SESSION,
    "wechat_follower": _WECHAT,
    "wechat_ticket": _SESSION,
    "wechat_use": _WECHAT,
}


def list_withheld() -> list[str]:
    return [f"{table}.{column}" for table, columns in WITHHELD.items() for column in columns] + [
        f"audit_entry.{column}" for column in WITHHELD_OF_TRAIL
    ]


def list_packaged() -> list[Table]:
    """Return the tables of a package, each after those that it refers to."""
    return [table for table in Base.metadata.sorted_tables if table.name in PACKAGED]
