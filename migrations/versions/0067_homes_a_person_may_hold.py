"""How many homes a person may hold

Revision: 0067, after 0066
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

RULES: dict[str, tuple[object, str]] = {
    "staff.homes_most": (300, "practice of offices: a caseworker holds 30 to 300 homes"),
}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
