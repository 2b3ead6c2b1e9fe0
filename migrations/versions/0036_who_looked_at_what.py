"""Who looked at what: the read trail, written once and kept for at least 180 days

Revision: 0036, after 0035
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

# Half a year is what the Cybersecurity Law asks for logs (网络安全法: 网络日志不少于六个月). The newest line is the clock: a
# statement of ours compares nothing with PostgreSQL's.
KEEP_HALF_A_YEAR = """
CREATE FUNCTION refuse_early_delete_of_reads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.at > (SELECT at FROM read_entry ORDER BY id DESC LIMIT 1) - interval '180 days' THEN
        RAISE EXCEPTION 'lines of the read trail are kept for 180 days' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "read_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor_kind", sa.String(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("thing_kind", sa.String(), nullable=False),
        sa.Column("thing_id", sa.String(), nullable=True),
        sa.Column("area_code", sa.String(length=12), nullable=True),
        sa.Column("shown", sa.Integer(), nullable=False),
        sa.Column("filters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("actor_kind IN ('staff', 'resident', 'system')", name=op.f("ck_read_entry_actor_is_known")),
        sa.CheckConstraint(
            "action IN ('opened', 'listed', 'exported', 'pulled')", name=op.f("ck_read_entry_action_is_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_read_entry")),
    )
    op.create_index("ix_read_entry_actor", "read_entry", ["actor_id", "at"])
    op.create_index(
        "ix_read_entry_thing", "read_entry", ["thing_id", "at"], postgresql_where=sa.text("thing_id IS NOT NULL")
    )
    op.execute(
        "CREATE TRIGGER read_entry_is_append_only BEFORE UPDATE OR TRUNCATE ON read_entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(KEEP_HALF_A_YEAR)
    op.execute(
        "CREATE TRIGGER read_entry_is_kept BEFORE DELETE ON read_entry "
        "FOR EACH ROW EXECUTE FUNCTION refuse_early_delete_of_reads()"
    )


def downgrade() -> None:
    op.drop_table("read_entry")
    op.execute("DROP FUNCTION refuse_early_delete_of_reads()")
