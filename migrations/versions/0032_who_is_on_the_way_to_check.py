"""Who is on the way to check a visit: asked for with every look at the queue

Revision: 0032, after 0031
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_spot_check_assigned",
        "spot_check",
        ["staff_id", "partner_id"],
        postgresql_where=sa.text("state = 'assigned'"),
    )


def downgrade() -> None:
    op.drop_index("ix_spot_check_assigned", table_name="spot_check")
