"""Recovery keys of phones, with which a forgotten PIN is replaced

Revision: 0050, after 0049
"""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "phone_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("key_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_phone_key_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phone_key")),
    )
    op.create_index(op.f("ix_phone_key_staff_id"), "phone_key", ["staff_id"])


def downgrade() -> None:
    """Whoever forgets a PIN afterwards would lose what the phone has not sent: while keys are kept, they stay."""
    kept = op.get_bind().scalar(sa.text("SELECT count(*) FROM phone_key"))
    if kept:
        raise RuntimeError(f"{kept} phones keep a recovery key here: delete the rows before going back")
    op.drop_table("phone_key")
