"""A job that waits for its turn is found by its key, however many others wait

Revision: 0023, after 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_zoufang_jobs_in_turn",
        "procrastinate_jobs",
        ["lock"],
        postgresql_where=sa.text("status = 'todo' AND lock IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_zoufang_jobs_in_turn", "procrastinate_jobs")
