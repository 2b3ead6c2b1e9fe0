"""Columns of the exported benefit ledger. Money is in yuan with two decimals, exact."""

from server.http.exports import Columns, fen_to_yuan

_KIND_TEXTS = {"granted": "新增", "raised": "增发", "cut": "减发", "stopped": "停发", "taken_over": "转入"}


_PROGRAMME_TEXTS = {"urban": "城市", "rural": "农村", None: "未确认"}
_DIFFERENCE_TEXTS = {
    "higher": "应高于现发金额",
    "lower": "应低于现发金额",
    "not_eligible": "不再符合条件",
    "programme_missing": "城乡类别未确认",
    "standard_missing": "缺少标准或成员，无法测算",
}
DIFFERING_COLUMNS: Columns = {
    "申请编号": lambda line: line.application_number,
    "户主": lambda line: line.head_name,
    "所在地": lambda line: line.area_name,
    "行政区划代码": lambda line: line.area_code,
    "城乡类别": lambda line: _PROGRAMME_TEXTS[line.programme],
    "测算月份": lambda line: f"{line.month:%Y-%m}",
    "现发月金额（元）": lambda line: fen_to_yuan(line.paid_fen),
    "按现行规则（元）": lambda line: fen_to_yuan(line.today_fen),
    "情况": lambda line: _DIFFERENCE_TEXTS[line.reason],
}
BENEFIT_COLUMNS: Columns = {
    "申请编号": lambda line: line.application_number,
    "户编号": lambda line: line.household_number,
    "户主": lambda line: line.head_name,
    "所在地": lambda line: line.area_name,
    "变动": lambda line: _KIND_TEXTS[line.kind],
    "起始月份": lambda line: f"{line.month:%Y-%m}",
    "原月金额（元）": lambda line: fen_to_yuan(line.before_fen),
    "新月金额（元）": lambda line: fen_to_yuan(line.amount_fen),
    "人数": lambda line: line.people,
    "事由类别": lambda line: line.ground_zh,
    "理由": lambda line: line.reason,
    "决定日期": lambda line: line.decided_on,
    "经办": lambda line: line.decided_by_name,
}
