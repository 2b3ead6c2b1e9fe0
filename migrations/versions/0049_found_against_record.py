"""What accepted visits found against the register, and why a decision differs from it

Revision: 0049, after 0048
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.area_rules import drop_rules, write_rules

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

JSONB = postgresql.JSONB(astext_type=sa.Text())
TIME = sa.DateTime(timezone=True)
FIGURES = (
    "wage",
    "business",
    "property",
    "transfer",
    "cost",
    "work_cost",
    "home",
    "vehicle",
    "deposit",
    "business_count",
    "health",
    "labour_ability",
    "recommendation",
)
RULES: dict[str, tuple[object, str]] = {
    "case.found_difference_fen": (
        10_00,
        "project default: ten yuan a head and month, under the rounding of an income that was asked at the door",
    ),
}


def upgrade() -> None:
    for table in ("income_item", "property_item"):
        op.add_column(table, sa.Column("source_visit_id", sa.Uuid(), nullable=True))
        name = op.f(f"fk_{table}_source_visit_id_visit")
        op.create_foreign_key(name, table, "visit", ["source_visit_id"], ["id"])
    _create_found_figure()
    op.create_table(
        "difference_reason",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("case_id", sa.Uuid(), sa.ForeignKey("case_file.id"), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("calculation_id", sa.Uuid(), sa.ForeignKey("calculation.id"), nullable=False),
        sa.Column("figures_hash", sa.String(), nullable=False),
        sa.Column("difference_fen", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("written_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=False),
        sa.Column("written_at", TIME, nullable=False),
        sa.Column("approved_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("approved_at", TIME, nullable=True),
        sa.CheckConstraint("step IN ('opinion_grant', 'confirmed', 'amount_changed')", name="step_may_differ"),
        sa.CheckConstraint("reason <> ''", name="reason_is_written"),
        sa.CheckConstraint("approved_by <> written_by", name="approved_by_another_person"),
        sa.CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved_has_a_time"),
        sa.UniqueConstraint("case_id", "step", "calculation_id", "figures_hash"),
    )
    write_rules(RULES)


def _create_found_figure() -> None:
    op.create_table(
        "found_figure",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("visit_id", sa.Uuid(), sa.ForeignKey("visit.id"), nullable=False, index=True),
        sa.Column("visit_version", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.Uuid(), sa.ForeignKey("case_file.id"), nullable=False),
        sa.Column("household_id", sa.Uuid(), sa.ForeignKey("household.id"), nullable=False, index=True),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False, index=True),
        sa.Column("figure", sa.String(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("question_id", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("months", sa.Integer(), nullable=True),
        sa.Column("value", sa.String(), nullable=True),
        sa.Column("declared", sa.BigInteger(), nullable=True),
        sa.Column("drafted_at", TIME, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("decided_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("decided_at", TIME, nullable=True),
        sa.Column("replaced", JSONB, server_default=sa.text("'[]'"), nullable=False),
        sa.CheckConstraint(f"figure IN {FIGURES}", name="figure_is_known"),
        sa.CheckConstraint("state IN ('current', 'superseded', 'withdrawn')", name="state_is_known"),
        sa.CheckConstraint("(amount IS NULL) <> (value IS NULL)", name="an_amount_or_a_value"),
        sa.CheckConstraint("months > 0", name="months_are_positive"),
        sa.CheckConstraint("verdict IN ('adopted', 'declined')", name="verdict_is_known"),
        sa.CheckConstraint("verdict <> 'declined' OR reason <> ''", name="declined_has_a_reason"),
        sa.CheckConstraint(
            "(verdict IS NULL) = (decided_by IS NULL) AND (verdict IS NULL) = (decided_at IS NULL)",
            name="verdict_is_a_persons",
        ),
    )
    op.create_index(
        "uq_found_figure_current",
        "found_figure",
        ["case_id", "figure", "member_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("state = 'current'"),
    )
    op.create_index(
        "ix_found_figure_recommended",
        "found_figure",
        ["drafted_at", "id"],
        postgresql_where=sa.text("state = 'current' AND verdict IS NULL AND figure = 'recommendation'"),
    )


def downgrade() -> None:
    """What a person decided about a visit's figures has no place before: while there is any, it stays."""
    decided = op.get_bind().scalar(
        sa.text(
            "SELECT (SELECT count(*) FROM found_figure WHERE verdict IS NOT NULL)"
            " + (SELECT count(*) FROM difference_reason)"
        )
    )
    if decided:
        raise RuntimeError(
            f"going back would lose {decided} verdicts on visits: keep this version, or restore a backup"
        )
    drop_rules(RULES)
    op.drop_table("difference_reason")
    op.drop_table("found_figure")
    for table in ("income_item", "property_item"):
        op.drop_column(table, "source_visit_id")
