"""How many visits in a row may take over every answer of the time before

Revision: 0066, after 0065
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None

RULES: dict[str, tuple[object, str]] = {
    "visit.unchanged_visits": (5, "project default: in five homes something of some member has changed"),
}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
