"""The read trail by day, for its page at the desk

Revision: 0051, after 0050
"""

from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_read_entry_at", "read_entry", ["at", "id"])


def downgrade() -> None:
    op.drop_index("ix_read_entry_at", "read_entry")
