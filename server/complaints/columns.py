"""What stands in a file of complaints: by when what must happen, and nothing of who said what."""

from server.complaints.service import STATES
from server.core.working_days import day_of
from server.http.exports import Columns

_KINDS = {"complaint": "举报", "appeal": "申诉"}
_CHANNELS = {
    "letter": "来信",
    "visit": "来访",
    "phone": "来电",
    "web": "网上",
    "box": "信箱",
    "proposal": "代表建议",
}
_URGENCY = {"overdue": "已超期", "due": "今天到期", "soon": "即将到期", "later": "未到期", "none": ""}
COMPLAINT_COLUMNS: Columns = {
    "编号": lambda one: one.number,
    "类别": lambda one: _KINDS[one.kind],
    "渠道": lambda one: _CHANNELS[one.channel],
    "所在地": lambda one: one.area_name,
    "状态": lambda one: STATES[one.state][0],
    "是否实名": lambda one: "实名" if one.is_named else "匿名",
    "承办人": lambda one: one.handler_name,
    "收到日期": lambda one: day_of(one.received_at),
    "期限": lambda one: one.due_on,
    "紧急程度": lambda one: _URGENCY[one.urgency],
    "是否延期": lambda one: one.is_extended,
}
