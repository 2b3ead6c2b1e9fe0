"""The read trail by day, for its page at the desk

Revision: 0052, after 0051
"""

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_read_entry_at", "read_entry", ["at", "id"])


def downgrade() -> None:
    op.drop_index("ix_read_entry_at", "read_entry")
