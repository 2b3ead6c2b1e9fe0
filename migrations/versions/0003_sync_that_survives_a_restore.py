"""Sync that survives a restore: which database this is, and what a quarantined row was taken from

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("system_identifier", sa.String(), nullable=False),
        sa.Column("feed_oid", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("only", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.CheckConstraint('"only"', name=op.f("ck_installation_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        sa.UniqueConstraint("only", name=op.f("uq_installation_only")),
    )
    op.add_column("kept_row", sa.Column("base_hash", sa.String(length=64), nullable=True))
    # A constant default: no row is rewritten.
    op.add_column("audit_entry", sa.Column("generation", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column("audit_seal", sa.Column("last_generation", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.drop_index("ix_audit_entry_order", table_name="audit_entry")
    op.create_index("ix_audit_entry_order", "audit_entry", ["generation", "xid", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_audit_entry_order", table_name="audit_entry")
    op.create_index("ix_audit_entry_order", "audit_entry", ["xid", "id"], unique=False)
    op.drop_column("audit_seal", "last_generation")
    op.drop_column("audit_entry", "generation")
    op.drop_column("kept_row", "base_hash")
    op.drop_table("installation")
