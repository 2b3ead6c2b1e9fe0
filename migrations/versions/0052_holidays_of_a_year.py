"""The holidays of a year can be imported

Revision: 0052, after 0051
"""

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

NAME = "ck_import_batch_kind_is_known"


def upgrade() -> None:
    op.drop_constraint(op.f(NAME), "import_batch")
    kinds = "'areas', 'staff', 'register', 'assignments', 'calendar'"
    op.create_check_constraint(op.f(NAME), "import_batch", f"kind IN ({kinds})")


def downgrade() -> None:
    """The days stay; the version before does not know the files that brought them."""
    op.execute("DELETE FROM import_line WHERE batch_id IN (SELECT id FROM import_batch WHERE kind = 'calendar')")
    op.execute("DELETE FROM import_batch WHERE kind = 'calendar'")
    op.drop_constraint(op.f(NAME), "import_batch")
    op.create_check_constraint(op.f(NAME), "import_batch", "kind IN ('areas', 'staff', 'register', 'assignments')")
