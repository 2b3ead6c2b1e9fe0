"""Columns of exported aid. Money is in yuan with two decimals, quantities with up to three, both exact."""

from server.aid.quantities import milli_to_units
from server.http.exports import Columns, fen_to_yuan

BATCH_STATES = {
    "drafted": "草稿",
    "prepared": "已提交",
    "released": "发放中",
    "closed": "已完成",
    "cancelled": "已作废",
}
LINE_STATES = {
    "planned": "待发放",
    "left_out": "已剔除",
    "handed_out": "已发放",
    "not_handed_out": "未发放",
    "taken_back": "已收回",
    "cancelled": "已作废",
}
_RECIPIENTS = {"head": "户主", "member": "家庭成员", "proxy": "代领", None: None}
_STANCES = {"received": "收到", "not_received": "没有收到", None: None}
_VERDICTS = {"dismissed": "排除", "upheld": "属实", None: "待处理"}
_LINE_SOURCES = {"batch": "批次", "entry": "手工登记", "import": "导入"}
BATCH_COLUMNS: Columns = {
    "批次编号": lambda batch: batch.number,
    "救助种类": lambda batch: batch.kind_zh,
    "资金": lambda batch: batch.fund,
    "月份": lambda batch: f"{batch.month:%Y-%m}",
    "所在地": lambda batch: batch.area_name,
    "行政区划代码": lambda batch: batch.area_code,
    "状态": lambda batch: BATCH_STATES[batch.state],
    "户数": lambda batch: batch.homes,
    "人次": lambda batch: batch.people,
    "单位": lambda batch: batch.unit_zh,
    "核定数量": lambda batch: milli_to_units(batch.planned_milli),
    "核定金额（元）": lambda batch: fen_to_yuan(batch.planned_fen),
    "采购数量": lambda batch: milli_to_units(batch.bought_milli),
    "已发放数量": lambda batch: milli_to_units(batch.given_milli),
    "已发放金额（元）": lambda batch: fen_to_yuan(batch.given_fen),
    "待处理疑点": lambda batch: batch.open_findings,
}
LINE_COLUMNS: Columns = {
    "批次编号": lambda line: line.batch_number,
    "救助种类": lambda line: line.kind_zh,
    "事由": lambda line: line.cause_zh,
    "资金": lambda line: line.fund,
    "月份": lambda line: f"{line.month:%Y-%m}",
    "户编号": lambda line: line.household_number,
    "户主": lambda line: line.head_name,
    "受助成员": lambda line: line.member_name,
    "人数": lambda line: line.people,
    "所在地": lambda line: line.area_name,
    "单位": lambda line: line.unit_zh,
    "核定数量": lambda line: milli_to_units(line.planned_milli),
    "核定金额（元）": lambda line: fen_to_yuan(line.planned_fen),
    "状态": lambda line: LINE_STATES[line.state],
    "发放数量": lambda line: milli_to_units(line.given_milli),
    "发放金额（元）": lambda line: fen_to_yuan(line.given_fen),
    "发放日期": lambda line: line.given_on,
    "领取": lambda line: _RECIPIENTS[line.recipient],
    "领取人": lambda line: line.recipient_name,
    "与户主关系": lambda line: line.relation,
    "有签名": lambda line: line.has_signature,
    "来源": lambda line: _LINE_SOURCES[line.source],
    "登记人": lambda line: line.recorded_by_name,
    "手机登记": lambda line: line.record_id is not None,
    "说明": lambda line: line.reason,
    "家庭意见": lambda line: _STANCES[line.stance],
    "投诉编号": lambda line: line.complaint_number,
}
FINDING_COLUMNS: Columns = {
    "户编号": lambda finding: finding.household_number,
    "户主": lambda finding: finding.head_name,
    "疑点": lambda finding: finding.zh,
    "处理": lambda finding: _VERDICTS[finding.verdict],
    "理由": lambda finding: finding.reason,
    "处理人": lambda finding: finding.judged_by_name,
    "处理时间": lambda finding: finding.judged_at,
}
_OUTCOMES = {
    "entered": "已入账",
    "repeated": "重复，未入账",
    "late": "已结束，未入账",
    "contrary": "补正为未发放，待核实",
    "overtaken": "已由他人发放",
    "unreadable": "无法读取，未入账",
}
_PICTURES = {
    "none": "无",
    "missing": "未上传",
    "announced": "未上传",
    "received": "处理中",
    "verified": "已上传",
    "refused": "无法使用",
}
PHONE_RECORD_COLUMNS: Columns = {
    "记录编号": lambda record: record.record_id,
    "户编号": lambda record: record.household_number,
    "户主": lambda record: record.head_name,
    "所在地": lambda record: record.area_name,
    "记录人": lambda record: record.author_name,
    "时间": lambda record: record.started_at,
    "提交时间": lambda record: record.submitted_at,
    "已发放": lambda record: record.given,
    "台账": lambda record: _OUTCOMES[record.outcome],
    "版本": lambda record: record.version,
    "签名或手印": lambda record: _PICTURES[record.signature],
    "照片数": lambda record: record.photos,
}
VILLAGE_COLUMNS: Columns = {
    "行政区划代码": lambda village: village.area_code,
    "村（社区）": lambda village: village.area_name,
    "专干": lambda village: "、".join(village.caseworkers),
    "期限": lambda village: village.due_on,
    "待发放": lambda village: village.waiting,
    "已发放": lambda village: village.given,
    "未发放": lambda village: village.not_given,
    "手机登记": lambda village: village.by_phone,
}
REPORT_COLUMNS: Columns = {
    "月份": lambda row: f"{row.month:%Y-%m}",
    "所在地": lambda row: row.area_name,
    "行政区划代码": lambda row: row.area_code,
    "项目": lambda row: row.kind_zh,
    "户数": lambda row: row.homes,
    "人次": lambda row: row.people,
    "金额（元）": lambda row: fen_to_yuan(row.fen),
    "数量": lambda row: milli_to_units(row.milli),
    "单位": lambda row: row.unit_zh,
}
