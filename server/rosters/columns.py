"""Columns of exported rosters, lines and findings. Money is in yuan with two decimals, exact; accounts are masked."""

from server.http.exports import Columns, fen_to_yuan

ROSTER_STATES = {
    "drafting": "造册中",
    "drafted": "已造册",
    "prepared": "已提交",
    "frozen": "已审核",
    "sent": "已发送",
    "settled": "已完成",
    "cancelled": "已作废",
}
LINE_STATES = {
    "drafted": "待审核",
    "left_out": "已剔除",
    "frozen": "已审核",
    "sent": "已申请",
    "paid": "已支付",
    "returned": "已退回",
    "cancelled": "已作废",
}
_KINDS = {"monthly": "按月发放", "correction": "更正发放"}
ROSTER_COLUMNS: Columns = {
    "名册编号": lambda roster: roster.number,
    "类别": lambda roster: _KINDS[roster.kind],
    "项目": lambda roster: roster.program_zh,
    "资金": lambda roster: roster.fund,
    "月份": lambda roster: f"{roster.month:%Y-%m}",
    "所在地": lambda roster: roster.area_name,
    "行政区划代码": lambda roster: roster.area_code,
    "状态": lambda roster: ROSTER_STATES[roster.state],
    "户数": lambda roster: roster.homes,
    "人数": lambda roster: roster.people,
    "金额（元）": lambda roster: fen_to_yuan(roster.total_fen),
    "待处理疑点": lambda roster: roster.open_findings,
    "发送时间": lambda roster: roster.sent_at,
}
LINE_COLUMNS: Columns = {
    "业务编号": lambda line: line.reference,
    "项目": lambda line: line.program_zh,
    "月份": lambda line: f"{line.month:%Y-%m}",
    "户编号": lambda line: line.household_number,
    "户主": lambda line: line.head_name,
    "收款人": lambda line: line.payee_name,
    "享受人": lambda line: line.beneficiaries,
    "人数": lambda line: line.people,
    "所在地": lambda line: line.area_name,
    "当月金额（元）": lambda line: fen_to_yuan(line.due_fen),
    "补发（元）": lambda line: fen_to_yuan(line.arrears_fen),
    "扣回（元）": lambda line: fen_to_yuan(line.recovery_fen),
    "合计（元）": lambda line: fen_to_yuan(line.total_fen),
    "开户行": lambda line: line.bank_name,
    "账号": lambda line: line.account_mask,
    "状态": lambda line: LINE_STATES[line.state],
    "退回原因": lambda line: line.return_reason,
    "依据": lambda line: line.ground_reason,
    "决定日期": lambda line: line.ground_decided_on,
    "申请编号": lambda line: line.application_number,
}
_VERDICTS = {"pay": "照发", "leave_out": "剔除", None: "待处理"}
FINDING_COLUMNS: Columns = {
    "户编号": lambda finding: finding.household_number,
    "户主": lambda finding: finding.head_name,
    "疑点": lambda finding: finding.zh,
    "金额（元）": lambda finding: fen_to_yuan(finding.total_fen),
    "处理": lambda finding: _VERDICTS[finding.verdict],
    "理由": lambda finding: finding.reason,
    "处理人": lambda finding: finding.judged_by_name,
    "处理时间": lambda finding: finding.judged_at,
}
