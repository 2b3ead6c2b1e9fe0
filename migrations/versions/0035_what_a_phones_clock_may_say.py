"""What a phone's clock may say: the earliest day that is believed, and how far it may be ahead

Times outside are kept with their document, and the time of receipt counts instead.

Revision: 0035, after 0034
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

RULES = {
    "field.earliest_day": ("2020-01-01", "project default: no record of this system is older; lower it for an import"),
    "field.clock_ahead_min": (60, "project default: phones without network time drift by minutes, not by hours"),
}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
