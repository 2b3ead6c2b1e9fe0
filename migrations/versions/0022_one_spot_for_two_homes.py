"""The limits of `visit.same_spot`: two homes visited from one spot

Revision: 0022, after 0021
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

RULES = {
    "visit.same_spot_m": (10, "project default: so near are fixes of one phone that lies still"),
    "visit.same_spot_accuracies": (2, "project default: two homes are apart beyond twice what both accuracies explain"),
}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
