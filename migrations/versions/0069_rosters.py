"""Rosters, their lines and findings, and what the bank answers

Revision: 0069, after 0068
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.area_rules import drop_rules, write_rules

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None

PROGRAMS = [
    {
        "code": "urban_dibao",
        "zh": "城市最低生活保障金",
        "en": "Urban dibao",
        "fund": "困难群众救助补助资金",
        "homes": ["urban"],
    },
    {
        "code": "rural_dibao",
        "zh": "农村最低生活保障金",
        "en": "Rural dibao",
        "fund": "困难群众救助补助资金",
        "homes": ["rural"],
    },
]
BANK_FORMS = [
    {
        "code": "plain",
        "zh": "通用（CSV）",
        "en": "Plain CSV",
        "format": "csv",
        "columns": [
            {"field": "position", "heading": "序号"},
            {"field": "reference", "heading": "业务编号"},
            {"field": "payee", "heading": "户名"},
            {"field": "account", "heading": "账号"},
            {"field": "bank", "heading": "开户行"},
            {"field": "yuan", "heading": "金额"},
            {"field": "note", "heading": "摘要"},
        ],
        "answer": {
            "reference": "业务编号",
            "yuan": "金额",
            "result": "结果",
            "reason": "失败原因",
            "paid": ["成功"],
            "returned": ["失败", "退票"],
        },
    }
]
RULES: dict[str, tuple[object, str]] = {
    "roster.programs": (PROGRAMS, "practice of offices; each fund and its money by the area's own notice"),
    "roster.bank_forms": (BANK_FORMS, "project default: a plain form; each agent bank gives its own"),
    "roster.people": (2, "practice of offices; some keep preparing, checking and sending apart"),
    "roster.arrears_months": (12, "practice of offices; how far back arrears and recoveries are counted"),
    "roster.outlier_percent": (50, "project default: from which change of a payment a person looks at it"),
}


def upgrade() -> None:
    op.create_table(
        "roster",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("program_zh", sa.String(), nullable=False),
        sa.Column("program_en", sa.String(), nullable=False),
        sa.Column("fund", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("examined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("prepared_by", sa.Uuid(), nullable=True),
        sa.Column("prepared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_by", sa.Uuid(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_by", sa.Uuid(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_by", sa.Uuid(), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("homes", sa.Integer(), nullable=True),
        sa.Column("people", sa.Integer(), nullable=True),
        sa.Column("total_fen", sa.BigInteger(), nullable=True),
        sa.Column("lines_hash", sa.String(), nullable=True),
        sa.Column("file_form", postgresql.JSONB(), nullable=True),
        sa.Column("file_hash", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(kind = 'correction') = (source_id IS NOT NULL)", name=op.f("ck_roster_correction_has_a_source")
        ),
        sa.CheckConstraint(
            "(state IN ('frozen', 'sent', 'settled')) <= (lines_hash IS NOT NULL)",
            name=op.f("ck_roster_frozen_has_a_hash"),
        ),
        sa.CheckConstraint("date_part('day', month) = 1", name=op.f("ck_roster_month_is_a_first")),
        sa.CheckConstraint("kind IN ('monthly', 'correction')", name=op.f("ck_roster_kind_is_known")),
        sa.CheckConstraint(
            "state IN ('drafting', 'drafted', 'prepared', 'frozen', 'sent', 'settled', 'cancelled')",
            name=op.f("ck_roster_state_is_known"),
        ),
        sa.CheckConstraint("checked_by <> prepared_by", name=op.f("ck_roster_checking_takes_two")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_roster_area_code_area")),
        sa.ForeignKeyConstraint(["cancelled_by"], ["staff.id"], name=op.f("fk_roster_cancelled_by_staff")),
        sa.ForeignKeyConstraint(["checked_by"], ["staff.id"], name=op.f("fk_roster_checked_by_staff")),
        sa.ForeignKeyConstraint(["made_by"], ["staff.id"], name=op.f("fk_roster_made_by_staff")),
        sa.ForeignKeyConstraint(["prepared_by"], ["staff.id"], name=op.f("fk_roster_prepared_by_staff")),
        sa.ForeignKeyConstraint(["sent_by"], ["staff.id"], name=op.f("fk_roster_sent_by_staff")),
        sa.ForeignKeyConstraint(["source_id"], ["roster.id"], name=op.f("fk_roster_source_id_roster")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roster")),
        sa.UniqueConstraint("number", name=op.f("uq_roster_number")),
    )
    op.create_index(op.f("ix_roster_area_code"), "roster", ["area_code"], unique=False)
    op.create_index(
        "uq_roster_month",
        "roster",
        ["program", "area_code", "month"],
        unique=True,
        postgresql_where=sa.text("kind = 'monthly' AND state <> 'cancelled'"),
    )
    op.create_table(
        "roster_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("roster_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("program", sa.String(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("source_line_id", sa.Uuid(), nullable=True),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("household_number", sa.String(), nullable=False),
        sa.Column("head_name", sa.String(), nullable=False),
        sa.Column("beneficiaries", postgresql.JSONB(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("class", sa.String(), nullable=True),
        sa.Column("payee_name", sa.String(), nullable=True),
        sa.Column("bank_name", sa.String(), nullable=True),
        sa.Column("account_mask", sa.String(), nullable=True),
        sa.Column("account_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("account_index", sa.LargeBinary(), nullable=True),
        sa.Column("due_fen", sa.Integer(), nullable=False),
        sa.Column("arrears_fen", sa.Integer(), nullable=False),
        sa.Column("recovery_fen", sa.Integer(), nullable=False),
        sa.Column("total_fen", sa.Integer(), nullable=False),
        sa.Column("ground", postgresql.JSONB(), nullable=False),
        sa.Column("hash", sa.String(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("return_reason", sa.String(), nullable=True),
        sa.Column("stance", sa.String(), nullable=True),
        sa.Column("stance_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("stance IN ('received', 'not_received')", name=op.f("ck_roster_line_stance_is_known")),
        sa.CheckConstraint(
            "state IN ('drafted', 'left_out', 'frozen', 'sent', 'paid', 'returned', 'cancelled')",
            name=op.f("ck_roster_line_state_is_known"),
        ),
        sa.CheckConstraint(
            "due_fen >= 0 AND arrears_fen >= 0 AND recovery_fen >= 0",
            name=op.f("ck_roster_line_parts_are_not_negative"),
        ),
        sa.CheckConstraint(
            "total_fen = due_fen + arrears_fen - recovery_fen", name=op.f("ck_roster_line_total_is_its_parts")
        ),
        sa.CheckConstraint("total_fen >= 0", name=op.f("ck_roster_line_total_is_not_negative")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_roster_line_area_code_area")),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_roster_line_case_id_case_file")),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaint.id"], name=op.f("fk_roster_line_complaint_id_complaint")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_roster_line_household_id_household")),
        sa.ForeignKeyConstraint(["roster_id"], ["roster.id"], name=op.f("fk_roster_line_roster_id_roster")),
        sa.ForeignKeyConstraint(
            ["source_line_id"], ["roster_line.id"], name=op.f("fk_roster_line_source_line_id_roster_line")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roster_line")),
        sa.UniqueConstraint("reference", name=op.f("uq_roster_line_reference")),
        sa.UniqueConstraint("roster_id", "position", name=op.f("uq_roster_line_roster_id_position")),
    )
    op.create_index(op.f("ix_roster_line_account_index"), "roster_line", ["account_index"], unique=False)
    op.create_index(op.f("ix_roster_line_area_code"), "roster_line", ["area_code"], unique=False)
    op.create_index(op.f("ix_roster_line_case_id"), "roster_line", ["case_id"], unique=False)
    op.create_index("ix_roster_line_home", "roster_line", ["household_id", "program", "month"], unique=False)
    op.create_index("ix_roster_line_month", "roster_line", ["month", "area_code"], unique=False)
    op.create_index(
        "uq_roster_line_month",
        "roster_line",
        ["household_id", "program", "month"],
        unique=True,
        postgresql_where=sa.text("source_line_id IS NULL AND state NOT IN ('left_out', 'cancelled')"),
    )
    op.create_index(
        "uq_roster_line_source",
        "roster_line",
        ["source_line_id"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('left_out', 'cancelled')"),
    )
    op.create_table(
        "roster_part",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'recovery') = (amount_fen < 0)", name=op.f("ck_roster_part_only_a_recovery_is_negative")
        ),
        sa.CheckConstraint("date_part('day', month) = 1", name=op.f("ck_roster_part_month_is_a_first")),
        sa.CheckConstraint("kind IN ('due', 'arrears', 'recovery')", name=op.f("ck_roster_part_kind_is_known")),
        sa.ForeignKeyConstraint(["line_id"], ["roster_line.id"], name=op.f("fk_roster_part_line_id_roster_line")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roster_part")),
        sa.UniqueConstraint("line_id", "month", "kind", name=op.f("uq_roster_part_line_id_month_kind")),
    )
    op.create_table(
        "roster_finding",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("roster_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("judged_by", sa.Uuid(), nullable=True),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("verdict IN ('pay', 'leave_out')", name=op.f("ck_roster_finding_verdict_is_known")),
        sa.CheckConstraint("verdict IS NULL OR reason <> ''", name=op.f("ck_roster_finding_verdict_has_a_reason")),
        sa.CheckConstraint(
            "(verdict IS NULL) = (judged_by IS NULL) AND (verdict IS NULL) = (judged_at IS NULL)",
            name=op.f("ck_roster_finding_verdict_is_a_persons"),
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_roster_finding_household_id_household")
        ),
        sa.ForeignKeyConstraint(["judged_by"], ["staff.id"], name=op.f("fk_roster_finding_judged_by_staff")),
        sa.ForeignKeyConstraint(["roster_id"], ["roster.id"], name=op.f("fk_roster_finding_roster_id_roster")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roster_finding")),
    )
    op.create_index("ix_roster_finding_roster", "roster_finding", ["roster_id", "household_id"], unique=False)
    op.create_table(
        "bank_answer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("roster_id", sa.Uuid(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("read_by", sa.Uuid(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid", sa.Integer(), nullable=False),
        sa.Column("returned", sa.Integer(), nullable=False),
        sa.Column("repeated", sa.Integer(), nullable=False),
        sa.Column("refused", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["read_by"], ["staff.id"], name=op.f("fk_bank_answer_read_by_staff")),
        sa.ForeignKeyConstraint(["roster_id"], ["roster.id"], name=op.f("fk_bank_answer_roster_id_roster")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_answer")),
        sa.UniqueConstraint("roster_id", "sha256", name=op.f("uq_bank_answer_roster_id_sha256")),
    )
    write_rules(RULES)


def downgrade() -> None:
    """What was sent to a bank is accounting: a roster that was sent stays."""
    sent = op.get_bind().scalar(sa.text("SELECT count(*) FROM roster WHERE sent_at IS NOT NULL"))
    if sent:
        raise RuntimeError(f"{sent} rosters were sent to the bank: keep this version")
    drop_rules(RULES)
    for name in ("bank_answer", "roster_finding", "roster_part", "roster_line", "roster"):
        op.drop_table(name)
