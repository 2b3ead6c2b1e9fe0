"""The identities of people: several WeChat apps, and residents without WeChat

Revision: 0074, after 0073
"""

import sqlalchemy as sa
from alembic import op

revision = "0074"
down_revision = "0073"
branch_labels = None
depends_on = None

OWNERS = ("staff", "resident")
APPS = "app IN ('miniprogram', 'service_account', 'open_platform')"


def upgrade() -> None:
    op.create_table(
        "identity",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("resident_id", sa.Uuid(), nullable=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("app", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("num_nonnulls(staff_id, resident_id) = 1", name=op.f("ck_identity_one_owner")),
        sa.CheckConstraint(
            f"provider = 'wechat' AND {APPS} OR provider = 'member' AND app = ''",
            name=op.f("ck_identity_app_is_known"),
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_identity_staff_id_staff")),
        sa.ForeignKeyConstraint(["resident_id"], ["resident.id"], name=op.f("fk_identity_resident_id_resident")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
    )
    for owner in OWNERS:
        op.create_index(
            f"uq_identity_subject_of_{owner}",
            "identity",
            ["provider", "app", "subject"],
            unique=True,
            postgresql_where=sa.text(f"ended_at IS NULL AND {owner}_id IS NOT NULL"),
        )
        op.create_index(
            f"uq_identity_wechat_of_{owner}",
            "identity",
            [f"{owner}_id", "app"],
            unique=True,
            postgresql_where=sa.text("ended_at IS NULL AND provider = 'wechat'"),
        )
    op.create_index("ix_identity_subject", "identity", ["provider", "app", "subject"])
    # Until now there was one app, the mini-program.
    op.execute("""
        INSERT INTO identity (id, staff_id, provider, app, subject)
        SELECT gen_random_uuid(), id, 'wechat', 'miniprogram', wechat_openid FROM staff WHERE wechat_openid IS NOT NULL
    """)
    op.execute("""
        INSERT INTO identity (id, resident_id, provider, app, subject)
        SELECT gen_random_uuid(), id, 'wechat', 'miniprogram', wechat_openid FROM resident WHERE wechat_openid IS NOT NULL
    """)
    op.alter_column("resident", "wechat_openid", nullable=True)


def downgrade() -> None:
    """The openids of the mini-program still stand in their columns; the version before knows no other identity."""
    # A unionid comes again with the next sign-in.
    lost = "SELECT count(*) FROM identity WHERE ended_at IS NULL AND app IN ('', 'service_account')"
    if count := op.get_bind().scalar(sa.text(lost)):
        raise RuntimeError(f"{count} links to other accounts than the mini-program's would be lost")
    # A resident without an account of the mini-program is recognized by nothing; that version wants some openid.
    op.execute("UPDATE resident SET wechat_openid = 'none:' || id WHERE wechat_openid IS NULL")
    op.alter_column("resident", "wechat_openid", nullable=False)
    op.drop_table("identity")
