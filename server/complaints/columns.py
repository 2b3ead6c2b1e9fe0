"""The columns of an exported list of complaints: deadlines and states, without the reporter and the text."""

from server.complaints.public_status import STATES
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
    "编号": lambda complaint: complaint.number,
    "类别": lambda complaint: _KINDS[complaint.kind],
    "渠道": lambda complaint: _CHANNELS[complaint.channel],
    "所在地": lambda complaint: complaint.area_name,
    "状态": lambda complaint: STATES[complaint.state][0],
    "是否实名": lambda complaint: "实名" if complaint.is_named else "匿名",
    "承办人": lambda complaint: complaint.handler_name,
    "收到日期": lambda complaint: day_of(complaint.received_at),
    "期限": lambda complaint: complaint.due_on,
    "紧急程度": lambda complaint: _URGENCY[complaint.urgency],
    "是否延期": lambda complaint: complaint.is_extended,
}
