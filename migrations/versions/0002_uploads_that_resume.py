"""Uploads that resume

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "upload",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("way", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("metadata_told", sa.String(), nullable=False),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("way IN ('tus', 'put')", name=op.f("ck_upload_way_is_known")),
        sa.CheckConstraint("state IN ('open', 'done', 'mismatched')", name=op.f("ck_upload_state_is_known")),
        sa.CheckConstraint("received_bytes BETWEEN 0 AND size_bytes", name=op.f("ck_upload_received_fits_size")),
        sa.CheckConstraint("state <> 'done' OR received_bytes = size_bytes", name=op.f("ck_upload_done_is_whole")),
        sa.CheckConstraint("(lease IS NULL) = (lease_until IS NULL)", name=op.f("ck_upload_lease_has_an_end")),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name=op.f("fk_upload_evidence_id_evidence")),
        sa.ForeignKeyConstraint(["author_id"], ["staff.id"], name=op.f("fk_upload_author_id_staff")),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_upload_device_id_device")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_index(op.f("ix_upload_evidence_id"), "upload", ["evidence_id"], unique=False)
    op.create_index("ix_upload_end", "upload", ["expires_at"], unique=False)
    op.create_table(
        "upload_chunk",
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.CheckConstraint("size_bytes > 0", name=op.f("ck_upload_chunk_holds_something")),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name=op.f("fk_upload_chunk_upload_id_upload"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", "start_at", name=op.f("pk_upload_chunk")),
    )


def downgrade() -> None:
    """Drops what is still on its way; photos that arrived are elsewhere."""
    op.drop_table("upload_chunk")
    op.drop_table("upload")
