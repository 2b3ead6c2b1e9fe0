"""How soon a home is visited after a complaint about it

Revision: 0019, after 0018
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

RULES = {"complaint.visit_days": (15, "project default: well within the 60 days in which it is decided")}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
