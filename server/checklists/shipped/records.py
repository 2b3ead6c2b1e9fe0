"""Checklists of the work beside the home visits: short, filled in standing, one page of a phone."""

from server.checklists.shipped.bank import READ_BACK
from server.checklists.shipped.builders import (
    answer_variable,
    checklist,
    contains,
    equals,
    is_no,
    is_yes,
    question,
    section,
)
from server.checklists.template import Question, Template

_LANGUAGES = {
    "mandarin": ("普通话", "Mandarin"),
    "dialect": ("当地方言", "Local dialect"),
    "uyghur": ("维吾尔语", "Uyghur"),
    "tibetan": ("藏语", "Tibetan"),
    "mongolian": ("蒙古语", "Mongolian"),
    "zhuang": ("壮语", "Zhuang"),
    "other": ("其他语言", "Another language"),
}
_POLICIES = {
    "dibao": ("最低生活保障", "Dibao"),
    "special_hardship": ("特困供养", "Support in special hardship"),
    "temporary_aid": ("临时救助", "Temporary aid"),
    "medical_aid": ("医疗救助", "Medical aid"),
    "education_aid": ("教育救助", "Education aid"),
    "housing_aid": ("住房救助", "Housing aid"),
    "work_aid": ("就业救助", "Help to find work"),
    "hotline": ("求助和监督电话", "Numbers for help and complaints"),
}

# The codes of the setting `case.papers`.
_SITUATIONS = {
    "disability": ("残疾", "Disability"),
    "illness": ("大病慢病", "Illness"),
    "school": ("在校", "School"),
    "divorce": ("离异", "Divorce"),
    "employment": ("就业", "Employment"),
}


def publicity() -> Template:
    return checklist(
        "publicity",
        "政策宣传记录",
        "Policy publicity",
        section(
            "publicity",
            "宣传情况",
            "What was done",
            question(
                "choice",
                "publicity_form",
                "宣传方式",
                "Form",
                choices={
                    "meeting": ("村民（居民）会议", "Meeting of residents"),
                    "fair": ("集市、广场设点", "Stand at a market or square"),
                    "doors": ("逐户发放", "From door to door"),
                    "broadcast": ("广播、流动音箱", "Loudspeaker"),
                },
            ),
            question("multi_choice", "policies", "宣传内容", "Policies", choices=_POLICIES, minimum=1),
            question("text", "leaflet", "宣传材料名称", "Leaflet", max_length=100),
            question(
                "text",
                "leaflet_version",
                "材料版本",
                "Version of the leaflet",
                hint=("印在材料上的年月或版号", "The month or number printed on it"),
                max_length=40,
            ),
            question("integer", "leaflet_copies", "发放份数", "Copies handed out", minimum=0, maximum=100_000),
            question("integer", "people_reached", "到场或告知人数", "People reached", minimum=1, maximum=100_000),
            question("multi_choice", "languages", "使用语言", "Languages", choices=_LANGUAGES, minimum=1),
            question(
                "text",
                "language_other",
                "其他语言名称",
                "Which other language",
                visible_if=contains("languages", "other"),
                max_length=40,
            ),
            question("text", "residents_asked", "群众提出的问题", "What people asked", required=False, max_length=1000),
            question("photo", "photo_publicity", "现场照片", "Photos on the spot", minimum=1, maximum=6),
        ),
    )


def meeting() -> Template:
    return checklist(
        "meeting",
        "评议小组会议记录",
        "Meeting of the appraisal group",
        section(
            "meeting",
            "会议情况",
            "The meeting",
            question("text", "chaired_by", "主持人", "Chaired by", max_length=60),
            question("text", "matters", "会议议题", "Matters", max_length=2000),
            question(
                "text",
                "decisions",
                "会议结论",
                "Decisions",
                hint=("只写结论，不写谁投了什么票", "The decisions alone, not who voted for what"),
                max_length=2000,
            ),
            question("text", "objections_raised", "不同意见", "Objections", required=False, max_length=2000),
            question("photo", "photo_meeting", "会议照片", "Photos of the meeting", minimum=1, maximum=6),
            question("signature", "sign_members", "到会人员签名", "Signatures of those present", minimum=1, maximum=30),
        ),
    )


def posting() -> Template:
    return checklist(
        "posting",
        "张贴公示记录",
        "Hanging up a list",
        section(
            "posting",
            "张贴情况",
            "Where it hangs",
            question(
                "choice",
                "posting_act",
                "办理事项",
                "What was done",
                choices={"hung_up": ("张贴", "Hung up"), "taken_down": ("取下", "Taken down")},
            ),
            question(
                "text",
                "place_name",
                "张贴处",
                "Place",
                hint=("如村委会公示栏；取下时写同一名称", "As the board of the village; the same name when taken down"),
                max_length=100,
            ),
            question("photo", "photo_posting", "现场照片", "Photo on the spot", minimum=1, maximum=3),
        ),
    )


def handout() -> Template:
    given = equals("given_outcome", "handed_out")
    by_somebody_else = {"in": [answer_variable("given_to"), ["member", "proxy"]]}
    return checklist(
        "handout",
        "救助发放记录",
        "Handing out aid",
        section(
            "handout",
            "发放情况",
            "What was handed out",
            question(
                "choice",
                "given_outcome",
                "办理结果",
                "Outcome",
                choices={"handed_out": ("已发放", "Handed out"), "not_handed_out": ("未发放", "Not handed out")},
            ),
            question(
                "text",
                "not_given_reason",
                "未发放原因",
                "Why not",
                visible_if=equals("given_outcome", "not_handed_out"),
                max_length=300,
            ),
            question(
                "choice",
                "given_to",
                "领取人",
                "Received by",
                visible_if=given,
                choices={
                    "head": ("户主", "Head"),
                    "member": ("家庭成员", "Member of the home"),
                    "proxy": ("代领人", "Somebody in their place"),
                },
            ),
            question(
                "text",
                "recipient_name",
                "领取人姓名",
                "Name of who received it",
                visible_if=by_somebody_else,
                max_length=40,
            ),
            question(
                "text",
                "recipient_relation",
                "代领人与户主关系",
                "Relation to the head",
                visible_if=equals("given_to", "proxy"),
                max_length=40,
            ),
            question("yes_no", "given_as_agreed", "是否按应发数额发放", "As much as agreed", visible_if=given),
            question(
                "text",
                "given_quantity",
                "实发数额",
                "How much instead",
                visible_if=is_no("given_as_agreed"),
                hint=("只写数字，单位同上方应发数额", "The number alone, in the unit of what was agreed"),
                max_length=14,
            ),
            question(
                "choice",
                "signed_how",
                "签收方式",
                "Signed by",
                visible_if=given,
                choices={"signature": ("签名", "Signature"), "thumb": ("手印（拍照）", "Thumb print (photo)")},
            ),
            question(
                "signature",
                "sign_recipient",
                "领取人签名",
                "Signature of who received it",
                visible_if=equals("signed_how", "signature"),
                minimum=1,
                maximum=1,
            ),
            question(
                "photo",
                "photo_thumb",
                "手印照片",
                "Photo of the thumb print",
                visible_if=equals("signed_how", "thumb"),
                minimum=1,
                maximum=1,
            ),
            question("photo", "photo_handout", "发放现场照片", "Photo on the spot", required=False, maximum=3),
        ),
    )


def application() -> Template:
    """Who applies, with ID numbers, is no answer of it: the phone keeps and sends that sealed (`door_applications`)."""
    return checklist(
        "application",
        "上门申请",
        "Application at the door",
        section(
            "situation",
            "家庭情形和授权",
            "Situation and consent",
            question(
                "multi_choice",
                "situations",
                "家庭情形（决定要哪些材料，没有可不选）",
                "Situations (they say which papers are needed; none if none applies)",
                choices=_SITUATIONS,
                required=False,
            ),
            question(
                "yes_no",
                "consent_check",
                "家庭成员是否授权核对经济状况",
                "The members consent to the check of their means",
                hint=("没有授权也可先登记申请，受理前须补签", "Without it the application is made; it is signed later"),
            ),
            question(
                "signature",
                "sign_consent",
                "授权人签名（成年家庭成员）",
                "Adult members sign the consent",
                minimum=1,
                maximum=10,
                visible_if=is_yes("consent_check"),
            ),
        ),
        section("talk", "谈话记录", "Talk record", *_talk(), READ_BACK),
        section(
            "papers",
            "材料照片和签名",
            "Photos of papers, signatures",
            question(
                "photo",
                "photo_papers",
                "材料照片",
                "Photos of the papers",
                hint=("现有材料逐份拍清楚", "Each paper that is there, readable"),
                required=False,
                maximum=30,
            ),
            question("signature", "sign_applicant", "申请人签名", "The applicant signs", minimum=1, maximum=3),
            question("signature", "sign_investigators", "专干签名", "The caseworker signs", minimum=1, maximum=2),
        ),
    )


def _talk() -> tuple[Question, ...]:
    """Question and answer, as a talk record is written."""
    return (
        question("text", "talk_reason", "问：为什么申请低保？", "Why do you apply?", max_length=1000),
        question(
            "text",
            "talk_income",
            "问：家里靠什么收入生活，每月大约多少？",
            "What does the household live on, about how much a month?",
            max_length=1000,
        ),
        question(
            "text",
            "talk_supporters",
            "问：赡养、抚养人有哪些，怎样供养？",
            "Who is bound to support you, and how do they?",
            max_length=1000,
        ),
        question(
            "text",
            "talk_health",
            "问：家人身体和劳动能力怎样？",
            "How are health and ability to work in the family?",
            max_length=1000,
        ),
        question("text", "talk_other", "其他问答", "Other questions and answers", required=False, max_length=4000),
    )
