"""The queue in one order that waiting alone never changes: entry, moved back by so many days for the findings

Revision: 0019, after 0018
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

OPEN = sa.text("state <> 'decided'")
RULES = {
    "review.finding_days": (
        {"info": 0, "notice": 1, "warning": 5, "critical": 25},
        "project default: in the queue a finding counts as so many days of waiting, by its severity",
    )
}
PLACE = "((entered_at AT TIME ZONE 'UTC') - priority * interval '1 day') AT TIME ZONE 'UTC'"


def upgrade() -> None:
    op.add_column(
        "review_item",
        sa.Column("waits_since", sa.DateTime(timezone=True), sa.Computed(PLACE, persisted=True), nullable=False),
    )
    _index("waits_since", "visit_id")
    write_rules(RULES)


def _index(*order: str) -> None:
    in_order = [sa.text(one) for one in order]
    op.drop_index("ix_review_item_queue", table_name="review_item")
    op.drop_index("ix_review_item_county_queue", table_name="review_item")
    op.create_index("ix_review_item_queue", "review_item", in_order, postgresql_where=OPEN)
    op.create_index(
        "ix_review_item_county_queue",
        "review_item",
        [sa.text("left(area_code, 6)"), *in_order],
        postgresql_where=OPEN,
    )


def downgrade() -> None:
    drop_rules(RULES)
    _index("priority DESC", "entered_at", "visit_id")
    op.drop_column("review_item", "waits_since")
