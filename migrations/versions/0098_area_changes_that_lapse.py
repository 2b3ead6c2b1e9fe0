"""Area changes that no longer fit on their day

Revision: 0098, after 0097
"""

from alembic import op

revision = "0098"
down_revision = "0097"
branch_labels = None
depends_on = None

BEFORE = "state IN ('proposed', 'accepted', 'rejected', 'applied')"
NOW = "state IN ('proposed', 'accepted', 'rejected', 'applied', 'lapsed')"


def _replace(condition: str) -> None:
    op.drop_constraint(op.f("ck_area_change_state_is_known"), "area_change", type_="check")
    op.create_check_constraint(op.f("ck_area_change_state_is_known"), "area_change", condition)


def upgrade() -> None:
    _replace(NOW)


def downgrade() -> None:
    # Nothing of it was applied, as of one that was turned down.
    op.execute("UPDATE area_change SET state = 'rejected' WHERE state = 'lapsed'")
    _replace(BEFORE)
