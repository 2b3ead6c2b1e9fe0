"""The number that a caseworker passes on at the door

Revision: 0082, after 0081
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0082"
down_revision = "0081"
branch_labels = None
depends_on = None

RULES: dict[str, tuple[object, str]] = {"office.hotline": ("", "none until an area writes its own")}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
