"""Households that received before this system was there are taken over, which is no grant

Revision: 0044, after 0043
"""

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

NAME = "ck_benefit_change_kind_is_known"


def upgrade() -> None:
    op.drop_constraint(op.f(NAME), "benefit_change")
    op.create_check_constraint(
        op.f(NAME), "benefit_change", "kind IN ('granted', 'raised', 'cut', 'stopped', 'taken_over')"
    )


def downgrade() -> None:
    """What was taken over counts as granted to the version before, which has no other word for it."""
    op.execute("UPDATE benefit_change SET kind = 'granted' WHERE kind = 'taken_over'")
    op.drop_constraint(op.f(NAME), "benefit_change")
    op.create_check_constraint(op.f(NAME), "benefit_change", "kind IN ('granted', 'raised', 'cut', 'stopped')")
