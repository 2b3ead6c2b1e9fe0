"""Web sign-ins by WeChat that were begun

Revision: 0075, after 0074
"""

import sqlalchemy as sa
from alembic import op

revision = "0075"
down_revision = "0074"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "wechat_flow",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("web_app", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("openid", sa.String(), nullable=True),
        sa.Column("unionid", sa.String(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("web_app IN ('phone', 'resident', 'desk')", name=op.f("ck_wechat_flow_web_app_is_known")),
        sa.CheckConstraint("scope IN ('snsapi_base', 'snsapi_userinfo')", name=op.f("ck_wechat_flow_scope_is_known")),
        sa.CheckConstraint("done_at IS NULL OR used_at IS NOT NULL", name=op.f("ck_wechat_flow_used_before_done")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_wechat_flow_staff_id_staff")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wechat_flow")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_wechat_flow_state_hash")),
    )
    op.create_index(op.f("ix_wechat_flow_expires_at"), "wechat_flow", ["expires_at"])


def downgrade() -> None:
    op.drop_table("wechat_flow")
