"""What each kind of notice says. No names and no numbers of people: a message lies open on a locked screen."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Audience = Literal["staff", "resident"]


class Kind(NamedTuple):
    """`what` fits a `thing` of WeChat's templates: 20 characters at most. `zh` and `en` are filled from the facts."""

    audience: Audience
    what: str
    zh: str
    en: str


KINDS: Mapping[str, Kind] = {
    "assigned": Kind("staff", "有新的走访任务", "新交给您 {count} 项走访任务", "{count} visits or homes are now yours"),
    "returned": Kind(
        "staff", "走访记录被退回", "您的一次走访被退回，请按说明补正", "A visit of yours was returned; see what to mend"
    ),
    "due_tomorrow": Kind("staff", "走访明天到期", "{count} 项走访于 {on} 到期", "{count} visits are due on {on}"),
    "visit_blocked": Kind(
        "staff",
        "走访任务缺检查表",
        "{count} 项“{what}”任务暂不能下达：本地区没有此类检查表，请发布",
        "{count} visits ({whatEn}) wait: no checklist of their kind is published here",
    ),
    "complaint_due": Kind("staff", "信访件即将到期", "信访件 {number} 的期限是 {on}", "{number} is due on {on}"),
    "papers": Kind(
        "resident", "请补交材料", "您的申请还缺材料，请打开查看", "Your application lacks papers; see which"
    ),
    "accepted": Kind("resident", "申请已受理", "您的申请已受理", "Your application was taken on"),
    "posted": Kind(
        "resident", "申请正在公示", "您的申请正在村（社区）公示", "Your application is being posted in the village"
    ),
    "decided": Kind(
        "resident", "申请已有结果", "您的申请已有结果，请打开查看", "There is a decision on your application"
    ),
    "answered": Kind(
        "resident", "家庭变化已答复", "您报告的家庭变化已有答复，请打开查看", "Your report of a change was answered"
    ),
    "changed": Kind(
        "resident", "低保金有变动", "您家庭的低保金有变动，请打开查看", "What your household is paid will change"
    ),
}


def sentence(kind: str, facts: Mapping[str, Any]) -> dict[str, str]:
    told = KINDS[kind]
    known = _Told(facts)
    return {"zh": told.zh.format_map(known), "en": told.en.format_map(known)}


class _Told(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "–"
