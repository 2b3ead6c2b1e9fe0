"""Whether an objection stops the clock of the decision

Revision: 0060, after 0059
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

RULES: dict[str, tuple[object, str]] = {
    "case.objection_stops_clock": (
        False,
        "law, as read: 《民发〔2022〕83号》四（一）; allows the extension to 45 working days, and no law stops the clock",
    ),
}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
