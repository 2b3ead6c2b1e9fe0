"""Who came by which WeChat account, so that one which serves several people shows

Revision: 0030, after 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "wechat_use",
        sa.Column("openid", sa.String(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_wechat_use_staff_id_staff")),
        sa.PrimaryKeyConstraint("openid", "staff_id", name=op.f("pk_wechat_use")),
    )
    op.create_index(op.f("ix_wechat_use_staff_id"), "wechat_use", ["staff_id"])
    # Whoever's it is today has come by it.
    op.execute("""
        INSERT INTO wechat_use (openid, staff_id, used_at)
        SELECT wechat_openid, id, now() FROM staff WHERE wechat_openid IS NOT NULL
    """)


def downgrade() -> None:
    op.drop_table("wechat_use")
