"""What a decision said of which finding, and what had been said of it before: an undoing takes back that alone

Decisions from before have none, and none of them can be undone any more after their minute.

Revision: 0033, after 0032
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decision", sa.Column("judged", JSONB(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("decision", "judged")
