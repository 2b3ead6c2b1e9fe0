"""邻里走访 (neighbours): what neighbours know about a household. Their names stay in the file."""

from server.checklists.shipped import bank as b
from server.checklists.shipped.builders import checklist, question, section
from server.checklists.template import Template


def template() -> Template:
    return checklist(
        "neighbour",
        "邻里走访表",
        "Neighbour visit",
        section("neighbour", "被走访人", "The neighbour", _NAME, _RELATION, _YEARS, b.HOME_LOCATION),
        section(
            "known",
            "所知情况",
            "What is known",
            _LIVES_HERE,
            _LIVES_HERE_NOTE,
            _WORKING,
            _WORKING_NOTE,
            _NOTICED,
            _CHILDREN_SUPPORT,
            b.LIVING_STANDARD,
            _AGREES,
            _AGREES_NOTE,
        ),
        section(
            "statement",
            "谈话记录",
            "Talk record",
            b.TALK_RECORD,
            b.READ_BACK,
            _CONFIDENTIAL,
            b.PHOTO_DOCUMENTS,
            _SIGN,
            b.SIGN_INVESTIGATORS,
        ),
    )


_NAME = question("text", "neighbour_name", "被走访人姓名", "Neighbour's name", max_length=50)
_RELATION = question(
    "choice",
    "neighbour_relation",
    "与被调查户的关系",
    "Relation to the household",
    choices={
        "neighbour": ("邻居", "Neighbour"),
        "leader": ("楼长、村民小组长", "Stair or group leader"),
        "party_member": ("党员、居（村）民代表", "Party member or residents' delegate"),
        "relative": ("亲属", "Relative"),
        "other": ("其他知情人", "Somebody else who knows"),
    },
)
_YEARS = question("integer", "known_years", "相识年数", "Known for how many years", minimum=0, maximum=100)
_LIVES_HERE = question(
    "choice",
    "lives_here_known",
    "该户是否长期在此居住",
    "Does the household live here",
    choices={
        "always": ("长期居住", "All the time"),
        "sometimes": ("时常不在", "Often away"),
        "no": ("不在此居住", "Not here"),
        "unknown": ("不清楚", "Doesn't know"),
    },
)
_LIVES_HERE_NOTE = question(
    "text",
    "lives_here_note",
    "去向及时间",
    "Where and since when",
    max_length=300,
    required=False,
    visible_if={"in": [{"var": "answers.lives_here_known"}, ["sometimes", "no"]]},
)
_WORKING = question(
    "choice",
    "working_known",
    "该户成员是否在工作或经营",
    "Does anyone there work or trade",
    choices={"yes": ("有", "Yes"), "no": ("没有", "No"), "unknown": ("不清楚", "Doesn't know")},
)
_WORKING_NOTE = question(
    "text",
    "working_note",
    "何人、何工作、大致收入",
    "Who, what work, about how much",
    max_length=300,
    visible_if={"===": [{"var": "answers.working_known"}, "yes"]},
)
_NOTICED = question(
    "multi_choice",
    "noticed",
    "所知的财产和消费（可多选）",
    "Property and spending known of",
    minimum=1,
    choices={
        "none": ("没有特别情况", "Nothing special"),
        "car": ("有小汽车", "A car"),
        "house": ("有其他房产", "Another house"),
        "shop": ("有店铺或经营", "A shop or business"),
        "spending": ("有高消费", "High spending"),
        "unknown": ("不清楚", "Doesn't know"),
    },
)
_CHILDREN_SUPPORT = question(
    "choice",
    "children_support",
    "子女或亲属是否赡养、接济",
    "Do children or relatives support them",
    choices={
        "yes": ("有", "Yes"),
        "little": ("很少", "Hardly"),
        "no": ("没有", "No"),
        "unknown": ("不清楚", "Doesn't know"),
    },
)
_AGREES = question(
    "choice",
    "agrees",
    "认为该户是否属于生活困难",
    "Thinks the household is poor",
    choices={"yes": ("属于", "Yes"), "no": ("不属于", "No"), "unsure": ("说不清", "Can't say")},
)
_AGREES_NOTE = question("text", "agrees_note", "理由", "Why", max_length=500, required=False)
_CONFIDENTIAL = question("yes_no", "confidential", "被走访人要求对其身份保密", "The neighbour asks not to be named")
_SIGN = question(
    "signature",
    "sign_neighbour",
    "被走访人签名",
    "The neighbour signs",
    required=False,
    maximum=2,
    hint=("不愿签名的，在谈话记录中注明", "If not willing to sign, say so in the record"),
)
