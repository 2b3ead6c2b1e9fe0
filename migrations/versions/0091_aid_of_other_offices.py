"""Files of aid that other offices gave

Revision: 0091, after 0090
"""

import sqlalchemy as sa
from alembic import op

revision = "0091"
down_revision = "0090"
branch_labels = None
depends_on = None

BEFORE = "'areas', 'staff', 'register', 'assignments', 'calendar'"


def _name_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_import_batch_kind_is_known"), "import_batch", type_="check")
    op.create_check_constraint(op.f("ck_import_batch_kind_is_known"), "import_batch", f"kind IN ({kinds})")


def upgrade() -> None:
    _name_kinds(f"{BEFORE}, 'aid'")


def downgrade() -> None:
    """What was imported is accounting: a ledger with it stays."""
    imported = op.get_bind().scalar(sa.text("SELECT count(*) FROM aid_batch WHERE source = 'import'"))
    if imported:
        raise RuntimeError(f"{imported} batches of aid were imported: keep this version")
    op.execute("DELETE FROM import_line WHERE batch_id IN (SELECT id FROM import_batch WHERE kind = 'aid')")
    op.execute("DELETE FROM import_batch WHERE kind = 'aid'")
    _name_kinds(BEFORE)
