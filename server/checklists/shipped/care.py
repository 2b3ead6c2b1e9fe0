"""慰问走访 (care visit): help before holidays, in cold or flood, or for people who live alone. Short on purpose."""

from server.checklists.shipped import bank as b
from server.checklists.shipped.builders import IN_PERSON, checklist, equals, is_yes, question, section
from server.checklists.template import Template


def template() -> Template:
    return checklist(
        "care",
        "慰问走访表",
        "Care visit",
        section(
            "met",
            "走访情况",
            "The visit",
            _OCCASION,
            b.PERSON_MET,
            b.PERSON_MET_NAME,
            b.NOBODY_REASON,
            b.HOME_LOCATION,
        ),
        section(
            "state",
            "生活状况",
            "How they are",
            _HEALTH,
            _SAFETY,
            _SAFETY_NOTE,
            _SUPPLIES,
            _CARER,
            _URGENT,
            _URGENT_NOTE,
        ),
        section(
            "given",
            "慰问和转介",
            "Given and referred",
            _GIVEN,
            _MONEY,
            _GOODS,
            _REFERRAL,
            b.PHOTO_PERSON,
            _SIGN_RECEIVED,
            b.SIGN_INVESTIGATORS,
        ),
    )


_OCCASION = question(
    "choice",
    "occasion",
    "走访事由",
    "Occasion",
    choices={
        "festival": ("节日慰问", "Festival"),
        "weather": ("高温、寒潮、汛期", "Heat, cold or flood"),
        "illness": ("生病、住院", "Illness"),
        "living_alone": ("独居、留守、困境儿童探访", "Living alone, left behind, child in need"),
        "disaster": ("突发困难", "Sudden hardship"),
    },
)
_HEALTH = question(
    "choice",
    "health_now",
    "身体状况",
    "Health now",
    choices={
        "good": ("良好", "Good"),
        "fair": ("一般", "Fair"),
        "poor": ("较差", "Poor"),
        "critical": ("急需就医", "Needs a doctor now"),
    },
)
_SAFETY = question(
    "multi_choice",
    "safety",
    "居住安全隐患（可多选）",
    "Dangers in the home",
    minimum=1,
    choices={
        "none": ("未发现", "None seen"),
        "electric": ("用电", "Wiring"),
        "gas": ("用气、取暖（一氧化碳）", "Gas or heating (carbon monoxide)"),
        "building": ("房屋", "The building"),
        "water": ("用水、防汛", "Water or flood"),
    },
)
_SAFETY_NOTE = question(
    "text",
    "safety_note",
    "隐患情况和处理",
    "What it is and what was done",
    max_length=300,
    required=False,
    visible_if={"!": {"in": ["none", {"var": "answers.safety"}]}},
)
_SUPPLIES = question(
    "multi_choice",
    "supplies_short",
    "缺少的生活物资（可多选）",
    "What is lacking",
    required=False,
    choices={
        "food": ("粮油食品", "Food"),
        "clothes": ("衣被", "Clothes and bedding"),
        "heating": ("煤、取暖", "Coal or heating"),
        "medicine": ("药品", "Medicine"),
    },
)
_CARER = question("yes_no", "has_carer", "日常是否有人照料", "Is somebody looking after them")
_URGENT = question("yes_no", "urgent", "是否有需要立即解决的困难", "Anything that can't wait")
_URGENT_NOTE = question("text", "urgent_note", "具体困难", "What it is", max_length=500, visible_if=is_yes("urgent"))
_GIVEN = question(
    "choice",
    "given",
    "本次慰问",
    "Given on this visit",
    choices={
        "nothing": ("未发放款物", "Nothing"),
        "money": ("慰问金", "Money"),
        "goods": ("慰问品", "Goods"),
        "both": ("慰问金和慰问品", "Money and goods"),
    },
)
_MONEY = question(
    "money",
    "given_fen",
    "慰问金",
    "Money given",
    minimum=1,
    maximum=10_000_000,
    visible_if={"or": [equals("given", "money"), equals("given", "both")]},
)
_GOODS = question(
    "text",
    "given_goods",
    "慰问品名称、数量、单位",
    "Goods, quantity and unit",
    max_length=300,
    visible_if={"or": [equals("given", "goods"), equals("given", "both")]},
)
_REFERRAL = question(
    "multi_choice",
    "referral",
    "转介事项（可多选）",
    "Referred to",
    required=False,
    choices={
        "temporary": ("临时救助", "Temporary aid"),
        "medical": ("医疗救助", "Medical aid"),
        "housing": ("危房改造", "Housing repair"),
        "care": ("养老、护理服务", "Elderly care"),
        "child": ("儿童关爱", "Child care"),
        "disability": ("残联服务", "Disability services"),
    },
)
_SIGN_RECEIVED = question(
    "signature",
    "sign_received",
    "领取人签名",
    "The receiver signs",
    minimum=1,
    maximum=4,
    visible_if={"and": [IN_PERSON, {"in": [{"var": "answers.given"}, ["money", "goods", "both"]]}]},
)
