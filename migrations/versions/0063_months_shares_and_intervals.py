"""Which month is paid first, and which share of the votes passes a hearing

Revision: 0063, after 0062
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None

RULES: dict[str, tuple[object, str]] = {
    "case.first_month": (
        "next",
        "law, as read: 《最低生活保障审核确认办法》§21; some provinces pay the month of the decision",
    ),
    "hearing.majority": ("half", "practice of offices; more than half, elsewhere at least two thirds"),
}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
