"""廉租房 (公租房) check: does the household live in its subsidised home itself, and does it still need it."""

from server.checklists.shipped import bank as b
from server.checklists.shipped.builders import (
    NOT_AFTER_TODAY,
    NOT_AFTER_TODAY_MESSAGE,
    checklist,
    contains,
    is_no,
    is_yes,
    question,
    section,
)
from server.checklists.template import Template


def template() -> Template:
    return checklist(
        "housing",
        "廉租房核查表",
        "Check of subsidised rental housing",
        section(
            "met",
            "走访情况",
            "The visit",
            b.PERSON_MET,
            b.PERSON_MET_NAME,
            b.NOBODY_REASON,
            b.IDENTITY_CHECKED,
            b.HOME_LOCATION,
        ),
        section(
            "occupants",
            "入住情况",
            "Who lives there",
            _LEASE_MATCHES,
            _LEASE_DIFFERENCE,
            _LIVED_IN_BY,
            _EMPTY_SINCE,
            _OTHERS,
            _PEOPLE_ON_LEASE,
            _PEOPLE_LIVING,
            _USED_FOR,
        ),
        section("home", "住房状况", "The home", b.AREA, b.CONDITION, _ALTERED, _ALTERED_NOTE, _DEFECTS, _DEFECTS_NOTE),
        section("rent", "租金", "Rent", _RENT_DUE, _RENT_PAID, _ARREARS, _ARREARS_REASON, _SUBSIDY),
        section(
            "property",
            "其他住房和财产",
            "Other homes and property",
            b.OTHER_HOUSING,
            b.OTHER_HOUSING_NOTE,
            b.VEHICLES,
            b.VEHICLE_NOTE,
        ),
        section(
            "conclusion",
            "核查意见",
            "Conclusion",
            _CONCLUSION,
            b.OPINION,
            b.PHOTO_OUTSIDE,
            b.PHOTO_INSIDE,
            b.PHOTO_DOCUMENTS,
            b.SIGN_FAMILY,
            b.SIGN_INVESTIGATORS,
        ),
    )


_LEASE_MATCHES = question(
    "yes_no",
    "lease_matches",
    "租赁合同上的承租人、地址与实际是否一致",
    "The lease names this tenant and this address",
)
_LEASE_DIFFERENCE = question(
    "text", "lease_difference", "不一致的情况", "How it differs", max_length=300, visible_if=is_no("lease_matches")
)
_LIVED_IN_BY = question(
    "multi_choice",
    "lived_in_by",
    "实际居住人（可多选）",
    "Who lives there",
    minimum=1,
    choices={
        "tenant": ("承租家庭本人", "The tenants themselves"),
        "relatives": ("合同外的亲属", "Relatives who are not on the lease"),
        "sublet": ("转租他人", "Others, who pay rent: sublet"),
        "lent": ("转借他人", "Others, who pay nothing: lent"),
        "empty": ("无人居住（空置）", "Nobody: empty"),
    },
    constraint={"or": [{"!": {"in": ["empty", {"var": "value"}]}}, {"===": [{"var": "value.length"}, 1]}]},
    constraint_message=("选了“无人居住”就不能再选其他。", "'Nobody' can't be chosen together with others."),
)
_EMPTY_SINCE = question(
    "date",
    "empty_since",
    "从何时起空置",
    "Empty since",
    visible_if=contains("lived_in_by", "empty"),
    constraint=NOT_AFTER_TODAY,
    constraint_message=NOT_AFTER_TODAY_MESSAGE,
    hint=("连续空置六个月以上的，按当地规定处理", "After six months running the area's rules apply"),
)
_OTHERS = question(
    "text",
    "other_occupants",
    "合同外居住人的姓名、关系、从何时起、所付租金",
    "Who they are, since when, and what they pay",
    max_length=500,
    visible_if={
        "or": [
            contains("lived_in_by", "relatives"),
            contains("lived_in_by", "sublet"),
            contains("lived_in_by", "lent"),
        ]
    },
)
_PEOPLE_ON_LEASE = question("integer", "people_on_lease", "合同登记人数", "People on the lease", minimum=1, maximum=30)
_PEOPLE_LIVING = question("integer", "people_living", "实际居住人数", "People who live there", minimum=0, maximum=30)
_USED_FOR = question(
    "choice",
    "used_for",
    "房屋用途",
    "What it is used for",
    choices={
        "living": ("居住", "Living"),
        "business": ("经营", "A business"),
        "storage": ("仓储", "Storage"),
        "other": ("其他", "Something else"),
    },
)
_ALTERED = question("yes_no", "altered", "有无擅自改建、拆改、加装", "Altered without leave")
_ALTERED_NOTE = question(
    "text", "altered_note", "改建、拆改的情况", "What was altered", max_length=300, visible_if=is_yes("altered")
)
_DEFECTS = question(
    "multi_choice",
    "defects",
    "需要维修的（可多选）",
    "What needs repair",
    minimum=1,
    choices={
        "none": ("没有", "Nothing"),
        "leak": ("漏水、渗水", "Leaks"),
        "electric": ("用电", "Wiring"),
        "gas": ("燃气", "Gas"),
        "doors": ("门窗", "Doors and windows"),
        "drains": ("上下水", "Water and drains"),
        "structure": ("墙体、屋面开裂", "Cracks in walls or roof"),
    },
    constraint={"or": [{"!": {"in": ["none", {"var": "value"}]}}, {"===": [{"var": "value.length"}, 1]}]},
    constraint_message=("选了“没有”就不能再选其他。", "'Nothing' can't be chosen together with others."),
)
_DEFECTS_NOTE = question(
    "text",
    "defects_note",
    "损坏的位置和程度",
    "Where and how bad",
    max_length=300,
    visible_if={"!": {"in": ["none", {"var": "answers.defects"}]}},
)
_RENT_DUE = question(
    "money", "rent_due_fen", "合同月租金", "Rent a month by the lease", minimum=0, tolerance=(1_000, 5)
)
_RENT_PAID = question(
    "money", "rent_paid_fen", "实际每月缴纳", "Rent a month that is paid", minimum=0, tolerance=(1_000, 5)
)
_ARREARS = question(
    "integer", "arrears_months", "欠租月数（没有的填 0）", "Months of arrears, 0 for none", minimum=0, maximum=240
)
_ARREARS_REASON = question(
    "text",
    "arrears_reason",
    "欠租原因",
    "Why the rent is behind",
    max_length=300,
    visible_if={">": [{"var": "answers.arrears_months"}, 0]},
)
_SUBSIDY = question(
    "money", "rent_subsidy_fen", "每月领取的租赁补贴（没有的填 0）", "Rent subsidy a month, 0 for none", minimum=0
)
_CONCLUSION = question(
    "choice",
    "housing_conclusion",
    "核查结论",
    "Conclusion",
    choices={
        "keep": ("符合条件，继续承租", "Meets the conditions, keeps the home"),
        "correct": ("限期整改", "To put right by a date"),
        "vacate": ("建议腾退", "Should give it back"),
        "unclear": ("情况待核实", "To be checked further"),
    },
)
