"""Reports of staff that something does not work, and their answers

Revision: 0072, after 0071
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None

TABLE = "problem_report"
CHECKS = {
    "app_is_known": "app IN ('phone', 'desk')",
    "about_is_known": "about IN ('sync', 'photos', 'slow', 'crash', 'wrong', 'other')",
    "state_is_known": "state IN ('open', 'answered', 'closed')",
    "answered_by_somebody": "(state = 'open') = (answered_at IS NULL AND answered_by IS NULL)",
}


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("area_code", sa.String(12), nullable=False),
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        *(sa.CheckConstraint(text, name=op.f(f"ck_{TABLE}_{name}")) for name, text in CHECKS.items()),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f(f"fk_{TABLE}_staff_id_staff")),
        sa.ForeignKeyConstraint(["answered_by"], ["staff.id"], name=op.f(f"fk_{TABLE}_answered_by_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{TABLE}")),
    )
    op.create_index("ix_problem_report_staff", TABLE, ["staff_id", "reported_at"])
    op.create_index(op.f("ix_problem_report_area_code"), TABLE, ["area_code"])


def downgrade() -> None:
    op.drop_table(TABLE)
