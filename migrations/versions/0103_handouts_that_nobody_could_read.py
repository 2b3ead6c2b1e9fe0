"""Handouts by phone that the ledger could not read are kept as such, and put before a person

Revision: 0103, after 0102
"""

from alembic import op

revision = "0103"
down_revision = "0102"
branch_labels = None
depends_on = None

OLD_OUTCOMES = ("entered", "repeated", "late", "contrary", "overtaken")
CHECK = "ck_aid_line_record_outcome_is_known"


def upgrade() -> None:
    _know((*OLD_OUTCOMES, "unreadable"))


def _know(outcomes: tuple[str, ...]) -> None:
    op.drop_constraint(op.f(CHECK), "aid_line_record", type_="check")
    op.create_check_constraint(op.f(CHECK), "aid_line_record", f"outcome IN {outcomes}", postgresql_not_valid=True)
    op.execute(f"ALTER TABLE aid_line_record VALIDATE CONSTRAINT {CHECK}")


def downgrade() -> None:
    """Without a row a record waits to be looked at, as it did there."""
    op.execute("DELETE FROM aid_line_record WHERE outcome = 'unreadable'")
    _know(OLD_OUTCOMES)
