"""Privacy notices with versions, recorded consent, and requests of people about their data

Revision: 0073, after 0072
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None

NOTICE_ZH = (
    "一、谁在处理：受理您申请的乡镇（街道）和县级民政部门。"
    "二、处理什么：申请书和材料上的身份、家庭成员、住址、电话、收入、财产、健康和残疾情况，收款账户，"
    "入户调查时的位置、照片和签名，信息核对结果，以及您在本系统中的申请和来信。"
    "三、为什么：审核确认和管理最低生活保障等社会救助，是依照《社会救助暂行办法》履行法定职责。"
    "四、给谁：只提供给依法参与核对、审核、公示和监督的机关；公示只写姓名、人数和金额。"
    "五、存多久：见“保存期限”；审核确认档案自停保之日起至少保存三年。"
    "六、您的权利：可以查阅、复制、更正、补充个人信息，要求说明处理规则；符合法定情形的，可以要求删除或者限制处理。"
    "可在本页或到受理窗口提出，我们书面答复；不满意的，可以向县级民政部门投诉，也可以依法向人民法院提起诉讼。"
    "七、不满十四周岁的未成年人，由监护人阅知和同意。"
)
NOTICE_EN = (
    "1. Who: the town office that takes your application, and the county's civil affairs office. "
    "2. What: identity, household, address, telephone, income, property, health and disability as in your papers, the "
    "account that is paid, positions, photos and signatures of visits, results of cross-checks, and what you write here. "
    "3. Why: to decide on and manage social assistance, a duty by the Interim Measures for Social Assistance. "
    "4. To whom: offices that by law cross-check, decide, post and supervise; a posting shows name, persons and amount. "
    "5. How long: see the table; approval files at least three years after a stop. "
    "6. Your rights: see, copy, correct and complete your data and have the rules explained; where the law says so, "
    "deletion or restriction. Ask here or at the counter; the answer is written. You may complain to the county's office "
    "or go to court. 7. For children under fourteen a guardian reads this and agrees."
)
RULES: dict[str, tuple[object, str]] = {
    "privacy.notice": (
        {"version": "1", "zh": NOTICE_ZH, "en": NOTICE_EN},
        "law: 个人信息保护法第十七条、第三十条、第三十一条、第三十五条;project default: an office puts its name and telephone in",
    ),
    "privacy.answer_days": (
        {"count": 30, "unit": "days"},
        "law: 个人信息保护法第五十条(及时受理和处理);GB/T 35273-2020 8.7: 三十天内答复",
    ),
    "privacy.case_file_days": (
        1096,
        "law: 最低生活保障审核确认办法: 审核确认档案自停保之日起至少保存三年;个人信息保护法第四十七条第二款",
    ),
}


def upgrade() -> None:
    op.create_table(
        "privacy_consent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("num_nonnulls(resident_id, recorded_by) = 1", name=op.f("ck_privacy_consent_one_way_in")),
        *_foreign_keys("privacy_consent", household_id="household", resident_id="resident", recorded_by="staff"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_privacy_consent")),
    )
    op.create_index(op.f("ix_privacy_consent_household_id"), "privacy_consent", ["household_id"])
    op.create_index(
        "uq_privacy_consent_once",
        "privacy_consent",
        ["member_id", "version"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    _create_requests()
    write_rules(RULES)


def _create_requests() -> None:
    checks = {
        "kind_is_known": "kind IN ('see', 'copy', 'correct', 'delete', 'restrict', 'explain')",
        "state_is_known": "state IN ('open', 'granted', 'partly', 'refused')",
        "ground_is_known": "ground IN ('retention', 'duty', 'identity', 'others', 'unfounded')",
        "one_way_in": "num_nonnulls(resident_id, entered_by) = 1",
        "answered_by_somebody": "(state = 'open') = (answer IS NULL) AND (state = 'open') = (answered_by IS NULL)"
        " AND (state = 'open') = (answered_at IS NULL)",
        "refused_has_a_ground": "(ground IS NOT NULL) = (state IN ('partly', 'refused'))",
    }
    op.create_table(
        "data_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(12), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=True),
        sa.Column("entered_by", sa.Uuid(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("ground", sa.String(), nullable=True),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        *(sa.CheckConstraint(check, name=op.f(f"ck_data_request_{name}")) for name, check in checks.items()),
        *_foreign_keys(
            "data_request",
            household_id="household",
            resident_id="resident",
            entered_by="staff",
            answered_by="staff",
        ),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_data_request_area_code_area")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_request")),
    )
    for column in ("household_id", "area_code"):
        op.create_index(op.f(f"ix_data_request_{column}"), "data_request", [column])
    op.create_index("ix_data_request_due", "data_request", ["due_on", "id"], postgresql_where=sa.text("state = 'open'"))


def _foreign_keys(table: str, **targets: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"))
        for column, target in targets.items()
    ]


def downgrade() -> None:
    """What people asked for and what they were answered is proof: while there is any, it stays."""
    kept = op.get_bind().scalar(sa.text("SELECT count(*) FROM data_request")) or op.get_bind().scalar(
        sa.text("SELECT count(*) FROM privacy_consent")
    )
    if kept:
        raise RuntimeError("requests or consents of people would be lost: keep this version, or restore a backup")
    drop_rules(RULES)
    op.drop_table("data_request")
    op.drop_table("privacy_consent")
