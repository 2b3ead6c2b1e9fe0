"""The read trail by day, for its page at the desk

Revision: 0054, after 0053
"""

from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_read_entry_at", "read_entry", ["at", "id"])


def downgrade() -> None:
    op.drop_index("ix_read_entry_at", "read_entry")
