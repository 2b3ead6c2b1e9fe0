"""The legal procedure as one table: which step takes a case from which state to which, and who may take it.

Pure functions, no database. Each transition also lists the deadlines that it starts and meets; their lengths are
policy settings of the area (`case.*`).
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple, get_args

from server.core.access import Role
from server.models.cases import CASE_STATES, CLOSED_STATES, GRANTED_STATES

VILLAGE, TOWN, COUNTY, RESIDENT = Role.CASEWORKER, Role.TOWN_OFFICER, Role.COUNTY_OFFICER, Role.RESIDENT
DECIDES = "decides"  # the county, or the town where the county has delegated (setting `case.decided_by`)

_BEFORE_ACCEPTANCE = {"applied", "materials"}
_BEFORE_OPINION = {"accepted", "survey", "preliminary"}
_IN_PROCESS = _BEFORE_OPINION | {"hearing", "posting", "objection", "county"}
_OPEN = set(CASE_STATES) - set(CLOSED_STATES)
_GRANTED = set(GRANTED_STATES)
_DECIDED = _GRANTED | {"refused"}


class Transition(NamedTuple):
    """A step. With an empty `by` only the system takes it, on an event."""

    step: str
    from_states: Collection[str]
    # None: the case stays where it is.
    to_state: str | None
    by: Collection[str]
    # Shown to the resident.
    zh: str
    en: str
    needs_reason: bool = False
    starts: tuple[str, ...] = ()
    meets: tuple[str, ...] = ()


# Sources: 最低生活保障审核确认办法 (民发〔2021〕57号); see docs/domain.md#procedure.
_TABLE = (
    # --- papers and acceptance
    Transition("applied", (), "applied", (VILLAGE, TOWN), "申请已提交", "Application made"),
    # Granted before this system was there: an import writes the event and opens the case in force.
    Transition("taken_over", (), "in_force", (), "转入在保", "Taken over as receiving"),
    Transition(
        "papers_missing", {"applied"}, "materials", (VILLAGE, TOWN),
        "材料不齐，请一次性补齐所列材料", "Papers are missing; please bring all those listed",
    ),
    Transition(
        "accepted", _BEFORE_ACCEPTANCE, "accepted", (TOWN,), "申请已受理", "Application taken on",
        starts=("survey", "total"),
    ),
    Transition(
        "not_accepted", _BEFORE_ACCEPTANCE, "refused", (TOWN,), "申请未予受理", "Application not taken on",
        needs_reason=True, starts=("notice",),
    ),
    # --- survey and cross-check
    Transition(
        "programme_confirmed", _BEFORE_ACCEPTANCE | _BEFORE_OPINION | _GRANTED, None, (TOWN, COUNTY),
        "已确认城乡类别", "Urban or rural was confirmed",
    ),
    Transition(
        "survey_begun", {"accepted"}, "survey", (VILLAGE, TOWN), "开始入户调查", "The home visit is under way",
        meets=("survey",),
    ),
    # The clock of the cross-check runs from the county's receipt of this request (57 §17). A town's request reaches the
    # county at once; the county enters a request that came on paper.
    Transition(
        "cross_check_requested", _BEFORE_OPINION, None, (TOWN, COUNTY),
        "已提请核对家庭经济状况", "A check of the household's means was requested",
        starts=("cross_check",),
    ),
    Transition(
        "cross_check_begun", _BEFORE_OPINION, None, (TOWN, COUNTY),
        "开始核对家庭经济状况", "The household's means are being checked",
        meets=("cross_check",),
    ),
    Transition(
        "survey_done", {"accepted", "survey"}, "preliminary", (),
        "入户调查已通过审核，进入初审", "The home visit was accepted; the town prepares its opinion",
        meets=("survey",),
    ),
    Transition(
        "survey_again", {"accepted", "survey"}, "survey", (),
        "入户调查需补充，工作人员将再次联系您", "The home visit needs more; staff will contact you again",
        meets=("survey",),
    ),
    # --- the town's opinion, hearing, posting
    Transition(
        "hearing_called", {"preliminary", "objection"}, "hearing", (TOWN,),
        "将召开民主评议", "An appraisal hearing will be held", needs_reason=True,
    ),
    Transition("hearing_passed", {"hearing"}, "preliminary", (), "民主评议通过", "The hearing was in favour"),
    Transition("hearing_failed", {"hearing"}, "preliminary", (), "民主评议未通过", "The hearing was not in favour"),
    Transition(
        "opinion_grant", {"preliminary"}, "posting", (TOWN,),
        "初审意见：拟予保障，将在村（社区）公示", "The town proposes to grant; it will be posted in the village",
    ),
    Transition(
        "opinion_refuse", {"preliminary"}, "county", (TOWN,),
        "初审意见：拟不予保障，报县级审核", "The town proposes to refuse; the county decides",
        needs_reason=True, starts=("county_opinion",),
    ),
    Transition(
        "objection_made", {"posting"}, "objection", (),
        "公示期间有异议，正在核实", "Someone objected to the posting; it is being looked into",
    ),
    Transition(
        "objection_answered", {"objection"}, "posting", (),
        "异议已答复，公示继续", "The objection was answered; the posting goes on",
    ),
    Transition(
        "survey_ordered", {"preliminary", "objection"}, "survey", (TOWN,),
        "需要重新入户调查", "The home will be visited again", needs_reason=True,
    ),
    Transition(
        "posting_round_ended", {"posting"}, None, (),
        "本轮公示结束，将进行下一轮公示", "This round of posting has ended; another follows",
    ),
    Transition(
        "posting_ended", {"posting"}, "county", (),
        "公示结束，报县级审核确认", "The posting has ended; the county decides", starts=("county_opinion",),
    ),
    # --- the county
    Transition("county_visited", _IN_PROCESS, None, (), "县级已入户核查", "The county has visited the home"),
    Transition(
        "returned_to_survey", {"county"}, "survey", (COUNTY,),
        "县级要求补充调查", "The county asks for more of the survey", needs_reason=True, meets=("county_opinion",),
    ),
    Transition(
        "returned_to_town", {"county"}, "preliminary", (COUNTY,),
        "县级要求重新初审", "The county asks the town to think again", needs_reason=True, meets=("county_opinion",),
    ),
    Transition(
        "confirmed", {"county"}, "confirmed", (DECIDES,), "审核确认：予以保障", "Granted",
        meets=("county_opinion", "total", "cross_check"),
    ),
    Transition(
        "refused", {"county"}, "refused", (DECIDES,), "审核确认：不予保障", "Refused",
        needs_reason=True, starts=("notice",), meets=("county_opinion", "total", "cross_check"),
    ),
    Transition(
        "notice_delivered", _DECIDED | {"stopped"}, None, (VILLAGE, TOWN, COUNTY),
        "决定书已送达", "The written decision was delivered",
        meets=("notice",),
    ),
    Transition("published", {"confirmed"}, "published", (TOWN, COUNTY), "已长期公示", "Disclosed in the village"),
    Transition("in_force", {"published"}, "in_force", (), "开始发放低保金", "Payment has begun"),
    # --- while it is paid (动态管理)
    # What moves money takes two people: one proposes, another decides (`payment_proposals.py`).
    Transition(
        "change_proposed", {"in_force"}, None, (TOWN, COUNTY),
        "拟调整保障金额", "A change of the amount is proposed", needs_reason=True,
    ),
    Transition(
        "stop_proposed", _GRANTED, None, (TOWN, COUNTY), "拟停发低保金", "A stop is proposed", needs_reason=True,
    ),
    Transition(
        "return_proposed", {"stopped"}, None, (TOWN, COUNTY),
        "拟恢复保障", "Payment is proposed to begin again", needs_reason=True,
    ),
    Transition(
        "proposal_declined", _GRANTED | {"stopped"}, None, (TOWN, COUNTY),
        "拟办意见未予采纳", "The proposal was put aside", needs_reason=True,
    ),
    Transition(
        "amount_changed", {"in_force"}, None, (DECIDES,), "保障金额已调整", "The amount was changed",
        needs_reason=True, starts=("notice",),
    ),
    # Of all homes of an area at once, confirmed by two people (`standard_raises.py`).
    Transition("standard_raised", {"in_force"}, None, (), "保障标准提高，金额随之调整", "The standard was raised"),
    Transition("raise_undone", {"in_force"}, None, (), "提标已撤销，金额不变", "The raise of the standard was undone"),
    Transition(
        "stopped", _GRANTED, "stopped", (DECIDES,), "已决定停发低保金", "It was decided to stop the payment",
        needs_reason=True, starts=("notice",),
    ),
    # Within the months that the area allows after a stop (setting `case.come_back_months`).
    Transition(
        "came_back", {"stopped"}, "confirmed", (DECIDES,), "已决定恢复保障", "It was decided to pay again",
        needs_reason=True, starts=("notice",),
    ),
    # --- what the household says
    Transition(
        "resident_confirmed", _IN_PROCESS, None, (), "您已确认入户记录", "You confirmed what the visit recorded",
    ),
    Transition(
        "resident_disputed", _IN_PROCESS, None, (), "您对入户记录提出异议", "You disputed what the visit recorded",
    ),
    Transition("change_reported", _OPEN | _GRANTED, None, (), "您报告了家庭变化", "You reported a change at home"),
    Transition(
        "change_answered", CASE_STATES, None, (), "已答复您报告的家庭变化", "Your report of a change was answered",
    ),
    # --- at any time
    Transition(
        "withdrawn", _OPEN, "withdrawn", (VILLAGE, TOWN, RESIDENT), "申请已撤回", "Application withdrawn",
        needs_reason=True, meets=("survey", "cross_check", "total", "county_opinion"),
    ),
    Transition("suspended", _IN_PROCESS, None, (TOWN, COUNTY), "办理暂停", "The clock stands still", needs_reason=True),
    Transition("resumed", _IN_PROCESS, None, (TOWN, COUNTY), "恢复办理", "The clock runs again"),
    Transition(
        "extended", _IN_PROCESS, None, (TOWN, COUNTY), "办理期限已延长", "The limit was extended", needs_reason=True,
    ),
)  # fmt: skip

TRANSITIONS = {transition.step: transition for transition in _TABLE}
# Steps that a person can take.
ACTIONS = tuple(transition.step for transition in _TABLE if transition.by and transition.from_states)
# Between officers: the household reads what was decided.
INTERNAL_STEPS = frozenset({"change_proposed", "stop_proposed", "return_proposed", "proposal_declined"})
# The town's opinion and the decision on it are two people's.
OPINIONS = ("opinion_grant", "opinion_refuse")
DECISIONS = frozenset({"confirmed", "refused"})
ALLOWED_WHILE_SUSPENDED = frozenset({"resumed", "withdrawn"})
# States in which an area may pause the deadline of the decision (setting `case.objection_stops_clock`). No law does:
# an objection allows the extension to 45 working days (83 四（一）).
PAUSING_STATES = frozenset({"objection"})


CaseState = Literal[
    "applied",
    "materials",
    "accepted",
    "survey",
    "preliminary",
    "hearing",
    "posting",
    "objection",
    "county",
    "confirmed",
    "published",
    "in_force",
    "stopped",
    "refused",
    "withdrawn",
]
assert set(get_args(CaseState)) == set(CASE_STATES), "a state of cases has no name on the wire"


class StateInfo(NamedTuple):
    """The name of a state, what comes next for the resident, and the deadline for it."""

    zh: str
    en: str
    next_zh: str
    next_en: str
    deadline: str | None = None


STATE_INFO = {
    "applied": StateInfo("已申请", "applied", "工作人员核对材料后受理", "Staff check your papers and take it on"),
    "materials": StateInfo("待补材料", "papers missing", "请补齐所缺材料", "Please bring the papers that are missing"),
    "accepted": StateInfo("已受理", "taken on", "工作人员将入户调查", "Staff will visit your home", "survey"),
    "survey": StateInfo(
        "调查中", "being surveyed", "完成调查后提出初审意见", "Then the town gives its opinion", "total"
    ),
    "preliminary": StateInfo("初审中", "under review", "提出初审意见并公示", "The opinion is posted", "total"),
    "hearing": StateInfo("民主评议", "hearing", "评议小组投票", "The panel votes", "total"),
    "posting": StateInfo("公示中", "posted", "公示期满后报县级审核", "Then the county decides", "total"),
    "objection": StateInfo("异议核实中", "objection", "核实异议并答复", "The objection is answered", "total"),
    "county": StateInfo("县级审核中", "with the county", "县级作出决定", "The county decides", "county_opinion"),
    "confirmed": StateInfo("已确认", "granted", "按决定书所载月份起发放", "Paid from the month in the decision"),
    "published": StateInfo("已公布", "disclosed", "按决定书所载月份起发放", "Paid from the month in the decision"),
    "in_force": StateInfo("发放中", "in force", "家庭情况变化请及时报告", "Tell us when things at home change"),
    "stopped": StateInfo("已停发", "stopped", "如不服可申诉；家庭困难时可重新申请", "You may appeal, or apply again"),
    "refused": StateInfo(
        "未通过", "refused", "将书面告知理由，您可以申诉", "You are told why, and may appeal", "notice"
    ),
    "withdrawn": StateInfo("已撤回", "withdrawn", "可以重新申请", "You may apply again"),
}


def deciding_role(settings: Mapping[str, Any]) -> Role:
    """Return who decides on a case: the county, or the town where the county has delegated it."""
    return Role.TOWN_OFFICER if settings.get("case.decided_by") == "town" else Role.COUNTY_OFFICER


def find_refusal(step: str, state: str, roles: Collection[Role], *, is_suspended: bool, decided_by: Role) -> str | None:
    """Return the error code that refuses the step to these roles in this state, or None when it is allowed."""
    transition = TRANSITIONS[step]
    allowed = {decided_by if role == DECIDES else role for role in transition.by}
    if not allowed & set(roles):
        return "auth.forbidden"
    if state not in transition.from_states:
        return "case.closed" if state in CLOSED_STATES else "case.not_now"
    if is_suspended and step not in ALLOWED_WHILE_SUSPENDED:
        return "case.suspended"
    if not is_suspended and step == "resumed":
        return "case.not_now"
    return None
