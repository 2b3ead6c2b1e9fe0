"""How far apart the due days of one round may lie is a number of the domain

Revision: 0026, after 0025
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

RULES = {"review.round_days": (14, "project default: homes of one village due so near each other share a day")}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
