"""Visits that the desk orders: by whom, in which order, for whom, and why

Revision: 0057, after 0056
"""

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assignment", sa.Column("ordered_by", sa.Uuid(), nullable=True))
    op.add_column("assignment", sa.Column("order_id", sa.Uuid(), nullable=True))
    op.add_column("assignment", sa.Column("assignee_id", sa.Uuid(), nullable=True))
    op.add_column("assignment", sa.Column("note", sa.String(), server_default=sa.text("''"), nullable=False))
    for column in ("ordered_by", "assignee_id"):
        op.create_foreign_key(op.f(f"fk_assignment_{column}_staff"), "assignment", "staff", [column], ["id"])
    op.create_index(op.f("ix_assignment_order_id"), "assignment", ["order_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_assignment_order_id"), "assignment")
    for column in ("assignee_id", "ordered_by"):
        op.drop_constraint(op.f(f"fk_assignment_{column}_staff"), "assignment", type_="foreignkey")
    for column in ("note", "assignee_id", "order_id", "ordered_by"):
        op.drop_column("assignment", column)
