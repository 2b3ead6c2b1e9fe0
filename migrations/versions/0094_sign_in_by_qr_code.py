"""QR codes that sign a browser outside WeChat in

Revision: 0094, after 0093
"""

import sqlalchemy as sa
from alembic import op

revision = "0094"
down_revision = "0093"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "qr_sign_in",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("address_hash", sa.LargeBinary(), nullable=False),
        sa.Column("web_app", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("begun_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("staff_id", sa.Uuid(), sa.ForeignKey("staff.id"), nullable=True),
        sa.Column("resident_id", sa.Uuid(), sa.ForeignKey("resident.id"), nullable=True),
        sa.Column("confirmed_at", TIME, nullable=True),
        sa.Column("declined_at", TIME, nullable=True),
        sa.Column("used_at", TIME, nullable=True),
        sa.CheckConstraint("web_app IN ('resident', 'desk')", name="web_app_is_known"),
        sa.CheckConstraint(
            "(confirmed_at IS NULL) = (num_nonnulls(staff_id, resident_id) = 0)", name="confirmed_by_somebody"
        ),
        sa.CheckConstraint("used_at IS NULL OR confirmed_at IS NOT NULL", name="confirmed_before_used"),
    )
    op.create_index(op.f("ix_qr_sign_in_expires_at"), "qr_sign_in", ["expires_at"])


def downgrade() -> None:
    op.drop_table("qr_sign_in")
