"""Who ended a resident's binding, and why: nobody is bound for ever

A binding that its resident ended has neither.

Revision: 0034, after 0033
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("resident_binding", sa.Column("ended_by", sa.Uuid(), nullable=True))
    op.add_column("resident_binding", sa.Column("end_reason", sa.String(), nullable=True))
    op.create_foreign_key(op.f("fk_resident_binding_ended_by_staff"), "resident_binding", "staff", ["ended_by"], ["id"])
    op.create_check_constraint(
        op.f("ck_resident_binding_officers_say_why"),
        "resident_binding",
        "ended_by IS NULL OR (ended_at IS NOT NULL AND end_reason IS NOT NULL)",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_resident_binding_officers_say_why"), "resident_binding")
    op.drop_column("resident_binding", "end_reason")
    op.drop_column("resident_binding", "ended_by")
