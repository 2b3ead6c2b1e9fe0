"""A kind of visit for checks of subsidised rental housing

Revision: 0058, after 0057
"""

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

OLD_KINDS = ("intake", "review", "neighbour", "complaint", "spot_check", "care")
KINDS = (*OLD_KINDS, "housing")
TABLES = ("assignment", "visit", "checklist_template", "blocked_visit")
_COUNTRY = "WHERE key = 'visit.unordered_kinds' AND area_code = ''"


def upgrade() -> None:
    _allow(KINDS)
    op.execute(f"UPDATE area_rule SET value = value || '[\"housing\"]' {_COUNTRY}")  # noqa: S608


def downgrade() -> None:
    """A visit of the kind would be lost: while there is any, it stays."""
    made = op.get_bind().scalar(sa.text("SELECT count(*) FROM visit WHERE kind = 'housing'"))
    if made:
        raise RuntimeError(f"going back would lose {made} visits: keep this version, or restore a backup")
    op.execute(f"UPDATE area_rule SET value = value - 'housing' {_COUNTRY}")  # noqa: S608
    op.execute("DELETE FROM blocked_visit WHERE kind = 'housing'")
    op.execute("DELETE FROM day_plan_stop WHERE assignment_id IN (SELECT id FROM assignment WHERE kind = 'housing')")
    op.execute("DELETE FROM assignment WHERE kind = 'housing'")
    op.execute("DELETE FROM checklist_template WHERE kind = 'housing'")
    _allow(OLD_KINDS)


def _allow(kinds: tuple[str, ...]) -> None:
    """Existing rows fit, so that the table is only locked for a moment; they are verified afterwards."""
    for table in TABLES:
        name = f"ck_{table}_kind_is_known"
        op.drop_constraint(op.f(name), table, type_="check")
        op.create_check_constraint(op.f(name), table, f"kind IN {kinds}", postgresql_not_valid=True)
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_{table}_kind_is_known")
