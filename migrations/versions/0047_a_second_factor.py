"""A second factor of staff: secret, recovery codes, and which devices wait for it

Revision: 0047, after 0046
"""

import sqlalchemy as sa
from alembic import op

from migrations.area_rules import drop_rules, write_rules

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

RULES = {
    "sign_in.second_factor_required": (
        False,
        "project default: GB/T 22239-2019 level 3 asks for two kinds of proof; an office switches it on when all have it",
    )
}


def upgrade() -> None:
    op.create_table(
        "second_factor",
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_second_factor_staff_id_staff")),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_second_factor")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_recovery_code_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("staff_id", "code_hash", name=op.f("uq_recovery_code_staff_id_code_hash")),
    )
    op.add_column(
        "device", sa.Column("second_factor_due", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    write_rules(RULES)


def downgrade() -> None:
    """Accounts with a second factor would be open to a password alone: while there are any, it stays."""
    confirmed = op.get_bind().scalar(sa.text("SELECT count(*) FROM second_factor WHERE confirmed_at IS NOT NULL"))
    if confirmed:
        raise RuntimeError(f"{confirmed} accounts have a second factor: remove them before going back")
    drop_rules(RULES)
    op.drop_column("device", "second_factor_due")
    op.drop_table("recovery_code")
    op.drop_table("second_factor")
