"""定期复核 (review): the recurring visit to a recipient, about changes since the last one."""

from server.checklists.shipped import bank as b
from server.checklists.shipped.builders import checklist, is_yes, question, section
from server.checklists.template import Template


def template() -> Template:
    return checklist(
        "review",
        "定期复核表",
        "Periodic review",
        section(
            "met",
            "走访情况",
            "The visit",
            b.PERSON_MET,
            b.PERSON_MET_NAME,
            b.IDENTITY_CHECKED,
            b.HOME_LOCATION,
        ),
        section(
            "household",
            "家庭成员变化",
            "Changes in the household",
            b.REGISTER_MATCHES,
            b.REGISTER_DIFFERENCE,
            _MEMBERS_CHANGED,
            _MEMBERS_CHANGE,
            b.MEMBERS,
            b.SUPPORT_ALWAYS,
        ),
        section(
            "property",
            "住房和财产",
            "Housing and property",
            b.TENURE,
            b.CONDITION,
            b.OTHER_HOUSING,
            b.OTHER_HOUSING_NOTE,
            b.VEHICLES,
            b.VEHICLE_NOTE,
            b.SAVINGS,
        ),
        section(
            "income",
            "收入和支出",
            "Income and costs",
            b.INCOME,
            b.NEW_JOB,
            b.NEW_JOB_START,
            b.MEDICAL,
            b.EDUCATION,
        ),
        section(
            "living",
            "生活和享受待遇情况",
            "Living standard and benefits",
            b.LIVING_STANDARD,
            b.HIGH_SPENDING,
            b.HIGH_SPENDING_NOTE,
            b.ELECTRICITY,
            _PAID_ON_TIME,
            _CARD_HOLDER,
            _NEEDS,
        ),
        section("statement", "谈话和意见", "Talk and opinion", b.TALK_RECORD, b.READ_BACK, _PROPOSAL, b.OPINION),
        section(
            "evidence",
            "照片和签名",
            "Photos and signatures",
            b.PHOTO_OUTSIDE,
            b.PHOTO_INSIDE,
            b.PHOTO_DOCUMENTS,
            b.PHOTO_PERSON,
            b.SIGN_FAMILY,
            b.SIGN_INVESTIGATORS,
        ),
        version=2,
    )


_MEMBERS_CHANGED = question(
    "yes_no",
    "members_changed",
    "上次复核后家庭成员有无变化（出生、死亡、婚嫁、入伍、服刑、外出）",
    "Births, deaths, marriages, moves, service or prison since the last review",
)
_MEMBERS_CHANGE = question(
    "text",
    "members_change",
    "变化的人员、时间、原因",
    "Who, when and why",
    max_length=500,
    visible_if=is_yes("members_changed"),
)
_PAID_ON_TIME = question(
    "yes_no", "paid_on_time", "低保金是否按月足额到账", "Is the allowance paid monthly and in full"
)
_CARD_HOLDER = question(
    "choice",
    "card_holder",
    "低保存折（卡）由谁保管",
    "Who holds the bank book or card",
    choices={
        "self": ("本人或家人", "The recipient or family"),
        "guardian": ("监护人", "Guardian"),
        "official": ("村（居）干部", "A village or community official"),
        "other": ("其他人", "Somebody else"),
    },
    constraint={"in": [{"var": "value"}, ["self", "guardian"]]},
    constraint_severity="notice",
    constraint_message=("由他人代管，请核实是否被截留。", "Held by others; check whether money is withheld."),
)
_NEEDS = question(
    "multi_choice",
    "needs",
    "目前最需要的帮助（可多选）",
    "Help needed most",
    required=False,
    choices={
        "medical": ("医疗救助", "Medical aid"),
        "education": ("教育救助", "Education aid"),
        "housing": ("住房救助", "Housing aid"),
        "heating": ("取暖救助", "Heating aid"),
        "job": ("就业帮扶", "Work"),
        "temporary": ("临时救助", "Temporary aid"),
        "care": ("照料服务", "Care"),
    },
)
_PROPOSAL = question(
    "choice",
    "proposal",
    "复核建议",
    "Proposal of the review",
    choices={
        "keep": ("维持", "Keep"),
        "raise": ("增发", "Raise"),
        "cut": ("减发", "Cut"),
        "stop": ("停发", "Stop"),
        "check": ("进一步核查", "Check further"),
        "urgent": ("急需临时救助", "Urgent help"),
    },
    feeds="recommendation",
    proposes={code: code for code in ("keep", "raise", "cut", "stop", "check", "urgent")},
)
