"""Questions shared by several checklists. A shared id means the same question in the same words.

Amounts are per month unless the label says otherwise. A tolerance is the difference up to which a spot check counts as
equal; the values are defaults for offices, not law.
"""

from server.checklists.shipped.builders import (
    IN_PERSON,
    MUST_BE_YES,
    NOT_AFTER_TODAY,
    NOT_AFTER_TODAY_MESSAGE,
    column,
    contains,
    equals,
    is_no,
    is_yes,
    question,
)

# -- person met ----------------------------------------------------------------------------------------------

PERSON_MET = question(
    "choice",
    "person_met",
    "本次走访见到的人",
    "Person met on this visit",
    choices={
        "applicant": ("申请人（低保对象）本人", "The applicant or recipient"),
        "spouse": ("配偶", "Spouse"),
        "family": ("其他共同生活的家庭成员", "Another member of the household"),
        "guardian": ("监护人或照料人", "Guardian or carer"),
        "nobody": ("未见到家庭成员", "No member of the household"),
    },
)
PERSON_MET_NAME = question(
    "text",
    "person_met_name",
    "见到的人的姓名",
    "Name of the person met",
    max_length=50,
    visible_if={"!==": [{"var": "answers.person_met"}, "nobody"]},
)
NOBODY_REASON = question(
    "text",
    "nobody_reason",
    "未见到家庭成员的原因",
    "Why nobody was met",
    max_length=200,
    visible_if=equals("person_met", "nobody"),
    hint=("写明外出地点、时间、从谁处得知", "Where they are, since when, and who said so"),
)
IDENTITY_CHECKED = question(
    "yes_no",
    "identity_checked",
    "是否核对身份证、户口簿原件",
    "Original ID card and household register checked",
)
HOME_LOCATION = question(
    "geopoint",
    "home_location",
    "住处定位",
    "Location of the home",
    visible_if=IN_PERSON,
    hint=("请在房屋门口定位", "Take the fix at the door"),
)

# -- the household -------------------------------------------------------------------------------------------

REGISTER_MATCHES = question(
    "yes_no",
    "register_matches",
    "实际共同生活人员与户口簿、申请表是否一致",
    "People living together match the register and the application",
)
REGISTER_DIFFERENCE = question(
    "text",
    "register_difference",
    "不一致的情况",
    "How they differ",
    max_length=500,
    visible_if=is_no("register_matches"),
    hint=(
        "如分户、空挂户、长期外出、未登记人员",
        "Split or empty registrations, long absences, people not listed",
    ),
)
_WORKING_AGE = {"and": [{">=": [{"var": "member.age"}, 16]}, {"<": [{"var": "member.age"}, 70]}]}
MEMBERS = question(
    "member_table",
    "members",
    "家庭成员情况",
    "Members of the household",
    columns=(
        column("yes_no", "lives_here", "是否在此共同生活", "Lives here"),
        column(
            "choice",
            "health",
            "健康状况",
            "Health",
            choices={
                "healthy": ("健康", "Healthy"),
                "chronic": ("慢性病", "Chronic illness"),
                "serious": ("重病（大病）", "Serious illness"),
                "disabled_severe": ("重度残疾（一、二级）", "Severe disability (grade 1 or 2)"),
                "disabled_other": ("其他残疾（三、四级）", "Other disability (grade 3 or 4)"),
            },
            feeds="health",
            proposes={
                "healthy": "healthy",
                "chronic": "chronic",
                "serious": "serious_illness",
                "disabled_severe": "severely_disabled",
                "disabled_other": "disabled",
            },
        ),
        column(
            "text",
            "illness",
            "病种或残疾类别",
            "Illness or kind of disability",
            required=False,
            max_length=100,
            visible_if={"!==": [{"var": "row.health"}, "healthy"]},
        ),
        column(
            "choice",
            "labour",
            "劳动能力",
            "Ability to work",
            choices={
                "full": ("有劳动能力", "Able to work"),
                "partial": ("部分丧失劳动能力", "Partly able"),
                "none": ("无劳动能力", "Unable"),
                "minor": ("未成年或在校", "Minor or at school"),
            },
            feeds="labour_ability",
            proposes={"full": "full", "partial": "partial", "none": "none"},
        ),
        column(
            "choice",
            "occupation",
            "就业情况",
            "Work",
            choices={
                "employed": ("单位就业", "Employed"),
                "casual": ("灵活就业、打零工", "Casual work"),
                "farming": ("务农", "Farming"),
                "business": ("个体经营", "Own business"),
                "away": ("外出务工", "Working elsewhere"),
                "none": ("未就业", "Not working"),
            },
            visible_if={"in": [{"var": "row.labour"}, ["full", "partial"]]},
        ),
        column(
            "money",
            "monthly_earnings_fen",
            "月劳动收入",
            "Earnings per month",
            minimum=0,
            required=False,
            visible_if={"in": [{"var": "row.occupation"}, ["employed", "casual", "farming", "business", "away"]]},
            tolerance=(20_000, 10),
        ),
        column(
            "choice",
            "school",
            "就学情况",
            "School",
            choices={
                "none": ("不在学", "Not at school"),
                "preschool": ("学龄前、幼儿园", "Under school age, kindergarten"),
                "compulsory": ("义务教育", "Compulsory schooling"),
                "upper": ("高中、中职", "Upper secondary"),
                "college": ("大专及以上", "College or university"),
            },
        ),
        column(
            "yes_no",
            "refused_work",
            "有劳动能力但无正当理由拒绝就业",
            "Able, but refuses work without good reason",
            required=False,
            visible_if={"and": [{"===": [{"var": "row.labour"}, "full"]}, *_WORKING_AGE["and"]]},
        ),
    ),
)
HAS_OBLIGORS = question(
    "yes_no",
    "has_obligors",
    "有无不在一起生活的法定赡养、抚养、扶养义务人",
    "Relatives living elsewhere who owe support by law",
)
OBLIGORS = question(
    "text",
    "obligors",
    "义务人姓名、关系、住址、工作及家庭情况",
    "Who they are, and how they live and work",
    max_length=1000,
    visible_if=is_yes("has_obligors"),
)
SUPPORT = question(
    "money",
    "support_fen",
    "每月实际给付的赡（抚、扶）养费",
    "Support really paid per month",
    minimum=0,
    visible_if=is_yes("has_obligors"),
    tolerance=(10_000, 10),
)
SUPPORT_ALWAYS = question(
    "money",
    "support_fen",
    "每月实际给付的赡（抚、扶）养费",
    "Support really paid per month",
    minimum=0,
    tolerance=(10_000, 10),
    hint=("没有的填 0", "Write 0 for none"),
)

# -- housing and property ------------------------------------------------------------------------------------

TENURE = question(
    "choice",
    "housing_tenure",
    "现住房性质",
    "Tenure of the home",
    choices={
        "owned": ("自有", "Owned"),
        "public": ("公租房、廉租房", "Public rental"),
        "rented": ("租住私房", "Privately rented"),
        "borrowed": ("借住", "Lent"),
        "collective": ("集体或单位住房", "Collective or employer's"),
    },
)
RENT = question(
    "money",
    "rent_fen",
    "每月房租",
    "Rent per month",
    minimum=0,
    tolerance=(5_000, 10),
    visible_if={"in": [{"var": "answers.housing_tenure"}, ["public", "rented"]]},
)
STRUCTURE = question(
    "choice",
    "housing_structure",
    "房屋结构",
    "Structure of the house",
    choices={
        "storeyed": ("楼房", "Flat or storeyed house"),
        "brick": ("砖瓦平房", "Brick bungalow"),
        "earth": ("土坯、木结构", "Earth or timber"),
        "cave": ("窑洞", "Cave dwelling"),
        "temporary": ("临时搭建", "Makeshift"),
    },
)
AREA = question(
    "integer",
    "housing_area_m2",
    "住房建筑面积（平方米）",
    "Floor area in m²",
    minimum=1,
    maximum=1000,
    tolerance=(5, 10),
)
CONDITION = question(
    "choice",
    "housing_condition",
    "房屋安全状况",
    "Condition of the house",
    choices={
        "good": ("良好", "Good"),
        "worn": ("一般", "Worn"),
        "unsafe": ("危房", "Unsafe"),
    },
)
OTHER_HOUSING = question("yes_no", "other_housing", "有无其他住房、商铺、车库", "Any other house, shop or garage")
OTHER_HOUSING_NOTE = question(
    "text",
    "other_housing_note",
    "其他房产的位置、面积、用途",
    "Where, how large, and what for",
    max_length=500,
    visible_if=is_yes("other_housing"),
)
VEHICLES = question(
    "multi_choice",
    "vehicles",
    "车辆、船舶、大型农机（可多选）",
    "Vehicles, boats and farm machines",
    choices={
        "none": ("没有", "None"),
        "electric_bike": ("电动自行车、普通摩托车", "Electric bicycle or light motorcycle"),
        "disability": ("残疾人代步车", "Disability vehicle"),
        "tricycle": ("三轮车", "Tricycle"),
        "car": ("小汽车、面包车", "Car or van"),
        "truck": ("货车、营运车辆", "Lorry or commercial vehicle"),
        "machine": ("大型农机、船舶、工程机械", "Large farm machine, boat or digger"),
    },
    feeds="vehicle",
    proposes={"car": "counted", "truck": "counted", "machine": "counted"},
    minimum=1,
    constraint={"or": [{"!": {"in": ["none", {"var": "value"}]}}, {"===": [{"var": "value.length"}, 1]}]},
    constraint_message=("选了“没有”就不能再选其他。", "'None' can't be chosen together with others."),
)
VEHICLE_NOTE = question(
    "text",
    "vehicle_note",
    "机动车品牌、号牌、登记人、购买时间",
    "Make, plate, owner on record, bought when",
    max_length=500,
    visible_if={"or": [contains("vehicles", "car"), contains("vehicles", "truck"), contains("vehicles", "machine")]},
)
SAVINGS = question(
    "money",
    "savings_fen",
    "存款、现金、证券、理财合计",
    "Savings, cash and securities together",
    minimum=0,
    tolerance=(100_000, 10),
    feeds="deposit",
)
BUSINESS_REGISTERED = question(
    "yes_no", "business_registered", "有无工商登记或实际经营", "Any registered or actual business", feeds="business"
)
BUSINESS_NOTE = question(
    "text",
    "business_note",
    "经营内容、地点、规模",
    "What business, where, how large",
    max_length=500,
    visible_if=is_yes("business_registered"),
)
LAND = question(
    "integer",
    "land_tenth_mu",
    "承包土地（单位：分，1 亩 = 10 分）",
    "Contracted land, in tenths of a mu",
    minimum=0,
    maximum=100_000,
    required=False,
    tolerance=(5, 10),
    visible_if={"!==": [{"var": "household.residence"}, "urban"]},
)
LIVESTOCK = question(
    "text",
    "livestock",
    "养殖、果园、大棚等情况",
    "Livestock, orchards, greenhouses",
    required=False,
    max_length=300,
    visible_if={"!==": [{"var": "household.residence"}, "urban"]},
)

# -- income and spending -------------------------------------------------------------------------------------

INCOME = question(
    "income_table",
    "income",
    "家庭收入（四类，填申报数和查实数）",
    "Household income, declared and found",
    feeds="incomes",
    tolerance=(20_000, 10),
    hint=("没有的填 0，不能空着；期间一般为申请前 12 个月", "Write 0 for none; usually the 12 months before"),
)
INCOME_EVIDENCE = question(
    "multi_choice",
    "income_evidence",
    "收入的依据（可多选）",
    "What the income figures rest on",
    minimum=1,
    choices={
        "payslip": ("工资单、用工单位证明", "Payslips or employer's statement"),
        "bank": ("银行流水", "Bank statement"),
        "contract": ("合同、协议", "Contracts"),
        "pension": ("养老金、补贴发放记录", "Pension or subsidy records"),
        "neighbours": ("邻里证明", "Neighbours' word"),
        "standard": ("按当地行业标准核算", "Local standard rate"),
        "declaration": ("本人申报", "Own declaration only"),
    },
)
UNCOUNTED = question(
    "money",
    "uncounted_fen",
    "不计入收入的项目（优抚、计生奖扶、奖学金、见义勇为奖等），每月",
    "Income that doesn't count (veterans', family planning, scholarships, bravery), per month",
    minimum=0,
    tolerance=(5_000, 10),
)
NEW_JOB = question("yes_no", "new_job", "近半年内有无成员新就业", "Has anyone begun a job in the last six months")
NEW_JOB_START = question(
    "date",
    "new_job_start",
    "新就业的开始日期",
    "When the job began",
    visible_if=is_yes("new_job"),
    hint=("用于计算渐退期", "Decides the months of gradual exit"),
    constraint=NOT_AFTER_TODAY,
    constraint_message=NOT_AFTER_TODAY_MESSAGE,
)
MEDICAL = question(
    "money",
    "medical_cost_fen",
    "医疗支出（报销后自付），每月平均",
    "Medical cost after refunds, per month",
    minimum=0,
    tolerance=(20_000, 20),
)
CARE_COST = question(
    "money",
    "disability_cost_fen",
    "残疾康复、护理、辅具支出，每月平均",
    "Disability care and aids, per month",
    minimum=0,
    tolerance=(20_000, 20),
)
EDUCATION = question(
    "money",
    "education_cost_fen",
    "教育支出，每月平均",
    "Education, per month",
    minimum=0,
    tolerance=(20_000, 20),
)
WORK_COST = question(
    "money",
    "work_cost_fen",
    "必要的就业成本（交通、工具等），每月平均",
    "Necessary costs of work, per month",
    minimum=0,
    tolerance=(10_000, 20),
    feeds="work_cost_month",
)
HAS_DEBT = question("yes_no", "has_debt", "有无债务", "Any debt")
DEBT = question(
    "money",
    "debt_fen",
    "债务总额",
    "Debt altogether",
    minimum=1,
    visible_if=is_yes("has_debt"),
    tolerance=(100_000, 10),
)
DEBT_REASON = question(
    "multi_choice",
    "debt_reason",
    "债务原因（可多选）",
    "Why the debt was made",
    minimum=1,
    visible_if=is_yes("has_debt"),
    choices={
        "illness": ("治病", "Illness"),
        "school": ("上学", "School"),
        "housing": ("建房、购房", "House"),
        "disaster": ("灾害、事故", "Disaster or accident"),
        "business": ("经营", "Business"),
        "other": ("其他", "Other"),
    },
)

# -- living conditions ---------------------------------------------------------------------------------------

LIVING_STANDARD = question(
    "choice",
    "living_standard",
    "所见生活水平（与当地一般家庭相比）",
    "Living standard seen, against ordinary homes",
    choices={
        "much_lower": ("明显低于", "Clearly lower"),
        "lower": ("略低于", "A little lower"),
        "same": ("相当", "About the same"),
        "higher": ("高于", "Higher"),
    },
)
HIGH_SPENDING = question(
    "multi_choice",
    "high_spending",
    "有无与困难家庭不符的消费（可多选）",
    "Spending that doesn't fit a poor household",
    minimum=1,
    choices={
        "none": ("没有发现", "None seen"),
        "renovation": ("近期购房、建房、高档装修", "Recent purchase, building or costly renovation"),
        "luxury_goods": ("高档家电、贵重物品", "Luxury appliances or valuables"),
        "private_school": ("自费择校、高收费私立学校、自费留学", "Fee-paying school or study abroad"),
        "travel": ("自费旅游", "Holiday travel"),
        "gambling": ("赌博、酗酒等不良消费", "Gambling or heavy drinking"),
    },
    constraint={"or": [{"!": {"in": ["none", {"var": "value"}]}}, {"===": [{"var": "value.length"}, 1]}]},
    constraint_message=(
        "选了“没有发现”就不能再选其他。",
        "'None seen' can't be chosen together with others.",
    ),
)
HIGH_SPENDING_NOTE = question(
    "text",
    "high_spending_note",
    "具体情况和资金来源",
    "What exactly, and who paid",
    max_length=500,
    visible_if={"and": [{"!!": {"var": "answers.high_spending"}}, {"!": contains("high_spending", "none")}]},
)
ELECTRICITY = question(
    "integer",
    "electricity_kwh",
    "月用电量（度）",
    "Electricity per month in kWh",
    minimum=0,
    maximum=20_000,
    tolerance=(30, 20),
    hint=("看电费单或电表", "From the bill or the meter"),
    constraint={"<=": [{"var": "value"}, 300]},
    constraint_severity="notice",
    constraint_message=(
        "用电量偏高，请在谈话记录中说明原因。",
        "High for a poor household; say why in the talk record.",
    ),
)
PHONE_COST = question(
    "money",
    "phone_cost_fen",
    "全家每月通讯费",
    "Phones of the whole household, per month",
    minimum=0,
    tolerance=(3_000, 20),
    constraint={"<=": [{"var": "value"}, 30_000]},
    constraint_severity="notice",
    constraint_message=(
        "通讯费偏高，请在谈话记录中说明原因。",
        "High for a poor household; say why in the talk record.",
    ),
)

# -- declarations, talk, evidence ----------------------------------------------------------------------------

STAFF_RELATIVE = question(
    "yes_no",
    "staff_relative",
    "是否有低保经办人员或村（居）干部的近亲属",
    "Close relative of someone on the staff or the village committee",
)
STAFF_RELATIVE_NOTE = question(
    "text",
    "staff_relative_note",
    "该人员姓名、职务、与本户关系（须备案）",
    "Who, which post, how related (goes on file)",
    max_length=200,
    visible_if=is_yes("staff_relative"),
)
CONSENT = question(
    "yes_no",
    "check_consent",
    "是否已签署家庭经济状况核对授权书",
    "Authorisation to check the economic status signed",
    constraint=MUST_BE_YES,
    constraint_severity="notice",
    constraint_message=(
        "未签授权书，无法开展核对。",
        "Without it the economic status can't be cross-checked.",
    ),
)
TALK_RECORD = question(
    "text",
    "talk_record",
    "谈话记录",
    "Talk record",
    max_length=5000,
    hint=(
        "按问答如实记录，写明谈话人、被谈话人、时间、地点",
        "Question and answer, with who, when and where",
    ),
)
READ_BACK = question(
    "yes_no",
    "read_back",
    "谈话记录已向被谈话人宣读并经其确认",
    "The record was read back and confirmed",
    constraint=MUST_BE_YES,
    constraint_message=(
        "谈话记录须宣读确认后才能提交。",
        "The record must be read back before it is submitted.",
    ),
)
CONCLUSION = question(
    "choice",
    "conclusion",
    "调查人意见",
    "Investigators' opinion",
    choices={
        "eligible": ("符合条件", "Meets the conditions"),
        "not_eligible": ("不符合条件", "Does not meet them"),
        "unclear": ("情况待核实", "To be checked further"),
    },
)
OPINION = question("text", "opinion", "理由和建议", "Reasons and proposal", max_length=1000)

PHOTO_OUTSIDE = question(
    "photo",
    "photo_outside",
    "房屋外观照片",
    "House from outside",
    minimum=1,
    maximum=4,
    visible_if=IN_PERSON,
)
PHOTO_INSIDE = question(
    "photo",
    "photo_inside",
    "室内照片（客厅、卧室、厨房）",
    "Inside: living room, bedroom, kitchen",
    minimum=1,
    maximum=9,
    visible_if=IN_PERSON,
)
PHOTO_REGISTER = question(
    "photo",
    "photo_register",
    "户口簿照片",
    "Household register",
    minimum=1,
    maximum=9,
    visible_if=IN_PERSON,
)
PHOTO_DOCUMENTS = question(
    "photo",
    "photo_documents",
    "证明材料照片（病历、残疾证、合同等）",
    "Documents: medical, disability, contracts",
    required=False,
    maximum=20,
)
PHOTO_PERSON = question(
    "photo",
    "photo_person",
    "与被走访人合影",
    "With the person met",
    minimum=1,
    maximum=4,
    visible_if=IN_PERSON,
)
SIGN_FAMILY = question(
    "signature",
    "sign_family",
    "在场家庭成员签名",
    "Family members present sign",
    minimum=1,
    maximum=10,
    visible_if=IN_PERSON,
)
SIGN_INVESTIGATORS = question(
    "signature",
    "sign_investigators",
    "调查人签名（至少两人）",
    "Investigators sign, at least two",
    minimum=2,
    maximum=6,
)
