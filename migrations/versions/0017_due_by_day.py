"""What is due by a day is found by its day

Revision: 0017, after 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_assignment_due",
        "assignment",
        ["due_on"],
        postgresql_include=["household_id", "kind"],
        postgresql_where=sa.text("state = 'open'"),
    )


def downgrade() -> None:
    op.drop_index("ix_assignment_due", table_name="assignment")
