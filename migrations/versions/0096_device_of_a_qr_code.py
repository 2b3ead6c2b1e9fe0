"""The device that confirmed a QR code

Revision: 0096, after 0095
"""

import sqlalchemy as sa
from alembic import op

revision = "0096"
down_revision = "0095"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("qr_sign_in", sa.Column("device_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_qr_sign_in_device_id_device"), "qr_sign_in", "device", ["device_id"], ["id"])


def downgrade() -> None:
    op.drop_constraint(op.f("fk_qr_sign_in_device_id_device"), "qr_sign_in", type_="foreignkey")
    op.drop_column("qr_sign_in", "device_id")
