"""举报核查 (complaint): check a complaint on the spot, allegation by allegation, without naming the complainant."""

from server.checklists.shipped import bank as b
from server.checklists.shipped.builders import checklist, contains, question, section
from server.checklists.template import Template


def template() -> Template:
    return checklist(
        "complaint",
        "举报核查表",
        "Complaint check",
        section("complaint", "举报事项", "The complaint", _NUMBER, _ALLEGATIONS, _ALLEGED),
        section("met", "走访情况", "The visit", b.PERSON_MET, b.PERSON_MET_NAME, b.NOBODY_REASON, b.HOME_LOCATION),
        section(
            "facts",
            "核查情况",
            "What was found",
            b.REGISTER_MATCHES,
            b.REGISTER_DIFFERENCE,
            _INCOME_FOUND,
            _PROPERTY_FOUND,
            _DEAD_OR_GONE,
            _FAVOUR_FOUND,
            b.INCOME,
            b.LIVING_STANDARD,
            _SOURCES,
        ),
        section(
            "statement",
            "结论",
            "Finding",
            b.TALK_RECORD,
            b.READ_BACK,
            _FINDING,
            _ACTION,
            b.OPINION,
            b.PHOTO_OUTSIDE,
            b.PHOTO_DOCUMENTS,
            b.SIGN_FAMILY,
            b.SIGN_INVESTIGATORS,
        ),
        version=2,
    )


_NUMBER = question("text", "complaint_number", "举报登记编号", "Number of the complaint", max_length=40)
_ALLEGATIONS = question(
    "multi_choice",
    "allegations",
    "反映的问题（可多选）",
    "What is alleged",
    minimum=1,
    choices={
        "income": ("隐瞒收入", "Income hidden"),
        "property": ("隐瞒财产（房、车、存款）", "Property hidden"),
        "members": ("人户分离、虚报人口", "People wrongly counted"),
        "death": ("死亡、迁出后仍领取", "Paid on after death or move"),
        "favour": ("优亲厚友、人情保", "Favours to relatives or friends"),
        "withheld": ("截留、克扣低保金", "Allowance withheld"),
        "other": ("其他", "Other"),
    },
)
_ALLEGED = question(
    "text",
    "alleged",
    "举报内容摘要",
    "The complaint in short",
    max_length=1000,
    hint=("不得写入举报人的任何信息", "Nothing that tells who complained"),
)
_INCOME_FOUND = question(
    "text",
    "income_found",
    "收入方面的核查情况",
    "What was found about income",
    max_length=1000,
    visible_if=contains("allegations", "income"),
)
_PROPERTY_FOUND = question(
    "text",
    "property_found",
    "财产方面的核查情况",
    "What was found about property",
    max_length=1000,
    visible_if=contains("allegations", "property"),
)
_DEAD_OR_GONE = question(
    "text",
    "members_found",
    "人员方面的核查情况（含死亡、迁出日期）",
    "What was found about people, with dates",
    max_length=1000,
    visible_if={"or": [contains("allegations", "members"), contains("allegations", "death")]},
)
_FAVOUR_FOUND = question(
    "text",
    "favour_found",
    "经办、发放方面的核查情况",
    "What was found about staff and payment",
    max_length=1000,
    visible_if={"or": [contains("allegations", "favour"), contains("allegations", "withheld")]},
)
_SOURCES = question(
    "multi_choice",
    "sources",
    "核查途径（可多选）",
    "How it was checked",
    minimum=1,
    choices={
        "visit": ("入户查看", "Seen at the home"),
        "neighbours": ("走访邻里", "Neighbours"),
        "records": ("部门数据核对", "Departments' records"),
        "bank": ("银行流水", "Bank statements"),
        "employer": ("用工单位", "Employer"),
        "file": ("查阅档案", "The household's file"),
    },
)
_FINDING = question(
    "choice",
    "finding",
    "核查结论",
    "Finding",
    choices={
        "true": ("属实", "True"),
        "partly": ("部分属实", "Partly true"),
        "false": ("不属实", "Not true"),
        "open": ("暂无法查清", "Can't be settled yet"),
    },
)
_ACTION = question(
    "choice",
    "action",
    "处理建议",
    "Proposed action",
    choices={
        "none": ("维持现状", "None"),
        "adjust": ("调整待遇", "Adjust"),
        "stop": ("停止并追回", "Stop and reclaim"),
        "refer": ("移交纪检等部门", "Refer to the inspectors"),
        "recheck": ("继续核查", "Check further"),
    },
)
