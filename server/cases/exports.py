"""Columns of the exported lists of cases."""

from server.cases.workflow import STANDINGS
from server.http.exports import Columns

_URGENCY = {"overdue": "已超期", "due": "今天到期", "soon": "即将到期", "later": "未到期", "paused": "暂停"}
CASE_COLUMNS: Columns = {
    "申请编号": lambda one: one.application_number,
    "户主": lambda one: one.head_name,
    "所在地": lambda one: one.area_name,
    "行政区划代码": lambda one: one.area_code,
    "状态": lambda one: STANDINGS[one.state].zh,
    "申请日期": lambda one: one.applied_on,
    "最近期限": lambda one: one.deadline.zh if one.deadline else "",
    "到期日": lambda one: one.deadline.due_on if one.deadline else "",
    "紧急程度": lambda one: _URGENCY[one.deadline.urgency] if one.deadline else "",
}
