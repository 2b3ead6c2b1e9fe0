"""The text of each kind of notice. It contains no names or numbers of people: a locked screen shows it to anybody."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Audience = Literal["staff", "resident"]


class NoticeKind(NamedTuple):
    """`what` fits a `thing` field of a WeChat template (20 characters). `zh` and `en` are format strings."""

    audience: Audience
    what: str
    zh: str
    en: str


KINDS: Mapping[str, NoticeKind] = {
    "assigned": NoticeKind(
        "staff", "有新的走访任务", "新交给您 {count} 项走访任务", "{count} visits or homes are now yours"
    ),
    "returned": NoticeKind(
        "staff",
        "走访记录被退回",
        "您的一次走访被退回，请按说明补正",
        "A visit of yours was returned; see what to correct",
    ),
    "due_tomorrow": NoticeKind("staff", "走访明天到期", "{count} 项走访于 {on} 到期", "{count} visits are due on {on}"),
    "visit_blocked": NoticeKind(
        "staff",
        "走访任务缺走访表",
        "{count} 项“{what}”任务暂不能下达：本地区没有此类走访表，请发布",
        "{count} visits ({whatEn}) wait: no checklist of their kind is published here",
    ),
    "complaint_due": NoticeKind("staff", "信访件即将到期", "信访件 {number} 的期限是 {on}", "{number} is due on {on}"),
    "papers": NoticeKind(
        "resident", "请补交材料", "您的申请还缺材料，请打开查看", "Your application lacks papers; see which"
    ),
    "accepted": NoticeKind("resident", "申请已受理", "您的申请已受理", "Your application was taken on"),
    "posted": NoticeKind(
        "resident", "申请正在公示", "您的申请正在村（社区）公示", "Your application is being posted in the village"
    ),
    "decided": NoticeKind(
        "resident", "申请已有结果", "您的申请已有结果，请打开查看", "There is a decision on your application"
    ),
    "answered": NoticeKind(
        "resident", "家庭变化已答复", "您报告的家庭变化已有答复，请打开查看", "Your report of a change was answered"
    ),
    "bound": NoticeKind(
        "resident",
        "有账号绑定了申请",
        "有人登录并绑定了您家的申请；如不是您或家人，请联系乡镇（街道）",
        "Somebody signed in and bound your application. If it is nobody of yours, call the town office",
    ),
    "device_opened": NoticeKind(
        "resident",
        "账号在新设备登录",
        "您的账号在另一台设备上登录了。如不是您本人，请立即联系乡镇（街道）",
        "Your account was signed in on another device. If it was not you, call the town office at once",
    ),
    "sign_in_changed": NoticeKind(
        "staff",
        "登录方式有变动",
        "您的登录方式有变动：{what}。如非本人操作，请立即联系管理员",
        "How you sign in has changed: {whatEn}. If it was not you, call your administrator at once",
    ),
    "register_changed": NoticeKind(
        "resident",
        "家庭登记有变动",
        "您家庭的{what}有变动。如不是您要求的，请联系乡镇（街道）",
        "Your household's {whatEn} changed. If you did not ask for it, call the town office",
    ),
    "deadline_moved": NoticeKind(
        "resident",
        "办理期限重新计算",
        "节假日安排已公布，您的申请的办理期限重新计算为 {on}",
        "With the holidays now published, the day by which your application is dealt with is {on}",
    ),
    "grace_ending": NoticeKind(
        "resident",
        "渐退期将满",
        "您家庭的渐退期到 {on} 为止，将重新测算低保金；情况有变化请及时报告",
        "Your months of grace end on {on}; the amount is calculated anew. Report what has changed",
    ),
    "payday": NoticeKind(
        "resident",
        "本月款项即将到账",
        "您家庭 {month} 的款项从 {on} 起到账{sum}，请打开查看",
        "Your household's money for {month} is in the account from {on}{sumEn}",
    ),
    "proof_due": NoticeKind(
        "resident",
        "请交定期证明",
        "请在 {on} 前交来定期证明，可拍照上传，请打开查看",
        "A proof is due by {on}: bring it or send a photo",
    ),
    "changed": NoticeKind(
        "resident", "低保金有变动", "您家庭的低保金有变动，请打开查看", "What your household is paid will change"
    ),
}


def render_notice(kind: str, facts: Mapping[str, Any]) -> dict[str, str]:
    notice_kind = KINDS[kind]
    values = _FactsWithDash(facts)
    return {"zh": notice_kind.zh.format_map(values), "en": notice_kind.en.format_map(values)}


class _FactsWithDash(dict[str, Any]):
    """A fact that is missing is shown as a dash."""

    def __missing__(self, key: str) -> str:
        return "–"
