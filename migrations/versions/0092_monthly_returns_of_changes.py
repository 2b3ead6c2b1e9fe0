"""Monthly returns of changes, from villages to towns to the county

Revision: 0092, after 0091
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.area_rules import drop_rules, write_rules

revision = "0092"
down_revision = "0091"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
RULES: dict[str, tuple[object, str]] = {
    "change_return.village_day": (5, "practice of offices: villages report to the town by the 5th"),
    "change_return.town_day": (10, "practice of offices: towns report to the county by the 10th"),
}


def upgrade() -> None:
    op.create_table(
        "change_return",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("area_code", sa.String(12), sa.ForeignKey("area.code"), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("lines", postgresql.JSONB(), nullable=False),
        sa.Column("note", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("sent_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=False),
        sa.Column("sent_at", TIME, nullable=False),
        sa.Column("first_sent_at", TIME, nullable=False),
        sa.Column("decided_by", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("decided_at", TIME, nullable=True),
        sa.Column("answer", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.UniqueConstraint("area_code", "month"),
        sa.CheckConstraint("state IN ('sent', 'returned', 'closed')", name="state_is_known"),
        sa.CheckConstraint("date_part('day', month) = 1", name="month_is_a_first"),
        sa.CheckConstraint("char_length(area_code) IN (9, 12)", name="of_a_town_or_a_village"),
        sa.CheckConstraint("state = 'sent' OR decided_by IS NOT NULL", name="decided_by_somebody"),
        sa.CheckConstraint("decided_by <> sent_by", name="decided_by_another"),
        sa.CheckConstraint("state <> 'returned' OR answer <> ''", name="returned_has_a_reason"),
    )
    op.create_index("ix_change_return_area_code", "change_return", ["area_code"])
    write_rules(RULES)


def downgrade() -> None:
    """A return that was sent is a document of the office: it stays."""
    sent = op.get_bind().scalar(sa.text("SELECT count(*) FROM change_return"))
    if sent:
        raise RuntimeError(f"{sent} monthly returns were sent: keep this version")
    drop_rules(RULES)
    op.drop_table("change_return")
