"""How long and how small a phone's screen may be

Revision: 0101, after 0100
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0101"
down_revision = "0100"
branch_labels = None
depends_on = None

RULES: dict[str, tuple[object, str]] = {
    "photo.screen_ratio_most": (2.5, "project default: no phone's screen is longer than 22:9"),
    "photo.screen_short_px": (320, "project default: no smartphone's screen has fewer pixels across"),
}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
