"""Visits that were entered at the desk from a paper form: by whom

Revision: 0070, after 0069
"""

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("visit", sa.Column("typed_by", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_visit_typed_by_staff"), "visit", "staff", ["typed_by"], ["id"])
    op.create_index("ix_visit_typed_by", "visit", ["typed_by"], postgresql_where=sa.text("typed_by IS NOT NULL"))


def downgrade() -> None:
    """Without its mark a visit from paper would pass for a phone's: while there is any, it stays."""
    typed = op.get_bind().scalar(sa.text("SELECT count(*) FROM visit WHERE typed_by IS NOT NULL"))
    if typed:
        raise RuntimeError(f"{typed} visits from paper would lose their mark: keep this version, or restore a backup")
    op.drop_index("ix_visit_typed_by", "visit")
    op.drop_constraint(op.f("fk_visit_typed_by_staff"), "visit", type_="foreignkey")
    op.drop_column("visit", "typed_by")
