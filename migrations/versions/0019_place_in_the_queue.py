"""The queue in one order that waiting alone never changes: entry, moved back by so many days for the findings

Revision: 0019, after 0018
"""

from datetime import date
from uuid import uuid4

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

OPEN = sa.text("state <> 'decided'")
KEY = "review.finding_days"
DAYS = {"info": 0, "notice": 1, "warning": 5, "critical": 25}
PLACE = "((entered_at AT TIME ZONE 'UTC') - priority * interval '1 day') AT TIME ZONE 'UTC'"


def upgrade() -> None:
    op.add_column(
        "review_item",
        sa.Column("waits_since", sa.DateTime(timezone=True), sa.Computed(PLACE, persisted=True), nullable=False),
    )
    _index("waits_since", "visit_id")
    table = sa.table(
        "area_rule",
        sa.column("id", sa.Uuid),
        sa.column("key", sa.String),
        sa.column("area_code", sa.String),
        sa.column("effective_from", sa.Date),
        sa.column("value", postgresql.JSONB),
        sa.column("source", sa.String),
    )
    source = "project default: in the queue a finding counts as so many days of waiting, by its severity"
    row = {"id": uuid4(), "key": KEY, "area_code": "", "effective_from": date(2020, 1, 1), "value": DAYS}
    op.bulk_insert(table, [row | {"source": source}])


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
    op.execute(sa.text("DELETE FROM area_rule WHERE key = :key").bindparams(key=KEY))
    _index("priority DESC", "entered_at", "visit_id")
    op.drop_column("review_item", "waits_since")
