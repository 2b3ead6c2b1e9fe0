"""Which findings must be judged before a visit is accepted

Revision: 0068, after 0067
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None

RULES: dict[str, tuple[object, str]] = {
    "review.judged_before_acceptance": (
        ["critical"],
        "project default: no visit is accepted over a critical finding that nobody judged",
    ),
}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
