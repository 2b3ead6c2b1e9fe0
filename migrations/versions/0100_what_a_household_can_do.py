"""How long a household may challenge a decision, and whether it reads an opinion before one

Revision: 0100, after 0099
"""

from migrations.area_rules import drop_rules, write_rules

revision = "0100"
down_revision = "0099"
branch_labels = None
depends_on = None

RULES: dict[str, tuple[object, str]] = {
    "remedy.reconsideration_days": (60, "law: 《行政复议法》§20"),
    "remedy.lawsuit_months": (6, "law: 《行政诉讼法》§46"),
    "resident.opinion_before_decision": (False, "project default; the law does not say"),
}


def upgrade() -> None:
    write_rules(RULES)


def downgrade() -> None:
    drop_rules(RULES)
