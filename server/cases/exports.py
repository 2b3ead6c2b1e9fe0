"""Columns of the exported lists of cases."""

from server.cases.workflow import STATE_INFO
from server.http.exports import Columns

_URGENCY = {"overdue": "已逾期", "due": "今天到期", "soon": "即将到期", "later": "未到期", "paused": "暂停"}
_PROGRAMME = {"urban": "城市", "rural": "农村"}
CASE_COLUMNS: Columns = {
    "申请编号": lambda line: line.application_number,
    "户主": lambda line: line.head_name,
    "所在地": lambda line: line.area_name,
    "行政区划代码": lambda line: line.area_code,
    "状态": lambda line: STATE_INFO[line.state].zh,
    "城乡类别": lambda line: _PROGRAMME[line.programme] if line.programme else "未确认",
    "申请日期": lambda line: line.applied_on,
    "最近期限": lambda line: line.deadline.zh if line.deadline else "",
    "到期日": lambda line: line.deadline.due_on if line.deadline else "",
    "紧急程度": lambda line: _URGENCY[line.deadline.urgency] if line.deadline else "",
}
