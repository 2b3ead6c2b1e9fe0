"""Places of a posting recorded in the field: which record brought one, and when it was taken down

Revision: 0089, after 0088
"""

import sqlalchemy as sa
from alembic import op

revision = "0089"
down_revision = "0088"
branch_labels = None
depends_on = None

VISIT_KINDS = ("intake", "review", "neighbour", "complaint", "spot_check", "care", "housing")
OLD_KINDS = ("publicity", "meeting")
KINDS = (*OLD_KINDS, "posting")


def upgrade() -> None:
    _know(KINDS)
    op.add_column("posting_place", sa.Column("record_id", sa.Uuid(), nullable=True))
    op.add_column("posting_place", sa.Column("taken_down_at", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(op.f("fk_posting_place_record_id_record"), "posting_place", "record", ["record_id"], ["id"])


def _know(kinds: tuple[str, ...]) -> None:
    """Existing rows fit, so that a table is only locked for a moment; they are verified afterwards."""
    for table, known in (("task", kinds), ("record", kinds), ("checklist_template", (*VISIT_KINDS, *kinds))):
        name = f"ck_{table}_kind_is_known"
        op.drop_constraint(op.f(name), table, type_="check")
        op.create_check_constraint(op.f(name), table, f"kind IN {known}", postgresql_not_valid=True)
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def downgrade() -> None:
    """What was recorded of postings has no place there."""
    lost = op.get_bind().scalar(sa.text("SELECT count(*) FROM record WHERE kind = 'posting'"))
    if lost:
        raise RuntimeError(f"going back would lose {lost} records of postings: keep this version")
    op.drop_constraint(op.f("fk_posting_place_record_id_record"), "posting_place", type_="foreignkey")
    op.drop_column("posting_place", "taken_down_at")
    op.drop_column("posting_place", "record_id")
    op.execute(
        "DELETE FROM feed WHERE collection = 'tasks' AND doc_id IN (SELECT id::text FROM task WHERE kind = 'posting')"
        " OR collection = 'checklists' AND doc_id IN (SELECT id::text FROM checklist_template WHERE kind = 'posting')"
    )
    op.execute("DELETE FROM task WHERE kind = 'posting'")
    op.execute("DELETE FROM checklist_template WHERE kind = 'posting'")
    _know(OLD_KINDS)
