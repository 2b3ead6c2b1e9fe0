"""Seals of the audit trail are signed and count what they seal

Seals from before have neither; the first signed one seals them too, since its hash includes theirs.

Revision: 0041, after 0040
"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit_seal", sa.Column("total", sa.BigInteger(), nullable=True))
    op.add_column("audit_seal", sa.Column("signature", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("audit_seal", "signature")
    op.drop_column("audit_seal", "total")
