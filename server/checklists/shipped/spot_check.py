"""抽查 (spot check): a blind second visit with the first visit's questions, for comparison field by field."""

from server.checklists.shipped import bank as b
from server.checklists.shipped.builders import checklist, is_yes, question, section
from server.checklists.template import Template


def template() -> Template:
    return checklist(
        "spot_check",
        "抽查核对表",
        "Spot check",
        section("met", "走访情况", "The visit", b.PERSON_MET, b.PERSON_MET_NAME, b.NOBODY_REASON, b.HOME_LOCATION),
        section(
            "household",
            "家庭和住房",
            "Household and housing",
            b.REGISTER_MATCHES,
            b.MEMBERS,
            b.TENURE,
            b.AREA,
        ),
        section(
            "property",
            "财产、收入和生活",
            "Property, income and living",
            b.OTHER_HOUSING,
            b.VEHICLES,
            b.INCOME,
            b.LIVING_STANDARD,
            b.ELECTRICITY,
        ),
        section(
            "first_visit",
            "首次走访的真实性",
            "Was the first visit real",
            _VISITED,
            _VISITED_WHEN,
            _BOTH_CAME,
            _ASKED_FOR_MONEY,
        ),
        section(
            "evidence",
            "记录和签名",
            "Record and signatures",
            b.TALK_RECORD,
            b.PHOTO_OUTSIDE,
            b.PHOTO_INSIDE,
            b.SIGN_FAMILY,
            b.SIGN_INVESTIGATORS,
        ),
        version=2,
    )


_VISITED = question("yes_no", "was_visited", "近期是否有工作人员入户走访过", "Did staff visit the home recently")
_VISITED_WHEN = question(
    "text",
    "was_visited_when",
    "大约何时、来了几人、问了什么",
    "About when, how many came, what they asked",
    max_length=300,
    visible_if=is_yes("was_visited"),
)
_BOTH_CAME = question(
    "choice",
    "visitors",
    "上门的工作人员人数",
    "How many staff came",
    visible_if=is_yes("was_visited"),
    choices={
        "one": ("一人", "One"),
        "two_or_more": ("两人及以上", "Two or more"),
        "unknown": ("记不清", "Not sure"),
    },
)
_ASKED_FOR_MONEY = question(
    "yes_no", "asked_for_money", "是否有人索要好处或收取费用", "Did anyone ask for money or favours"
)
