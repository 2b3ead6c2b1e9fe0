"""Columns of the exported benefit ledger. Money is in yuan with two decimals, exact."""

from server.http.exports import Columns, yuan

_KINDS = {"granted": "新增", "raised": "增发", "cut": "减发", "stopped": "停发"}


_GROUNDS = {
    "income": "收入超标",
    "property": "财产超标",
    "death": "死亡",
    "moved": "迁出",
    "own_wish": "自愿退出",
    "not_reported": "未如实申报",
    "other": "其他",
    None: "",
}


BENEFIT_COLUMNS: Columns = {
    "申请编号": lambda one: one.application_number,
    "户编号": lambda one: one.household_number,
    "户主": lambda one: one.head_name,
    "所在地": lambda one: one.area_name,
    "变动": lambda one: _KINDS[one.kind],
    "起始月份": lambda one: f"{one.month:%Y-%m}",
    "原月金额（元）": lambda one: yuan(one.before_fen),
    "新月金额（元）": lambda one: yuan(one.amount_fen),
    "人数": lambda one: one.people,
    "事由类别": lambda one: _GROUNDS[one.ground],
    "理由": lambda one: one.reason,
    "决定日期": lambda one: one.decided_on,
    "经办": lambda one: one.decided_by_name,
}
