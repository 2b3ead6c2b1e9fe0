"""Imports of an office's files; one-time links that set a password; roles with a last day

Revision: 0039, after 0038
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

JSONB = postgresql.JSONB(astext_type=sa.Text())
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("staff_role", sa.Column("ends_on", sa.Date(), nullable=True))
    op.create_table(
        "sign_in_link",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("staff_id", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=False, index=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("created_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
    )
    op.create_table(
        "import_batch",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False, index=True),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("mapping", JSONB, nullable=False),
        sa.Column("headings", JSONB, nullable=False),
        sa.Column("faults", JSONB, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("needs_second_person", sa.Boolean(), nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=False),
        sa.Column("uploaded_at", TIME, nullable=False),
        sa.Column("confirmed_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("confirmed_at", TIME, nullable=True),
        sa.Column("applied_at", TIME, nullable=True),
        sa.Column("undone_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("undone_at", TIME, nullable=True),
        sa.Column("undo_reason", sa.String(), nullable=True),
        sa.CheckConstraint("kind IN ('areas', 'staff', 'register', 'assignments')", name="kind_is_known"),
        sa.CheckConstraint(
            "state IN ('previewed', 'confirmed', 'applied', 'undone', 'replaced')", name="state_is_known"
        ),
    )
    op.create_table(
        "import_line",
        sa.Column("batch_id", sa.Uuid(), sa.ForeignKey("import_batch.id"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("sheet", sa.String(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("faults", JSONB, nullable=False),
        sa.Column("plan_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("thing_id", sa.String(), nullable=True),
        sa.Column("before_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("is_chosen", sa.Boolean(), nullable=False),
        sa.Column("applied_at", TIME, nullable=True),
        sa.CheckConstraint(
            "outcome IN ('new', 'changed', 'unchanged', 'doubtful', 'refused')", name="outcome_is_known"
        ),
    )
    op.create_index("ix_import_line_outcome", "import_line", ["batch_id", "outcome", "position"])


def downgrade() -> None:
    op.drop_table("import_line")
    op.drop_table("import_batch")
    op.drop_table("sign_in_link")
    op.drop_column("staff_role", "ends_on")
