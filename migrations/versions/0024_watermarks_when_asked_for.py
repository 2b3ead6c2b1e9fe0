"""Watermarked copies are drawn when they are first asked for, and known by their hashes

Revision: 0024, after 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("evidence", sa.Column("watermark_sha256", sa.String(64), nullable=True))
    op.add_column("evidence", sa.Column("watermark_receipt", sa.String(), nullable=True))
    op.create_check_constraint(
        op.f("ck_evidence_watermark_has_a_receipt"),
        "evidence",
        "(watermark_sha256 IS NULL) = (watermark_receipt IS NULL)",
    )
    # They are drawn when they are wanted: what still waits to draw them all has nothing to do.
    op.execute("DELETE FROM procrastinate_jobs WHERE task_name = 'evidence.watermark' AND status = 'todo'")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_evidence_watermark_has_a_receipt"), "evidence", type_="check")
    op.drop_column("evidence", "watermark_receipt")
    op.drop_column("evidence", "watermark_sha256")
