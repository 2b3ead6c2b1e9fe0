"""Seals of the audit trail are written once, as its rows are, and say in which form they were made

Revision: 0031, after 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Before this a seal left out which request a row belongs to; those that stand keep their form, and a replica of the
    # version before goes on writing it.
    op.add_column("audit_seal", sa.Column("form", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.execute(
        "CREATE TRIGGER audit_seal_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER audit_seal_is_append_only ON audit_seal")
    op.drop_column("audit_seal", "form")
