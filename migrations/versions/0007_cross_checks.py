"""Cross-checks: what other offices were asked about whom, and what they answered

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SOURCES = ("public_security", "housing", "social_security", "tax", "market", "provident_fund", "finance")


def upgrade() -> None:
    op.create_table(
        "cross_check_batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("answer_sha256", sa.String(), nullable=True),
        sa.Column("strangers", sa.Integer(), nullable=False),
        sa.CheckConstraint(f"source IN {SOURCES}", name=op.f("ck_cross_check_batch_source_is_known")),
        sa.ForeignKeyConstraint(["answered_by"], ["staff.id"], name=op.f("fk_cross_check_batch_answered_by_staff")),
        sa.ForeignKeyConstraint(["area_code"], ["area.code"], name=op.f("fk_cross_check_batch_area_code_area")),
        sa.ForeignKeyConstraint(["made_by"], ["staff.id"], name=op.f("fk_cross_check_batch_made_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cross_check_batch")),
    )
    op.create_index(op.f("ix_cross_check_batch_area_code"), "cross_check_batch", ["area_code"], unique=False)
    op.create_table(
        "cross_check",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("differences", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("objection", sa.String(), nullable=True),
        sa.Column("objected_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["cross_check_batch.id"], name=op.f("fk_cross_check_batch_id_cross_check_batch")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=op.f("fk_cross_check_case_id_case_file")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cross_check")),
        sa.UniqueConstraint("batch_id", "position", name=op.f("uq_cross_check_batch_id_position")),
    )
    op.create_index(op.f("ix_cross_check_case_id"), "cross_check", ["case_id"], unique=False)


def downgrade() -> None:
    op.drop_table("cross_check")
    op.drop_table("cross_check_batch")
