"""Which kinds of visit a caseworker may begin without an order

Revision: 0056, after 0055
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

RULES: dict[str, tuple[object, str]] = {
    "visit.unordered_kinds": (
        ["review", "neighbour", "care"],
        "project default: a survey, a complaint and a spot check are ordered by the procedure",
    ),
}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
