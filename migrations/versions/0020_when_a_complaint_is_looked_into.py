"""How soon a home is visited after a complaint about it

Revision: 0020, after 0019
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

RULES = {"complaint.visit_days": (15, "project default: well within the 60 days in which it is decided")}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
