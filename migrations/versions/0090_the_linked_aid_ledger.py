"""The linked-aid ledger: kinds of aid, batches, lines, findings

Revision: 0090, after 0089
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.area_rules import drop_rules, write_rules

revision = "0090"
down_revision = "0089"
branch_labels = None
depends_on = None

_HARDSHIP = "困难群众救助补助资金"
_CAUSES = [
    {"code": "illness", "zh": "疾病", "en": "Illness"},
    {"code": "disaster", "zh": "灾害事故", "en": "Disaster or accident"},
    {"code": "school", "zh": "就学", "en": "School"},
]


def _money(code: str, zh: str, en: str, fund: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "zh": zh, "en": en, "fund": fund, **more}


def _goods(code: str, zh: str, en: str, unit_zh: str, unit_en: str) -> dict[str, Any]:
    units = {"form": "goods", "unitZh": unit_zh, "unitEn": unit_en}
    return {"code": code, "zh": zh, "en": en, "fund": _HARDSHIP, **units}


KINDS = [
    _money("medical", "医疗救助", "Medical aid", "医疗救助资金", homes="any", timesAMonth=31),
    _money("education", "教育救助", "Education aid", "教育资助资金", homes="any"),
    _money("heating", "取暖补贴", "Heating", "取暖补贴资金"),
    _money("temporary", "临时救助", "Temporary help", "临时救助资金", homes="any", causes=_CAUSES),
    _money("price_subsidy", "价格临时补贴", "Price subsidy", "价格临时补贴资金"),
    _money("meat_subsidy", "肉食补贴", "Meat subsidy", "价格临时补贴资金"),
    _goods("coal", "取暖煤", "Coal", "吨", "t"),
    _goods("flour", "面粉", "Flour", "袋", "bags"),
    _goods("rice", "大米", "Rice", "袋", "bags"),
    _goods("oil", "食用油", "Cooking oil", "桶", "cans"),
    _goods("meat_coupon", "肉票", "Meat coupons", "张", "sheets"),
]
RULES: dict[str, tuple[object, str]] = {
    "aid.kinds": (KINDS, "practice of offices; each fund, unit and kind by the area's own notice"),
}


def upgrade() -> None:
    op.create_table(
        "aid_batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("kind_zh", sa.String(), nullable=False),
        sa.Column("kind_en", sa.String(), nullable=False),
        sa.Column("form", sa.String(), nullable=False),
        sa.Column("unit_zh", sa.String(), nullable=False),
        sa.Column("unit_en", sa.String(), nullable=False),
        sa.Column("fund", sa.String(), nullable=False),
        sa.Column("for_homes_in_force", sa.Boolean(), nullable=False),
        sa.Column("times_a_month", sa.Integer(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("bought_milli", sa.BigInteger(), nullable=True),
        sa.Column("stated", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("examined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("prepared_by", sa.Uuid(), nullable=True),
        sa.Column("prepared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.Uuid(), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.CheckConstraint("form IN ('money', 'goods')", name=op.f("ck_aid_batch_form_is_known")),
        sa.CheckConstraint("date_part('day', month) = 1", name=op.f("ck_aid_batch_month_is_a_first")),
        sa.CheckConstraint("bought_milli IS NULL OR form = 'goods'", name=op.f("ck_aid_batch_only_goods_are_bought")),
        sa.CheckConstraint(
            "state NOT IN ('released', 'closed') OR (prepared_by IS NOT NULL AND released_by IS NOT NULL)",
            name=op.f("ck_aid_batch_released_by_two"),
        ),
        sa.CheckConstraint("released_by <> prepared_by", name=op.f("ck_aid_batch_releasing_takes_two")),
        sa.CheckConstraint("source IN ('office', 'import')", name=op.f("ck_aid_batch_source_is_known")),
        sa.CheckConstraint(
            "state IN ('drafted', 'prepared', 'released', 'closed', 'cancelled')",
            name=op.f("ck_aid_batch_state_is_known"),
        ),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_aid_batch_area_code_area")),
        sa.ForeignKeyConstraint(["closed_by"], ["staff.id"], name=op.f("fk_aid_batch_closed_by_staff")),
        sa.ForeignKeyConstraint(["made_by"], ["staff.id"], name=op.f("fk_aid_batch_made_by_staff")),
        sa.ForeignKeyConstraint(["prepared_by"], ["staff.id"], name=op.f("fk_aid_batch_prepared_by_staff")),
        sa.ForeignKeyConstraint(["released_by"], ["staff.id"], name=op.f("fk_aid_batch_released_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aid_batch")),
        sa.UniqueConstraint("number", name=op.f("uq_aid_batch_number")),
    )
    op.create_index(op.f("ix_aid_batch_area_code"), "aid_batch", ["area_code"], unique=False)
    op.create_index("ix_aid_batch_month", "aid_batch", ["month", "area_code"], unique=False)
    op.create_table(
        "aid_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("household_number", sa.String(), nullable=False),
        sa.Column("head_name", sa.String(), nullable=False),
        sa.Column("member_name", sa.String(), nullable=True),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("cause_zh", sa.String(), nullable=True),
        sa.Column("cause_en", sa.String(), nullable=True),
        sa.Column("planned_milli", sa.BigInteger(), nullable=True),
        sa.Column("planned_fen", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("given_milli", sa.BigInteger(), nullable=True),
        sa.Column("given_fen", sa.BigInteger(), nullable=True),
        sa.Column("given_on", sa.Date(), nullable=True),
        sa.Column("recipient", sa.String(), nullable=True),
        sa.Column("recipient_name", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("relation", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("signature_sha256", sa.String(), nullable=True),
        sa.Column("fix", postgresql.JSONB(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("stance", sa.String(), nullable=True),
        sa.Column("stance_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("complaint_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("given_fen >= 0", name=op.f("ck_aid_line_given_amount_is_not_negative")),
        sa.CheckConstraint("given_milli > 0", name=op.f("ck_aid_line_given_quantity_is_positive")),
        sa.CheckConstraint(
            "(state IN ('handed_out', 'taken_back')) = (given_on IS NOT NULL AND recipient IS NOT NULL) AND (state IN ('handed_out', 'taken_back')) = (given_milli IS NOT NULL OR given_fen IS NOT NULL)",
            name=op.f("ck_aid_line_given_says_when_and_to_whom"),
        ),
        sa.CheckConstraint(
            "planned_milli IS NOT NULL OR planned_fen IS NOT NULL", name=op.f("ck_aid_line_gives_something")
        ),
        sa.CheckConstraint("date_part('day', month) = 1", name=op.f("ck_aid_line_month_is_a_first")),
        sa.CheckConstraint("people > 0", name=op.f("ck_aid_line_people_are_counted")),
        sa.CheckConstraint("planned_fen >= 0", name=op.f("ck_aid_line_planned_amount_is_not_negative")),
        sa.CheckConstraint("planned_milli > 0", name=op.f("ck_aid_line_planned_quantity_is_positive")),
        sa.CheckConstraint(
            "recipient <> 'proxy' OR (recipient_name <> '' AND relation <> '')",
            name=op.f("ck_aid_line_proxy_has_a_name"),
        ),
        sa.CheckConstraint("recipient IN ('head', 'member', 'proxy')", name=op.f("ck_aid_line_recipient_is_known")),
        sa.CheckConstraint("source IN ('batch', 'entry', 'import')", name=op.f("ck_aid_line_source_is_known")),
        sa.CheckConstraint("stance IN ('received', 'not_received')", name=op.f("ck_aid_line_stance_is_known")),
        sa.CheckConstraint(
            "state IN ('planned', 'left_out', 'handed_out', 'not_handed_out', 'taken_back', 'cancelled')",
            name=op.f("ck_aid_line_state_is_known"),
        ),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_aid_line_area_code_area")),
        sa.ForeignKeyConstraint(["batch_id"], ["aid_batch.id"], name=op.f("fk_aid_line_batch_id_aid_batch")),
        sa.ForeignKeyConstraint(["complaint_id"], ["complaint.id"], name=op.f("fk_aid_line_complaint_id_complaint")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_aid_line_household_id_household")),
        sa.ForeignKeyConstraint(
            ["member_id"], ["household_member.id"], name=op.f("fk_aid_line_member_id_household_member")
        ),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff.id"], name=op.f("fk_aid_line_recorded_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aid_line")),
        sa.UniqueConstraint("batch_id", "position", name=op.f("uq_aid_line_batch_id_position")),
    )
    op.create_index(op.f("ix_aid_line_area_code"), "aid_line", ["area_code"], unique=False)
    op.create_index("ix_aid_line_home", "aid_line", ["household_id", "kind", "month"], unique=False)
    op.create_index("ix_aid_line_month", "aid_line", ["month", "area_code"], unique=False)
    op.create_index(op.f("ix_aid_line_signature_sha256"), "aid_line", ["signature_sha256"], unique=False)
    op.create_table(
        "aid_finding",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("judged_by", sa.Uuid(), nullable=True),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("verdict IS NULL OR reason <> ''", name=op.f("ck_aid_finding_verdict_has_a_reason")),
        sa.CheckConstraint(
            "(verdict IS NULL) = (judged_by IS NULL) AND (verdict IS NULL) = (judged_at IS NULL)",
            name=op.f("ck_aid_finding_verdict_is_a_persons"),
        ),
        sa.CheckConstraint("verdict IN ('dismissed', 'upheld')", name=op.f("ck_aid_finding_verdict_is_known")),
        sa.ForeignKeyConstraint(["batch_id"], ["aid_batch.id"], name=op.f("fk_aid_finding_batch_id_aid_batch")),
        sa.ForeignKeyConstraint(["judged_by"], ["staff.id"], name=op.f("fk_aid_finding_judged_by_staff")),
        sa.ForeignKeyConstraint(["line_id"], ["aid_line.id"], name=op.f("fk_aid_finding_line_id_aid_line")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_aid_finding")),
    )
    op.create_index("ix_aid_finding_batch", "aid_finding", ["batch_id", "line_id"], unique=False)
    op.create_index(op.f("ix_aid_finding_line_id"), "aid_finding", ["line_id"], unique=False)
    write_rules(RULES)


def downgrade() -> None:
    """What was handed out is accounting: a ledger with it stays."""
    given = op.get_bind().scalar(sa.text("SELECT count(*) FROM aid_line WHERE given_on IS NOT NULL"))
    if given:
        raise RuntimeError(f"{given} lines of aid were handed out: keep this version")
    drop_rules(RULES)
    for name in ("aid_finding", "aid_line", "aid_batch"):
        op.drop_table(name)
