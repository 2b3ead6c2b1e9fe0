"""How much a person reveals and reads in a day: limits by area, and an index for the count

Revision: 0038, after 0037
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

REVEALS = sa.text("action IN ('household.revealed', 'objection.contact_revealed')")
RULES = {
    "reveal.per_day": (
        30,
        "project default: sealed numbers and contacts that one person may reveal in a day",
    ),
    "reads.unusual_opened": (
        200,
        "project default: who opened more things than this in a day is listed on the overview",
    ),
    "reads.unusual_exported": (
        2000,
        "project default: who exported more rows than this in a day is listed on the overview",
    ),
}


def upgrade() -> None:
    op.create_index("ix_audit_entry_reveals", "audit_entry", ["actor_id", "at"], postgresql_where=REVEALS)
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
    op.drop_index("ix_audit_entry_reveals", table_name="audit_entry")
