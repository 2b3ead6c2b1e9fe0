"""Drafting a county's roster again looks up, for each line that it deletes, who refers to it

Revision: 0105, after 0104
"""

import sqlalchemy as sa
from alembic import op

revision = "0105"
down_revision = "0104"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_roster_line_source",
        "roster_line",
        ["source_line_id"],
        postgresql_where=sa.text("source_line_id IS NOT NULL"),
    )
    op.create_index("ix_late_return_line_id", "late_return", ["line_id"])


def downgrade() -> None:
    op.drop_index("ix_late_return_line_id", "late_return")
    op.drop_index("ix_roster_line_source", "roster_line")
